//! Whether two values mean the same: `equality.Semantic.DeepEqual` of API machinery, told by the schema.
//!
//! A field that is no pointer means the same absent and zero, an empty list or map the same as none. Quantities
//! compare by amount and times by moment.

use crate::model::quantity::Quantity;
use crate::model::time::Time;
use crate::model::value::Value;
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// Two objects of a type.
pub fn messages(a: &Value, b: &Value, message: &Message) -> bool {
    match message.json {
        Json::Object => message.fields.iter().all(|field| match field.ty {
            Type::Message(inner) if field.inline => messages(a, b, inner),
            _ => fields(&a[field.name], &b[field.name], field),
        }),
        Json::Quantity => match (Quantity::from_value(a), Quantity::from_value(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        },
        Json::Time | Json::MicroTime => match (a.as_str().map(Time::parse), b.as_str().map(Time::parse)) {
            (Some(Ok(a)), Some(Ok(b))) => a == b,
            _ => a == b,
        },
        Json::IntOrString => number(a) == number(b),
        _ => a == b,
    }
}

/// The whole values of a field.
pub fn fields(a: &Value, b: &Value, field: &Field) -> bool {
    match field.shape {
        Shape::One if field.pointer && (a.is_null() || b.is_null()) => a.is_null() && b.is_null(),
        Shape::One => items(a, b, field),
        Shape::List => {
            let (a, b) = (a.as_array().map_or(&[][..], Vec::as_slice), b.as_array().map_or(&[][..], Vec::as_slice));
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| items(a, b, field))
        }
        Shape::Map => {
            let (count_a, count_b) = (a.as_object().map_or(0, |m| m.len()), b.as_object().map_or(0, |m| m.len()));
            let entries = a.as_object().into_iter().flatten();
            count_a == count_b && entries.into_iter().all(|(key, a)| b.get(key).is_some_and(|b| items(a, b, field)))
        }
    }
}

/// Two items of a field's list, or values of its map.
pub fn items(a: &Value, b: &Value, field: &Field) -> bool {
    match field.ty {
        Type::Message(message) => messages(a, b, message),
        Type::String | Type::Bytes => a.as_str().unwrap_or("") == b.as_str().unwrap_or(""),
        Type::Bool => a.as_bool().unwrap_or(false) == b.as_bool().unwrap_or(false),
        Type::Int32 | Type::Int64 => a.as_i64().unwrap_or(0) == b.as_i64().unwrap_or(0),
        Type::Double => a.as_f64().unwrap_or(0.0) == b.as_f64().unwrap_or(0.0),
    }
}

/// Two values without a schema.
pub fn values(a: &Value, b: &Value) -> bool {
    a == b
}

/// An unset `IntOrString` is the number 0.
fn number(value: &Value) -> Value {
    if value.is_null() { Value::from(0) } else { value.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn zero_and_absent_differ_for_pointers_only() {
        let spec = table::message("k8s.io.api.core.v1.PodSpec").expect("PodSpec");
        for (a, b, same) in [
            (json!({}), json!({"nodeName": "", "hostNetwork": false, "containers": [], "nodeSelector": {}}), true),
            (json!({}), json!({"priority": 0}), false),
            (json!({}), json!({"securityContext": {}}), false),
            (json!({"nodeSelector": {"a": "b"}}), json!({"nodeSelector": {"a": "c"}}), false),
            (json!({"containers": [{}]}), json!({"containers": [{"resources": {}}]}), true),
            (json!({"overhead": {"cpu": "1"}}), json!({"overhead": {"cpu": "1000m"}}), true),
            (json!({"overhead": {"cpu": "1"}}), json!({"overhead": {"memory": "1"}}), false),
        ] {
            assert_eq!(messages(&a, &b, spec), same, "{a} {b}");
        }
    }

    #[test]
    fn times_and_ports_are_compared_by_meaning() {
        let meta = table::message("k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta").expect("ObjectMeta");
        let at = |text: &str| json!({"creationTimestamp": text});
        assert!(messages(&at("2024-01-01T00:00:00Z"), &at("2024-01-01T01:00:00+01:00"), meta));
        let port = table::message("k8s.io.api.core.v1.ServicePort").expect("ServicePort");
        assert!(messages(&json!({"targetPort": 0}), &json!({}), port));
        assert!(!messages(&json!({"targetPort": "0"}), &json!({"targetPort": 0}), port));
    }
}
