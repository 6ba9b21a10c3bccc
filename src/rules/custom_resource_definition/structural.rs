//! Whether a schema is structural: every value's type is said outside of `allOf`, `anyOf`, `oneOf` and `not`.

use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::value::{Map, Value};
use crate::rules::custom::schema::{Additional, Items, Schema};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// All that is not structural, sorted by its text. `raw` is what the schema was read from.
pub fn validate(schema: &Schema, raw: &Value, path: &Path<'_>) -> FieldErrors {
    let mut errs = FieldErrors::new();
    invariants(schema, Level::Root, Some(raw), path, &mut errs);
    complete(schema, Some(schema), path, path, &mut errs);
    let mut told: Vec<_> = errs.into_iter().map(|error| (error.to_string(), error)).collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    told.into_iter().map(|(_, error)| error).collect()
}

/// Why a schema cannot even be read as a structural one.
pub fn unreadable(schema: &Schema) -> Option<String> {
    // In this order; the other foreign keywords follow `$ref`.
    let order = ["id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions"];
    let says = |name: &&str| schema.foreign.contains(name) && !schema.hollow.contains(name);
    if let Some(name) = order.into_iter().find(says) {
        return Some(format!("OpenAPIV3Schema '{}' is not supported", if name == "$schema" { "schema" } else { name }));
    }
    let junctors = schema.not.as_deref().into_iter().chain(&schema.all_of).chain(&schema.any_of).chain(&schema.one_of);
    if let Some(why) = junctors.into_iter().find_map(unreadable) {
        return Some(why);
    }
    if schema.preserve == Some(false) {
        return Some("internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined".to_owned());
    }
    if matches!(&schema.items, Some(Items::Each(parts)) if !parts.is_empty()) {
        return Some("OpenAPIV3Schema 'items' must be a schema, but is an array".to_owned());
    }
    let parts = schema.item().into_iter().chain(schema.properties.values()).chain(schema.values());
    parts.into_iter().find_map(unreadable)
}

fn invariants(schema: &Schema, level: Level, raw: Option<&Value>, path: &Path<'_>, errs: &mut FieldErrors) {
    match schema.item() {
        None if schema.kind == "array" => errs.push(FieldError::required(&path.name("items"), "must be specified")),
        None => {}
        Some(of) => invariants(of, Level::Item, None, &path.name("items"), errs),
    }
    for (name, of) in schema.properties.iter() {
        invariants(of, Level::Field, None, &path.name("properties").key(name), errs);
    }
    let additional = path.name("additionalProperties");
    if schema.additional.is_some() && level == Level::Root {
        errs.push(FieldError::forbidden(&additional, "must not be used at the root"));
    }
    if let Some(of) = schema.values() {
        invariants(of, Level::Field, None, &additional, errs);
    }
    extensions(schema, path, errs);
    let first_all = schema.all_of.first().is_some_and(|first| first.any_of_int_or_string);
    junctors(schema, schema.any_of_int_or_string, first_all, level, path, errs);
    kind(schema, level, path, errs);
    if schema.embedded && schema.additional.is_some() {
        errs.push(FieldError::forbidden(&additional, "must not be used if x-kubernetes-embedded-resource is set"));
    }
    if level == Level::Root && !schema.kind.is_empty() && schema.kind != "object" {
        errs.push(FieldError::invalid(&path.name("type"), &schema.kind, "must be object at the root"));
    }
    metadata(schema, level, raw, path, errs);
    if schema.embedded && !schema.preserves() && schema.properties.is_empty() {
        let why =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errs.push(FieldError::required(&path.name("properties"), why));
    }
}

fn extensions(schema: &Schema, path: &Path<'_>, errs: &mut FieldErrors) {
    let extensions = [
        (schema.preserves(), "x-kubernetes-preserve-unknown-fields"),
        (schema.embedded, "x-kubernetes-embedded-resource"),
    ];
    for (_, name) in extensions.into_iter().filter(|(said, _)| *said && schema.int_or_string) {
        errs.push(FieldError::invalid(&path.name(name), true, "must be false if x-kubernetes-int-or-string is true"));
    }
}

fn kind(schema: &Schema, level: Level, path: &Path<'_>, errs: &mut FieldErrors) {
    let at = path.name("type");
    if schema.embedded && schema.kind != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        errs.push(match schema.kind.as_str() {
            "" => FieldError::required(&at, why),
            kind => FieldError::invalid(&at, kind, why),
        });
    } else if schema.kind.is_empty() && !schema.int_or_string && !schema.preserves() {
        let what = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errs.push(FieldError::required(&at, what));
    }
}

/// What any object has may only be restricted as far as every object keeps it.
fn metadata(schema: &Schema, level: Level, raw: Option<&Value>, path: &Path<'_>, errs: &mut FieldErrors) {
    let checks = level == Level::Root || schema.embedded;
    let properties = path.name("properties");
    for name in ["kind", "apiVersion"] {
        if let Some(of) = schema.properties.get(name).filter(|of| checks && of.kind != "string") {
            errs.push(FieldError::invalid(&properties.key(name).name("type"), &of.kind, "must be string"));
        }
    }
    let Some(of) = schema.properties.get("metadata") else { return };
    let at = properties.key("metadata");
    if checks && of.kind != "object" {
        errs.push(FieldError::invalid(&at.name("type"), &of.kind, "must be object"));
    }
    let raw = raw.and_then(|raw| raw.pointer("/properties/metadata")).and_then(Value::as_object);
    if level == Level::Root && raw.is_some_and(|raw| !only_names(raw)) {
        let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errs.push(FieldError::forbidden(&at, why));
    }
}

