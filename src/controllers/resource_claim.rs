//! ResourceClaims: made from templates for the pods that ask for them, kept while somebody uses them.

use crate::model::value::{Value, json};
use async_trait::async_trait;

use super::events::Kind;
use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::item::Item;
use super::pods::Pod;
use super::resources::{CLAIM_TEMPLATES, PODS, RESOURCE_CLAIMS};
use crate::cache::index::{OWNER, POD_CLAIM_TEMPLATE, POD_RESOURCE_CLAIM};
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::codec::protobuf::view::View;
use crate::model::object;
use crate::model::status::{Outcome, Result, Status};
use crate::registry::options::DeleteOptions;

/// Begins the keys of claims.
const CLAIM: char = '!';
/// On a claim: for which entry of its pod's `spec.resourceClaims` it was made.
const ENTRY: &str = "resource.kubernetes.io/pod-claim-name";
/// Holds a claim that has devices.
const FINALIZER: &str = "resource.kubernetes.io/delete-protection";
/// The field manager of what pods are told.
const MANAGER: &str = "ResourceClaimController";
/// The longest prefix of a claim's name, so that five letters and a dash fit behind it.
const MAX_PREFIX: usize = 57;
/// Pods that one claim is reserved for at most.
const MAX_CONSUMERS: usize = 256;

/// Key: a pod, or `!` and a claim.
pub struct ResourceClaims;

#[async_trait]
impl Controller for ResourceClaims {
    fn follows(&self) -> Follows {
        Follows::these(&[&PODS, &RESOURCE_CLAIMS, &CLAIM_TEMPLATES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&PODS) {
            return pod_changed(change, keys);
        }
        if change.is_of(&RESOURCE_CLAIMS) && !change.is_deleted() {
            keys.add(&format!("{CLAIM}{}", change.key().as_str()));
        }
        let Ok(snapshot) = change.registry.cache.snapshot(&[&PODS.full]) else { return };
        let index = if change.is_of(&RESOURCE_CLAIMS) { &POD_RESOURCE_CLAIM } else { &POD_CLAIM_TEMPLATE };
        snapshot.shelves[0].by_index(index, change.key().as_str()).for_each(|pod| keys.add(pod.key.as_str()));
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&PODS, &RESOURCE_CLAIMS, &CLAIM_TEMPLATES])?;
        let (name, key) = match key.strip_prefix(CLAIM) {
            Some(claim) => (&RESOURCE_CLAIMS, claim),
            None => (&PODS, key),
        };
        let shelf = cut.shelf(name);
        let Some(item) = Item::find_key(shelf, key)? else {
            return Ok(Next::Done);
        };
        if item.storage.shelf == RESOURCE_CLAIMS.full {
            clean(cx, &cut, item).await?;
        } else if !item.is_deleting() && !matches!(item.status()["phase"].as_str(), Some("Succeeded" | "Failed")) {
            provide(cx, &cut, &item).await?;
        }
        Ok(Next::Done)
    }
}

/// A pod with claims is looked at; of one that will not run (any more), the claims are.
fn pod_changed(change: &Change<'_>, keys: &mut Keys) {
    let Some(view) = change.view(change.object()) else { return };
    let extended = view.at("status").get("extendedResourceClaimStatus");
    if extended.is_none() && view.at("spec").count("resourceClaims") == 0 {
        return;
    }
    if change.is_deleted() || is_done(view) {
        let status = view.at("status");
        let named = view.at("spec").items("resourceClaims").map(|entry| entry.text("resourceClaimName"));
        let made = status.items("resourceClaimStatuses").map(|entry| entry.text("resourceClaimName"));
        let extended = extended.into_iter().map(|status| status.text("resourceClaimName"));
        for name in named.chain(made).chain(extended).filter(|name| !name.is_empty()) {
            keys.add(&format!("{CLAIM}{}/{name}", change.namespace()));
        }
    } else if !change.object().is_deleting() {
        keys.add(change.key().as_str());
    }
}

/// Whether none of the pod's containers runs or will run.
fn is_done(pod: View<'_>) -> bool {
    let is_dropped = pod.at("metadata").has("deletionTimestamp") && pod.at("spec").text("nodeName").is_empty();
    matches!(pod.at("status").text("phase"), "Succeeded" | "Failed") || is_dropped
}

