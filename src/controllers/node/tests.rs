//! Days in the life of nodes.

use std::time::Duration;

use crate::controllers::conditions;
use crate::controllers::config::Config;
use crate::controllers::resources::{LEASES, NODES, PODS};
use crate::controllers::testing::{World, pod_spec};
use crate::model::object;
use crate::model::value::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

async fn world(nodes: &[&str]) -> World {
    let world = World::with(&["nodelifecycle", "taint-eviction-controller", "ttl"]).await;
    for name in nodes {
        node(&world, name).await;
    }
    world
}

async fn node(world: &World, name: &str) {
    let labels = json!({"kubernetes.io/os": "linux"});
    world.create(&NODES, json!({"metadata": {"name": name, "labels": labels}})).await;
    say(world, name, "True").await;
    world.create(&LEASES, json!({"metadata": {"name": name, "namespace": "kube-node-lease"}})).await;
}

/// The node reports its status.
async fn say(world: &World, name: &str, ready: &str) {
    let now = world.client.registry().now().to_text();
    let condition = json!({
        "type": "Ready", "status": ready, "reason": "x", "lastHeartbeatTime": now.as_str(), "lastTransitionTime": now.as_str(),
    });
    let patch = json!({"status": {"conditions": [condition]}});
    world.merge(NODES.at("", name).part("status"), patch).await;
}

/// Time passes in which these nodes renew their leases.
async fn live(world: &World, seconds: u32, nodes: &[&str]) {
    for _ in 0..seconds / 10 {
        world.pass(10 * SECOND).await;
        let now = world.client.registry().now().to_micros_text();
        for name in nodes {
            let patch = json!({"spec": {"renewTime": now.as_str()}});
            world.merge(LEASES.at("kube-node-lease", name), patch).await;
        }
    }
    world.settle().await;
}

async fn pod(world: &World, name: &str, node: &str, tolerations: Value) {
    let mut spec = pod_spec("a:1");
    (spec["nodeName"], spec["tolerations"]) = (node.into(), tolerations);
    spec["terminationGracePeriodSeconds"] = 0.into();
    world.create(&PODS, json!({"metadata": {"name": name, "namespace": "d"}, "spec": spec})).await;
    let status = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    world.merge(PODS.at("d", name).part("status"), json!({"status": status})).await;
}

fn ready(world: &World, name: &str) -> String {
    let node = world.get(&NODES, "", name);
    let condition = conditions::find(&node["status"], "Ready").cloned().unwrap_or_default();
    condition["status"].as_str().unwrap_or("none").to_owned()
}

