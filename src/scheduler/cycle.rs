//! One pod, one decision: prepare, filter, score, choose; nothing is written here.

use std::sync::Arc;

use super::cluster::Cluster;
use super::config::Profile;
use super::diagnosis::{Diagnosis, reasons};
use super::node::Node;
use super::plugin::{Filter, Prepared, Scorer, Verdict};
use super::plugins::{Mask, PLUGINS};
use super::pod::Pod;
use super::preempt::{self, Preemption};
use crate::base::entropy::Entropy;

/// What became of a pod.
#[derive(Debug)]
pub enum Decision {
    /// The place of its node.
    Bind(usize),
    Wait(Refusal),
}

/// Why it waits.
#[derive(Debug)]
pub struct Refusal {
    pub message: String,
    /// Who refused it.
    pub plugins: Mask,
    pub preemption: Preemption,
}

/// The filters that are ready for a pod.
#[derive(Default)]
pub struct Filters {
    pub ready: Vec<(Mask, Box<dyn Filter>)>,
    /// The places that come into question; `None`: all.
    nodes: Option<Vec<usize>>,
    /// Who limited them.
    limited_by: Vec<&'static str>,
}

/// Decides for one pod after another.
pub struct Cycle {
    entropy: Entropy,
    /// Where the last pod's look at the nodes ended.
    next: usize,
    scores: Vec<i64>,
}

impl Cycle {
    pub fn new(entropy: Entropy) -> Self {
        Self { entropy, next: 0, scores: Vec::new() }
    }

    pub fn decide(&mut self, cluster: &mut Cluster, pod: &Arc<Pod>, profile: &Profile) -> Decision {
        if cluster.size() == 0 {
            let message = "no nodes available to schedule pods".into();
            return Decision::Wait(Refusal { message, plugins: 0, preemption: Preemption::None });
        }
        let mut diagnosis = Diagnosis { nodes: cluster.size(), ..Diagnosis::default() };
        let Some(filters) = prepare(cluster, pod, &mut diagnosis) else {
            return self.refuse(cluster, pod, &Filters::default(), diagnosis);
        };
        let fitting = self.fitting(cluster, pod, &filters, profile, &mut diagnosis);
        match fitting.as_slice() {
            [] => self.refuse(cluster, pod, &filters, diagnosis),
            [only] => Decision::Bind(*only),
            _ => Decision::Bind(self.best(cluster, pod, profile, &fitting)),
        }
    }

    fn refuse(
        &mut self,
        cluster: &mut Cluster,
        pod: &Arc<Pod>,
        filters: &Filters,
        mut diagnosis: Diagnosis,
    ) -> Decision {
        let preemption = preempt::preempt(cluster, pod, filters, &diagnosis, &self.entropy);
        // Before preemption, stock asks the plugin of devices, which has nothing to free.
        if let Preemption::Useless(why) = &preemption {
            diagnosis.after = format!("no new claims to deallocate, preemption: {why}");
        }
        Decision::Wait(Refusal { message: diagnosis.message(), plugins: diagnosis.plugins, preemption })
    }

    /// Enough nodes on which the pod fits, beginning where the last look ended.
    fn fitting(
        &mut self,
        cluster: &Cluster,
        pod: &Pod,
        filters: &Filters,
        profile: &Profile,
        diagnosis: &mut Diagnosis,
    ) -> Vec<usize> {
        if let Some(node) = cluster.find(&pod.nominated).filter(|_| !pod.nominated.is_empty())
            && filters.allow(node.at)
            && check(cluster, pod, &filters.ready, node).1.fits()
        {
            return vec![node.at];
        }
        let order = cluster.order().clone();
        let nodes = match &filters.nodes {
            Some(nodes) => {
                diagnosis.others =
                    Some(format!("node(s) didn't satisfy plugin(s) [{}]", filters.limited_by.join(" ")).into());
                nodes
            }
            None => &*order,
        };
        let enough = profile.enough(nodes.len());
        let (mut fitting, mut looked) = (Vec::with_capacity(enough), 0);
        for step in 0..nodes.len() {
            if fitting.len() >= enough {
                break;
            }
            looked += 1;
            let at = nodes[(self.next + step) % nodes.len()];
            match check(cluster, pod, &filters.ready, cluster.node(at)) {
                (_, Verdict::Fits) => fitting.push(at),
                (plugin, refused) => {
                    diagnosis.plugins |= plugin;
                    diagnosis.refused.push((at, refused));
                }
            }
        }
        self.next = (self.next + looked) % order.len();
        fitting
    }

