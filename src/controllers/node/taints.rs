//! The taints that say a node's conditions.

use crate::controllers::conditions;
use crate::model::value::{Value, json};

pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const NO_SCHEDULE: &str = "NoSchedule";
pub const NO_EXECUTE: &str = "NoExecute";

/// (condition, status, key of the taint)
const CONDITIONS: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// Which of a node's pods shall go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evict {
    /// Those that do not tolerate this key.
    Key(&'static str),
    /// None.
    Nobody,
    /// As it is.
    AsBefore,
}

pub fn of(node: &Value) -> &[Value] {
    node["spec"]["taints"].as_array().map_or(&[], Vec::as_slice)
}

pub fn has(node: &Value, key: &str, effect: &str) -> bool {
    of(node).iter().any(|taint| taint["key"] == key && taint["effect"] == effect)
}

/// The key by which pods would be evicted for the node's readiness; `None` when it is ready or has not said.
pub fn key_of_readiness(node: &Value) -> Option<&'static str> {
    let ready = conditions::find(&node["status"], "Ready")?;
    CONDITIONS
        .iter()
        .find(|(condition, status, _)| *condition == "Ready" && ready["status"] == *status)
        .map(|row| row.2)
}

/// The taints that the node should have. Those of others stay as they are; new ones say when they were added.
pub fn wanted(node: &Value, evict: Evict, now: &str) -> Vec<Value> {
    let is_true = |(condition, status, _): &&(&str, &str, &str)| {
        conditions::find(&node["status"], condition).is_some_and(|condition| condition["status"] == *status)
    };
    let mut schedule: Vec<&str> = CONDITIONS.iter().filter(is_true).map(|row| row.2).collect();
    schedule.extend((node["spec"]["unschedulable"] == true).then_some(UNSCHEDULABLE));
    let is_ours = |key: &str| key == UNSCHEDULABLE || CONDITIONS.iter().any(|row| row.2 == key);
    let stays = |taint: &&Value| {
        let key = taint["key"].as_str().unwrap_or("");
        match (taint["effect"].as_str().unwrap_or(""), evict) {
            (NO_SCHEDULE, _) if is_ours(key) => schedule.contains(&key),
            (NO_EXECUTE, Evict::Key(wanted)) if matches!(key, NOT_READY | UNREACHABLE) => key == wanted,
            (NO_EXECUTE, Evict::Nobody) => !matches!(key, NOT_READY | UNREACHABLE),
            _ => true,
        }
    };
    let mut taints: Vec<Value> = of(node).iter().filter(stays).cloned().collect();
    let mut add = |key: &str, effect: &str| {
        if !has(node, key, effect) {
            taints.push(json!({"key": key, "effect": effect, "timeAdded": now}));
        }
    };
    schedule.iter().for_each(|key| add(key, NO_SCHEDULE));
    if let Evict::Key(key) = evict {
        add(key, NO_EXECUTE);
    }
    taints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Value, evict: Evict) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("").replace("node.kubernetes.io/", "");
        let line = |taint: &Value| format!("{}:{}", text(&taint["key"]), text(&taint["effect"]));
        wanted(node, evict, "now").iter().map(line).collect()
    }

    #[test]
    fn conditions_become_taints() {
        let condition = |ty: &str, status: &str| json!({"type": ty, "status": status});
        let mut node = json!({
            "spec": {"taints": [{"key": "own", "effect": "NoExecute"}, {"key": "node.kubernetes.io/pid-pressure", "effect": "NoSchedule"}]},
            "status": {"conditions": [condition("Ready", "Unknown"), condition("DiskPressure", "True")]},
        });
        let expected = ["own:NoExecute", "unreachable:NoSchedule", "disk-pressure:NoSchedule"];
        assert_eq!(shown(&node, Evict::AsBefore), expected);
        assert_eq!(key_of_readiness(&node), Some(UNREACHABLE));
        assert_eq!(shown(&node, Evict::Key(UNREACHABLE))[3], "unreachable:NoExecute");
        node["spec"]["taints"] = wanted(&node, Evict::Key(UNREACHABLE), "now").into();
        node["status"]["conditions"] = json!([condition("Ready", "False")]);
        node["spec"]["unschedulable"] = true.into();
        let expected = ["own:NoExecute", "not-ready:NoSchedule", "unschedulable:NoSchedule", "not-ready:NoExecute"];
        assert_eq!(shown(&node, Evict::Key(NOT_READY)), expected);
        node["spec"]["taints"] = wanted(&node, Evict::Key(NOT_READY), "now").into();
        node["status"]["conditions"] = json!([condition("Ready", "True")]);
        node["spec"]["unschedulable"] = Value::Null;
        assert_eq!((shown(&node, Evict::Nobody), key_of_readiness(&node)), (vec!["own:NoExecute".into()], None));
    }
}
