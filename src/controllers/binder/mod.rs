//! PersistentVolumes and the claims on them: each claim gets the smallest volume that is enough, and a volume whose claim
//! has gone is kept or deleted as it says.
//!
//! A claim is bound in four steps, each its own write: the volume names the claim, the volume is Bound, the claim names
//! the volume, the claim is Bound. Whoever comes upon a binding that is half done completes it.
//!
//! In reading order: `want` (what a claim asks for, and which volumes are enough), `open` (volumes and claims that have no
//! other), this page (whom a change concerns), `claim` (one run for a claim), `class` (what its class says), `bind` (the
//! writes), `volume` (one run for a volume), `reclaim` (what becomes of it).

mod bind;
mod claim;
mod class;
mod open;
mod reclaim;
#[cfg(test)]
mod tests;
mod volume;
mod want;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::open::Open;
use self::want::Want;
use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::item::Item;
use super::resources::{CLAIMS, PODS, STORAGE_CLASSES, VOLUMES};
use crate::cache::handle::Snapshot;
use crate::cache::index::{CLAIM_VOLUME, VOLUME_CLAIM};
use crate::cache::object::Object;
use crate::model::object;
use crate::model::status::Result;
use crate::model::value::Value;
use crate::model::volume as model;

/// How long a claim without a volume waits until it is looked at again, and users are told again.
const RETRY: Duration = Duration::from_secs(15);
/// On a claim: it is bound, or was.
const COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On a volume or a claim: the other one was not chosen by a user.
const BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume: who made it.
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// Key: a claim, or a volume, which has no namespace.
#[derive(Default)]
pub struct Binder {
    open: Mutex<Open>,
}

#[async_trait]
impl Controller for Binder {
    fn follows(&self) -> Follows {
        Follows::these(&[&CLAIMS, &VOLUMES, &STORAGE_CLASSES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        let Ok(snapshot) = change.registry.cache.snapshot(&[&CLAIMS.full, &VOLUMES.full, &STORAGE_CLASSES.full]) else {
            return;
        };
        if change.is_of(&VOLUMES) {
            self.volume_changed(change, &snapshot, keys);
        } else if change.is_of(&CLAIMS) {
            self.claim_changed(change, &snapshot, keys);
        } else {
            self.open().asking(["", change.name()]).for_each(|claim| keys.add(claim));
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&CLAIMS, &VOLUMES, &STORAGE_CLASSES, &PODS])?;
        let shelf = cut.shelf(if key.contains('/') { &CLAIMS } else { &VOLUMES });
        let Some(item) = Item::find_key(shelf, key)? else {
            return Ok(Next::Done);
        };
        if !key.contains('/') {
            return volume::sync(cx, &cut, item).await.map(|()| Next::Done);
        }
        self.open().answer(key);
        claim::Run { cx, cut: &cut, open: &self.open }.sync(item).await
    }
}

impl Binder {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is looked at, with the claims that it and that name it. A free one is offered to a claim that waits.
    fn volume_changed(&self, change: &Change<'_>, snapshot: &Snapshot, keys: &mut Keys) {
        keys.add(change.name());
        let value = |object: &Object| object.to_value(&change.storage.shape).ok();
        for state in change.states().filter_map(|state| value(state)) {
            model::claim(&state).into_iter().for_each(|(namespace, name)| keys.add_named(namespace, name));
        }
        snapshot.shelves[0].by_index(&CLAIM_VOLUME, change.name()).for_each(|claim| keys.add(claim.key.as_str()));
        let current = change.current.and_then(|object| value(object)).filter(is_free);
        let mut open = self.open();
        open.volume(change.name(), current.as_ref());
        let Some(volume) = current else { return };
        let is_delayed = class::find(&snapshot.shelves[2], want::class(&volume)).is_some_and(|class| class.is_delayed);
        if let Some(claim) = open.call(&volume).filter(|_| !is_delayed) {
            keys.add(&claim);
        }
    }

    fn claim_changed(&self, change: &Change<'_>, snapshot: &Snapshot, keys: &mut Keys) {
        keys.add(change.key().as_str());
        let current = change.current.and_then(|object| object.to_value(&change.storage.shape).ok());
        let waiting = current.filter(|claim| is_waiting(claim) && !object::is_deleting(claim));
        self.open().claim(change.key().as_str(), waiting.as_ref().map(Want::of));
        let volume = |object: &Object| Some(change.view(object)?.at("spec").text("volumeName").to_owned());
        let (before, after) = (change.previous.and_then(|c| volume(c)), change.current.and_then(|c| volume(c)));
        if before == after {
            return;
        }
        before.iter().filter(|name| !name.is_empty()).for_each(|name| keys.add(name));
        snapshot.shelves[1].by_index(&VOLUME_CLAIM, change.key().as_str()).for_each(|volume| keys.add(volume.name()));
    }
}

/// Whether nobody has or is to have the volume.
fn is_free(volume: &Value) -> bool {
    volume["spec"]["claimRef"].is_null() && volume["status"]["phase"] == "Available" && !object::is_deleting(volume)
}

/// Whether a claim is to get any volume.
fn is_waiting(claim: &Value) -> bool {
    claim["spec"]["volumeName"].as_str().unwrap_or("").is_empty() && object::annotation(claim, COMPLETED).is_none()
}

/// Whether a volume names this claim, or a claim of its name that it does not know yet.
fn is_bound_to(volume: &Value, claim: &Item) -> bool {
    let uid = volume["spec"]["claimRef"]["uid"].as_str().unwrap_or("");
    model::claim(volume) == Some((claim.namespace(), claim.name())) && (uid.is_empty() || uid == claim.uid())
}
