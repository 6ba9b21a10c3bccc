//! What becomes of a volume whose claim has gone.

use super::{PROVISIONED_BY, bind};
use crate::cache::index::POD_CLAIM;
use crate::cache::object::Key;
use crate::controllers::events::Kind;
use crate::controllers::harness::{Cut, Cx};
use crate::controllers::item::Item;
use crate::controllers::pods::Pod;
use crate::controllers::resources::{CLAIMS, PODS};
use crate::model::object;
use crate::model::status::{Outcome, Result};
use crate::model::volume::claim;
use crate::registry::options::DeleteOptions;

/// On a volume: the driver that takes care of it now.
const MIGRATED_TO: &str = "pv.kubernetes.io/migrated-to";
/// What a directory of a node must be below for stock to delete it.
const TEMPORARY: &str = "/tmp/";

/// Does as the volume's policy says.
pub async fn reclaim(cx: &Cx, cut: &Cut, volume: Item) -> Result<()> {
    if object::annotation(&volume.value, MIGRATED_TO).is_some_and(|driver| !driver.is_empty()) {
        return Ok(());
    }
    match volume.spec()["persistentVolumeReclaimPolicy"].as_str().unwrap_or("") {
        "Retain" => Ok(()),
        "Delete" => delete(cx, volume).await,
        "Recycle" => recycle(cx, cut, volume).await,
        _ => {
            let why = "Volume has unrecognized PersistentVolumeReclaimPolicy";
            bind::fail(cx, volume, "VolumeUnknownReclaimPolicy", why).await
        }
    }
}

/// Deletes it, if that is not the task of whoever made it. There is nothing to delete here but the object.
async fn delete(cx: &Cx, volume: Item) -> Result<()> {
    if let Err(why) = match deleter(&volume) {
        Deleter::Outside => return Ok(()),
        Deleter::Here => Ok(()),
        Deleter::Nobody(why) => Err(why),
    } {
        return bind::fail(cx, volume, "VolumeFailedDelete", &why).await;
    }
    cx.delete(volume.target(), &DeleteOptions::default()).await.unless_gone().map(drop)
}

/// Who deletes a volume.
#[derive(Debug, PartialEq, Eq)]
enum Deleter {
    /// Who made it.
    Outside,
    Here,
    /// Why not.
    Nobody(String),
}

fn deleter(volume: &Item) -> Deleter {
    let provisioner = object::annotation(&volume.value, PROVISIONED_BY).filter(|name| !name.is_empty());
    if let Some(name) = provisioner.filter(|name| *name != "kubernetes.io/host-path") {
        return match name.starts_with("kubernetes.io/") {
            true => Deleter::Nobody(format!("no volume plugin matched name: {name}")),
            false => Deleter::Outside,
        };
    }
    let spec = volume.spec();
    if spec["csi"].is_object() {
        return Deleter::Outside;
    }
    let nobody = |why: &str| {
        let name = volume.name();
        Deleter::Nobody(format!("error getting deleter volume plugin for volume {name:?}: {why}"))
    };
    match spec["hostPath"]["path"].as_str() {
        Some(path) if path.find(TEMPORARY).is_some_and(|at| path.len() > at + TEMPORARY.len()) => Deleter::Here,
        Some(path) => Deleter::Nobody(format!("host_path deleter only supports /tmp/.+ but received provided {path}")),
        None if spec["nfs"].is_object() => nobody("no deletable volume plugin matched"),
        None => nobody("no volume plugin matched"),
    }
}

/// Nobody empties volumes here.
async fn recycle(cx: &Cx, cut: &Cut, volume: Item) -> Result<()> {
    if let Some((namespace, name)) = claim(&volume.value)
        && cut.get(&CLAIMS, namespace, name).is_none()
    {
        let shelf = cut.shelf(&PODS);
        let key = Key::text(namespace, name);
        let pods = shelf.by_index(&POD_CLAIM, &key).filter_map(|pod| Pod::new(shelf, pod));
        let used: Vec<&str> = pods.filter(|pod| !pod.is_done()).map(|pod| pod.object.key.as_str()).collect();
        if !used.is_empty() {
            let message = format!("Volume is used by pods: {}", used.join(","));
            cx.event((&volume).into(), Kind::Normal, "VolumeFailedRecycle", message);
            return Ok(());
        }
    }
    bind::fail(cx, volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!").await
}
