//! ReplicaSets, and ReplicationControllers, which are the same with a simpler selector: as many pods as they say.
//!
//! In reading order: this page (whom a change concerns, and one run), `claim` (which pods are its own), `manage` (pods
//! made and deleted), `rank` (which pods go first), `status`.

mod claim;
mod manage;
pub mod rank;
mod status;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::item::{Item, until};
use super::owner;
use super::pods::Pod;
use super::resources::{Name, PODS, REPLICA_SETS, REPLICATION_CONTROLLERS};
use crate::cache::index::OWNER;
use crate::cache::object::{Object, Owner};
use crate::cache::shelf::Shelf;
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};
use crate::model::value::Value;

/// The controller of one of the two kinds.
pub struct ReplicaSets {
    resource: &'static Name,
    kind: &'static str,
    /// `spec.selector` is a map of labels and not a LabelSelector; the status does not count terminating pods.
    is_old: bool,
}

impl ReplicaSets {
    pub fn sets() -> Self {
        Self { resource: &REPLICA_SETS, kind: "ReplicaSet", is_old: false }
    }

    pub fn replication_controllers() -> Self {
        Self { resource: &REPLICATION_CONTROLLERS, kind: "ReplicationController", is_old: true }
    }

    /// What it selects; `Err` for a selector that nobody could have stored.
    fn selector(&self, spec: &Value) -> Result<Selector> {
        let selector = &spec["selector"];
        if self.is_old {
            return Ok(selector.as_object().map_or_else(Selector::nothing, Selector::of_labels));
        }
        Selector::of_object(selector).map_err(Status::internal)
    }

    /// The set that an owner reference names, if it is the same one still.
    fn named<'a>(&self, shelf: &'a Shelf, namespace: &str, owner: &Owner<'_>) -> Option<&'a Object> {
        let set = shelf.get(namespace, &owner.name)?;
        (owner.kind == self.kind && set.uid() == owner.uid).then_some(set)
    }

    /// Those that would adopt this pod, which nobody controls.
    fn adopters(&self, shelf: &Shelf, pod: &Object, keys: &mut Keys) {
        for set in shelf.iter(Some(pod.namespace())) {
            let item = Item::new(shelf, set);
            let Some(selector) = item.ok().and_then(|item| self.selector(item.spec()).ok()) else { continue };
            if !selector.is_everything() && owner::selected(&selector, pod) {
                keys.add(set.key.as_str());
            }
        }
    }

    fn pod_triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        let Ok(snapshot) = change.registry.cache.snapshot(&[&self.resource.full]) else { return };
        let Some(shelf) = snapshot.find(&self.resource.full) else { return };
        for state in change.states() {
            if let Some(set) = state.controller().and_then(|owner| self.named(shelf, state.namespace(), &owner)) {
                keys.add(set.key.as_str());
            }
        }
        let Some(pod) = change.current.filter(|pod| pod.controller().is_none() && !pod.is_deleting()) else { return };
        let is_news = change.previous.is_none_or(|old| old.controller().is_some() || old.labels() != pod.labels());
        if is_news {
            self.adopters(shelf, pod, keys);
        }
    }
}

#[async_trait]
impl Controller for ReplicaSets {
    fn follows(&self) -> Follows {
        Follows::these(&[self.resource, &PODS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&PODS) {
            self.pod_triggers(change, keys);
        } else if !change.is_deleted() {
            keys.add(change.key().as_str());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[self.resource, &PODS])?;
        let shelf = cut.shelf(self.resource);
        let Some(object) = shelf.get_key(key) else { return Ok(Next::Done) };
        let set = Item::new(shelf, object)?;
        let selector = self.selector(set.spec())?;
        let claimed = claim::claim(cx, &set, &selector, cut.shelf(&PODS)).await?;
        let managed = match set.is_deleting() {
            true => Ok(()),
            false => self.manage(cx, &cut, &set, &claimed.active).await,
        };
        let now = cx.now();
        let counted = status::Counts::of(&set, &claimed, now, !self.is_old);
        status::write(cx, &set, &counted, managed.as_ref().err()).await?;
        managed?;
        Ok(next(&set, &claimed.active, now))
    }
}

/// When a pod that is ready will have been so for long enough.
fn next(set: &Item, active: &[Pod<'_>], now: crate::model::time::Time) -> Next {
    let min_ready_seconds = set.spec()["minReadySeconds"].as_i64().unwrap_or(0);
    if min_ready_seconds == 0 {
        return Next::Done;
    }
    let due = active.iter().filter_map(|pod| pod.available_at(min_ready_seconds)).filter(|at| *at > now).min();
    due.map_or(Next::Done, |at| Next::After(until(at, now)))
}

impl ReplicaSets {
    /// The pods on which the nodes of its own are judged: the active ones of all sets with the same controller.
    fn related<'a>(&self, cut: &'a Cut, set: &Item) -> Vec<Pod<'a>> {
        let (sets, pods) = (cut.shelf(self.resource), cut.shelf(&PODS));
        let siblings: Vec<String> = match sets.get(set.namespace(), set.name()).and_then(|set| set.controller()) {
            Some(owner) => sets.by_index(&OWNER, &owner.uid).map(|set| set.uid().into_owned()).collect(),
            None => vec![set.uid().to_owned()],
        };
        let owned = siblings.iter().flat_map(|uid| pods.by_index(&OWNER, uid));
        owned.filter_map(|object| Pod::new(pods, object)).filter(Pod::is_active).collect()
    }
}
