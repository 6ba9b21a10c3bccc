//! What NodeRestriction lets a kubelet write.

use super::client::{Client, Target};
use super::fixture::{client_with, value};
use super::options::{DeleteOptions, WriteOptions};
use super::request::{Address, Caller};
use crate::auth::identity::{NODES, User};
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};

const MIRROR: &str = "kubernetes.io/config.mirror";

/// An administrator and the kubelet of `n1`, which has the pod `mine`; `theirs` is on `n2`.
async fn cluster() -> (Client, Client) {
    let admin = client_with(&["NodeRestriction"]).await;
    for name in ["n1", "n2"] {
        admin.create(Target::new("", "nodes", "", name), &json!({"metadata": {"name": name}})).await.expect("a node");
    }
    for (name, node) in [("mine", "n1"), ("theirs", "n2")] {
        admin.create(pod(name), &on(name, node)).await.expect("a pod");
    }
    admin.registry().fresh().await.expect("in the cache");
    let kubelet = Client::new(admin.registry(), kubelet(), "kubelet");
    (admin, kubelet)
}

fn kubelet() -> User {
    User::new("system:node:n1", &[NODES])
}

const fn pod(name: &str) -> Target<'_> {
    Target::new("", "pods", "default", name)
}

fn on(name: &str, node: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}})
}

