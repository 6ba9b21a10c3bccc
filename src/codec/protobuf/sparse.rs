//! A value as it comes back from its bytes.

use crate::codec::json::decode::is_zero;
use crate::codec::wire::Malformed;
use crate::model::duration::Duration;
use crate::model::time::{Precision, Time};
use crate::model::value::{Map, Number, Value};
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// Makes of a value that [`super::encode`] takes what [`super::tree`] reads from its bytes: what is unset or zero is
/// left out, times and durations are written in one way. What is shared came from there and is passed over.
///
/// Fails where encoding does.
pub fn settle(value: &mut Value, message: &'static Message) -> Result<(), Malformed> {
    match message.json {
        Json::Object => match value {
            Value::Object(map) => fields(map, message)?,
            _ => *value = Value::Object(Map::new()),
        },
        Json::Time => stamp(value, Precision::Seconds)?,
        Json::MicroTime => stamp(value, Precision::Micros)?,
        Json::Duration => {
            let text = value.as_str().ok_or(Malformed::Form)?;
            *value = Duration::parse(text).map_err(|_| Malformed::Form)?.to_string().into();
        }
        Json::Quantity => match value {
            Value::Null => *value = "0".into(),
            Value::Number(number) => *value = number.to_string().into(),
            _ => {}
        },
        Json::IntOrString if value.is_null() => *value = 0.into(),
        Json::Items if value.is_null() => *value = Value::Array(Vec::new()),
        Json::Written if matches!(value, Value::Array(_) | Value::Object(_)) => {
            *value = Value::Written(value.to_json().into());
        }
        Json::IntOrString | Json::Items | Json::Raw | Json::Written => {}
        Json::SchemaOrBool | Json::SchemaOrArray | Json::SchemaOrStringArray => {
            let schema = message.fields.iter().find(|field| field.name == "schema").ok_or(Malformed::Form)?;
            match value {
                Value::Object(_) => single(value, schema.ty)?,
                Value::Array(items) => items.iter_mut().try_for_each(|item| single(item, message.fields[1].ty))?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn fields(map: &mut Map, message: &'static Message) -> Result<(), Malformed> {
    if map.is_shared() {
        return Ok(());
    }
    let mut outcome = Ok(());
    map.retain(|name, value| {
        let kept = message.field(name).map_or(Ok(false), |field| keeps(value, field));
        kept.unwrap_or_else(|error| {
            outcome = Err(error);
            true
        })
    });
    outcome
}

/// Settles a field's value; whether it is kept.
fn keeps(value: &mut Value, field: &'static Field) -> Result<bool, Malformed> {
    if value.is_null() {
        return Ok(false);
    }
    match (field.shape, &mut *value) {
        (Shape::One, _) => single(value, field.ty)?,
        (Shape::List, Value::Array(items)) => items.iter_mut().try_for_each(|item| single(item, field.ty))?,
        (Shape::Map, Value::Object(map)) if !map.is_shared() => {
            map.values_mut().try_for_each(|value| single(value, field.ty))?;
        }
        (Shape::List | Shape::Map, _) => {}
    }
    Ok(match (field.shape, &*value) {
        (Shape::One, value) => field.pointer || !is_zero(value, field.ty),
        (Shape::List, Value::Array(items)) => !items.is_empty(),
        (Shape::Map, Value::Object(map)) => !map.is_empty(),
        (Shape::List | Shape::Map, _) => return Err(Malformed::Form),
    })
}

fn single(value: &mut Value, ty: Type) -> Result<(), Malformed> {
    match ty {
        Type::Message(message) => settle(value, message)?,
        Type::Double => {
            let number = value.as_f64().and_then(Number::from_f64).ok_or(Malformed::Form)?;
            *value = Value::Number(number);
        }
        Type::Int32 => *value = (value.as_i64().ok_or(Malformed::Form)? as i32).into(),
        Type::String | Type::Bool | Type::Int64 | Type::Bytes => {}
    }
    Ok(())
}

/// The zero time is null.
fn stamp(value: &mut Value, precision: Precision) -> Result<(), Malformed> {
    let Some(text) = value.as_str() else { return Ok(()) };
    let time = Time::parse_as(text, precision).map_err(|_| Malformed::Form)?;
    *value = if time.is_zero() { Value::Null } else { time.to_text_as(precision).as_str().into() };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf::{encode::encode, tree};
    use crate::model::value::json;
    use crate::schema::table;

    fn settled(mut value: Value, message: &'static Message) -> Value {
        let raw = encode(&value, message).expect("encodes");
        settle(&mut value, message).expect("settles");
        assert_eq!(value, tree::to_value(&raw, message).expect("decodes"));
        value
    }

    #[test]
    fn what_is_not_sparse_is_as_its_bytes_say() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "unknown": 1,
            "metadata": {
                "name": "a", "labels": {}, "annotations": {"empty": ""}, "finalizers": [], "generation": 0,
                "creationTimestamp": "2026-01-01T01:00:00+01:00", "deletionTimestamp": "0001-01-01T00:00:00Z",
                "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}, "time": null}],
            },
            "spec": {
                "hostNetwork": false, "nodeName": "", "priority": 0, "securityContext": {}, "overhead": {"cpu": 1, "memory": null},
                "containers": [{"name": "c", "resources": {}, "livenessProbe": {"httpGet": {"port": 0, "path": ""}}}, null],
            },
            "status": {"conditions": null, "phase": ""},
        });
        let message = table::message("k8s.io.api.core.v1.Pod").expect("Pod");
        let settled = settled(pod, message);
        assert_eq!(settled.get("status"), None);
        assert_eq!(settled["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");
        assert_eq!(settled["spec"]["priority"], 0);
    }

    #[test]
    fn schemas_stand_in_each_form() {
        let message = table::MESSAGES.iter().find(|m| m.name.ends_with("v1.JSONSchemaProps")).expect("schemas");
        settled(json!({"items": {"type": "", "title": "x"}, "additionalProperties": false, "maximum": 5}), message);
        settled(json!({"items": [{"type": "string", "format": ""}], "additionalProperties": {"type": "a"}}), message);
    }
}
