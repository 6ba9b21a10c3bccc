//! Conversations with the registry.

use super::client::Target;
use super::fixture::{client, value};
use super::options::{DeleteOptions, ListOptions};
use super::request::Address;
use crate::model::value::json;

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
    let first = client.registry().list(&at, &ListOptions { limit: 2, ..ListOptions::default() }).await.expect("a page");
    assert_eq!((first.items.len(), first.remaining), (2, Some(1)));
    client.delete(Target { name: "c", ..A }, &DeleteOptions::default()).await.expect("deleted");
    let next = ListOptions { limit: 2, continue_token: first.continue_token, ..ListOptions::default() };
    let second = client.registry().list(&at, &next).await.expect("a page");
    assert_eq!(second.revision, first.revision);
    assert_eq!(second.items.iter().map(|o| o.name()).collect::<Vec<_>>(), ["c"]);
}
