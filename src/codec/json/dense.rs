//! A sparse value to the JSON that clients see, as a tree: zero fields as stock shows them. `write` does the same
//! straight from the bytes; here starts what works on the tree: strategic merge patches and server-side apply.

use super::decode::{is_zero, zero};
use crate::model::value::{Map, Text, Value};
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// The object with all that JSON shows of it, without `apiVersion` and `kind` unless it has them.
pub fn expand(value: &Value, message: &'static Message) -> Value {
    let mut out = content(Some(value), message);
    if let (true, Value::Object(out)) = (message.object, &mut out) {
        for name in ["apiVersion", "kind"] {
            if let Some(text) = value.get(name) {
                out.insert(name.into(), text.clone());
            }
        }
    }
    out
}

/// What the sparse value holds, if JSON shows it.
pub fn shown<'v>(field: &Field, value: Option<&'v Value>) -> Option<&'v Value> {
    let value = value?;
    let hidden = match field.shape {
        _ if field.always => false,
        Shape::One => !field.pointer && (!field.is_value() || field.omit_zero) && is_zero(value, field.ty),
        Shape::List => value.as_array().is_none_or(Vec::is_empty),
        Shape::Map => value.as_object().is_none_or(Map::is_empty),
    };
    if hidden { None } else { Some(value) }
}

fn content(value: Option<&Value>, message: &'static Message) -> Value {
    match message.json {
        Json::Object => {
            let mut out = Map::new();
            fields(value.and_then(Value::as_object), message, &mut out);
            Value::Object(out)
        }
        _ => match value {
            Some(value) => value.clone(),
            None if message.json == Json::Duration => "0s".into(),
            None => zero(Type::Message(message)),
        },
    }
}

fn fields(map: Option<&Map>, message: &'static Message, out: &mut Map) {
    for field in message.fields {
        if let (true, Some(inner)) = (field.inline, field.message()) {
            fields(map, inner, out);
            continue;
        }
        let value = shown(field, map.and_then(|map| map.get(field.name)));
        if value.is_some() || field.shown_unset {
            out.insert(Text::const_new(field.name), one(value, field));
        }
    }
}

/// The field's JSON, which is shown.
fn one(value: Option<&Value>, field: &'static Field) -> Value {
    match (field.shape, value) {
        (Shape::One, value) if field.is_value() => item(value, field),
        (Shape::One, Some(value)) => item(Some(value), field),
        (Shape::List, Some(Value::Array(items))) => items.iter().map(|value| item(Some(value), field)).collect(),
        (Shape::Map, Some(Value::Object(map))) => {
            map.iter().map(|(key, value)| (key.clone(), item(Some(value), field))).collect()
        }
        (_, Some(other)) => other.clone(),
        (Shape::One, None) if !field.pointer && !matches!(field.ty, Type::Bytes) => zero(field.ty),
        (_, None) => Value::Null,
    }
}

fn item(value: Option<&Value>, field: &'static Field) -> Value {
    match (field.ty, value) {
        (_, Some(Value::Null)) if field.item_pointer => Value::Null,
        (Type::Message(message), value) => {
            let mut out = content(value, message);
            if let (Some((api_version, kind)), Value::Object(out)) = (field.item_kind, &mut out) {
                out.insert("apiVersion".into(), api_version.into());
                out.insert("kind".into(), kind.into());
            }
            out
        }
        (_, Some(value)) => value.clone(),
        (ty, None) => zero(ty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::generate;
    use crate::codec::json::{decode, parse, write};
    use crate::codec::protobuf::encode;
    use crate::schema::table::{self, MESSAGES};
    use proptest::prelude::*;

    use crate::model::value::json;

    #[test]
    fn shows_what_clients_see() {
        let message = table::message("k8s.io.api.apps.v1.Deployment").expect("Deployment");
        let sparse = json!({"metadata": {"name": "d", "labels": {}}, "spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}});
        let expected = json!({
            "metadata": {"name": "d"},
            "spec": {
                "selector": null, "strategy": {},
                "template": {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {}}]}},
            },
            "status": {},
        });
        assert_eq!(expand(&sparse, message), expected);
    }

    fn objects() -> impl Strategy<Value = (&'static table::Message, Value)> {
        let all: Vec<_> = MESSAGES.iter().copied().filter(|m| m.object).collect();
        proptest::sample::select(all).prop_flat_map(|m| generate::message(m).prop_map(move |v| (m, v)))
    }

    proptest! {
        #[test]
        fn agrees_with_the_transcoder((message, value) in objects()) {
            let bytes = encode::encode(&value, message).expect("a checked value");
            let mut text = Vec::new();
            write::object(&mut text, &bytes, message, "", "").expect("well-formed");
            let seen = parse::parse(&text).expect("JSON");
            let sparse = decode::decode(&text, message).expect("own JSON").value;
            prop_assert_eq!(expand(&sparse, message).opened(), seen);
        }
    }
}
