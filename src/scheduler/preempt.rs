//! DefaultPreemption: which pods must go so that a more important one has room.

use std::cmp::Reverse;
use std::sync::Arc;

use compact_str::CompactString;

use super::cluster::Cluster;
use super::cycle::{Filters, check, copied};
use super::diagnosis::Diagnosis;
use super::lookup::Lookup;
use super::node::Node;
use super::plugin::{Filter, Verdict};
use super::plugins::Mask;
use super::pod::Pod;
use super::terms::selector;
use crate::base::entropy::Entropy;
use crate::model::selector::label::Selector;
use crate::model::value::Value;

/// At least so many nodes are tried, and so much of all in percent.
const FEWEST: usize = 100;
const FEWEST_PERCENT: usize = 10;

/// What came of it.
#[derive(Debug)]
pub enum Preemption {
    /// Nobody was asked.
    None,
    /// Why it does not help.
    Useless(String),
    /// These pods shall go from this node.
    Victims { node: CompactString, pods: Vec<Arc<Pod>> },
}

/// A node, and who would have to go.
struct Candidate {
    node: CompactString,
    /// The most important first.
    victims: Vec<Arc<Pod>>,
    /// Victims that a disruption budget protects.
    protected: usize,
}

/// Finds the pods that must go for this one.
pub fn preempt(
    cluster: &Cluster,
    pod: &Arc<Pod>,
    filters: &Filters,
    diagnosis: &Diagnosis,
    entropy: &Entropy,
) -> Preemption {
    if let Some(why) = not_eligible(cluster, pod, diagnosis) {
        return Preemption::Useless(why.into());
    }
    let nodes = diagnosis.helped_by_fewer_pods();
    let budgets = if nodes.is_empty() { Vec::new() } else { budgets(&cluster.lookup) };
    let wanted = (nodes.len() * FEWEST_PERCENT / 100).max(FEWEST).min(nodes.len());
    let offset = entropy.below(nodes.len() as u64) as usize;
    let mut said = Diagnosis {
        nodes: cluster.size(),
        others: Some("Preemption is not helpful for scheduling".into()),
        ..Diagnosis::default()
    };
    let mut candidates: Vec<Candidate> = Vec::new();
    for step in 0..nodes.len() {
        let node = cluster.node(nodes[(offset + step) % nodes.len()]);
        match victims(cluster, pod, &filters.ready, node, &budgets) {
            Ok(candidate) => candidates.push(candidate),
            Err(verdict) => said.refused.push((node.at, verdict)),
        }
        if candidates.len() >= wanted && candidates.iter().any(|candidate| candidate.protected == 0) {
            break;
        }
    }
    match best(candidates) {
        Some(best) => Preemption::Victims { node: best.node, pods: best.victims },
        None => Preemption::Useless(said.message()),
    }
}

fn not_eligible(cluster: &Cluster, pod: &Pod, diagnosis: &Diagnosis) -> Option<&'static str> {
    if pod.is_polite {
        return Some("not eligible due to preemptionPolicy=Never.");
    }
    let node = cluster.find(&pod.nominated)?;
    let verdict = diagnosis.refused.iter().find(|(at, _)| *at == node.at).map(|(_, verdict)| verdict);
    if matches!(verdict, Some(Verdict::Refused { is_final: true, .. })) {
        return None;
    }
    let is_leaving = |other: &&Arc<Pod>| other.priority < pod.priority && other.is_deleting && other.is_preempted;
    node.pods.iter().find(is_leaving).map(|_| "not eligible due to a terminating pod on the nominated node.")
}

