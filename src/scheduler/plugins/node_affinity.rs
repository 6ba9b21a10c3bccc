//! NodeAffinity: nodes that the pod's selector and affinity match, and those that it prefers.

use std::sync::Arc;

use crate::scheduler::cluster::Cluster;
use crate::scheduler::node::Node;
use crate::scheduler::plugin::{Filter, Happening, NODE, Plugin, Prepared, Score, Scorer, Verdict, normalize};
use crate::scheduler::pod::Pod;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeAffinity",
    filter: Some(prepare),
    score: Some(Score {
        weight: 2,
        prepare: |_, pod, _, _| {
            if pod.preferred.is_empty() {
                return None;
            }
            Some(Box::new(Attached(pod.clone())))
        },
    }),
    wants: NODE,
    helps: |pod, happening| match happening {
        Happening::NodeAdded(node) => pod.required.matches(&node.name, node.labels()),
        Happening::NodeChanged { old, new } => {
            old.labels != *new.labels()
                && pod.required.matches(&new.name, new.labels())
                && !pod.required.matches(&new.name, &old.labels)
        }
        _ => false,
    },
};

#[derive(Clone)]
struct Attached(Arc<Pod>);

fn prepare(_: &mut Cluster, pod: &Arc<Pod>) -> Prepared {
    if pod.required.is_any() {
        return Prepared::Skip;
    }
    let nodes = pod.required.names();
    if nodes.as_ref().is_some_and(Vec::is_empty) {
        return Prepared::Refused(Verdict::hopeless("pod affinity terms conflict"));
    }
    Prepared::Ready { filter: Box::new(Attached(pod.clone())), nodes }
}

impl Filter for Attached {
    fn check(&self, node: &Node) -> Verdict {
        if self.0.required.matches(&node.name, node.labels()) {
            return Verdict::Fits;
        }
        Verdict::hopeless("node(s) didn't match Pod's node affinity/selector")
    }
}

impl Scorer for Attached {
    fn scores(&self, nodes: &[&Node], scores: &mut Vec<i64>) {
        scores.extend(nodes.iter().map(|node| {
            let matching = self.0.preferred.iter().filter(|(_, term)| term.matches(&node.name, node.labels()));
            matching.map(|(weight, _)| weight).sum::<i64>()
        }));
        normalize(scores, false);
    }
}
