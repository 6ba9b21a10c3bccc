//! A write's pure steps, whatever the kind: prepare, then say all that is wrong, in stock's order.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::kind::{self, Cx, Generation, Part, Rules};
use crate::model::field::FieldErrors;
use crate::model::object;
use crate::model::value::{Map, Text, Value};
use crate::schema::table::Message;

/// All that is wrong with a prepared new object. What the URL needs of its name is asked only when the kind is content.
pub fn validate_create(
    cx: &Cx,
    rules: &Rules,
    object: &Value,
    message: Option<&'static Message>,
    namespaced: bool,
) -> FieldErrors {
    let (at, mut errors) = (At::new(object, message), FieldErrors::new());
    (rules.validate)(cx, &at, &mut errors);
    if errors.is_empty() {
        object_meta(&at.at("metadata"), any_name(namespaced), &mut errors);
    }
    errors
}

/// All that is wrong with a prepared change of the object, or of a part of it.
pub fn validate_update(
    cx: &Cx,
    rules: &Rules,
    part: Option<&Part>,
    (new, old): (&Value, &Value),
    message: Option<&'static Message>,
    namespaced: bool,
) -> FieldErrors {
    let (new, old, mut errors) = (At::new(new, message), At::new(old, message), FieldErrors::new());
    object_meta(&new.at("metadata"), any_name(namespaced), &mut errors);
    object_meta_update(&new.at("metadata"), &old.at("metadata"), false, &mut errors);
    match part {
        Some(part) => (part.validate)(cx, &new, &old, &mut errors),
        None => (rules.validate_update)(cx, &new, &old, &mut errors),
    }
    errors
}

fn any_name(namespaced: bool) -> MetaRules {
    MetaRules { namespaced, name: NameRule::PathSegment, kube_finalizers: false }
}

/// Prepares a new object: status, generation, the kind's own preparation.
pub fn prepare_create(cx: &Cx, rules: &Rules, object: &mut Value) {
    if rules.status == kind::Status::Separate
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    if matches!(rules.generation, Generation::Fields(_)) {
        object::set_meta(object, "generation", 1.into());
    }
    (rules.prepare_create)(cx, object);
}

/// Prepares a change of the object itself.
pub fn prepare_update(cx: &Cx, rules: &Rules, new: &mut Value, old: &Value) {
    keep_system_fields(new, old);
    if rules.status == kind::Status::Separate {
        keep(new, old, "status");
    }
    (rules.prepare_update)(cx, new, old);
    if let Generation::Fields(fields) = rules.generation {
        let grown = i64::from(fields.iter().any(|field| differs(new.get(field), old.get(field))));
        if grown > 0 {
            object::set_meta(new, "generation", (object::generation(old) + grown).into());
        }
    }
}

/// Whether two values say different things; an empty list says what none says.
pub fn differs(a: Option<&Value>, b: Option<&Value>) -> bool {
    let says_nothing = |v: Option<&Value>| v.is_none_or(|v| v.is_null() || v.as_array().is_some_and(Vec::is_empty));
    match (a, b) {
        _ if a == b => false,
        _ if says_nothing(a) && says_nothing(b) => false,
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            a.iter().any(|(name, value)| differs(Some(value), b.get(name)))
                || b.iter().any(|(name, value)| !a.contains_key(name) && differs(None, Some(value)))
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() != b.len() || a.iter().zip(b).any(|(a, b)| differs(Some(a), Some(b)))
        }
        _ => true,
    }
}

/// Prepares a change of a part: only what the part writes comes from the request.
pub fn prepare_part(cx: &Cx, part: &Part, new: &mut Value, old: &Value) {
    keep_system_fields(new, old);
    if !part.writes.is_empty() {
        let fields = old.as_object().into_iter().chain(new.as_object()).flat_map(Map::keys);
        let kept: Vec<Text> =
            fields.filter(|name| *name != "metadata" && !part.writes.contains(&name.as_str())).cloned().collect();
        for name in kept {
            keep(new, old, &name);
        }
    }
    (part.prepare)(cx, new, old);
}

/// Sets a field of the object to what it was.
pub fn keep(new: &mut Value, old: &Value, field: &str) {
    let Some(fields) = new.as_object_mut() else { return };
    match old.get(field) {
        Some(value) => {
            fields.insert(field.into(), value.clone());
        }
        None => {
            fields.remove(field);
        }
    }
}

/// Keeps what a writer of a status may not change of the metadata.
pub fn keep_metadata(new: &mut Value, old: &Value) {
    for field in ["deletionTimestamp", "labels", "annotations", "finalizers", "ownerReferences"] {
        let before = object::metadata(old).and_then(|metadata| metadata.get(field));
        object::set_meta(new, field, before.cloned().unwrap_or(Value::Null));
    }
}

/// What no update changes: generation (the strategy may then raise it), creation, and a deletion once begun.
pub fn keep_system_fields(new: &mut Value, old: &Value) {
    let before = |field: &str| object::metadata(old).and_then(|m| m.get(field)).cloned().unwrap_or(Value::Null);
    object::set_meta(new, "generation", before("generation"));
    object::set_meta(new, "creationTimestamp", before("creationTimestamp"));
    if object::uid(new).is_empty() {
        object::set_meta(new, "uid", before("uid"));
    }
    if object::is_deleting(old) {
        object::set_meta(new, "deletionTimestamp", before("deletionTimestamp"));
    }
    let has_grace = object::metadata(new).is_some_and(|m| m.contains_key("deletionGracePeriodSeconds"));
    if !has_grace {
        object::set_meta(new, "deletionGracePeriodSeconds", before("deletionGracePeriodSeconds"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn an_empty_list_is_no_change() {
        let differ = |a: Value, b: Value| differs(Some(&a), Some(&b));
        assert!(!differ(json!({"a": {"b": []}, "c": [1]}), json!({"a": {}, "c": [1], "d": []})));
        assert!(differ(json!({"a": {}}), json!({})));
        assert!(differ(json!({"a": [{}, {"b": [1]}]}), json!({"a": [{}, {}]})));
    }

    #[test]
    fn an_update_keeps_what_it_cannot_change() {
        let old = json!({"metadata": {"uid": "u", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z",
            "deletionTimestamp": "2026-01-02T00:00:00Z", "deletionGracePeriodSeconds": 0}});
        let mut new =
            json!({"metadata": {"generation": 9, "creationTimestamp": "2020-01-01T00:00:00Z", "labels": {"a": "b"}}});
        keep_system_fields(&mut new, &old);
        let mut expected = old.clone();
        expected["metadata"]["labels"] = json!({"a": "b"});
        assert_eq!(new, expected);
    }
}
