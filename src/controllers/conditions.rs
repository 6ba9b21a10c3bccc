//! Conditions of a status: a list of objects by `type`.

use crate::model::value::Value;

/// The condition of this type.
pub fn find<'a>(status: &'a Value, ty: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == ty)
}

/// The same in a list.
pub fn of<'a>(conditions: &'a [Value], ty: &str) -> Option<&'a Value> {
    conditions.iter().find(|condition| condition["type"] == ty)
}

/// All conditions of a status.
pub fn all(status: &Value) -> Vec<Value> {
    status["conditions"].as_array().cloned().unwrap_or_default()
}

/// Puts a condition at the end, in the place of the one of its type, unless that says the same: status and reason.
/// `lastTransitionTime` stays when the status does.
pub fn set(conditions: &mut Vec<Value>, mut condition: Value) {
    let ty = condition["type"].as_str().unwrap_or("").to_owned();
    if let Some(current) = of(conditions, &ty)
        && current["status"] == condition["status"]
    {
        if current["reason"] == condition["reason"] {
            return;
        }
        condition["lastTransitionTime"] = current["lastTransitionTime"].clone();
    }
    remove(conditions, &ty);
    conditions.push(condition);
}

pub fn remove(conditions: &mut Vec<Value>, ty: &str) {
    conditions.retain(|condition| condition["type"] != ty);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn a_condition_changes_with_its_status_or_reason() {
        let condition = |status: &str, reason: &str, at: &str| json!({"type": "A", "status": status, "reason": reason, "lastTransitionTime": at});
        let mut conditions = vec![condition("True", "x", "1"), json!({"type": "B"})];
        set(&mut conditions, condition("True", "x", "2"));
        assert_eq!(conditions[0], condition("True", "x", "1"));
        set(&mut conditions, condition("True", "y", "3"));
        assert_eq!(conditions[1], condition("True", "y", "1"));
        set(&mut conditions, condition("False", "y", "4"));
        assert_eq!(conditions, [json!({"type": "B"}), condition("False", "y", "4")]);
    }
}
