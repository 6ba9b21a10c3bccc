//! Conversations with the ReplicaSet controller.

use std::time::Duration;

use crate::controllers::resources::{PODS, REPLICA_SETS, REPLICATION_CONTROLLERS};
use crate::controllers::testing::{World, pod_spec, template};
use crate::model::value::{Value, json};

fn set(name: &str, replicas: i64) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "d"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template("web", "a:1"),
        },
    })
}

fn pod(name: &str, app: &str, node: &str) -> Value {
    let mut spec = pod_spec("a:1");
    spec["nodeName"] = node.into();
    json!({"metadata": {"name": name, "namespace": "d", "labels": {"app": app}}, "spec": spec})
}

impl World {
    /// Puts a pod on a node, or changes what its node says of it.
    async fn pod_is(&self, name: &str, phase: &str, ready: bool) {
        let since = self.client.registry().now().to_text();
        let ready = if ready { "True" } else { "False" };
        let conditions = json!([{"type": "Ready", "status": ready, "lastTransitionTime": since.as_str()}]);
        let status = json!({"status": {"phase": phase, "conditions": conditions}});
        self.merge(PODS.at("d", name).part("status"), status).await;
        self.settle().await;
    }

    fn status(&self) -> Value {
        self.get(&REPLICA_SETS, "d", "web")["status"].clone()
    }
}

fn counts(status: &Value) -> [i64; 5] {
    let fields = ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas"];
    fields.map(|field| status[field].as_i64().unwrap_or(0))
}

