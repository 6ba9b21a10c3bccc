//! A JSON text without the space between its tokens, its members in their order; and without managedFields.

use super::parse::{Parser, Result, Token};
use super::write::string;
use crate::model::value::{Map, Value};
use crate::schema::table::{Message, Shape};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The same text without space, `<`, `>`, `&` and the separators of lines escaped as Go escapes them. Fails when it is
/// no JSON.
pub fn compact(text: &[u8]) -> Result<Vec<u8>> {
    let mut parser = Parser::new(text);
    parser.skip()?;
    parser.end()?;
    let mut out = Vec::with_capacity(text.len());
    append(&mut out, text);
    Ok(out)
}

/// Appends the same of a text that is known to be JSON.
pub fn append(out: &mut Vec<u8>, text: &[u8]) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' if !quoted => continue,
            b'<' | b'>' | b'&' => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                continue;
            }
            0xa8 | 0xa9 if text[..at].ends_with(b"\xe2\x80") => {
                out.truncate(out.len() - 2);
                out.extend_from_slice(if *byte == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                continue;
            }
            b'"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
        out.push(*byte);
    }
}

/// The parser's next value as it is written.
pub fn written(parser: &mut Parser<'_>) -> Result<Value> {
    Ok(Value::Written(String::from_utf8_lossy(parser.raw()?).into()))
}

/// Appends a written value as Go shows it.
pub fn show(out: &mut Vec<u8>, text: &[u8]) -> Result<()> {
    match is_compact(text) {
        true => out.extend_from_slice(text),
        false => out.extend_from_slice(&compact(text)?),
    }
    Ok(())
}

/// Looks at many bytes at once, as compilers can.
fn is_compact(text: &[u8]) -> bool {
    let odd = |byte: u8| (byte <= b' ') | (byte == b'<') | (byte == b'>') | (byte == b'&') | (byte == 0xe2);
    !text.chunks(64).any(|chunk| chunk.iter().fold(false, |found, byte| found | odd(*byte)))
}

/// A message's value with all that is written in it as Go shows it: so it comes out of a patch. `None`: it is so already.
pub fn shown(value: &Value, message: &'static Message) -> Option<Value> {
    match value {
        _ if !message.holds_written => None,
        Value::Written(text) if !is_compact(text.as_bytes()) => {
            let text = compact(text.as_bytes()).ok()?;
            Some(Value::Written(String::from_utf8_lossy(&text).into()))
        }
        Value::Object(map) => in_map(map, |name, value| {
            let field = message.field(name)?;
            let inner = field.message()?;
            match (field.shape, value) {
                (Shape::One, value) => shown(value, inner),
                (Shape::List, Value::Array(items)) => in_list(items, inner),
                (Shape::Map, Value::Object(map)) => in_map(map, |_, value| shown(value, inner)),
                _ => None,
            }
        }),
        _ => None,
    }
}

fn in_list(items: &[Value], message: &'static Message) -> Option<Value> {
    let mut all = None;
    for (at, item) in items.iter().enumerate() {
        if let Some(item) = shown(item, message) {
            all.get_or_insert_with(|| items.to_vec())[at] = item;
        }
    }
    all.map(Value::Array)
}

/// The map with the values that `other` gives for its own.
fn in_map(map: &Map, other: impl Fn(&str, &Value) -> Option<Value>) -> Option<Value> {
    let mut all = None;
    for (key, value) in map {
        if let Some(value) = other(key, value) {
            all.get_or_insert_with(|| map.clone()).insert(key.clone(), value);
        }
    }
    all.map(Value::Object)
}

/// The same object without `metadata.managedFields`: its own, that of a list's items, and of a table's rows.
pub fn without_managed_fields(text: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    prune(&mut out, text, "")?;
    Ok(out)
}

