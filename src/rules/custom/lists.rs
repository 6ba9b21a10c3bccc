//! Lists that are sets or have keys: no item twice.

use std::collections::HashMap;

use super::outcome::bad;
use super::schema::Schema;
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::value::{Map, Value};

/// Items that are there twice, anywhere in a value.
pub fn unique(value: &Value, schema: &Schema, path: &Path<'_>, errs: &mut FieldErrors) {
    match value {
        Value::Array(items) => {
            match schema.list_type.as_deref() {
                Some("set") => set(items, path, errs),
                Some("map") => map(items, &schema.list_keys, path, errs),
                _ => {}
            }
            let Some(of) = schema.item() else { return };
            for (at, item) in items.iter().enumerate() {
                unique(item, of, &path.index(at), errs);
            }
        }
        Value::Object(fields) => {
            if let Some(of) = schema.values() {
                fields.iter().for_each(|(key, value)| unique(value, of, &path.key(key), errs));
            }
            for (name, value) in fields {
                if let Some(of) = schema.properties.get(name.as_str()) {
                    unique(value, of, &path.name(name), errs);
                }
            }
        }
        _ => {}
    }
}

fn set(items: &[Value], path: &Path<'_>, errs: &mut FieldErrors) {
    for at in repeated(items.iter().map(Value::to_string)) {
        errs.push(FieldError::duplicate(&path.index(at), bad(&items[at])));
    }
}

fn map(items: &[Value], keys: &[String], path: &Path<'_>, errs: &mut FieldErrors) {
    if let Some(at) = items.iter().position(|item| !item.is_null() && !item.is_object()) {
        let detail = "must be an object for an array of list-type map";
        errs.push(FieldError::invalid(&path.index(at), &items[at], detail));
        return;
    }
    let key = |item: &Value| -> Value {
        let of = keys.iter().filter_map(|key| item.get(key).map(|value| (key.clone(), value.clone())));
        Value::Object(of.collect::<Map>())
    };
    let found: Vec<Value> = items.iter().map(key).collect();
    for at in repeated(found.iter().map(Value::to_string)) {
        errs.push(FieldError::duplicate(&path.index(at), &found[at]));
    }
}

/// The places of second ones.
fn repeated(texts: impl ExactSizeIterator<Item = String>) -> Vec<usize> {
    if texts.len() <= 1 {
        return Vec::new();
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut places = Vec::new();
    for (at, text) in texts.enumerate() {
        let times = seen.entry(text).or_insert(0);
        *times += 1;
        if *times == 2 {
            places.push(at);
        }
    }
    places
}