fn only_names(metadata: &Map) -> bool {
    let names = |of: &Value| of.as_object().is_some_and(|of| of.keys().all(|n| n == "name" || n == "generateName"));
    metadata.iter().all(|(name, value)| match name.as_str() {
        "type" | "default" => true,
        "properties" => names(value),
        _ => false,
    })
}

fn junctors(
    schema: &Schema,
    skip_any: bool,
    skip_first_all: bool,
    level: Level,
    path: &Path<'_>,
    errs: &mut FieldErrors,
) {
    let listed = |name: &str, parts: &[Schema], errs: &mut FieldErrors| {
        for (at, part) in parts.iter().enumerate() {
            let skip = name == "allOf" && at == 0 && skip_first_all;
            nested(part, skip, level, &path.name(name).index(at), errs);
        }
    };
    if !skip_any {
        listed("anyOf", &schema.any_of, errs);
    }
    listed("allOf", &schema.all_of, errs);
    listed("oneOf", &schema.one_of, errs);
    if let Some(not) = &schema.not {
        nested(not, false, level, &path.name("not"), errs);
    }
    if let Some(pattern) = &schema.pattern
        && let Some(why) = pattern.defect()
    {
        let why = format!("must be a valid regular expression, but isn't: {why}");
        errs.push(FieldError::invalid(&path.name("pattern"), &pattern.text, why));
    }
}

/// What stands in `allOf` and its kin only restricts values.
fn nested(schema: &Schema, skip_any: bool, level: Level, path: &Path<'_>, errs: &mut FieldErrors) {
    junctors(schema, skip_any, false, level, path, errs);
    if let Some(of) = schema.item() {
        nested(of, false, level, &path.name("items"), errs);
    }
    for (name, of) in schema.properties.iter() {
        nested(of, false, Level::Field, &path.name("properties").key(name), errs);
    }
    let adds = !matches!(schema.additional, None | Some(Additional::Any(false)));
    for (said, name, what) in [
        (!schema.kind.is_empty(), "type", "empty"),
        (adds, "additionalProperties", "undefined"),
        (schema.default.is_some(), "default", "undefined"),
        (schema.title, "title", "empty"),
        (schema.description, "description", "empty"),
        (schema.nullable, "nullable", "false"),
        (schema.preserves(), "x-kubernetes-preserve-unknown-fields", "false"),
        (schema.embedded, "x-kubernetes-embedded-resource", "false"),
        (schema.int_or_string, "x-kubernetes-int-or-string", "false"),
        (!schema.list_keys.is_empty(), "x-kubernetes-list-map-keys", "empty"),
        (schema.list_type.is_some(), "x-kubernetes-list-type", "undefined"),
        (schema.map_type.is_some(), "x-kubernetes-map-type", "undefined"),
        (!schema.rules.is_empty(), "x-kubernetes-validations", "empty"),
    ] {
        if said {
            errs.push(FieldError::forbidden(&path.name(name), format!("must be {what} to be structural")));
        }
    }
    if schema.properties.contains_key("metadata") {
        let at = path.name("properties");
        errs.push(FieldError::forbidden(&at.key("metadata"), "must not be specified in a nested context"));
    }
}

/// Everything that is restricted is specified.
fn complete(restricted: &Schema, by: Option<&Schema>, at: &Path<'_>, place: &Path<'_>, errs: &mut FieldErrors) {
    if let Some(not) = &restricted.not {
        complete_nested(not, by, at, &place.name("not"), errs);
    }
    for (name, parts) in [("allOf", &restricted.all_of), ("anyOf", &restricted.any_of), ("oneOf", &restricted.one_of)] {
        for (index, part) in parts.iter().enumerate() {
            complete_nested(part, by, at, &place.name(name).index(index), errs);
        }
    }
}

fn complete_nested(nested: &Schema, by: Option<&Schema>, at: &Path<'_>, place: &Path<'_>, errs: &mut FieldErrors) {
    let Some(by) = by else {
        errs.push(FieldError::required(at, format!("because it is defined in {place}")));
        return;
    };
    complete(nested, Some(by), at, place, errs);
    if let Some(of) = nested.item() {
        complete_nested(of, by.item(), &at.name("items"), &place.name("items"), errs);
    }
    for (name, of) in nested.properties.iter() {
        let (at, place) = (at.name("properties"), place.name("properties"));
        complete_nested(of, by.properties.get(name), &at.key(name), &place.key(name), errs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn a_foreign_keyword_that_says_nothing_can_be_read() {
        let why = |raw: Value| unreadable(&Schema::read(&raw)).unwrap_or_default();
        assert_eq!(why(json!({"$ref": "#/a"})), "OpenAPIV3Schema '$ref' is not supported");
        assert_eq!(why(json!({"dependencies": {"a": {}}})), "OpenAPIV3Schema 'dependencies' is not supported");
        assert_eq!(why(json!({"$ref": "", "dependencies": {}})), "");
    }
}
