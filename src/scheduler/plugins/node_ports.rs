//! NodePorts: each port of a node is taken once.

use std::sync::Arc;

use crate::scheduler::node::Node;
use crate::scheduler::plugin::{Filter, Happening, NODE, NONE, POD_LEFT, Plugin, Prepared, Verdict};
use crate::scheduler::pod::Pod;

pub const PLUGIN: Plugin = Plugin {
    name: "NodePorts",
    filter: Some(|_, pod| if pod.ports.is_empty() { Prepared::Skip } else { Prepared::ready(Ports(pod.clone())) }),
    wants: NODE | POD_LEFT,
    helps: |pod, happening| match happening {
        Happening::NodeAdded(_) => true,
        Happening::PodLeft(other) => pod.ports.iter().any(|port| other.ports.iter().any(|taken| port.collides(taken))),
        _ => false,
    },
    ..NONE
};

#[derive(Clone)]
struct Ports(Arc<Pod>);

impl Filter for Ports {
    fn check(&self, node: &Node) -> Verdict {
        if !self.0.ports.iter().any(|port| node.ports.iter().any(|taken| port.collides(taken))) {
            return Verdict::Fits;
        }
        Verdict::refused("node(s) didn't have free ports for the requested pod ports")
    }
}
