//! Writes as the default admission plugins let them through, change them or refuse them.

use super::client::{Client, Target};
use super::fixture::{admitted_client, value};
use super::options::DeleteOptions;
use crate::model::status::Status;
use crate::model::value::{Value, json};

const POD: Target = Target::new("", "pods", "default", "p");

/// A pod of one container.
fn pod(spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    for (field, value) in spec.as_object().expect("fields") {
        pod["spec"][field] = value.clone();
    }
    pod
}

/// Creates an object of the group's resource and shows it.
async fn made(client: &Client, target: Target<'_>, body: &Value) -> Result<Value, Status> {
    let written = client.create(target, body).await?;
    Ok(value(client.registry(), target.group, target.resource, &written.object))
}

/// Creates what later writes are to be judged by.
async fn given(client: &Client, target: Target<'_>, body: &Value) {
    client.create(target, body).await.expect("created");
    client.registry().fresh().await.expect("in the cache");
}

async fn refused(client: &Client, target: Target<'_>, body: &Value) -> (u16, String) {
    let status = client.create(target, body).await.expect_err("refused");
    (status.code, status.message)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_where_no_namespace_is() {
    let client = admitted_client().await;
    let map = json!({"metadata": {"name": "a"}});
    let nowhere = Target::new("", "configmaps", "none-such", "a");
    assert_eq!(refused(&client, nowhere, &map).await, (404, "namespaces \"none-such\" not found".into()));

    let immortal = Target::new("", "namespaces", "", "default");
    let kept = client.delete(immortal, &DeleteOptions::default()).await.expect_err("immortal");
    assert_eq!(kept.message, "namespaces \"default\" is forbidden: this namespace may not be deleted");

    let namespace = Target::new("", "namespaces", "", "n");
    client.create(namespace, &json!({"metadata": {"name": "n"}})).await.expect("created");
    let inside = Target { namespace: "n", ..nowhere };
    client.create(inside, &map).await.expect("created");
    client.delete(namespace, &DeleteOptions::default()).await.expect("begun");
    let late = client.create(Target { name: "b", ..inside }, &json!({"metadata": {"name": "b"}})).await;
    let late = late.expect_err("terminating");
    assert_eq!(
        late.message,
        "configmaps \"b\" is forbidden: unable to create new content in namespace n because it is being terminated"
    );
    let cause = &late.details.as_ref().expect("details").causes[0];
    assert_eq!((&*cause.reason, cause.field.as_str()), ("NamespaceTerminating", "metadata.namespace"));
    client.merge(inside, &json!({"data": {"x": "1"}})).await.expect("what is there may still change");
}

#[tokio::test(start_paused = true)]
async fn a_pod_gets_an_account_a_token_tolerations_and_a_priority() {
    let client = admitted_client().await;
    let made = made(&client, POD, &pod(json!({}))).await.expect("created");
    let spec = &made["spec"];
    let volume = spec["volumes"][0]["name"].as_str().expect("a volume");
    assert!(volume.starts_with("kube-api-access-") && volume.len() == 21, "{volume}");
    assert_eq!(spec["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"], 3607);
    assert_eq!(
        spec["containers"][0]["volumeMounts"],
        json!([{"name": volume, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}])
    );
    assert_eq!((&spec["serviceAccountName"], &spec["priority"]), (&json!("default"), &json!(0)));
    assert_eq!(spec["preemptionPolicy"], "PreemptLowerPriority");
    assert_eq!(spec["tolerations"][1]["key"], "node.kubernetes.io/unreachable");
    client.merge(POD, &json!({"metadata": {"labels": {"a": "b"}}})).await.expect("an update changes none of it");
}

#[tokio::test(start_paused = true)]
async fn accounts_decide_what_pods_may_mount() {
    let client = admitted_client().await;
    let strict = json!({"metadata": {"name": "strict", "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}},
        "secrets": [{"name": "own"}], "automountServiceAccountToken": false, "imagePullSecrets": [{"name": "pull"}]});
    given(&client, Target::new("", "serviceaccounts", "default", "strict"), &strict).await;
    let with = |name: &str| {
        let volumes = json!([{"name": "v", "secret": {"secretName": name}}]);
        pod(json!({"serviceAccountName": "strict", "volumes": volumes}))
    };
    assert_eq!(
        refused(&client, POD, &with("other")).await.1,
        "pods \"p\" is forbidden: volume with secret.secretName=\"other\" is not allowed because service account strict does not reference that secret"
    );
    let made = made(&client, POD, &with("own")).await.expect("created");
    assert_eq!(made["spec"]["volumes"].as_array().map(Vec::len), Some(1), "no token");
    assert_eq!(made["spec"]["imagePullSecrets"], json!([{"name": "pull"}]));
    let missing = pod(json!({"serviceAccountName": "none"}));
    assert_eq!(
        refused(&client, POD, &missing).await.1,
        "pods \"p\" is forbidden: error looking up service account default/none: serviceaccount \"none\" not found"
    );
}

#[tokio::test(start_paused = true)]
async fn priorities_come_from_classes() {
    let client = admitted_client().await;
    let class = |name| Target::new("scheduling.k8s.io", "priorityclasses", "", name);
    let high = json!({"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never", "globalDefault": true});
    given(&client, class("high"), &high).await;
    let second = json!({"metadata": {"name": "low"}, "value": 1, "globalDefault": true});
    assert_eq!(
        refused(&client, class("low"), &second).await.1,
        "priorityclasses.scheduling.k8s.io \"low\" is forbidden: PriorityClass high is already marked as default. Only one default can exist"
    );
    assert_eq!(
        refused(&client, POD, &pod(json!({"priority": 5}))).await.1,
        "pods \"p\" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name"
    );
    let made = made(&client, POD, &pod(json!({}))).await.expect("created");
    let spec = &made["spec"];
    assert_eq!(
        (&spec["priorityClassName"], &spec["priority"], &spec["preemptionPolicy"]),
        (&json!("high"), &json!(1000), &json!("Never"))
    );
}

#[tokio::test(start_paused = true)]
async fn limit_ranges_fill_and_bound_containers() {
    let client = admitted_client().await;
    let range = json!({"metadata": {"name": "lr"}, "spec": {"limits": [
        {"type": "Container", "default": {"cpu": "500m"}, "max": {"cpu": "2"}, "min": {"cpu": "50m"},
            "maxLimitRequestRatio": {"cpu": "4"}},
        {"type": "Pod", "max": {"cpu": "3"}}]}});
    given(&client, Target::new("", "limitranges", "default", "lr"), &range).await;
    let asking = |request: &str, limit: &str| {
        let resources = json!({"requests": {"cpu": request}, "limits": {"cpu": limit}});
        pod(json!({"containers": [{"name": "c", "image": "i", "resources": resources}]}))
    };
    let cases = [
        ("1", "3", "maximum cpu usage per Container is 2, but limit is 3"),
        ("10m", "20m", "minimum cpu usage per Container is 50m, but request is 10m"),
        ("100m", "1", "cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000"),
    ];
    for (request, limit, why) in cases {
        let message = refused(&client, POD, &asking(request, limit)).await.1;
        assert!(message.contains(why), "{message}");
    }
    let made = made(&client, POD, &pod(json!({}))).await.expect("created");
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}})
    );
    assert_eq!(
        made["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    );
}

#[tokio::test(start_paused = true)]
async fn a_runtime_class_brings_its_overhead_and_nodes() {
    let client = admitted_client().await;
    let class = json!({"metadata": {"name": "rc"}, "handler": "h", "overhead": {"podFixed": {"cpu": "250m"}},
        "scheduling": {"nodeSelector": {"rt": "x"}, "tolerations": [{"key": "rt", "operator": "Exists"}]}});
    given(&client, Target::new("node.k8s.io", "runtimeclasses", "", "rc"), &class).await;
    let bad = pod(json!({"runtimeClassName": "rc", "nodeSelector": {"rt": "y"}}));
    assert_eq!(
        refused(&client, POD, &bad).await.1,
        "pods \"p\" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[rt] = x; pod.spec.nodeSelector[rt] = y"
    );
    let lonely = pod(json!({"overhead": {"cpu": "1"}}));
    assert!(refused(&client, POD, &lonely).await.1.contains("without corresponding RuntimeClass"));
    let made = made(&client, POD, &pod(json!({"runtimeClassName": "rc", "nodeSelector": {"z": "1"}}))).await;
    let spec = &made.expect("created")["spec"];
    assert_eq!(spec["overhead"], json!({"cpu": "250m"}));
    assert_eq!(spec["nodeSelector"], json!({"z": "1", "rt": "x"}));
    assert_eq!(spec["tolerations"].as_array().map(Vec::len), Some(3));
}

#[tokio::test(start_paused = true)]
async fn claims_get_the_newest_default_class_and_are_protected() {
    let client = admitted_client().await;
    for (name, seconds) in [("old", 0), ("new", 10)] {
        tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
        let class = json!({"metadata": {"name": name,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p"});
        given(&client, Target::new("storage.k8s.io", "storageclasses", "", name), &class).await;
    }
    let claim = Target::new("", "persistentvolumeclaims", "default", "c");
    let body = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}});
    let made = made(&client, claim, &body).await.expect("created");
    assert_eq!(made["spec"]["storageClassName"], "new");
    assert_eq!(made["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
    let bound = json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
    client.merge(claim.part("status"), &bound).await.expect("bound");
    let grow = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
    assert_eq!(
        client.merge(claim, &grow).await.expect_err("refused").message,
        "persistentvolumeclaims \"c\" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_node_is_not_ready() {
    let client = admitted_client().await;
    let node = Target::new("", "nodes", "", "n");
    let made = made(&client, node, &json!({"metadata": {"name": "n"}})).await.expect("created");
    assert_eq!(made["spec"]["taints"], json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]));
}

#[tokio::test(start_paused = true)]
async fn quotas_are_charged_before_anything_is_made() {
    let client = admitted_client().await;
    let quota = Target::new("", "resourcequotas", "default", "q");
    let hard = json!({"configmaps": "1", "services": "1", "services.nodeports": "0", "requests.cpu": "1"});
    given(&client, quota, &json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})).await;
    let map = |name| Target::new("", "configmaps", "default", name);
    let body = |name: &str| json!({"metadata": {"name": name}});
    client.create(map("early"), &body("early")).await.expect("a quota without a status counts nothing");

    let none = json!({"configmaps": "0", "services": "0", "services.nodeports": "0", "requests.cpu": "0"});
    client.merge(quota.part("status"), &json!({"status": {"hard": hard, "used": none}})).await.expect("counted");
    client.create(map("a"), &body("a")).await.expect("within the quota");
    assert_eq!(
        refused(&client, map("b"), &body("b")).await,
        (403, "configmaps \"b\" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1".into())
    );
    assert_eq!(
        refused(&client, POD, &pod(json!({}))).await.1,
        "pods \"p\" is forbidden: failed quota: q: must specify requests.cpu for: c"
    );
    let service = Target::new("", "services", "default", "s");
    client.create(service, &json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 1}]}})).await.expect("one");
    let exposed = client.merge(service, &json!({"spec": {"type": "NodePort"}})).await.expect_err("too much");
    assert_eq!(
        exposed.message,
        "services \"s\" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0"
    );
    client.registry().fresh().await.expect("in the cache");
    let name = crate::model::names::GroupResource::new("", "resourcequotas");
    let kept = client.registry().cache.get(&name, "default", "q").expect("a shelf").expect("there");
    let kept = value(client.registry(), "", "resourcequotas", &kept);
    let used = json!({"configmaps": "1", "services": "1", "services.nodeports": "0", "requests.cpu": "0"});
    assert_eq!(kept["status"]["used"], used);
}

