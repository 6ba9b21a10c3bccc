//! An annotation by which a node once asked not to get pods of certain controllers.

use crate::codec::json::parse;
use crate::codec::json::syntax;
use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::Value;
use crate::rules::at::At;

const ANNOTATION: &str = "scheduler.alpha.kubernetes.io/preferAvoidPods";

/// `at` is the map of annotations.
pub fn in_annotation(at: &At, errs: &mut FieldErrors) {
    let text = at.entry(ANNOTATION).str();
    if text.is_empty() {
        return;
    }
    let wrong = match parse::parse(text.as_bytes()) {
        Err(_) => syntax::explain(text.as_bytes()),
        Ok(Value::Object(avoid)) => return entries(at, avoid.get("preferAvoidPods").unwrap_or(&Value::Null), errs),
        Ok(Value::Null) => return,
        Ok(other) => Some(format!("json: cannot unmarshal {} into Go value of type v1.AvoidPods", other.type_name())),
    };
    let place = at.path().name("AvoidPods");
    errs.push(FieldError::invalid(&place, ANNOTATION, wrong.unwrap_or_default()));
}

fn entries(at: &At, entries: &Value, errs: &mut FieldErrors) {
    for (index, entry) in entries.as_array().into_iter().flatten().enumerate() {
        let place = at.path().name(ANNOTATION);
        let place = place.index(index);
        let place = place.name("PodSignature");
        let owner = &entry["podSignature"]["podController"];
        if owner.is_null() {
            errs.push(FieldError::required(&place, ""));
        } else if owner["controller"] != true {
            let place = place.name("PodController");
            let detail = "must point to a controller";
            errs.push(FieldError::invalid(&place.name("Controller"), false, detail));
        }
    }
}
