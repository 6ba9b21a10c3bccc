//! Deployments: ReplicaSets of a pod template's versions, scaled against each other until the newest has all pods.
//!
//! In reading order: this page (whom a change concerns, and one run), `sets` (its ReplicaSets), `plan` (the arithmetic),
//! `revision` (annotations that number versions), `newest` (the ReplicaSet of the template as it is now), `rollout` (who
//! is scaled), `status` (conditions and counts), `hash` (names of versions).

pub mod hash;
mod newest;
mod plan;
mod revision;
mod rollout;
mod sets;
mod status;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

use super::events::Kind;
use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::item::{Item, view};
use super::owner;
use super::resources::{DEPLOYMENTS, PODS, REPLICA_SETS};
use crate::cache::handle::Snapshot;
use crate::cache::object::Object;
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};
use plan::Strategy;
use sets::Set;

pub struct Deployments;

/// One run: a deployment as it is, and as it becomes.
struct Run<'a> {
    cx: &'a Cx,
    cut: &'a Cut,
    deployment: Item,
    strategy: Strategy,
    /// Its ReplicaSets, the oldest first.
    sets: Vec<Set>,
    /// Which of them is of the template as it is now.
    newest: Option<usize>,
}

#[async_trait]
impl Controller for Deployments {
    fn follows(&self) -> Follows {
        Follows::these(&[&DEPLOYMENTS, &REPLICA_SETS, &PODS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&DEPLOYMENTS) {
            if !change.is_deleted() {
                keys.add(change.key().as_str());
            }
            return;
        }
        if change.is_of(&PODS) && !change.is_deleted() {
            return;
        }
        let Ok(snapshot) = change.registry.cache.snapshot(&[&DEPLOYMENTS.full, &REPLICA_SETS.full]) else { return };
        if change.is_of(&PODS) {
            pod_is_gone(change, &snapshot, keys);
        } else {
            set_triggers(change, &snapshot, keys);
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&DEPLOYMENTS, &REPLICA_SETS, &PODS])?;
        let shelf = cut.shelf(&DEPLOYMENTS);
        let Some(object) = shelf.get_key(key) else { return Ok(Next::Done) };
        let mut deployment = Item::new(shelf, object)?;
        let selector = Selector::of_object(&deployment.spec()["selector"]).map_err(Status::internal)?;
        if selector.is_everything() {
            return selects_all(cx, &mut deployment).await;
        }
        let sets = sets::claim(cx, &deployment, &selector, cut.shelf(&REPLICA_SETS)).await?;
        let strategy = Strategy::of(deployment.spec()).map_err(Status::internal)?;
        let newest = sets::newest(&deployment, &sets);
        Run { cx, cut: &cut, deployment, strategy, sets, newest }.go().await
    }
}

impl Run<'_> {
    async fn go(mut self) -> Result<Next> {
        if self.deployment.is_deleting() {
            self.sync_newest(false).await?;
            return self.write_status(false).await;
        }
        self.note_pause().await?;
        self.sync_newest(false).await?;
        if self.is_paused() || self.is_scaled() {
            self.scale().await?;
            if self.is_paused() {
                self.forget_old().await?;
            }
            return self.write_status(false).await;
        }
        match self.strategy {
            Strategy::Recreate => self.recreate().await?,
            Strategy::Rolling { .. } => self.roll().await?,
        }
        self.write_status(true).await
    }

    fn is_paused(&self) -> bool {
        self.deployment.spec()["paused"] == true
    }

    /// `spec.replicas`.
    fn wanted(&self) -> i64 {
        self.deployment.spec()["replicas"].as_i64().unwrap_or(1)
    }

    /// Seconds without progress after which a rollout counts as stuck; `None`: it never does.
    fn deadline(&self) -> Option<i64> {
        let seconds = self.deployment.spec()["progressDeadlineSeconds"].as_i64();
        seconds.filter(|seconds| *seconds != i64::from(i32::MAX))
    }

    /// Whether its size has changed since its ReplicaSets got theirs.
    fn is_scaled(&self) -> bool {
        let wanted = self.wanted();
        let active = self.sets.iter().filter(|set| set.replicas() > 0);
        active.filter_map(Set::desired).any(|desired| desired != wanted)
    }

    fn old(&self) -> impl Iterator<Item = (usize, &Set)> {
        self.sets.iter().enumerate().filter(|(at, _)| Some(*at) != self.newest)
    }
}

/// A selector without requirements would take every pod.
async fn selects_all(cx: &Cx, deployment: &mut Item) -> Result<Next> {
    let message = "This deployment is selecting all pods. A non-empty selector is required.";
    cx.event((&*deployment).into(), Kind::Warning, "SelectingAll", message.into());
    let generation = deployment.generation();
    if deployment.status()["observedGeneration"].as_i64().unwrap_or(0) < generation {
        let mut value = deployment.value.clone();
        if !value["status"].is_object() {
            value["status"] = json!({});
        }
        value["status"]["observedGeneration"] = generation.into();
        cx.update(deployment.target().part("status"), &value).await?;
    }
    Ok(Next::Done)
}

/// The last pod of an old version is what a Recreate deployment waits for.
fn pod_is_gone(change: &Change<'_>, snapshot: &Snapshot, keys: &mut Keys) {
    let (Some(deployments), Some(sets)) = (snapshot.find(&DEPLOYMENTS.full), snapshot.find(&REPLICA_SETS.full)) else {
        return;
    };
    let pod = change.object();
    let Some(owner) = pod.controller().filter(|owner| owner.kind == "ReplicaSet") else { return };
    let Some(set) = sets.get(pod.namespace(), &owner.name).filter(|set| set.uid() == owner.uid) else { return };
    let Some(owner) = set.controller().filter(|owner| owner.kind == "Deployment") else { return };
    let found = deployments.get(set.namespace(), &owner.name).filter(|found| found.uid() == owner.uid);
    if let Some(deployment) = found
        && view(deployments, deployment).is_some_and(|v| v.at("spec").at("strategy").text("type") == "Recreate")
    {
        keys.add(deployment.key.as_str());
    }
}

fn set_triggers(change: &Change<'_>, snapshot: &Snapshot, keys: &mut Keys) {
    let Some(deployments) = snapshot.find(&DEPLOYMENTS.full) else { return };
    for set in change.states() {
        let Some(owner) = set.controller().filter(|owner| owner.kind == "Deployment") else { continue };
        if let Some(found) = deployments.get(set.namespace(), &owner.name).filter(|found| found.uid() == owner.uid) {
            keys.add(found.key.as_str());
        }
    }
    let Some(set) = change.current.filter(|set| set.controller().is_none() && !set.is_deleting()) else { return };
    for object in deployments.iter(Some(set.namespace())) {
        if selector_of(deployments, object).is_some_and(|s| !s.is_everything() && owner::selected(&s, set)) {
            keys.add(object.key.as_str());
        }
    }
}

fn selector_of(shelf: &crate::cache::shelf::Shelf, object: &Object) -> Option<Selector> {
    let item = Item::new(shelf, object).ok()?;
    Selector::of_object(&item.spec()["selector"]).ok()
}

/// A condition of now.
fn condition(ty: &str, status: &str, reason: &str, message: &str, now: crate::model::time::Time) -> Value {
    let now = now.to_text();
    json!({
        "type": ty,
        "status": status,
        "lastUpdateTime": now.as_str(),
        "lastTransitionTime": now.as_str(),
        "reason": reason,
        "message": message,
    })
}
