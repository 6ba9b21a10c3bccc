//! PodDisruptionBudgets: how many of the pods that one covers may be disrupted now.
//!
//! In reading order: this page (whom a change concerns, and one run), `selectors` (which budgets cover a pod), `scale`
//! (how many pods there should be), `status` (what is written), `target` (pods that were to go and stayed).

mod scale;
mod selectors;
mod status;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::scale::Expected;
use self::selectors::Selectors;
use super::events::{Kind, Regarding};
use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::item::{Item, time, until};
use super::owner;
use super::pods::Pod;
use super::resources::{BUDGETS, PODS};
use crate::cache::object::Object;
use crate::model::gotext;
use crate::model::intstr::{Round, scaled};
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::{Map, Value};

/// How long after its eviction a pod counts as gone; if it is there still, it counts again.
const DELETION: Duration = Duration::from_secs(120);
/// Begins the keys of pods.
const POD: char = '!';

/// Key: a budget, or `!` and a pod.
#[derive(Default)]
pub struct Disruption {
    selectors: Selectors,
}

#[async_trait]
impl Controller for Disruption {
    fn follows(&self) -> Follows {
        Follows::these(&[&BUDGETS, &PODS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&BUDGETS) {
            match change.is_deleted() {
                true => self.selectors.forget(change.key()),
                false => keys.add(change.key().as_str()),
            }
            return;
        }
        if change.current.is_some_and(|pod| target::is_stale(change.view(pod))) {
            keys.add(&format!("{POD}{}", change.key().as_str()));
        }
        if let (Some(before), Some(after)) = (change.previous, change.current)
            && !matters(change, before, after)
        {
            return;
        }
        let Ok(snapshot) = change.registry.cache.snapshot(&[&BUDGETS.full]) else { return };
        for state in change.states() {
            let budgets = self.selectors.covering(&snapshot.shelves[0], state);
            if budgets.len() > 1 {
                keys.add(&format!("{POD}{}", change.key().as_str()));
            }
            budgets.iter().for_each(|budget| keys.add(budget.key.as_str()));
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&BUDGETS, &PODS])?;
        if let Some(pod) = key.strip_prefix(POD) {
            return self.pod(cx, &cut, pod).await;
        }
        let shelf = cut.shelf(&BUDGETS);
        let Some(object) = shelf.get_key(key) else { return Ok(Next::Done) };
        let mut budget = Item::new(shelf, object)?;
        let selector = self.selectors.of(shelf, object);
        let covered = cut.shelf(&PODS).iter(Some(object.namespace())).filter(|pod| owner::selected(&selector, pod));
        let pods: Vec<Pod<'_>> = covered.filter_map(|pod| Pod::new(cut.shelf(&PODS), pod)).collect();
        match count(cx, &budget, &pods).await {
            Ok(counts) => {
                let next = counts.next;
                status::write(cx, &mut budget, counts).await.map(|()| next)
            }
            Err(status) if status.is_conflict() => Err(status),
            Err(status) => status::fail(cx, &mut budget, &status.message).await.map(|()| Next::Done),
        }
    }
}

impl Disruption {
    async fn pod(&self, cx: &Cx, cut: &Cut, key: &str) -> Result<Next> {
        let shelf = cut.shelf(&PODS);
        let Some(object) = shelf.get_key(key) else { return Ok(Next::Done) };
        let budgets = self.selectors.covering(cut.shelf(&BUDGETS), object);
        if budgets.len() > 1 {
            let (namespace, name, first) = (object.namespace(), object.name(), budgets[0].name());
            let message = format!(
                "Pod {namespace:?}/{name:?} matches multiple PodDisruptionBudgets.  Chose {first:?} arbitrarily."
            );
            cx.event(Regarding::object(&shelf.storage, object), Kind::Warning, "MultiplePodDisruptionBudgets", message);
        }
        target::reset(cx, shelf, object).await
    }
}

