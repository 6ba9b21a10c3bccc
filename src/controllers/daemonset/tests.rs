//! Sets on nodes that come, go and change.

use crate::controllers::history::HASH;
use crate::controllers::resources::{CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS};
use crate::controllers::testing::{World, template};
use crate::model::object;
use crate::model::value::{Value, json};

async fn world(nodes: &[&str], strategy: Value) -> World {
    let world = World::with(&["daemonset"]).await;
    for name in nodes {
        node(&world, name, Value::Null).await;
    }
    let mut template = template("agent", "a:1");
    template["spec"]["terminationGracePeriodSeconds"] = 0.into();
    let selector = json!({"matchLabels": {"app": "agent"}});
    let spec = json!({"selector": selector, "template": template, "updateStrategy": strategy});
    world.create(&DAEMON_SETS, json!({"metadata": {"name": "s", "namespace": "d"}, "spec": spec})).await;
    world.settle().await;
    world
}

async fn node(world: &World, name: &str, taints: Value) {
    world.create(&NODES, json!({"metadata": {"name": name}, "spec": {"taints": taints}})).await;
}

/// The node that a pod may come to.
fn target(pod: &Value) -> String {
    let terms = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    terms["nodeSelectorTerms"][0]["matchFields"][0]["values"][0].as_str().unwrap_or("").to_owned()
}

/// `node image` of all pods, sorted.
fn shown(world: &World) -> Vec<String> {
    let line =
        |pod: &Value| format!("{} {}", target(pod), pod["spec"]["containers"][0]["image"].as_str().unwrap_or(""));
    let mut lines: Vec<String> = world.list(&PODS).iter().map(line).collect();
    lines.sort();
    lines
}

/// Pods become ready, those that are not deleted while others do.
async fn ready(world: &World) {
    for pod in world.list(&PODS) {
        let patch = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        match world.client.merge(PODS.at("d", object::name(&pod)).part("status"), &patch).await {
            Err(status) if !status.is_not_found() => panic!("patched: {status:?}"),
            _ => {}
        }
    }
    world.settle().await;
}

/// desired, current, misscheduled, ready, updated, available
fn counts(world: &World) -> [i64; 6] {
    let status = world.get(&DAEMON_SETS, "d", "s")["status"].clone();
    let fields = [
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberMisscheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    ];
    fields.map(|field| status[field].as_i64().unwrap_or(0))
}

async fn update(world: &World, image: &str) {
    let container = json!({"name": "c", "image": image});
    let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    world.client.strategic(DAEMON_SETS.at("d", "s"), &patch).await.expect("patched");
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn each_fit_node_has_a_pod() {
    let world = world(&["a", "b"], json!({"type": "RollingUpdate"})).await;
    assert_eq!(shown(&world), ["a a:1", "b a:1"]);
    node(&world, "tainted", json!([{"key": "x", "effect": "NoSchedule"}])).await;
    node(&world, "cordoned", json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])).await;
    world.settle().await;
    assert_eq!(shown(&world), ["a a:1", "b a:1", "cordoned a:1"]);
    ready(&world).await;
    assert_eq!(counts(&world), [3, 3, 0, 3, 3, 3]);
    let pod = world.list(&PODS).remove(0);
    let revision = world.list(&CONTROLLER_REVISIONS).remove(0);
    assert_eq!(object::label(&pod, HASH), object::label(&revision, HASH));
    assert_eq!((object::label(&pod, "pod-template-generation"), &revision["revision"]), (Some("1"), &json!(1)));
    let kept = &revision["data"].opened()["spec"]["template"];
    assert_eq!(kept["spec"]["containers"][0]["resources"], json!({}), "clients compare all that JSON shows: {kept}");
    assert!(pod["spec"]["tolerations"].as_array().is_some_and(|all| all.len() >= 6));
    let taint = json!({"spec": {"taints": [{"key": "x", "effect": "NoSchedule"}]}});
    world.merge(NODES.at("", "a"), taint).await;
    world.settle().await;
    assert_eq!((counts(&world), shown(&world).len()), ([2, 2, 1, 2, 2, 2], 3), "it may stay");
    let taint = json!({"spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}});
    world.merge(NODES.at("", "a"), taint).await;
    world.settle().await;
    assert_eq!(shown(&world), ["b a:1", "cordoned a:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_goes_node_by_node() {
    let world = world(&["a", "b", "c"], json!({"type": "RollingUpdate"})).await;
    ready(&world).await;
    update(&world, "a:2").await;
    assert_eq!(shown(&world), ["a a:2", "b a:1", "c a:1"], "one is replaced, and not ready yet");
    ready(&world).await;
    assert_eq!(shown(&world), ["a a:2", "b a:2", "c a:1"]);
    ready(&world).await;
    ready(&world).await;
    assert_eq!(
        (shown(&world), counts(&world)),
        (["a", "b", "c"].map(|n| format!("{n} a:2")).to_vec(), [3, 3, 0, 3, 3, 3])
    );
    update(&world, "a:1").await;
    let mut numbers: Vec<i64> =
        world.list(&CONTROLLER_REVISIONS).iter().filter_map(|r| r["revision"].as_i64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3], "the first one is the newest again");
}

#[tokio::test(start_paused = true)]
async fn with_a_surge_new_pods_come_first() {
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    let world = world(&["a", "b"], strategy).await;
    ready(&world).await;
    update(&world, "a:2").await;
    assert_eq!(shown(&world), ["a a:1", "a a:2", "b a:1"]);
    ready(&world).await;
    assert_eq!(shown(&world), ["a a:2", "b a:1", "b a:2"]);
    ready(&world).await;
    assert_eq!(shown(&world), ["a a:2", "b a:2"]);
}

#[tokio::test(start_paused = true)]
async fn failed_pods_are_replaced_ever_later() {
    let world = world(&["a"], json!({"type": "OnDelete"})).await;
    let fail = async |world: &World| {
        let name = object::name(&world.list(&PODS)[0]).to_owned();
        world.merge(PODS.at("d", &name).part("status"), json!({"status": {"phase": "Failed"}})).await;
        world.settle().await;
        name
    };
    let first = fail(&world).await;
    assert_ne!(world.names(&PODS), [first], "at once");
    let second = fail(&world).await;
    assert_eq!(world.names(&PODS), std::slice::from_ref(&second), "it waits");
    world.pass(std::time::Duration::from_secs(1)).await;
    assert_ne!(world.names(&PODS), [second]);
    update(&world, "a:2").await;
    assert_eq!(shown(&world), ["a a:1"], "who wants the new one deletes the old one");
}
