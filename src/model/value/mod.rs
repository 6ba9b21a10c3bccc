//! The tree of an object: what JSON, YAML, CBOR and protobuf are decoded to, and what every rule looks at.
//!
//! It has the words of `serde_json::Value`, and is laid out for objects of the API: names and short texts lie in their
//! place, a map of few fields is one sorted block. An object is made, compared and freed several times in each write, so
//! its blocks on the heap are what a write costs.
//!
//! In reading order: this file (`Value`), `map` (`Map`), `encoded` (maps that are read late), `index` (`value["spec"]`, pointers), `make` (from plain
//! values, and `json!`), `text` (serde, `Display`).

mod encoded;
mod index;
mod make;
mod map;
mod text;

use std::sync::Arc;

pub use compact_str::CompactString as Text;
pub use encoded::Encoding;
pub use make::ToValue;
pub use map::{Entry, IntoIter, Iter, IterMut, Map};
pub use serde_json::Number;
pub use text::{from_serde, from_value, to_serde, unpacked};

pub use crate::json;

/// One value of JSON. Maps are sorted by key.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(Text),
    Array(Vec<Value>),
    Object(Map),
    /// JSON that is passed on as it was written: nothing looks into it but who unpacks it, and it equals no other text.
    Written(Arc<str>),
}

impl Value {
    /// The word for its type in Go's decoders.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) | Self::Written(_) => "object",
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub fn is_boolean(&self) -> bool {
        matches!(self, Self::Bool(_))
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    pub fn is_string(&self) -> bool {
        matches!(self, Self::String(_))
    }

    pub fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// A whole number that an `i64` holds.
    pub fn is_i64(&self) -> bool {
        self.as_i64().is_some()
    }

    /// A whole number that a `u64` holds.
    pub fn is_u64(&self) -> bool {
        self.as_u64().is_some()
    }

    /// A number that was not written as a whole one.
    pub fn is_f64(&self) -> bool {
        matches!(self, Self::Number(number) if number.is_f64())
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(flag) = self { Some(*flag) } else { None }
    }

    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    pub fn as_u64(&self) -> Option<u64> {
        self.as_number().and_then(Number::as_u64)
    }

    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().and_then(Number::as_f64)
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    pub fn as_array(&self) -> Option<&Vec<Value>> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Value>> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    pub fn as_object(&self) -> Option<&Map> {
        if let Self::Object(map) = self { Some(map) } else { None }
    }

    pub fn as_object_mut(&mut self) -> Option<&mut Map> {
        if let Self::Object(map) = self { Some(map) } else { None }
    }

    /// Whether it is an object, written or not.
    pub fn holds_object(&self) -> bool {
        match self {
            Self::Written(text) => text.trim_start().starts_with('{'),
            other => other.is_object(),
        }
    }

    pub fn as_written(&self) -> Option<&str> {
        if let Self::Written(text) = self { Some(text) } else { None }
    }

    /// Makes copies of all maps in it cost nothing until they are changed.
    pub fn share(&mut self) {
        match self {
            Self::Object(map) => map.share(),
            Self::Array(items) => items.iter_mut().for_each(Self::share),
            _ => {}
        }
    }

    /// Takes the value out and leaves null.
    pub fn take(&mut self) -> Value {
        std::mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_as_small_as_a_text_and_a_word() {
        assert_eq!(size_of::<Value>(), 32);
        assert_eq!(size_of::<Map>(), 24);
    }

    #[test]
    fn reads_as_the_json_that_it_is() {
        let name = "web".to_owned();
        let ports = [80, 443];
        let mut pod = json!({"metadata": {"name": name, "labels": {}}, "ports": ports, "ready": true, "none": null});
        assert_eq!(pod["metadata"]["name"], "web");
        assert_eq!(pod["ports"][1].as_i64(), Some(443));
        assert_eq!(pod.pointer("/metadata/labels"), Some(&json!({})));
        assert!(pod["missing"]["deeper"].is_null());
        pod["metadata"]["generation"] = 2.into();
        assert_eq!(
            pod.to_string(),
            r#"{"metadata":{"generation":2,"labels":{},"name":"web"},"none":null,"ports":[80,443],"ready":true}"#
        );
        assert_eq!(from_serde(to_serde(&pod)), pod);
    }
}