/// What one entry of a pod's `spec.resourceClaims` stands for.
enum Named<'a> {
    /// A claim that its user made.
    Claim(&'a str),
    /// A claim that was made for the pod.
    Made(&'a str),
    /// None is needed.
    Nothing,
    /// One that is still to be made from this template.
    Template(&'a str),
}

fn named<'a>(pod: &'a Item, entry: &'a Value) -> Named<'a> {
    if let Some(name) = entry["resourceClaimName"].as_str() {
        return Named::Claim(name);
    }
    let mut made = pod.status()["resourceClaimStatuses"].as_array().into_iter().flatten();
    match (made.find(|made| made["name"] == entry["name"]), entry["resourceClaimTemplateName"].as_str()) {
        (Some(made), _) => made["resourceClaimName"].as_str().map_or(Named::Nothing, Named::Made),
        (None, Some(template)) => Named::Template(template),
        (None, None) => Named::Nothing,
    }
}

/// Makes the claims that a pod lacks, and reserves them for one that was placed past the scheduler.
async fn provide(cx: &Cx, cut: &Cut, pod: &Item) -> Result<()> {
    let claims = cut.shelf(&RESOURCE_CLAIMS);
    let (mut made, mut is_news) = (Vec::new(), false);
    for entry in entries(pod) {
        let name = entry["name"].as_str().unwrap_or("");
        let is_own = |name: &str| claims.get(pod.namespace(), name).is_some_and(|claim| is_of(claim, pod));
        let template = match named(pod, entry) {
            Named::Claim(_) | Named::Nothing => continue,
            Named::Made(claim) if is_own(claim) => {
                made.push(json!({"name": name, "resourceClaimName": claim}));
                continue;
            }
            Named::Made(_) => entry["resourceClaimTemplateName"].as_str().unwrap_or(""),
            Named::Template(template) => template,
        };
        let claim = match find(claims, pod, name) {
            Some(claim) => claim,
            None => make(cx, cut, pod, name, template).await.inspect_err(|status| {
                let message = format!("PodResourceClaim {name}: {}", status.message);
                cx.event(pod.into(), Kind::Warning, "FailedResourceClaimCreation", message);
            })?,
        };
        made.push(json!({"name": name, "resourceClaimName": claim}));
        is_news = true;
    }
    if is_news {
        let wanted = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod.name(), "namespace": pod.namespace()},
            "status": {"resourceClaimStatuses": made},
        });
        cx.apply(pod.target().part("status"), wanted, MANAGER).await?;
    }
    if pod.spec()["nodeName"].as_str().unwrap_or("").is_empty() {
        return Ok(());
    }
    for entry in entries(pod) {
        reserve(cx, claims, pod, entry).await?;
    }
    Ok(())
}

fn entries(pod: &Item) -> impl Iterator<Item = &Value> {
    pod.spec()["resourceClaims"].as_array().into_iter().flatten()
}

fn is_of(claim: &Object, pod: &Item) -> bool {
    claim.controller().is_some_and(|owner| owner.uid == pod.uid())
}

/// A claim that was made for this entry, and the pod was not told.
fn find(claims: &Shelf, pod: &Item, entry: &str) -> Option<String> {
    let mut own = claims.by_index(&OWNER, pod.uid()).filter(|claim| is_of(claim, pod));
    let is_for = |claim: &Object| {
        let claim = Item::new(claims, claim).ok();
        claim.is_some_and(|claim| object::annotation(&claim.value, ENTRY) == Some(entry))
    };
    own.find(|claim| is_for(claim)).map(|claim| claim.name().to_owned())
}

/// Makes a claim from a template; its name.
async fn make(cx: &Cx, cut: &Cut, pod: &Item, entry: &str, template: &str) -> Result<String> {
    let Some(found) = Item::find(cut.shelf(&CLAIM_TEMPLATES), pod.namespace(), template)? else {
        let missing = format!("resourceclaimtemplate.resource.k8s.io {template:?} not found");
        return Err(Status::internal_plain(format!("resource claim template {template:?}: {missing}")));
    };
    let given = &found.spec()["metadata"];
    let mut owner = pod.controller_reference();
    owner.as_object_mut().and_then(|owner| owner.remove("blockOwnerDeletion"));
    let mut metadata = json!({
        "generateName": prefix(pod.name(), entry), "namespace": pod.namespace(), "ownerReferences": [owner],
        "labels": given["labels"], "annotations": given["annotations"],
    });
    metadata["annotations"][ENTRY] = entry.into();
    let claim = json!({"metadata": metadata, "spec": found.spec()["spec"]});
    match cx.create(RESOURCE_CLAIMS.at(pod.namespace(), ""), &claim).await {
        Ok(made) => Ok(made.object.name().to_owned()),
        Err(status) => Err(Status { message: format!("create ResourceClaim : {}", status.message), ..status }),
    }
}

