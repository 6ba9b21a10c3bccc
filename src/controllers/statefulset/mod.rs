//! StatefulSets: pods with numbers that keep their names and volumes, made and replaced one after the other.
//!
//! In reading order: this page (whom a change concerns, and one run), `replicas` (the pods by number), `pod` (a pod with
//! its number), `claims` (its volumes), `manage` (what is made, deleted and replaced), `status`.

mod claims;
mod manage;
mod pod;
mod replicas;
mod status;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

use self::manage::Run;
use self::replicas::Replicas;
use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::history::History;
use super::item::Item;
use super::resources::{CLAIMS, CONTROLLER_REVISIONS, PODS, STATEFUL_SETS};
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};

/// The label of revisions that holds their hash; pods name them by their names.
const HASH: &str = "controller.kubernetes.io/hash";

/// Key: a set.
pub struct StatefulSets;

#[async_trait]
impl Controller for StatefulSets {
    fn follows(&self) -> Follows {
        Follows::these(&[&STATEFUL_SETS, &PODS, &CLAIMS, &CONTROLLER_REVISIONS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&STATEFUL_SETS) {
            if !change.is_deleted() {
                keys.add(change.key().as_str());
            }
            return;
        }
        if change.is_of(&CLAIMS) {
            // A pod may wait for a claim of an earlier one to go.
            let owners = change.previous.filter(|_| change.is_deleted()).map(|claim| claim.owners());
            for owner in owners.into_iter().flatten().filter(|owner| owner.kind == "Pod") {
                pod::number(&owner.name).into_iter().for_each(|(set, _)| keys.add_named(change.namespace(), set));
            }
            return;
        }
        if !change.is_of(&PODS) {
            return;
        }
        let Ok(snapshot) = change.registry.cache.snapshot(&[&STATEFUL_SETS.full]) else { return };
        let sets = &snapshot.shelves[0];
        for state in change.states() {
            let owner = state.controller().filter(|owner| owner.kind == "StatefulSet");
            let set = owner.and_then(|owner| Some((sets.get(state.namespace(), &owner.name)?, owner)));
            if let Some((set, _)) = set.filter(|(set, owner)| set.uid() == owner.uid) {
                keys.add(set.key.as_str());
            }
        }
        let Some(pod) = change.current.filter(|pod| pod.controller().is_none() && !pod.is_deleting()) else { return };
        if let Some((parent, _)) = pod::number(pod.name())
            && sets.get(pod.namespace(), parent).is_some()
        {
            keys.add_named(pod.namespace(), parent);
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&STATEFUL_SETS, &PODS, &CLAIMS, &CONTROLLER_REVISIONS])?;
        let shelf = cut.shelf(&STATEFUL_SETS);
        let Some(object) = shelf.get_key(key) else { return Ok(Next::Done) };
        let set = Item::new(shelf, object)?;
        let selector = selector(&set)?;
        let replicas = Replicas::claim(cx, &set, &selector, cut.shelf(&PODS)).await?;
        let history = History::open(cx, &set, cut.shelf(&CONTROLLER_REVISIONS), HASH).await?;
        let told = set.status()["currentRevision"].as_str().unwrap_or("");
        let current = history.old.iter().find(|revision| revision.name() == told).unwrap_or(&history.current);
        let mut run =
            Run { cx, set: &set, claims: cut.shelf(&CLAIMS), current, update: &history.current, now: cx.now() };
        let managed = if set.is_deleting() { Ok(Next::Done) } else { run.manage(&replicas).await };
        status::write(cx, &set, &replicas, current, &history.current).await?;
        let in_use = replicas.revisions();
        let is_used = |revision: &Item| revision.name() == current.name() || in_use.contains(revision.name());
        history.truncate(cx, &set, is_used).await?;
        managed
    }
}

/// What the set selects; nothing, if it says nothing.
fn selector(set: &Item) -> Result<Selector> {
    let selector = Selector::of_object(&set.spec()["selector"]).map_err(Status::internal)?;
    Ok(if selector.is_everything() { Selector::nothing() } else { selector })
}
