//! How many pods of each node some selectors match, kept up to date by every pod that comes or goes: so that spreading and
//! affinity cost as much as there are nodes, not as there are pods.

use std::collections::HashMap;
use std::fmt::Write;

use compact_str::CompactString;

use super::node::Node;
use super::pod::Pod;
use crate::model::selector::label::Selector;

/// Selectors that are counted at most; the one that was not asked for longest goes first.
const MAX_COUNTERS: usize = 256;

/// Which pods are counted: those in one of the namespaces of a clause that its selector matches, for all clauses.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub clauses: Vec<Clause>,
    /// Pods that are about to end do not count.
    pub skips_deleting: bool,
}

#[derive(Clone, Debug)]
pub struct Clause {
    /// Sorted.
    pub namespaces: Vec<CompactString>,
    pub selector: Selector,
}

impl Matcher {
    pub fn matches(&self, pod: &Pod) -> bool {
        !(self.skips_deleting && pod.is_deleting)
            && self.clauses.iter().all(|clause| {
                clause.namespaces.iter().any(|known| known == pod.namespace()) && pod.labels.match_by(&clause.selector)
            })
    }

    fn key(&self) -> String {
        let mut key = String::new();
        for clause in &self.clauses {
            // A String takes everything.
            let _ = write!(key, "{:?}{:?};", clause.namespaces, clause.selector);
        }
        let _ = write!(key, "{}", self.skips_deleting);
        key
    }
}

struct Counter {
    matcher: Matcher,
    by_node: Vec<u32>,
    asked: u64,
}

#[derive(Default)]
pub struct Counters {
    known: HashMap<String, Counter>,
    clock: u64,
}

impl Counters {
    /// How many pods of each node match, by the node's place.
    pub fn count(&mut self, matcher: &Matcher, nodes: &[Node]) -> &[u32] {
        let key = matcher.key();
        self.clock += 1;
        if !self.known.contains_key(&key) {
            self.make_room();
            let count = |node: &Node| node.pods.iter().filter(|pod| matcher.matches(pod)).count() as u32;
            let by_node = nodes.iter().map(count).collect();
            self.known.insert(key.clone(), Counter { matcher: matcher.clone(), by_node, asked: 0 });
        }
        let counter = self.known.get_mut(&key).expect("just put there");
        counter.asked = self.clock;
        counter.by_node.resize(nodes.len(), 0);
        &counter.by_node
    }

    fn make_room(&mut self) {
        if self.known.len() < MAX_COUNTERS {
            return;
        }
        let oldest = self.known.iter().min_by_key(|(_, counter)| counter.asked).map(|(key, _)| key.clone());
        oldest.and_then(|key| self.known.remove(&key));
    }

    /// The pod came to this node, or left it.
    pub fn moved(&mut self, pod: &Pod, at: usize, has_come: bool) {
        for counter in self.known.values_mut().filter(|counter| counter.matcher.matches(pod)) {
            if counter.by_node.len() <= at {
                counter.by_node.resize(at + 1, 0);
            }
            let count = &mut counter.by_node[at];
            *count = if has_come { *count + 1 } else { count.saturating_sub(1) };
        }
    }
}
