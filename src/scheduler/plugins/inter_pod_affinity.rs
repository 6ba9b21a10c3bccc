//! InterPodAffinity: near some pods, away from others; what the pods that are there want of the new one, too.

use std::sync::Arc;

use compact_str::CompactString;

use crate::scheduler::cluster::Cluster;
use crate::scheduler::counters::{Clause, Matcher};
use crate::scheduler::node::Node;
use crate::scheduler::plugin::{
    Filter, Happening, MAX_SCORE, NODE, OWN, POD_CAME, POD_LEFT, Plugin, Prepared, Score, Scorer, Verdict,
};
use crate::scheduler::pod::Pod;
use crate::scheduler::terms::{Labels, PodTerm};
use crate::scheduler::topology::{NOWHERE, Topology};

pub const PLUGIN: Plugin = Plugin {
    name: "InterPodAffinity",
    filter: Some(prepare_filter),
    score: Some(Score { weight: 2, prepare: |cluster, pod, _, _| prepare_score(cluster, pod) }),
    wants: NODE | POD_CAME | POD_LEFT | OWN,
    helps,
};

/// What an affinity that existing pods require is worth to a pod that it speaks of.
const REQUIRED_WEIGHT: i64 = 1;

/// How often something is true of a domain.
#[derive(Clone)]
struct Tally {
    key: CompactString,
    topology: Arc<Topology>,
    counts: Vec<i64>,
}

impl Tally {
    fn new(cluster: &mut Cluster, key: &str) -> Self {
        let topology = cluster.topology(key);
        let counts = vec![0; topology.domains];
        Self { key: key.into(), topology, counts }
    }

    fn add(&mut self, node: &Node, by: i64) {
        let domain = self.topology.of(node);
        if domain != NOWHERE {
            self.counts[domain as usize] += by;
        }
    }

    /// `None`: the node is in no domain.
    fn of(&self, node: &Node) -> Option<i64> {
        self.counts.get(self.topology.of(node) as usize).copied()
    }

    fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }
}

/// One tally for each label key.
fn tally<'a>(tallies: &'a mut Vec<Tally>, cluster: &mut Cluster, key: &str) -> &'a mut Tally {
    let at = tallies.iter().position(|known| known.key == key).unwrap_or_else(|| {
        tallies.push(Tally::new(cluster, key));
        tallies.len() - 1
    });
    &mut tallies[at]
}

#[derive(Clone)]
struct Neighbours {
    pod: Arc<Pod>,
    of_namespace: Arc<Labels>,
    /// Of the pod's own terms; one for each.
    near: Vec<Tally>,
    near_matcher: Matcher,
    away: Vec<(Matcher, Tally)>,
    /// Where pods are that want the pod to stay away.
    unwelcome: Vec<Tally>,
    is_own_kind: bool,
}

fn clause(cluster: &Cluster, term: &PodTerm) -> Clause {
    Clause { namespaces: cluster.namespaces_of(term), selector: (*term.selector).clone() }
}

fn prepare_filter(cluster: &mut Cluster, pod: &Arc<Pod>) -> Prepared {
    let of_namespace = cluster.namespace(pod.namespace());
    let mut unwelcome = Vec::new();
    for (key, at) in unwelcoming(cluster, pod, &of_namespace) {
        let of_key = tally(&mut unwelcome, cluster, &key);
        of_key.add(cluster.node(at), 1);
    }
    let affinity = &pod.affinity;
    if unwelcome.iter().all(Tally::is_empty) && affinity.required.is_empty() && affinity.anti_required.is_empty() {
        return Prepared::Skip;
    }
    let clauses: Vec<_> = affinity.required.iter().map(|term| clause(cluster, term)).collect();
    let near_matcher = Matcher { clauses, skips_deleting: false };
    let near = affinity.required.iter().map(|term| counted(cluster, &near_matcher, &term.topology)).collect();
    let away = affinity.anti_required.iter().map(|term| {
        let matcher = Matcher { clauses: vec![clause(cluster, term)], skips_deleting: false };
        let tally = counted(cluster, &matcher, &term.topology);
        (matcher, tally)
    });
    let away = away.collect();
    let is_own_kind = near_matcher.matches(pod);
    Prepared::ready(Neighbours { pod: pod.clone(), of_namespace, near, near_matcher, away, unwelcome, is_own_kind })
}

/// (label key, node) of each pod that requires this one to stay away.
fn unwelcoming(cluster: &Cluster, pod: &Pod, of_namespace: &Labels) -> Vec<(CompactString, usize)> {
    let mut found = Vec::new();
    for node in cluster.lonely() {
        for other in &node.pods {
            for term in &other.affinity.anti_required {
                if term.matches(pod.namespace(), of_namespace, &pod.labels) {
                    found.push((term.topology.clone(), node.at));
                }
            }
        }
    }
    found
}

/// The pods that match, by domain.
fn counted(cluster: &mut Cluster, matcher: &Matcher, key: &str) -> Tally {
    let on_nodes = cluster.count(matcher);
    let mut tally = Tally::new(cluster, key);
    for (at, count) in on_nodes.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        tally.add(cluster.node(at), i64::from(count));
    }
    tally
}

impl Filter for Neighbours {
    fn check(&self, node: &Node) -> Verdict {
        if !self.is_near(node) {
            return Verdict::hopeless("node(s) didn't match pod affinity rules");
        }
        if self.away.iter().any(|(_, tally)| tally.of(node).is_some_and(|count| count > 0)) {
            return Verdict::refused("node(s) didn't match pod anti-affinity rules");
        }
        if self.unwelcome.iter().any(|tally| tally.of(node).is_some_and(|count| count > 0)) {
            return Verdict::refused("node(s) didn't satisfy existing pods anti-affinity rules");
        }
        Verdict::Fits
    }