fn taints(world: &World, name: &str) -> Vec<String> {
    let node = world.get(&NODES, "", name);
    let text = |value: &Value| value.as_str().unwrap_or("").replace("node.kubernetes.io/", "");
    super::taints::of(&node).iter().map(|t| format!("{}:{}", text(&t["key"]), text(&t["effect"]))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_loses_its_pods() {
    let world = world(&["a", "b", "c"]).await;
    let tolerated = json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]);
    pod(&world, "patient", "a", tolerated).await;
    pod(&world, "eternal", "a", json!([{"operator": "Exists"}])).await;
    pod(&world, "elsewhere", "b", Value::Null).await;
    live(&world, 40, &["a", "b", "c"]).await;
    assert_eq!((ready(&world, "a"), taints(&world, "a")), ("True".into(), vec![]));
    live(&world, 40, &["b", "c"]).await;
    assert_eq!(ready(&world, "a"), "True", "its lease is 40 seconds old");
    live(&world, 10, &["b", "c"]).await;
    assert_eq!((ready(&world, "a"), ready(&world, "b")), ("Unknown".into(), "True".into()));
    assert_eq!(taints(&world, "a"), ["unreachable:NoSchedule", "unreachable:NoExecute"]);
    let node = world.get(&NODES, "", "a");
    let memory = conditions::find(&node["status"], "MemoryPressure").expect("never reported");
    assert_eq!((&memory["status"], &memory["reason"]), (&json!("Unknown"), &json!("NodeStatusNeverUpdated")));
    assert_eq!(object::label(&node, "beta.kubernetes.io/os"), Some("linux"));
    assert_eq!(object::annotation(&node, "node.alpha.kubernetes.io/ttl"), Some("0"));
    let pod = world.get(&PODS, "d", "patient");
    assert_eq!(conditions::find(&pod["status"], "Ready").expect("a condition")["status"], "False");
    live(&world, 290, &["b", "c"]).await;
    assert_eq!(world.names(&PODS), ["elsewhere", "eternal", "patient"]);
    live(&world, 20, &["b", "c"]).await;
    assert_eq!(world.names(&PODS), ["elsewhere", "eternal"]);
    let said = world.events();
    for line in [
        "RegisteredNode: Node a event: Registered Node a in Controller",
        "NodeNotReady: Node a status is now: NodeNotReady",
        "NodeNotReady: Node is not ready",
        "TaintManagerEviction: Marking for deletion Pod d/patient",
    ] {
        assert!(said.iter().any(|event| event == line), "{line} in {said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_keeps_its_pods() {
    let world = world(&["a", "b"]).await;
    let tolerated = json!([{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]);
    pod(&world, "patient", "a", tolerated).await;
    live(&world, 100, &["b"]).await;
    assert_eq!(ready(&world, "a"), "Unknown");
    say(&world, "a", "False").await;
    world.settle().await;
    assert_eq!(taints(&world, "a"), ["not-ready:NoSchedule", "not-ready:NoExecute"], "at once");
    say(&world, "a", "True").await;
    world.settle().await;
    assert_eq!(taints(&world, "a"), [""; 0]);
    live(&world, 400, &["a", "b"]).await;
    assert_eq!(world.names(&PODS), ["patient"]);
    assert!(world.events().contains(&"TaintManagerEviction: Cancelling deletion of Pod d/patient".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn where_all_are_silent_nobody_is_evicted() {
    let world = world(&["a", "b"]).await;
    pod(&world, "p", "a", Value::Null).await;
    live(&world, 20, &["a", "b"]).await;
    world.pass(600 * SECOND).await;
    assert_eq!((ready(&world, "a"), ready(&world, "b")), ("Unknown".into(), "Unknown".into()));
    assert_eq!(
        (taints(&world, "a"), taints(&world, "b")),
        (vec!["unreachable:NoSchedule".into()], vec!["unreachable:NoSchedule".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_reported_is_unknown_after_a_minute() {
    let world = world(&[]).await;
    world.create(&NODES, json!({"metadata": {"name": "new"}})).await;
    world.pass(59 * SECOND).await;
    assert_eq!(ready(&world, "new"), "none");
    world.pass(2 * SECOND).await;
    assert_eq!(ready(&world, "new"), "Unknown");
    world.delete(NODES.at("", "new")).await;
    world.settle().await;
    assert!(world.events().contains(&"RemovingNode: Node new event: Removing Node new from Controller".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn taints_of_users_evict_too() {
    let world = world(&["a"]).await;
    pod(&world, "weak", "a", Value::Null).await;
    pod(&world, "strong", "a", json!([{"key": "x", "operator": "Equal", "value": "1"}])).await;
    let taint = |value: &str| json!({"spec": {"taints": [{"key": "x", "value": value, "effect": "NoExecute"}]}});
    world.merge(NODES.at("", "a"), taint("1")).await;
    world.settle().await;
    assert_eq!(world.names(&PODS), ["strong"]);
    world.merge(NODES.at("", "a"), taint("2")).await;
    world.settle().await;
    assert_eq!(world.names(&PODS), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn nodes_get_ranges() {
    let parse = |ranges: &[&str]| ranges.iter().map(|range| range.parse().expect("a range")).collect();
    let config = Config {
        enabled: vec!["nodeipam".into()],
        cluster_cidrs: parse(&["10.244.0.0/22", "fd00:1::/48"]),
        service_cidrs: parse(&["10.244.1.0/24"]),
        ..Config::default()
    };
    let world = World::configured(&config).await;
    let own = json!({"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24", "fd00:1::/64"]});
    world.create(&NODES, json!({"metadata": {"name": "own"}, "spec": own})).await;
    for name in ["a", "b", "c"] {
        world.create(&NODES, json!({"metadata": {"name": name}})).await;
        world.settle().await;
    }
    let ranges = |world: &World, name: &str| world.get(&NODES, "", name)["spec"]["podCIDRs"].clone();
    assert_eq!(ranges(&world, "a"), json!(["10.244.2.0/24", "fd00:1:0:1::/64"]));
    assert_eq!(world.get(&NODES, "", "a")["spec"]["podCIDR"], "10.244.2.0/24");
    assert_eq!(ranges(&world, "b"), json!(["10.244.3.0/24", "fd00:1:0:2::/64"]));
    assert_eq!(ranges(&world, "c"), Value::Null);
    assert!(world.events().contains(&"CIDRNotAvailable: Node c status is now: CIDRNotAvailable".to_owned()));
    world.delete(NODES.at("", "own")).await;
    world.settle().await;
    assert_eq!(ranges(&world, "c"), json!(["10.244.0.0/24", "fd00:1:0:3::/64"]), "it has waited");
}
