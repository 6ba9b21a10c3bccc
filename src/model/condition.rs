//! Conditions as newer kinds have them (`metav1.Condition`): a list by `type`, each with the generation that it is of.

use super::time::Time;
use crate::model::value::Value;

/// Puts a condition of a status in the place of the one of its type, or at the end. Its time is `now` when it is new
/// or its status is another, else the one there was. Whether anything has changed.
pub fn set(status: &mut Value, mut condition: Value, now: Time) -> bool {
    let mut conditions = match status["conditions"].take() {
        Value::Array(conditions) => conditions,
        _ => Vec::new(),
    };
    let known = conditions.iter_mut().find(|known| known["type"] == condition["type"]);
    let since = known.as_ref().filter(|known| known["status"] == condition["status"]);
    condition["lastTransitionTime"] = match since {
        Some(known) => known["lastTransitionTime"].clone(),
        None => now.to_text().as_str().into(),
    };
    let is_news = known.as_ref().is_none_or(|known| **known != condition);
    match known {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
    status["conditions"] = conditions.into();
    is_news
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn a_condition_keeps_its_place_and_the_time_of_its_status() {
        let at = |seconds| Time { seconds, nanos: 0 };
        let condition = |status: &str, reason: &str| json!({"type": "A", "status": status, "reason": reason});
        let mut status = json!({"conditions": [{"type": "B"}]});
        assert!(set(&mut status, condition("True", "x"), at(1)));
        assert!(!set(&mut status, condition("True", "x"), at(2)));
        assert!(set(&mut status, condition("True", "y"), at(2)));
        assert_eq!(status["conditions"][1]["lastTransitionTime"], "1970-01-01T00:00:01Z");
        assert!(set(&mut status, condition("False", "y"), at(3)));
        let mut expected = condition("False", "y");
        expected["lastTransitionTime"] = "1970-01-01T00:00:03Z".into();
        assert_eq!(status["conditions"], json!([{"type": "B"}, expected]));
    }
}
