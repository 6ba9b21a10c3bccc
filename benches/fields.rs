//! What a write costs in field ownership: a kubelet's status update, an apply, the three patches.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use monokube::codec::json::{dense, write};
use monokube::codec::protobuf::encode;
use monokube::fields::patch::{self, Validation};
use monokube::fields::set::Set;
use monokube::fields::update::{Context, Converted, update};
use monokube::fields::written::Fresh;
use monokube::fields::{apply, managed};
use monokube::model::names::GroupVersionKind;
use monokube::model::time::Time;
use monokube::model::value::{Value, json};
use monokube::schema::resource::Shape;
use monokube::schema::table::message;

/// A pod of a Deployment as three managers have made it: its controller, a labeller and its kubelet.
struct World {
    shape: Shape,
    kind: GroupVersionKind,
    whole: Set,
    status: Set,
    fresh: Fresh,
}

impl World {
    fn new(kind: &str, group: &str, name: &str) -> Self {
        Self {
            shape: Shape::Builtin(message(name).expect("a message")),
            kind: GroupVersionKind::new(group, "v1", kind),
            whole: Set::of_fields([&["status"][..]]),
            status: Set::of_fields([&["spec"][..], &["metadata", "ownerReferences"]]),
            fresh: Fresh::default(),
        }
    }

    fn cx<'a>(&'a self, manager: &'a str, subresource: &'a str, second: i64) -> Context<'a> {
        Context {
            shape: &self.shape,
            kind: &self.kind,
            manager,
            subresource,
            now: Time { seconds: 1_700_000_000 + second, nanos: 0 },
            reset: if subresource.is_empty() { &self.whole } else { &self.status },
            convert: &|_, _, _| Ok::<Option<Converted>, String>(None),
            fresh: &self.fresh,
        }
    }

    fn written(&self, live: Option<&Value>, mut new: Value, manager: &str, subresource: &str, second: i64) -> Value {
        update(live, &mut new, &self.cx(manager, subresource, second));
        new
    }
}

fn container(name: &str) -> Value {
    json!({
        "name": name, "image": "registry.example.com/team/app:v1.2.3", "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}, {"name": "token", "mountPath": "/var/run/x"}],
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    })
}

fn pod() -> Value {
    json!({
        "metadata": {
            "name": "app-5d4f8c7b9-abcde", "generateName": "app-5d4f8c7b9-", "namespace": "default",
            "uid": "11111111-2222-3333-4444-555555555555", "resourceVersion": "12345",
            "creationTimestamp": "2024-01-01T00:00:00Z", "labels": {"app": "app", "pod-template-hash": "5d4f8c7b9"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app-5d4f8c7b9",
                "uid": "22222222-2222-3333-4444-555555555555", "controller": true, "blockOwnerDeletion": true}],
        },
        "spec": {
            "containers": [container("app"), container("sidecar")], "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": "default",
            "nodeName": "node-1", "securityContext": {}, "schedulerName": "default-scheduler",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
            "volumes": [{"name": "config", "configMap": {"name": "app", "defaultMode": 420}},
                {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}], "defaultMode": 420}}],
            "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority", "priority": 0,
        },
    })
}

fn status(ready: &str, time: &str) -> Value {
    let types = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let conditions: Value = types
        .iter()
        .map(|ty| json!({"type": ty, "status": if ty.contains("Ready") { ready } else { "True" }, "lastTransitionTime": time}))
        .collect();
    json!({
        "phase": "Running", "conditions": conditions, "hostIP": "192.0.2.1", "podIP": "10.0.0.7",
        "podIPs": [{"ip": "10.0.0.7"}], "hostIPs": [{"ip": "192.0.2.1"}], "startTime": time, "qosClass": "Burstable",
        "containerStatuses": [{"name": "app", "ready": true, "restartCount": 0, "image": "x", "imageID": "y"},
            {"name": "sidecar", "ready": true, "restartCount": 0, "image": "x", "imageID": "y"}],
    })
}

fn ownership(c: &mut Criterion) {
    let world = World::new("Pod", "", "k8s.io.api.core.v1.Pod");
    let made = world.written(None, pod(), "kube-controller-manager", "", 0);
    let mut labelled = made.clone();
    labelled["metadata"]["labels"]["team"] = "a".into();
    let labelled = world.written(Some(&made), labelled, "labeller", "", 1);
    let mut running = labelled.clone();
    running["status"] = status("False", "2024-01-01T00:00:01Z");
    let running = world.written(Some(&labelled), running, "kubelet", "status", 2);
    assert_eq!(managed::list(&running).and_then(Value::as_array).map(Vec::len), Some(3));
    let mut ready = running.clone();
    ready["status"] = status("True", "2024-01-01T00:00:02Z");

    c.bench_function("pod status update, 3 managers", |b| {
        let cx = world.cx("kubelet", "status", 3);
        b.iter_batched(
            || ready.clone(),
            |mut new| {
                update(Some(&running), &mut new, &cx);
                new
            },
            BatchSize::SmallInput,
        );
    });
    c.bench_function("pod create", |b| {
        let cx = world.cx("kube-controller-manager", "", 0);
        b.iter_batched(
            pod,
            |mut new| {
                update(None, &mut new, &cx);
                new
            },
            BatchSize::SmallInput,
        );
    });
}

fn applies(c: &mut Criterion) {
    let world = World::new("Deployment", "apps", "k8s.io.api.apps.v1.Deployment");
    let mut template = pod();
    template["metadata"] = json!({"labels": {"app": "app"}});
    template["spec"]["nodeName"] = Value::Null;
    let body = |replicas: i64| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"app": "app"}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "app"}}, "template": template},
        })
    };
    let made = apply::apply(None, &body(1), &world.cx("me", "", 0), false).expect("applies");
    let next = body(2);
    c.bench_function("deployment apply", |b| {
        let cx = world.cx("me", "", 1);
        b.iter(|| black_box(apply::apply(Some(&made), &next, &cx, false)));
    });
}

fn patches(c: &mut Criterion) {
    let message = message("k8s.io.api.core.v1.Pod").expect("Pod");
    let pod = pod();
    let bytes = encode::encode(&pod, message).expect("a checked object");
    let mut text = Vec::new();
    write::object(&mut text, &bytes, message, "v1", "Pod").expect("well-formed");
    let merge = br#"{"metadata":{"labels":{"x":"y"}},"spec":{"activeDeadlineSeconds":5}}"#;
    let json = br#"[{"op":"replace","path":"/metadata/labels/app","value":"b"},{"op":"add","path":"/spec/tolerations/-","value":{}}]"#;
    c.bench_function("pod merge patch", |b| b.iter(|| black_box(patch::merge::apply(&text, merge, Validation::Warn))));
    c.bench_function("pod json patch", |b| b.iter(|| black_box(patch::json::apply(&text, json, Validation::Warn))));
    c.bench_function("pod strategic merge patch", |b| {
        b.iter(|| black_box(patch::strategic::apply(&pod, merge, message, Validation::Warn)));
    });
    c.bench_function("pod in full", |b| b.iter(|| black_box(dense::expand(&pod, message))));
}

criterion_group!(benches, ownership, applies, patches);
criterion_main!(benches);
