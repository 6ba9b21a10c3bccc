//! The type of a custom resource as it is published: the schema of its CustomResourceDefinition, with what any object has
//! put in. Version 2 knows less than the schemas may say, so there much is left out.

use super::definition::{self, Dialect};
use super::describe::Descriptions;
use super::operation::group_version_kind;
use super::source::Custom;
use crate::model::names::GroupVersionKind;
use crate::model::value::{Map, Value, json};
use crate::schema::resource::Resource;
use crate::schema::table::message;

/// How deep a schema is followed; what is deeper is published as anything.
const MAX_DEPTH: usize = 128;

/// What a node of a schema may say of itself; any other member is dropped.
const PLAIN: [&str; 28] = [
    "type",
    "title",
    "description",
    "default",
    "example",
    "externalDocs",
    "nullable",
    "format",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "multipleOf",
    "enum",
    "maxProperties",
    "minProperties",
    "required",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
];
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// The name of a custom type's definition: the group's parts turned around.
pub fn name(kind: &GroupVersionKind, short: &str) -> String {
    let group: Vec<&str> = kind.group.split('.').rev().collect();
    format!("{}.{}.{short}", group.join("."), kind.version)
}

/// Writes the definitions of custom resources for one document.
pub struct Publisher<'a> {
    pub dialect: Dialect,
    pub texts: &'a Descriptions,
}

impl Publisher<'_> {
    /// Of the resource's own kind.
    pub fn object(&self, resource: &Resource, custom: &Custom) -> Value {
        let bare = || json!({"type": "object"});
        let loose = |schema: &Value| custom.preserve_unknown || is(schema, PRESERVE);
        let mut schema = match &custom.schema {
            None => bare(),
            Some(schema) if self.dialect == Dialect::V2 && loose(schema) => bare(),
            Some(schema) => {
                let mut schema = self.node(schema, MAX_DEPTH);
                self.embed(&mut schema);
                schema
            }
        };
        finish(&mut schema, resource, &resource.kind.kind, custom);
        schema
    }

    /// Of the list of it.
    pub fn list(&self, resource: &Resource, custom: &Custom) -> Value {
        let kind = &resource.kind;
        let item = format!("{}{}", self.dialect.prefix(), name(kind, &kind.kind));
        let conventions = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";
        let about = format!("List of {}. More info: {conventions}", resource.name.resource);
        let mut schema = json!({
            "type": "object",
            "description": format!("{} is a list of {}", resource.list_kind, kind.kind),
            "required": ["items"],
            "properties": {
                "items": {"type": "array", "items": {"$ref": item}, "description": about},
                "metadata": self.metadata("ListMeta"),
            },
        });
        self.type_meta(&mut schema);
        finish(&mut schema, resource, &resource.list_kind, custom);
        schema
    }

    /// A node with what it may say, and the same below.
    fn node(&self, schema: &Value, depth: usize) -> Value {
        let Some(members) = schema.as_object().filter(|_| depth > 0) else { return json!({}) };
        let mut out: Map = PLAIN.iter().filter_map(|key| copied(members, key)).collect();
        for key in [INT_OR_STRING, PRESERVE] {
            if is(schema, key) {
                out.insert(key.into(), true.into());
            }
        }
        if let Some(items) = members.get("items") {
            out.insert("items".into(), self.node(items, depth - 1));
        }
        if let Some(Value::Object(properties)) = members.get("properties") {
            let each = properties.iter().map(|(name, schema)| (name.clone(), self.node(schema, depth - 1)));
            out.insert("properties".into(), Value::Object(each.collect()));
        }
        match members.get("additionalProperties") {
            Some(Value::Bool(allowed)) => out.insert("additionalProperties".into(), (*allowed).into()),
            Some(values) => out.insert("additionalProperties".into(), self.node(values, depth - 1)),
            None => None,
        };
        match self.dialect {
            Dialect::V2 => reduce(&mut out, members),
            Dialect::V3 => junctors(&mut out, members),
        }
        let mut out = Value::Object(out);
        if is(schema, "x-kubernetes-embedded-resource") {
            self.embed_unless_loose(&mut out);
        }
        out
    }

    /// In version 2 clients would refuse what they do not know if any field were named.
    fn embed_unless_loose(&self, schema: &mut Value) {
        if self.dialect == Dialect::V2 && is(schema, PRESERVE) {
            return;
        }
        self.embed(schema);
        let required = schema["required"].as_array_mut();
        let mut required = required.map(std::mem::take).unwrap_or_default();
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|known| known == name) {
                required.push(name.into());
            }
        }
        schema["required"] = required.into();
    }

    /// Gives a schema what any object has.
    fn embed(&self, schema: &mut Value) {
        schema["properties"]["metadata"] = self.metadata("ObjectMeta");
        self.type_meta(schema);
    }

    fn type_meta(&self, schema: &mut Value) {
        for field in ["apiVersion", "kind"] {
            let mut property = json!({"type": "string"});
            if let Some(text) = self.texts.type_meta(field) {
                property["description"] = text.into();
            }
            schema["properties"][field] = property;
        }
    }

    /// The texts are those of an object and a list that have no say of their own.
    fn metadata(&self, kind: &str) -> Value {
        let describing =
            if kind == "ListMeta" { "io.k8s.apimachinery.pkg.apis.meta.v1.Status" } else { "io.k8s.api.core.v1.Pod" };
        let definition = message(&format!("k8s.io.apimachinery.pkg.apis.meta.v1.{kind}")).map(definition::name);
        let reference = format!("{}{}", self.dialect.prefix(), definition.unwrap_or_default());
        let mut schema = match self.dialect {
            Dialect::V2 => json!({"$ref": reference}),
            Dialect::V3 => json!({"allOf": [{"$ref": reference}]}),
        };
        if let Some(text) = self.texts.of(describing).field("metadata") {
            schema["description"] = text.into();
        }
        schema
    }
}

