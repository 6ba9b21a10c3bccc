//! What became of a request: approved, denied, failed; and when.

use crate::model::field::FieldErrors;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::kind::Cx;
use crate::rules::{fill, strategy};

const APPROVED: &str = "Approved";
const DENIED: &str = "Denied";
const FAILED: &str = "Failed";

/// What an old request had wrong and may keep.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leniency {
    both_decided: bool,
    empty_types: bool,
    repeated_types: bool,
}

impl Leniency {
    /// Of the conditions of an old request.
    pub fn of(at: &At) -> Self {
        let has = |kind: &str| at.items().any(|condition| condition.at("type").str() == kind);
        let repeats = |index: usize, kind: &str| at.items().take(index).any(|earlier| earlier.at("type").str() == kind);
        Self {
            both_decided: has(APPROVED) && has(DENIED),
            empty_types: has(""),
            repeated_types: at.items().enumerate().any(|(index, c)| repeats(index, c.at("type").str())),
        }
    }
}

/// Each of one type; what is decided is true, and decided one way.
pub fn conditions(at: &At, leniency: Leniency, errs: &mut FieldErrors) {
    for (index, condition) in at.items().enumerate() {
        let (kind, status) = (condition.at("type"), condition.at("status"));
        if kind.is_empty() && !leniency.empty_types {
            kind.required(errs, "");
        }
        let decided = [APPROVED, DENIED, FAILED].contains(&kind.str());
        let known: &[&str] = if decided { &["True"] } else { &["False", "True", "Unknown"] };
        crate::rules::checks::choices::required(&status, known, errs);
        let has = |other: &str| at.items().take(index).any(|earlier| earlier.at("type").str() == other);
        let other = match kind.str() {
            APPROVED => DENIED,
            DENIED => APPROVED,
            _ => "",
        };
        if !other.is_empty() && !leniency.both_decided && has(other) {
            at.invalid_as(errs, kind.str(), "Approved and Denied conditions are mutually exclusive");
        }
        if !leniency.repeated_types && has(kind.str()) {
            kind.duplicate(errs);
        }
    }
}

/// What is decided stays so.
pub fn none_removed(at: &At, before: &At, errs: &mut FieldErrors) {
    for kind in [APPROVED, DENIED, FAILED] {
        if count(at, kind) < count(before, kind) {
            at.forbidden(errs, format!("updates may not remove a condition of type \"{kind}\""));
        }
    }
}

/// Only approvers approve and deny. What they said, others' `prepare` keeps.
pub fn none_added(at: &At, before: &At, errs: &mut FieldErrors) {
    for kind in [APPROVED, DENIED] {
        if count(at, kind) > count(before, kind) {
            at.forbidden(errs, format!("updates may not add a condition of type \"{kind}\""));
        }
    }
}

fn count(at: &At, kind: &str) -> usize {
    at.items().filter(|condition| condition.at("type").str() == kind).count()
}

/// An approver changes conditions only.
pub fn prepare_approval(cx: &Cx, new: &mut Value, old: &Value) {
    fill_times(cx, new, old);
    let conditions = fill::fields(new, &["status"]).and_then(|status| status.remove("conditions"));
    strategy::keep(new, old, "status");
    let conditions = conditions.filter(|list| !list.is_null());
    if old["status"].is_null() && conditions.is_none() {
        return;
    }
    let Some(status) = fill::made(new, &["status"]) else { return };
    match conditions {
        Some(conditions) => status.insert("conditions".into(), conditions),
        None => status.remove("conditions"),
    };
}

/// A signer keeps what approvers said, unless one of their conditions came or went.
pub fn prepare_status(cx: &Cx, new: &mut Value, old: &Value) {
    let before = list(old);
    for kind in [APPROVED, DENIED] {
        let kept: Vec<_> = before.iter().filter(|condition| condition["type"] == kind).collect();
        let items = fill::items(new, &["status", "conditions"]);
        let slots: Vec<_> = items.filter(|condition| fill::text(condition, "type") == kind).collect();
        if slots.len() == kept.len() {
            for (slot, condition) in slots.into_iter().zip(kept) {
                *slot = condition.as_object().cloned().unwrap_or_default();
            }
        }
    }
    fill_times(cx, new, old);
}

/// Times that a writer leaves out: now, or of the last change where the condition had the same status.
fn fill_times(cx: &Cx, new: &mut Value, old: &Value) {
    let now = Value::from(cx.now.to_text().as_str());
    for condition in fill::items(new, &["status", "conditions"]) {
        let same = |earlier: &&Value| {
            ["type", "status"]
                .iter()
                .all(|field| earlier[*field].as_str().unwrap_or("") == fill::text(condition, field))
                && earlier["lastTransitionTime"].is_string()
        };
        let since = list(old).iter().find(same).map_or_else(|| now.clone(), |c| c["lastTransitionTime"].clone());
        fill::default(condition, "lastUpdateTime", now.clone());
        fill::default(condition, "lastTransitionTime", since);
    }
}

fn list(object: &Value) -> &[Value] {
    object["status"]["conditions"].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn found(conditions: Value, before: Value) -> Vec<String> {
        let (mut errs, before) = (FieldErrors::new(), At::new(&before, None));
        super::conditions(&At::new(&conditions, None), Leniency::of(&before), &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_request_is_decided_one_way() {
        let both = json!([{"type": "Denied", "status": "True"}, {"type": "Approved", "status": "Unknown"},
            {"type": "", "status": ""}, {"type": "Denied", "status": "True"}]);
        assert_eq!(
            found(both.clone(), json!([])),
            [
                "[1].status: Unsupported value: \"Unknown\": supported values: \"True\"",
                "<nil>: Invalid value: \"Approved\": Approved and Denied conditions are mutually exclusive",
                "[2].type: Required value",
                "[2].status: Required value",
                "<nil>: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive",
                "[3].type: Duplicate value: \"Denied\"",
            ]
        );
        assert_eq!(
            found(both.clone(), both),
            ["[1].status: Unsupported value: \"Unknown\": supported values: \"True\"", "[2].status: Required value"]
        );
    }

    #[test]
    fn times_are_of_the_last_change() {
        let condition = |more: Value| {
            let mut condition = json!({"type": "Failed", "status": "True"});
            condition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"status": {"conditions": [condition]}})
        };
        let old =
            condition(json!({"lastUpdateTime": "2025-01-01T00:00:00Z", "lastTransitionTime": "2025-01-02T00:00:00Z"}));
        let mut new = condition(json!({}));
        prepare_status(&Cx::for_tests(), &mut new, &old);
        let times = json!({"lastUpdateTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2025-01-02T00:00:00Z"});
        assert_eq!(new, condition(times));
    }
}