/// `within` is the member that this stands in.
fn prune(out: &mut Vec<u8>, text: &[u8], within: &str) -> Result<()> {
    let mut parser = Parser::new(text);
    match parser.token()? {
        Token::Object => {}
        Token::Array if matches!(within, "items" | "rows") => return each(out, &mut parser, within),
        _ => {
            out.extend_from_slice(text);
            return Ok(());
        }
    }
    out.push(b'{');
    let mut first = true;
    parser.object(|parser, key| {
        let raw = parser.raw()?;
        if within == "metadata" && key == "managedFields" {
            return Ok(());
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        string(out, &key);
        out.push(b':');
        match (within, key.as_ref()) {
            ("" | "items", "metadata") | ("", "items" | "rows") => prune(out, raw, &key),
            ("rows", "object") => prune(out, raw, "items"),
            _ => {
                out.extend_from_slice(raw);
                Ok(())
            }
        }
    })?;
    out.push(b'}');
    Ok(())
}

fn each(out: &mut Vec<u8>, parser: &mut Parser<'_>, within: &str) -> Result<()> {
    out.push(b'[');
    let mut first = true;
    parser.array(|parser, _| {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        prune(out, parser.raw()?, within)
    })?;
    out.push(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::decode::decode;
    use crate::codec::json::write;
    use crate::codec::protobuf::encode::encode;
    use crate::schema::table::message;

    fn compacted(text: &str) -> String {
        compact(text.as_bytes()).map_or("no JSON".into(), |out| String::from_utf8(out).expect("text"))
    }

    #[test]
    fn what_is_written_stays_until_it_is_shown() {
        let message = message("k8s.io.api.apps.v1.ControllerRevision").expect("ControllerRevision");
        let read = decode(br#"{"data": {"b": "<", "a": 1}, "revision": 1}"#, message).expect("JSON").value;
        assert_eq!(read["data"], Value::Written(r#"{"b": "<", "a": 1}"#.into()));
        let mut out = Vec::new();
        write::object(&mut out, &encode(&read, message).expect("encodes"), message, "", "").expect("well-formed");
        let data = r#"{"b":"\u003c","a":1}"#;
        assert!(String::from_utf8_lossy(&out).contains(&format!("\"data\":{data}")), "in its order");
        let anew = shown(&read, message).expect("spaces");
        assert_eq!(anew["data"], Value::Written(data.into()));
        assert_eq!((shown(&anew, message), &anew["revision"]), (None, &read["revision"]));
    }

    #[test]
    fn only_space_between_tokens_goes() {
        assert_eq!(
            compacted("{ \"b\" : [ 1.50 ,\n true ],\t\"a b\": \" \\\" \\\\\" }\n"),
            "{\"b\":[1.50,true],\"a b\":\" \\\" \\\\\"}"
        );
        assert_eq!(compacted("\"<&>\u{2028}\u{2029}é\""), "\"\\u003c\\u0026\\u003e\\u2028\\u2029é\"");
        for none in ["", "{", "a: b", "{} {}", "[1,]"] {
            assert_eq!(compacted(none), "no JSON", "{none}");
        }
    }

    #[test]
    fn managed_fields_go_wherever_an_object_is() {
        let pruned =
            |text: &str| String::from_utf8(without_managed_fields(text.as_bytes()).expect("JSON")).expect("text");
        let object = "{\"kind\":\"P\",\"metadata\":{\"name\":\"a\",\"managedFields\":[{}],\"uid\":\"u\"},\"data\":{\"managedFields\":1}}";
        let plain = "{\"kind\":\"P\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\"},\"data\":{\"managedFields\":1}}";
        assert_eq!(pruned(object), plain);
        assert_eq!(
            pruned(&format!("{{\"metadata\":{{}},\"items\":[{object},{object}]}}")),
            format!("{{\"metadata\":{{}},\"items\":[{plain},{plain}]}}")
        );
        assert_eq!(
            pruned(&format!("{{\"rows\":[{{\"cells\":[1],\"object\":{object}}}]}}")),
            format!("{{\"rows\":[{{\"cells\":[1],\"object\":{plain}}}]}}")
        );
        assert_eq!(pruned("[{\"metadata\":1}]"), "[{\"metadata\":1}]");
    }
}
