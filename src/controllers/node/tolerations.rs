//! Which taints a pod tolerates, and for how long.

use std::time::Duration;

use crate::model::value::Value;

/// How long a pod stays on a node with these taints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// It does not tolerate all of them.
    No,
    For(Duration),
    Forever,
}

/// Judges by the first toleration of each taint; the shortest time counts.
pub fn stay(tolerations: &[Value], taints: &[&Value]) -> Stay {
    let mut shortest: Option<i64> = None;
    for taint in taints {
        let Some(toleration) = tolerations.iter().find(|toleration| tolerates(toleration, taint)) else {
            return Stay::No;
        };
        if let Some(seconds) = toleration["tolerationSeconds"].as_i64() {
            shortest = Some(shortest.map_or(seconds, |shortest| shortest.min(seconds)));
        }
    }
    match shortest {
        None => Stay::Forever,
        Some(seconds) => Stay::For(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
    }
}

/// Whether a toleration covers a taint. An empty effect or key covers all.
pub fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let (key, effect) = (text(&toleration["key"]), text(&toleration["effect"]));
    if !effect.is_empty() && effect != text(&taint["effect"]) || !key.is_empty() && key != text(&taint["key"]) {
        return false;
    }
    match text(&toleration["operator"]).as_str() {
        "Exists" => true,
        "" | "Equal" => !key.is_empty() && text(&toleration["value"]) == text(&taint["value"]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn the_shortest_toleration_counts() {
        let (a, b) =
            (json!({"key": "a", "value": "1", "effect": "NoExecute"}), json!({"key": "b", "effect": "NoExecute"}));
        let exists =
            |key: &str, seconds: Value| json!({"key": key, "operator": "Exists", "tolerationSeconds": seconds});
        let of = |tolerations: Value| stay(tolerations.as_array().map_or(&[], Vec::as_slice), &[&a, &b]);
        let seconds = |count| Stay::For(Duration::from_secs(count));
        assert_eq!(of(json!([])), Stay::No);
        assert_eq!(of(json!([exists("a", json!(5))])), Stay::No, "b is not tolerated");
        assert_eq!(of(json!([exists("a", json!(5)), exists("b", json!(3))])), seconds(3));
        assert_eq!(of(json!([exists("a", json!(-5)), exists("b", Value::Null)])), seconds(0));
        assert_eq!(of(json!([{"operator": "Exists"}])), Stay::Forever);
        assert_eq!(of(json!([{"key": "a", "value": "2"}, exists("b", Value::Null)])), Stay::No);
        assert_eq!(of(json!([{"key": "a", "value": "1"}, {"key": "b", "effect": "NoExecute"}])), Stay::Forever);
        assert_eq!(of(json!([{"key": "a", "value": "1"}, {"key": "b", "effect": "NoSchedule"}])), Stay::No);
    }
}
