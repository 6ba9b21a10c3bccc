//! A value to JSON text as Go writes it: numbers in Go's forms, `<`, `>` and `&` escaped, keys sorted.

use super::write;
use crate::model::gotext;
use crate::model::value::{Number, Value};

/// Appends the value.
pub fn value(out: &mut Vec<u8>, tree: &Value) {
    match tree {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Number(number) => self::number(out, number),
        Value::String(text) => write::string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                value(out, item);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            out.push(b'{');
            for (at, (key, item)) in map.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write::string(out, key);
                out.push(b':');
                value(out, item);
            }
            out.push(b'}');
        }
        Value::Written(text) => out.extend_from_slice(text.as_bytes()),
    }
}

fn number(out: &mut Vec<u8>, number: &Number) {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), ..) => write::integer(out, whole),
        (None, Some(whole), _) => out.extend_from_slice(whole.to_string().as_bytes()),
        (None, None, float) => out.extend_from_slice(gotext::json_float(float.unwrap_or(0.0)).as_bytes()),
    }
}
