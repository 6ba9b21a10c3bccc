//! NodeResourcesBalancedAllocation: prefers nodes whose cpu and memory the pod would make more evenly used.

use std::sync::Arc;

use crate::scheduler::node::Node;
use crate::scheduler::plugin::{MAX_SCORE, NONE, Plugin, Score, Scorer};
use crate::scheduler::pod::Pod;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeResourcesBalancedAllocation",
    score: Some(Score {
        weight: 1,
        prepare: |_, pod, _, _| {
            if pod.requests.cpu == 0 && pod.requests.memory == 0 {
                return None;
            }
            Some(Box::new(Balance(pod.clone())))
        },
    }),
    ..NONE
};

struct Balance(Arc<Pod>);

impl Scorer for Balance {
    fn scores(&self, nodes: &[&Node], scores: &mut Vec<i64>) {
        let asked = [self.0.requests.cpu, self.0.requests.memory];
        scores.extend(nodes.iter().map(|node| {
            let has = &node.facts().allocatable;
            let has = [has.cpu, has.memory];
            let before = [node.requested.cpu, node.requested.memory];
            let after = [before[0] + asked[0], before[1] + asked[1]];
            MAX_SCORE / 2 + (MAX_SCORE / 2 + evenness(after, has) - evenness(before, has)) / 2
        }));
    }
}

/// 100 when all is used alike, 50 at worst.
fn evenness(used: [i64; 2], has: [i64; 2]) -> i64 {
    if has.contains(&0) {
        return MAX_SCORE;
    }
    let part = |at: usize| (used[at] as f64 / has[at] as f64).min(1.0);
    let deviation = ((part(0) - part(1)) / 2.0).abs();
    ((1.0 - deviation) * MAX_SCORE as f64) as i64
}
