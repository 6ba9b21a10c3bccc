//! Volumes, claims and classes of their attributes that are in use stay until they are not: a finalizer holds them.

use async_trait::async_trait;

use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::item::{Item, view};
use super::pods::Pod;
use super::resources::{ATTRIBUTES_CLASSES, CLAIMS, Name, PODS, VOLUMES};
use crate::cache::index::{POD_CLAIM, claim_of};
use crate::cache::object::{Key, Object};
use crate::codec::protobuf::view::View;
use crate::model::object;
use crate::model::status::{Outcome, Result};
use crate::model::value::Value;

const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";
const CLASS_FINALIZER: &str = "kubernetes.io/vac-protection";

/// Key: a claim. It is in use while a pod that is on a node names it.
pub struct ClaimProtection;

/// Key: a volume. It is in use while it is bound.
pub struct VolumeProtection;

/// Key: a class of volume attributes. It is in use while a claim or a volume names it.
pub struct AttributesClassProtection;

#[async_trait]
impl Controller for ClaimProtection {
    fn follows(&self) -> Follows {
        Follows::these(&[&CLAIMS, &PODS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&CLAIMS) {
            claimed_for(change, CLAIM_FINALIZER, keys);
            return;
        }
        // A pod that is there may only keep a claim; one that has changed or gone may let go of it.
        let Some((pod, view)) = change.previous.and_then(|pod| Some((pod, change.view(pod)?))) else { return };
        for volume in view.at("spec").items("volumes") {
            let Some(name) = claim_of(pod.name(), volume) else { continue };
            let claim = change.registry.cache.get(&CLAIMS.full, pod.namespace(), &name);
            if claim.is_ok_and(|claim| claim.is_some_and(|claim| claim.is_deleting())) {
                keys.add_named(pod.namespace(), &name);
            }
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&CLAIMS, &PODS])?;
        let used = |claim: &Item| is_used(&cut, claim);
        protect(cx, &cut, &CLAIMS, key, CLAIM_FINALIZER, used).await.map(|()| Next::Done)
    }
}

#[async_trait]
impl Controller for VolumeProtection {
    fn follows(&self) -> Follows {
        Follows::these(&[&VOLUMES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        claimed_for(change, VOLUME_FINALIZER, keys);
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&VOLUMES])?;
        let used = |volume: &Item| volume.status()["phase"] == "Bound";
        protect(cx, &cut, &VOLUMES, key, VOLUME_FINALIZER, used).await.map(|()| Next::Done)
    }
}

#[async_trait]
impl Controller for AttributesClassProtection {
    fn follows(&self) -> Follows {
        Follows::these(&[&ATTRIBUTES_CLASSES, &CLAIMS, &VOLUMES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&ATTRIBUTES_CLASSES) {
            claimed_for(change, CLASS_FINALIZER, keys);
            return;
        }
        // What named a class may have let go of it.
        let Some(view) = change.previous.and_then(|object| change.view(object)) else { return };
        for name in classes(view) {
            let class = change.registry.cache.get(&ATTRIBUTES_CLASSES.full, "", name);
            if class.is_ok_and(|class| class.is_some_and(|class| class.is_deleting())) {
                keys.add(name);
            }
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&ATTRIBUTES_CLASSES, &CLAIMS, &VOLUMES])?;
        let names = |resource: &Name, class: &Item| {
            let shelf = cut.shelf(resource);
            let mut views = shelf.iter(None).filter_map(|object| view(shelf, object));
            views.any(|view| classes(view).any(|name| name == class.name()))
        };
        let used = |class: &Item| names(&CLAIMS, class) || names(&VOLUMES, class);
        protect(cx, &cut, &ATTRIBUTES_CLASSES, key, CLASS_FINALIZER, used).await.map(|()| Next::Done)
    }
}

/// The classes that a claim or a volume names: the one it wants, the one it has, and the one it is on the way to.
fn classes(view: View<'_>) -> impl Iterator<Item = &str> {
    let status = view.at("status");
    let names = [
        view.at("spec").text("volumeAttributesClassName"),
        status.text("currentVolumeAttributesClassName"),
        status.at("modifyVolumeStatus").text("targetVolumeAttributesClassName"),
    ];
    names.into_iter().filter(|name| !name.is_empty())
}

/// An object that wants the finalizer, or may be done with it.
fn claimed_for(change: &Change<'_>, finalizer: &str, keys: &mut Keys) {
    let has = |object: &Object| object.finalizers().any(|known| known == finalizer);
    if change.current.is_some_and(|object| has(object) == object.is_deleting()) {
        keys.add(change.key().as_str());
    }
}

