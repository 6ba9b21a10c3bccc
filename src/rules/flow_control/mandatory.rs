//! Objects that every server has and that stay what they are.

use crate::model::value::{Value, json};

pub const EXEMPT: &str = "exempt";
pub const CATCH_ALL: &str = "catch-all";

/// The spec of the FlowSchema of this name; `None` when it may say what it likes.
pub fn schema(name: &str) -> Option<Value> {
    match name {
        EXEMPT => Some(spec(EXEMPT, 1, &["system:masters"])),
        CATCH_ALL => {
            let mut spec = spec(CATCH_ALL, 10_000, &["system:unauthenticated", "system:authenticated"]);
            spec["distinguisherMethod"] = json!({"type": "ByUser"});
            Some(spec)
        }
        _ => None,
    }
}

/// The spec of the PriorityLevelConfiguration of this name; `None` when it may say what it likes.
pub fn level(name: &str) -> Option<Value> {
    match name {
        EXEMPT => Some(json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}})),
        CATCH_ALL => Some(json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0,
            "limitResponse": {"type": "Reject"}}})),
        _ => None,
    }
}

/// Everything that these groups ask.
fn spec(level: &str, precedence: i64, groups: &[&str]) -> Value {
    let subjects: Vec<_> = groups.iter().map(|name| json!({"kind": "Group", "group": {"name": name}})).collect();
    json!({
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [{
            "subjects": subjects,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true,
                "namespaces": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }],
    })
}
