//! Owners: who controls an object, taking an orphan in, letting go of what is no longer selected.

use super::harness::Cx;
use super::item::Item;
use crate::cache::object::{Object, Owner};
use crate::model::names::GroupVersionKind;
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};
use crate::model::value::json;
use crate::registry::client::Target;

/// Whether an owner reference is of this kind, whatever its version.
pub fn is_of(owner: &Owner<'_>, kind: &GroupVersionKind) -> bool {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    owner.kind == kind.kind.as_str() && group == kind.group.as_str()
}

/// Whether the object's labels meet the selector.
pub fn selected(selector: &Selector, object: &Object) -> bool {
    let labels = object.labels();
    selector.matches_by(|key| labels.iter().find(|(known, _)| known == key).map(|(_, value)| value))
}

/// Whether the owner is the same object still and not on its way out: asked of the store before it adopts anything.
pub async fn may_adopt(cx: &Cx, owner: &Item) -> Result<()> {
    let now = cx.get(owner.target()).await?;
    if now.uid() != owner.uid() {
        return Err(Status::internal(format!("{} {} was replaced by another", owner.storage.shelf, owner.name())));
    }
    if now.is_deleting() {
        let which = format!("{}/{}", owner.namespace(), owner.name());
        return Err(Status::internal(format!("{which} has just been deleted and adopts nothing")));
    }
    Ok(())
}

/// Makes `owner` the controller of an object that has none.
pub async fn adopt(cx: &Cx, owner: &Item, target: Target<'_>, uid: &str) -> Result<()> {
    let patch = json!({"metadata": {"uid": uid, "ownerReferences": [owner.controller_reference()]}});
    cx.strategic(target, &patch).await.map(drop)
}

/// Takes `owner` from the object's owners. One that is gone, or another by now, needs nothing.
pub async fn release(cx: &Cx, owner: &Item, target: Target<'_>, uid: &str) -> Result<()> {
    let patch = json!({"metadata": {"uid": uid, "ownerReferences": [{"$patch": "delete", "uid": owner.uid()}]}});
    match cx.strategic(target, &patch).await {
        Err(status) if !status.is_not_found() && !status.is("Invalid") => Err(status),
        _ => Ok(()),
    }
}
