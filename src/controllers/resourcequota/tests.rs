//! Namespaces that fill and empty.

use std::time::Duration;

use crate::controllers::resources::{CONFIG_MAPS, Name, PODS, QUOTAS, SERVICES};
use crate::controllers::testing::{World, pod_spec};
use crate::model::value::{Value, json};

async fn world(spec: Value) -> World {
    let world = World::with(&["resourcequota"]).await;
    pod(&world, "first", "1").await;
    world.create(&QUOTAS, json!({"metadata": {"name": "q", "namespace": "d"}, "spec": spec})).await;
    world.settle().await;
    world
}

async fn pod(world: &World, name: &str, cpu: &str) {
    let mut spec = pod_spec("a:1");
    spec["terminationGracePeriodSeconds"] = 0.into();
    spec["containers"][0]["resources"] = json!({"requests": {"cpu": cpu}});
    world.create(&PODS, json!({"metadata": {"name": name, "namespace": "d"}, "spec": spec})).await;
}

fn used(world: &World) -> Value {
    world.get(&QUOTAS, "d", "q")["status"]["used"].clone()
}

async fn thing(world: &World, name: &Name, object: &str, spec: Value) {
    world.create(name, json!({"metadata": {"name": object, "namespace": "d"}, "spec": spec})).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_counted_and_what_goes_given_back() {
    let hard =
        json!({"requests.cpu": "10", "pods": "5", "count/pods": "9", "configmaps": "3", "count/nothings.x.io": "1"});
    let world = world(json!({"hard": hard})).await;
    let status = world.get(&QUOTAS, "d", "q")["status"].clone();
    assert_eq!(status["hard"], hard);
    assert_eq!(status["used"], json!({"requests.cpu": "1", "pods": "1", "count/pods": "1", "configmaps": "0"}));
    // Nobody charges in this world: more than is said is counted at once.
    pod(&world, "second", "500m").await;
    thing(&world, &CONFIG_MAPS, "c", Value::Null).await;
    world.settle().await;
    assert_eq!(used(&world), json!({"requests.cpu": "1500m", "pods": "2", "count/pods": "2", "configmaps": "1"}));
    world.merge(PODS.at("d", "second").part("status"), json!({"status": {"phase": "Succeeded"}})).await;
    world.settle().await;
    assert_eq!(used(&world), json!({"requests.cpu": "1", "pods": "1", "count/pods": "2", "configmaps": "1"}));
    for name in ["first", "second"] {
        world.delete(PODS.at("d", name)).await;
    }
    world.settle().await;
    assert_eq!(used(&world), json!({"requests.cpu": "0", "pods": "0", "count/pods": "0", "configmaps": "1"}));
}

#[tokio::test(start_paused = true)]
async fn a_new_limit_is_counted_anew() {
    let world = world(json!({"hard": {"pods": "5"}})).await;
    let ports = json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]);
    thing(&world, &SERVICES, "s", json!({"type": "NodePort", "ports": ports, "selector": {"a": "b"}})).await;
    world.merge(QUOTAS.at("d", "q"), json!({"spec": {"hard": {"pods": null, "services.nodeports": "2"}}})).await;
    world.settle().await;
    let status = world.get(&QUOTAS, "d", "q")["status"].clone();
    assert_eq!(status, json!({"hard": {"services.nodeports": "2"}, "used": {"services.nodeports": "1"}}));
    world
        .merge(SERVICES.at("d", "s"), json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": null}]}}))
        .await;
    world.settle().await;
    assert_eq!(used(&world), json!({"services.nodeports": "0"}));
}

#[tokio::test(start_paused = true)]
async fn scopes_say_what_is_counted() {
    let world = world(json!({"hard": {"pods": "5"}, "scopes": ["BestEffort"]})).await;
    assert_eq!(used(&world), json!({"pods": "0"}));
    let spec = pod_spec("a:1");
    world.create(&PODS, json!({"metadata": {"name": "plain", "namespace": "d"}, "spec": spec})).await;
    world.settle().await;
    assert_eq!(used(&world), json!({"pods": "1"}));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_hangs_on_its_way_out_is_given_back_in_time() {
    let world = world(json!({"hard": {"pods": "5", "count/pods": "5"}})).await;
    let mut spec = pod_spec("a:1");
    spec["nodeName"] = "n".into();
    world.create(&PODS, json!({"metadata": {"name": "p", "namespace": "d"}, "spec": spec})).await;
    world.delete(PODS.at("d", "p")).await;
    world.settle().await;
    assert_eq!(used(&world), json!({"pods": "2", "count/pods": "2"}));
    world.pass(Duration::from_secs(301)).await;
    assert_eq!(used(&world), json!({"pods": "1", "count/pods": "2"}));
}
