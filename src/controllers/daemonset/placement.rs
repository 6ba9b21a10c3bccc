//! Which nodes are fit for a set's pods.

use crate::controllers::node::taints;
use crate::controllers::node::tolerations::tolerates;
use crate::model::object;
use crate::model::value::Value;

/// Whether a pod of the set should come to a node, and whether one that is there may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    pub may_come: bool,
    pub may_stay: bool,
}

/// Judges a node for pods with this `spec`, of which `tolerations` are all that they tolerate.
pub fn judge(spec: &Value, tolerations: &[Value], node: &Value) -> Fit {
    let is_named = spec["nodeName"].as_str().is_none_or(|name| name.is_empty() || name == object::name(node));
    if !is_named || !is_chosen(spec, node) {
        return Fit { may_come: false, may_stay: false };
    }
    let repels = |effects: &[&str]| {
        let taints = taints::of(node).iter().filter(|taint| effects.iter().any(|effect| taint["effect"] == *effect));
        taints.into_iter().any(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
    };
    Fit { may_come: !repels(&["NoSchedule", "NoExecute"]), may_stay: !repels(&["NoExecute"]) }
}

/// By `nodeSelector` and the required node affinity.
fn is_chosen(spec: &Value, node: &Value) -> bool {
    let mut selector = spec["nodeSelector"].as_object().into_iter().flatten();
    if !selector.all(|(key, value)| object::label(node, key) == value.as_str()) {
        return false;
    }
    let required = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    match required["nodeSelectorTerms"].as_array() {
        Some(terms) => terms.iter().any(|term| meets(term, node)),
        None => true,
    }
}

/// A term without requirements is met by nobody.
fn meets(term: &Value, node: &Value) -> bool {
    let list = |field: &str| term[field].as_array().map_or(&[][..], Vec::as_slice);
    let (labels, fields) = (list("matchExpressions"), list("matchFields"));
    let label = |requirement: &Value| requirement["key"].as_str().and_then(|key| object::label(node, key));
    let field = |requirement: &Value| (requirement["key"] == "metadata.name").then(|| object::name(node));
    labels.len() + fields.len() > 0
        && labels.iter().all(|requirement| holds(requirement, label(requirement)))
        && fields.iter().all(|requirement| holds(requirement, field(requirement)))
}

fn holds(requirement: &Value, value: Option<&str>) -> bool {
    let values = requirement["values"].as_array().map_or(&[][..], Vec::as_slice);
    let is_in = value.is_some_and(|value| values.iter().any(|wanted| wanted == value));
    let compared = || {
        let wanted: i64 = values.first()?.as_str()?.parse().ok()?;
        Some(value?.parse::<i64>().ok()?.cmp(&wanted))
    };
    match requirement["operator"].as_str().unwrap_or("") {
        "In" => is_in,
        "NotIn" => !is_in,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared().is_some_and(std::cmp::Ordering::is_gt),
        "Lt" => compared().is_some_and(std::cmp::Ordering::is_lt),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn nodes_are_chosen_by_labels_names_and_taints() {
        let node = json!({
            "metadata": {"name": "n", "labels": {"a": "1", "size": "5"}},
            "spec": {"taints": [{"key": "t", "effect": "NoSchedule"}]},
        });
        let term = |list: &str, key: &str, operator: &str, values: &[&str]| {
            let term = json!({list: [{"key": key, "operator": operator, "values": values}]});
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}, term]}}}})
        };
        let all = [json!({"operator": "Exists"})];
        for (spec, fits) in [
            (json!({}), true),
            (json!({"nodeSelector": {"a": "1"}}), true),
            (json!({"nodeSelector": {"a": "2"}}), false),
            (json!({"nodeName": "other"}), false),
            (term("matchExpressions", "a", "In", &["1", "2"]), true),
            (term("matchExpressions", "a", "NotIn", &["1"]), false),
            (term("matchExpressions", "b", "DoesNotExist", &[]), true),
            (term("matchExpressions", "size", "Gt", &["4"]), true),
            (term("matchExpressions", "size", "Lt", &["5"]), false),
            (term("matchFields", "metadata.name", "In", &["n"]), true),
        ] {
            assert_eq!(judge(&spec, &all, &node), Fit { may_come: fits, may_stay: fits }, "{spec}");
        }
        assert_eq!(judge(&json!({}), &[], &node), Fit { may_come: false, may_stay: true });
    }
}
