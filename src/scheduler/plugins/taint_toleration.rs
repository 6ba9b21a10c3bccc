//! TaintToleration: keeps pods off nodes whose taints they do not tolerate, and prefers nodes with fewer soft ones.

use std::sync::Arc;

use crate::scheduler::node::Node;
use crate::scheduler::plugin::{Filter, Happening, NODE, OWN, Plugin, Prepared, Score, Scorer, Verdict, normalize};
use crate::scheduler::pod::Pod;
use crate::scheduler::terms::{HARD, tolerates, untolerated};

pub const PLUGIN: Plugin = Plugin {
    name: "TaintToleration",
    filter: Some(|_, pod| Prepared::ready(Tainted(pod.clone()))),
    score: Some(Score { weight: 3, prepare: |_, pod, _, _| Some(Box::new(Tainted(pod.clone()))) }),
    wants: NODE | OWN,
    helps: |pod, happening| match happening {
        Happening::NodeAdded(node) => is_open(pod, &node.facts().taints),
        Happening::NodeChanged { old, new } => !is_open(pod, &old.taints) && is_open(pod, &new.facts().taints),
        Happening::Own { old, new } => old.tolerations != new.tolerations,
        _ => false,
    },
};

#[derive(Clone)]
struct Tainted(Arc<Pod>);

fn is_open(pod: &Pod, taints: &[crate::scheduler::view::TaintView]) -> bool {
    untolerated(taints, &pod.tolerations, HARD).is_none()
}

impl Filter for Tainted {
    fn check(&self, node: &Node) -> Verdict {
        let taints = &node.facts().taints;
        if taints.is_empty() || is_open(&self.0, taints) {
            return Verdict::Fits;
        }
        Verdict::hopeless("node(s) had untolerated taint(s)")
    }
}

impl Scorer for Tainted {
    fn scores(&self, nodes: &[&Node], scores: &mut Vec<i64>) {
        let matters = |effect: &str| effect.is_empty() || effect == "PreferNoSchedule";
        let tolerations: Vec<_> = self.0.tolerations.iter().filter(|t| matters(&t.effect)).collect();
        scores.extend(nodes.iter().map(|node| {
            let soft = node.facts().taints.iter().filter(|taint| taint.effect == "PreferNoSchedule");
            soft.filter(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint))).count() as i64
        }));
        normalize(scores, true);
    }
}
