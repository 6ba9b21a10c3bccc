//! Claims that find volumes, and volumes that lose their claims.

use std::time::Duration;

use crate::controllers::resources::{CLAIMS, PODS, STORAGE_CLASSES, VOLUMES};
use crate::controllers::testing::{World, pod_spec};
use crate::model::object;
use crate::model::value::{Value, json};

const RETRY: Duration = Duration::from_secs(15);

async fn world() -> World {
    World::with(&["persistentvolume-binder"]).await
}

async fn volume(world: &World, name: &str, size: &str, more: Value) {
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "hostPath": {"path": "/data"},
        "persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem",
    });
    put(&mut spec, more);
    world.create(&VOLUMES, json!({"metadata": {"name": name}, "spec": spec})).await;
    world.settle().await;
}

async fn claim(world: &World, name: &str, size: &str, more: Value) {
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "volumeMode": "Filesystem",
    });
    put(&mut spec, more);
    world.create(&CLAIMS, json!({"metadata": {"name": name, "namespace": "d"}, "spec": spec})).await;
    world.settle().await;
}

async fn class(world: &World, name: &str, mode: &str, provisioner: &str, annotations: Value) {
    let class = json!({
        "metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner,
        "volumeBindingMode": mode, "reclaimPolicy": "Delete",
    });
    world.create(&STORAGE_CLASSES, class).await;
    world.settle().await;
}

fn put(spec: &mut Value, more: Value) {
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
}

/// phase, volume
fn of_claim(world: &World, name: &str) -> String {
    let claim = world.get(&CLAIMS, "d", name);
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!("{} {}", text(&claim["status"]["phase"]), text(&claim["spec"]["volumeName"]))
}

/// phase, claim
fn of_volume(world: &World, name: &str) -> String {
    let volume = world.get(&VOLUMES, "", name);
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!("{} {}", text(&volume["status"]["phase"]), text(&volume["spec"]["claimRef"]["name"]))
}

#[tokio::test(start_paused = true)]
async fn a_claim_gets_the_smallest_volume_that_is_enough() {
    let world = world().await;
    for (name, size) in [("large", "9Gi"), ("small", "1Gi"), ("medium", "3Gi")] {
        volume(&world, name, size, Value::Null).await;
    }
    assert_eq!(of_volume(&world, "small"), "Available -");
    claim(&world, "a", "2Gi", Value::Null).await;
    assert_eq!((of_claim(&world, "a"), of_volume(&world, "medium")), ("Bound medium".into(), "Bound a".into()));
    let (bound, given) = (world.get(&CLAIMS, "d", "a"), world.get(&VOLUMES, "", "medium"));
    assert_eq!(bound["status"]["capacity"]["storage"], "3Gi");
    assert_eq!(bound["status"]["accessModes"], json!(["ReadWriteOnce"]));
    let by_controller = "pv.kubernetes.io/bound-by-controller";
    assert_eq!(object::annotation(&bound, "pv.kubernetes.io/bind-completed"), Some("yes"));
    assert_eq!(object::annotation(&bound, by_controller), Some("yes"));
    assert_eq!(object::annotation(&given, by_controller), Some("yes"));
    let reference = &given["spec"]["claimRef"];
    assert_eq!((&reference["uid"], &reference["kind"]), (&bound["metadata"]["uid"], &json!("PersistentVolumeClaim")));
    claim(&world, "b", "20Gi", Value::Null).await;
    let message = "no persistent volumes available for this claim and no storage class is set";
    assert_eq!(
        (of_claim(&world, "b"), world.events()),
        ("Pending -".into(), vec![format!("FailedBinding: {message}")])
    );
    volume(&world, "huge", "30Gi", Value::Null).await;
    assert_eq!(of_claim(&world, "b"), "Bound huge", "a new volume is offered to who waits");
}

