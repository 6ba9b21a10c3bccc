//! Which pods are its own: those that it controls and selects. It lets go of others, and takes in selected orphans.

use crate::cache::index::{ORPHAN_POD, OWNER};
use crate::cache::shelf::Shelf;
use crate::controllers::harness::Cx;
use crate::controllers::item::Item;
use crate::controllers::owner;
use crate::controllers::pods::Pod;
use crate::controllers::resources::PODS;
use crate::model::selector::label::Selector;
use crate::model::status::Result;

/// The pods of a set.
pub struct Claimed<'a> {
    pub active: Vec<Pod<'a>>,
    /// How many are being deleted.
    pub terminating: usize,
}

pub async fn claim<'a>(cx: &Cx, set: &Item, selector: &Selector, shelf: &'a Shelf) -> Result<Claimed<'a>> {
    let mut claimed = Claimed { active: Vec::new(), terminating: 0 };
    let owned = shelf.by_index(&OWNER, set.uid()).filter(|pod| pod.controller().is_some_and(|o| o.uid == set.uid()));
    for pod in owned.filter_map(|object| Pod::new(shelf, object)) {
        let is_selected = owner::selected(selector, pod.object);
        if pod.is_active() && is_selected {
            claimed.active.push(pod);
        } else if pod.is_active() && !set.is_deleting() {
            owner::release(cx, set, PODS.at(set.namespace(), pod.object.name()), &pod.object.uid()).await?;
        } else if pod.is_terminating() && is_selected {
            claimed.terminating += 1;
        }
    }
    if !set.is_deleting() {
        adopt(cx, set, selector, shelf, &mut claimed).await?;
    }
    Ok(claimed)
}

async fn adopt<'a>(
    cx: &Cx,
    set: &Item,
    selector: &Selector,
    shelf: &'a Shelf,
    claimed: &mut Claimed<'a>,
) -> Result<()> {
    let mut may_adopt = false;
    let orphans = shelf.by_index(&ORPHAN_POD, set.namespace()).filter_map(|object| Pod::new(shelf, object));
    for pod in orphans.filter(|pod| pod.is_active() && owner::selected(selector, pod.object)) {
        if !may_adopt {
            owner::may_adopt(cx, set).await?;
            may_adopt = true;
        }
        match owner::adopt(cx, set, PODS.at(set.namespace(), pod.object.name()), &pod.object.uid()).await {
            Ok(()) => claimed.active.push(pod),
            Err(status) if status.is_not_found() => {}
            Err(status) => return Err(status),
        }
    }
    Ok(())
}
