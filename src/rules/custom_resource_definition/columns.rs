//! What a version says beside its schema: subresources, columns of tables, fields for selectors.

use super::options::SELECTABLE;
use super::structural;
use crate::model::field::{Bad, FieldError, FieldErrors, Path};
use crate::model::value::Value;
use crate::rules::custom::field_path::field_path;
use crate::rules::custom::schema::Schema;

const KINDS: &str = "boolean,date,integer,number,string";
const FORMATS: &str = "byte,date,date-time,double,float,int32,int64,password";

pub fn subresources(raw: &Value, path: &Path<'_>, errs: &mut FieldErrors) {
    let scale = &raw["scale"];
    if scale.is_null() {
        return;
    }
    for (field, below) in [("specReplicasPath", "spec"), ("statusReplicasPath", "status")] {
        let text = scale[field].as_str().unwrap_or_default();
        let name = format!("scale.{field}");
        let at = path.name(&name);
        if text.is_empty() {
            errs.push(FieldError::required(&at, ""));
        } else if simple_path(text, &at, errs) && !is_below(text, below) {
            errs.push(FieldError::invalid(&at, text, format!("should be a json path under .{below}")));
        }
    }
    let selector = scale["labelSelectorPath"].as_str().unwrap_or_default();
    let at = path.name("scale.labelSelectorPath");
    if !selector.is_empty()
        && simple_path(selector, &at, errs)
        && !is_below(selector, "spec")
        && !is_below(selector, "status")
    {
        errs.push(FieldError::invalid(&at, selector, "should be a json path under either .spec or .status"));
    }
}

fn is_below(path: &str, field: &str) -> bool {
    path.strip_prefix('.').and_then(|path| path.strip_prefix(field)).is_some_and(|rest| rest.starts_with('.'))
}

fn simple_path(text: &str, path: &Path<'_>, errs: &mut FieldErrors) -> bool {
    if !text.starts_with('.') {
        errs.push(FieldError::invalid(path, text, "must be a simple json path starting with ."));
        return false;
    }
    true
}

pub fn columns(raw: &Value, path: &Path<'_>, errs: &mut FieldErrors) {
    for (index, column) in raw.as_array().into_iter().flatten().enumerate() {
        let text = |field: &str| column[field].as_str().unwrap_or_default();
        let path = path.index(index);
        if text("name").is_empty() {
            errs.push(FieldError::required(&path.name("name"), ""));
        }
        let why = || format!("must be one of {KINDS}");
        match text("type") {
            "" => errs.push(FieldError::required(&path.name("type"), why())),
            kind if !KINDS.split(',').any(|known| known == kind) => {
                errs.push(FieldError::invalid(&path.name("type"), kind, why()));
            }
            _ => {}
        }
        let format = text("format");
        if !format.is_empty() && !FORMATS.split(',').any(|known| known == format) {
            errs.push(FieldError::invalid(&path.name("format"), format, format!("must be one of {FORMATS}")));
        }
        let (at, place) = (path.name("JSONPath"), text("jsonPath"));
        if place.is_empty() {
            errs.push(FieldError::required(&at, ""));
        } else {
            simple_path(place, &at, errs);
        }
    }
}

/// Fields for selectors are single texts, numbers and flags of the schema.
pub fn selectable(
    raw: &Value,
    schema: &Value,
    any_count: bool,
    schema_path: &Path<'_>,
    path: &Path<'_>,
    errs: &mut FieldErrors,
) {
    let schema = Schema::read(schema);
    if let Some(why) = structural::unreadable(&schema) {
        errs.push(FieldError::invalid(schema_path, "", why));
    }
    let mut seen: Vec<String> = Vec::new();
    for (index, field) in raw.as_array().into_iter().flatten().enumerate() {
        let text = field["jsonPath"].as_str().unwrap_or_default();
        let place = path.index(index);
        let at = place.name("jsonPath");
        if text.is_empty() {
            errs.push(FieldError::required(&at, ""));
            continue;
        }
        let found = match field_path(text, &schema, false) {
            Ok(found) => found,
            Err(why) => {
                errs.push(FieldError::invalid(&at, text, format!("is an invalid path: {why}")));
                continue;
            }
        };
        if found.root == "metadata" {
            errs.push(FieldError::invalid(&at, text, "must not point to fields in metadata"));
        }
        if !matches!(found.schema.kind.as_str(), "string" | "boolean" | "integer") {
            let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                       formats are allowed.";
            errs.push(FieldError::invalid(&at, text, why));
        }
        if seen.contains(&found.path) {
            errs.push(FieldError::duplicate(&at, Bad::from(text)));
        } else {
            seen.push(found.path);
        }
    }
    if seen.len() > SELECTABLE && !any_count {
        errs.push(FieldError::too_many(path, seen.len(), SELECTABLE));
    }
}
