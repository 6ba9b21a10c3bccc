//! What a schema makes of a value before anyone looks at it: unknown fields go, nulls go, defaults come.

use super::schema::{Additional, Schema};
use crate::model::value::{Map, Value};

/// What every object has, declared or not.
pub const OF_ANY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops what the schema of a custom object does not declare; gives the paths of what went, sorted. Metadata is left
/// to [`super::embedded`].
pub fn prune_object(object: &mut Value, schema: &Schema) -> Vec<String> {
    let mut unknown = Unknown::default();
    prune(object, Some(schema), true, &mut unknown);
    unknown.paths.sort_unstable();
    unknown.paths
}

/// Drops what the schema does not declare of a value within an object.
pub fn prune_value(value: &mut Value, schema: &Schema, whole: bool) {
    prune(value, Some(schema), whole, &mut Unknown::default());
}

/// Fields that went.
#[derive(Default)]
struct Unknown {
    path: String,
    paths: Vec<String>,
}

impl Unknown {
    fn within(&mut self, step: impl FnOnce(&mut String), work: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        step(&mut self.path);
        work(self);
        self.path.truncate(length);
    }

    fn note(&mut self, name: &str) {
        let mut path = self.path.clone();
        push_name(&mut path, name);
        self.paths.push(path);
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

fn prune(value: &mut Value, schema: Option<&Schema>, whole: bool, unknown: &mut Unknown) {
    if let Some(schema) = schema.filter(|schema| schema.preserves()) {
        return keep(value, schema, whole, unknown);
    }
    match value {
        Value::Object(fields) => prune_fields(fields, schema, whole, unknown),
        Value::Array(items) => {
            let of = schema.and_then(Schema::item);
            for (at, item) in items.iter_mut().enumerate() {
                let step = |path: &mut String| path.push_str(&format!("[{at}]"));
                unknown.within(step, |unknown| prune(item, of, is_whole(of), unknown));
            }
        }
        _ => {}
    }
}

fn prune_fields(fields: &mut Map, schema: Option<&Schema>, whole: bool, unknown: &mut Unknown) {
    let Some(schema) = schema else {
        fields.keys().for_each(|name| unknown.note(name));
        return fields.clear();
    };
    fields.retain(|name, value| {
        if whole && OF_ANY_OBJECT.contains(&name.as_str()) {
            return true;
        }
        let Some(of) = known(schema, name) else {
            if !OF_ANY_OBJECT.contains(&name.as_str()) || !unknown.path.is_empty() {
                unknown.note(name);
            }
            return false;
        };
        unknown.within(|path| push_name(path, name), |unknown| prune(value, of, is_whole(of), unknown));
        true
    });
}

/// Where unknown fields stay, known ones are pruned within.
fn keep(value: &mut Value, schema: &Schema, whole: bool, unknown: &mut Unknown) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if whole && OF_ANY_OBJECT.contains(&name.as_str()) {
                    continue;
                }
                if let Some(of) = known(schema, name) {
                    unknown.within(|path| push_name(path, name), |unknown| prune(value, of, is_whole(of), unknown));
                }
            }
        }
        Value::Array(items) => {
            let Some(of) = schema.item() else { return };
            for (at, item) in items.iter_mut().enumerate() {
                let step = |path: &mut String| path.push_str(&format!("[{at}]"));
                unknown.within(step, |unknown| keep(item, of, of.embedded, unknown));
            }
        }
        _ => {}
    }
}

/// The schema of a field that may be there, if it has any.
fn known<'s>(schema: &'s Schema, name: &str) -> Option<Option<&'s Schema>> {
    match (schema.properties.get(name), &schema.additional) {
        (Some(of), _) => Some(Some(of)),
        (None, Some(Additional::Schema(of))) => Some(Some(of)),
        (None, Some(Additional::Any(_))) => Some(None),
        (None, None) => None,
    }
}

fn is_whole(schema: Option<&Schema>) -> bool {
    schema.is_some_and(|schema| schema.embedded)
}

/// Drops nulls that no schema allows and no default replaces.
pub fn drop_nulls(value: &mut Value, schema: Option<&Schema>) {
    match value {
        Value::Object(fields) => fields.retain(|name, value| {
            let of = schema.and_then(|schema| schema.field(name));
            if value.is_null() && of.is_some_and(|of| !of.nullable && of.default.is_none()) {
                return false;
            }
            drop_nulls(value, of);
            true
        }),
        Value::Array(items) => {
            let of = schema.and_then(Schema::item);
            items.iter_mut().for_each(|item| drop_nulls(item, of));
        }
        _ => {}
    }
}

/// Fills in defaults, also in place of nulls that may not be.
pub fn fill(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => {
            for (name, of) in schema.properties.iter() {
                let Some(default) = &of.default else { continue };
                if fields.get(name).is_none_or(|value| value.is_null() && !of.nullable) {
                    fields.insert(name.into(), default.clone());
                }
            }
            for (name, value) in fields {
                if let Some(of) = schema.properties.get(name.as_str()) {
                    fill(value, of);
                } else if let Some(of) = schema.values() {
                    fill_null(value, of);
                    fill(value, of);
                }
            }
        }
        Value::Array(items) => {
            let Some(of) = schema.item() else { return };
            for item in items {
                fill_null(item, of);
                fill(item, of);
            }
        }
        _ => {}
    }
}

fn fill_null(value: &mut Value, schema: &Schema) {
    if value.is_null() && !schema.nullable {
        *value = schema.default.clone().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn unknown_fields_go_and_are_told() {
        let schema = Schema::read(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "a": {"type": "string"},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"k": {}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {"known": {"type": "object"}}},
                "list": {"type": "array", "items": {"type": "object", "properties": {"x": {}}}},
            }},
        }}));
        let mut object = json!({"kind": "K", "metadata": {"name": "n"}, "extra": 1, "spec": {
            "a": "x", "b": 1, "map": {"m": {"k": 1, "l": 2}}, "free": {"any": {"thing": 1}, "known": {"no": 1}},
            "list": [{"x": 1}, {"y": 2}]}});
        let unknown = prune_object(&mut object, &schema);
        assert_eq!(unknown, ["extra", "spec.b", "spec.free.known.no", "spec.list[1].y", "spec.map.m.l"]);
        assert_eq!(
            object,
            json!({"kind": "K", "metadata": {"name": "n"}, "spec": {
                "a": "x", "map": {"m": {"k": 1}}, "free": {"any": {"thing": 1}, "known": {}}, "list": [{"x": 1}, {}]}})
        );
    }

    #[test]
    fn defaults_come_in_place_of_what_is_absent_or_may_not_be_null() {
        let schema = Schema::read(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "default": {}, "properties": {
                "a": {"type": "integer", "default": 1}, "n": {"type": "integer", "default": 2, "nullable": true},
                "plain": {"type": "string"}}},
        }}));
        let mut object = json!({});
        fill(&mut object, &schema);
        assert_eq!(object, json!({"spec": {"a": 1, "n": 2}}));
        let mut object = json!({"spec": {"a": null, "n": null, "plain": null}});
        fill(&mut object, &schema);
        drop_nulls(&mut object, Some(&schema));
        assert_eq!(object, json!({"spec": {"a": 1, "n": null}}));
    }
}
