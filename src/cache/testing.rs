//! What the cache's tests are made of: objects, a cache that is fed by hand, a store that can be out of reach.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::event::{Change, Event, Kind, Ledger};
use super::handle::{Cache, Options};
use super::limits::Limits;
use super::object::{Form, Key, Object};
use super::shelf::ShelfId;
use super::watcher::{End, Filter, Next, Start, Watcher};
use super::writer::{Loading, Writer};
use crate::base::clock::Clock;
use crate::codec::protobuf::encode::encode;
use crate::codec::protobuf::envelope::{Envelope, wrap};
use crate::codec::protobuf::scan;
use crate::model::names::{GroupResource, GroupVersionKind};
use crate::model::revision::Revision;
use crate::model::value::{Value, json};
use crate::schema::builtin::{ROWS, Row};
use crate::schema::resource::{Shape, Storage};
use crate::schema::structure::Structure;
use crate::schema::table::{Message, message};
use crate::store::contract::{Changed, Commit, Entry, Expect, Load, Outcome, Store, StoreError, WatchItem};
use crate::store::memory::Memory;

pub static POD: LazyLock<&'static Row> = LazyLock::new(|| row("", "v1", "pods"));
pub static PODS: LazyLock<GroupResource> = LazyLock::new(|| GroupResource::new("", "pods"));
pub static NODES: LazyLock<GroupResource> = LazyLock::new(|| GroupResource::new("", "nodes"));
pub static THINGS: LazyLock<GroupResource> = LazyLock::new(|| GroupResource::new("x.io", "things"));

fn row(group: &str, version: &str, resource: &str) -> &'static Row {
    let named = |row: &&Row| (row.group, row.version, row.resource) == (group, version, resource);
    ROWS.iter().find(named).expect("a built-in resource")
}

pub fn storage_of(group: &str, version: &str, resource: &str) -> Storage {
    row(group, version, resource).storage().expect("it is stored")
}

pub fn thing_shape() -> Shape {
    Shape::Custom(Structure::default().ready())
}

pub fn thing_storage() -> Storage {
    Storage {
        shelf: THINGS.clone(),
        folder: "x.io/things".into(),
        kind: GroupVersionKind::new("x.io", "v1", "Thing"),
        shape: thing_shape(),
    }
}

pub fn no_convert(_: Value, _: &GroupVersionKind, _: &GroupVersionKind) -> Result<Value, String> {
    Err("not here".into())
}

pub fn pod_message() -> &'static Message {
    message("k8s.io.api.core.v1.Pod").expect("Pod")
}

pub fn raw_pod(pod: &Value) -> Vec<u8> {
    encode(pod, pod_message()).expect("a pod")
}

/// A pod as the store has it.
pub fn pod_value(pod: &Value) -> Bytes {
    wrap("v1", "Pod", &raw_pod(pod))
}

pub fn node_value(name: &str) -> Bytes {
    let node = encode(&json!({"metadata": {"name": name}}), row("", "v1", "nodes").message).expect("a node");
    wrap("v1", "Node", &node)
}

pub fn json_thing(namespace: &str, name: &str, spec: &Value) -> Bytes {
    let metadata = json!({"name": name, "namespace": namespace});
    json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": metadata, "spec": spec}).to_string().into()
}

/// A pod as the cache has it.
pub fn object(revision: u64, pod: &Value) -> Arc<Object> {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    let key = Key::new(text("namespace"), text("name"));
    Arc::new(Object::new(key, Revision(revision), &raw_pod(pod), Form::Protobuf).expect("a pod"))
}

pub fn pod(name: &str, revision: u64, node: &str) -> Arc<Object> {
    let metadata = json!({"name": name, "namespace": "default", "uid": format!("uid-{name}")});
    object(revision, &json!({"metadata": metadata, "spec": {"nodeName": node}}))
}

pub fn added(seq: u64) -> Arc<Event> {
    let change = Change::Added(pod("a", seq + 1, ""));
    Arc::new(Event::new(seq, ShelfId(0), Revision(seq + 1), change, Arc::new(Ledger::new(0))))
}

/// A pod without a name.
pub fn labelled(app: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}})
}

/// A pod without a name.
pub fn on_node(node: &str) -> Value {
    json!({"spec": {"nodeName": node}})
}

fn named(pod: &Value, key: &str, uid: &str) -> Bytes {
    let (namespace, name) = key.split_once('/').expect("namespace/name");
    let mut pod = pod.clone();
    for (field, text) in [("namespace", namespace), ("name", name), ("uid", uid)] {
        pod["metadata"][field] = text.into();
    }
    pod_value(&pod)
}

/// Pods and nodes.
pub fn options() -> Options {
    Options {
        prefix: "/registry/".into(),
        storages: vec![storage_of("", "v1", "pods"), storage_of("", "v1", "nodes")],
        convert: Arc::new(no_convert),
        limits: Limits::default(),
        clock: Clock::machine(),
    }
}

pub fn changed(revision: u64, path: &str, value: Option<&[u8]>) -> Changed {
    let value = value.map(Bytes::copy_from_slice);
    Changed { key: format!("/registry/{path}"), value, revision: Revision(revision) }
}

