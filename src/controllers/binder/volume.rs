//! One run for a volume.

use super::want::Want;
use super::{PROVISIONED_BY, bind, reclaim};
use crate::controllers::events::Kind;
use crate::controllers::harness::{Cut, Cx};
use crate::controllers::item::Item;
use crate::controllers::resources::CLAIMS;
use crate::model::object;
use crate::model::status::{Outcome, Result};

pub async fn sync(cx: &Cx, cut: &Cut, volume: Item) -> Result<()> {
    let uid = volume.spec()["claimRef"]["uid"].as_str().unwrap_or("").to_owned();
    if uid.is_empty() {
        // Free, or kept for a claim that is still to be bound.
        return bind::set_phase(cx, volume, "Available", "").await.map(drop);
    }
    let Some(claim) = claim(cx, cut, &volume, &uid).await? else { return release(cx, cut, volume).await };
    let chosen = claim.spec()["volumeName"].as_str().unwrap_or("");
    if chosen == volume.name() {
        return bind::set_phase(cx, volume, "Bound", "").await.map(drop);
    }
    if chosen.is_empty() {
        // The claim's run binds it, if it can.
        if Want::of(&claim.value).is_other_mode(&volume.value) {
            tell_of_modes(cx, &volume, &claim);
        }
        return Ok(());
    }
    let is_deleted = volume.spec()["persistentVolumeReclaimPolicy"] == "Delete";
    if is_deleted && object::annotation(&volume.value, PROVISIONED_BY).is_some() {
        // It was made for the claim, which has found another one.
        return release(cx, cut, volume).await;
    }
    bind::unbind(cx, volume).await
}

/// The claim that the volume names. What the cache lacks is asked of the store before a volume is given up.
async fn claim(cx: &Cx, cut: &Cut, volume: &Item, uid: &str) -> Result<Option<Item>> {
    let reference = &volume.spec()["claimRef"];
    let text = |field: &str| reference[field].as_str().unwrap_or("");
    let shelf = cut.shelf(&CLAIMS);
    let cached = Item::find(shelf, text("namespace"), text("name"))?;
    if cached.as_ref().is_some_and(|claim| claim.uid() == uid) || cached.is_none() && is_given_up(volume) {
        return Ok(cached);
    }
    let found = cx.get(CLAIMS.at(text("namespace"), text("name"))).await.unless_gone()?;
    let claim = found.map(|object| Item::new(shelf, &object)).transpose()?;
    Ok(claim.filter(|claim| claim.uid() == uid))
}

fn is_given_up(volume: &Item) -> bool {
    matches!(volume.status()["phase"].as_str(), Some("Released" | "Failed"))
}

async fn release(cx: &Cx, cut: &Cut, volume: Item) -> Result<()> {
    let volume = match is_given_up(&volume) {
        true => volume,
        false => bind::set_phase(cx, volume, "Released", "").await?,
    };
    reclaim::reclaim(cx, cut, volume).await
}

fn tell_of_modes(cx: &Cx, volume: &Item, claim: &Item) {
    let (claim_name, volume_name) = (claim.name(), volume.name());
    let message = format!(
        "Cannot bind PersistentVolume to requested PersistentVolumeClaim {claim_name:?} due to incompatible volumeMode."
    );
    cx.event(volume.into(), Kind::Warning, "VolumeMismatch", message);
    let message = format!(
        "Cannot bind PersistentVolume {volume_name:?} to requested PersistentVolumeClaim due to incompatible volumeMode."
    );
    cx.event(claim.into(), Kind::Warning, "VolumeMismatch", message);
}
