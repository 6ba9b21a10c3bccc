//! The value in serde's terms, as text, and to and from other trees.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Map, Text, Value};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => out.serialize_unit(),
            Self::Bool(flag) => out.serialize_bool(*flag),
            Self::Number(number) => number.serialize(out),
            Self::String(text) => out.serialize_str(text),
            Self::Array(items) => {
                let mut list = out.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Object(map) => map.serialize(out),
            Self::Written(text) => unpack(text).map_err(S::Error::custom)?.serialize(out),
        }
    }
}

/// The tree of a written value.
fn unpack(text: &str) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_str(text)
}

impl Value {
    /// The value with what is written in it looked into, at every depth.
    pub fn opened(&self) -> Value {
        match self {
            Self::Written(text) => unpacked(text),
            Self::Array(items) => items.iter().map(Self::opened).collect(),
            Self::Object(map) => map.iter().map(|(key, value)| (key.clone(), value.opened())).collect(),
            other => other.clone(),
        }
    }
}

/// A written value, looked into; null where it cannot be read.
pub fn unpacked(text: &str) -> Value {
    unpack(text).map(from_serde).unwrap_or_default()
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.len()))?;
        self.iter().try_for_each(|(key, value)| map.serialize_entry(key.as_str(), value))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Build)
    }
}

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Object(map) => Ok(map),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        Value::deserialize(from)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = fields.next_entry::<Name, Value>()? {
            map.insert(key.0, value);
        }
        Ok(Value::Object(map))
    }
}

/// A key, without a String on the way.
struct Name(Text);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(ReadName)
    }
}

struct ReadName;

impl Visitor<'_> for ReadName {
    type Value = Name;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Name, E> {
        Ok(Name(key.into()))
    }
}

impl Value {
    /// Compact JSON, as [`fmt::Display`] shows it.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(256);
        compact(&mut out, self);
        out
    }
}

fn compact(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => quoted(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                compact(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (at, (key, item)) in map.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quoted(out, key);
                out.push(':');
                compact(out, item);
            }
            out.push('}');
        }
        Value::Written(text) => out.push_str(text),
    }
}

/// A JSON string (RFC 8259, section 7): only what must be escaped is.
fn quoted(out: &mut String, text: &str) {
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(is_special) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            byte if byte < b' ' => out.push_str(&format!("\\u{byte:04x}")),
            byte => {
                out.push('\\');
                out.push(char::from(byte));
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

impl fmt::Display for Value {
    /// Compact JSON; with `{:#}` indented.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if out.alternate() {
            return out.write_str(&serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?);
        }
        out.write_str(&self.to_json())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(flag) => flag.fmt(out),
            Self::Number(number) => fmt::Display::fmt(number, out),
            Self::String(text) => fmt::Debug::fmt(text.as_str(), out),
            Self::Array(items) => items.fmt(out),
            Self::Object(map) => map.fmt(out),
            Self::Written(text) => out.write_str(text),
        }
    }
}

impl std::str::FromStr for Value {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text)
    }
}

/// serde_json's tree as ours.
pub fn from_serde(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        serde_json::Value::Number(number) => Value::Number(number),
        serde_json::Value::String(text) => Value::String(text.into()),
        serde_json::Value::Array(items) => items.into_iter().map(from_serde).collect(),
        serde_json::Value::Object(map) => {
            map.into_iter().map(|(key, value)| (Text::from(key), from_serde(value))).collect()
        }
    }
}

/// Ours as serde_json's.
pub fn to_serde(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => serde_json::Value::Bool(*flag),
        Value::Number(number) => serde_json::Value::Number(number.clone()),
        Value::String(text) => serde_json::Value::String(text.to_string()),
        Value::Array(items) => items.iter().map(to_serde).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.to_string(), to_serde(value))).collect(),
        Value::Written(text) => unpack(text).unwrap_or_default(),
    }
}

/// A typed value from the tree. Errors as serde says them.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(to_serde(value))
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_written_as_serde_writes_it(text: String, number: f64, whole: i64) {
            let value = json!({"text": text, "list": [number, whole, null, true], text: {}});
            prop_assert_eq!(value.to_string(), serde_json::to_string(&value).expect("JSON"));
        }
    }

    #[test]
    fn only_what_must_be_is_escaped() {
        let value = json!("a\"\\/\n\r\t\u{8}\u{c}\u{1}\u{7f}<>&\u{2028}é");
        assert_eq!(value.to_string(), "\"a\\\"\\\\/\\n\\r\\t\\b\\f\\u0001\u{7f}<>&\u{2028}é\"");
    }
}