/// Takes the finalizer off what is to go and is not used, and puts it on what has none.
async fn protect(
    cx: &Cx,
    cut: &Cut,
    resource: &Name,
    key: &str,
    finalizer: &str,
    is_used: impl Fn(&Item) -> bool,
) -> Result<()> {
    let shelf = cut.shelf(resource);
    let Some(mut item) = Item::find_key(shelf, key)? else { return Ok(()) };
    let mut finalizers: Vec<Value> = object::finalizers(&item.value).map(Value::from).collect();
    let has = finalizers.iter().any(|known| known == finalizer);
    match item.is_deleting() {
        true if has && !is_used(&item) => finalizers.retain(|known| known != finalizer),
        false if !has => finalizers.push(finalizer.into()),
        _ => return Ok(()),
    }
    item.value["metadata"]["finalizers"] = finalizers.into();
    cx.update(item.target(), &item.value).await.unless_gone().map(drop)
}

/// Whether a pod that is on a node uses the claim; one made for another pod is not this one.
fn is_used(cut: &Cut, claim: &Item) -> bool {
    let shelf = cut.shelf(&PODS);
    let key = Key::text(claim.namespace(), claim.name());
    let owners = claim.value["metadata"]["ownerReferences"].as_array();
    let owner = owners.and_then(|owners| owners.iter().find(|owner| owner["controller"] == true));
    let mut pods = shelf.by_index(&POD_CLAIM, &key).filter_map(|object| Pod::new(shelf, object));
    pods.any(|pod| {
        let mut volumes = pod.view.at("spec").items("volumes");
        let is_named = |volume: View<'_>| {
            let is_made = owner.is_some_and(|owner| owner["uid"] == *pod.object.uid()) && !is_shut_down(&pod);
            let is_own = !volume.has("ephemeral") || is_made;
            is_own && claim_of(pod.object.name(), volume).is_some_and(|name| name == claim.name())
        };
        !pod.node().is_empty() && volumes.any(is_named)
    })
}

/// Whether a pod has ended on its node and is only held by a finalizer, which may wait for its claim.
fn is_shut_down(pod: &Pod<'_>) -> bool {
    pod.deleting && pod.view.at("metadata").maybe_number("deletionGracePeriodSeconds") == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{World, pod_spec};
    use crate::model::value::json;

    #[tokio::test(start_paused = true)]
    async fn a_claim_stays_while_a_pod_uses_it() {
        let world = World::with(&["persistentvolumeclaim-protection-controller"]).await;
        for name in ["used", "free"] {
            let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
            world.create(&CLAIMS, json!({"metadata": {"name": name, "namespace": "d"}, "spec": spec})).await;
        }
        let mut spec = pod_spec("a:1");
        spec["nodeName"] = "n".into();
        spec["terminationGracePeriodSeconds"] = 0.into();
        spec["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "used"}}]);
        world.create(&PODS, json!({"metadata": {"name": "p", "namespace": "d"}, "spec": spec})).await;
        world.settle().await;
        assert_eq!(world.get(&CLAIMS, "d", "free")["metadata"]["finalizers"], json!([CLAIM_FINALIZER]));
        for name in ["used", "free"] {
            world.delete(CLAIMS.at("d", name)).await;
        }
        world.settle().await;
        assert_eq!(world.names(&CLAIMS), ["used"]);
        let options = crate::registry::options::DeleteOptions { grace_period: Some(0), ..Default::default() };
        world.client.delete(PODS.at("d", "p"), &options).await.expect("deleted");
        world.settle().await;
        assert_eq!(world.names(&CLAIMS), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_volume_stays_while_it_is_bound() {
        let world = World::with(&["persistentvolume-protection-controller"]).await;
        let spec =
            json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}});
        world.create(&VOLUMES, json!({"metadata": {"name": "v"}, "spec": spec})).await;
        world.merge(VOLUMES.at("", "v").part("status"), json!({"status": {"phase": "Bound"}})).await;
        world.settle().await;
        world.delete(VOLUMES.at("", "v")).await;
        world.settle().await;
        assert_eq!(world.names(&VOLUMES), ["v"]);
        world.merge(VOLUMES.at("", "v").part("status"), json!({"status": {"phase": "Released"}})).await;
        world.settle().await;
        assert_eq!(world.names(&VOLUMES), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_class_stays_while_a_claim_names_it() {
        let world = World::with(&["volumeattributesclass-protection-controller"]).await;
        for name in ["used", "free"] {
            world
                .create(
                    &ATTRIBUTES_CLASSES,
                    json!({"metadata": {"name": name}, "driverName": "d", "parameters": {"a": "b"}}),
                )
                .await;
        }
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            "volumeAttributesClassName": "used"});
        world.create(&CLAIMS, json!({"metadata": {"name": "c", "namespace": "d"}, "spec": spec})).await;
        world.settle().await;
        for name in ["used", "free"] {
            assert_eq!(world.get(&ATTRIBUTES_CLASSES, "", name)["metadata"]["finalizers"], json!([CLASS_FINALIZER]));
            world.delete(ATTRIBUTES_CLASSES.at("", name)).await;
        }
        world.settle().await;
        assert_eq!(world.names(&ATTRIBUTES_CLASSES), ["used"]);
        world.delete(CLAIMS.at("d", "c")).await;
        world.settle().await;
        assert_eq!(world.names(&ATTRIBUTES_CLASSES), [""; 0]);
    }
}
