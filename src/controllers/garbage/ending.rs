//! An object that goes, and holds on until its dependents are seen to.

use super::judge::{keep_owners, target};
use super::place::InSnapshot;
use super::{FOREGROUND, ORPHAN};
use crate::cache::handle::Snapshot;
use crate::cache::index::OWNER;
use crate::controllers::batch;
use crate::controllers::harness::Cx;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Value, json};

/// Its dependents lose it as their owner, and live on; then it may go.
pub async fn orphan(cx: &Cx, snapshot: &Snapshot, owner: &InSnapshot<'_>) -> Result<()> {
    let uid = owner.object.uid();
    let dependents: Vec<_> =
        snapshot.by_index(&OWNER, &uid).map(|(shelf, object)| InSnapshot { shelf, object }).collect();
    for some in dependents.chunks(batch::BURST) {
        let uid = &uid;
        batch::all(some.iter().map(|dependent| keep_owners(cx, dependent, move |other| other != *uid))).await?;
    }
    let_go(cx, owner, ORPHAN).await
}

/// Its dependents have been told to go; when none is left that holds it up, it goes.
pub async fn foreground(cx: &Cx, snapshot: &Snapshot, owner: &InSnapshot<'_>) -> Result<()> {
    if is_held_up(snapshot, &owner.object.uid()) {
        return Ok(());
    }
    let_go(cx, owner, FOREGROUND).await
}

fn is_held_up(snapshot: &Snapshot, uid: &str) -> bool {
    let mut dependents = snapshot.by_index(&OWNER, uid);
    dependents.any(|(_, object)| object.owners().iter().any(|owner| owner.uid == uid && owner.block_deletion))
}

async fn let_go(cx: &Cx, owner: &InSnapshot<'_>, finalizer: &str) -> Result<()> {
    let left: Vec<Value> = owner.object.finalizers().filter(|name| name != finalizer).map(|name| json!(name)).collect();
    let left = if left.is_empty() { Value::Null } else { left.into() };
    let version = owner.object.revision.to_string();
    let patch = json!({"metadata": {"resourceVersion": version, "finalizers": left}});
    cx.merge(target(owner), &patch).await.unless_gone().map(drop)
}
