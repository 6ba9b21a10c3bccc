//! Decoded JSON of a known type to a sparse value, in the words of stock's converter from untyped to typed objects.
//! Patches end here; request bodies go through `decode`, whose texts are others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::decode::{self, Decoded, decode_base64, is_zero, zero};
use crate::model::value::{Map, Text, Value};
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// Checks an object against its message. The notes name unknown fields, sorted; the error is stock's text.
pub fn convert(value: Value, message: &'static Message) -> Result<Decoded, String> {
    let mut converter = Converter { path: String::new(), notes: Vec::new() };
    let value = converter.message(value, message)?;
    converter.notes.sort();
    Ok(Decoded { value, notes: converter.notes })
}

struct Converter {
    /// Of the place being read; keys of maps are not in it.
    path: String,
    notes: Vec<String>,
}

type Convert<T> = Result<T, String>;

impl Converter {
    fn message(&mut self, value: Value, message: &'static Message) -> Convert<Value> {
        match (message.json, value) {
            (Json::Object, Value::Object(mut map)) => self.object(&mut map, message).map(Value::Object),
            (Json::Object, other) => Err(format!("cannot restore struct from: {}", kind(&other))),
            (Json::Items, Value::Array(items)) => {
                items.into_iter().map(|item| string(item, "string")).collect::<Convert<_>>().map(Value::Array)
            }
            (Json::Items, other) => Err(format!("cannot restore slice from {}", kind(&other))),
            (Json::Raw, other) => Ok(other),
            (Json::Written, other @ (Value::Array(_) | Value::Object(_))) => Ok(Value::Written(other.to_json().into())),
            (Json::Written, other) => Ok(other),
            (_, other) => decode::decode(other.to_string().as_bytes(), message).map(|decoded| decoded.value),
        }
    }

    fn object(&mut self, map: &mut Map, message: &'static Message) -> Convert<Map> {
        let mut out = Map::new();
        if message.object {
            for name in ["kind", "apiVersion"] {
                map.remove(name).map(|value| string(value, "string")).transpose()?;
            }
        }
        self.fields(map, message, &mut out)?;
        for name in map.keys() {
            let dot = if self.path.is_empty() { "" } else { "." };
            self.notes.push(format!("unknown field \"{}{dot}{name}\"", self.path));
        }
        Ok(out)
    }

    /// Moves the message's fields from `map` to `out`.
    fn fields(&mut self, map: &mut Map, message: &'static Message, out: &mut Map) -> Convert<()> {
        for field in message.fields {
            if let (true, Some(inner)) = (field.inline, field.message()) {
                self.fields(map, inner, out)?;
                continue;
            }
            let Some((key, value)) = map.remove_entry(field.name).filter(|(_, value)| !value.is_null()) else {
                continue;
            };
            let before = self.path.len();
            if before > 0 {
                self.path.push('.');
            }
            self.path.push_str(field.name);
            let value = self.field(value, field)?;
            self.path.truncate(before);
            if field.shape != Shape::One || field.pointer || !is_zero(&value, field.ty) {
                out.insert(key, value);
            }
        }
        Ok(())
    }

