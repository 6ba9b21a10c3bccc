//! The writes: what volumes and claims say of each other.

use super::{BY_CONTROLLER, COMPLETED, is_bound_to};
use crate::controllers::events::Kind;
use crate::controllers::harness::Cx;
use crate::controllers::item::Item;
use crate::model::object;
use crate::model::quantity::Quantity;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};

/// On a volume: the size that its claim shows until the file system has grown.
const BEFORE_RESIZE: &str = "volume.alpha.kubernetes.io/pre-resize-capacity";

/// Writes all of a binding that is not written yet.
pub async fn bind(cx: &Cx, volume: Item, claim: Item) -> Result<()> {
    let volume = claim_volume(cx, volume, &claim).await?;
    let volume = set_phase(cx, volume, "Bound", "").await?;
    let claim = name_volume(cx, claim, &volume).await?;
    set_claim(cx, claim, "Bound", Some(&volume)).await.map(drop)
}

/// Makes the volume name the claim.
async fn claim_volume(cx: &Cx, mut volume: Item, claim: &Item) -> Result<Item> {
    let is_chosen = is_bound_to(&volume.value, claim);
    let is_named = is_chosen && volume.spec()["claimRef"]["uid"] == claim.uid();
    if is_named {
        return Ok(volume);
    }
    volume.value["spec"]["claimRef"] = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace(), "name": claim.name(),
        "uid": claim.uid(), "resourceVersion": object::resource_version(&claim.value),
    });
    if !is_chosen {
        annotate(&mut volume.value, BY_CONTROLLER);
    }
    save(cx, &volume, "").await
}

/// Makes the claim name the volume.
async fn name_volume(cx: &Cx, mut claim: Item, volume: &Item) -> Result<Item> {
    let is_named = claim.spec()["volumeName"] == volume.name();
    if is_named && object::annotation(&claim.value, COMPLETED).is_some() {
        return Ok(claim);
    }
    if !is_named {
        claim.value["spec"]["volumeName"] = volume.name().into();
        annotate(&mut claim.value, BY_CONTROLLER);
    }
    annotate(&mut claim.value, COMPLETED);
    save(cx, &claim, "").await
}

/// Gives the volume a phase, if it has another one.
pub async fn set_phase(cx: &Cx, mut volume: Item, phase: &str, message: &str) -> Result<Item> {
    if volume.status()["phase"] == phase {
        return Ok(volume);
    }
    volume.value["status"]["phase"] = phase.into();
    volume.value["status"]["message"] = message.into();
    save(cx, &volume, "status").await
}

/// The same, and says why.
pub async fn fail(cx: &Cx, volume: Item, reason: &'static str, why: &str) -> Result<()> {
    if volume.status()["phase"] != "Failed" {
        let volume = set_phase(cx, volume, "Failed", why).await?;
        cx.event((&volume).into(), Kind::Warning, reason, why.into());
    }
    Ok(())
}

/// Gives the claim a phase, and what its volume has; whether it had another phase.
pub async fn set_claim(cx: &Cx, mut claim: Item, phase: &str, volume: Option<&Item>) -> Result<bool> {
    let before = claim.status().clone();
    let is_new = before["phase"] != phase;
    let status = &mut claim.value["status"];
    if !status.is_object() {
        *status = json!({});
    }
    status["phase"] = phase.into();
    match volume {
        None => {
            for field in ["accessModes", "capacity", "currentVolumeAttributesClassName"] {
                status.as_object_mut().and_then(|status| status.remove(field));
            }
        }
        Some(volume) => {
            status["accessModes"] = volume.spec()["accessModes"].clone();
            // A claim that was bound already may show less on purpose: its file system is still to grow.
            if is_new {
                give_capacity(status, volume)?;
            }
            if before["phase"] == "Pending" && phase == "Bound" {
                status["currentVolumeAttributesClassName"] = volume.spec()["volumeAttributesClassName"].clone();
            }
        }
    }
    if !same(&before, claim.status()) {
        save(cx, &claim, "status").await?;
    }
    Ok(is_new)
}

fn give_capacity(status: &mut Value, volume: &Item) -> Result<()> {
    let capacity = &volume.spec()["capacity"];
    let Ok(own) = Quantity::from_value(&capacity["storage"]) else {
        return Err(Status::internal(format!("PersistentVolume {:?} is without a storage capacity", volume.name())));
    };
    if let Some(size) = object::annotation(&volume.value, BEFORE_RESIZE) {
        let size = Value::from(size);
        let is_size = Quantity::from_value(&size).is_ok();
        status["capacity"]["storage"] = if is_size { size } else { capacity["storage"].clone() };
    } else if Quantity::from_value(&status["capacity"]["storage"]).ok() != Some(own) {
        status["capacity"] = capacity.clone();
    }
    Ok(())
}

/// Takes a binding back: the volume is as its user made it, and free.
pub async fn unbind(cx: &Cx, mut volume: Item) -> Result<()> {
    let annotations = volume.value["metadata"]["annotations"].as_object_mut();
    let is_own = annotations.and_then(|annotations| annotations.remove(BY_CONTROLLER)).is_some();
    let field =
        if is_own { &mut volume.value["spec"]["claimRef"] } else { &mut volume.value["spec"]["claimRef"]["uid"] };
    field.take();
    let volume = save(cx, &volume, "").await?;
    set_phase(cx, volume, "Available", "").await.map(drop)
}

/// Writes an object, or its status, as it is here; a conflict when it is no longer the newest.
pub async fn save(cx: &Cx, item: &Item, part: &str) -> Result<Item> {
    let written = cx.update(item.target().part(if part.is_empty() { "" } else { "status" }), &item.value).await?;
    Item::of(&item.storage, &written.object)
}

pub fn annotate(object: &mut Value, key: &str) {
    object["metadata"]["annotations"][key] = "yes".into();
}

/// Whether two say the same; what is null is not there.
fn same(one: &Value, other: &Value) -> bool {
    let dense = |value: &Value| {
        let mut fields = value.as_object().cloned().unwrap_or_default();
        fields.retain(|_, value| !value.is_null());
        fields
    };
    dense(one) == dense(other)
}
