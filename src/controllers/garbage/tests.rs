//! Conversations with the garbage collector.

use std::sync::Arc;

use crate::controllers::resources::{CONFIG_MAPS, NODES, Name};
use crate::controllers::testing::World;
use crate::model::names::{GroupResource, GroupVersionKind};
use crate::model::value::{Value, json};
use crate::registry::options::DeleteOptions;
use crate::schema::resource::{Resource, Shape, Storage, Verbs};

static THINGS: Name = Name::new("x.io", "things");

async fn world() -> World {
    let world = World::with(&["garbagecollector"]).await;
    let kind = GroupVersionKind::new("x.io", "v1", "Thing");
    let (name, shape) =
        (GroupResource::new("x.io", "things"), Shape::Custom(crate::schema::structure::Structure::default().ready()));
    let storage =
        Storage { shelf: name.clone(), folder: "x.io/things".into(), kind: kind.clone(), shape: shape.clone() };
    let thing = Resource {
        kind,
        name,
        singular: "thing".into(),
        list_kind: "ThingList".into(),
        namespaced: true,
        verbs: Verbs::ALL,
        short_names: Vec::new(),
        categories: Vec::new(),
        subresources: Vec::new(),
        shape,
        storage: Some(storage.clone()),
        fields: Vec::new(),
        unknown_field: "".into(),
        definition: None,
    };
    let registry = world.client.registry();
    registry.catalog.replace(registry.catalog.load().with([Arc::new(thing)]));
    registry.cache.add_shelf(storage).await;
    world
}

/// An owner reference to what was made.
fn owner(kind: &str, made: &Value) -> Value {
    let api_version = if kind == "Thing" { "x.io/v1" } else { "v1" };
    let meta = &made["metadata"];
    json!({"apiVersion": api_version, "kind": kind, "name": meta["name"], "uid": meta["uid"], "blockOwnerDeletion": true})
}

fn object(name: &str, owners: &[Value]) -> Value {
    json!({"metadata": {"name": name, "namespace": "d", "ownerReferences": owners}})
}

impl World {
    async fn delete_by(&self, name: &Name, object: &str, policy: &str) {
        let options = DeleteOptions { propagation: Some(policy.into()), ..DeleteOptions::default() };
        self.client.delete(name.at("d", object), &options).await.expect("deleted");
        self.settle().await;
    }

    fn owners(&self, name: &str) -> Vec<Value> {
        let object = self.get(&CONFIG_MAPS, "d", name);
        object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default()
    }
}

#[tokio::test(start_paused = true)]
async fn dependents_go_after_their_owner() {
    let world = world().await;
    let thing = world.create(&THINGS, object("root", &[])).await;
    let map = world.create(&CONFIG_MAPS, object("child", &[owner("Thing", &thing)])).await;
    world.create(&THINGS, object("grandchild", &[owner("ConfigMap", &map)])).await;
    world.create(&CONFIG_MAPS, object("stranger", &[])).await;
    world.settle().await;
    assert_eq!((world.names(&THINGS).len(), world.names(&CONFIG_MAPS).len()), (2, 2));
    world.delete_by(&THINGS, "root", "Background").await;
    assert_eq!((world.names(&THINGS), world.names(&CONFIG_MAPS)), (vec![], vec!["stranger".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn dependents_go_before_their_owner() {
    let world = world().await;
    let root = world.create(&CONFIG_MAPS, object("root", &[])).await;
    let mut held = object("held", &[owner("ConfigMap", &root)]);
    held["metadata"]["finalizers"] = json!(["x.io/wait"]);
    let held = world.create(&CONFIG_MAPS, held).await;
    world.create(&THINGS, object("free", &[owner("ConfigMap", &root)])).await;
    world.create(&THINGS, object("below", &[owner("ConfigMap", &held)])).await;
    world.delete_by(&CONFIG_MAPS, "root", "Foreground").await;
    assert_eq!(world.names(&THINGS), [""; 0]);
    assert_eq!(world.names(&CONFIG_MAPS), ["held", "root"], "one is held, and holds the other");
    world.create(&THINGS, object("late", &[owner("ConfigMap", &root)])).await;
    world.settle().await;
    assert_eq!(world.names(&THINGS), [""; 0], "also what comes late");
    world.merge(CONFIG_MAPS.at("d", "held"), json!({"metadata": {"finalizers": null}})).await;
    world.settle().await;
    assert_eq!(world.names(&CONFIG_MAPS), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn orphans_live_on() {
    let world = world().await;
    let (root, other) =
        (world.create(&CONFIG_MAPS, object("root", &[])).await, world.create(&THINGS, object("other", &[])).await);
    let owners = [owner("ConfigMap", &root), owner("Thing", &other)];
    world.create(&CONFIG_MAPS, object("child", &owners)).await;
    world.delete_by(&CONFIG_MAPS, "root", "Orphan").await;
    assert_eq!(world.names(&CONFIG_MAPS), ["child"]);
    assert_eq!(world.owners("child"), owners[1..]);
}

#[tokio::test(start_paused = true)]
async fn one_owner_is_enough_to_live() {
    let world = world().await;
    let made = [world.create(&CONFIG_MAPS, object("a", &[])).await, world.create(&CONFIG_MAPS, object("b", &[])).await];
    let owners = made.map(|made| owner("ConfigMap", &made));
    world.create(&CONFIG_MAPS, object("child", &owners)).await;
    world.delete_by(&CONFIG_MAPS, "a", "Background").await;
    assert_eq!(world.owners("child"), owners[1..]);
    world.delete_by(&CONFIG_MAPS, "b", "Background").await;
    assert_eq!(world.names(&CONFIG_MAPS), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_a_circle_goes() {
    let world = world().await;
    let a = world.create(&CONFIG_MAPS, object("a", &[])).await;
    let b = world.create(&CONFIG_MAPS, object("b", &[owner("ConfigMap", &a)])).await;
    let patch = json!({"metadata": {"ownerReferences": [owner("ConfigMap", &b)]}});
    world.merge(CONFIG_MAPS.at("d", "a"), patch).await;
    world.delete_by(&CONFIG_MAPS, "a", "Foreground").await;
    assert_eq!(world.names(&CONFIG_MAPS), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_owner_must_be_the_one_that_was_meant() {
    let world = world().await;
    let root = world.create(&CONFIG_MAPS, object("root", &[])).await;
    let mut other = owner("ConfigMap", &root);
    other["uid"] = "another".into();
    world.create(&CONFIG_MAPS, object("child", &[other])).await;
    let mut elsewhere = object("lost", &[owner("ConfigMap", &root)]);
    elsewhere["metadata"]["namespace"] = "e".into();
    world.create(&CONFIG_MAPS, elsewhere).await;
    // Nothing can be concluded from these.
    world.create(&NODES, json!({"metadata": {"name": "n", "ownerReferences": [owner("ConfigMap", &root)]}})).await;
    let unknown = json!({"apiVersion": "y.io/v1", "kind": "Y", "name": "y", "uid": "y"});
    world.create(&CONFIG_MAPS, object("waits", &[unknown])).await;
    world.settle().await;
    assert_eq!((world.names(&CONFIG_MAPS), world.names(&NODES).len()), (vec!["root".into(), "waits".into()], 1));
    let uid = root["metadata"]["uid"].as_str().unwrap_or("");
    let said = format!(
        "OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: e, name: root, uid: {uid}] does not exist in namespace \"e\""
    );
    assert_eq!(world.events(), [said]);
}
