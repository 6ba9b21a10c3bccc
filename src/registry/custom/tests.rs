//! Conversations about custom resources.

use std::sync::Arc;
use std::time::Duration;

use super::cleanup::Cleanup;
use super::follow::Follower;
use super::{objects, shelf, target};
use crate::audit::annotations::Annotations;
use crate::auth::identity::User;
use crate::base::tasks::Tasks;
use crate::model::names::GroupResource;
use crate::model::selector::field::FieldSelector;
use crate::model::status::Status;
use crate::model::value::{Value, json};
use crate::registry::client::{Client, Target};
use crate::registry::fixture;
use crate::registry::options::{DeleteOptions, ListOptions, WriteOptions};
use crate::registry::request::{Address, Caller};
use crate::registry::scale::ScaleChange;
use crate::schema::resource::Resource;

const T: Target = Target::new("x.io", "things", "default", "t");

/// A registry whose definitions take effect.
async fn world() -> Client {
    let client = fixture::client().await;
    let registry = client.registry();
    let tasks = Tasks::default();
    let follower = Follower::open(registry).await.expect("follows");
    let cleanup = Cleanup::open(registry);
    tasks.start("follow", |stop| follower.follow(stop));
    tasks.start("cleanup", |stop| cleanup.follow(stop));
    client
}

/// Lets everything that is under way come to rest; time is paused.
async fn settle(client: &Client) {
    client.registry().clock.sleep(Duration::from_millis(10)).await;
}

fn definition(plural: &str, names: Value, version: Value) -> Value {
    let mut crd = json!({
        "metadata": {"name": format!("{plural}.x.io")},
        "spec": {"group": "x.io", "scope": "Namespaced", "names": names, "versions": [{
            "name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {
                    "size": {"type": "integer", "maximum": 9},
                    "color": {"type": "string", "default": "red"},
                    "replicas": {"type": "integer"},
                }},
                "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
            }}},
        }]},
    });
    for (field, value) in version.as_object().into_iter().flatten() {
        crd["spec"]["versions"][0][field] = value.clone();
    }
    crd
}

fn things() -> Value {
    let parts =
        json!({"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.n"}});
    let more = json!({"subresources": parts, "selectableFields": [{"jsonPath": ".spec.color"}]});
    definition("things", json!({"plural": "things", "kind": "Thing"}), more)
}

async fn define(client: &Client, crd: &Value) {
    let name = crd["metadata"]["name"].as_str().expect("a name");
    client.create(target(name), crd).await.expect("defined");
    settle(client).await;
}

async fn shown(client: &Client, at: Target<'_>) -> Value {
    let object = client.get(at).await.expect("there");
    let resource = resource(client, at);
    match objects::served_bytes(&resource, &object).expect("readable") {
        Some(bytes) => serde_json::from_slice(&bytes).expect("JSON"),
        None => fixture::value(client.registry(), at.group, at.resource, &object),
    }
}

fn resource(client: &Client, at: Target<'_>) -> Arc<Resource> {
    let name = GroupResource::new(at.group, at.resource);
    client.registry().catalog.load().preferred(&name).cloned().expect("served")
}

fn conditions(crd: &Value) -> Vec<String> {
    let list = crd["status"]["conditions"].as_array().into_iter().flatten();
    list.map(|c| ["type", "status", "reason"].map(|f| c[f].as_str().unwrap_or_default()).join(" ")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_definition_is_served_when_it_says_so() {
    let client = world().await;
    let early = client.create(T, &json!({"metadata": {"name": "t"}})).await.expect_err("not served");
    assert_eq!(early.code, 404);
    define(&client, &things()).await;
    let crd = shown(&client, target("things.x.io")).await;
    assert_eq!(conditions(&crd), ["NamesAccepted True NoConflicts", "Established True InitialNamesAccepted"]);
    let accepted = json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"});
    assert_eq!(crd["status"]["acceptedNames"], accepted);
    assert_eq!(crd["status"]["storedVersions"], json!(["v1"]));
    let thing = json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "t"}});
    client.create(T, &thing).await.expect("served");
}