fn why<T>(result: Result<T>) -> String {
    result.err().map_or("allowed".into(), |status: Status| status.message)
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_writes_its_own_node() {
    let (_, kubelet) = cluster().await;
    let node = |name| Target::new("", "nodes", "", name);
    let cases = [
        (node("n1"), json!({"metadata": {"labels": {"custom": "ok"}}}), "allowed"),
        (node("n1").part("status"), json!({"status": {"capacity": {"cpu": "1"}}}), "allowed"),
        (
            node("n2").part("status"),
            json!({"status": {}}),
            "nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\"",
        ),
        (
            node("n1"),
            json!({"metadata": {"labels": {"node-restriction.kubernetes.io/x": "y", "kubernetes.io/made-up": "y"}}}),
            "nodes \"n1\" is forbidden: is not allowed to modify labels: kubernetes.io/made-up, node-restriction.kubernetes.io/x",
        ),
        (
            node("n1"),
            json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}),
            "nodes \"n1\" is forbidden: node \"n1\" is not allowed to modify taints",
        ),
        (
            node("n1"),
            json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "u"}]}}),
            "nodes \"n1\" is forbidden: node \"n1\" is not allowed to modify ownerReferences",
        ),
    ];
    for (target, patch, expected) in cases {
        assert_eq!(why(kubelet.merge(target, &patch).await), expected, "{patch}");
    }
    let other = json!({"metadata": {"name": "n3"}});
    let refusal = "nodes \"n3\" is forbidden: node \"n1\" is not allowed to modify node \"n3\"";
    assert_eq!(why(kubelet.create(node("n3"), &other).await), refusal);
    assert_eq!(why(kubelet.create(node(""), &other).await), refusal, "as it is posted to the collection");
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_writes_the_status_of_its_pods_and_deletes_them() {
    let (_, kubelet) = cluster().await;
    let status = json!({"status": {"message": "m"}});
    assert_eq!(why(kubelet.merge(pod("mine").part("status"), &status).await), "allowed");
    assert_eq!(
        why(kubelet.merge(pod("theirs").part("status"), &status).await),
        "pods \"theirs\" is forbidden: node \"n1\" can only update pod status for pods with spec.nodeName set to itself"
    );
    let labels = json!({"metadata": {"labels": {"z": "z"}}});
    assert_eq!(
        why(kubelet.merge(pod("mine"), &labels).await),
        "pods \"mine\" is forbidden: unexpected operation \"UPDATE\", node \"n1\" can only create and delete mirror pods"
    );
    let claims = json!({"status": {"resourceClaimStatuses": [{"name": "x", "resourceClaimName": "y"}]}});
    assert_eq!(
        why(kubelet.merge(pod("mine").part("status"), &claims).await),
        "pods \"mine\" is forbidden: node \"n1\" cannot update resource claim statues"
    );
    assert_eq!(
        why(kubelet.merge(pod("mine").part("resize"), &json!({"spec": {}})).await),
        "pods \"mine\" is forbidden: unexpected pod subresource \"resize\", only 'status' and 'eviction' are allowed"
    );
    let options = DeleteOptions::default();
    assert_eq!(
        why(kubelet.delete(pod("theirs"), &options).await),
        "pods \"theirs\" is forbidden: node \"n1\" can only delete pods with spec.nodeName set to itself"
    );
    assert_eq!(why(kubelet.delete(pod("none"), &options).await), "pods \"none\" not found");
    assert_eq!(why(kubelet.delete(pod("mine"), &options).await), "allowed");
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_evicts_its_pods_only() {
    let (admin, _) = cluster().await;
    let resource =
        admin.registry().catalog.load().preferred(&crate::model::names::GroupResource::new("", "pods")).cloned();
    let resource = resource.expect("pods");
    let evict = async |name: &str| {
        let mut at = Address::new(&resource, "default", name);
        at.subresource = "eviction".into();
        let eviction = json!({"metadata": {"name": name}});
        let mut caller = Caller::new(kubelet(), "kubelet");
        why(admin.registry().evict(&mut caller, &at, &eviction, &DeleteOptions::default()).await)
    };
    assert_eq!(
        evict("theirs").await,
        "pods \"theirs\" is forbidden: node n1 can only evict pods with spec.nodeName set to itself"
    );
    assert_eq!(evict("none").await, "pod \"none\" not found");
    assert_eq!(evict("mine").await, "allowed");
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_mirrors_its_own_pods() {
    let (admin, kubelet) = cluster().await;
    let node = admin.get(Target::new("", "nodes", "", "n1")).await.expect("a node");
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": node.uid(), "controller": true});
    let mirror = |node: &str, owners: Value, volumes: Value| {
        let mut pod = on("mir", node);
        pod["metadata"]["annotations"] = json!({MIRROR: "x"});
        pod["metadata"]["ownerReferences"] = owners;
        pod["spec"]["volumes"] = volumes;
        pod
    };
    let changed = |field: &str, to: Value| {
        let mut owner = owner.clone();
        owner[field] = to;
        json!([owner])
    };
    let refused = |text: &str| format!("pods \"mir\" is forbidden: {text}");
    let secret = json!([{"name": "v", "csi": {"driver": "d"}}]);
    let cases = [
        (
            on("mir", "n1"),
            refused(&format!("pod does not have \"{MIRROR}\" annotation, node \"n1\" can only create mirror pods")),
        ),
        (
            mirror("n2", json!([owner]), json!([])),
            refused("node \"n1\" can only create pods with spec.nodeName set to itself"),
        ),
        (
            mirror("n1", json!([]), json!([])),
            refused("node \"n1\" can only create pods with an owner reference set to itself"),
        ),
        (
            mirror("n1", changed("name", "n2".into()), json!([])),
            refused("node \"n1\" can only create pods with an owner reference set to itself"),
        ),
        (
            mirror("n1", changed("controller", Value::Null), json!([])),
            refused("node \"n1\" can only create pods with a controller owner reference set to itself"),
        ),
        (
            mirror("n1", changed("blockOwnerDeletion", true.into()), json!([])),
            refused("node \"n1\" must not set blockOwnerDeletion on an owner reference"),
        ),
        (
            mirror("n1", changed("uid", "other".into()), json!([])),
            refused(&format!("node n1 UID mismatch: expected other got {}", node.uid())),
        ),
        (
            mirror("n1", json!([owner]), secret),
            refused("node \"n1\" can not create pods that reference csidrivers (via CSI volumes)"),
        ),
        (mirror("n1", json!([owner]), json!([])), "allowed".to_owned()),
    ];
    for (body, expected) in cases {
        assert_eq!(why(kubelet.create(pod("mir"), &body).await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_writes_what_has_its_name() {
    let (admin, kubelet) = cluster().await;
    let lease = |namespace| Target::new("coordination.k8s.io", "leases", namespace, "");
    let csi = Target::new("storage.k8s.io", "csinodes", "", "");
    admin
        .create(Target::new("", "namespaces", "", "kube-node-lease"), &json!({"metadata": {"name": "kube-node-lease"}}))
        .await
        .expect("made");
    let named = |name: &str| json!({"metadata": {"name": name}, "spec": {}});
    let drivers = |name: &str| json!({"metadata": {"name": name}, "spec": {"drivers": []}});
    let slice = |node: &str| {
        json!({"metadata": {"name": "s"}, "spec": {"nodeName": node, "driver": "d.example.com",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "devices": [{"name": "x"}]}})
    };
    let slices = Target::new("resource.k8s.io", "resourceslices", "", "");
    let at = |target: Target<'static>, name| Target { name, ..target };
    assert_eq!(why(kubelet.create(at(lease("kube-node-lease"), "n1"), &named("n1")).await), "allowed");
    assert_eq!(
        why(kubelet.create(at(lease("kube-node-lease"), "n2"), &named("n2")).await),
        "leases.coordination.k8s.io \"n2\" is forbidden: can only access node lease with the same name as the requesting node"
    );
    assert_eq!(
        why(kubelet.create(at(lease("default"), "n1"), &named("n1")).await),
        "leases.coordination.k8s.io \"n1\" is forbidden: can only access leases in the \"kube-node-lease\" system namespace"
    );
    assert_eq!(why(kubelet.create(at(csi, "n1"), &drivers("n1")).await), "allowed");
    assert_eq!(
        why(kubelet.create(at(csi, "n2"), &drivers("n2")).await),
        "csinodes.storage.k8s.io \"n2\" is forbidden: can only access CSINode with the same name as the requesting node"
    );
    assert_eq!(
        why(kubelet.create(at(slices, "s"), &slice("n2")).await),
        "resourceslices.resource.k8s.io \"s\" is forbidden: can only create ResourceSlice with the same NodeName as the requesting node"
    );
    admin.create(at(slices, "s"), &slice("n2")).await.expect("made");
    assert_eq!(
        why(kubelet.delete(at(slices, "s"), &DeleteOptions::default()).await),
        "resourceslices.resource.k8s.io \"s\" is forbidden: can only delete ResourceSlice with the same NodeName as the requesting node"
    );
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_changes_the_size_of_a_claim_and_no_more() {
    let (admin, kubelet) = cluster().await;
    let claim = Target::new("", "persistentvolumeclaims", "default", "data");
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    admin.create(claim, &json!({"metadata": {"name": "data"}, "spec": spec})).await.expect("a claim");
    let grown = json!({"status": {"capacity": {"storage": "2Gi"}}});
    assert_eq!(why(kubelet.merge(claim.part("status"), &grown).await), "allowed");
    let lost = why(kubelet.merge(claim.part("status"), &json!({"status": {"phase": "Lost"}})).await);
    let start = "persistentvolumeclaims \"data\" is forbidden: node \"n1\" is not allowed to update fields other than \
                 status.quantity and status.conditions: ";
    assert!(lost.starts_with(start) && lost.contains("+") && lost.contains("Lost"), "{lost}");
    assert_eq!(
        why(kubelet.merge(claim, &json!({"metadata": {"labels": {"a": "b"}}})).await),
        "persistentvolumeclaims \"data\" is forbidden: may only update PVC status"
    );
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_gets_tokens_for_its_pods() {
    let (admin, _) = cluster().await;
    let uid = async |name| admin.get(pod(name)).await.expect("a pod").uid().into_owned();
    let (mine, theirs) = (uid("mine").await, uid("theirs").await);
    let resource = admin
        .registry()
        .catalog
        .load()
        .preferred(&crate::model::names::GroupResource::new("", "serviceaccounts"))
        .cloned();
    let resource = resource.expect("service accounts");
    let ask = async |kind: &str, name: &str, uid: &str, audiences: &[&str]| {
        let mut at = Address::new(&resource, "default", "default");
        at.subresource = "token".into();
        let bound = json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid});
        let mut request = json!({"spec": {"boundObjectRef": bound, "audiences": audiences}});
        let mut caller = Caller::new(kubelet(), "kubelet");
        let asked = admin.registry().admit_posted(&mut caller, &at, &mut request, &WriteOptions::default()).await;
        why(asked).replace("serviceaccounts \"default\" is forbidden: ", "")
    };
    assert_eq!(ask("Pod", "mine", &mine, &[]).await, "allowed");
    assert_eq!(ask("Secret", "mine", &mine, &[]).await, "node requested token not bound to a pod");
    assert_eq!(ask("Pod", "mine", "", &[]).await, "node requested token with a pod binding without a uid");
    assert_eq!(
        ask("Pod", "theirs", &theirs, &[]).await,
        "node requested token bound to a pod scheduled on a different node"
    );
    assert!(ask("Pod", "mine", &theirs, &[]).await.starts_with("the UID in the bound object reference ("));
    assert_eq!(ask("Pod", "none", &mine, &[]).await, "pod \"none\" not found");
    assert_eq!(ask("Pod", "mine", &mine, &["a", "b"]).await, "node may only request 0 or 1 audiences");
    let shown = value(admin.registry(), "", "pods", &admin.get(pod("mine")).await.expect("a pod"));
    assert!(shown["spec"]["volumes"][0]["projected"].is_object(), "its token is for the server's own audience");
}
