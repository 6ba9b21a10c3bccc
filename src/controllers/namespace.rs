//! Namespaces that are deleted: their content goes first, pods before everything else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::batch::{self, BURST};
use super::conditions;
use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::item::{Item, time};
use super::pods::Pod;
use super::resources::{NAMESPACES, PODS};
use crate::cache::shelf::Shelf;
use crate::model::status::{Outcome, Result, Status};
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::registry::client::Target;
use crate::registry::options::DeleteOptions;
use crate::schema::resource::{Resource, Verbs};

/// In `spec.finalizers` for as long as there is content.
const FINALIZER: &str = "kubernetes";

const FAILURE: &str = "NamespaceDeletionContentFailure";
const REMAINING: &str = "NamespaceContentRemaining";
const FINALIZERS: &str = "NamespaceFinalizersRemaining";
/// (type, reason and message while all is well), in the order in which they are shown.
const CONDITIONS: [(&str, &str, &str); 5] = [
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (FAILURE, "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    (REMAINING, "ContentRemoved", "All content successfully removed"),
    (FINALIZERS, "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
];

pub struct Namespaces;

/// What is left in a namespace after everything was deleted once.
#[derive(Debug, Default)]
struct Left {
    /// `resource.group` -> objects
    resources: BTreeMap<String, usize>,
    /// finalizer -> objects that it holds
    finalizers: BTreeMap<String, usize>,
    errors: Vec<String>,
    /// Seconds within which pods are to end; 0 when only finalizers hold what is left.
    grace: i64,
}

#[async_trait]
impl Controller for Namespaces {
    fn follows(&self) -> Follows {
        Follows::All
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&NAMESPACES) {
            if change.current.is_some_and(|namespace| namespace.is_deleting()) {
                keys.add(change.name());
            }
            return;
        }
        // What has changed may be gone, or held by nothing any more.
        if change.previous.is_none() || change.namespace().is_empty() {
            return;
        }
        let namespace = change.registry.cache.get(&NAMESPACES.full, "", change.namespace());
        if namespace.ok().flatten().is_some_and(|namespace| namespace.is_deleting()) {
            keys.add(change.namespace());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        // Nothing is created in it any more; what was created just before must be seen.
        cx.plane.registry.fresh().await?;
        let cut = cx.cut(&[&NAMESPACES])?;
        let Some(namespace) = Item::find(cut.shelf(&NAMESPACES), "", key)? else { return Ok(Next::Done) };
        let finalizers = namespace.spec()["finalizers"].as_array().cloned().unwrap_or_default();
        if !namespace.is_deleting() || finalizers.is_empty() {
            return Ok(Next::Done);
        }
        let (left, shown) = delete_all(cx, &namespace).await?;
        let mut namespace = say(cx, namespace, &shown).await?;
        if !left.errors.is_empty() {
            return Err(Status::internal(left.errors.join(", ")));
        }
        if !left.resources.is_empty() {
            return Ok(match left.grace {
                0 => Next::Done,
                seconds => Next::After(Duration::from_secs(seconds.unsigned_abs())),
            });
        }
        let others: Vec<Value> = finalizers.into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
        namespace.value["spec"]["finalizers"] = others.into();
        cx.update(namespace.target().part("finalize"), &namespace.value).await.unless_gone().map(|_| Next::Done)
    }
}

/// Deletes everything once: the pods, and the rest when they are gone. What is left, and what of it users are told.
async fn delete_all(cx: &Cx, namespace: &Item) -> Result<(Left, Left)> {
    let mut left = Left::default();
    let (pods, others): (Vec<_>, Vec<_>) = deletable(cx).into_iter().partition(|resource| resource.name == PODS.full);
    for resource in &pods {
        left.sweep(cx, namespace, resource).await?;
    }
    if !left.resources.is_empty() {
        // As long as there are pods, stock's conditions tell of errors alone.
        let shown = Left { errors: left.errors.clone(), ..Left::default() };
        return Ok((left, shown));
    }
    for resource in &others {
        left.sweep(cx, namespace, resource).await?;
    }
    let shown = Left { resources: left.resources.clone(), finalizers: left.finalizers.clone(), ..Left::default() };
    let shown = Left { errors: left.errors.clone(), ..shown };
    Ok((left, shown))
}

/// What is in namespaces and can be deleted: one resource a shelf.
fn deletable(cx: &Cx) -> Vec<Arc<Resource>> {
    let mut found: Vec<Arc<Resource>> = Vec::new();
    for resource in cx.plane.registry.catalog.load().resources() {
        let Some(storage) = &resource.storage else { continue };
        let is_new = found.iter().all(|known| known.storage.as_ref().is_none_or(|s| s.shelf != storage.shelf));
        if is_new && resource.namespaced && resource.verbs.contains(Verbs::DELETE) {
            found.push(resource.clone());
        }
    }
    found
}

impl Left {
    /// Deletes what there is of a resource, and counts what is left of it.
    async fn sweep(&mut self, cx: &Cx, namespace: &Item, resource: &Resource) -> Result<()> {
        let (name, before) = (namespace.name(), shelf(cx, resource)?);
        let doomed: Vec<_> = before.iter(Some(name)).collect();
        if doomed.is_empty() {
            return Ok(());
        }
        let grace = grace(&before, namespace, cx.now());
        let options = DeleteOptions { propagation: Some("Background".into()), ..DeleteOptions::default() };
        let target = |object| Target::new(&resource.name.group, &resource.name.resource, name, object);
        for some in doomed.chunks(BURST) {
            let acts = some.iter().map(|object| delete(cx, target(object.name()), &options));
            if let Err(status) = batch::all(acts).await {
                self.errors.push(status.message);
                self.count(&before, name, resource, grace);
                return Ok(());
            }
        }
        cx.plane.registry.fresh().await?;
        let after = shelf(cx, resource)?;
        let is_held = after.iter(Some(name)).any(|object| object.finalizers().next().is_some());
        if after.count(Some(name)) > 0 && grace == 0 && !is_held {
            let (version, plural) = (&resource.kind.version, &resource.name.resource);
            let gvr = format!("{}/{version}, Resource={plural}", resource.name.group);
            self.errors.push(format!("unexpected items still remain in namespace: {name} for gvr: {gvr}"));
        }
        self.count(&after, name, resource, grace);
        Ok(())
    }

    fn count(&mut self, shelf: &Shelf, name: &str, resource: &Resource, grace: i64) {
        for object in shelf.iter(Some(name)) {
            let named = format!("{}.{}", resource.name.resource, resource.name.group);
            *self.resources.entry(named).or_default() += 1;
            for finalizer in object.finalizers() {
                *self.finalizers.entry(finalizer.into_owned()).or_default() += 1;
            }
            self.grace = self.grace.max(grace);
        }
    }

    /// The conditions that say so.
    fn conditions(&self, now: Time) -> Vec<Value> {
        let list = |counts: &BTreeMap<String, usize>, middle: &str| {
            let texts: Vec<_> =
                counts.iter().map(|(name, count)| format!("{name} {middle} {count} resource instances")).collect();
            texts.join(", ")
        };
        let said = CONDITIONS.map(|(ty, reason, message)| match ty {
            FAILURE if !self.errors.is_empty() => {
                let mut errors = self.errors.clone();
                errors.sort();
                let (count, errors) = (errors.len(), errors.join(", "));
                let message = format!("Failed to delete all resource types, {count} remaining: {errors}");
                (ty, "True", "ContentDeletionFailed", message)
            }
            REMAINING if !self.resources.is_empty() => {
                let message = format!("Some resources are remaining: {}", list(&self.resources, "has"));
                (ty, "True", "SomeResourcesRemain", message)
            }
            FINALIZERS if !self.finalizers.is_empty() => {
                let which = list(&self.finalizers, "in");
                let message = format!("Some content in the namespace has finalizers remaining: {which}");
                (ty, "True", "SomeFinalizersRemain", message)
            }
            _ => (ty, "False", reason, message.to_owned()),
        });
        let now = now.to_text();
        let object = |(ty, status, reason, message): (&str, &str, &str, String)| {
            json!({
                "type": ty,
                "status": status,
                "lastTransitionTime": now.as_str(),
                "reason": reason,
                "message": message,
            })
        };
        said.into_iter().map(object).collect()
    }
}

fn shelf(cx: &Cx, resource: &Resource) -> Result<Arc<Shelf>> {
    let name = resource.storage.as_ref().map_or(&resource.name, |storage| &storage.shelf);
    let snapshot = cx.cache().snapshot(&[name]).map_err(Status::internal)?;
    snapshot.shelves.into_iter().next().ok_or_else(|| Status::internal(format!("no shelf for {name}")))
}

async fn delete(cx: &Cx, target: Target<'_>, options: &DeleteOptions) -> Result<()> {
    cx.delete(target, options).await.unless_gone().map(drop)
}

/// Seconds that the pods on a shelf may take to end, 0 when that time is over; 0 for other resources.
fn grace(shelf: &Shelf, namespace: &Item, now: Time) -> i64 {
    if shelf.storage.shelf != PODS.full {
        return 0;
    }
    let pods = shelf.iter(Some(namespace.name())).filter_map(|object| Pod::new(shelf, object));
    let running = pods.filter(|pod| !pod.is_done());
    let most = running.map(|pod| pod.view.at("spec").number("terminationGracePeriodSeconds")).max().unwrap_or(0);
    let since = time(&namespace.value["metadata"]["deletionTimestamp"]).unwrap_or(now);
    if now.seconds - since.seconds >= most { 0 } else { most - (now.seconds - since.seconds) }
}

/// Writes the conditions, if they say something new. The namespace as it is then.
async fn say(cx: &Cx, mut namespace: Item, left: &Left) -> Result<Item> {
    let before = conditions::all(namespace.status());
    let mut list = before.clone();
    for condition in left.conditions(cx.now()) {
        match list.iter_mut().find(|known| known["type"] == condition["type"]) {
            Some(known) if known["status"] == condition["status"] => {
                known["reason"] = condition["reason"].clone();
                known["message"] = condition["message"].clone();
            }
            Some(known) => *known = condition,
            None => list.push(condition),
        }
    }
    if list == before {
        return Ok(namespace);
    }
    namespace.value["status"]["phase"] = "Terminating".into();
    namespace.value["status"]["conditions"] = list.into();
    let written = cx.update(namespace.target().part("status"), &namespace.value).await?;
    Item::of(&namespace.storage, &written.object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::resources::CONFIG_MAPS;
    use crate::controllers::testing::{World, pod_spec};

    const N: Target<'static> = Target::new("", "namespaces", "", "n");

    async fn world() -> World {
        let world = World::with(&["namespace"]).await;
        world.create(&NAMESPACES, json!({"metadata": {"name": "n"}})).await;
        world
    }

    fn map(namespace: &str, name: &str, finalizers: Value) -> Value {
        json!({"metadata": {"name": name, "namespace": namespace, "finalizers": finalizers}})
    }

    fn said(world: &World) -> Vec<String> {
        let namespace = world.get(&NAMESPACES, "", "n");
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let bad = conditions::all(&namespace["status"]).into_iter().filter(|condition| condition["status"] == "True");
        bad.map(|condition| format!("{}: {}", text(&condition["reason"]), text(&condition["message"]))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_goes_with_all_that_is_in_it() {
        let world = world().await;
        for number in 0..1_200 {
            world.create(&CONFIG_MAPS, map("n", &number.to_string(), Value::Null)).await;
        }
        world.create(&CONFIG_MAPS, map("other", "stays", Value::Null)).await;
        let pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": pod_spec("a:1")});
        world.create(&PODS, pod).await;
        world.delete(N).await;
        world.settle().await;
        assert_eq!(world.get(&NAMESPACES, "", "n"), Value::Null);
        assert_eq!((world.names(&CONFIG_MAPS), world.names(&PODS)), (vec!["stays".to_owned()], vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_finalizers_hold_is_told_and_waited_for() {
        let world = world().await;
        world.create(&CONFIG_MAPS, map("n", "a", json!(["x.io/wait"]))).await;
        world.create(&CONFIG_MAPS, map("n", "b", json!(["x.io/wait"]))).await;
        world.delete(N).await;
        world.settle().await;
        let expected = [
            "SomeResourcesRemain: Some resources are remaining: configmaps. has 2 resource instances",
            "SomeFinalizersRemain: Some content in the namespace has finalizers remaining: x.io/wait in 2 resource instances",
        ];
        assert_eq!(said(&world), expected);
        for name in ["a", "b"] {
            world.merge(CONFIG_MAPS.at("n", name), json!({"metadata": {"finalizers": null}})).await;
        }
        world.settle().await;
        assert_eq!(world.get(&NAMESPACES, "", "n"), Value::Null);
    }

    #[tokio::test(start_paused = true)]
    async fn pods_end_before_anything_else_goes() {
        let world = world().await;
        let mut spec = pod_spec("a:1");
        spec["nodeName"] = "node".into();
        world.create(&PODS, json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec})).await;
        world.create(&CONFIG_MAPS, map("n", "a", Value::Null)).await;
        world.delete(N).await;
        world.settle().await;
        assert_eq!((world.names(&PODS).len(), world.names(&CONFIG_MAPS).len(), said(&world).len()), (1, 1, 0));
        world.pass(Duration::from_secs(40)).await;
        assert!(said(&world)[0].contains("unexpected items still remain in namespace: n for gvr: /v1, Resource=pods"));
        let now = DeleteOptions { grace_period: Some(0), ..DeleteOptions::default() };
        world.client.delete(PODS.at("n", "p"), &now).await.expect("ended");
        world.settle().await;
        assert_eq!((world.get(&NAMESPACES, "", "n"), world.names(&CONFIG_MAPS).len()), (Value::Null, 0));
    }
}
