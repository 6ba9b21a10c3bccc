//! Which pods go first when there are too many: those that are missed least.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::controllers::pods::Pod;
use crate::model::time::Time;

/// What `controller.kubernetes.io/pod-deletion-cost` costs: dearer pods stay longer.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// A pod, and what it is judged by.
struct Judged<'a> {
    pod: Pod<'a>,
    node: &'a str,
    /// Pending, Unknown, Running.
    phase: u8,
    cost: i32,
    /// Active pods of its relatives on its node.
    crowd: usize,
    /// Restarts of regular containers and of sidecars, the most of one container each.
    restarts: (i64, i64),
    created: Option<Time>,
}

/// So many of `active`; `related` are the active pods among which they stand on their nodes.
pub fn first_to_go<'a>(active: &[Pod<'a>], related: &[Pod<'_>], count: usize, now: Time) -> Vec<Pod<'a>> {
    if count >= active.len() {
        return active.to_vec();
    }
    let mut crowds: HashMap<&str, usize> = HashMap::new();
    related.iter().for_each(|pod| *crowds.entry(pod.node()).or_default() += 1);
    let mut judged: Vec<_> = active.iter().map(|pod| judge(*pod, &crowds)).collect();
    judged.sort_by(|a, b| order(a, b, now));
    judged.into_iter().take(count).map(|judged| judged.pod).collect()
}

fn judge<'a>(pod: Pod<'a>, crowds: &HashMap<&str, usize>) -> Judged<'a> {
    let (node, metadata) = (pod.node(), pod.view.at("metadata"));
    let cost = metadata.labels("annotations").into_iter().find(|(key, _)| *key == DELETION_COST);
    Judged {
        node,
        phase: match pod.phase {
            "Running" => 2,
            "Unknown" => 1,
            _ => 0,
        },
        cost: cost.and_then(|(_, cost)| parse_cost(cost)).unwrap_or(0),
        crowd: crowds.get(node).copied().unwrap_or(0),
        restarts: restarts(&pod),
        created: metadata.time("creationTimestamp"),
        pod,
    }
}

/// As Go writes an int32: no plus, no leading zeros.
fn parse_cost(text: &str) -> Option<i32> {
    text.parse().ok().filter(|cost: &i32| cost.to_string() == text)
}

fn restarts(pod: &Pod<'_>) -> (i64, i64) {
    let (spec, status) = (pod.view.at("spec"), pod.view.at("status"));
    let most = |counts: &mut dyn Iterator<Item = i64>| counts.max().unwrap_or(0);
    let regular = most(&mut status.items("containerStatuses").map(|container| container.number("restartCount")));
    let is_sidecar = |name: &str| {
        let mut containers = spec.items("initContainers");
        containers.any(|container| container.text("name") == name && container.text("restartPolicy") == "Always")
    };
    let sidecars = status.items("initContainerStatuses").filter(|container| is_sidecar(container.text("name")));
    (regular, most(&mut sidecars.map(|container| container.number("restartCount"))))
}

/// Less goes first.
fn order(a: &Judged<'_>, b: &Judged<'_>, now: Time) -> Ordering {
    let assigned = |judged: &Judged<'_>| !judged.node.is_empty();
    let known = assigned(a).cmp(&assigned(b)).then(a.phase.cmp(&b.phase)).then(a.pod.ready.cmp(&b.pod.ready));
    let known = known.then(a.cost.cmp(&b.cost)).then(b.crowd.cmp(&a.crowd));
    known
        .then_with(|| match a.pod.ready && b.pod.ready {
            true => younger(a, b, a.pod.ready_since, b.pod.ready_since, now),
            false => Ordering::Equal,
        })
        .then_with(|| b.restarts.cmp(&a.restarts))
        .then_with(|| younger(a, b, a.created, b.created, now))
}

/// The younger first, by powers of two: among pods of about the same age chance decides, that is their UIDs.
fn younger(a: &Judged<'_>, b: &Judged<'_>, a_since: Option<Time>, b_since: Option<Time>, now: Time) -> Ordering {
    if a_since == b_since {
        return Ordering::Equal;
    }
    let (Some(a_since), Some(b_since)) = (a_since, b_since) else { return a_since.is_some().cmp(&b_since.is_some()) };
    let age = |since: Time| now.since(since).0.max(0).checked_ilog2().map_or(-1, i64::from);
    age(a_since).cmp(&age(b_since)).then_with(|| a.pod.object.uid().cmp(&b.pod.object.uid()))
}
