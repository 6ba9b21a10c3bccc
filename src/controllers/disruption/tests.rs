//! Budgets whose pods come, go, fall ill and are evicted.

use std::time::Duration;

use crate::controllers::conditions;
use crate::controllers::resources::{BUDGETS, DEPLOYMENTS, PODS, REPLICA_SETS};
use crate::controllers::testing::{World, pod_spec, template};
use crate::model::value::{Value, json};

async fn world(spec: Value) -> World {
    let world = World::with(&["disruption"]).await;
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    world.create(&BUDGETS, json!({"metadata": {"name": "b", "namespace": "d"}, "spec": spec})).await;
    world.settle().await;
    world
}

async fn pod(world: &World, name: &str, owner: &Value) {
    let mut metadata = json!({"name": name, "namespace": "d", "labels": {"app": "web"}});
    if !owner.is_null() {
        metadata["ownerReferences"] = json!([{
            "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "controller": true,
        }]);
    }
    let mut spec = pod_spec("a:1");
    spec["nodeName"] = "n".into();
    world.create(&PODS, json!({"metadata": metadata, "spec": spec})).await;
    ready(world, name, "True").await;
}

async fn ready(world: &World, name: &str, status: &str) {
    let status = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": status}]});
    world.merge(PODS.at("d", name).part("status"), json!({"status": status})).await;
    world.settle().await;
}

/// healthy, desired, expected, allowed, and the condition's status and reason
fn told(world: &World) -> (i64, i64, i64, i64, String) {
    let status = world.get(&BUDGETS, "d", "b")["status"].clone();
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let condition = conditions::find(&status, "DisruptionAllowed").expect("a condition");
    let text = |field: &str| condition[field].as_str().unwrap_or("").to_owned();
    (
        number("currentHealthy"),
        number("desiredHealthy"),
        number("expectedPods"),
        number("disruptionsAllowed"),
        format!("{} {}", text("status"), text("reason")),
    )
}

async fn deployment(world: &World, replicas: i64) -> Value {
    let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": template("web", "a:1")});
    let with = |count: i64, metadata: Value| {
        let mut spec = spec.clone();
        spec["replicas"] = count.into();
        json!({"metadata": metadata, "spec": spec})
    };
    let deployment = world.create(&DEPLOYMENTS, with(replicas, json!({"name": "w", "namespace": "d"}))).await;
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "w", "uid": deployment["metadata"]["uid"],
        "controller": true,
    });
    let metadata = json!({"name": "w-1", "namespace": "d", "ownerReferences": [owner]});
    let mut set = world.create(&REPLICA_SETS, with(1, metadata)).await;
    (set["apiVersion"], set["kind"]) = ("apps/v1".into(), "ReplicaSet".into());
    set
}

#[tokio::test(start_paused = true)]
async fn a_number_of_pods_stays() {
    let world = world(json!({"minAvailable": 1})).await;
    assert_eq!(told(&world), (0, 1, 0, 0, "False InsufficientPods".into()));
    assert_eq!(world.events(), ["NoPods: No matching pods found"]);
    for name in ["p", "q"] {
        pod(&world, name, &Value::Null).await;
    }
    assert_eq!(told(&world), (2, 1, 2, 1, "True SufficientPods".into()));
    ready(&world, "p", "False").await;
    assert_eq!(told(&world), (1, 1, 2, 0, "False InsufficientPods".into()));
    world.merge(PODS.at("d", "p"), json!({"metadata": {"labels": {"app": "other"}}})).await;
    world.settle().await;
    assert_eq!(told(&world), (1, 1, 1, 0, "False InsufficientPods".into()));
    let status = world.get(&BUDGETS, "d", "b")["status"].clone();
    assert_eq!(status["observedGeneration"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_share_is_of_what_the_controllers_want() {
    let world = world(json!({"maxUnavailable": "50%"})).await;
    let set = deployment(&world, 4).await;
    for name in ["p", "q", "r"] {
        pod(&world, name, &set).await;
    }
    assert_eq!(told(&world), (3, 2, 4, 1, "True SufficientPods".into()));
    pod(&world, "alone", &Value::Null).await;
    assert_eq!(told(&world), (4, 2, 4, 2, "True SufficientPods".into()));
    assert!(world.events().iter().any(|event| event.starts_with("UnmanagedPods: Pods selected by")));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_not_disrupted() {
    let world = world(json!({"maxUnavailable": 1})).await;
    let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "uid": "u"}});
    pod(&world, "p", &owner).await;
    assert_eq!(told(&world).4, "False SyncFailed");
    let status = world.get(&BUDGETS, "d", "b")["status"].clone();
    let why = "jobs.batch does not implement the scale subresource";
    assert_eq!(conditions::find(&status, "DisruptionAllowed").expect("a condition")["message"], why);
    let event = format!("CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: {why}");
    assert!(world.events().contains(&event));
}

#[tokio::test(start_paused = true)]
async fn an_evicted_pod_that_stays_counts_again_after_a_while() {
    let world = world(json!({"minAvailable": 1})).await;
    for name in ["p", "q"] {
        pod(&world, name, &Value::Null).await;
    }
    let now = world.client.registry().now().to_text();
    let evicted = json!({"status": {"disruptedPods": {"p": now.as_str()}, "disruptionsAllowed": 0}});
    world.merge(BUDGETS.at("d", "b").part("status"), evicted).await;
    world.settle().await;
    assert_eq!(told(&world), (1, 1, 2, 0, "False InsufficientPods".into()));
    world.pass(Duration::from_secs(121)).await;
    assert_eq!(told(&world), (2, 1, 2, 1, "True SufficientPods".into()));
    assert!(world.events().contains(&"NotDeleted: Pod was expected by PDB d/d to be deleted but it wasn't".into()));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_was_to_go_and_stayed_is_said_to_stay() {
    let world = world(json!({"minAvailable": 1})).await;
    pod(&world, "p", &Value::Null).await;
    let now = world.client.registry().now().to_text();
    let condition = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "lastTransitionTime": now.as_str(),
    });
    world.merge(PODS.at("d", "p").part("status"), json!({"status": {"conditions": [condition]}})).await;
    world.pass(Duration::from_secs(119)).await;
    let status = |world: &World| {
        let status = world.get(&PODS, "d", "p")["status"].clone();
        conditions::find(&status, "DisruptionTarget").expect("a condition").clone()
    };
    assert_eq!(status(&world)["status"], "True");
    world.pass(Duration::from_secs(2)).await;
    assert_eq!((&status(&world)["status"], &status(&world)["reason"]), (&json!("False"), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_pod_has_one_budget() {
    let world = world(json!({"minAvailable": 1})).await;
    let spec = json!({"minAvailable": 1, "selector": {}});
    world.create(&BUDGETS, json!({"metadata": {"name": "c", "namespace": "d"}, "spec": spec})).await;
    pod(&world, "p", &Value::Null).await;
    let message = "Pod \"d\"/\"p\" matches multiple PodDisruptionBudgets.  Chose \"b\" arbitrarily.";
    assert!(world.events().contains(&format!("MultiplePodDisruptionBudgets: {message}")));
}
