//! VolumeZone: volumes that say in which zone they are can be used there only.

use std::sync::Arc;

use crate::scheduler::cluster::Cluster;
use crate::scheduler::node::Node;
use crate::scheduler::plugin::{Filter, Happening, NODE, NONE, Plugin, Prepared, STORAGE, Verdict};
use crate::scheduler::pod::Pod;

/// (label of a volume, the same under its other name)
const LABELS: &[(&str, &str)] = &[
    ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
];

pub const PLUGIN: Plugin = Plugin {
    name: "VolumeZone",
    filter: Some(prepare),
    wants: NODE | STORAGE,
    helps: |_, happening| match happening {
        Happening::Storage | Happening::NodeAdded(_) => true,
        Happening::NodeChanged { old, new } => old.labels != *new.labels(),
        _ => false,
    },
    ..NONE
};

/// (label, its other name, the zones)
#[derive(Clone)]
struct Zones(Arc<Vec<(&'static str, &'static str, Vec<String>)>>);

fn prepare(cluster: &mut Cluster, pod: &Arc<Pod>) -> Prepared {
    let mut zones = Vec::new();
    for claim in &pod.claims {
        let claim = cluster.lookup.get("", "persistentvolumeclaims", pod.namespace(), &claim.name);
        let Some(name) = claim.as_ref().and_then(|claim| claim["spec"]["volumeName"].as_str()) else { continue };
        let Some(volume) = cluster.lookup.get("", "persistentvolumes", "", name) else { continue };
        for (label, other) in LABELS {
            if let Some(value) = volume["metadata"]["labels"][label].as_str() {
                zones.push((*label, *other, value.split("__").map(str::to_owned).collect()));
            }
        }
    }
    if zones.is_empty() { Prepared::Skip } else { Prepared::ready(Zones(Arc::new(zones))) }
}

impl Filter for Zones {
    fn check(&self, node: &Node) -> Verdict {
        let labels = node.labels();
        // A node that says nothing of zones takes every volume.
        let says = LABELS.iter().any(|(label, _)| labels.get(label).is_some());
        let is_there = |(label, other, zones): &(&str, &str, Vec<String>)| {
            let has = labels.get(label).or_else(|| labels.get(other));
            has.is_some_and(|has| zones.iter().any(|zone| zone == has))
        };
        if !says || self.0.iter().all(is_there) {
            return Verdict::Fits;
        }
        Verdict::hopeless("node(s) had no available volume zone")
    }
}