#[tokio::test(start_paused = true)]
async fn objects_are_written_by_their_schema() {
    let client = world().await;
    define(&client, &things()).await;
    let thing = json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "t"},
        "spec": {"size": 3, "odd": 1}, "status": {"ready": true}});
    client.create(T, &thing).await.expect("created");
    let made = shown(&client, T).await;
    assert_eq!((&made["spec"], &made["status"]), (&json!({"size": 3, "color": "red"}), &Value::Null));
    assert_eq!(made["metadata"]["generation"], 1);

    client.merge(T, &json!({"spec": {"size": 4}})).await.expect("patched");
    client.merge(T.part("status"), &json!({"spec": {"size": 5}, "status": {"ready": true}})).await.expect("patched");
    let now = shown(&client, T).await;
    assert_eq!((&now["spec"]["size"], &now["status"]), (&json!(4), &json!({"ready": true})));
    assert_eq!(now["metadata"]["generation"], 2);

    let wrong = client.merge(T, &json!({"spec": {"size": 10}})).await.expect_err("too large");
    let why = "Thing.x.io \"t\" is invalid: spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9";
    assert_eq!((wrong.code, wrong.message.as_str()), (422, why));
    let blind = json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "t"}});
    let blind = client.update(T, &blind).await.expect_err("no version");
    assert!(blind.message.contains("metadata.resourceVersion: Invalid value: 0"), "{}", blind.message);

    let wanted =
        json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"color": "blue"}});
    client.apply(T, wanted, "painter").await.expect("applied");
    let owners = shown(&client, T).await["metadata"]["managedFields"].clone();
    assert_eq!((&owners[0]["manager"], &owners[0]["operation"]), (&json!("painter"), &json!("Apply")));
    assert!(client.delete(T, &DeleteOptions::default()).await.expect("deleted").gone);
}

#[tokio::test(start_paused = true)]
async fn objects_are_selected_by_fields_that_the_definition_names() {
    let client = world().await;
    define(&client, &things()).await;
    for (name, color) in [("a", "red"), ("b", "blue")] {
        let thing =
            json!({"metadata": {"name": name}, "apiVersion": "x.io/v1", "kind": "Thing", "spec": {"color": color}});
        client.create(Target { name, ..T }, &thing).await.expect("created");
    }
    let at = Address::new(&resource(&client, T), "default", "");
    let by =
        |text: &str| ListOptions { fields: FieldSelector::parse(text).expect("a selector"), ..ListOptions::default() };
    let found = client.registry().list(&at, &by("spec.color=blue"), &Annotations::default()).await.expect("listed");
    assert_eq!(found.items.iter().map(|object| object.name()).collect::<Vec<_>>(), ["b"]);
    let refused = client.registry().list(&at, &by("spec.size=1"), &Annotations::default()).await.expect_err("unknown");
    assert_eq!((refused.code, refused.message.as_str()), (400, "field label not supported: spec.size"));
}