#[tokio::test(start_paused = true)]
async fn claims_do_not_get_in_each_others_way() {
    let world = world().await;
    for at in 0..20 {
        volume(&world, &format!("v{at:02}"), "1Gi", Value::Null).await;
    }
    for at in 0..20 {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        world.create(&CLAIMS, json!({"metadata": {"name": format!("c{at:02}"), "namespace": "d"}, "spec": spec})).await;
    }
    world.settle().await;
    let bound = world.list(&CLAIMS).iter().filter(|claim| claim["status"]["phase"] == "Bound").count();
    assert_eq!(bound, 20);
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_kept_or_deleted_when_its_claim_goes() {
    let world = world().await;
    let policy =
        |policy: &str, path: &str| json!({"persistentVolumeReclaimPolicy": policy, "hostPath": {"path": path}});
    for (name, policy) in [
        ("kept", policy("Retain", "/data")),
        ("deleted", policy("Delete", "/tmp/x")),
        ("failed", policy("Delete", "/data")),
        ("recycled", policy("Recycle", "/data")),
    ] {
        volume(&world, name, "1Gi", policy).await;
        claim(&world, name, "1Gi", json!({"volumeName": name})).await;
        assert_eq!(of_claim(&world, name), format!("Bound {name}"));
        world.delete(CLAIMS.at("d", name)).await;
        world.settle().await;
    }
    assert_eq!(of_volume(&world, "kept"), "Released kept");
    assert_eq!(world.names(&VOLUMES), ["failed", "kept", "recycled"]);
    let why = "host_path deleter only supports /tmp/.+ but received provided /data";
    let status = world.get(&VOLUMES, "", "failed")["status"].clone();
    assert_eq!((&status["phase"], &status["message"]), (&json!("Failed"), &json!(why)));
    let recycler = "VolumeFailedRecycle: No recycler plugin found for the volume!";
    assert_eq!(world.events(), [format!("VolumeFailedDelete: {why}"), recycler.into()]);
    world.merge(VOLUMES.at("", "kept"), json!({"spec": {"claimRef": null}})).await;
    world.settle().await;
    assert_eq!(of_volume(&world, "kept"), "Available -");
}

#[tokio::test(start_paused = true)]
async fn what_users_chose_is_bound_if_it_fits() {
    let world = world().await;
    volume(&world, "v", "1Gi", json!({"claimRef": {"namespace": "d", "name": "mine"}})).await;
    assert_eq!(of_volume(&world, "v"), "Available mine");
    claim(&world, "other", "1Gi", json!({"volumeName": "v"})).await;
    assert_eq!(of_claim(&world, "other"), "Pending v");
    claim(&world, "mine", "1Gi", Value::Null).await;
    assert_eq!((of_claim(&world, "mine"), of_volume(&world, "v")), ("Bound v".into(), "Bound mine".into()));
    let annotation =
        object::annotation(&world.get(&VOLUMES, "", "v"), "pv.kubernetes.io/bound-by-controller").is_some();
    assert!(!annotation, "its user chose the claim");
    claim(&world, "early", "2Gi", json!({"volumeName": "w"})).await;
    volume(&world, "w", "1Gi", Value::Null).await;
    let expected = [
        "FailedBinding: volume \"v\" already bound to a different claim.",
        "VolumeMismatch: Cannot bind to requested volume \"w\": requested PV is too small",
    ];
    assert_eq!(world.events(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_its_volume_is_lost() {
    let world = world().await;
    volume(&world, "v", "1Gi", Value::Null).await;
    claim(&world, "a", "1Gi", Value::Null).await;
    world.delete(VOLUMES.at("", "v")).await;
    world.settle().await;
    assert_eq!(of_claim(&world, "a"), "Lost v");
    let why = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
    assert_eq!(world.events(), [format!("ClaimLost: {why}")]);
}

#[tokio::test(start_paused = true)]
async fn a_class_may_wait_for_a_pod() {
    let world = world().await;
    class(&world, "late", "WaitForFirstConsumer", "kubernetes.io/no-provisioner", Value::Null).await;
    let of_class = json!({"storageClassName": "late"});
    volume(&world, "v", "1Gi", of_class.clone()).await;
    claim(&world, "a", "1Gi", of_class).await;
    assert_eq!(of_claim(&world, "a"), "Pending -");
    let mut spec = pod_spec("a:1");
    spec["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "a"}}]);
    world.create(&PODS, json!({"metadata": {"name": "p", "namespace": "d"}, "spec": spec})).await;
    world.pass(RETRY).await;
    let expected = [
        "WaitForFirstConsumer: waiting for first consumer to be created before binding",
        "WaitForPodScheduled: waiting for pod p to be scheduled",
    ];
    assert_eq!(world.events(), expected);
    // The scheduler chooses.
    let reference = json!({"namespace": "d", "name": "a", "uid": world.get(&CLAIMS, "d", "a")["metadata"]["uid"]});
    world.merge(VOLUMES.at("", "v"), json!({"spec": {"claimRef": reference}})).await;
    world.settle().await;
    assert_eq!((of_claim(&world, "a"), of_volume(&world, "v")), ("Bound v".into(), "Bound a".into()));
}

#[tokio::test(start_paused = true)]
async fn volumes_are_asked_for_where_a_class_has_somebody_who_makes_them() {
    let world = world().await;
    class(&world, "made", "Immediate", "csi.example.com", Value::Null).await;
    class(&world, "none", "Immediate", "kubernetes.io/no-provisioner", Value::Null).await;
    claim(&world, "a", "1Gi", json!({"storageClassName": "made"})).await;
    let asked = world.get(&CLAIMS, "d", "a");
    assert_eq!(object::annotation(&asked, "volume.kubernetes.io/storage-provisioner"), Some("csi.example.com"));
    claim(&world, "b", "1Gi", json!({"storageClassName": "none"})).await;
    claim(&world, "c", "1Gi", json!({"storageClassName": "gone"})).await;
    let events = world.events();
    assert!(events[0].starts_with(
        "ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'csi.example.com'"
    ));
    assert_eq!(events[1], "ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner");
    assert_eq!(events[2], "ProvisioningFailed: storageclass.storage.k8s.io \"gone\" not found");
}

#[tokio::test(start_paused = true)]
async fn a_default_class_that_comes_later_is_given_to_who_waits() {
    let world = world().await;
    claim(&world, "a", "1Gi", Value::Null).await;
    claim(&world, "none", "1Gi", json!({"storageClassName": ""})).await;
    let default = json!({"storageclass.kubernetes.io/is-default-class": "true"});
    class(&world, "std", "Immediate", "csi.example.com", default).await;
    assert_eq!(world.get(&CLAIMS, "d", "a")["spec"]["storageClassName"], "std");
    assert_eq!(world.get(&CLAIMS, "d", "none")["spec"]["storageClassName"], "");
}
