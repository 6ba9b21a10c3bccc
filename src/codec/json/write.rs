//! Protobuf bytes to JSON text, straight: no tree in between, fields in stock's order, zero fields as stock shows them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::codec::protobuf::MAX_DEPTH;
use crate::codec::protobuf::decode::{Slots, is_zero, numbered, time};
use crate::codec::wire::{Malformed, Reader, Wire};
use crate::model::duration::Duration;
use crate::model::gotext;
use crate::model::time::Precision;
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// Appends the JSON of an object: its `kind` and `apiVersion`, then the message's fields.
pub fn object(
    out: &mut Vec<u8>,
    raw: &[u8],
    message: &'static Message,
    api_version: &str,
    kind: &str,
) -> Result<(), Malformed> {
    out.push(b'{');
    let mut first = true;
    for (name, text) in [("kind", kind), ("apiVersion", api_version)] {
        if !text.is_empty() {
            key(out, name, &mut first);
            string(out, text);
        }
    }
    fields(out, raw, message, &mut first, 0)?;
    out.push(b'}');
    Ok(())
}

/// Appends the JSON of a message; of an item of a typed list, for one.
pub fn message(out: &mut Vec<u8>, raw: &[u8], message: &'static Message) -> Result<(), Malformed> {
    content(out, raw, message, 0)
}

fn content(out: &mut Vec<u8>, raw: &[u8], message: &'static Message, depth: usize) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed::Depth);
    }
    match message.json {
        Json::Object => {
            out.push(b'{');
            fields(out, raw, message, &mut true, depth)?;
            out.push(b'}');
        }
        Json::Time => stamp(out, raw, Precision::Seconds)?,
        Json::MicroTime => stamp(out, raw, Precision::Micros)?,
        Json::Duration => {
            let nanos = numbered(raw, 1)?.map_or(Ok(0), Wire::varint)? as i64;
            string(out, &Duration(nanos).to_string());
        }
        Json::Quantity => {
            let text = numbered(raw, 1)?.map_or(Ok(""), Wire::str)?;
            string(out, if text.is_empty() { "0" } else { text });
        }
        Json::IntOrString => match numbered(raw, 1)?.map_or(Ok(0), Wire::varint)? {
            0 => integer(out, i64::from(numbered(raw, 2)?.map_or(Ok(0), Wire::varint)? as i32)),
            _ => string(out, numbered(raw, 3)?.map_or(Ok(""), Wire::str)?),
        },
        Json::Raw => {
            let bytes = numbered(raw, 1)?.map_or(Ok(&[][..]), Wire::bytes)?;
            out.extend_from_slice(if bytes.is_empty() { b"null" } else { bytes });
        }
        Json::Items => items(out, raw, &message.fields[0], depth)?,
        Json::SchemaOrBool | Json::SchemaOrArray | Json::SchemaOrStringArray => schema_or(out, raw, message, depth)?,
    }
    Ok(())
}

fn fields(
    out: &mut Vec<u8>,
    raw: &[u8],
    message: &'static Message,
    first: &mut bool,
    depth: usize,
) -> Result<(), Malformed> {
    let slots = Slots::new(raw, message)?;
    for (at, field) in message.fields.iter().enumerate() {
        let bytes = slots.get(raw, at);
        match (field.shape, field.ty) {
            (Shape::One, Type::Message(inner)) => one_message(out, bytes, field, inner, first, depth)?,
            (Shape::One, _) => scalar_field(out, bytes, field, first)?,
            (Shape::List, _) => match bytes {
                Some(bytes) => {
                    key(out, field.name, first);
                    items(out, bytes, field, depth)?;
                }
                None => null(out, field, first),
            },
            (Shape::Map, _) => match bytes {
                Some(bytes) => {
                    key(out, field.name, first);
                    entries(out, bytes, field, depth)?;
                }
                None => null(out, field, first),
            },
        }
    }
    Ok(())
}

fn one_message(
    out: &mut Vec<u8>,
    bytes: Option<&[u8]>,
    field: &'static Field,
    inner: &'static Message,
    first: &mut bool,
    depth: usize,
) -> Result<(), Malformed> {
    let raw = match bytes {
        Some(bytes) => numbered(bytes, field.number)?.map_or(Ok(&[][..]), Wire::bytes)?,
        None if field.pointer => {
            null(out, field, first);
            return Ok(());
        }
        None => &[],
    };
    if field.inline {
        return fields(out, raw, inner, first, depth + 1);
    }
    if field.omit_zero && is_zero(raw, inner)? {
        return Ok(());
    }
    key(out, field.name, first);
    content(out, raw, inner, depth + 1)
}

fn scalar_field(
    out: &mut Vec<u8>,
    bytes: Option<&[u8]>,
    field: &'static Field,
    first: &mut bool,
) -> Result<(), Malformed> {
    let value = bytes.map(|bytes| numbered(bytes, field.number)).transpose()?.flatten();
    let Some(value) = value else {
        if field.pointer || matches!(field.ty, Type::Bytes) {
            null(out, field, first);
        } else if field.always {
            key(out, field.name, first);
            zero(out, field.ty);
        }
        return Ok(());
    };
    let empty = match value {
        Wire::Bytes(bytes) => bytes.is_empty(),
        Wire::Varint(number) | Wire::Fixed64(number) => number == 0,
        Wire::Fixed32(number) => number == 0,
    };
    if empty && !field.pointer && !field.always {
        return Ok(());
    }
    key(out, field.name, first);
    scalar(out, value, field.ty)
}

