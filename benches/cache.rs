//! How fast the cache loads, applies and fans out, and what an object costs to keep.
//!
//! `cargo bench --bench cache`; the bytes are printed first, as the growth of the process's resident memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use criterion::{Criterion, Throughput};
use monokube::base::clock::Clock;
use monokube::base::tasks::Tasks;
use monokube::cache::handle::{Cache, Options};
use monokube::cache::index::POD_NODE;
use monokube::cache::limits::Limits;
use monokube::cache::watcher::{Filter, Next, Predicate, Start};
use monokube::codec::protobuf::encode::encode;
use monokube::codec::protobuf::envelope::wrap;
use monokube::model::names::{GroupResource, GroupVersionKind};
use monokube::model::revision::Revision;
use monokube::model::value::{Value, json};
use monokube::schema::catalog::Catalog;
use monokube::schema::table::message;
use monokube::store::contract::{Changed, Commit, Entry, Load, Outcome, Store, StoreError, WatchItem};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PODS: usize = 50_000;
const NODES: usize = 5_000;
const WATCHERS: usize = 1_000;

/// A store that has these values, and one watch that the benchmark feeds.
struct Fixed {
    entries: Arc<Vec<(String, Bytes)>>,
    watch: Mutex<Option<mpsc::Sender<WatchItem>>>,
}

impl Fixed {
    fn new(entries: Vec<(String, Bytes)>) -> Arc<Self> {
        // A first clone of such bytes allocates: not to be counted to the cache.
        drop(entries.clone());
        Arc::new(Self { entries: Arc::new(entries), watch: Mutex::default() })
    }

    fn revision(&self) -> Revision {
        Revision(self.entries.len() as u64 + 1)
    }