    fn field(&mut self, value: Value, field: &'static Field) -> Convert<Value> {
        match (field.shape, value) {
            (Shape::One, value) => self.item(value, field),
            (Shape::List, Value::Array(items)) => {
                let mut out = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    let before = self.path.len();
                    self.path.push_str(&format!("[{index}]"));
                    out.push(match item {
                        Value::Null if field.item_pointer => Value::Null,
                        Value::Null => zero(field.ty),
                        item => self.item(item, field)?,
                    });
                    self.path.truncate(before);
                }
                Ok(Value::Array(out))
            }
            (Shape::List, other) => Err(format!("cannot restore slice from {}", kind(&other))),
            (Shape::Map, Value::Object(map)) => {
                let mut out = Map::new();
                for (key, value) in map {
                    let value = if value.is_null() { zero(field.ty) } else { self.item(value, field)? };
                    out.insert(key, value);
                }
                Ok(Value::Object(out))
            }
            (Shape::Map, other) => Err(format!("cannot restore map from {}", kind(&other))),
        }
    }

    fn item(&mut self, value: Value, field: &'static Field) -> Convert<Value> {
        match field.ty {
            Type::String => string(value, field.go_item()),
            Type::Bool if value.is_boolean() => Ok(value),
            Type::Bool => Err("unrecognized type: bool".into()),
            Type::Int32 => integer(&value, "int32", field).map(|number| Value::from(number as i32)),
            Type::Int64 => integer(&value, "int64", field).map(Value::from),
            Type::Double => match value.as_f64() {
                Some(double) => Ok(Value::from(double)),
                None => Err("unrecognized type: float64".into()),
            },
            Type::Bytes => bytes(value),
            Type::Message(message) => self.message(value, message),
        }
    }
}

/// The name of Go's kind of the value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) | Value::Written(_) => "map",
    }
}

/// `wanted` is the Go type, which may be a named string.
fn string(value: Value, wanted: &str) -> Convert<Value> {
    match value {
        Value::String(_) => Ok(value),
        Value::Null => Ok(Value::String(Text::default())),
        Value::Number(number) if !number.is_f64() => Err(format!("cannot convert int64 to {wanted}")),
        _ => Err("unrecognized type: string".into()),
    }
}

/// Go's conversion: a double must be whole, what does not fit is cut to the lower bits.
fn integer(value: &Value, width: &str, field: &Field) -> Convert<i64> {
    let Value::Number(number) = value else { return Err(format!("unrecognized type: {width}")) };
    if let Some(integer) = number.as_i64() {
        return Ok(integer);
    }
    match number.as_f64() {
        Some(double) if double == double.trunc() => Ok(double as i64),
        _ => Err(format!("cannot convert float64 to {}", field.go_item())),
    }
}

fn bytes(value: Value) -> Convert<Value> {
    match value {
        Value::String(text) => match decode_base64(&text) {
            Ok(bytes) => Ok(STANDARD.encode(bytes).into()),
            Err(at) => Err(format!("error decoding from json: illegal base64 data at input byte {at}")),
        },
        other => Err(format!("cannot restore slice from {}", kind(&other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    fn deployment(spec: Value) -> Result<Decoded, String> {
        let message = table::message("k8s.io.api.apps.v1.Deployment").expect("Deployment");
        convert(json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}), message)
    }

    #[test]
    fn values_become_sparse_and_unknown_fields_are_noted() {
        let decoded = deployment(json!({
            "replicas": 3.0, "paused": false, "strategy": {}, "zz": 1, "selector": {"matchLabels": {"a": null}},
            "template": {"spec": {"containers": [{"name": "c", "imag": "x", "resources": {"limits": {"cpu": "1000m"}}}]}},
        }));
        let expected = json!({"spec": {
            "replicas": 3, "selector": {"matchLabels": {"a": ""}},
            "template": {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}},
        }});
        let notes = ["unknown field \"spec.template.spec.containers[0].imag\"", "unknown field \"spec.zz\""];
        assert_eq!(decoded, Ok(Decoded { value: expected, notes: notes.map(String::from).into() }));
    }

    #[test]
    fn errors_read_as_stocks() {
        for (spec, error) in [
            (json!({"replicas": 1.5}), "cannot convert float64 to int32"),
            (json!({"replicas": "x"}), "unrecognized type: int32"),
            (json!({"strategy": {"type": 1}}), "cannot convert int64 to v1.DeploymentStrategyType"),
            (json!({"paused": "yes"}), "unrecognized type: bool"),
            (json!({"template": "x"}), "cannot restore struct from: string"),
            (json!({"template": {"spec": {"containers": {}}}}), "cannot restore slice from map"),
            (json!({"selector": {"matchLabels": []}}), "cannot restore map from slice"),
        ] {
            assert_eq!(deployment(spec), Err(error.to_owned()));
        }
    }
}