fn finish(schema: &mut Value, resource: &Resource, kind: &str, custom: &Custom) {
    let kind = resource.kind.group_version().with_kind(kind);
    schema["x-kubernetes-group-version-kind"] = json!([group_version_kind(&kind)]);
    if !custom.selectable.is_empty() {
        let one = |path: &String| json!({"fieldPath": path.strip_prefix('.').unwrap_or(path)});
        schema["x-kubernetes-selectable-fields"] = custom.selectable.iter().map(one).collect();
    }
}

fn is(schema: &Value, key: &str) -> bool {
    schema.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// A member that says something: false, null and empty texts and lists say nothing.
fn copied(members: &Map, key: &str) -> Option<(String, Value)> {
    let value = members.get(key)?;
    let silent = match value {
        Value::Null | Value::Bool(false) => key != "default" && key != "example",
        Value::String(text) => text.is_empty() && key != "default" && key != "example",
        Value::Array(list) => list.is_empty() && key != "default" && key != "example",
        _ => false,
    };
    if silent { None } else { Some((key.into(), value.clone())) }
}

/// Version 3: `allOf` and its like, and what a number or a string means.
fn junctors(out: &mut Map, members: &Map) {
    for key in ["allOf", "anyOf", "oneOf", "not"] {
        if let Some(value) = members.get(key).filter(|value| value.as_array().is_none_or(|list| !list.is_empty())) {
            out.insert(key.into(), value.clone());
        }
    }
    if !out.contains_key(INT_OR_STRING) {
        return;
    }
    let either = json!([{"type": "integer"}, {"type": "string"}]);
    let said = |value: Option<&Value>| value == Some(&either);
    let first_of_all = out.get("allOf").and_then(|all| all.get(0)).and_then(|first| first.get("anyOf"));
    if said(out.get("anyOf")) || said(first_of_all) {
        return;
    }
    if !out.contains_key("anyOf") {
        out.insert("anyOf".into(), either);
        return;
    }
    let mut all = vec![json!({"anyOf": either})];
    if let Some(Value::Array(rest)) = out.remove("allOf") {
        all.extend(rest);
    }
    out.insert("allOf".into(), all.into());
}

/// Version 2: clients of it break on types that may be null, and on named fields where unknown ones are kept.
fn reduce(out: &mut Map, members: &Map) {
    let nullable = |schema: &Value| is(schema, "nullable");
    let drop = |out: &mut Map, keys: &[&str]| keys.iter().for_each(|key| drop(out.remove(key)));
    drop(out, &["default"]);
    if out.contains_key("nullable") {
        drop(out, &["nullable", "type", "items", "properties"]);
    }
    let preserves = out.contains_key(PRESERVE);
    if preserves {
        drop(out, &["items", "properties"]);
    }
    let ty = out.get("type").and_then(Value::as_str).unwrap_or("");
    if (ty == "array" && !out.contains_key("items")) || (ty == "object" && preserves) {
        drop(out, &["type"]);
    }
    if members.get("additionalProperties").is_some_and(nullable) {
        drop(out, &["required"]);
    }
    // A field that is dropped for its unknown ones is required still; one that may be null is not.
    let fields = if out.contains_key("properties") { members.get("properties") } else { None };
    let required = out.get_mut("required").and_then(Value::as_array_mut);
    if let (Some(Value::Object(fields)), Some(required)) = (fields, required) {
        required.retain(|name| !name.as_str().and_then(|name| fields.get(name)).is_some_and(nullable));
        if required.is_empty() {
            drop(out, &["required"]);
        }
    }
}
