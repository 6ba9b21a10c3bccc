//! An object in JSON: how its metadata is read and written.

use crate::model::value::{Map, Value};

/// The object's metadata; empty when it has none.
pub fn metadata(object: &Value) -> Option<&Map> {
    object.get("metadata")?.as_object()
}

/// The object's metadata to write to; made when it has none. `None` when the object is no JSON object.
pub fn metadata_mut(object: &mut Value) -> Option<&mut Map> {
    let slot = object.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// A text of the metadata, empty when unset.
pub fn meta_str<'a>(object: &'a Value, field: &str) -> &'a str {
    metadata(object).and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or("")
}

pub fn name(object: &Value) -> &str {
    meta_str(object, "name")
}

pub fn namespace(object: &Value) -> &str {
    meta_str(object, "namespace")
}

pub fn uid(object: &Value) -> &str {
    meta_str(object, "uid")
}

pub fn resource_version(object: &Value) -> &str {
    meta_str(object, "resourceVersion")
}

pub fn is_deleting(object: &Value) -> bool {
    !meta_str(object, "deletionTimestamp").is_empty()
}

/// `metadata.generation`, 0 when unset.
pub fn generation(object: &Value) -> i64 {
    metadata(object).and_then(|m| m.get("generation")).and_then(Value::as_i64).unwrap_or(0)
}

pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    metadata(object)
        .and_then(|m| m.get("finalizers"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// The value of a label, `None` when it has no such label.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    metadata(object)?.get("labels")?.get(key)?.as_str()
}

pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    metadata(object)?.get("annotations")?.get(key)?.as_str()
}

/// Sets a field of the metadata; `Value::Null` removes it.
pub fn set_meta(object: &mut Value, field: &str, value: Value) {
    let Some(meta) = metadata_mut(object) else { return };
    if value.is_null() {
        meta.remove(field);
    } else {
        meta.insert(field.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn metadata_is_read_and_written() {
        let mut object = json!({"metadata": {"name": "a", "labels": {"x": "1"}, "finalizers": ["f"]}});
        assert_eq!((name(&object), namespace(&object), label(&object, "x")), ("a", "", Some("1")));
        assert_eq!(finalizers(&object).collect::<Vec<_>>(), ["f"]);
        set_meta(&mut object, "uid", "u".into());
        set_meta(&mut object, "finalizers", Value::Null);
        assert_eq!(object, json!({"metadata": {"name": "a", "labels": {"x": "1"}, "uid": "u"}}));
    }
}