/// `name@revision` of every object of a resource.
pub fn listed(cache: &Cache, resource: &GroupResource) -> String {
    let snapshot = cache.snapshot(&[resource]).expect("a shelf");
    let shown = snapshot.shelves[0].iter(None).map(|object| format!("{}@{}", object.name(), object.revision));
    shown.collect::<Vec<_>>().join(" ")
}

pub fn watch_all(cache: &Cache, start: Start) -> Watcher {
    cache.watch(&PODS, Filter::default(), start).expect("pods")
}

impl Next {
    /// One line: `ADDED a@11`.
    pub fn shown(&self) -> String {
        let name = |object: &Object| format!("{}@{}", object.name(), object.revision);
        match self {
            Next::Initial(object) => format!("INITIAL {}", name(object)),
            Next::Synced(revision) => format!("SYNCED {revision}"),
            Next::Event(seen) => {
                let word = match seen.kind {
                    Kind::Added => "ADDED",
                    Kind::Modified => "MODIFIED",
                    Kind::Deleted => "DELETED",
                };
                format!("{word} {}", name(seen.object()))
            }
            Next::Ended(End::Lagged) => "LAGGED".into(),
            Next::Ended(End::Removed) => "REMOVED".into(),
        }
    }
}

/// A cache of pods and nodes, empty at revision 10, that is fed by hand.
pub struct Rig {
    pub cache: Cache,
}

impl Rig {
    pub fn new(limits: Limits) -> Self {
        let rig = Self { cache: Cache::new(Options { limits, ..options() }) };
        rig.writer().install(Loading::new(Revision(10))).expect("loads");
        rig
    }

    pub fn writer(&self) -> tokio::sync::MutexGuard<'_, Writer> {
        self.cache.writer.try_lock().expect("nobody else writes")
    }

    pub fn apply(&mut self, changes: &[Changed]) {
        self.writer().apply(changes);
    }

    fn next(&self) -> u64 {
        self.cache.published().next().0
    }

    /// A pod under `namespace/name`.
    pub fn put(&mut self, key: &str, pod: &Value) {
        self.apply(&[changed(self.next(), &format!("pods/{key}"), Some(&named(pod, key, "u")))]);
    }

    pub fn delete(&mut self, key: &str) {
        self.apply(&[changed(self.next(), &format!("pods/{key}"), None)]);
    }

    pub fn progress(&mut self, revision: u64) {
        self.writer().progress(Revision(revision));
    }

    pub fn remove_pods(&mut self) {
        self.writer().remove_shelf(&PODS);
    }

    pub fn watch(&self, filter: Filter, start: Start) -> Watcher {
        self.cache.watch(&PODS, filter, start).expect("a known start")
    }
}

/// A store in memory that is out of reach when told so.
pub struct Flaky {
    pub memory: Memory,
    faults: Mutex<Faults>,
}

#[derive(Default)]
struct Faults {
    failures: u32,
    watched_from: Vec<u64>,
}

impl Flaky {
    /// Empty, at revision 1.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { memory: Memory::new(Clock::machine()), faults: Mutex::default() })
    }

    /// A pod in the namespace `default`.
    pub async fn put(&self, name: &str, pod: &Value) {
        let path = format!("/registry/pods/default/{name}");
        let uid = match self.memory.get(&path).await.expect("answers") {
            Some(known) => {
                let envelope = Envelope::parse(&known.value).expect("an envelope");
                scan::uid(envelope.raw).expect("a pod").to_owned()
            }
            None => self.memory.current().await.expect("answers").to_string(),
        };
        self.commit_now(Commit::put(path, Expect::Any, named(pod, &format!("default/{name}"), &uid))).await;
    }

    pub async fn delete(&self, name: &str) {
        self.commit_now(Commit::delete(format!("/registry/pods/default/{name}"), Expect::Any)).await;
    }

    async fn commit_now(&self, commit: Commit) {
        let outcome = self.memory.commit(commit).await;
        assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
    }

    /// The next loads and watches fail.
    pub fn fail(&self, times: u32) {
        self.faults().failures = times;
    }

    pub fn watched_from(&self) -> Vec<u64> {
        self.faults().watched_from.clone()
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt(&self) -> Result<(), StoreError> {
        let mut faults = self.faults();
        if faults.failures > 0 {
            faults.failures -= 1;
            return Err(StoreError::Unavailable("on purpose".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Flaky {
    async fn load(&self, prefix: &str) -> Result<Load, StoreError> {
        self.attempt()?;
        self.memory.load(prefix).await
    }

    async fn watch(&self, from: Revision) -> Result<mpsc::Receiver<WatchItem>, StoreError> {
        self.attempt()?;
        self.faults().watched_from.push(from.0);
        self.memory.watch(from).await
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.memory.get(key).await
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        self.memory.commit(commit).await
    }

    async fn current(&self) -> Result<Revision, StoreError> {
        self.memory.current().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.memory.compact(revision).await
    }

    async fn advance(&self, revision: Revision) -> Result<Revision, StoreError> {
        self.memory.advance(revision).await
    }

    async fn size(&self) -> Result<u64, StoreError> {
        self.memory.size().await
    }
}
