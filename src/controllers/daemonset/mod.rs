//! DaemonSets: one pod on each node that is fit for it.
//!
//! In reading order: this page (whom a change concerns, and one run), `placement` (which nodes are fit), `pod` (a pod
//! for a node), `claim` (which pods are its own, by node), `plan` (what is made and deleted), `status`.

mod claim;
mod placement;
mod plan;
mod pod;
mod status;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use self::plan::{Doomed, Plan};
use super::batch::{self, BURST};
use super::events::Kind;
use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::history::{self, HASH, History};
use super::item::Item;
use super::owner;
use super::pods;
use super::resources::{CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS};
use crate::base::backoff::Backoff;
use crate::cache::object::Object;
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};
use crate::model::value::Value;

/// How long is waited before a pod that fails on a node again and again is made anew.
const FAILURES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(900));

/// Key: a set.
#[derive(Default)]
pub struct DaemonSets {
    /// By set and node: how often its pod has failed there, and when last. An entry leaves when it is old.
    failures: Mutex<HashMap<(String, String), (u32, Instant)>>,
}

#[async_trait]
impl Controller for DaemonSets {
    fn follows(&self) -> Follows {
        Follows::these(&[&DAEMON_SETS, &NODES, &PODS, &CONTROLLER_REVISIONS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&DAEMON_SETS) {
            if !change.is_deleted() {
                keys.add(change.key().as_str());
            }
            return;
        }
        let Ok(snapshot) = change.registry.cache.snapshot(&[&DAEMON_SETS.full]) else { return };
        let sets = &snapshot.shelves[0];
        if change.is_of(&NODES) {
            if fitness_changed(change) {
                sets.iter(None).for_each(|set| keys.add(set.key.as_str()));
            }
            return;
        }
        for state in change.states() {
            let owner = state.controller().filter(|owner| owner.kind == "DaemonSet");
            let set = owner.and_then(|owner| Some((sets.get(state.namespace(), &owner.name)?, owner)));
            if let Some((set, _)) = set.filter(|(set, owner)| set.uid() == owner.uid) {
                keys.add(set.key.as_str());
            }
        }
        let Some(pod) = change.current.filter(|pod| change.is_of(&PODS) && pod.controller().is_none()) else { return };
        for set in sets.iter(Some(pod.namespace())).filter(|_| !pod.is_deleting()) {
            let selector = Item::new(sets, set).ok().and_then(|set| selector(&set).ok());
            if selector.is_some_and(|selector| owner::selected(&selector, pod)) {
                keys.add(set.key.as_str());
            }
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&DAEMON_SETS, &NODES, &PODS, &CONTROLLER_REVISIONS])?;
        let shelf = cut.shelf(&DAEMON_SETS);
        let Some(object) = shelf.get_key(key) else { return Ok(Next::Done) };
        let set = Item::new(shelf, object)?;
        if set.is_deleting() {
            return Ok(Next::Done);
        }
        if selector(&set)?.is_nothing() {
            let message = "This daemon set is selecting all pods. A non-empty selector is required.";
            cx.event((&set).into(), Kind::Warning, "SelectingAll", message.into());
            return Ok(Next::Done);
        }
        let claimed = claim::claim(cx, &set, &selector(&set)?, cut.shelf(&PODS)).await?;
        let revisions = History::open(cx, &set, cut.shelf(&CONTROLLER_REVISIONS), HASH).await?;
        let plan = Plan::of(&set, &nodes(&cut)?, &claimed, revisions.hash(), cx.now())?;
        let managed = self.carry_out(cx, &set, &plan, revisions.hash()).await;
        if managed.is_ok() {
            let in_use = claimed.hashes();
            revisions.truncate(cx, &set, |revision| in_use.contains(history::hash(revision))).await?;
        }
        let next = status::write(cx, &set, &plan.counts).await?;
        Ok(next.sooner(managed?).sooner(plan.next))
    }
}

impl DaemonSets {
    async fn carry_out(&self, cx: &Cx, set: &Item, plan: &Plan, hash: &str) -> Result<Next> {
        let mut next = Next::Done;
        let mut doomed = Vec::new();
        for pod in &plan.delete {
            match self.wait(cx, set, pod) {
                Duration::ZERO => doomed.push(pod),
                wait => next = next.sooner(Next::After(wait)),
            }
        }
        let template = &set.spec()["template"];
        let create = async |at: usize| pods::create(cx, set, &pod::on(set, template, &plan.create[at], hash)).await;
        batch::slow_start(plan.create.len().min(BURST), create).await?;
        batch::all(doomed.iter().map(|pod| pods::delete(cx, set, &pod.name))).await?;
        Ok(next)
    }

    /// How long a failed pod is left as it is; says that one is replaced.
    fn wait(&self, cx: &Cx, set: &Item, pod: &Doomed) -> Duration {
        let what = format!("{}/{} on node {}", set.namespace(), pod.name, pod.node);
        if pod.phase == "Succeeded" {
            let message = format!("Found succeeded daemon pod {what}, will try to delete it");
            cx.event(set.into(), Kind::Normal, "SucceededDaemonPod", message);
        }
        if pod.phase != "Failed" {
            return Duration::ZERO;
        }
        let (key, now) = ((set.uid().to_owned(), pod.node.clone()), cx.plane.registry.clock.instant());
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, (_, at)| now.saturating_duration_since(*at) < 2 * FAILURES.most);
        let (count, at) = failures.get(&key).copied().unwrap_or((0, now));
        let left = FAILURES.after(count).saturating_sub(now.saturating_duration_since(at));
        if count > 0 && left > Duration::ZERO {
            return left;
        }
        failures.insert(key, (count + 1, now));
        let message = format!("Found failed daemon pod {what}, will try to kill it");
        cx.event(set.into(), Kind::Warning, "FailedDaemonPod", message);
        Duration::ZERO
    }
}

fn nodes(cut: &Cut) -> Result<Vec<Value>> {
    let shelf = cut.shelf(&NODES);
    shelf.iter(None).map(|node| Ok(Item::new(shelf, node)?.value)).collect()
}

/// Whether a node came or went, or says anything else by which pods choose it.
fn fitness_changed(change: &Change<'_>) -> bool {
    let (Some(before), Some(after)) = (change.previous, change.current) else { return true };
    let taints = |node: &Object| -> Vec<[String; 3]> {
        let view = change.view(node);
        let taints = view.into_iter().flat_map(|node| node.at("spec").items("taints"));
        taints.map(|taint| ["key", "value", "effect"].map(|field| taint.text(field).to_owned())).collect()
    };
    before.labels() != after.labels() || taints(before) != taints(after)
}

/// What the set selects; one that selects everything selects nothing.
fn selector(set: &Item) -> Result<Selector> {
    let selector = Selector::of_object(&set.spec()["selector"]).map_err(Status::internal)?;
    Ok(if selector.is_everything() { Selector::nothing() } else { selector })
}