#[tokio::test(start_paused = true)]
async fn a_pod_learns_where_its_node_is() {
    let client = admitted_client().await;
    let labels = json!({"topology.kubernetes.io/zone": "z1", "topology.kubernetes.io/region": "r1", "disk": "ssd"});
    let node = json!({"metadata": {"name": "n1", "labels": labels}});
    given(&client, Target::new("", "nodes", "", "n1"), &node).await;
    let waiting = made(&client, POD, &pod(json!({}))).await.expect("created");
    assert_eq!(waiting["metadata"]["labels"], Value::Null, "it has no node yet");
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    let bound = client.bind("default", "p", &binding).await.expect("bound");
    let shown = value(client.registry(), "", "pods", &bound.object);
    let known = json!({"topology.kubernetes.io/region": "r1", "topology.kubernetes.io/zone": "z1"});
    assert_eq!(shown["metadata"]["labels"], known);

    let mut placed = pod(json!({"nodeName": "n1"}));
    placed["metadata"] = json!({"name": "q", "labels": {"topology.kubernetes.io/zone": "elsewhere"}});
    let placed = made(&client, Target { name: "q", ..POD }, &placed).await.expect("created");
    assert_eq!(placed["metadata"]["labels"], known, "what the pod says itself does not count");
    let mut lost = pod(json!({"nodeName": "none-such"}));
    lost["metadata"]["name"] = "r".into();
    let lost = made(&client, Target { name: "r", ..POD }, &lost).await.expect("created");
    assert_eq!(lost["metadata"]["labels"], Value::Null);
}
