//! The scale subresource of a custom resource: where its numbers stand in the object.

use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::gotext;
use crate::model::value::Value;

/// Paths as the definition has them, `.spec.replicas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    pub spec_replicas: String,
    pub status_replicas: String,
    pub selector: Option<String>,
}

/// The steps of a path.
pub fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('.').unwrap_or(path).split('.')
}

impl Scale {
    /// From `subresources.scale` of a version.
    pub fn read(scale: &Value) -> Self {
        let text = |name: &str| scale.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            spec_replicas: text("specReplicasPath").unwrap_or_default(),
            status_replicas: text("statusReplicasPath").unwrap_or_default(),
            selector: text("labelSelectorPath"),
        }
    }

    pub fn validate_spec(&self, object: &Value, errs: &mut FieldErrors) {
        count(object, &self.spec_replicas, errs);
    }

    pub fn validate_status(&self, object: &Value, errs: &mut FieldErrors) {
        count(object, &self.status_replicas, errs);
        if let Some(path) = &self.selector {
            match find(object, path) {
                Ok(None | Some(Value::String(_))) => {}
                Ok(Some(other)) => {
                    errs.push(FieldError::invalid(&Path::Root.name(path), "", mistyped(path, other, "string")))
                }
                Err(why) => errs.push(FieldError::invalid(&Path::Root.name(path), "", why)),
            }
        }
    }
}

fn count(object: &Value, path: &str, errs: &mut FieldErrors) {
    let (found, place) = (find(object, path), Path::Root);
    let at = place.name(path);
    match found {
        Err(why) => errs.push(FieldError::invalid(&at, 0_i64, why)),
        Ok(None) => {}
        Ok(Some(value)) => match value.as_i64() {
            None => errs.push(FieldError::invalid(&at, 0_i64, mistyped(path, value, "int64"))),
            Some(number @ ..0) => errs.push(FieldError::invalid(&at, number, "should be a non-negative integer")),
            Some(number) if number > i64::from(i32::MAX) => {
                errs.push(FieldError::invalid(&at, number, "should be less than or equal to 2147483647"));
            }
            Some(_) => {}
        },
    }
}

/// What stands at a path; the error says what stands in its way.
pub fn find<'o>(object: &'o Value, path: &str) -> Result<Option<&'o Value>, String> {
    let mut value = object;
    let mut walked = String::new();
    for step in steps(path) {
        walked.push('.');
        walked.push_str(step);
        match value {
            Value::Null => return Ok(None),
            Value::Object(fields) => match fields.get(step) {
                Some(inner) => value = inner,
                None => return Ok(None),
            },
            other => return Err(mistyped(&walked, other, "map[string]interface{}")),
        }
    }
    Ok(Some(value))
}

/// What Go says of a value of another type than is expected at a path.
pub fn mistyped(path: &str, value: &Value, expected: &str) -> String {
    let dot = if path.starts_with('.') { "" } else { "." };
    let found = match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) | Value::Written(_) => "map[string]interface {}",
    };
    format!("{dot}{path} accessor error: {} is of the type {found}, expected {expected}", gotext::value(value))
}
