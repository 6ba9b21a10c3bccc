//! Whether a message's bytes are whole: every length, wire type, text and JSON in it, down to the last field.

use super::MAX_DEPTH;
use crate::codec::json::parse;
use crate::codec::wire::{Malformed, Reader, Wire};
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// Fails where a reader of this message would. Fields that the message does not know are passed over.
pub fn check(raw: &[u8], message: &'static Message) -> Result<(), Malformed> {
    content(raw, message, 0)
}

fn content(raw: &[u8], message: &'static Message, depth: usize) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed::Depth);
    }
    let mut reader = Reader::new(raw);
    while let Some((number, value)) = reader.field()? {
        match message.numbered(number) {
            Some(field) if field.shape == Shape::Map => entry(value.bytes()?, field, depth)?,
            Some(_) if matches!(message.json, Json::Raw | Json::Written) => json(value.bytes()?, message.json)?,
            Some(field) => single(value, field.ty, depth)?,
            None => {}
        }
    }
    Ok(())
}

/// A map's entry: the key is field 1, the value field 2.
fn entry(raw: &[u8], field: &'static Field, depth: usize) -> Result<(), Malformed> {
    let mut reader = Reader::new(raw);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => text(value.bytes()?)?,
            2 => single(value, field.ty, depth)?,
            _ => {}
        }
    }
    Ok(())
}

#[inline]
fn single(value: Wire<'_>, ty: Type, depth: usize) -> Result<(), Malformed> {
    match (ty, value) {
        (Type::String, Wire::Bytes(bytes)) => text(bytes),
        (Type::Message(message), Wire::Bytes(bytes)) => content(bytes, message, depth + 1),
        (Type::Bytes, Wire::Bytes(_)) | (Type::Double, Wire::Fixed64(_)) => Ok(()),
        (Type::Bool | Type::Int32 | Type::Int64, Wire::Varint(_)) => Ok(()),
        _ => Err(Malformed::WireType),
    }
}

/// Nothing stands for null. What stays as it was written has been read by nobody.
fn json(bytes: &[u8], form: Json) -> Result<(), Malformed> {
    match form {
        Json::Raw if !bytes.is_empty() => parse::parse(bytes).map(drop).map_err(|_| Malformed::Form),
        _ => text(bytes),
    }
}

/// Most texts are short and ASCII.
#[inline]
fn text(bytes: &[u8]) -> Result<(), Malformed> {
    if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() { Ok(()) } else { Err(Malformed::Utf8) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf::encode::encode;
    use crate::model::value::json;
    use crate::schema::table::message;

    #[test]
    fn damage_deep_inside_is_found() {
        let pod = message("k8s.io.api.core.v1.Pod").expect("Pod");
        let whole =
            encode(&json!({"spec": {"containers": [{"name": "web", "image": "nginx"}]}}), pod).expect("encodes");
        assert_eq!(check(&whole, pod), Ok(()));
        let at = whole.windows(5).position(|w| w == b"nginx").expect("the image");
        let mut damaged = whole.clone();
        damaged[at] = 0xff;
        assert_eq!(check(&damaged, pod), Err(Malformed::Utf8));
        damaged = whole.clone();
        damaged[at - 1] = 100;
        assert_eq!(check(&damaged, pod), Err(Malformed::Truncated));
        assert_eq!(check(&[0x08, 1], pod), Err(Malformed::WireType));
    }
}
