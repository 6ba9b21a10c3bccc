//! Protobuf bytes to JSON text, straight: no tree in between, fields in stock's order, zero fields as stock shows them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::compact;
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
    typed(out, raw, message, (api_version, kind), 0)
}

fn typed(
    out: &mut Vec<u8>,
    raw: &[u8],
    message: &'static Message,
    (api_version, kind): (&str, &str),
    depth: usize,
) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed::Depth);
    }
    out.push(b'{');
    let mut first = true;
    for (name, text) in [(",\"kind\":", kind), (",\"apiVersion\":", api_version)] {
        if !text.is_empty() {
            out.extend_from_slice(&name.as_bytes()[usize::from(std::mem::take(&mut first))..]);
            string(out, text);
        }
    }
    fields(out, raw, message, &mut first, depth)?;
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
            let quantity = numbered(raw, 1)?.map_or(Ok(&[][..]), Wire::bytes)?;
            text(out, if quantity.is_empty() { b"0" } else { quantity })?;
        }
        Json::IntOrString => int_or_string(out, raw)?,
        Json::Raw | Json::Written => match numbered(raw, 1)?.map_or(Ok(&[][..]), Wire::bytes)? {
            [] => out.extend_from_slice(b"null"),
            written => compact::show(out, written).map_err(|_| Malformed::Form)?,
        },
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
    if message.in_order && in_one_go(out, raw, message, first, depth)? {
        return Ok(());
    }
    let slots = Slots::new(raw, message)?;
    for (at, field) in message.fields.iter().enumerate() {
        let Some(bytes) = slots.get(raw, at) else {
            unset(out, field, first, depth)?;
            continue;
        };
        let mut reader = Reader::new(bytes);
        if let Some((_, wire)) = reader.field()? {
            one_field(out, wire, field, &mut reader, first, depth)?;
        }
    }
    Ok(())
}

/// Fields as they come. `false`, and nothing written: they do not come in the order of JSON, or one comes twice.
fn in_one_go(
    out: &mut Vec<u8>,
    raw: &[u8],
    message: &'static Message,
    first: &mut bool,
    depth: usize,
) -> Result<bool, Malformed> {
    let before = (out.len(), *first);
    let mut reader = Reader::new(raw);
    let mut done = 0;
    let mut next = reader.field()?;
    while let Some((number, wire)) = next {
        let Some(at) = message.place(number) else {
            next = reader.field()?;
            continue;
        };
        if at < done {
            out.truncate(before.0);
            *first = before.1;
            return Ok(false);
        }
        for field in &message.fields[done..at] {
            unset(out, field, first, depth)?;
        }
        done = at + 1;
        next = one_field(out, wire, &message.fields[at], &mut reader, first, depth)?;
    }
    for field in &message.fields[done..] {
        unset(out, field, first, depth)?;
    }
    Ok(true)
}

/// A field whose first value has been read; of a list or a map all that follow at once. Gives the next field's value.
fn one_field<'a>(
    out: &mut Vec<u8>,
    wire: Wire<'a>,
    field: &'static Field,
    reader: &mut Reader<'a>,
    first: &mut bool,
    depth: usize,
) -> Result<Option<(u32, Wire<'a>)>, Malformed> {
    match (field.shape, field.ty) {
        (Shape::One, Type::Message(inner)) => one_message(out, wire.bytes()?, field, inner, first, depth)?,
        (Shape::One, _) => scalar_field(out, wire, field, first)?,
        (Shape::List, _) => {
            key(out, field, first);
            out.push(b'[');
            element(out, wire, field, depth)?;
            return rest(out, field, reader, b']', |out, wire| element(out, wire, field, depth));
        }
        (Shape::Map, _) => {
            key(out, field, first);
            out.push(b'{');
            entry(out, wire, field.ty, depth)?;
            return rest(out, field, reader, b'}', |out, wire| entry(out, wire, field.ty, depth));
        }
    }
    reader.field()
}

/// The other values of a repeated field, between which others may stand when it is read from its slot.
fn rest<'a>(
    out: &mut Vec<u8>,
    field: &'static Field,
    reader: &mut Reader<'a>,
    close: u8,
    mut write: impl FnMut(&mut Vec<u8>, Wire<'a>) -> Result<(), Malformed>,
) -> Result<Option<(u32, Wire<'a>)>, Malformed> {
    let mut other = None;
    while let Some((number, wire)) = reader.field()? {
        if number == field.number {
            out.push(b',');
            write(out, wire)?;
        } else {
            other = Some((number, wire));
            break;
        }
    }
    out.push(close);
    Ok(other)
}

fn one_message(
    out: &mut Vec<u8>,
    raw: &[u8],
    field: &'static Field,
    inner: &'static Message,
    first: &mut bool,
    depth: usize,
) -> Result<(), Malformed> {
    if field.inline {
        return fields(out, raw, inner, first, depth + 1);
    }
    if field.omit_zero && is_zero(raw, inner)? {
        return Ok(());
    }
    key(out, field, first);
    content(out, raw, inner, depth + 1)
}

fn scalar_field(out: &mut Vec<u8>, value: Wire<'_>, field: &'static Field, first: &mut bool) -> Result<(), Malformed> {
    let empty = match value {
        Wire::Bytes(bytes) => bytes.is_empty(),
        Wire::Varint(number) | Wire::Fixed64(number) => number == 0,
        Wire::Fixed32(number) => number == 0,
    };
    if empty && !field.pointer && !field.always {
        return Ok(());
    }
    key(out, field, first);
    scalar(out, value, field.ty)
}