    /// The node with the highest score; one of them by chance.
    fn best(&mut self, cluster: &mut Cluster, pod: &Arc<Pod>, profile: &Profile, fitting: &[usize]) -> usize {
        let scorers: Vec<(i64, Box<dyn Scorer>)> = PLUGINS
            .iter()
            .filter_map(|plugin| plugin.score.as_ref())
            .filter_map(|score| Some((score.weight, (score.prepare)(cluster, pod, fitting, profile)?)))
            .collect();
        let nodes: Vec<&Node> = fitting.iter().map(|at| cluster.node(*at)).collect();
        let mut totals = vec![0; nodes.len()];
        for (weight, scorer) in scorers {
            self.scores.clear();
            scorer.scores(&nodes, &mut self.scores);
            assert_eq!(self.scores.len(), nodes.len(), "a score for each node");
            totals.iter_mut().zip(&self.scores).for_each(|(total, score)| *total += weight * score);
        }
        let most = totals.iter().copied().max().unwrap_or(0);
        let best: Vec<usize> = (0..totals.len()).filter(|at| totals[*at] == most).collect();
        fitting[best[self.entropy.below(best.len() as u64) as usize]]
    }
}

impl Filters {
    fn allow(&self, at: usize) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(&at))
    }
}

/// Asks the plugins what they have against the pod; `None`: one has something, and the diagnosis says it.
pub fn prepare(cluster: &mut Cluster, pod: &Arc<Pod>, diagnosis: &mut Diagnosis) -> Option<Filters> {
    let mut filters = Filters::default();
    for (number, plugin) in PLUGINS.iter().enumerate() {
        let Some(filter) = plugin.filter else { continue };
        match filter(cluster, pod) {
            Prepared::Skip => {}
            Prepared::Ready { filter, nodes } => {
                filters.ready.push((1 << number, filter));
                if let Some(names) = nodes {
                    let places = names.iter().filter_map(|name| cluster.find(name)).map(|node| node.at).collect();
                    filters.nodes = Some(places);
                    filters.limited_by.push(plugin.name);
                    diagnosis.plugins |= 1 << number;
                }
            }
            Prepared::Refused(verdict) => {
                diagnosis.plugins |= 1 << number;
                diagnosis.before = Some(reasons(&verdict).join(", "));
                return None;
            }
        }
    }
    Some(filters)
}

/// What the first plugin that refuses the node says, and which it is. Pods that shall go to the node are taken to be
/// there, and then not: the pod must fit either way.
pub fn check(cluster: &Cluster, pod: &Pod, filters: &[(Mask, Box<dyn Filter>)], node: &Node) -> (Mask, Verdict) {
    let nominated = cluster.nominated_before(&node.name, pod);
    if !nominated.is_empty() {
        let (mut node, mut filters) = (node.clone(), copied(filters));
        for other in nominated {
            filters.iter_mut().for_each(|(_, filter)| filter.moved(&other, &node, true));
            node.add(other);
        }
        let verdict = check_once(&filters, &node);
        if !verdict.1.fits() {
            return verdict;
        }
    }
    check_once(filters, node)
}

pub fn copied(filters: &[(Mask, Box<dyn Filter>)]) -> Vec<(Mask, Box<dyn Filter>)> {
    filters.iter().map(|(mask, filter)| (*mask, filter.copied())).collect()
}

fn check_once(filters: &[(Mask, Box<dyn Filter>)], node: &Node) -> (Mask, Verdict) {
    for (mask, filter) in filters {
        let verdict = filter.check(node);
        if !verdict.fits() {
            return (*mask, verdict);
        }
    }
    (0, Verdict::Fits)
}