fn scalar(out: &mut Vec<u8>, value: Wire<'_>, ty: Type) -> Result<(), Malformed> {
    match ty {
        Type::String => match value.bytes()? {
            bytes if bytes.is_ascii() => ascii(out, bytes),
            _ => string(out, value.str()?),
        },
        Type::Bool => out.extend_from_slice(if value.varint()? == 0 { b"false" } else { b"true" }),
        Type::Int32 => integer(out, i64::from(value.varint()? as i32)),
        Type::Int64 => integer(out, value.varint()? as i64),
        Type::Double => {
            let Wire::Fixed64(bits) = value else { return Err(Malformed::WireType) };
            let number = Some(f64::from_bits(bits)).filter(|number| number.is_finite()).ok_or(Malformed::Form)?;
            out.extend_from_slice(gotext::json_float(number).as_bytes());
        }
        Type::Bytes => {
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(value.bytes()?).as_bytes());
            out.push(b'"');
        }
        Type::Message(_) => return Err(Malformed::Form),
    }
    Ok(())
}

fn value(out: &mut Vec<u8>, wire: Wire<'_>, ty: Type, depth: usize) -> Result<(), Malformed> {
    match ty {
        Type::Message(message) => content(out, wire.bytes()?, message, depth + 1),
        _ => scalar(out, wire, ty),
    }
}

fn items(out: &mut Vec<u8>, bytes: &[u8], field: &'static Field, depth: usize) -> Result<(), Malformed> {
    out.push(b'[');
    let (mut reader, start) = (Reader::new(bytes), out.len());
    while let Some((number, wire)) = reader.field()? {
        if number == field.number {
            if out.len() > start {
                out.push(b',');
            }
            value(out, wire, field.ty, depth)?;
        }
    }
    out.push(b']');
    Ok(())
}

fn entries(out: &mut Vec<u8>, bytes: &[u8], field: &'static Field, depth: usize) -> Result<(), Malformed> {
    out.push(b'{');
    let (mut reader, mut first) = (Reader::new(bytes), true);
    while let Some((number, wire)) = reader.field()? {
        if number != field.number {
            continue;
        }
        let entry = wire.bytes()?;
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        string(out, numbered(entry, 1)?.map_or(Ok(""), Wire::str)?);
        out.push(b':');
        match numbered(entry, 2)? {
            Some(wire) => value(out, wire, field.ty, depth)?,
            None => zero(out, field.ty),
        }
    }
    out.push(b'}');
    Ok(())
}

fn schema_or(out: &mut Vec<u8>, raw: &[u8], message: &'static Message, depth: usize) -> Result<(), Malformed> {
    let schema = message.fields.iter().find(|f| f.name == "schema").ok_or(Malformed::Form)?;
    if let Some(wire) = numbered(raw, schema.number)? {
        return value(out, wire, schema.ty, depth);
    }
    match message.json {
        Json::SchemaOrBool => {
            let allows = numbered(raw, 1)?.map_or(Ok(0), Wire::varint)? != 0;
            out.extend_from_slice(if allows { b"true" } else { b"false" });
            Ok(())
        }
        _ => items(out, raw, &message.fields[1], depth),
    }
}

/// The zero time is null.
fn stamp(out: &mut Vec<u8>, raw: &[u8], precision: Precision) -> Result<(), Malformed> {
    match time(raw)? {
        Some(time) => string(out, &time.to_text_as(precision)),
        None => out.extend_from_slice(b"null"),
    }
    Ok(())
}

fn null(out: &mut Vec<u8>, field: &Field, first: &mut bool) {
    if field.always {
        key(out, field.name, first);
        out.extend_from_slice(b"null");
    }
}

fn zero(out: &mut Vec<u8>, ty: Type) {
    out.extend_from_slice(match ty {
        Type::String => b"\"\"",
        Type::Bool => b"false",
        Type::Int32 | Type::Int64 | Type::Double => b"0",
        Type::Bytes => b"null",
        Type::Message(message) if message.json == Json::Object => b"{}",
        Type::Message(message) if message.json == Json::Items => b"[]",
        Type::Message(_) => b"null",
    });
}

fn key(out: &mut Vec<u8>, name: &str, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A whole number in decimal.
pub fn integer(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// A JSON string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    ascii(out, text.as_bytes());
}

/// Quoted and escaped; bytes beyond ASCII pass as they are.
fn ascii(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !ESCAPED[*byte as usize] {
            continue;
        }
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            other => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[(other >> 4) as usize]);
                out.push(HEX[(other & 15) as usize]);
            }
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

/// Control characters, the quote, the backslash, and what Go escapes for HTML's sake.
const ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[b'<' as usize] = true;
    table[b'>' as usize] = true;
    table[b'&' as usize] = true;
    table
};
