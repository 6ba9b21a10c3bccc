//! From a sparse value to protobuf bytes, written back to front.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smallvec::{SmallVec, smallvec};

use super::MAX_DEPTH;
use crate::codec::wire::{Backward, FIXED64, LENGTH_DELIMITED, Malformed, VARINT};
use crate::model::duration::Duration;
use crate::model::time::{Precision, Time};
use crate::model::value::{Map, Value};
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// Fields that most messages have at most.
const FIELDS: usize = 48;

/// The message's bytes, as stock writes them: ascending field numbers, plain scalars also when zero, keys of maps sorted.
///
/// Fails when the value is not of the message's type, which decoding has ruled out for whatever came from a client.
pub fn encode(value: &Value, message: &'static Message) -> Result<Vec<u8>, Malformed> {
    let mut out = Backward::with_capacity(1024);
    content(&mut out, value, message, 0)?;
    Ok(out.finish())
}

/// A message without tag and length.
fn content(out: &mut Backward, value: &Value, message: &'static Message, depth: usize) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed::Depth);
    }
    match message.json {
        Json::Object => match value {
            Value::Object(map) => fields(out, map, message, depth),
            Value::Null => fields(out, &Map::new(), message, depth),
            _ => Err(Malformed::Form),
        },
        Json::Time => stamp(out, value, Precision::Seconds),
        Json::MicroTime => stamp(out, value, Precision::Micros),
        Json::Duration => {
            let text = value.as_str().ok_or(Malformed::Form)?;
            integer(out, 1, Duration::parse(text).map_err(|_| Malformed::Form)?.0);
            Ok(())
        }
        Json::Quantity => {
            match value {
                Value::Null => text(out, 1, "0"),
                Value::String(quantity) => text(out, 1, quantity),
                Value::Number(number) => text(out, 1, &number.to_string()),
                _ => return Err(Malformed::Form),
            }
            Ok(())
        }
        Json::IntOrString => int_or_string(out, value),
        Json::Raw | Json::Written => {
            match value {
                Value::Null => {}
                Value::Written(written) => text(out, 1, written),
                _ => text(out, 1, &value.to_json()),
            }
            Ok(())
        }
        Json::Items => items(out, value),
        Json::SchemaOrBool | Json::SchemaOrArray | Json::SchemaOrStringArray => schema_or(out, value, message, depth),
    }
}

fn fields(out: &mut Backward, map: &Map, message: &'static Message, depth: usize) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed::Depth);
    }
    // What was read and never changed is as it was.
    if let Some(bytes) = map.bytes(message) {
        out.bytes(bytes);
        return Ok(());
    }
    // A message has many more fields than a value sets: each that is set is looked up, not each that could be.
    let mut set: SmallVec<[&Value; FIELDS]> = smallvec![&Value::Null; message.fields.len()];
    let mut from = 0;
    for (name, value) in map {
        let Some(found) = message.named_from(from, name) else { continue };
        from = found + 1;
        if let [at] = message.by_name[found].1 {
            set[usize::from(*at)] = value;
        }
    }
    for at in message.ascending.iter().rev() {
        let field = &message.fields[*at as usize];
        if let (true, Type::Message(inner)) = (field.inline, field.ty) {
            let before = out.len();
            fields(out, map, inner, depth + 1)?;
            out.close(field.number, before);
            continue;
        }
        let value = set[usize::from(*at)];
        match field.shape {
            Shape::One => one(out, value, field, depth)?,
            Shape::List => list(out, value, field, depth)?,
            Shape::Map => entries(out, value, field, depth)?,
        }
    }
    Ok(())
}

fn one(out: &mut Backward, value: &Value, field: &Field, depth: usize) -> Result<(), Malformed> {
    let unset = value.is_null();
    if unset && (field.pointer || matches!(field.ty, Type::Bytes)) {
        return Ok(());
    }
    match field.ty {
        _ if !unset => item(out, value, field, depth),
        Type::String => {
            text(out, field.number, "");
            Ok(())
        }
        Type::Bool | Type::Int32 | Type::Int64 => {
            integer(out, field.number, 0);
            Ok(())
        }
        Type::Double => {
            double(out, field.number, 0.0);
            Ok(())
        }
        Type::Message(_) | Type::Bytes => item(out, value, field, depth),
    }
}

/// One value with its tag.
fn item(out: &mut Backward, value: &Value, field: &Field, depth: usize) -> Result<(), Malformed> {
    tagged(out, value, field.ty, field.number, depth)
}

fn tagged(out: &mut Backward, value: &Value, ty: Type, number: u32, depth: usize) -> Result<(), Malformed> {
    match ty {
        Type::String => text(out, number, value.as_str().ok_or(Malformed::Form)?),
        Type::Bool => integer(out, number, i64::from(value.as_bool().ok_or(Malformed::Form)?)),
        Type::Int32 | Type::Int64 => integer(out, number, value.as_i64().ok_or(Malformed::Form)?),
        Type::Double => double(out, number, value.as_f64().ok_or(Malformed::Form)?),
        Type::Bytes => {
            let bytes = STANDARD.decode(value.as_str().ok_or(Malformed::Form)?).map_err(|_| Malformed::Form)?;
            out.bytes(&bytes);
            out.varint(bytes.len() as u64);
            out.tag(number, LENGTH_DELIMITED);
        }
        Type::Message(message) => {
            let before = out.len();
            content(out, value, message, depth + 1)?;
            out.close(number, before);
        }
    }
    Ok(())
}

