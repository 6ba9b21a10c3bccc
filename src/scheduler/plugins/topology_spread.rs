//! PodTopologySpread: pods that a selector matches, spread over the domains of a topology. Without constraints of its own
//! a pod is spread over nodes and zones softly, together with the pods of its services and controller.

use std::sync::Arc;

use crate::model::selector::label::Selector;
use crate::scheduler::cluster::Cluster;
use crate::scheduler::counters::{Clause, Matcher};
use crate::scheduler::node::{HOSTNAME, Node, ZONE};
use crate::scheduler::plugin::{
    Filter, Happening, MAX_SCORE, NODE, OWN, POD_CAME, POD_LEFT, Plugin, Prepared, Score, Scorer, Verdict,
};
use crate::scheduler::pod::{Pod, Spread};
use crate::scheduler::terms::{HARD, untolerated};
use crate::scheduler::topology::{NOWHERE, Topology};

pub const PLUGIN: Plugin = Plugin {
    name: "PodTopologySpread",
    filter: Some(prepare_filter),
    score: Some(Score { weight: 2, prepare: |cluster, pod, nodes, _| prepare_score(cluster, pod, nodes) }),
    wants: NODE | POD_CAME | POD_LEFT | OWN,
    helps,
};

const MISMATCH: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

/// A hard constraint and how its pods are spread now.
#[derive(Clone)]
struct Hard {
    spread: Spread,
    topology: Arc<Topology>,
    /// Pods of each domain.
    counts: Vec<u32>,
    /// Whether any node of the domain counts.
    exists: Vec<bool>,
    least: u32,
    /// Whether the pod itself is counted.
    itself: bool,
}

#[derive(Clone)]
struct Skew {
    pod: Arc<Pod>,
    constraints: Vec<Hard>,
}

fn prepare_filter(cluster: &mut Cluster, pod: &Arc<Pod>) -> Prepared {
    let hard: Vec<_> = pod.spread.iter().filter(|spread| spread.is_hard).cloned().collect();
    if hard.is_empty() {
        return Prepared::Skip;
    }
    let topologies: Vec<_> = hard.iter().map(|spread| cluster.topology(&spread.topology)).collect();
    let constraints = hard.into_iter().zip(&topologies).map(|(spread, topology)| {
        let on_nodes = cluster.count(&matcher(pod, &spread.selector));
        let mut counts = vec![0; topology.domains];
        let mut exists = vec![false; topology.domains];
        for at in cluster.order().iter() {
            let node = cluster.node(*at);
            if topologies.iter().all(|topology| topology.of(node) != NOWHERE) && counts_node(pod, &spread, node) {
                let domain = topology.of(node) as usize;
                counts[domain] += on_nodes[*at];
                exists[domain] = true;
            }
        }
        let itself = pod.labels.match_by(&spread.selector);
        let mut hard = Hard { spread, topology: topology.clone(), counts, exists, least: 0, itself };
        hard.weigh();
        hard
    });
    let constraints = constraints.collect();
    Prepared::ready(Skew { pod: pod.clone(), constraints })
}

fn matcher(pod: &Pod, selector: &Selector) -> Matcher {
    let clause = Clause { namespaces: vec![pod.namespace().into()], selector: selector.clone() };
    Matcher { clauses: vec![clause], skips_deleting: true }
}

/// Whether the pods of this node are counted.
fn counts_node(pod: &Pod, spread: &Spread, node: &Node) -> bool {
    (!spread.honors_affinity || pod.required.is_any() || pod.required.matches(&node.name, node.labels()))
        && (!spread.honors_taints || untolerated(&node.facts().taints, &pod.tolerations, HARD).is_none())
}

impl Hard {
    /// Finds the domain with the fewest pods.
    fn weigh(&mut self) {
        let there = self.exists.iter().filter(|exists| **exists).count();
        let counts = self.counts.iter().zip(&self.exists).filter(|(_, exists)| **exists);
        let least = counts.map(|(count, _)| *count).min().unwrap_or(0);
        self.least = if (there as i64) < self.spread.min_domains { 0 } else { least };
    }
}

