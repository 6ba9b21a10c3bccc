//! VolumeRestrictions: disks that one node may mount once, and claims that one pod may use at a time.

use std::sync::Arc;

use compact_str::CompactString;

use crate::scheduler::cluster::Cluster;
use crate::scheduler::node::Node;
use crate::scheduler::plugin::{Filter, Happening, NODE, NONE, POD_LEFT, Plugin, Prepared, STORAGE, Verdict};
use crate::scheduler::pod::Pod;
use crate::scheduler::view::DiskView;
use crate::scheduler::volumes::modes;

pub const PLUGIN: Plugin = Plugin {
    name: "VolumeRestrictions",
    filter: Some(prepare),
    wants: NODE | POD_LEFT | STORAGE,
    helps: |pod, happening| match happening {
        Happening::NodeAdded(_) | Happening::Storage => true,
        Happening::PodLeft(other) => {
            shares_claim(pod, other) || pod.disks.iter().any(|disk| other.disks.iter().any(|used| clash(disk, used)))
        }
        _ => false,
    },
    ..NONE
};

#[derive(Clone)]
struct Restricted {
    pod: Arc<Pod>,
    /// Claims for one pod at a time that another has.
    in_use: usize,
    /// All of those.
    exclusive: Vec<CompactString>,
}

fn prepare(cluster: &mut Cluster, pod: &Arc<Pod>) -> Prepared {
    let is_exclusive = |name: &str| {
        let claim = cluster.lookup.get("", "persistentvolumeclaims", pod.namespace(), name);
        claim.is_some_and(|claim| modes(&claim).any(|mode| mode == "ReadWriteOncePod"))
    };
    let exclusive: Vec<_> =
        pod.claims.iter().map(|claim| claim.name.clone()).filter(|name| is_exclusive(name)).collect();
    if exclusive.is_empty() && pod.disks.is_empty() {
        return Prepared::Skip;
    }
    let mut restricted = Restricted { pod: pod.clone(), in_use: 0, exclusive };
    if !restricted.exclusive.is_empty() {
        let nodes = cluster.order().iter().map(|at| cluster.node(*at));
        restricted.in_use = nodes.flat_map(|node| &node.pods).map(|other| restricted.used_by(other)).sum();
    }
    Prepared::ready(restricted)
}

fn shares_claim(pod: &Pod, other: &Pod) -> bool {
    pod.namespace() == other.namespace()
        && pod.claims.iter().any(|claim| other.claims.iter().any(|used| used.name == claim.name))
}

impl Restricted {
    fn used_by(&self, other: &Pod) -> usize {
        if other.namespace() != self.pod.namespace() {
            return 0;
        }
        other.claims.iter().filter(|claim| self.exclusive.contains(&claim.name)).count()
    }
}

/// Whether both cannot be mounted on one node.
fn clash(disk: &DiskView, used: &DiskView) -> bool {
    let both_read = disk.read_only && used.read_only;
    let same = |a: &str, b: &str| !a.is_empty() && a == b;
    if !disk.volume_id.is_empty() {
        return disk.volume_id == used.volume_id;
    }
    let same_image = same(&disk.image, &used.image)
        && disk.pool == used.pool
        && disk.monitors.iter().any(|monitor| used.monitors.contains(monitor));
    (same(&disk.pd_name, &used.pd_name) || same(&disk.iqn, &used.iqn) || same_image) && !both_read
}

impl Filter for Restricted {
    fn check(&self, node: &Node) -> Verdict {
        let used = || node.pods.iter().flat_map(|pod| &pod.disks);
        if self.pod.disks.iter().any(|disk| used().any(|used| clash(disk, used))) {
            return Verdict::refused("node(s) had no available disk");
        }
        if self.in_use > 0 {
            return Verdict::refused(
                "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
            );
        }
        Verdict::Fits
    }

    fn moved(&mut self, pod: &Pod, _: &Node, has_come: bool) {
        let used = self.used_by(pod);
        self.in_use = if has_come { self.in_use + used } else { self.in_use.saturating_sub(used) };
    }
}
