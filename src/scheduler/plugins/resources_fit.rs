//! NodeResourcesFit: nodes that have what the pod asks for, and which of them is best.

use std::sync::Arc;

use crate::scheduler::config::Strategy;
use crate::scheduler::node::{Facts, Node};
use crate::scheduler::plugin::{
    Filter, Happening, MAX_SCORE, NODE, OWN, POD_LEFT, Plugin, Prepared, Reasons, Score, Scorer, Verdict,
};
use crate::scheduler::pod::Pod;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeResourcesFit",
    filter: Some(|_, pod| Prepared::ready(Room(pod.clone()))),
    score: Some(Score {
        weight: 1,
        prepare: |_, pod, _, profile| Some(Box::new(Rank { pod: pod.clone(), strategy: profile.strategy.clone() })),
    }),
    wants: NODE | POD_LEFT | OWN,
    helps: |pod, happening| match happening {
        Happening::NodeAdded(node) => fits_empty(pod, node.facts()),
        Happening::NodeChanged { old, new } => fits_empty(pod, new.facts()) && has_grown(pod, old, new.facts()),
        Happening::PodLeft(_) => true,
        Happening::PodChanged { old, new } => needs_less(pod, old, new),
        Happening::Own { old, new } => needs_less(new, old, new),
        _ => false,
    },
};

#[derive(Clone)]
struct Room(Arc<Pod>);

impl Filter for Room {
    fn check(&self, node: &Node) -> Verdict {
        let (asked, has, used) = (&self.0.requests, &node.facts().allocatable, &node.requested);
        let (mut reasons, mut is_final) = (Reasons::new(), false);
        if node.pods.len() as i64 + 1 > has.pods {
            reasons.push("Too many pods".into());
        }
        let mut judge = |asked: i64, has: i64, used: i64, reason: &dyn Fn() -> Reasons| {
            if asked > 0 && asked > has - used {
                reasons.extend(reason());
                is_final |= asked > has;
            }
        };
        judge(asked.cpu, has.cpu, used.cpu, &|| smallvec::smallvec!["Insufficient cpu".into()]);
        judge(asked.memory, has.memory, used.memory, &|| smallvec::smallvec!["Insufficient memory".into()]);
        judge(asked.ephemeral, has.ephemeral, used.ephemeral, &|| {
            smallvec::smallvec!["Insufficient ephemeral-storage".into()]
        });
        for (name, amount) in &asked.scalar {
            judge(*amount, has.scalar(name), used.scalar(name), &|| {
                smallvec::smallvec![format!("Insufficient {name}").into()]
            });
        }
        if reasons.is_empty() { Verdict::Fits } else { Verdict::Refused { reasons, is_final } }
    }
}

fn fits_empty(pod: &Pod, facts: &Facts) -> bool {
    let (asked, has) = (&pod.requests, &facts.allocatable);
    has.pods >= 1
        && asked.cpu <= has.cpu
        && asked.memory <= has.memory
        && asked.ephemeral <= has.ephemeral
        && asked.scalar.iter().all(|(name, amount)| *amount <= has.scalar(name))
}

/// Whether the node has more of something that the pod asks for.
fn has_grown(pod: &Pod, old: &Facts, new: &Facts) -> bool {
    let (asked, old, new) = (&pod.requests, &old.allocatable, &new.allocatable);
    new.pods > old.pods
        || (asked.cpu > 0 && new.cpu > old.cpu)
        || (asked.memory > 0 && new.memory > old.memory)
        || (asked.ephemeral > 0 && new.ephemeral > old.ephemeral)
        || asked.scalar.iter().any(|(name, amount)| *amount > 0 && new.scalar(name) > old.scalar(name))
}

/// Whether a pod has come to need less of something that `waiting` asks for.
fn needs_less(waiting: &Pod, old: &Pod, new: &Pod) -> bool {
    let (asked, old, new) = (&waiting.requests, &old.requests, &new.requests);
    let less = |asked: i64, old: i64, new: i64| (asked > 0 || asked < old) && new < old;
    less(asked.cpu, old.cpu, new.cpu)
        || less(asked.memory, old.memory, new.memory)
        || less(asked.ephemeral, old.ephemeral, new.ephemeral)
        || old.scalar.iter().any(|(name, amount)| new.scalar(name) < *amount)
}

struct Rank {
    pod: Arc<Pod>,
    strategy: Strategy,
}

impl Scorer for Rank {
    fn scores(&self, nodes: &[&Node], scores: &mut Vec<i64>) {
        scores.extend(nodes.iter().map(|node| {
            let has = &node.facts().allocatable;
            let (mut sum, mut resources) = (0, 0);
            for (at, has) in [has.cpu, has.memory].into_iter().enumerate() {
                if has == 0 {
                    continue;
                }
                let score = self.score(node.counted[at] + self.pod.counted[at], has);
                // A ratio of nothing counts for nothing, its weight included.
                if score > 0 || !matches!(self.strategy, Strategy::RequestedToCapacityRatio(_)) {
                    sum += score;
                    resources += 1;
                }
            }
            match (&self.strategy, resources) {
                (_, 0) => 0,
                (Strategy::RequestedToCapacityRatio(_), n) => (sum as f64 / f64::from(n)).round() as i64,
                (_, n) => sum / i64::from(n),
            }
        }));
    }
}

impl Rank {
    fn score(&self, asked: i64, has: i64) -> i64 {
        let part = |amount: i64| (i128::from(amount) * i128::from(MAX_SCORE) / i128::from(has)) as i64;
        match &self.strategy {
            Strategy::LeastAllocated => part((has - asked).max(0)),
            Strategy::MostAllocated => part(asked.min(has)),
            Strategy::RequestedToCapacityRatio(shape) => {
                broken_line(shape, if asked > has { MAX_SCORE } else { part(asked) })
            }
        }
    }
}

/// The line through these points, level before the first and after the last; scores to 10 become scores to 100.
fn broken_line(shape: &[(i64, i64)], at: i64) -> i64 {
    const SCALE: i64 = MAX_SCORE / 10;
    let Some(next) = shape.iter().position(|(utilization, _)| at <= *utilization) else {
        return shape.last().map_or(0, |(_, score)| score * SCALE);
    };
    let (right, high) = (shape[next].0, shape[next].1 * SCALE);
    if next == 0 {
        return high;
    }
    let (left, low) = (shape[next - 1].0, shape[next - 1].1 * SCALE);
    low + (high - low) * (at - left) / (right - left)
}
