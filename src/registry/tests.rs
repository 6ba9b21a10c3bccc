//! Conversations with the registry.

use std::time::Duration;

use super::client::Target;
use super::fixture::{client, value};
use super::options::{DeleteOptions, ListOptions, WriteOptions};
use super::patch::Patch;
use super::request::{Address, Caller};
use crate::audit::annotations::Annotations;
use crate::audit::level::Level;
use crate::auth::identity::User;
use crate::model::status::Status;
use crate::model::value::{Value, json};

const A: Target = Target::new("", "configmaps", "default", "a");

#[tokio::test(start_paused = true)]
async fn an_object_lives_and_ends() {
    let client = client().await;
    let made = client.create(A, &json!({"metadata": {"name": "a", "namespace": "default"}, "data": {"x": "1"}})).await;
    let made = made.expect("created");
    assert!(made.created);
    let again = client.create(A, &json!({"metadata": {"name": "a"}})).await.expect_err("taken");
    assert_eq!((again.code, again.message.as_str()), (409, "configmaps \"a\" already exists"));

    let same = client.merge(A, &json!({"data": {"x": "1"}})).await.expect("patched");
    assert_eq!(same.object.revision, made.object.revision, "a write that changes nothing is none");
    let changed = client.merge(A, &json!({"data": {"y": "2"}})).await.expect("patched");
    assert!(changed.object.revision > made.object.revision);
    let shown = value(client.registry(), "", "configmaps", &changed.object);
    assert_eq!(shown["data"], json!({"x": "1", "y": "2"}));
    assert_eq!(shown["metadata"]["managedFields"][0]["manager"], "tester");

    let stale = json!({"metadata": {"name": "a", "resourceVersion": made.object.revision.to_string()}});
    let conflict = client.update(A, &stale).await.expect_err("changed meanwhile");
    assert_eq!(conflict.code, 409);

    assert!(client.delete(A, &DeleteOptions::default()).await.expect("deleted").gone);
    let gone = client.delete(A, &DeleteOptions::default()).await.expect_err("gone");
    assert_eq!((gone.code, gone.message.as_str()), (404, "configmaps \"a\" not found"));
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_what_is_deleted() {
    let client = client().await;
    client.create(A, &json!({"metadata": {"name": "a", "finalizers": ["x.io/wait"]}})).await.expect("created");
    let held = client.delete(A, &DeleteOptions::default()).await.expect("begun");
    assert!(!held.gone);
    let shown = value(client.registry(), "", "configmaps", &held.object);
    assert_eq!(shown["metadata"]["deletionTimestamp"], "2026-01-01T00:00:00Z");
    client.merge(A, &json!({"metadata": {"finalizers": null}})).await.expect("let go");
    let gone = client.merge(A, &json!({"data": {"x": "1"}})).await.expect_err("gone");
    assert_eq!(gone.code, 404);
}

#[tokio::test(start_paused = true)]
async fn lists_go_page_by_page_at_one_revision() {
    let client = client().await;
    for name in ["a", "b", "c"] {
        client.create(Target { name, ..A }, &json!({"metadata": {"name": name}})).await.expect("created");
    }
    let resource = {
        let catalog = client.registry().catalog.load();
        catalog.find("", "v1", "configmaps").cloned().expect("served")
    };
    let at = Address::new(&resource, "default", "");
    let (options, record) = (ListOptions { limit: 2, ..ListOptions::default() }, Annotations::default());
    let first = client.registry().list(&at, &options, &record).await.expect("a page");
    assert_eq!((first.items.len(), first.remaining), (2, Some(1)));
    client.delete(Target { name: "c", ..A }, &DeleteOptions::default()).await.expect("deleted");
    let next = ListOptions { limit: 2, continue_token: first.continue_token, ..ListOptions::default() };
    let second = client.registry().list(&at, &next, &record).await.expect("a page");
    assert_eq!(second.revision, first.revision);
    assert_eq!(second.items.iter().map(|o| o.name()).collect::<Vec<_>>(), ["c"]);
}

#[tokio::test]
async fn a_record_has_what_waiting_for_the_store_took() {
    let client = client().await;
    let resource = client.registry().catalog.load().find("", "v1", "configmaps").cloned().expect("served");
    let at = Address::new(&resource, "default", "");
    let record = Annotations::new(Level::Metadata);
    let waited = || {
        let mut waited = Duration::ZERO;
        record.visit_layers(|layer, took| waited += if layer == "etcd" { took } else { Duration::ZERO });
        waited
    };
    let mut caller = Caller { annotations: record.clone(), ..Caller::new(User::new("jane", &[]), "jane") };
    let body = json!({"metadata": {"name": "a"}});
    client.registry().create(&mut caller, &at, body, &WriteOptions::default()).await.expect("created");
    let created = waited();
    assert!(created > Duration::ZERO);
    client.registry().list(&at, &ListOptions::default(), &record).await.expect("a page");
    assert!(waited() > created, "a list waits for the newest revision");
}

#[tokio::test(start_paused = true)]
async fn a_patched_object_is_read_as_what_it_says_it_is() {
    let client = client().await;
    client.create(A, &json!({"metadata": {"name": "a"}, "data": {"x": "?"}})).await.expect("created");
    for (patch, why) in [
        (json!({"kind": "Secret"}), "illegal base64 data at input byte 0"),
        (json!({"kind": "Secret", "data": null}), "converting (v1.Secret) to (core.ConfigMap): unknown conversion"),
        (json!({"apiVersion": "v2"}), "no kind \"ConfigMap\" is registered for version \"v2\" in scheme \"pkg/"),
        (json!({"apiVersion": "a/b/c"}), "unexpected GroupVersion string: a/b/c"),
    ] {
        let refused = client.merge(A, &patch).await.expect_err("another kind");
        assert_eq!(refused.code, 422);
        assert!(refused.message.contains(why), "{}", refused.message);
    }
    client.merge(A, &json!({"kind": null, "apiVersion": null, "data": {"x": "y"}})).await.expect("what it was");

    let scaler = Target::new("autoscaling", "horizontalpodautoscalers", "default", "h");
    let spec =
        json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3});
    client.create(scaler, &json!({"metadata": {"name": "h"}, "spec": spec})).await.expect("created");
    client.merge(scaler, &json!({"apiVersion": "autoscaling/v1"})).await.expect("the same in another version");
}

