//! NodeVolumeLimits: how many volumes of a driver a node can attach, as its CSINode says.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::value::Value;
use crate::scheduler::cluster::Cluster;
use crate::scheduler::lookup::Lookup;
use crate::scheduler::node::Node;
use crate::scheduler::plugin::{Filter, Happening, NODE, NONE, POD_LEFT, Plugin, Prepared, STORAGE, Verdict};
use crate::scheduler::pod::Pod;
use crate::scheduler::volumes::class_of;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeVolumeLimits",
    filter: Some(prepare),
    wants: NODE | POD_LEFT | STORAGE,
    helps: |_, happening| match happening {
        Happening::NodeAdded(_) | Happening::Storage => true,
        Happening::PodLeft(other) => !other.claims.is_empty(),
        _ => false,
    },
    ..NONE
};

/// (driver, volume)
type Attached = BTreeSet<(String, String)>;

#[derive(Clone)]
struct Limited {
    lookup: Lookup,
    wanted: Attached,
}

fn prepare(cluster: &mut Cluster, pod: &Arc<Pod>) -> Prepared {
    let wanted = attached(&cluster.lookup, pod);
    if wanted.is_empty() {
        return Prepared::Skip;
    }
    Prepared::ready(Limited { lookup: cluster.lookup.clone(), wanted })
}

/// The volumes of a pod that a driver attaches. A claim without a volume counts as one that is made for it.
fn attached(lookup: &Lookup, pod: &Pod) -> Attached {
    let mut all = Attached::new();
    for claim in &pod.claims {
        let Some(claim) = lookup.get("", "persistentvolumeclaims", pod.namespace(), &claim.name) else { continue };
        let name = claim["spec"]["volumeName"].as_str().unwrap_or("");
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        if name.is_empty() {
            let class = lookup.get("storage.k8s.io", "storageclasses", "", class_of(&claim));
            let Some(class) = class else { continue };
            let own = format!("{}/{}", pod.namespace(), text(&claim["metadata"]["name"]));
            all.insert((text(&class["provisioner"]), own));
        } else if let Some(volume) = lookup.get("", "persistentvolumes", "", name) {
            let source = &volume["spec"]["csi"];
            if source.is_object() {
                all.insert((text(&source["driver"]), text(&source["volumeHandle"])));
            }
        }
    }
    all
}

impl Filter for Limited {
    fn check(&self, node: &Node) -> Verdict {
        let Some(info) = self.lookup.get("storage.k8s.io", "csinodes", "", &node.name) else { return Verdict::Fits };
        let drivers = info["spec"]["drivers"].as_array().into_iter().flatten();
        let limits: Vec<(&str, i64)> = drivers
            .filter_map(|driver| Some((driver["name"].as_str()?, driver["allocatable"]["count"].as_i64()?)))
            .filter(|(name, _)| self.wanted.iter().any(|(driver, _)| driver == name))
            .collect();
        if limits.is_empty() {
            return Verdict::Fits;
        }
        let mut all: Attached =
            node.pods.iter().filter(|pod| !pod.claims.is_empty()).flat_map(|pod| attached(&self.lookup, pod)).collect();
        let before = all.len();
        all.extend(self.wanted.iter().cloned());
        let is_over =
            |(name, limit): &(&str, i64)| all.iter().filter(|(driver, _)| driver == name).count() as i64 > *limit;
        // Volumes that are attached already need nothing more.
        if all.len() > before && limits.iter().any(is_over) {
            return Verdict::refused("node(s) exceed max volume count");
        }
        Verdict::Fits
    }
}
