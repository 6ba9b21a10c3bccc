//! `metav1.Condition` and lists of it.

use crate::model::field::FieldErrors;
use crate::model::syntax::Texts;
use crate::rules::at::At;

use super::choices;
use super::labels::label_name;
use super::names::unless;

const REASON_BYTES: usize = 1024;
const MESSAGE_BYTES: usize = 32 * 1024;
const REASON: &str = "a condition reason must start with alphabetic character, optionally followed by a string of \
    alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  \
    or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is \
    '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

/// A list in which no type stands twice.
pub fn conditions(at: &At, errs: &mut FieldErrors) {
    for (index, condition) in at.items().enumerate() {
        let kind = condition.at("type");
        if at.items().take(index).any(|earlier| earlier.at("type").str() == kind.str()) {
            kind.duplicate(errs);
        }
        self::condition(&condition, errs);
    }
}

pub fn condition(at: &At, errs: &mut FieldErrors) {
    label_name(&at.at("type"), errs);
    choices::one_of(&at.at("status"), &["False", "True", "Unknown"], errs);
    let generation = at.at("observedGeneration");
    if generation.i64() < 0 {
        generation.invalid(errs, "must be greater than or equal to zero");
    }
    if !at.has("lastTransitionTime") {
        at.at("lastTransitionTime").required(errs, "");
    }
    let reason = at.at("reason");
    if reason.is_empty() {
        reason.required(errs, "");
    } else {
        reason.check(errs, condition_reason);
        if reason.len() > REASON_BYTES {
            reason.too_long(errs, REASON_BYTES);
        }
    }
    if at.at("message").len() > MESSAGE_BYTES {
        at.at("message").too_long(errs, MESSAGE_BYTES);
    }
}

fn condition_reason(value: &str) -> Texts {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = value.as_bytes();
    let ends = bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.last().is_some_and(|b| word(*b));
    unless(ends && bytes.iter().all(|b| word(*b) || b",:".contains(b)), REASON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn conditions_are_judged_in_stocks_order() {
        let good =
            json!({"type": "a.b/C", "status": "True", "lastTransitionTime": "2024-01-01T00:00:00Z", "reason": "R"});
        let bad = json!({"type": "a.b/C", "status": "Yes", "observedGeneration": -1, "reason": "1",
            "message": "x".repeat(MESSAGE_BYTES + 1)});
        let object = json!({"status": {"conditions": [good, bad]}});
        let root = At::new(&object, table::message("k8s.io.api.networking.v1.ServiceCIDR"));
        let mut errs = FieldErrors::new();
        conditions(&root.at("status").at("conditions"), &mut errs);
        let found: Vec<_> = errs.iter().map(|e| e.to_string().replace("status.conditions[1].", "")).collect();
        assert_eq!(
            found,
            [
                "type: Duplicate value: \"a.b/C\"".to_owned(),
                "status: Unsupported value: \"Yes\": supported values: \"False\", \"True\", \"Unknown\"".to_owned(),
                "observedGeneration: Invalid value: -1: must be greater than or equal to zero".to_owned(),
                "lastTransitionTime: Required value".to_owned(),
                format!("reason: Invalid value: \"1\": {REASON}"),
                "message: Too long: may not be more than 32768 bytes".to_owned(),
            ]
        );
    }

    #[test]
    fn reasons() {
        for (reason, right) in
            [("A", true), ("A,B:c_", true), ("A:", false), ("_A", false), ("A b", false), ("Aé", false)]
        {
            assert_eq!(condition_reason(reason).is_empty(), right, "{reason}");
        }
    }
}
