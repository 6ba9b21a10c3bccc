//! What a kubelet may write to Node objects: its own only, without taints, owners, or labels that others trust.

use crate::admission::chain::Attributes;
use crate::model::gotext::quote;
use crate::model::status::Result;
use crate::model::value::{Map, Text, Value};

/// Labels for which kubelets have no say, though they may use other ones of their own making.
const RESTRICTED: &str = "node-restriction.kubernetes.io";
const KUBERNETES: [&str; 2] = ["kubernetes.io", "k8s.io"];
/// Kubernetes' labels that a kubelet does set.
const OWN: [&str; 11] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];
/// Prefixes of which it may set all.
const OWN_PREFIXES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

pub fn check(node: &str, a: &Attributes<'_>, object: &Value) -> Result<()> {
    let own = quote(node);
    if a.name != node {
        return Err(a.forbid(format!("node {own} is not allowed to modify node {}", quote(a.name))));
    }
    if a.creates() {
        if object["spec"]["configSource"].is_object() {
            let why = format!("node {own} is not allowed to create pods with a non-nil configSource");
            return Err(a.forbid(why));
        }
        let labels = forbidden(&Value::Null, object);
        if !labels.is_empty() {
            let why = format!("node {own} is not allowed to set the following labels: {}", labels.join(", "));
            return Err(a.forbid(why));
        }
    }
    let (true, Some(old)) = (a.updates(), a.old) else { return Ok(()) };
    let source = |object: &Value| object["spec"]["configSource"].clone();
    if source(object).is_object() && source(object) != source(old) {
        return Err(a.forbid(format!("node {own} is not allowed to update configSource to a new non-nil configSource")));
    }
    if list(&object["spec"]["taints"]) != list(&old["spec"]["taints"]) {
        return Err(a.forbid(format!("node {own} is not allowed to modify taints")));
    }
    if list(&object["metadata"]["ownerReferences"]) != list(&old["metadata"]["ownerReferences"]) {
        return Err(a.forbid(format!("node {own} is not allowed to modify ownerReferences")));
    }
    let labels = forbidden(old, object);
    if !labels.is_empty() {
        return Err(a.forbid(format!("is not allowed to modify labels: {}", labels.join(", "))));
    }
    Ok(())
}

/// The labels that differ though a kubelet may not touch them, sorted.
fn forbidden<'a>(old: &'a Value, new: &'a Value) -> Vec<&'a str> {
    let none = Map::new();
    let labels = |object: &'a Value| object["metadata"]["labels"].as_object();
    let (old, new) = (labels(old), labels(new));
    let changed = |from: Option<&'a Map>, to: Option<&'a Map>| {
        let to = to.cloned().unwrap_or_else(|| none.clone());
        let differs = move |(key, value): &(&'a Text, &'a Value)| to.get(key) != Some(*value);
        from.into_iter().flatten().filter(differs).map(|(key, _)| key.as_str()).collect::<Vec<_>>()
    };
    let mut keys = changed(new, old);
    keys.extend(changed(old, new));
    keys.retain(|key| !is_own(key));
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn is_own(label: &str) -> bool {
    let Some((prefix, _)) = label.split_once('/') else { return true };
    if is_within(prefix, RESTRICTED) {
        return false;
    }
    !KUBERNETES.iter().any(|domain| is_within(prefix, domain))
        || OWN.contains(&label)
        || OWN_PREFIXES.iter().any(|domain| is_within(prefix, domain))
}

/// Whether it is the domain, or one below it.
fn is_within(prefix: &str, domain: &str) -> bool {
    prefix.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn labels_that_others_trust_are_not_the_kubelets() {
        let node = |labels: Value| json!({"metadata": {"labels": labels}});
        let old = node(json!({"gone": "1", "team.k8s.io/gone": "1", "kubernetes.io/made-up": "same"}));
        let new = node(json!({
            "custom": "1", "example.com/x": "1", "kubernetes.io/hostname": "n", "kubernetes.io/made-up": "same",
            "node-restriction.kubernetes.io/x": "1", "a.node-restriction.kubernetes.io/x": "1", "k8s.io/x": "1",
            "kubelet.kubernetes.io/x": "1", "a.node.kubernetes.io/x": "1", "notkubernetes.io/x": "1",
        }));
        let expected =
            ["a.node-restriction.kubernetes.io/x", "k8s.io/x", "node-restriction.kubernetes.io/x", "team.k8s.io/gone"];
        assert_eq!(forbidden(&old, &new), expected);
        assert!(forbidden(&new, &new).is_empty());
    }
}
