//! What a schema says of lists and maps beyond their types: `x-kubernetes-list-type` and its kin.

use std::collections::HashSet;

use super::options::Options;
use crate::model::field::{Bad, FieldError, FieldErrors, Path};
use crate::model::gotext;
use crate::model::value::Value;
use crate::rules::custom::schema::{Items, Schema};

const LIST_TYPE: &str = "x-kubernetes-list-type";
const LIST_KEYS: &str = "x-kubernetes-list-map-keys";
const MAP_TYPE: &str = "x-kubernetes-map-type";

/// All that is wrong with it.
pub fn validate(schema: &Schema, options: &Options, path: &Path<'_>, errs: &mut FieldErrors) {
    if schema.preserve == Some(false) {
        let at = path.name("x-kubernetes-preserve-unknown-fields");
        errs.push(FieldError::invalid(&at, false, "must be true or undefined"));
    }
    if let Some(map_type) = &schema.map_type {
        must_be(schema, "object", MAP_TYPE, path, errs);
        if !matches!(map_type.as_str(), "atomic" | "granular") {
            errs.push(FieldError::not_supported(&path.name(MAP_TYPE), map_type, &["atomic", "granular"]));
        }
    }
    let list_type = schema.list_type.as_deref();
    if list_type.is_some() && schema.kind != "array" {
        must_be(schema, "array", LIST_TYPE, path, errs);
    } else if options.atomic_sets && list_type == Some("set") {
        atomic_items(schema, path, errs);
    }
    if let Some(list_type) = list_type.filter(|of| !matches!(*of, "atomic" | "set" | "map")) {
        errs.push(FieldError::not_supported(&path.name(LIST_TYPE), list_type, &["atomic", "set", "map"]));
    }
    if !schema.list_keys.is_empty() && list_type != Some("map") {
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        let at = path.name(LIST_TYPE);
        errs.push(match list_type {
            None => FieldError::required(&at, why),
            Some(list_type) => FieldError::invalid(&at, list_type, why),
        });
    }
    if list_type == Some("map") {
        keys(schema, path, errs);
    }
    if options.strict_keys {
        let mut found = items_of_keys(schema, path);
        errs.append(&mut found);
    }
}

fn must_be(schema: &Schema, kind: &str, because: &str, path: &Path<'_>, errs: &mut FieldErrors) {
    let why = format!("must be {kind} if {because} is specified");
    let at = path.name("type");
    match schema.kind.as_str() {
        known if known == kind => {}
        "" => errs.push(FieldError::required(&at, why)),
        other => errs.push(FieldError::invalid(&at, other, why)),
    }
}

/// Of a set, items are compared whole.
fn atomic_items(schema: &Schema, path: &Path<'_>, errs: &mut FieldErrors) {
    if let Some((name, list_type)) = granular_items(schema) {
        let value = list_type.map_or_else(|| Bad::plain("null"), |list_type| Bad::plain(gotext::quote(list_type)));
        let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
        errs.push(FieldError::invalid(&path.name("items").name(name), value, why));
    }
}

/// What of the items of a set is not atomic, and their list type.
pub fn granular_items(schema: &Schema) -> Option<(&'static str, Option<&str>)> {
    let of = schema.item()?;
    let list_type = of.list_type.as_deref();
    match of.kind.as_str() {
        "array" if !matches!(list_type, None | Some("atomic")) => Some((LIST_TYPE, list_type)),
        "object" if of.map_type.as_deref() != Some("atomic") => Some((MAP_TYPE, list_type)),
        _ => None,
    }
}

fn keys(schema: &Schema, path: &Path<'_>, errs: &mut FieldErrors) {
    let (items, at) = (path.name("items"), path.name(LIST_KEYS));
    if schema.list_keys.is_empty() {
        errs.push(FieldError::required(&at, "must not be empty if x-kubernetes-list-type is map"));
    }
    let of = match &schema.items {
        None => return errs.push(FieldError::required(&items, "must have a schema if x-kubernetes-list-type is map")),
        Some(Items::Each(_)) => {
            let why = "must only have a single schema if x-kubernetes-list-type is map";
            return errs.push(FieldError::invalid(&items, Bad::plain("{}"), why));
        }
        Some(Items::One(of)) => of,
    };
    if of.kind != "object" {
        let why = "must be object if parent array's x-kubernetes-list-type is map";
        return errs.push(FieldError::invalid(&items.name("type"), &of.kind, why));
    }
    let all = || Bad::plain(Value::from(schema.list_keys.clone()).to_string());
    let mut seen = HashSet::new();
    for key in &schema.list_keys {
        match of.properties.get(key).map(|key| key.kind.as_str()) {
            Some("array" | "object") => {
                let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                let place = items.name("properties");
                errs.push(FieldError::invalid(&place.key(key).name("type"), &of.kind, why));
            }
            Some(_) => {}
            None => errs.push(FieldError::invalid(&at, all(), "entries must all be names of item properties")),
        }
        if !seen.insert(key) {
            errs.push(FieldError::invalid(&at, all(), "must not contain duplicate entries"));
        }
    }
}

/// Items of sets and maps, and keys, are always there.
pub fn items_of_keys(schema: &Schema, path: &Path<'_>) -> FieldErrors {
    let mut errs = FieldErrors::new();
    let (Some(of), Some(list_type @ ("set" | "map"))) = (schema.item(), schema.list_type.as_deref()) else {
        return errs;
    };
    let items = path.name("items");
    if of.nullable {
        let why = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errs.push(FieldError::forbidden(&items.name("nullable"), why));
    }
    if list_type == "set" {
        return errs;
    }
    for name in &schema.list_keys {
        let Some(key) = of.properties.get(name) else { continue };
        let properties = items.name("properties");
        let at = properties.key(name);
        if !of.required.contains(name) && key.default.is_none() {
            let why =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errs.push(FieldError::required(&at.name("default"), why));
        }
        if key.nullable {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errs.push(FieldError::forbidden(&at.name("nullable"), why));
        }
    }
    errs
}