/// What a claim's name begins with: something of both names.
fn prefix(pod: &str, entry: &str) -> String {
    let whole = format!("{pod}-{entry}-");
    if whole.len() <= MAX_PREFIX {
        return whole;
    }
    let part = |name: &str| name.get(..name.len() * MAX_PREFIX / whole.len()).unwrap_or(name).to_owned();
    format!("{}-{}", part(pod), part(entry))
}

async fn reserve(cx: &Cx, claims: &Shelf, pod: &Item, entry: &Value) -> Result<()> {
    let (name, is_made) = match named(pod, entry) {
        Named::Claim(name) => (name, false),
        Named::Made(name) => (name, true),
        // It is looked at again when the pod shows what was made.
        Named::Template(_) | Named::Nothing => return Ok(()),
    };
    let Some(mut claim) = Item::find(claims, pod.namespace(), name)? else { return Ok(()) };
    let is_own =
        claim.value["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|o| o["uid"] == pod.uid());
    let mut consumers = consumers(&claim).to_vec();
    let is_reserved = consumers.iter().any(|consumer| consumer["uid"] == pod.uid());
    let can_be = claim.status()["allocation"].is_object() && consumers.len() < MAX_CONSUMERS;
    if is_made && !is_own || is_reserved || !can_be {
        return Ok(());
    }
    consumers.push(json!({"resource": "pods", "name": pod.name(), "uid": pod.uid()}));
    claim.value["status"]["reservedFor"] = consumers.into();
    cx.update(claim.target().part("status"), &claim.value).await.map(drop)
}

fn consumers(claim: &Item) -> &[Value] {
    claim.status()["reservedFor"].as_array().map_or(&[], Vec::as_slice)
}

/// Takes off a claim the pods that use it no more; without any it gives its devices back, and goes if it was made for a
/// pod that does not need it.
async fn clean(cx: &Cx, cut: &Cut, mut claim: Item) -> Result<()> {
    let mut left = Vec::new();
    for consumer in consumers(&claim) {
        if !is_pod(consumer) || uses(cx, cut, claim.namespace(), consumer).await? {
            left.push(consumer.clone());
        }
    }
    let is_free = left.is_empty();
    let has_lost = left.len() < consumers(&claim).len();
    let is_held = object::finalizers(&claim.value).any(|finalizer| finalizer == FINALIZER);
    let is_ending = is_held && is_free && claim.is_deleting();
    let has_devices = claim.status()["allocation"].is_object();
    if has_lost || is_ending && has_devices {
        if is_free && is_held {
            claim.value["status"].as_object_mut().and_then(|status| status.remove("allocation"));
        }
        claim.value["status"]["reservedFor"] = left.into();
        let written = cx.update(claim.target().part("status"), &claim.value).await?;
        claim = Item::of(&claim.storage, &written.object)?;
    }
    if is_held && (has_lost && claim.status()["allocation"].is_null() || is_ending) {
        let kept: Vec<Value> =
            object::finalizers(&claim.value).filter(|known| *known != FINALIZER).map(Value::from).collect();
        claim.value["metadata"]["finalizers"] = kept.into();
        cx.update(claim.target(), &claim.value).await?;
    }
    if is_free && is_left_over(cut, &claim) {
        cx.delete(claim.target(), &DeleteOptions::default()).await.unless_gone()?;
    }
    Ok(())
}

fn is_pod(consumer: &Value) -> bool {
    consumer["apiGroup"].as_str().unwrap_or("").is_empty() && consumer["resource"] == "pods"
}

/// Whether a pod is there and may run. What the cache lacks is asked of the store: the scheduler may be ahead.
async fn uses(cx: &Cx, cut: &Cut, namespace: &str, consumer: &Value) -> Result<bool> {
    let (name, uid) = (consumer["name"].as_str().unwrap_or(""), consumer["uid"].as_str().unwrap_or(""));
    let shelf = cut.shelf(&PODS);
    if let Some(pod) = shelf.get(namespace, name).and_then(|object| Pod::new(shelf, object)) {
        return Ok(pod.object.uid() == uid && !is_done(pod.view));
    }
    let found = cx.get(PODS.at(namespace, name)).await.unless_gone()?;
    Ok(found.is_some_and(|pod| pod.uid() == uid))
}

/// Whether the claim was made for a pod that was replaced or will not run. One that is gone is the garbage collector's.
fn is_left_over(cut: &Cut, claim: &Item) -> bool {
    let owners = claim.value["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let mut owners = owners.filter(|o| o["controller"] == true && o["apiVersion"] == "v1" && o["kind"] == "Pod");
    let Some(owner) = owners.next() else { return false };
    let shelf = cut.shelf(&PODS);
    let pod = shelf.get(claim.namespace(), owner["name"].as_str().unwrap_or("")).and_then(|pod| Pod::new(shelf, pod));
    pod.is_some_and(|pod| owner["uid"] != *pod.object.uid() || is_done(pod.view))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{World, pod_spec};

    async fn world() -> World {
        let world = World::with(&["resourceclaim-controller"]).await;
        let exactly = json!({"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1});
        let spec = json!({"devices": {"requests": [{"name": "r", "exactly": exactly}]}});
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": spec});
        world.create(&CLAIM_TEMPLATES, json!({"metadata": {"name": "t", "namespace": "d"}, "spec": template})).await;
        world.settle().await;
        world
    }

    async fn pod(world: &World, template: &str) {
        let mut spec = pod_spec("a:1");
        spec["resourceClaims"] = json!([{"name": "dev", "resourceClaimTemplateName": template}]);
        world.create(&PODS, json!({"metadata": {"name": "p", "namespace": "d"}, "spec": spec})).await;
        world.settle().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_has_a_claim_made_from_its_template() {
        let world = world().await;
        pod(&world, "t").await;
        let name = world.names(&RESOURCE_CLAIMS).remove(0);
        assert!(name.starts_with("p-dev-"));
        let claim = world.get(&RESOURCE_CLAIMS, "d", &name);
        assert_eq!((object::annotation(&claim, ENTRY), object::label(&claim, "a")), (Some("dev"), Some("b")));
        assert_eq!(claim["spec"]["devices"]["requests"][0]["exactly"]["deviceClassName"], "gpu");
        let told = json!([{"name": "dev", "resourceClaimName": name}]);
        assert_eq!(world.get(&PODS, "d", "p")["status"]["resourceClaimStatuses"], told);
        world.merge(PODS.at("d", "p").part("status"), json!({"status": {"phase": "Succeeded"}})).await;
        world.settle().await;
        assert_eq!(world.names(&RESOURCE_CLAIMS), [""; 0], "nobody needs it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_waits_for_its_template() {
        let world = world().await;
        pod(&world, "later").await;
        let why = "resource claim template \"later\": resourceclaimtemplate.resource.k8s.io \"later\" not found";
        assert_eq!(world.events()[0], format!("FailedResourceClaimCreation: PodResourceClaim dev: {why}"));
        let spec = world.get(&CLAIM_TEMPLATES, "d", "t")["spec"].clone();
        world.create(&CLAIM_TEMPLATES, json!({"metadata": {"name": "later", "namespace": "d"}, "spec": spec})).await;
        world.settle().await;
        assert_eq!(world.names(&RESOURCE_CLAIMS).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn devices_are_given_back_when_the_last_pod_has_gone() {
        let world = world().await;
        let spec = world.get(&CLAIM_TEMPLATES, "d", "t")["spec"]["spec"].clone();
        let metadata = json!({"name": "c", "namespace": "d", "finalizers": [FINALIZER]});
        world.create(&RESOURCE_CLAIMS, json!({"metadata": metadata, "spec": spec})).await;
        let mut spec = pod_spec("a:1");
        spec["resourceClaims"] = json!([{"name": "dev", "resourceClaimName": "c"}]);
        let made = world.create(&PODS, json!({"metadata": {"name": "p", "namespace": "d"}, "spec": spec})).await;
        let devices = json!({"results": [{"request": "r", "driver": "x.io", "pool": "n", "device": "0"}]});
        let uid = &made["metadata"]["uid"];
        let reserved = json!([{"resource": "pods", "name": "p", "uid": uid}]);
        let status = json!({"status": {"allocation": {"devices": devices}, "reservedFor": reserved}});
        world.merge(RESOURCE_CLAIMS.at("d", "c").part("status"), status).await;
        world.settle().await;
        assert_eq!(world.get(&RESOURCE_CLAIMS, "d", "c")["status"]["reservedFor"][0]["name"], "p");
        world.delete(PODS.at("d", "p")).await;
        world.settle().await;
        let claim = world.get(&RESOURCE_CLAIMS, "d", "c");
        assert_eq!((&claim["status"]["allocation"], &claim["status"]["reservedFor"]), (&Value::Null, &Value::Null));
        assert_eq!(object::finalizers(&claim).count(), 0);
    }

    #[test]
    fn names_keep_something_of_both() {
        assert_eq!(prefix("p", "dev"), "p-dev-");
        let long = prefix(&"p".repeat(80), &"d".repeat(40));
        assert_eq!(long, format!("{}-{}", "p".repeat(37), "d".repeat(18)));
    }
}