    async fn watched(&self) -> mpsc::Sender<WatchItem> {
        loop {
            if let Some(watch) = self.watch.lock().expect("not poisoned").clone() {
                return watch;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Store for Fixed {
    async fn load(&self, _: &str) -> Result<Load, StoreError> {
        let (send, chunks) = mpsc::channel(4);
        let entries = self.entries.clone();
        tokio::spawn(async move {
            for (part, chunk) in entries.chunks(500).enumerate() {
                let entry = |(at, (key, value)): (usize, &(String, Bytes))| Entry {
                    key: key.clone(),
                    value: value.clone(),
                    revision: Revision((part * 500 + at) as u64 + 1),
                };
                if send.send(Ok(chunk.iter().enumerate().map(entry).collect())).await.is_err() {
                    return;
                }
            }
        });
        Ok(Load { revision: self.revision(), chunks })
    }

    async fn watch(&self, _: Revision) -> Result<mpsc::Receiver<WatchItem>, StoreError> {
        let (send, items) = mpsc::channel(1024);
        *self.watch.lock().expect("not poisoned") = Some(send);
        Ok(items)
    }

    async fn get(&self, _: &str) -> Result<Option<Entry>, StoreError> {
        unreachable!("not read")
    }

    async fn commit(&self, _: Commit) -> Result<Outcome, StoreError> {
        unreachable!("not written")
    }

    async fn current(&self) -> Result<Revision, StoreError> {
        Ok(self.revision())
    }

    async fn compact(&self, _: Revision) -> Result<(), StoreError> {
        unreachable!("not compacted")
    }

    async fn advance(&self, _: Revision) -> Result<Revision, StoreError> {
        unreachable!("not moved")
    }

    async fn size(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}

fn no_convert(_: Value, _: &GroupVersionKind, _: &GroupVersionKind) -> Result<Value, String> {
    Err("not here".into())
}

fn options() -> Options {
    Options {
        prefix: "/registry/".into(),
        storages: Catalog::builtin().storages(),
        convert: Arc::new(no_convert),
        limits: Limits::default(),
        clock: Clock::machine(),
    }
}

fn pods() -> GroupResource {
    GroupResource::new("", "pods")
}

fn pod_key(number: usize) -> String {
    format!("/registry/pods/namespace-{:03}/web-7d9c6b5f4d-{number:06}", number * 500 / PODS)
}

/// A pod of about 3 KB, as the kubelet leaves it.
fn pod(number: usize, round: usize) -> Bytes {
    let time = "2026-01-01T00:00:00Z";
    let uid = format!("00000000-0000-4000-8000-{number:012}");
    let env: Vec<_> =
        (0..8).map(|n| json!({"name": format!("SETTING_{n}"), "value": format!("value-{number}-{n}")})).collect();
    let conditions: Vec<_> = ["Initialized", "Ready", "ContainersReady", "PodScheduled", "PodReadyToStartContainers"]
        .iter()
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": time, "observedGeneration": 1}))
        .collect();
    let fields = "f:metadata f:labels f:app f:spec f:containers f:env f:image f:name f:ports ".repeat(9);
    let pod = json!({
        "metadata": {
            "name": format!("web-7d9c6b5f4d-{number:06}"), "namespace": format!("namespace-{:03}", number * 500 / PODS),
            "generateName": "web-7d9c6b5f4d-", "uid": uid, "creationTimestamp": time, "generation": 1,
            "labels": {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": format!("web-{}", number / 10),
                "pod-template-hash": "7d9c6b5f4d", "round": round.to_string()},
            "annotations": {"checksum/config": "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9c6b5f4d",
                "uid": format!("00000000-0000-4000-9000-{:012}", number / 10), "controller": true}],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": time,
                "fieldsType": "FieldsV1", "fieldsV1": {"f:x": fields}, "subresource": "status"}],
        },
        "spec": {
            "nodeName": format!("node-{:04}", number % NODES), "serviceAccountName": "default",
            "restartPolicy": "Always", "schedulerName": "default-scheduler", "dnsPolicy": "ClusterFirst",
            "containers": [{"name": "web", "image": "registry.example.com/shop/web:1.2.3", "env": env,
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10},
                "volumeMounts": [{"name": "kube-api-access-abcde", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]}],
            "volumes": [{"name": "kube-api-access-abcde", "projected": {"sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
        },
        "status": {
            "phase": "Running", "podIP": "10.1.2.3", "hostIP": "192.168.1.2", "startTime": time, "qosClass": "Burstable",
            "conditions": conditions,
            "containerStatuses": [{"name": "web", "ready": true, "started": true, "image": "registry.example.com/shop/web:1.2.3",
                "imageID": "registry.example.com/shop/web@sha256:5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
                "containerID": "containerd://5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
                "state": {"running": {"startedAt": time}}}],
        },
    });
    wrap("v1", "Pod", &encode(&pod, message("k8s.io.api.core.v1.Pod").expect("Pod")).expect("a pod"))
}

fn lease(number: usize) -> Bytes {
    let lease = json!({
        "metadata": {"name": format!("node-{number:06}"), "namespace": "kube-node-lease",
            "uid": format!("00000000-0000-4000-a000-{number:012}"), "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": format!("node-{number:06}"),
                "uid": format!("00000000-0000-4000-b000-{number:012}")}]},
        "spec": {"holderIdentity": format!("node-{number:06}"), "leaseDurationSeconds": 40},
    });
    let of = message("k8s.io.api.coordination.v1.Lease").expect("Lease");
    wrap("coordination.k8s.io/v1", "Lease", &encode(&lease, of).expect("a lease"))
}

fn all_pods() -> Vec<(String, Bytes)> {
    (0..PODS).map(|number| (pod_key(number), pod(number, 0))).collect()
}

fn all_leases() -> Vec<(String, Bytes)> {
    (0..PODS).map(|number| (format!("/registry/leases/kube-node-lease/node-{number:06}"), lease(number))).collect()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn open(store: &Arc<Fixed>, tasks: &Tasks) -> Cache {
    Cache::open(store.clone(), options(), tasks).await.expect("loads")
}

async fn reached(cache: &Cache, revision: u64) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    cache.at_least(Revision(revision), deadline).await.expect("reached");
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Prints what an object costs beyond its own bytes, everything counted: allocator, keys, maps, indexes.
fn cost(what: &str, entries: Vec<(String, Bytes)>) {
    runtime().block_on(async {
        let (tasks, store) = (Tasks::default(), Fixed::new(entries));
        let before = resident();
        let cache = open(&store, &tasks).await;
        let (grown, size) = (resident() - before, cache.size());
        let (own, all) = (size.bytes / size.objects, grown / size.objects);
        println!(
            "{what}: {own} bytes each, {all} in memory: {} more, {:.2} times",
            all - own,
            grown as f64 / size.bytes as f64
        );
    });
}

/// Measures in a process of its own, so that one does not use what another has left.
fn costs() {
    match std::env::var("COST").as_deref() {
        Ok("pods") => cost("pods", all_pods()),
        Ok("leases") => cost("leases", all_leases()),
        _ => {
            for what in ["pods", "leases"] {
                let program = std::env::current_exe().expect("a program");
                let done = std::process::Command::new(program).env("COST", what).status().expect("starts");
                assert!(done.success());
            }
        }
    }
}

/// `count` updates of pods, as the store tells them, `each` at a time.
fn updates(first: u64, count: usize, each: usize) -> Vec<WatchItem> {
    let changes: Vec<_> = (0..count)
        .map(|n| {
            let number = n * 7919 % PODS;
            Changed { key: pod_key(number), value: Some(pod(number, n)), revision: Revision(first + n as u64) }
        })
        .collect();
    changes.chunks(each).map(|chunk| WatchItem::Changes(chunk.to_vec())).collect()
}

fn again(items: &[WatchItem], first: u64) -> Vec<WatchItem> {
    let mut revision = first;
    let mut items = items.to_vec();
    for item in &mut items {
        let WatchItem::Changes(changes) = item else { continue };
        for change in changes {
            change.revision = Revision(revision);
            revision += 1;
        }
    }
    items
}

fn load(criterion: &mut Criterion) {
    let (runtime, store) = (runtime(), Fixed::new(all_pods()));
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10).throughput(Throughput::Elements(PODS as u64));
    group.bench_function("50,000 pods", |bencher| {
        bencher.iter_with_large_drop(|| {
            runtime.block_on(async {
                let tasks = Tasks::default();
                let cache = open(&store, &tasks).await;
                tasks.shutdown(Duration::from_secs(1)).await;
                cache
            })
        });
    });
    group.finish();
}

fn apply(criterion: &mut Criterion) {
    const COUNT: usize = 10_000;
    let (runtime, store, tasks) = (runtime(), Fixed::new(all_pods()), Tasks::default());
    let cache = runtime.block_on(open(&store, &tasks));
    let mut group = criterion.benchmark_group("apply");
    group.sample_size(10).throughput(Throughput::Elements(COUNT as u64));
    for (name, each, snapshots) in [("one by one", 1, false), ("in hundreds", 100, false), ("with snapshots", 1, true)]
    {
        let items = updates(0, COUNT, each);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let first = cache.published().0 + 1;
                    let items = again(&items, first);
                    spent += runtime.block_on(async {
                        let watch = store.watched().await;
                        let start = Instant::now();
                        let mut kept = None;
                        for item in items {
                            watch.send(item).await.expect("follows");
                            if snapshots {
                                kept = Some(cache.snapshot(&[&pods()]).expect("pods"));
                            }
                        }
                        reached(&cache, first + COUNT as u64 - 1).await;
                        drop(kept);
                        start.elapsed()
                    });
                }
                spent
            });
        });
    }
    group.finish();
}

