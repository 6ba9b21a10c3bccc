//! The scheduler's task: it hears of changes, decides for one pod after another, and has the decisions written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use compact_str::CompactString;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::config::{BATCH, Config, MAX_WRITES, Profile};
use super::cycle::{Cycle, Decision, Refusal};
use super::lookup::Lookup;
use super::node::Facts;
use super::plugin::Happening;
use super::pod::Pod;
use super::preempt::Preemption;
use super::queue::{Queue, Turn};
use super::terms::Labels;
use super::view::NodeView;
use super::writes::{Done, Failure, Writer};
use crate::auth::identity::User;
use crate::base::clock::Clock;
use crate::base::tasks::Tasks;
use crate::cache::error::CacheError;
use crate::cache::event::Event;
use crate::cache::handle::{Cache, Snapshot};
use crate::cache::object::{Key, Object};
use crate::cache::shelf::{Shelf, ShelfId};
use crate::cache::subscription::{Subscription, Update};
use crate::model::names::GroupResource;
use crate::registry::client::Client;
use crate::registry::core::Registry;
use crate::registry::events::Recorder;
use crate::schema::table::Message;

/// Events that are taken in before the next decision.
const MAX_NEWS: usize = 4096;

/// Starts the scheduler, as a task that ends with `tasks`. Everything that it needs is the registry's: its cache, its
/// clock, its entropy. Call it where the Lease is held, with tasks of its own.
pub fn start(registry: &Registry, tasks: &Tasks, config: &Config) -> Result<(), CacheError> {
    let scheduler = Scheduler::new(registry, config)?;
    tasks.start("scheduler", |stop| scheduler.run(stop));
    Ok(())
}

/// What the scheduler follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Followed {
    Pods,
    Nodes,
    Namespaces,
    Services,
    /// Claims, volumes, classes, what nodes can attach.
    Storage,
}

const FOLLOWED: &[(&str, &str, Followed)] = &[
    ("", "namespaces", Followed::Namespaces),
    ("", "services", Followed::Services),
    ("", "nodes", Followed::Nodes),
    ("", "pods", Followed::Pods),
    ("", "persistentvolumeclaims", Followed::Storage),
    ("", "persistentvolumes", Followed::Storage),
    ("storage.k8s.io", "storageclasses", Followed::Storage),
    ("storage.k8s.io", "csinodes", Followed::Storage),
    ("storage.k8s.io", "csidrivers", Followed::Storage),
    ("storage.k8s.io", "csistoragecapacities", Followed::Storage),
];

pub struct Scheduler {
    config: Config,
    cache: Cache,
    clock: Clock,
    writer: Writer,
    news: Subscription,
    shelves: HashMap<ShelfId, (Followed, Arc<Shelf>)>,
    cluster: Cluster,
    queue: Queue,
    cycle: Cycle,
    writes: JoinSet<Done>,
}