#[tokio::test(start_paused = true)]
async fn replicas_are_scaled_where_the_definition_has_them() {
    let client = world().await;
    define(&client, &things()).await;
    let thing = json!({"metadata": {"name": "t"}, "apiVersion": "x.io/v1", "kind": "Thing", "spec": {}});
    client.create(T, &thing).await.expect("created");
    let mut at = Address::new(&resource(&client, T), "default", "t");
    at.subresource = "scale".into();
    let none = client.registry().scale(&at, "").await.expect_err("no replicas");
    assert_eq!(none.message, "Internal error occurred: the spec replicas field \".spec.replicas\" does not exist");
    client.merge(T, &json!({"spec": {"replicas": 1}})).await.expect("patched");
    let mut caller = Caller::new(User::new("scaler", &["system:masters"]), "scaler");
    let change = ScaleChange::Merge(br#"{"spec":{"replicas":3}}"#);
    let scale = client.registry().set_scale(&mut caller, &at, change, &WriteOptions::default()).await.expect("scaled");
    assert_eq!((&scale["spec"], &scale["status"]), (&json!({"replicas": 3}), &json!({"replicas": 0})));
    let thing = shown(&client, T).await;
    assert_eq!(thing["spec"], json!({"color": "red", "replicas": 3}));
    let owners = thing["metadata"]["managedFields"].as_array().expect("owners");
    let scaler = owners.iter().find(|owner| owner["subresource"] == "scale").expect("the scaler");
    assert_eq!(scaler["fieldsV1"].opened(), json!({"f:spec": {"f:replicas": {}}}));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_one_definitions_alone() {
    let client = world().await;
    define(
        &client,
        &definition("things", json!({"plural": "things", "kind": "Thing", "shortNames": ["t"]}), json!({})),
    )
    .await;
    define(
        &client,
        &definition("others", json!({"plural": "others", "kind": "Other", "shortNames": ["t"]}), json!({})),
    )
    .await;
    let told = conditions(&shown(&client, target("others.x.io")).await);
    assert_eq!(told, ["NamesAccepted False ShortNamesConflict", "Established False NotAccepted"]);
    let catalog = client.registry().catalog.load();
    assert!(catalog.find("x.io", "v1", "others").is_none());
    client.delete(target("things.x.io"), &DeleteOptions::default()).await.expect("deleted");
    settle(&client).await;
    assert!(client.registry().catalog.load().find("x.io", "v1", "things").is_none());
    let told = conditions(&shown(&client, target("others.x.io")).await);
    assert_eq!(told, ["NamesAccepted True NoConflicts", "Established True InitialNamesAccepted"], "the name is free");
}

#[tokio::test(start_paused = true)]
async fn a_definition_goes_after_its_objects() {
    let client = world().await;
    define(&client, &things()).await;
    let held = json!({"metadata": {"name": "t", "finalizers": ["a.b/c"]}, "apiVersion": "x.io/v1", "kind": "Thing"});
    client.create(T, &held).await.expect("created");
    client.delete(target("things.x.io"), &DeleteOptions::default()).await.expect("begun");
    settle(&client).await;
    let told = conditions(&shown(&client, target("things.x.io")).await);
    assert_eq!(told[2], "Terminating True InstanceDeletionInProgress");
    let thing = json!({"metadata": {"name": "new"}, "apiVersion": "x.io/v1", "kind": "Thing"});
    let late: Status = client.create(Target { name: "new", ..T }, &thing).await.expect_err("too late");
    let why = "things.x.io \"new\" is forbidden: create not allowed while custom resource definition is terminating";
    assert_eq!((late.code, late.message.as_str()), (403, why));
    client.merge(T, &json!({"metadata": {"finalizers": null}})).await.expect("let go");
    settle(&client).await;
    assert_eq!(client.get(target("things.x.io")).await.expect_err("gone").code, 404);
    assert!(
        client.registry().cache.snapshot(&[&GroupResource::new(T.group, T.resource)]).is_err(),
        "the shelf is gone"
    );
    assert!(client.registry().cache.snapshot(&[&shelf()]).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_as_it_is_served_is_looked_at_once() {
    let client = world().await;
    define(&client, &things()).await;
    let thing = json!({"metadata": {"name": "t"}, "apiVersion": "x.io/v1", "kind": "Thing", "spec": {"size": 1}});
    let made = client.create(T, &thing).await.expect("created").object;
    assert!(!made.is_settled(1));
    assert_eq!(objects::served_bytes(&resource(&client, T), &made).expect("readable"), None);
    assert!(made.is_settled(1));
    let mut crd = things();
    let spec = "/schema/openAPIV3Schema/properties/spec/properties";
    crd["spec"]["versions"][0].pointer_mut(spec).expect("a spec")["mood"] =
        json!({"type": "string", "default": "calm"});
    let versions = json!({"spec": {"versions": crd["spec"]["versions"]}});
    client.merge(target("things.x.io"), &versions).await.expect("changed");
    settle(&client).await;
    assert!(objects::served_bytes(&resource(&client, T), &made).expect("readable").is_some());
    assert_eq!(shown(&client, T).await["spec"], json!({"size": 1, "color": "red", "mood": "calm"}));
}

#[tokio::test(start_paused = true)]
async fn versions_show_one_object_each_in_its_way() {
    let client = world().await;
    let mut crd = things();
    let mut old = crd["spec"]["versions"][0].clone();
    (old["name"], old["storage"]) = (json!("v1beta1"), json!(false));
    old["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] =
        json!({"size": {"type": "integer"}, "shade": {"type": "string", "default": "dark"}});
    old["selectableFields"] = Value::Null;
    crd["spec"]["versions"].as_array_mut().expect("a list").push(old);
    define(&client, &crd).await;
    let thing = json!({"metadata": {"name": "t"}, "apiVersion": "x.io/v1", "kind": "Thing", "spec": {"size": 1}});
    let made = client.create(T, &thing).await.expect("created");
    let catalog = client.registry().catalog.load();
    let beta = catalog.find("x.io", "v1beta1", "things").expect("served");
    let bytes = objects::served_bytes(beta, &made.object).expect("readable").expect("custom");
    let seen: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(
        (&seen["apiVersion"], &seen["spec"]),
        (&json!("x.io/v1beta1"), &json!({"size": 1})),
        "defaults are those of the kept version"
    );
    assert_eq!(shown(&client, T).await["spec"], json!({"size": 1, "color": "red"}));
}
