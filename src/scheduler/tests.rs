//! Conversations with a running scheduler, and with one who ends pods for others.

use super::config::Config;
use super::preempt::Preemption;
use super::testing::{Fixed, World, asking, pod};
use crate::admission::chain::Chain;
use crate::auth::identity::User;
use crate::base::tasks::Tasks;
use crate::cache::subscription::Update;
use crate::model::names::GroupResource;
use crate::model::value::{Value, json};
use crate::registry::client::{Client, Target};
use crate::registry::fixture::{registry_with, value};
use crate::registry::options::DeleteOptions;

fn important(name: &str, priority: i32, cpu: &str) -> std::sync::Arc<super::pod::Pod> {
    let mut spec = asking(cpu, "1Gi");
    spec["priority"] = priority.into();
    pod(name, json!({"spec": spec}))
}

fn victims(result: Result<String, (String, Preemption)>) -> (String, Vec<String>) {
    match result {
        Err((_, Preemption::Victims { node, pods })) => {
            (node.to_string(), pods.iter().map(|pod| pod.name().to_owned()).collect())
        }
        other => panic!("no victims: {other:?}"),
    }
}

fn busy(fixed: Fixed) -> World {
    let with = |priority: i32, cpu: &str| {
        let mut spec = asking(cpu, "1Gi");
        spec["priority"] = priority.into();
        json!({"metadata": {"labels": {"app": "x"}}, "spec": spec})
    };
    World::new(fixed)
        .node("n1", json!({}))
        .node("n2", json!({}))
        .on("n1", "a", with(5, "2"))
        .on("n1", "b", with(1, "2"))
        .on("n2", "c", with(3, "4"))
}

#[test]
fn the_least_important_go() {
    let mut world = busy(Fixed::default());
    assert_eq!(victims(world.decide_on(&important("new", 10, "1"))), ("n1".into(), vec!["b".into()]));
    assert_eq!(victims(world.decide_on(&important("new", 10, "3"))), ("n2".into(), vec!["c".into()]));
    let (why, _) = world.decide_on(&important("new", 1, "1")).expect_err("nobody is less important");
    let after = "no new claims to deallocate, preemption: 0/2 nodes are available: \
                 2 No preemption victims found for incoming pod.";
    assert_eq!(why, format!("0/2 nodes are available: 2 Insufficient cpu. {after}"));
}

#[test]
fn a_polite_pod_waits() {
    let mut world = busy(Fixed::default());
    let mut spec = asking("1", "1Gi");
    spec["priority"] = 10.into();
    spec["preemptionPolicy"] = "Never".into();
    let (why, _) = world.decide_on(&pod("new", json!({"spec": spec}))).expect_err("no room");
    let after = "no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.";
    assert_eq!(why, format!("0/2 nodes are available: 2 Insufficient cpu. {after}"));
}

#[test]
fn budgets_are_kept_where_that_can_be() {
    let budget = json!({
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}},
        "status": {"disruptionsAllowed": 0},
    });
    let mut world = busy(Fixed::default().with("poddisruptionbudgets", budget)).node("n3", json!({}));
    let mut spec = asking("4", "1Gi");
    spec["priority"] = 9.into();
    world = world.on("n3", "d", json!({"spec": spec}));
    assert_eq!(victims(world.decide_on(&important("new", 10, "1"))), ("n3".into(), vec!["d".into()]));
}

#[test]
fn a_promised_place_is_kept_free() {
    let mut world = World::new(Fixed::default()).node("n1", json!({}));
    let promised = important("promised", 10, "3");
    world.cluster.nominate(&promised, "n1");
    let (why, _) = world.decide_on(&important("new", 5, "2")).expect_err("it is promised");
    assert!(why.starts_with("0/1 nodes are available: 1 Insufficient cpu. "), "{why}");
    assert_eq!(world.decide_on(&important("new", 11, "2")).expect("more important"), "n1");
    world.cluster.denominate(&promised.key);
    assert_eq!(world.decide_on(&important("new", 5, "2")).expect("free again"), "n1");
}

/// How long a test waits for what must come, on the clock that it moves.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(600);

/// A plane with a scheduler.
struct Plane {
    client: Client,
    tasks: Tasks,
}

