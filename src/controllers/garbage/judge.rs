//! What an object's owners mean for it.

use super::place::{self, Found, InSnapshot, Place};
use super::{FOREGROUND, GarbageCollector, ORPHAN, is_foreground};
use crate::cache::handle::Snapshot;
use crate::cache::index::{OWNER, UID};
use crate::cache::object::Owner;
use crate::controllers::events::{Kind, Regarding};
use crate::controllers::harness::Cx;
use crate::controllers::item::Item;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Value, json};
use crate::registry::client::Target;
use crate::registry::options::DeleteOptions;

/// How an owner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is there: the object stays.
    Solid,
    /// It is gone.
    Dangling,
    /// It goes when its dependents are gone.
    Waiting,
}

impl GarbageCollector {
    /// Deletes an object that no owner holds any longer; takes those from its owners that do not hold it.
    pub(super) async fn judge(&self, cx: &Cx, snapshot: &Snapshot, found: &InSnapshot<'_>) -> Result<()> {
        let owners = found.object.owners();
        let mut states = Vec::with_capacity(owners.len());
        for owner in &owners {
            states.push(self.state(cx, snapshot, found, owner).await?);
        }
        let solid = states.contains(&State::Solid);
        if owners.is_empty() || (solid && states.iter().all(|state| *state == State::Solid)) {
            return Ok(());
        }
        if solid {
            let held =
                |uid: &str| owners.iter().zip(&states).any(|(owner, state)| owner.uid == uid && *state == State::Solid);
            return keep_owners(cx, found, held).await;
        }
        let (has_dependents, is_circle) = dependents(snapshot, &found.object.uid());
        if !states.contains(&State::Waiting) || !has_dependents {
            return delete(cx, found, policy(found)).await;
        }
        // A circle of objects that wait for each other would wait for ever.
        if is_circle {
            unblock(cx, found).await?;
            return delete_any(cx, found, "Foreground").await;
        }
        delete(cx, found, "Foreground").await
    }

    async fn state(&self, cx: &Cx, snapshot: &Snapshot, found: &InSnapshot<'_>, owner: &Owner<'_>) -> Result<State> {
        let registry = &cx.plane.registry;
        let Found::At(place) = place::owner(registry, found.object.namespace(), owner) else {
            return Ok(State::Solid);
        };
        if let Some(there) = place.find(snapshot).filter(|there| there.object.uid() == owner.uid) {
            return Ok(if is_foreground(there.object) { State::Waiting } else { State::Solid });
        }
        if !self.absent.contains(&place, &owner.uid) {
            if is_there(cx, &place, &owner.uid).await? {
                return Ok(State::Solid);
            }
            self.absent.add(&place, &owner.uid);
        }
        warn_of_strangers(cx, snapshot, found, owner);
        Ok(State::Dangling)
    }
}

/// Whether there are any, and whether one of them waits for its own.
fn dependents(snapshot: &Snapshot, uid: &str) -> (bool, bool) {
    let found: Vec<_> = snapshot.by_index(&OWNER, uid).map(|(_, object)| is_foreground(object)).collect();
    (!found.is_empty(), found.contains(&true))
}

/// Asks the store: the cache may be behind, and an object deleted by mistake does not come back.
async fn is_there(cx: &Cx, place: &Place, uid: &str) -> Result<bool> {
    let (namespace, name) = place.split();
    let found = cx.get(Target::new(&place.shelf.group, &place.shelf.resource, namespace, name)).await.unless_gone()?;
    Ok(found.is_some_and(|object| object.uid() == uid))
}

/// An owner of this UID in another namespace is a mistake that its maker should hear of.
fn warn_of_strangers(cx: &Cx, snapshot: &Snapshot, found: &InSnapshot<'_>, owner: &Owner<'_>) {
    let namespace = found.object.namespace();
    let is_elsewhere = snapshot.by_index(&UID, &owner.uid).any(|(_, object)| object.namespace() != namespace);
    if is_elsewhere {
        let message = format!(
            "ownerRef [{}/{}, namespace: {namespace}, name: {}, uid: {}] does not exist in namespace \"{namespace}\"",
            owner.api_version, owner.kind, owner.name, owner.uid
        );
        let regarding = Regarding::object(&found.shelf.storage, found.object);
        cx.event(regarding, Kind::Warning, "OwnerRefInvalidNamespace", message);
    }
}

/// Finalizers that are there already say how it is to be deleted.
fn policy(found: &InSnapshot<'_>) -> &'static str {
    let has = |name: &str| found.object.finalizers().any(|finalizer| finalizer == name);
    if has(ORPHAN) {
        "Orphan"
    } else if has(FOREGROUND) {
        "Foreground"
    } else {
        "Background"
    }
}

pub fn target<'a>(found: &InSnapshot<'a>) -> Target<'a> {
    let shelf = &found.shelf.storage.shelf;
    Target::new(&shelf.group, &shelf.resource, found.object.namespace(), found.object.name())
}

/// Deletes the object in the state in which it was judged, no other.
async fn delete(cx: &Cx, found: &InSnapshot<'_>, policy: &str) -> Result<()> {
    let version = Some(found.object.revision.to_string());
    delete_with(cx, found, DeleteOptions { resource_version: version, ..options(found, policy) }).await
}

/// The same after a change of its own.
async fn delete_any(cx: &Cx, found: &InSnapshot<'_>, policy: &str) -> Result<()> {
    delete_with(cx, found, options(found, policy)).await
}

fn options(found: &InSnapshot<'_>, policy: &str) -> DeleteOptions {
    let uid = Some(found.object.uid().into_owned());
    DeleteOptions { uid, propagation: Some(policy.to_owned()), ..DeleteOptions::default() }
}

async fn delete_with(cx: &Cx, found: &InSnapshot<'_>, options: DeleteOptions) -> Result<()> {
    cx.delete(target(found), &options).await.unless_gone().map(drop)
}

/// Keeps of an object's owners only those whose UIDs `keep` names.
pub async fn keep_owners(cx: &Cx, found: &InSnapshot<'_>, keep: impl Fn(&str) -> bool) -> Result<()> {
    let kept = references(found)?.into_iter().filter(|owner| keep(owner["uid"].as_str().unwrap_or(""))).collect();
    write_owners(cx, found, kept).await
}

async fn unblock(cx: &Cx, found: &InSnapshot<'_>) -> Result<()> {
    let mut owners = references(found)?;
    owners.iter_mut().for_each(|owner| owner["blockOwnerDeletion"] = false.into());
    write_owners(cx, found, owners).await
}

fn references(found: &InSnapshot<'_>) -> Result<Vec<Value>> {
    let item = Item::new(found.shelf, found.object)?;
    Ok(item.value["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default())
}

async fn write_owners(cx: &Cx, found: &InSnapshot<'_>, owners: Vec<Value>) -> Result<()> {
    let owners = if owners.is_empty() { Value::Null } else { owners.into() };
    let version = found.object.revision.to_string();
    let patch = json!({"metadata": {"resourceVersion": version, "ownerReferences": owners}});
    cx.merge(target(found), &patch).await.unless_gone().map(drop)
}