#[tokio::test(start_paused = true)]
async fn it_has_as_many_pods_as_it_says() {
    let world = World::with(&["replicaset"]).await;
    let made = world.create(&REPLICA_SETS, set("web", 3)).await;
    world.settle().await;
    let pods = world.list(&PODS);
    assert_eq!(pods.len(), 3);
    let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": made["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true}]);
    assert_eq!(pods[0]["metadata"]["ownerReferences"], owner);
    assert_eq!(pods[0]["metadata"]["generateName"], "web-");
    assert_eq!(pods[0]["metadata"]["labels"], json!({"app": "web"}));
    assert_eq!(counts(&world.status()), [3, 3, 0, 0, 0]);
    let mut events = world.events();
    events.sort();
    let said: Vec<_> = world.names(&PODS).iter().map(|name| format!("SuccessfulCreate: Created pod: {name}")).collect();
    assert_eq!(events, said);

    let first = world.names(&PODS)[0].clone();
    world.delete(PODS.at("d", &first)).await;
    world.settle().await;
    assert_eq!(world.names(&PODS).len(), 3);
    assert!(!world.names(&PODS).contains(&first));

    world.merge(REPLICA_SETS.at("d", "web"), json!({"spec": {"replicas": 1}})).await;
    world.settle().await;
    assert_eq!((world.names(&PODS).len(), counts(&world.status())), (1, [1, 1, 0, 0, 0]));
    assert_eq!(world.events().iter().filter(|event| event.starts_with("SuccessfulDelete: Deleted pod: ")).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn many_pods_come_in_bursts() {
    let world = World::with(&["replicaset"]).await;
    world.create(&REPLICA_SETS, set("web", 1_200)).await;
    world.settle().await;
    assert_eq!((world.names(&PODS).len(), counts(&world.status())[0]), (1_200, 1_200));
    world.merge(REPLICA_SETS.at("d", "web"), json!({"spec": {"replicas": 0}})).await;
    world.settle().await;
    assert_eq!((world.names(&PODS).len(), counts(&world.status())[0]), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn it_takes_in_orphans_and_lets_go_of_strangers() {
    let world = World::with(&["replicaset"]).await;
    world.create(&PODS, pod("mine", "web", "")).await;
    world.create(&PODS, pod("other", "db", "")).await;
    let made = world.create(&REPLICA_SETS, set("web", 2)).await;
    world.settle().await;
    assert_eq!(world.names(&PODS).len(), 3);
    let mine = world.get(&PODS, "d", "mine");
    assert_eq!(mine["metadata"]["ownerReferences"][0]["uid"], made["metadata"]["uid"]);
    assert!(world.get(&PODS, "d", "other")["metadata"]["ownerReferences"].is_null());

    world.merge(PODS.at("d", "mine"), json!({"metadata": {"labels": {"app": "db"}}})).await;
    world.settle().await;
    assert!(world.get(&PODS, "d", "mine")["metadata"]["ownerReferences"].is_null());
    assert_eq!(world.names(&PODS).len(), 4, "another one in its place");
    world.merge(PODS.at("d", "mine"), json!({"metadata": {"labels": {"app": "web"}}})).await;
    world.settle().await;
    assert_eq!(world.names(&PODS).len(), 3, "taken in again, and then there was one too many");
}

#[tokio::test(start_paused = true)]
async fn pods_count_by_what_their_nodes_say() {
    let world = World::with(&["replicaset"]).await;
    let mut set = set("web", 2);
    set["spec"]["minReadySeconds"] = 30.into();
    set["spec"]["template"]["spec"]["nodeName"] = "n".into();
    world.create(&REPLICA_SETS, set).await;
    world.settle().await;
    let names = world.names(&PODS);
    world.pod_is(&names[0], "Running", true).await;
    assert_eq!(counts(&world.status()), [2, 2, 1, 0, 0]);
    world.pass(Duration::from_secs(10)).await;
    world.pod_is(&names[1], "Running", true).await;
    assert_eq!(counts(&world.status()), [2, 2, 2, 0, 0]);
    world.pass(Duration::from_secs(20)).await;
    assert_eq!(counts(&world.status()), [2, 2, 2, 1, 0]);
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(counts(&world.status()), [2, 2, 2, 2, 0]);

    world.pod_is(&names[1], "Failed", false).await;
    assert_eq!((counts(&world.status()), world.names(&PODS).len()), ([2, 2, 1, 1, 0], 3));
    world.delete(PODS.at("d", &names[0])).await;
    world.settle().await;
    assert_eq!(counts(&world.status()), [2, 2, 0, 0, 1], "its node has yet to end it");
}

#[tokio::test(start_paused = true)]
async fn those_that_are_missed_least_go_first() {
    let world = World::with(&["replicaset"]).await;
    let nodes =
        [("crowded", "n1"), ("alone", "n2"), ("pending", ""), ("cheap", "n3"), ("unready", "n1"), ("fresh", "n4")];
    for (name, node) in nodes {
        world.create(&PODS, pod(name, "web", node)).await;
    }
    world.create(&REPLICA_SETS, set("web", 6)).await;
    world.settle().await;
    for name in ["crowded", "alone", "cheap"] {
        world.pod_is(name, "Running", true).await;
    }
    world.pod_is("unready", "Running", false).await;
    let cost = json!({"controller.kubernetes.io/pod-deletion-cost": "-5"});
    world.merge(PODS.at("d", "cheap"), json!({"metadata": {"annotations": cost}})).await;
    world.pass(Duration::from_secs(3600)).await;
    world.pod_is("fresh", "Running", true).await;
    for (replicas, gone) in [(5, "pending"), (4, "unready"), (3, "cheap"), (2, "fresh")] {
        world.merge(REPLICA_SETS.at("d", "web"), json!({"spec": {"replicas": replicas}})).await;
        world.settle().await;
        let deleted = world
            .list(&PODS)
            .iter()
            .any(|pod| pod["metadata"]["name"] == gone && pod["metadata"]["deletionTimestamp"].is_null());
        assert!(!deleted, "{gone} goes at {replicas}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_deleted_makes_no_pods() {
    let world = World::with(&["replicaset"]).await;
    let mut held = set("web", 2);
    held["metadata"]["finalizers"] = json!(["x.io/wait"]);
    world.create(&REPLICA_SETS, held).await;
    world.settle().await;
    world.delete(REPLICA_SETS.at("d", "web")).await;
    let names = world.names(&PODS);
    world.delete(PODS.at("d", &names[0])).await;
    world.settle().await;
    assert_eq!((world.names(&PODS).len(), counts(&world.status())[0]), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn replication_controllers_do_the_same() {
    let world = World::with(&["replicationcontroller"]).await;
    let mut old = set("web", 2);
    old["spec"]["selector"] = json!({"app": "web"});
    world.create(&REPLICATION_CONTROLLERS, old).await;
    world.settle().await;
    assert_eq!(world.names(&PODS).len(), 2);
    let status = world.get(&REPLICATION_CONTROLLERS, "d", "web")["status"].clone();
    assert_eq!((counts(&status), &status["terminatingReplicas"]), ([2, 2, 0, 0, 0], &Value::Null));
}
