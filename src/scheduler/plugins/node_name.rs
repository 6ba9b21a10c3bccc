//! NodeName: a pod that names its node.

use std::sync::Arc;

use crate::scheduler::node::Node;
use crate::scheduler::plugin::{Filter, Happening, NODE, NONE, Plugin, Prepared, Verdict};
use crate::scheduler::pod::Pod;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeName",
    filter: Some(|_, pod| if pod.node.is_empty() { Prepared::Skip } else { Prepared::ready(Named(pod.clone())) }),
    wants: NODE,
    helps: |_, happening| matches!(happening, Happening::NodeAdded(_)),
    ..NONE
};

#[derive(Clone)]
struct Named(Arc<Pod>);

impl Filter for Named {
    fn check(&self, node: &Node) -> Verdict {
        if self.0.node == node.name {
            return Verdict::Fits;
        }
        Verdict::hopeless("node(s) didn't match the requested node name")
    }
}