impl Plane {
    async fn start() -> Self {
        let registry = registry_with(|_| Chain::default()).await;
        let client = Client::new(&registry, User::new("tester", &["system:masters"]), "tester");
        let tasks = Tasks::default();
        let config = Config { host: "here".into(), ..Config::default() };
        super::start(&registry, &tasks, &config).expect("started");
        Self { client, tasks }
    }

    async fn node(&self, name: &str, cpu: &str) {
        let node = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}},
        });
        let target = Target::new("", "nodes", "", name);
        self.client.create(target, &node).await.expect("a node");
        self.client.update(target.part("status"), &node).await.expect("its status");
    }

    async fn pod(&self, name: &str, spec: Value) {
        let pod = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
        self.client.create(Target::new("", "pods", "default", name), &pod).await.expect("a pod");
    }

    /// The first state of all objects of a resource about which `say` has something to say.
    async fn wait<T>(&self, resource: &str, say: impl Fn(&[Value]) -> Option<T>) -> T {
        let registry = self.client.registry();
        let name = GroupResource::new("", resource);
        let mut news = registry.cache.subscribe(&[&name]).expect("the resource");
        loop {
            let snapshot = registry.cache.snapshot(&[&name]).expect("the resource");
            let all: Vec<Value> = snapshot.shelves[0].iter(None).map(|o| value(registry, "", resource, o)).collect();
            if let Some(said) = say(&all) {
                return said;
            }
            let next = tokio::time::timeout(PATIENCE, news.next()).await;
            let _: Update = next.unwrap_or_else(|_| panic!("{resource} stay {all:#?}"));
        }
    }

    /// The node of a pod, once it has one.
    async fn node_of(&self, name: &str) -> String {
        self.wait("pods", |pods| {
            let pod = pods.iter().find(|pod| pod["metadata"]["name"] == name)?;
            pod["spec"]["nodeName"].as_str().map(str::to_owned)
        })
        .await
    }

    /// The first event with this reason about a pod.
    async fn event(&self, pod: &str, reason: &str) -> Value {
        self.wait("events", |events| {
            events.iter().find(|e| e["reason"] == reason && e["involvedObject"]["name"] == pod).cloned()
        })
        .await
    }

    async fn end(self) {
        self.tasks.shutdown(std::time::Duration::from_secs(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_gets_a_node_and_users_are_told() {
    let plane = Plane::start().await;
    plane.node("n1", "4").await;
    plane.pod("a", asking("1", "1Gi")).await;
    assert_eq!(plane.node_of("a").await, "n1");
    let told = plane.event("a", "Scheduled").await;
    assert_eq!(told["message"], "Successfully assigned default/a to n1");
    assert_eq!((&told["type"], &told["action"]), (&json!("Normal"), &json!("Binding")));
    assert_eq!(told["reportingComponent"], "default-scheduler");
    assert_eq!(told["reportingInstance"], "default-scheduler-here");
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_room_waits_for_it() {
    let plane = Plane::start().await;
    plane.node("n1", "4").await;
    plane.pod("a", asking("3", "1Gi")).await;
    assert_eq!(plane.node_of("a").await, "n1");
    plane.pod("b", asking("3", "1Gi")).await;
    let told = plane.event("b", "FailedScheduling").await;
    let why = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: \
               0/1 nodes are available: 1 No preemption victims found for incoming pod.";
    assert_eq!((&told["message"], &told["type"]), (&json!(why), &json!("Warning")));
    assert_eq!(told["action"], "Scheduling");
    let condition = plane
        .wait("pods", |pods| {
            let pod = pods.iter().find(|pod| pod["metadata"]["name"] == "b")?;
            let mut conditions = pod["status"]["conditions"].as_array()?.iter();
            conditions.find(|c| c["type"] == "PodScheduled" && c["status"] == "False").cloned()
        })
        .await;
    assert_eq!((&condition["reason"], &condition["message"]), (&json!("Unschedulable"), &json!(why)));
    let now = DeleteOptions { grace_period: Some(0), ..DeleteOptions::default() };
    plane.client.delete(Target::new("", "pods", "default", "a"), &now).await.expect("deleted");
    assert_eq!(plane.node_of("b").await, "n1");
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_less_important_make_room() {
    let plane = Plane::start().await;
    plane.node("n1", "4").await;
    plane.pod("small", asking("3", "1Gi")).await;
    plane.node_of("small").await;
    let mut spec = asking("3", "1Gi");
    spec["priority"] = 100.into();
    plane.pod("great", spec).await;
    let told = plane.event("small", "Preempted").await;
    let uid = told["related"]["uid"].as_str().expect("the pod that it went for").to_owned();
    assert_eq!(told["message"], format!("Preempted by pod {uid} on node n1"));
    let dying = plane
        .wait("pods", |pods| {
            let promised = pods.iter().find(|pod| pod["status"]["nominatedNodeName"] == "n1")?;
            assert_eq!(promised["metadata"]["name"], "great");
            pods.iter().find(|pod| pod["metadata"]["deletionTimestamp"].is_string()).cloned()
        })
        .await;
    let conditions = dying["status"]["conditions"].as_array().expect("conditions");
    let target = conditions.iter().find(|c| c["type"] == "DisruptionTarget").expect("told why");
    assert_eq!(target["reason"], "PreemptionByScheduler");
    assert_eq!(target["message"], "default-scheduler: preempting to accommodate a higher priority pod");
    let now = DeleteOptions { grace_period: Some(0), ..DeleteOptions::default() };
    plane.client.delete(Target::new("", "pods", "default", "small"), &now).await.expect("ended");
    assert_eq!(plane.node_of("great").await, "n1");
    plane.wait("pods", |pods| pods.iter().all(|p| p["status"]["nominatedNodeName"].is_null()).then_some(())).await;
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_bound_before_its_pod() {
    let plane = Plane::start().await;
    plane.node("n1", "4").await;
    let class = json!({"metadata": {"name": "late"}, "provisioner": "csi.example.com",
        "volumeBindingMode": "WaitForFirstConsumer"});
    plane.client.create(Target::new("storage.k8s.io", "storageclasses", "", "late"), &class).await.expect("a class");
    let target = Target::new("", "persistentvolumeclaims", "default", "c");
    let claim = json!({"metadata": {"name": "c", "namespace": "default"}, "spec": {
        "storageClassName": "late", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    plane.client.create(target, &claim).await.expect("a claim");
    let mut spec = asking("1", "1Gi");
    spec["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]);
    plane.pod("a", spec).await;
    let selected = |claims: &[Value]| {
        claims[0]["metadata"]["annotations"]["volume.kubernetes.io/selected-node"].as_str().map(str::to_owned)
    };
    assert_eq!(plane.wait("persistentvolumeclaims", selected).await, "n1");
    let bound = json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": "v1"}});
    plane.client.merge(target, &bound).await.expect("bound");
    assert_eq!(plane.node_of("a").await, "n1");
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn pods_of_other_schedulers_are_left_alone() {
    let plane = Plane::start().await;
    plane.node("n1", "4").await;
    let mut other = asking("1", "1Gi");
    other["schedulerName"] = "another".into();
    plane.pod("a", other).await;
    plane.pod("b", asking("1", "1Gi")).await;
    plane.node_of("b").await;
    let nodes = plane.wait("pods", |pods| Some(pods.iter().filter(|p| !p["spec"]["nodeName"].is_null()).count())).await;
    assert_eq!(nodes, 1);
    plane.end().await;
}

#[tokio::test(start_paused = true)]
async fn many_pods_fill_the_nodes_and_no_more() {
    let plane = Plane::start().await;
    for name in ["n1", "n2", "n3"] {
        plane.node(name, "4").await;
    }
    for number in 0..15 {
        plane.pod(&format!("p{number}"), asking("1", "10Mi")).await;
    }
    let count = |pods: &[Value]| {
        let mut on: std::collections::BTreeMap<String, usize> = Default::default();
        for node in pods.iter().filter_map(|pod| pod["spec"]["nodeName"].as_str()) {
            *on.entry(node.into()).or_default() += 1;
        }
        (on.values().sum::<usize>() == 12).then_some(on)
    };
    let on = plane.wait("pods", count).await;
    assert!(on.values().all(|count| *count == 4), "{on:?}");
    plane.event("p14", "FailedScheduling").await;
    plane.end().await;
}