/// What an apply of `object` by jane is answered with.
async fn applied(object: Value, repeated: &[&str], validation: &str) -> (String, Vec<String>) {
    let client = client().await;
    let resource = client.registry().catalog.load().find("", "v1", "configmaps").cloned().expect("served");
    let mut caller = Caller::new(User::new("jane", &[]), "test");
    let options =
        WriteOptions { field_manager: "m".into(), field_validation: validation.into(), ..WriteOptions::default() };
    let patch = Patch::Apply { wanted: object, repeated: repeated.iter().map(ToString::to_string).collect() };
    let at = Address::new(&resource, "default", "a");
    let made = client.registry().patch(&mut caller, &at, patch, &options).await;
    let said = made.map_or_else(|status: Status| status.message, |made| format!("created {}", made.created));
    (said, caller.warnings.iter().map(ToString::to_string).collect())
}

#[tokio::test(start_paused = true)]
async fn applying_makes_what_is_not_there() {
    let map = |meta| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta});
    let said = async |meta| applied(map(meta), &[], "").await.0;
    assert_eq!(said(json!({"name": "a", "resourceVersion": "5"})).await, "created true");
    assert_eq!(
        said(json!({"name": "a", "uid": "u"})).await,
        "Operation cannot be fulfilled on configmaps \"a\": uid mismatch: the provided object specified uid u, and no \
         existing object was found"
    );
    assert_eq!(said(json!({"name": "b"})).await, "the name of the object (b) does not match the name on the URL (a)");
}

#[tokio::test(start_paused = true)]
async fn repeated_keys_matter_once_the_apply_is_made() {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let twice = ["line 2: key \"a\" already set in map"];
    let warned = applied(map.clone(), &twice, "Warn").await;
    assert_eq!(warned, ("created true".into(), vec![twice[0].to_owned()]));
    assert_eq!(applied(map.clone(), &twice, "Ignore").await, ("created true".into(), vec![]));
    let refused = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 2: key \"a\" \
        already set in map";
    assert_eq!(applied(map, &twice, "Strict").await.0, refused);
    assert_eq!(applied(json!({}), &twice, "Strict").await, ("invalid object type: /, Kind=".into(), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_repeats_what_it_is_told_of_a_version() {
    let client = client().await;
    let resource = client.registry().catalog.load().find("", "v1", "configmaps").cloned().expect("served");
    let options = WriteOptions { dry_run: vec!["All".into()], ..WriteOptions::default() };
    for version in ["abc", "0", "7"] {
        let body = json!({"metadata": {"name": "a", "resourceVersion": version}});
        let mut caller = Caller::new(User::new("jane", &[]), "test");
        let at = Address::new(&resource, "default", "");
        let made = client.registry().create(&mut caller, &at, body, &options).await.expect("as if created");
        let shown = value(client.registry(), "", "configmaps", &made.object);
        assert_eq!(shown["metadata"]["resourceVersion"], version);
    }
}
