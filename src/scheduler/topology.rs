//! The domains of a topology: which nodes have the same value of a label.

use std::collections::HashMap;

use compact_str::CompactString;

use super::node::Node;

/// No domain: the node has no such label.
pub const NOWHERE: u32 = u32::MAX;
/// Label keys whose domains are kept at most.
const MAX_TOPOLOGIES: usize = 64;

/// The domains of one label.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// The domain of each node, by the node's place; [`NOWHERE`] without the label.
    pub by_node: Vec<u32>,
    /// How many domains there are; each number below has been one.
    pub domains: usize,
    numbers: HashMap<CompactString, u32>,
}

impl Topology {
    fn new(key: &str, nodes: &[Node]) -> Self {
        let mut all = Self::default();
        nodes.iter().for_each(|node| all.place(key, node));
        all
    }

    fn place(&mut self, key: &str, node: &Node) {
        if self.by_node.len() <= node.at {
            self.by_node.resize(node.at + 1, NOWHERE);
        }
        self.by_node[node.at] = match node.labels().get(key) {
            None => NOWHERE,
            Some(value) => match self.numbers.get(value) {
                Some(number) => *number,
                None => {
                    let number = self.domains as u32;
                    self.numbers.insert(value.into(), number);
                    self.domains += 1;
                    number
                }
            },
        };
    }

    pub fn of(&self, node: &Node) -> u32 {
        self.by_node.get(node.at).copied().unwrap_or(NOWHERE)
    }
}

#[derive(Default)]
pub struct Topologies(HashMap<CompactString, std::sync::Arc<Topology>>);

impl Topologies {
    pub fn of(&mut self, key: &str, nodes: &[Node]) -> std::sync::Arc<Topology> {
        if let Some(known) = self.0.get(key) {
            return known.clone();
        }
        if self.0.len() >= MAX_TOPOLOGIES {
            self.0.clear();
        }
        let made = std::sync::Arc::new(Topology::new(key, nodes));
        self.0.insert(key.into(), made.clone());
        made
    }

    /// The node's labels have changed.
    pub fn placed(&mut self, node: &Node) {
        for (key, topology) in &mut self.0 {
            std::sync::Arc::make_mut(topology).place(key, node);
        }
    }

    /// Forgets all, when values that nobody has any more have piled up.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}