/// What JSON has for a field that is not on the wire.
#[inline]
fn unset(out: &mut Vec<u8>, field: &'static Field, first: &mut bool, depth: usize) -> Result<(), Malformed> {
    if !field.shown_unset {
        return Ok(());
    }
    match (field.shape, field.ty) {
        (Shape::One, Type::Message(inner)) if !field.pointer => one_message(out, &[], field, inner, first, depth),
        (Shape::One, Type::String | Type::Bool | Type::Int32 | Type::Int64 | Type::Double) if !field.pointer => {
            key(out, field, first);
            zero(out, field.ty);
            Ok(())
        }
        _ => {
            key(out, field, first);
            out.extend_from_slice(b"null");
            Ok(())
        }
    }
}

fn scalar(out: &mut Vec<u8>, value: Wire<'_>, ty: Type) -> Result<(), Malformed> {
    match ty {
        Type::String => text(out, value.bytes()?)?,
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

/// An item of a list.
fn element(out: &mut Vec<u8>, wire: Wire<'_>, field: &'static Field, depth: usize) -> Result<(), Malformed> {
    match (field.item_kind, field.ty) {
        (Some(kind), Type::Message(message)) => typed(out, wire.bytes()?, message, kind, depth + 1),
        _ => value(out, wire, field.ty, depth),
    }
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

/// A map's entry: `"key":value`.
fn entry(out: &mut Vec<u8>, wire: Wire<'_>, ty: Type, depth: usize) -> Result<(), Malformed> {
    let (mut name, mut content) = (&[][..], None);
    let mut reader = Reader::new(wire.bytes()?);
    while let Some((number, wire)) = reader.field()? {
        match number {
            1 => name = wire.bytes()?,
            2 => content = Some(wire),
            _ => {}
        }
    }
    text(out, name)?;
    out.push(b':');
    match content {
        Some(wire) => value(out, wire, ty, depth),
        None => {
            zero(out, ty);
            Ok(())
        }
    }
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

fn int_or_string(out: &mut Vec<u8>, raw: &[u8]) -> Result<(), Malformed> {
    let (mut kind, mut number, mut content) = (0, 0, &[][..]);
    let mut reader = Reader::new(raw);
    while let Some((field, wire)) = reader.field()? {
        match field {
            1 => kind = wire.varint()?,
            2 => number = wire.varint()? as i32,
            3 => content = wire.bytes()?,
            _ => {}
        }
    }
    if kind == 0 {
        integer(out, i64::from(number));
        return Ok(());
    }
    text(out, content)
}

/// The zero time is null.
fn stamp(out: &mut Vec<u8>, raw: &[u8], precision: Precision) -> Result<(), Malformed> {
    match time(raw)? {
        Some(time) => {
            out.push(b'"');
            time.append(precision, out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    Ok(())
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

/// The first field of an object has no comma before it.
#[inline]
fn key(out: &mut Vec<u8>, field: &Field, first: &mut bool) {
    out.extend_from_slice(&field.key.as_bytes()[usize::from(std::mem::take(first))..]);
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
    quoted(out, text.as_bytes());
}

/// A JSON string of what is to be UTF-8.
#[inline]
fn text(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Malformed> {
    if is_plain(bytes) {
        plain(out, bytes);
        return Ok(());
    }
    std::str::from_utf8(bytes).map_err(|_| Malformed::Utf8)?;
    escaped(out, bytes);
    Ok(())
}

fn quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) { plain(out, bytes) } else { escaped(out, bytes) }
}

#[inline]
fn plain(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    out.extend_from_slice(bytes);
    out.push(b'"');
}

/// Whether the bytes are ASCII that needs no escape. Sixteen at a time, so that the compiler can look at them at once.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let odd = |byte: u8| (byte.wrapping_sub(0x20) >= 0x60) | matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&');
    let mut chunks = bytes.chunks_exact(16);
    for chunk in &mut chunks {
        if chunk.iter().fold(false, |found, byte| found | odd(*byte)) {
            return false;
        }
    }
    !chunks.remainder().iter().any(|byte| ODD[*byte as usize])
}

/// With escapes where Go has them; letters beyond ASCII pass as they are, but for the separators of lines.
fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 16);
    out.push(b'"');
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !ODD[*byte as usize] || (*byte >= 0x80 && *byte != 0xe2) {
            continue;
        }
        if *byte == 0xe2 {
            if let [0x80, last @ (0xa8 | 0xa9), ..] = bytes[at + 1..] {
                out.extend_from_slice(&bytes[done..at]);
                out.extend_from_slice(if last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                done = at + 3;
            }
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
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
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// Control characters, the quote, the backslash, what Go escapes for HTML's sake, and all that is not ASCII.
const ODD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte < 0x20 || byte >= 0x80 || matches!(byte as u8, b'"' | b'\\' | b'<' | b'>' | b'&');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_does() {
        for (text, json) in [
            ("plain text of more than sixteen letters", "\"plain text of more than sixteen letters\""),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("<&>\n\r\t\u{8}\u{c}\u{1}\u{7f}", "\"\\u003c\\u0026\\u003e\\n\\r\\t\\b\\f\\u0001\u{7f}\""),
            ("é\u{2028}世\u{2029}€", "\"é\\u2028世\\u2029€\""),
            ("sixteen letters\"and one more", r#""sixteen letters\"and one more""#),
        ] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(String::from_utf8_lossy(&out), json);
            assert_eq!(serde_json::from_slice::<String>(&out).ok().as_deref(), Some(text));
        }
    }
}