impl Filter for Skew {
    fn check(&self, node: &Node) -> Verdict {
        for hard in &self.constraints {
            let domain = hard.topology.of(node);
            if domain == NOWHERE {
                return Verdict::hopeless(NO_LABEL);
            }
            let matching = hard.counts.get(domain as usize).copied().unwrap_or(0);
            let skew = i64::from(matching) + i64::from(hard.itself) - i64::from(hard.least);
            if skew > hard.spread.max_skew {
                return Verdict::refused(MISMATCH);
            }
        }
        Verdict::Fits
    }

    fn moved(&mut self, pod: &Pod, node: &Node, has_come: bool) {
        if pod.namespace() != self.pod.namespace()
            || self.constraints.iter().any(|hard| hard.topology.of(node) == NOWHERE)
        {
            return;
        }
        for hard in &mut self.constraints {
            if !pod.labels.match_by(&hard.spread.selector) || !counts_node(&self.pod, &hard.spread, node) {
                continue;
            }
            let count = &mut hard.counts[hard.topology.of(node) as usize];
            *count = if has_come { *count + 1 } else { count.saturating_sub(1) };
            hard.weigh();
        }
    }
}

/// A soft constraint and how its pods are spread now.
struct Soft {
    topology: Arc<Topology>,
    max_skew: i64,
    /// The more domains, the more weight.
    weight: f64,
    counts: Counts,
}

enum Counts {
    /// By the node's place.
    OfNodes(Vec<u32>),
    OfDomains(Vec<u32>),
}

struct Evenness {
    constraints: Vec<Soft>,
    /// Nodes without one of the labels get nothing.
    needs_all: bool,
}

fn prepare_score(cluster: &mut Cluster, pod: &Arc<Pod>, nodes: &[usize]) -> Option<Box<dyn Scorer>> {
    let needs_all = !pod.spread.is_empty();
    let soft = if needs_all {
        pod.spread.iter().filter(|spread| !spread.is_hard).cloned().collect()
    } else {
        usual_constraints(cluster, pod)
    };
    if soft.is_empty() {
        return None;
    }
    let topologies: Vec<_> = soft.iter().map(|spread| cluster.topology(&spread.topology)).collect();
    let is_placed = |node: &Node| topologies.iter().all(|topology| topology.of(node) != NOWHERE);
    let candidates: Vec<_> = nodes.iter().copied().filter(|at| !needs_all || is_placed(cluster.node(*at))).collect();
    let constraints = soft.iter().zip(&topologies).map(|(spread, topology)| {
        let on_nodes = cluster.count(&matcher(pod, &spread.selector));
        let is_by_node = spread.topology == HOSTNAME;
        let (counts, domains) = if is_by_node {
            (Counts::OfNodes(on_nodes), candidates.len())
        } else {
            let chosen = domains_of(&candidates, cluster, topology);
            let mut counts = vec![0; topology.domains];
            for at in cluster.order().iter() {
                let node = cluster.node(*at);
                let domain = topology.of(node);
                let is_chosen = domain != NOWHERE && chosen.0[domain as usize];
                if is_chosen && (!needs_all || is_placed(node)) && counts_node(pod, spread, node) {
                    counts[domain as usize] += on_nodes[*at];
                }
            }
            (Counts::OfDomains(counts), chosen.1)
        };
        let weight = ((domains + 2) as f64).ln();
        Soft { topology: topology.clone(), max_skew: spread.max_skew, weight, counts }
    });
    let constraints = constraints.collect();
    Some(Box::new(Evenness { constraints, needs_all }))
}