fn list(out: &mut Backward, value: &Value, field: &Field, depth: usize) -> Result<(), Malformed> {
    let items = match value {
        Value::Null => return Ok(()),
        Value::Array(items) => items,
        _ => return Err(Malformed::Form),
    };
    for value in items.iter().rev() {
        item(out, value, field, depth)?;
    }
    Ok(())
}

fn entries(out: &mut Backward, value: &Value, field: &Field, depth: usize) -> Result<(), Malformed> {
    let map = match value {
        Value::Null => return Ok(()),
        Value::Object(map) => map,
        _ => return Err(Malformed::Form),
    };
    for (key, value) in map.iter().rev() {
        let before = out.len();
        tagged(out, value, field.ty, 2, depth)?;
        text(out, 1, key);
        out.close(field.number, before);
    }
    Ok(())
}

fn text(out: &mut Backward, number: u32, text: &str) {
    out.bytes(text.as_bytes());
    out.varint(text.len() as u64);
    out.tag(number, LENGTH_DELIMITED);
}

fn integer(out: &mut Backward, number: u32, value: i64) {
    out.varint(value as u64);
    out.tag(number, VARINT);
}

fn double(out: &mut Backward, number: u32, value: f64) {
    out.bytes(&value.to_le_bytes());
    out.tag(number, FIXED64);
}

/// Time keeps whole seconds (its nanoseconds are written as 0), MicroTime microseconds. The zero time is empty.
fn stamp(out: &mut Backward, value: &Value, precision: Precision) -> Result<(), Malformed> {
    let Some(text) = value.as_str() else {
        return if value.is_null() { Ok(()) } else { Err(Malformed::Form) };
    };
    let time = Time::parse_as(text, precision).map_err(|_| Malformed::Form)?;
    if time.is_zero() {
        return Ok(());
    }
    integer(out, 2, if precision == Precision::Micros { i64::from(time.nanos / 1000 * 1000) } else { 0 });
    integer(out, 1, time.seconds);
    Ok(())
}

fn int_or_string(out: &mut Backward, value: &Value) -> Result<(), Malformed> {
    let (kind, number, string) = match value {
        Value::Null => (0, 0, ""),
        Value::Number(number) => (0, number.as_i64().ok_or(Malformed::Form)?, ""),
        Value::String(string) => (1, 0, string.as_str()),
        _ => return Err(Malformed::Form),
    };
    text(out, 3, string);
    integer(out, 2, number);
    integer(out, 1, kind);
    Ok(())
}

fn items(out: &mut Backward, value: &Value) -> Result<(), Malformed> {
    for item in value.as_array().map(Vec::as_slice).unwrap_or_default().iter().rev() {
        text(out, 1, item.as_str().ok_or(Malformed::Form)?);
    }
    Ok(())
}

/// A schema, or in its place a boolean, a list of schemas or a list of strings.
fn schema_or(out: &mut Backward, value: &Value, message: &'static Message, depth: usize) -> Result<(), Malformed> {
    let schema = message.fields.iter().find(|f| f.name == "schema").ok_or(Malformed::Form)?;
    match value {
        Value::Bool(allows) => integer(out, 1, i64::from(*allows)),
        Value::Object(_) => {
            item(out, value, schema, depth)?;
            if message.json == Json::SchemaOrBool {
                integer(out, 1, 1);
            }
        }
        Value::Array(_) => list(out, value, &message.fields[1], depth)?,
        _ => return Err(Malformed::Form),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::generate;
    use crate::codec::protobuf::tree::{of_whole, to_value};
    use crate::model::value::json;
    use crate::schema::table;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Parts of one pod are put into another: the bytes are those of a pod that was never anything else.
        #[test]
        fn a_change_has_the_bytes_of_the_whole(
            old in generate::message(table::message("k8s.io.api.core.v1.Pod").expect("Pod")),
            new in generate::message(table::message("k8s.io.api.core.v1.Pod").expect("Pod")),
            taken in any::<[bool; 6]>(),
        ) {
            let message = table::message("k8s.io.api.core.v1.Pod").expect("Pod");
            let raw = encode(&old, message).expect("encodes");
            let old = of_whole(&raw.into(), message).expect("decodes");
            let mut changed = old.clone();
            let paths = ["/spec", "/status", "/metadata/managedFields", "/metadata/labels", "/spec/containers", "/spec/volumes"];
            for (path, _) in paths.iter().zip(taken).filter(|(_, taken)| *taken) {
                if let (Some(place), Some(value)) = (changed.pointer_mut(path), new.pointer(path)) {
                    *place = value.clone();
                }
            }
            let raw = encode(&changed, message).expect("encodes");
            let whole = to_value(&raw, message).expect("decodes");
            prop_assert_eq!(&whole, &changed);
            prop_assert_eq!(raw, encode(&whole, message).expect("encodes"));
        }
    }

    #[test]
    fn what_a_newer_server_wrote_stays_in_messages_that_are_left() {
        let message = table::message("k8s.io.api.core.v1.ServiceAccount").expect("ServiceAccount");
        let reference = [&b"\x0a\x00\x1a\x01a"[..], b"\xfa\x3f\x03new"].concat();
        let raw = [&[0x12, reference.len() as u8][..], &reference].concat();
        let mut account = of_whole(&raw.into(), message).expect("decodes");
        account["secrets"].as_array_mut().expect("a list").push(json!({"name": "b"}));
        let raw = encode(&account, message).expect("encodes");
        assert!(raw.windows(3).any(|window| window == b"new"), "{raw:?}");
        account["secrets"][0]["name"] = "c".into();
        let raw = encode(&account, message).expect("encodes");
        assert!(!raw.windows(3).any(|window| window == b"new"), "{raw:?}");
    }
}
