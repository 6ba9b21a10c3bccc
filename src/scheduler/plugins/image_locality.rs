//! ImageLocality: prefers nodes that have the pod's images already; one that few nodes have counts less, so that not all
//! pods go there.

use compact_str::CompactString;

use crate::scheduler::node::Node;
use crate::scheduler::plugin::{MAX_SCORE, NONE, Plugin, Score, Scorer};

const MEBI: i64 = 1 << 20;
/// Less than this on a node counts as nothing.
const LEAST: i64 = 23 * MEBI;
/// More than this for each container counts no more.
const MOST: i64 = 1000 * MEBI;

pub const PLUGIN: Plugin = Plugin {
    name: "ImageLocality",
    score: Some(Score {
        weight: 1,
        prepare: |cluster, pod, _, _| {
            let spread = |name: &CompactString| cluster.image_spread(name) as f64 / cluster.size() as f64;
            let known = pod.images.iter().map(|name| (name.clone(), spread(name)));
            let images: Vec<_> = known.filter(|(_, spread)| *spread > 0.0).collect();
            if images.is_empty() {
                return None;
            }
            Some(Box::new(Local { images, containers: pod.containers as i64 }))
        },
    }),
    ..NONE
};

struct Local {
    /// (name, part of the nodes that have it)
    images: Vec<(CompactString, f64)>,
    containers: i64,
}

impl Scorer for Local {
    fn scores(&self, nodes: &[&Node], scores: &mut Vec<i64>) {
        let most = MOST * self.containers;
        scores.extend(nodes.iter().map(|node| {
            let there = self
                .images
                .iter()
                .filter_map(|(name, spread)| node.facts().images.get(name).map(|size| (*size as f64 * spread) as i64));
            MAX_SCORE * (there.sum::<i64>().clamp(LEAST, most) - LEAST) / (most - LEAST)
        }));
    }
}
