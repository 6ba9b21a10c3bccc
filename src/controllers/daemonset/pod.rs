//! A pod for one node.

use crate::controllers::history::HASH;
use crate::controllers::item::Item;
use crate::controllers::pods;
use crate::model::object;
use crate::model::value::{Value, json};

/// An annotation of the set and a label of its pods: the number of the template.
const GENERATION: &str = "deprecated.daemonset.template.generation";
pub const POD_GENERATION: &str = "pod-template-generation";

/// (taint, effect): pods of daemons come and stay all the same.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
const NETWORK: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

/// A pod of the set that the scheduler can only bring to this node.
pub fn on(set: &Item, template: &Value, node: &str, hash: &str) -> Value {
    let mut pod = pods::from_template(set, template);
    if let Some(generation) = generation(set) {
        pod["metadata"]["labels"][POD_GENERATION] = generation.into();
    }
    pod["metadata"]["labels"][HASH] = hash.into();
    pod["spec"]["tolerations"] = tolerations(&template["spec"]).into();
    let terms = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]);
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    pod["spec"]["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"] = terms;
    pod
}

pub fn generation(set: &Item) -> Option<&str> {
    object::annotation(&set.value, GENERATION)
}

/// What pods with this spec tolerate as a set's.
pub fn tolerations(spec: &Value) -> Vec<Value> {
    let mut all = spec["tolerations"].as_array().cloned().unwrap_or_default();
    let network = (spec["hostNetwork"] == true).then_some(NETWORK);
    for (key, effect) in TOLERATED.into_iter().chain(network) {
        let toleration = json!({"key": key, "operator": "Exists", "effect": effect});
        let is_it = |known: &&mut Value| {
            ["key", "operator", "effect"].iter().all(|field| known[*field] == toleration[*field])
                && known["value"].is_null()
        };
        match all.iter_mut().find(is_it) {
            Some(known) => *known = toleration,
            None => all.push(toleration),
        }
    }
    all
}