/// What a budget's status says.
struct Counts {
    healthy: i64,
    desired: i64,
    expected: i64,
    /// Pods that were evicted and are still there, and when they were.
    disrupted: Map,
    /// When one of these counts again.
    next: Next,
}

async fn count(cx: &Cx, budget: &Item, pods: &[Pod<'_>]) -> Result<Counts> {
    if pods.is_empty() {
        cx.event(budget.into(), Kind::Normal, "NoPods", "No matching pods found".into());
    }
    let (expected, desired) = match expect(cx, budget, pods).await {
        Ok(expected) => expected,
        Err(status) => {
            let message = format!("Failed to calculate the number of expected pods: {}", status.message);
            cx.event(budget.into(), Kind::Warning, "CalculateExpectedPodCountFailed", message);
            return Err(status);
        }
    };
    let now = cx.now();
    let (disrupted, next) = disrupted(cx, budget, pods, now);
    let is_healthy = |pod: &&Pod<'_>| !pod.deleting && pod.ready && !disrupted.contains_key(pod.object.name());
    let healthy = pods.iter().filter(is_healthy).count() as i64;
    Ok(Counts { healthy, desired, expected, disrupted, next })
}

/// How many pods there should be, and how many of them healthy.
async fn expect(cx: &Cx, budget: &Item, pods: &[Pod<'_>]) -> Result<(i64, i64)> {
    let (most, least) = (&budget.spec()["maxUnavailable"], &budget.spec()["minAvailable"]);
    if most.is_null() && !least.is_string() {
        return Ok(if least.is_null() { (0, 0) } else { (pods.len() as i64, least.as_i64().unwrap_or(0)) });
    }
    let Expected { count, has_unmanaged } = scale::expected(cx, budget.namespace(), pods).await?;
    if has_unmanaged {
        let selector = gotext::label_selector(&budget.spec()["selector"]);
        let message = format!(
            "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value."
        );
        cx.event(budget.into(), Kind::Warning, "UnmanagedPods", message);
    }
    let share = |of: &Value| scaled(of, count, Round::Up).map_err(Status::internal_plain);
    Ok((count, if most.is_null() { share(least)? } else { (count - share(most)?).max(0) }))
}

/// The pods that were evicted and are still to go.
fn disrupted(cx: &Cx, budget: &Item, pods: &[Pod<'_>], now: Time) -> (Map, Next) {
    let (mut left, mut next) = (Map::new(), Next::Done);
    let Some(known) = budget.status()["disruptedPods"].as_object() else { return (left, next) };
    for pod in pods.iter().filter(|pod| !pod.deleting) {
        let name = pod.object.name();
        let Some((text, at)) = known.get(name).and_then(|text| Some((text, time(text)?))) else { continue };
        let end = Time { seconds: at.seconds + DELETION.as_secs() as i64, ..at };
        if end <= now {
            let namespace = budget.namespace();
            let message = format!("Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't");
            let regarding = Regarding {
                api_version: "v1".into(),
                kind: "Pod".into(),
                namespace: pod.object.namespace().into(),
                name: name.into(),
                uid: pod.object.uid().into_owned(),
                resource_version: pod.object.revision.to_string(),
            };
            cx.event(regarding, Kind::Warning, "NotDeleted", message);
            continue;
        }
        next = next.sooner(Next::After(until(end, now)));
        left.insert(name.into(), text.clone());
    }
    (left, next)
}

/// Whether a pod says anything else that counts.
fn matters(change: &Change<'_>, before: &Object, after: &Arc<Object>) -> bool {
    let seen = |pod: &Object| {
        let conditions = change.view(pod)?.at("status");
        let ready = conditions.items("conditions").find(|condition| condition.text("type") == "Ready");
        let ready = ready.is_some_and(|condition| condition.text("status") == "True");
        Some((ready, pod.is_deleting(), pod.controller().map(|owner| owner.uid.into_owned())))
    };
    before.labels() != after.labels() || seen(before) != seen(after)
}
