//! Claims for the volumes of pods that come and go with their pods.

use std::sync::Arc;

use async_trait::async_trait;

use super::events::Kind;
use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::item::Item;
use super::resources::{CLAIMS, PODS};
use crate::cache::index::POD_CLAIM;
use crate::cache::object::Object;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};

/// Key: a pod. The garbage collector takes its claims when it is gone.
pub struct EphemeralVolumes;

#[async_trait]
impl Controller for EphemeralVolumes {
    fn follows(&self) -> Follows {
        Follows::these(&[&PODS, &CLAIMS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&PODS) {
            // Volumes never change.
            if change.previous.is_none() && change.current.is_some_and(|pod| has_volumes(change, pod)) {
                keys.add(change.key().as_str());
            }
        } else if change.is_deleted() {
            let Ok(snapshot) = change.registry.cache.snapshot(&[&PODS.full]) else { return };
            let pods = snapshot.shelves[0].by_index(&POD_CLAIM, change.key().as_str());
            pods.for_each(|pod| keys.add(pod.key.as_str()));
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&PODS, &CLAIMS])?;
        let shelf = cut.shelf(&PODS);
        let Some(pod) = Item::find_key(shelf, key)? else {
            return Ok(Next::Done);
        };
        if pod.is_deleting() {
            return Ok(Next::Done);
        }
        for volume in pod.spec()["volumes"].as_array().into_iter().flatten().filter(|v| v["ephemeral"].is_object()) {
            let name = volume["name"].as_str().unwrap_or("");
            let claim = format!("{}-{name}", pod.name());
            let made = match cut.get(&CLAIMS, pod.namespace(), &claim) {
                Some(claim) => check(&pod, claim),
                None => make(cx, &pod, &claim, &volume["ephemeral"]["volumeClaimTemplate"]).await,
            };
            if let Err(status) = made {
                let message = format!("ephemeral volume {name}: {}", status.message);
                cx.event((&pod).into(), Kind::Warning, "FailedBinding", message);
                return Err(status);
            }
        }
        Ok(Next::Done)
    }
}

fn has_volumes(change: &Change<'_>, pod: &Object) -> bool {
    let spec = change.view(pod).map(|pod| pod.at("spec"));
    !pod.is_deleting() && spec.is_some_and(|spec| spec.items("volumes").any(|volume| volume.has("ephemeral")))
}

/// A claim of the name that was made for something else is not the pod's.
fn check(pod: &Item, claim: &Arc<Object>) -> Result<()> {
    if claim.controller().is_some_and(|owner| owner.uid == pod.uid()) {
        return Ok(());
    }
    let (claim, pod) = (claim.key.as_str(), format!("{}/{}", pod.namespace(), pod.name()));
    Err(Status::internal_plain(format!("PVC {claim} was not created for pod {pod} (pod is not owner)")))
}

async fn make(cx: &Cx, pod: &Item, name: &str, template: &Value) -> Result<()> {
    let mut metadata =
        json!({"name": name, "namespace": pod.namespace(), "ownerReferences": [pod.controller_reference()]});
    for field in ["labels", "annotations"] {
        metadata[field] = template["metadata"][field].clone();
    }
    let claim = json!({"metadata": metadata, "spec": template["spec"]});
    match cx.create(CLAIMS.at(pod.namespace(), name), &claim).await {
        Ok(_) => Ok(()),
        Err(status) => Err(Status { message: format!("create PVC {name}: {}", status.message), ..status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{World, pod_spec};
    use crate::model::object;

    async fn pod(world: &World, name: &str) {
        let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": claim});
        let mut spec = pod_spec("a:1");
        spec["volumes"] = json!([{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}]);
        world.create(&PODS, json!({"metadata": {"name": name, "namespace": "d"}, "spec": spec})).await;
        world.settle().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_pods_volume_has_a_claim_of_its_own() {
        let world = World::with(&["ephemeral-volume"]).await;
        pod(&world, "p").await;
        let claim = world.get(&CLAIMS, "d", "p-v");
        let owner = &claim["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["kind"], &owner["controller"]), (&json!("Pod"), &json!(true)));
        assert_eq!(object::label(&claim, "a"), Some("b"));
        let before = object::uid(&claim).to_owned();
        world.delete(CLAIMS.at("d", "p-v")).await;
        world.settle().await;
        assert_ne!(object::uid(&world.get(&CLAIMS, "d", "p-v")), before, "made anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_was_there_is_not_the_pods() {
        let world = World::with(&["ephemeral-volume"]).await;
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        world.create(&CLAIMS, json!({"metadata": {"name": "p-v", "namespace": "d"}, "spec": spec})).await;
        pod(&world, "p").await;
        let why = "ephemeral volume v: PVC d/p-v was not created for pod d/p (pod is not owner)";
        assert_eq!(world.events()[0], format!("FailedBinding: {why}"));
    }
}