/// The fewest and least important pods that must go from this node; or why that would not help.
fn victims(
    cluster: &Cluster,
    pod: &Arc<Pod>,
    filters: &[(Mask, Box<dyn Filter>)],
    node: &Node,
    budgets: &[Budget],
) -> Result<Candidate, Verdict> {
    let (mut node, mut filters) = (node.clone(), copied(filters));
    let mut lesser: Vec<_> = node.pods.iter().filter(|other| other.priority < pod.priority).cloned().collect();
    if lesser.is_empty() {
        return Err(Verdict::hopeless("No preemption victims found for incoming pod"));
    }
    for other in &lesser {
        take(&mut node, &mut filters, other);
    }
    let (_, verdict) = check(cluster, pod, &filters, &node);
    if !verdict.fits() {
        return Err(verdict);
    }
    lesser.sort_by_key(|other| importance(other));
    let (protected, free) = divide(lesser, budgets);
    let (mut victims, mut broken) = (Vec::new(), 0);
    for (other, is_protected) in protected.into_iter().map(|p| (p, true)).chain(free.into_iter().map(|p| (p, false))) {
        put(&mut node, &mut filters, &other);
        if !check(cluster, pod, &filters, &node).1.fits() {
            take(&mut node, &mut filters, &other);
            broken += usize::from(is_protected);
            victims.push(other);
        }
    }
    if victims.is_empty() {
        let why = format!("expected at least one victim pod on node {}", crate::model::gotext::quote(&node.name));
        return Err(Verdict::hopeless(why));
    }
    victims.sort_by_key(|other| importance(other));
    Ok(Candidate { node: node.name, victims, protected: broken })
}

fn take(node: &mut Node, filters: &mut [(Mask, Box<dyn Filter>)], pod: &Arc<Pod>) {
    node.remove(pod);
    filters.iter_mut().for_each(|(_, filter)| filter.moved(pod, node, false));
}

fn put(node: &mut Node, filters: &mut [(Mask, Box<dyn Filter>)], pod: &Arc<Pod>) {
    node.add(pod.clone());
    filters.iter_mut().for_each(|(_, filter)| filter.moved(pod, node, true));
}

/// The most important first: by priority, then by how long it has run.
fn importance(pod: &Pod) -> (Reverse<i32>, i64) {
    (Reverse(pod.priority), pod.started.unwrap_or(i64::MAX))
}

/// A disruption budget.
struct Budget {
    namespace: String,
    selector: Selector,
    allowed: i64,
    /// Pods whose end it has allowed already.
    known: Vec<String>,
}

fn budgets(lookup: &Lookup) -> Vec<Budget> {
    let read = |object: &Value| Budget {
        namespace: object["metadata"]["namespace"].as_str().unwrap_or("").into(),
        selector: selector(&object["spec"]["selector"]),
        allowed: object["status"]["disruptionsAllowed"].as_i64().unwrap_or(0),
        known: object["status"]["disruptedPods"]
            .as_object()
            .into_iter()
            .flat_map(|m| m.keys().map(|name| name.to_string()))
            .collect(),
    };
    lookup.list("policy", "poddisruptionbudgets", "").iter().map(read).collect()
}

/// Those whose end breaks a budget, and the others; in their order.
fn divide(pods: Vec<Arc<Pod>>, budgets: &[Budget]) -> (Vec<Arc<Pod>>, Vec<Arc<Pod>>) {
    let mut left: Vec<i64> = budgets.iter().map(|budget| budget.allowed).collect();
    pods.into_iter().partition(|pod| {
        for (budget, left) in budgets.iter().zip(&mut left) {
            let covers = !pod.labels.is_empty()
                && budget.namespace == pod.namespace()
                && !budget.selector.is_everything()
                && pod.labels.match_by(&budget.selector)
                && !budget.known.iter().any(|known| known == pod.name());
            if covers {
                *left -= 1;
                if *left < 0 {
                    return true;
                }
            }
        }
        false
    })
}

/// Fewest broken budgets, then the least important victims, then the fewest, then the latest started.
fn best(candidates: Vec<Candidate>) -> Option<Candidate> {
    candidates.into_iter().min_by_key(|candidate| {
        let highest = candidate.victims.first().map_or(i32::MIN, |pod| pod.priority);
        let sum: i64 = candidate.victims.iter().map(|pod| i64::from(pod.priority) + (1 << 31)).sum();
        let of_highest = candidate.victims.iter().filter(|pod| pod.priority == highest);
        let earliest = of_highest.map(|pod| pod.started.unwrap_or(i64::MAX)).min().unwrap_or(i64::MAX);
        (candidate.protected, highest, sum, candidate.victims.len(), Reverse(earliest))
    })
}
