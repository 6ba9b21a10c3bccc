//! The garbage collector: what becomes of objects when their owners go.
//!
//! It follows everything, custom resources too, and keeps no graph of its own: owners are found by kind and name,
//! dependents by the cache's index of owners. A key names one object; a run asks what is to be done with that object:
//! nothing, fewer owners, or deletion; and for one that is going, what is to become of its dependents first.
//!
//! In reading order: this page (whom a change concerns), `place` (finding objects), `absent` (owners known to be gone),
//! `judge` (what its owners mean for an object), `ending` (an object that goes with finalizers for its dependents).

mod absent;
mod ending;
mod judge;
mod place;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use crate::cache::index::OWNER;
use crate::cache::object::{Object, Owner};
use crate::model::status::Result;
use absent::Absent;
use place::{Found, Place};

/// Finalizers that say what becomes of dependents.
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

#[derive(Default)]
pub struct GarbageCollector {
    absent: Absent,
}

/// What holds a dying object until its dependents are seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It is not dying, or nothing of this sort holds it.
    None,
    /// Dependents shall lose it as their owner.
    Orphan,
    /// Dependents go first.
    Foreground,
}

#[async_trait]
impl Controller for GarbageCollector {
    fn follows(&self) -> Follows {
        Follows::All
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        // They have no owners that matter, and there are many.
        if change.storage.shelf.resource == "events" {
            return;
        }
        match change.current {
            Some(current) => lives(change, current, keys),
            None => dependents(change, change.object(), keys),
        }
        if let Some(previous) = change.previous {
            waiting_owners(change, previous, keys);
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let Some(place) = Place::parse(key) else { return Ok(Next::Done) };
        let snapshot = cx.cache().snapshot_all();
        let Some(found) = place.find(&snapshot) else { return Ok(Next::Done) };
        match ending(found.object) {
            Ending::Orphan => ending::orphan(cx, &snapshot, &found).await?,
            Ending::Foreground => ending::foreground(cx, &snapshot, &found).await?,
            Ending::None if found.object.is_deleting() => {}
            Ending::None => self.judge(cx, &snapshot, &found).await?,
        }
        Ok(Next::Done)
    }
}

/// An object was created or changed.
fn lives(change: &Change<'_>, current: &Object, keys: &mut Keys) {
    let own = || Place::new(&change.storage.shelf, current.key.as_str());
    let ends = ending(current);
    if ends != Ending::None {
        keys.add(&own().text());
        if ends == Ending::Foreground && !change.previous.is_some_and(|previous| is_foreground(previous)) {
            dependents(change, current, keys);
        }
        return;
    }
    let owners = current.owners();
    if owners.is_empty() || change.previous.is_some_and(|previous| previous.owners() == owners) {
        return;
    }
    let is_settled = |owner: &Owner<'_>| match place::owner(change.registry, current.namespace(), owner) {
        Found::At(place) => place.get(change.registry).is_some_and(|o| o.uid() == owner.uid && !is_foreground(&o)),
        Found::Unknown => true,
    };
    if !owners.iter().all(is_settled) {
        keys.add(&own().text());
    }
}

/// Those that name the object as their owner.
fn dependents(change: &Change<'_>, owner: &Object, keys: &mut Keys) {
    let uid = owner.uid();
    for (shelf, object) in change.registry.cache.snapshot_all().by_index(&OWNER, &uid) {
        keys.add(&Place::new(&shelf.storage.shelf, object.key.as_str()).text());
    }
}

/// Owners that wait for their dependents to go: one went, or is theirs no longer, or holds them up no longer.
fn waiting_owners(change: &Change<'_>, previous: &Object, keys: &mut Keys) {
    let now = change.current.map(|current| current.owners()).unwrap_or_default();
    for owner in previous.owners().iter().filter(|owner| owner.block_deletion && !now.contains(owner)) {
        if let Found::At(place) = place::owner(change.registry, previous.namespace(), owner)
            && place.get(change.registry).is_some_and(|object| object.uid() == owner.uid && is_foreground(&object))
        {
            keys.add(&place.text());
        }
    }
}

fn is_foreground(object: &Object) -> bool {
    ending(object) == Ending::Foreground
}

fn ending(object: &Object) -> Ending {
    if !object.is_deleting() {
        return Ending::None;
    }
    match object.finalizers().find(|name| name == ORPHAN || name == FOREGROUND).as_deref() {
        Some(ORPHAN) => Ending::Orphan,
        Some(_) => Ending::Foreground,
        None => Ending::None,
    }
}