    fn moved(&mut self, pod: &Pod, node: &Node, has_come: bool) {
        let by = if has_come { 1 } else { -1 };
        if !self.near.is_empty() && self.near_matcher.matches(pod) {
            self.near.iter_mut().for_each(|tally| tally.add(node, by));
        }
        for (matcher, tally) in &mut self.away {
            if matcher.matches(pod) {
                tally.add(node, by);
            }
        }
        for term in &pod.affinity.anti_required {
            if term.matches(self.pod.namespace(), &self.of_namespace, &self.pod.labels)
                && let Some(tally) = self.unwelcome.iter_mut().find(|tally| tally.key == term.topology)
            {
                tally.add(node, by);
            }
        }
    }
}

impl Neighbours {
    fn is_near(&self, node: &Node) -> bool {
        let mut all = true;
        for tally in &self.near {
            match tally.of(node) {
                None => return false,
                Some(count) => all &= count > 0,
            }
        }
        // The first of its kind has nobody to be near to.
        all || (self.is_own_kind && self.near.iter().all(Tally::is_empty))
    }
}

struct Liking(Vec<Tally>);

fn prepare_score(cluster: &mut Cluster, pod: &Arc<Pod>) -> Option<Box<dyn Scorer>> {
    let mut tallies = Vec::new();
    let of_namespace = cluster.namespace(pod.namespace());
    let own = [(&pod.affinity.preferred, 1), (&pod.affinity.anti_preferred, -1)];
    for (terms, sign) in own {
        for (weight, term) in terms {
            let matcher = Matcher { clauses: vec![clause(cluster, term)], skips_deleting: false };
            let on_nodes = cluster.count(&matcher);
            let of_key = tally(&mut tallies, cluster, &term.topology);
            for (at, count) in on_nodes.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                of_key.add(cluster.node(at), sign * weight * i64::from(count));
            }
        }
    }
    for (key, at, weight) in likings(cluster, pod, &of_namespace) {
        tally(&mut tallies, cluster, &key).add(cluster.node(at), weight);
    }
    if tallies.iter().all(Tally::is_empty) {
        return None;
    }
    Some(Box::new(Liking(tallies)))
}

/// (label key, node, weight) of what pods that are there say of this one.
fn likings(cluster: &Cluster, pod: &Pod, of_namespace: &Labels) -> Vec<(CompactString, usize, i64)> {
    let mut found = Vec::new();
    for node in cluster.affine() {
        for other in node.pods.iter().filter(|other| !other.affinity.is_empty()) {
            let affinity = &other.affinity;
            let required = affinity.required.iter().map(|term| (REQUIRED_WEIGHT, term));
            let preferred = affinity.preferred.iter().map(|(weight, term)| (*weight, term));
            let unwanted = affinity.anti_preferred.iter().map(|(weight, term)| (-*weight, term));
            for (weight, term) in required.chain(preferred).chain(unwanted) {
                if term.matches(pod.namespace(), of_namespace, &pod.labels) {
                    found.push((term.topology.clone(), node.at, weight));
                }
            }
        }
    }
    found
}

impl Scorer for Liking {
    fn scores(&self, nodes: &[&Node], scores: &mut Vec<i64>) {
        let sum = |node: &Node| self.0.iter().filter_map(|tally| tally.of(node)).sum::<i64>();
        scores.extend(nodes.iter().map(|node| sum(node)));
        let least = scores.iter().copied().min().unwrap_or(0);
        let span = scores.iter().copied().max().unwrap_or(0) - least;
        for score in scores {
            *score = if span > 0 { (MAX_SCORE as f64 * ((*score - least) as f64 / span as f64)) as i64 } else { 0 };
        }
    }
}

fn helps(pod: &Pod, happening: &Happening) -> bool {
    // A namespace that is chosen by its labels may be any one here: better once too often than never.
    let speaks = |terms: &[PodTerm], of: &Pod| {
        terms.iter().any(|term| {
            (term.by_labels.is_some() || term.namespaces.iter().any(|known| known == of.namespace()))
                && of.labels.match_by(&term.selector)
        })
    };
    let affinity = &pod.affinity;
    match happening {
        Happening::PodCame(other) => speaks(&affinity.required, other),
        Happening::PodLeft(other) => {
            speaks(&affinity.anti_required, other) || speaks(&other.affinity.anti_required, pod)
        }
        Happening::PodChanged { old, new } => {
            old.labels != new.labels && (speaks(&affinity.required, new) || speaks(&affinity.anti_required, old))
        }
        Happening::Own { old, new } => old.labels != new.labels,
        Happening::NodeAdded(node) => has_any(pod, node.labels()),
        Happening::NodeChanged { old, new } => old.labels != *new.labels() && has_any(pod, new.labels()),
        Happening::NodeDeleted(_) | Happening::Storage => false,
    }
}

/// Whether the node is in a domain that one of the pod's terms speaks of; without own terms others keep it away, and any
/// node may be free of them.
fn has_any(pod: &Pod, labels: &Labels) -> bool {
    let terms = || pod.affinity.required.iter().chain(&pod.affinity.anti_required);
    terms().next().is_none()
        || terms().any(|term| labels.get(&term.topology).is_some())
        || pod.affinity.required.is_empty()
}