/// Everyone counts what he gets.
fn listen(cache: &Cache, filter: Filter, heard: &Arc<AtomicU64>) {
    let mut watcher = cache.watch(&pods(), filter, Start::Now).expect("pods");
    let heard = heard.clone();
    tokio::spawn(async move {
        while let Next::Event(_) = watcher.next().await {
            heard.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Some watchers, what they watch, and how their events come.
struct Crowd {
    name: &'static str,
    watchers: usize,
    filter: fn(usize) -> Filter,
    /// Events that come together.
    each: usize,
    /// Watchers that hear of one event.
    hearing: u64,
}

const CROWDS: [Crowd; 4] = [
    Crowd { name: "1,000 watchers, one by one", watchers: WATCHERS, filter: everything, each: 1, hearing: 1_000 },
    Crowd { name: "1,000 watchers, in hundreds", watchers: WATCHERS, filter: everything, each: 100, hearing: 1_000 },
    Crowd { name: "1,000 watchers with a selector", watchers: WATCHERS, filter: labelled, each: 1, hearing: 1_000 },
    Crowd { name: "5,000 nodes", watchers: NODES, filter: on_node, each: 1, hearing: 1 },
];

fn everything(_: usize) -> Filter {
    Filter::default()
}

fn labelled(_: usize) -> Filter {
    let web: Predicate = Arc::new(|object| object.label("app.kubernetes.io/name").as_deref() == Some("web"));
    Filter { predicate: Some(web), ..Filter::default() }
}

fn on_node(number: usize) -> Filter {
    Filter { index: Some((&POD_NODE, format!("node-{number:04}"))), ..Filter::default() }
}

fn fan_out(criterion: &mut Criterion) {
    const COUNT: usize = 1_000;
    let mut group = criterion.benchmark_group("fan-out");
    group.sample_size(10);
    for crowd in CROWDS {
        let (runtime, store, tasks) = (runtime(), Fixed::new(all_pods()), Tasks::default());
        let heard = Arc::new(AtomicU64::new(0));
        let cache = runtime.block_on(async {
            let cache = open(&store, &tasks).await;
            (0..crowd.watchers).for_each(|number| listen(&cache, (crowd.filter)(number), &heard));
            cache
        });
        let items = updates(0, COUNT, crowd.each);
        let deliveries = COUNT as u64 * crowd.hearing;
        group.throughput(Throughput::Elements(deliveries));
        group.bench_function(crowd.name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let items = again(&items, cache.published().0 + 1);
                    let wanted = heard.load(Ordering::Relaxed) + deliveries;
                    spent += runtime
                        .block_on(deliver(&store, items, crowd.each == 1, || heard.load(Ordering::Relaxed) >= wanted));
                }
                spent
            });
        });
    }
    group.finish();
}

/// How long it takes until all have heard. `apart`: as if the events came one after another, each waking its watchers.
async fn deliver(store: &Fixed, items: Vec<WatchItem>, apart: bool, all_heard: impl Fn() -> bool) -> Duration {
    let watch = store.watched().await;
    let start = Instant::now();
    for item in items {
        watch.send(item).await.expect("follows");
        while apart && watch.capacity() < watch.max_capacity() {
            tokio::task::yield_now().await;
        }
    }
    while !all_heard() {
        tokio::task::yield_now().await;
    }
    start.elapsed()
}

fn main() {
    costs();
    if std::env::var_os("COST").is_some() {
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    load(&mut criterion);
    apply(&mut criterion);
    fan_out(&mut criterion);
    criterion.final_summary();
}
