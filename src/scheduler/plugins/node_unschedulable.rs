//! NodeUnschedulable: nodes that take no new pods, unless they tolerate the taint of such a node.

use crate::scheduler::node::Node;
use crate::scheduler::plugin::{Filter, Happening, NODE, NONE, OWN, Plugin, Prepared, Verdict};
use crate::scheduler::pod::Pod;
use crate::scheduler::terms::tolerates;
use crate::scheduler::view::TaintView;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeUnschedulable",
    filter: Some(|_, pod| if is_tolerant(pod) { Prepared::Skip } else { Prepared::ready(Closed) }),
    wants: NODE | OWN,
    helps: |_, happening| match happening {
        Happening::NodeAdded(node) => !node.facts().is_unschedulable,
        Happening::NodeChanged { old, new } => old.is_unschedulable && !new.facts().is_unschedulable,
        Happening::Own { new, .. } => is_tolerant(new),
        _ => false,
    },
    ..NONE
};

#[derive(Clone)]
struct Closed;

impl Filter for Closed {
    fn check(&self, node: &Node) -> Verdict {
        if !node.facts().is_unschedulable {
            return Verdict::Fits;
        }
        Verdict::hopeless("node(s) were unschedulable")
    }
}

fn is_tolerant(pod: &Pod) -> bool {
    let taint =
        TaintView { key: "node.kubernetes.io/unschedulable".into(), value: String::new(), effect: "NoSchedule".into() };
    pod.tolerations.iter().any(|toleration| tolerates(toleration, &taint))
}