impl Scheduler {
    pub fn new(registry: &Registry, config: &Config) -> Result<Self, CacheError> {
        let user = User::new("system:kube-scheduler", &["system:authenticated"]);
        let client = Client::new(registry, user, "kube-scheduler");
        let (cache, clock) = (registry.cache.clone(), registry.clock.clone());
        let names: Vec<_> = FOLLOWED.iter().map(|(group, name, _)| GroupResource::new(group, name)).collect();
        let news = cache.subscribe(&names.iter().collect::<Vec<_>>())?;
        let recorder = Recorder::new(client.clone(), super::pod::DEFAULT_SCHEDULER, &config.host);
        let writer = Writer { client, recorder, clock: clock.clone(), volume_timeout: config.volume_timeout };
        Ok(Self {
            writer,
            news,
            shelves: HashMap::new(),
            cluster: Cluster::new(Lookup::new(Arc::new(cache.clone()))),
            queue: Queue::new(config),
            cycle: Cycle::new(registry.entropy.clone()),
            writes: JoinSet::new(),
            config: config.clone(),
            cache,
            clock,
        })
    }

    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.take_in();
            if self.decide_some() > 0 {
                tokio::task::yield_now().await;
                continue;
            }
            let deadline = self.queue.deadline().filter(|_| self.writes.len() < MAX_WRITES);
            let clock = self.clock.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                update = self.news.next() => self.update(update),
                Some(done) = self.writes.join_next() => self.written(done.ok()),
                () = async { clock.sleep_until(deadline.unwrap_or_else(|| clock.instant())).await },
                    if deadline.is_some() => {}
            }
        }
        while self.writes.join_next().await.is_some() {}
    }

    /// Takes in what has happened, without waiting.
    fn take_in(&mut self) {
        while let Some(done) = self.writes.try_join_next() {
            self.written(done.ok());
        }
        for _ in 0..MAX_NEWS {
            let Some(update) = self.news.try_next() else { return };
            self.update(update);
        }
    }

    /// Decides for the pods whose turn it is, some at a time; how many.
    fn decide_some(&mut self) -> usize {
        let mut decided = 0;
        while decided < BATCH && self.writes.len() < MAX_WRITES {
            let Some(turn) = self.queue.pop(self.clock.instant()) else { break };
            decided += 1;
            self.decide(turn);
        }
        decided
    }

    fn decide(&mut self, turn: Turn) {
        let pod = turn.pod.clone();
        let Some(profile) = self.profile(&pod).cloned() else { return };
        if pod.is_deleting {
            self.writes.spawn(self.writer.clone().tell_skipped(pod));
            return;
        }
        match self.cycle.decide(&mut self.cluster, &pod, &profile) {
            Decision::Bind(at) => {
                let node = self.cluster.node(at).name.clone();
                self.cluster.denominate(&pod.key);
                let assumed = Arc::new(Pod { node, ..Pod::clone(&pod) });
                self.cluster.put_pod(assumed.clone(), true);
                self.writes.spawn(self.writer.clone().bind(turn, assumed));
            }
            Decision::Wait(refusal) => self.wait(turn, refusal),
        }
    }

    fn wait(&mut self, turn: Turn, refusal: Refusal) {
        let pod = turn.pod.clone();
        self.queue.put_back(&turn, pod.clone(), refusal.plugins, false, self.clock.instant());
        let nominated = match refusal.preemption {
            Preemption::None => None,
            // Nothing helps: a promise that was made is not kept.
            Preemption::Useless(_) => self.lost_promise(&pod),
            Preemption::Victims { node, pods } => {
                let lesser = self.cluster.nominated_below(&node, pod.priority);
                lesser.iter().for_each(|other| self.cluster.denominate(&other.key));
                self.cluster.nominate(&pod, &node);
                self.writes.spawn(self.writer.clone().preempt(pod.clone(), node.clone(), pods, lesser));
                Some(node)
            }
        };
        let failure = Failure { message: refusal.message, is_error: false, nominated };
        self.writes.spawn(self.writer.clone().tell(pod, failure));
    }

    /// The node that was promised is gone, or has no victims that are still ending: the promise ends too.
    fn lost_promise(&mut self, pod: &Pod) -> Option<CompactString> {
        if pod.nominated.is_empty() {
            return None;
        }
        let node = self.cluster.find(&pod.nominated);
        if node.is_some_and(|node| node.pods.iter().any(|other| other.is_deleting && other.priority < pod.priority)) {
            return None;
        }
        self.cluster.denominate(&pod.key);
        Some(CompactString::default())
    }

    fn profile(&self, pod: &Pod) -> Option<&Profile> {
        self.config.profiles.iter().find(|profile| profile.scheduler == pod.scheduler)
    }

    fn written(&mut self, done: Option<Done>) {
        let Some(Done::NotBound { turn, status }) = done else { return };
        let key = turn.pod.key.clone();
        // Another pod of that name may have come meanwhile.
        let is_it = self.cluster.pod(&key).is_some_and(|known| known.uid == turn.pod.uid);
        if !is_it || !self.cluster.is_assumed(&key) {
            return;
        }
        let Some(assumed) = self.cluster.remove_pod(&key) else { return };
        let now = self.clock.instant();
        self.queue.happened(&Happening::PodLeft(&assumed), now);
        // The pod as it is now: what happened to it while it was assumed has not been looked at.
        let pod = self.newest(&key).filter(|pod| pod.node.is_empty() && pod.uid == turn.pod.uid && !pod.is_done);
        let Some(pod) = pod.map(Arc::new) else { return };
        self.queue.put_back(&turn, pod.clone(), 0, true, now);
        let failure = Failure { message: status.message, is_error: true, nominated: None };
        self.writes.spawn(self.writer.clone().tell(pod, failure));
    }

    fn newest(&self, key: &Key) -> Option<Pod> {
        let object = self.cache.get(&GroupResource::new("", "pods"), key.namespace(), key.name()).ok()??;
        self.read_pod(&object)
    }

    fn pod_message(&self) -> Option<&'static Message> {
        self.shelves.values().find(|(followed, _)| *followed == Followed::Pods)?.1.storage.shape.message()
    }

    /// A pod whose state before may be known.
    fn changed_pod(&self, object: &Object, previous: Option<&Object>) -> Option<Pod> {
        let known = self.cluster.pod(&object.key).or_else(|| self.queue.pod(&object.key));
        let same = known.zip(previous).and_then(|(known, old)| known.after(old, object, self.pod_message()?));
        same.or_else(|| self.read_pod(object))
    }

    fn read_pod(&self, object: &Object) -> Option<Pod> {
        match Pod::read(object, self.pod_message()?) {
            Ok(pod) => Some(pod),
            Err(error) => {
                tracing::error!(pod = ?object.key, %error, "unreadable");
                None
            }
        }
    }

    fn update(&mut self, update: Update) {
        match update {
            Update::Event(event) => self.event(&event),
            Update::Resync(snapshot) => self.resync(&snapshot),
        }
    }

    fn event(&mut self, event: &Event) {
        let Some((followed, shelf)) = self.shelves.get(&event.shelf).cloned() else { return };
        match (followed, event.current()) {
            (Followed::Pods, Some(object)) => self.pod_is(object, event.previous().map(AsRef::as_ref)),
            (Followed::Pods, None) => self.pod_is_gone(event.key()),
            (_, Some(object)) => self.is(followed, &shelf, object),
            (Followed::Nodes, None) => self.node_is_gone(event.key().name()),
            (Followed::Namespaces, None) => self.cluster.remove_namespace(event.key().name()),
            (Followed::Services, None) => self.cluster.put_service(event.key(), None),
            (Followed::Storage, None) => self.happened(&Happening::Storage),
        }
    }

    /// All is as this snapshot says.
    fn resync(&mut self, snapshot: &Snapshot) {
        self.cluster.forget_names();
        self.shelves.clear();
        for (group, resource, followed) in FOLLOWED {
            let name = GroupResource::new(group, resource);
            if let Some(shelf) = snapshot.find(&name) {
                self.shelves.insert(shelf.id, (*followed, shelf.clone()));
            }
        }
        for (group, resource, followed) in FOLLOWED {
            let Some(shelf) = snapshot.find(&GroupResource::new(group, resource)).cloned() else { continue };
            match followed {
                Followed::Pods => self.resync_pods(&shelf),
                Followed::Nodes => {
                    for name in self.cluster.node_names().iter().filter(|name| shelf.get("", name).is_none()) {
                        self.node_is_gone(name);
                    }
                    shelf.iter(None).for_each(|object| self.is(*followed, &shelf, object));
                }
                _ => shelf.iter(None).for_each(|object| self.is(*followed, &shelf, object)),
            }
        }
        self.happened(&Happening::Storage);
    }

    fn resync_pods(&mut self, shelf: &Arc<Shelf>) {
        let known: HashSet<Key> = self.cluster.pod_keys().into_iter().chain(self.queue.keys()).collect();
        let mut gone: Vec<_> = known.into_iter().filter(|key| shelf.get_key(key.as_str()).is_none()).collect();
        gone.sort();
        gone.iter().for_each(|key| self.pod_is_gone(key));
        shelf.iter(None).for_each(|object| self.pod_is(object, None));
    }

    /// An object that is no pod is as it says.
    fn is(&mut self, followed: Followed, shelf: &Shelf, object: &Object) {
        match followed {
            Followed::Nodes => {
                let Ok(view) = shelf.typed::<NodeView>(object) else { return };
                self.node_is(object.name(), Facts::new(&view));
            }
            Followed::Namespaces => {
                let labels = object.labels();
                let labels = Labels::new(labels.iter().map(|(key, value)| (key.as_ref(), value.as_ref())));
                self.cluster.put_namespace(object.name(), labels);
            }
            Followed::Services => {
                let selector = shelf.typed::<ServiceView>(object).ok().map(|view| Labels::new(view.spec.selector));
                self.cluster.put_service(&object.key, selector);
            }
            Followed::Storage | Followed::Pods => self.happened(&Happening::Storage),
        }
    }

    fn node_is(&mut self, name: &str, facts: Facts) {
        let old = self.cluster.put_node(name, facts);
        let Some(node) = self.cluster.find(name) else { return };
        let happening = match &old {
            None => Happening::NodeAdded(node),
            Some(old) if **old == *node.facts() => return,
            Some(old) => Happening::NodeChanged { old, new: node },
        };
        self.queue.happened(&happening, self.clock.instant());
    }

    fn node_is_gone(&mut self, name: &str) {
        if let Some(facts) = self.cluster.remove_node(name) {
            self.happened(&Happening::NodeDeleted(&facts));
        }
    }

    fn happened(&mut self, happening: &Happening) {
        self.queue.happened(happening, self.clock.instant());
    }

    fn pod_is(&mut self, object: &Object, previous: Option<&Object>) {
        let Some(pod) = self.changed_pod(object, previous).map(Arc::new) else { return };
        let old = self.cluster.pod(&pod.key).cloned();
        if old.as_ref().is_some_and(|old| old.uid != pod.uid) {
            self.pod_is_gone(&pod.key);
            return self.pod_is(object, None);
        }
        if pod.is_done {
            return self.pod_is_gone(&pod.key);
        }
        if pod.node.is_empty() {
            // While it is being bound, the pod without a node is its past.
            if old.is_none() && self.profile(&pod).is_some() {
                self.pod_waits(pod);
            }
            return;
        }
        self.queue.remove(&pod.key);
        self.cluster.denominate(&pod.key);
        let was_assumed = self.cluster.is_assumed(&pod.key);
        self.cluster.put_pod(pod.clone(), false);
        match old.filter(|_| !was_assumed) {
            Some(old) => self.happened(&Happening::PodChanged { old: &old, new: &pod }),
            None => self.happened(&Happening::PodCame(&pod)),
        }
    }

    fn pod_waits(&mut self, pod: Arc<Pod>) {
        if !pod.nominated.is_empty() {
            self.cluster.nominate(&pod, &pod.nominated.clone());
        }
        self.queue.put(pod, self.clock.instant());
    }

    /// The pod is gone, or needs nothing any more.
    fn pod_is_gone(&mut self, key: &Key) {
        self.queue.remove(key);
        self.cluster.denominate(key);
        if let Some(pod) = self.cluster.remove_pod(key) {
            self.happened(&Happening::PodLeft(&pod));
        }
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ServiceView {
    spec: ServiceSpecView,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ServiceSpecView {
    selector: std::collections::BTreeMap<String, String>,
}