/// (whether each domain has a candidate, how many have; nodes without the label count as one).
fn domains_of(candidates: &[usize], cluster: &Cluster, topology: &Topology) -> (Vec<bool>, usize) {
    let mut chosen = vec![false; topology.domains];
    let mut without = false;
    for at in candidates {
        match topology.of(cluster.node(*at)) {
            NOWHERE => without = true,
            domain => chosen[domain as usize] = true,
        }
    }
    let count = chosen.iter().filter(|chosen| **chosen).count() + usize::from(without);
    (chosen, count)
}

/// What a pod without constraints gets: over nodes and zones, with the pods of its services and controller.
fn usual_constraints(cluster: &Cluster, pod: &Arc<Pod>) -> Vec<Spread> {
    let mut requirements: Vec<_> = Vec::new();
    for labels in cluster.services_of(pod) {
        let map = labels.iter().collect();
        for requirement in Selector::of_labels(&map).requirements() {
            if !requirements.contains(requirement) {
                requirements.push(requirement.clone());
            }
        }
    }
    if let Some(selector) = cluster.lookup.controller_selector(pod) {
        requirements.extend(selector.requirements().iter().cloned());
    }
    if requirements.is_empty() {
        return Vec::new();
    }
    let selector = Selector::new(requirements);
    let soft = |topology: &str, max_skew| Spread {
        topology: topology.into(),
        max_skew,
        is_hard: false,
        min_domains: 1,
        selector: selector.clone(),
        honors_affinity: true,
        honors_taints: false,
    };
    vec![soft(HOSTNAME, 3), soft(ZONE, 5)]
}

impl Scorer for Evenness {
    fn scores(&self, nodes: &[&Node], scores: &mut Vec<i64>) {
        let raw: Vec<Option<i64>> = nodes.iter().map(|node| self.raw(node)).collect();
        let least = raw.iter().flatten().copied().min().unwrap_or(0);
        let most = raw.iter().flatten().copied().max().unwrap_or(0);
        scores.extend(raw.into_iter().map(|score| match score {
            None => 0,
            Some(_) if most == 0 => MAX_SCORE,
            Some(score) => MAX_SCORE * (most + least - score) / most,
        }));
    }
}

impl Evenness {
    /// How crowded the node's domains are; `None`: it lacks a label that it needs.
    fn raw(&self, node: &Node) -> Option<i64> {
        let mut sum = 0.0;
        for soft in &self.constraints {
            let domain = soft.topology.of(node);
            if domain == NOWHERE {
                if self.needs_all {
                    return None;
                }
                continue;
            }
            let count = match &soft.counts {
                Counts::OfNodes(counts) => counts.get(node.at),
                Counts::OfDomains(counts) => counts.get(domain as usize),
            };
            sum += f64::from(count.copied().unwrap_or(0)) * soft.weight + (soft.max_skew - 1) as f64;
        }
        Some(sum.round() as i64)
    }
}

fn helps(pod: &Pod, happening: &Happening) -> bool {
    let counts = |other: &Pod| {
        other.namespace() == pod.namespace()
            && pod.spread.iter().any(|spread| spread.is_hard && other.labels.match_by(&spread.selector))
    };
    let has_all = |labels: &crate::scheduler::terms::Labels| {
        pod.spread.iter().filter(|spread| spread.is_hard).all(|spread| labels.get(&spread.topology).is_some())
    };
    match happening {
        Happening::PodCame(other) | Happening::PodLeft(other) => counts(other),
        Happening::PodChanged { old, new } => {
            (old.labels != new.labels && (counts(old) || counts(new)))
                || (!old.is_deleting && new.is_deleting && counts(new))
        }
        Happening::Own { old, new } => old.labels != new.labels,
        Happening::NodeAdded(node) => has_all(node.labels()),
        Happening::NodeDeleted(facts) => has_all(&facts.labels),
        Happening::NodeChanged { old, new } => {
            let now = &new.facts();
            (old.labels != now.labels && (has_all(&old.labels) || has_all(&now.labels))) || old.taints != now.taints
        }
        Happening::Storage => false,
    }
}
