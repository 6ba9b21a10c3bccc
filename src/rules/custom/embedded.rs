//! Metadata of custom objects and of whole objects within them: read by the type of metadata, and checked.

use super::schema::Schema;
use crate::codec::json::decode::decode;
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::names::GroupVersion;
use crate::model::syntax::dns1035_label;
use crate::model::value::{Map, Value};
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta};
use crate::rules::checks::names::NameRule;
use crate::schema::table;

const META: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// Stands for a name: embedded objects need none.
const ANY_NAME: &str = "fakename";

/// Reads the metadata of an object in place, unknown fields dropped and told of as `path.metadata.x`. The error is the
/// decoder's, of a field of the wrong type; when those are dropped there is none.
pub fn read_metadata(object: &mut Map, drop_wrong: bool, path: &str) -> Result<Vec<String>, String> {
    let (Some(meta), Some(message)) = (object.get("metadata"), table::message(META)) else { return Ok(Vec::new()) };
    let prefix = if path.is_empty() { "metadata".to_owned() } else { format!("{path}.metadata") };
    let mut unknown = Vec::new();
    let mut note = |notes: &[String]| {
        let named = notes.iter().filter_map(|note| note.strip_prefix("unknown field \"")?.strip_suffix('"'));
        unknown.extend(named.map(|name| format!("{prefix}.{name}")));
    };
    let mut read = match decode(meta.to_string().as_bytes(), message) {
        Ok(read) => {
            note(&read.notes);
            read.value
        }
        Err(why) if !drop_wrong => return Err(why),
        Err(why) => {
            let Some(fields) = meta.as_object() else { return Err(why) };
            let mut right = Map::new();
            for (name, value) in fields {
                let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
                if let Ok(read) = decode(alone.to_string().as_bytes(), message) {
                    note(&read.notes);
                    right.extend(read.value.as_object().into_iter().flatten().map(|(n, v)| (n.clone(), v.clone())));
                }
            }
            Value::Object(right)
        }
    };
    // An empty list or map says what none says.
    let says_nothing =
        |value: &Value| value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
    if let Some(fields) = read.as_object_mut() {
        fields.retain(|_, value| !says_nothing(value));
    }
    object.insert("metadata".into(), read);
    Ok(unknown)
}

/// What reading the whole objects within a value found.
#[derive(Debug, Default)]
pub struct Coerced {
    pub unknown: Vec<String>,
}

/// Reads the metadata of whole objects within a value; those of the wrong type are refused, or dropped.
pub fn coerce(
    value: &mut Value,
    schema: &Schema,
    whole: bool,
    drop_wrong: bool,
    path: &Path<'_>,
    coerced: &mut Coerced,
) -> Result<(), FieldError> {
    match value {
        Value::Object(fields) => {
            if whole {
                coerce_object(fields, drop_wrong, path, coerced)?;
            }
            for (name, value) in fields {
                if let Some(of) = schema.properties.get(name.as_str()) {
                    coerce(value, of, of.embedded, drop_wrong, &path.name(name), coerced)?;
                } else if let Some(of) = schema.values() {
                    coerce(value, of, of.embedded, drop_wrong, &path.key(name), coerced)?;
                }
            }
        }
        Value::Array(items) => {
            let Some(of) = schema.item() else { return Ok(()) };
            for (at, item) in items.iter_mut().enumerate() {
                coerce(item, of, of.embedded, drop_wrong, &path.index(at), coerced)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn coerce_object(fields: &mut Map, drop_wrong: bool, path: &Path<'_>, coerced: &mut Coerced) -> Result<(), FieldError> {
    for name in ["apiVersion", "kind"] {
        let Some(value) = fields.get(name).filter(|value| !value.is_string()) else { continue };
        if !drop_wrong {
            return Err(FieldError::invalid(&path.name(name), value, "must be a string"));
        }
        fields.remove(name);
    }
    let place = match path {
        Path::Root => String::new(),
        path => path.to_string(),
    };
    match read_metadata(fields, drop_wrong, &place) {
        Ok(unknown) => coerced.unknown.extend(unknown),
        Err(why) if !drop_wrong => {
            let meta = fields.get("metadata").unwrap_or(&Value::Null);
            return Err(FieldError::invalid(&path.name("metadata"), meta, why));
        }
        Err(_) => {}
    }
    Ok(())
}

/// What is wrong with whole objects within a value.
pub fn validate(value: &Value, schema: &Schema, whole: bool, path: &Path<'_>, errs: &mut FieldErrors) {
    match value {
        Value::Object(fields) => {
            if whole {
                validate_object(fields, path, errs);
            }
            for (name, value) in fields {
                if let Some(of) = schema.properties.get(name.as_str()) {
                    validate(value, of, of.embedded, &path.name(name), errs);
                } else if let Some(of) = schema.values() {
                    validate(value, of, of.embedded, &path.key(name), errs);
                }
            }
        }
        Value::Array(items) => {
            let Some(of) = schema.item() else { return };
            for (at, item) in items.iter().enumerate() {
                validate(item, of, of.embedded, &path.index(at), errs);
            }
        }
        _ => {}
    }
}

fn validate_object(fields: &Map, path: &Path<'_>, errs: &mut FieldErrors) {
    for name in ["apiVersion", "kind"] {
        if !fields.contains_key(name) {
            errs.push(FieldError::required(&path.name(name), ""));
        }
    }
    for (name, value) in fields {
        let at = path.name(name);
        match (name.as_str(), value) {
            ("apiVersion" | "kind", Value::String(text)) if text.is_empty() => {
                errs.push(FieldError::invalid(&at, "", "must not be empty"));
            }
            ("apiVersion", Value::String(text)) if GroupVersion::parse(text).is_none() => {
                let why = format!("unexpected GroupVersion string: {text}");
                errs.push(FieldError::invalid(&at, text.as_str(), why));
            }
            ("apiVersion", Value::String(_)) => {}
            ("kind", Value::String(text)) => {
                let texts = dns1035_label(&text.to_lowercase());
                if !texts.is_empty() {
                    let why = format!("may have mixed case, but should otherwise match: {}", texts.join(","));
                    errs.push(FieldError::invalid(&at, text.as_str(), why));
                }
            }
            ("apiVersion" | "kind", value) => errs.push(FieldError::invalid(&at, value, "must be a string")),
            ("metadata", value) => validate_metadata(value, &at, errs),
            _ => {}
        }
    }
}

fn validate_metadata(value: &Value, path: &Path<'_>, errs: &mut FieldErrors) {
    let mut object = Map::from_iter([("metadata".to_owned(), value.clone())]);
    if let Err(why) = read_metadata(&mut object, false, "") {
        errs.push(FieldError::invalid(path, value, why));
        return;
    }
    let mut meta = object.remove("metadata").unwrap_or_default();
    let is_unnamed = meta.get("name").and_then(Value::as_str).is_none_or(str::is_empty);
    if let Some(fields) = meta.as_object_mut().filter(|_| is_unnamed) {
        fields.insert("name".into(), ANY_NAME.into());
    }
    let namespaced = meta.get("namespace").and_then(Value::as_str).is_some_and(|namespace| !namespace.is_empty());
    let rules = MetaRules { namespaced, name: NameRule::PathSegment, kube_finalizers: false };
    object_meta(&At::new(&meta, None).placed(*path), rules, errs);
}
