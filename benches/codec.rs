//! What answers cost: a pod of five kilobytes, alone and in a list of a thousand, in each form.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use monokube::codec::answer::list::ListMeta;
use monokube::codec::answer::subject::{Include, Style, Subject};
use monokube::codec::answer::watch::Event;
use monokube::codec::json::{decode, write};
use monokube::codec::negotiate::Media;
use monokube::codec::negotiate::accept::{Asked, MetaVersion, Offer, Representation, Shown};
use monokube::codec::protobuf::encode;
use monokube::codec::yaml;
use monokube::model::time::Time;
use monokube::model::value::{Value, json};
use monokube::schema::catalog::Catalog;
use monokube::schema::table::{API_CORE_V1_POD, Message};

const POD: &Message = &API_CORE_V1_POD;
const PODS: usize = 1000;

fn metadata() -> Value {
    json!({
        "name": "web-7d4b9c6f5d-x2x9k", "generateName": "web-7d4b9c6f5d-", "namespace": "production",
        "uid": "6f0d8a8e-1111-2222-3333-444455556666", "resourceVersion": "1234567", "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "web", "pod-template-hash": "7d4b9c6f5d", "tier": "frontend"},
        "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c6f5d",
            "uid": "7f0d8a8e-1111-2222-3333-444455556666", "controller": true, "blockOwnerDeletion": true}],
        "managedFields": [{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {
                "f:metadata": {"f:generateName": {}, "f:labels": {".": {}, "f:app": {}, "f:pod-template-hash": {}},
                    "f:ownerReferences": {".": {}, "k:{\"uid\":\"7f0d8a8e-1111-2222-3333-444455556666\"}": {}}},
                "f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:image": {}, "f:name": {}, "f:args": {}}},
                    "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}}}}]
    })
}

/// A pod as a Deployment makes it and a kubelet reports it.
fn pod() -> Value {
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("registry.example.com/team/{name}:v1.27.3"), "imagePullPolicy": "IfNotPresent",
            "args": ["--log-level=info", "--listen=:8080", "--config=/etc/config/app.yaml"],
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "env": [
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
                {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}},
                {"name": "DATABASE", "value": "postgres://db.example.svc:5432/app?sslmode=require"}
            ],
            "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "volumeMounts": [
                {"name": "config", "mountPath": "/etc/config"},
                {"name": "kube-api-access-x2x9k", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
            ],
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"}, "timeoutSeconds": 1,
                "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "securityContext": {"runAsNonRoot": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}
        })
    };
    let status = |name: &str| {
        json!({
            "name": name, "state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}, "lastState": {}, "ready": true,
            "restartCount": 0, "image": format!("registry.example.com/team/{name}:v1.27.3"),
            "imageID": format!("registry.example.com/team/{name}@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
            "containerID": "containerd://0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "started": true
        })
    };
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"});
    let conditions =
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": metadata(),
        "spec": {
            "volumes": [
                {"name": "config", "configMap": {"name": "web-config", "defaultMode": 420}},
                {"name": "kube-api-access-x2x9k", "projected": {"defaultMode": 420, "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}
            ],
            "containers": [container("app"), container("sidecar")],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "web", "serviceAccount": "web", "nodeName": "node-17.example.com", "securityContext": {},
            "schedulerName": "default-scheduler", "priority": 0, "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority",
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            ]
        },
        "status": {
            "phase": "Running", "hostIP": "10.0.0.17", "podIP": "10.244.3.21", "podIPs": [{"ip": "10.244.3.21"}],
            "startTime": "2026-01-01T00:00:01Z", "qosClass": "Burstable",
            "conditions": conditions,
            "containerStatuses": [status("app"), status("sidecar")]
        }
    })
}

fn subject() -> Subject {
    Subject::builtin(Catalog::builtin().find("", "v1", "pods").expect("pods"), POD)
}

fn style(media: Media, view: Shown) -> Style {
    let now = Time::parse("2026-01-02T00:00:00Z").expect("a time");
    Style { representation: Representation { media, pretty: false, view }, include: Include::Metadata, now }
}

fn one(c: &mut Criterion) {
    let text = pod().to_string();
    let value = decode::decode(text.as_bytes(), POD).expect("a pod").value;
    let raw = encode::encode(&value, POD).expect("encodes");
    let mut json = Vec::new();
    write::object(&mut json, &raw, POD, "v1", "Pod").expect("writes");
    println!("a pod: {} bytes of JSON, {} of protobuf", json.len(), raw.len());
    let mut group = c.benchmark_group("pod");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("decode json", |b| b.iter(|| decode::decode(black_box(text.as_bytes()), POD)));
    group.throughput(Throughput::Bytes(raw.len() as u64));
    group.bench_function("encode protobuf", |b| b.iter(|| encode::encode(black_box(&value), POD)));
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("transcode", |b| {
        let mut out = Vec::with_capacity(16 << 10);
        b.iter(|| {
            out.clear();
            write::object(&mut out, black_box(&raw), POD, "v1", "Pod")
        });
    });
    let subject = subject();
    group.bench_function("event json", |b| {
        b.iter(|| subject.event(Event::Modified, black_box(&raw), style(Media::Json, Shown::Whole), false));
    });
    let yaml = subject.object(&raw, style(Media::Yaml, Shown::Whole)).expect("YAML");
    group.throughput(Throughput::Bytes(yaml.len() as u64));
    group
        .bench_function("print yaml", |b| b.iter(|| subject.object(black_box(&raw), style(Media::Yaml, Shown::Whole))));
    group.bench_function("read yaml", |b| b.iter(|| yaml::read::read(black_box(&yaml))));
    group.finish();
}

fn lists(c: &mut Criterion) {
    let value = decode::decode(pod().to_string().as_bytes(), POD).expect("a pod").value;
    let raw: Bytes = encode::encode(&value, POD).expect("encodes").into();
    let subject = subject();
    let mut group = c.benchmark_group("list");
    for (name, style) in [
        ("json", style(Media::Json, Shown::Whole)),
        ("protobuf", style(Media::Protobuf, Shown::Whole)),
        ("metadata json", style(Media::Json, Shown::MetadataList(MetaVersion::V1))),
        ("metadata protobuf", style(Media::Protobuf, Shown::MetadataList(MetaVersion::V1))),
        ("table", style(Media::Json, Shown::Table(MetaVersion::V1))),
        (
            "table without objects",
            Style { include: Include::None, ..style(Media::Json, Shown::Table(MetaVersion::V1)) },
        ),
        ("yaml", style(Media::Yaml, Shown::Whole)),
    ] {
        let write = || {
            let items = vec![raw.clone(); PODS];
            subject
                .clone()
                .list(items, ListMeta::default(), style)
                .map(|chunk| chunk.expect("a chunk").len())
                .sum::<usize>()
        };
        group.throughput(Throughput::Bytes(write() as u64));
        group.sample_size(20);
        group.bench_function(name, |b| b.iter(write));
    }
    group.finish();
}

fn headers(c: &mut Criterion) {
    let offer = Offer { table: true, watch: true, ..Offer::default() };
    let mut group = c.benchmark_group("accept");
    for (name, accept) in [
        ("client-go", "application/vnd.kubernetes.protobuf,application/json"),
        (
            "kubectl get",
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
        ),
    ] {
        group
            .bench_function(name, |b| b.iter(|| offer.choose(Asked { accept: black_box(accept), ..Asked::default() })));
    }
    group.finish();
}

criterion_group!(benches, one, lists, headers);
criterion_main!(benches);
