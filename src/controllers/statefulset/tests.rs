//! Sets that grow, shrink and change.

use crate::controllers::history::HASH;
use crate::controllers::resources::{CLAIMS, CONTROLLER_REVISIONS, PODS, STATEFUL_SETS};
use crate::controllers::testing::{World, template};
use crate::model::object;
use crate::model::value::{Value, json};

async fn world(replicas: i64, more: Value) -> World {
    let world = World::with(&["statefulset"]).await;
    let mut template = template("db", "a:1");
    template["spec"]["terminationGracePeriodSeconds"] = 0.into();
    let mut spec = json!({
        "replicas": replicas, "serviceName": "peers", "template": template,
        "selector": {"matchLabels": {"app": "db"}}, "updateStrategy": {"type": "RollingUpdate"},
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    world.create(&STATEFUL_SETS, json!({"metadata": {"name": "s", "namespace": "d"}, "spec": spec})).await;
    world.settle().await;
    world
}

/// `name image` of all pods.
fn shown(world: &World) -> Vec<String> {
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].as_str().unwrap_or("").to_owned();
    world.list(&PODS).iter().map(|pod| format!("{} {}", object::name(pod), image(pod))).collect()
}

async fn ready(world: &World, name: &str) {
    let patch = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    world.merge(PODS.at("d", name).part("status"), patch).await;
    world.settle().await;
}

/// replicas, ready, current, updated
fn counts(world: &World) -> [i64; 4] {
    let status = world.get(&STATEFUL_SETS, "d", "s")["status"].clone();
    ["replicas", "readyReplicas", "currentReplicas", "updatedReplicas"].map(|f| status[f].as_i64().unwrap_or(0))
}

async fn change(world: &World, spec: Value) {
    world.client.strategic(STATEFUL_SETS.at("d", "s"), &json!({"spec": spec})).await.expect("patched");
    world.settle().await;
}

fn image(image: &str) -> Value {
    json!({"template": {"spec": {"containers": [{"name": "c", "image": image}]}}})
}

fn claim() -> Value {
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    json!([{"metadata": {"name": "data"}, "spec": spec}])
}

#[tokio::test(start_paused = true)]
async fn pods_come_and_go_one_after_the_other() {
    let world = world(3, json!({"volumeClaimTemplates": claim()})).await;
    assert_eq!(shown(&world), ["s-0 a:1"]);
    let pod = world.get(&PODS, "d", "s-0");
    assert_eq!((&pod["spec"]["hostname"], &pod["spec"]["subdomain"]), (&json!("s-0"), &json!("peers")));
    assert_eq!(object::label(&pod, "apps.kubernetes.io/pod-index"), Some("0"));
    assert_eq!(pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"], "data-s-0");
    let claim = world.get(&CLAIMS, "d", "data-s-0");
    assert_eq!((object::label(&claim, "app"), &claim["metadata"]["ownerReferences"]), (Some("db"), &Value::Null));
    let revision = world.names(&CONTROLLER_REVISIONS).remove(0);
    assert_eq!(object::label(&pod, HASH), Some(revision.as_str()));
    ready(&world, "s-0").await;
    assert_eq!((shown(&world).len(), counts(&world)), (2, [2, 1, 2, 2]));
    ready(&world, "s-1").await;
    ready(&world, "s-2").await;
    assert_eq!(counts(&world), [3, 3, 3, 3]);
    assert!(world.events().contains(&"SuccessfulCreate: Create Pod s-2 in StatefulSet s successful".to_owned()));
    change(&world, json!({"replicas": 1})).await;
    assert_eq!((shown(&world), world.names(&CLAIMS).len()), (vec!["s-0 a:1".to_owned()], 3), "claims stay");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_begins_at_the_highest_number() {
    let world = world(3, json!({"podManagementPolicy": "Parallel"})).await;
    assert_eq!(shown(&world).len(), 3, "all at once");
    for name in ["s-0", "s-1", "s-2"] {
        ready(&world, name).await;
    }
    let old = world.get(&STATEFUL_SETS, "d", "s")["status"]["currentRevision"].clone();
    change(&world, json!({"updateStrategy": {"rollingUpdate": {"partition": 1}}})).await;
    change(&world, image("a:2")).await;
    assert_eq!(shown(&world), ["s-0 a:1", "s-1 a:1", "s-2 a:2"], "the next one waits for it");
    ready(&world, "s-2").await;
    ready(&world, "s-1").await;
    assert_eq!((shown(&world)[0].as_str(), counts(&world)), ("s-0 a:1", [3, 3, 1, 2]), "below the partition");
    world.delete(PODS.at("d", "s-0")).await;
    world.settle().await;
    assert_eq!(shown(&world)[0], "s-0 a:1", "made anew as it was");
    assert_eq!(world.get(&STATEFUL_SETS, "d", "s")["status"]["currentRevision"], old);
    ready(&world, "s-0").await;
    change(&world, json!({"updateStrategy": {"rollingUpdate": {"partition": 0}}})).await;
    ready(&world, "s-0").await;
    assert_eq!(shown(&world), ["s-0 a:2", "s-1 a:2", "s-2 a:2"]);
    let status = world.get(&STATEFUL_SETS, "d", "s")["status"].clone();
    assert_eq!((&status["currentRevision"], counts(&world)), (&status["updateRevision"], [3, 3, 3, 3]));
}

#[tokio::test(start_paused = true)]
async fn claims_go_as_the_policy_says() {
    let policy = json!({"whenDeleted": "Delete", "whenScaled": "Delete"});
    let more = json!({
        "volumeClaimTemplates": claim(), "persistentVolumeClaimRetentionPolicy": policy, "podManagementPolicy": "Parallel",
    });
    let world = world(2, more).await;
    for name in ["s-0", "s-1"] {
        ready(&world, name).await;
    }
    let owner =
        |world: &World, name: &str| world.get(&CLAIMS, "d", name)["metadata"]["ownerReferences"][0]["kind"].clone();
    assert_eq!(owner(&world, "data-s-1"), "StatefulSet");
    change(&world, json!({"replicas": 1})).await;
    assert_eq!((owner(&world, "data-s-1"), owner(&world, "data-s-0")), (json!("Pod"), json!("StatefulSet")));
    assert_eq!(shown(&world), ["s-0 a:1"]);
    change(&world, json!({"replicas": 2})).await;
    assert_eq!(shown(&world), ["s-0 a:1"], "the claim of the earlier pod is still to go");
    world.delete(CLAIMS.at("d", "data-s-1")).await;
    world.settle().await;
    assert_eq!((shown(&world).len(), owner(&world, "data-s-1")), (2, json!("StatefulSet")));
}

#[tokio::test(start_paused = true)]
async fn pods_that_have_ended_are_made_anew() {
    let world = world(1, json!({})).await;
    let before = world.get(&PODS, "d", "s-0")["metadata"]["uid"].clone();
    world.merge(PODS.at("d", "s-0").part("status"), json!({"status": {"phase": "Failed"}})).await;
    world.settle().await;
    let after = world.get(&PODS, "d", "s-0")["metadata"]["uid"].clone();
    assert!(after.is_string() && after != before);
}
