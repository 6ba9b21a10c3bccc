//! The cache as everyone else holds it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error::CacheError;
use super::event::Change;
use super::feed::Feed;
use super::index::Index;
use super::limits::Limits;
use super::object::Object;
use super::shelf::{Shelf, ShelfId};
use super::shelves::Shelves;
use super::state::Shared;
use super::stored::Convert;
use super::subscription::Subscription;
use super::topics::Interest;
use super::trees::Trees;
use super::watcher::{Filter, Start, Watcher};
use super::writer::Writer;
use crate::base::clock::Clock;
use crate::base::tasks::Tasks;
use crate::model::names::GroupResource;
use crate::model::revision::Revision;
use crate::schema::resource::Storage;
use crate::store::contract::{Store, StoreError};

/// All objects of one store. Cheap to clone; all clones are the same cache.
#[derive(Clone)]
pub struct Cache {
    pub(super) shared: Arc<Shared>,
    /// Held while a load or a change of the set of shelves is under way.
    pub(super) writer: Arc<Mutex<Writer>>,
}

/// What a cache is made of.
pub struct Options {
    /// What all keys of the store begin with: `/registry/`.
    pub prefix: String,
    /// The resources to keep; each shelf once.
    pub storages: Vec<Storage>,
    pub convert: Arc<dyn Convert>,
    pub limits: Limits,
    pub clock: Clock,
}

/// Several resources at one revision. It stays as it is, whatever happens to the cache.
#[derive(Clone)]
pub struct Snapshot {
    pub revision: Revision,
    pub shelves: Vec<Arc<Shelf>>,
}

/// How large a cache is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub shelves: usize,
    pub objects: usize,
    /// Of the objects, without what it costs to keep them.
    pub bytes: usize,
    pub events: usize,
    /// Bytes that only the history keeps alive.
    pub event_bytes: usize,
    pub rendered_bytes: usize,
    /// Watchers and subscribers.
    pub readers: usize,
}

impl Cache {
    /// Loads everything, then follows the store in a task of its own.
    pub async fn open(store: Arc<dyn Store>, options: Options, tasks: &Tasks) -> Result<Self, StoreError> {
        let prefix = options.prefix.clone();
        let cache = Self::new(options);
        let feed = Feed { store, prefix, shared: cache.shared.clone(), writer: cache.writer.clone() };
        feed.load().await?;
        tasks.start("cache", |stop| feed.run(stop));
        Ok(cache)
    }

    /// A cache that nobody fills yet.
    pub(super) fn new(options: Options) -> Self {
        let mut shelves = Shelves::default();
        for storage in options.storages {
            shelves.add(storage);
        }
        let shared = Arc::new(Shared::new(shelves, options.limits, options.clock));
        let writer = Writer::new(shared.clone(), options.prefix, options.convert);
        Self { shared, writer: Arc::new(Mutex::new(writer)) }
    }

    /// The newest revision that every reader sees.
    pub fn published(&self) -> Revision {
        self.shared.published.get()
    }

    /// Returns when [`Self::published`] is at least `revision`; [`CacheError::Future`] at the deadline.
    pub async fn at_least(&self, revision: Revision, deadline: Instant) -> Result<(), CacheError> {
        self.shared.published.at_least(revision, deadline).await
    }

    /// Whether it hears from the store. While it does not, what it shows grows old.
    pub fn is_following(&self) -> bool {
        self.shared.following.load(Ordering::Acquire)
    }

    /// One object as it is now.
    pub fn get(
        &self,
        resource: &GroupResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Object>>, CacheError> {
        Ok(self.shared.read().shelf(resource)?.get(namespace, name).cloned())
    }

    /// Where the trees of objects are that are read and written now.
    pub fn trees(&self) -> &Trees {
        &self.shared.trees
    }

    /// These resources, all at one revision.
    pub fn snapshot(&self, resources: &[&GroupResource]) -> Result<Snapshot, CacheError> {
        let state = self.shared.read();
        let shelves = resources.iter().map(|resource| state.shelf(resource).cloned()).collect::<Result<_, _>>()?;
        Ok(Snapshot { revision: state.revision, shelves })
    }

    /// All resources at one revision.
    pub fn snapshot_all(&self) -> Snapshot {
        let state = self.shared.read();
        Snapshot { revision: state.revision, shelves: state.shelves.iter().cloned().collect() }
    }

    /// A resource as it was: what later pages of a list are read from. It costs as much as has changed since.
    pub fn snapshot_at(&self, resource: &GroupResource, revision: Revision) -> Result<Snapshot, CacheError> {
        let (mut shelf, events) = {
            let state = self.shared.read();
            if revision > state.revision {
                return Err(CacheError::Future { asked: revision, newest: state.revision });
            }
            let shelf = state.shelf(resource)?.clone();
            let next = state.after(shelf.id, revision)?;
            let events = state.history.since(next).filter(|event| event.shelf == shelf.id);
            (shelf.clone(), events.cloned().collect::<Vec<_>>())
        };
        if !events.is_empty() {
            let was = Arc::make_mut(&mut shelf);
            for event in events.iter().rev() {
                match &event.change {
                    Change::Added(object) => drop(was.remove(object.key.as_str())),
                    Change::Modified { previous, .. } | Change::Deleted(previous) => drop(was.put(previous.clone())),
                }
            }
        }
        Ok(Snapshot { revision, shelves: vec![shelf] })
    }

    /// Watches a resource. [`CacheError::Expired`] when history does not reach back to where it is to begin.
    pub fn watch(&self, resource: &GroupResource, filter: Filter, start: Start) -> Result<Watcher, CacheError> {
        let state = self.shared.read();
        let shelf = state.shelf(resource)?;
        let next = match start {
            Start::After(revision) => state.after(shelf.id, revision)?,
            Start::Now | Start::State => state.history.next(),
        };
        Ok(Watcher::new(&self.shared, &state, shelf, filter, (start, next)))
    }

    /// Follows several resources in one order. A resource that is removed later has no further events.
    pub fn subscribe(&self, resources: &[&GroupResource]) -> Result<Subscription, CacheError> {
        let state = self.shared.read();
        let ids = resources.iter().map(|resource| Ok(state.shelf(resource)?.id)).collect::<Result<_, _>>()?;
        Ok(Subscription::new(&self.shared, &state, Interest::Shelves(ids)))
    }

    /// Follows all resources in one order, later ones too.
    pub fn subscribe_all(&self) -> Subscription {
        Subscription::new(&self.shared, &self.shared.read(), Interest::All)
    }

    /// Makes a shelf for a resource, filled with what the store has for it; or tells an existing one how its resource is
    /// kept from now on. What is on it stays as it is.
    pub async fn add_shelf(&self, storage: Storage) -> ShelfId {
        self.writer.lock().await.add_shelf(storage)
    }

    /// Takes a resource's shelf away; its watchers end. `false`: there is none.
    pub async fn remove_shelf(&self, resource: &GroupResource) -> bool {
        self.writer.lock().await.remove_shelf(resource)
    }

    /// (key without the store's prefix, why) of every stored value that is no object, in order, at most `limit`; and how
    /// many there are.
    pub async fn undecodable(&self, limit: usize) -> (Vec<(String, String)>, usize) {
        let writer = self.writer.lock().await;
        let shown = writer.undecodable().take(limit).map(|(path, reason)| (path.to_owned(), reason.to_string()));
        (shown.collect(), writer.undecodable().count())
    }

    pub fn size(&self) -> Size {
        let state = self.shared.read();
        let mut size = Size {
            events: state.history.len(),
            event_bytes: state.history.weight(),
            rendered_bytes: state.history.rendered_bytes(),
            readers: self.shared.topics().readers(),
            ..Size::default()
        };
        for shelf in state.shelves.iter() {
            size.shelves += 1;
            size.objects += shelf.len();
            size.bytes += shelf.bytes();
        }
        size
    }
}

impl Snapshot {
    /// The shelf of a resource, if it is one of them.
    pub fn find(&self, resource: &GroupResource) -> Option<&Arc<Shelf>> {
        self.shelves.iter().find(|shelf| shelf.storage.shelf == *resource)
    }

    /// All objects found under a value of an index, with their shelves: everything that an owner has, for one.
    pub fn by_index(&self, index: &'static Index, value: &str) -> impl Iterator<Item = (&Arc<Shelf>, &Arc<Object>)> {
        self.shelves.iter().flat_map(move |shelf| shelf.by_index(index, value).map(move |object| (shelf, object)))
    }

    /// The shelf of an event, if it is one of them.
    pub fn shelf(&self, id: ShelfId) -> Option<&Arc<Shelf>> {
        self.shelves.iter().find(|shelf| shelf.id == id)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} shelves@{}", self.shelves.len(), self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::index::{OWNER, POD_NODE};
    use crate::cache::testing::{PODS, Rig, on_node};
    use crate::model::value::json;

    /// `name@revision` of all pods, and the names of those on node `n1`.
    fn state(snapshot: &Snapshot) -> (String, String) {
        let shelf = snapshot.find(&PODS).expect("pods");
        let all: Vec<_> = shelf.iter(None).map(|object| format!("{}@{}", object.name(), object.revision)).collect();
        let on: Vec<_> = shelf.by_index(&POD_NODE, "n1").map(|object| object.name()).collect();
        (all.join(" "), on.join(" "))
    }

    #[test]
    fn a_resource_is_shown_as_it_was() {
        let mut rig = Rig::new(Limits { history_events: 4, ..Limits::default() });
        let mut snapshots = Vec::new();
        for (key, node) in [("d/a", "n1"), ("d/b", "n1"), ("d/a", "n2"), ("d/c", "n1")] {
            rig.put(key, &on_node(node));
            snapshots.push(rig.cache.snapshot(&[&*PODS]).expect("pods"));
        }
        rig.delete("d/b");
        let now = state(&rig.cache.snapshot(&[&*PODS]).expect("pods"));
        assert_eq!(now, ("a@13 c@14".into(), "c".into()));
        for (revision, all, on) in [
            (11, "a@11", "a"),
            (12, "a@11 b@12", "a b"),
            (13, "a@13 b@12", "b"),
            (14, "a@13 b@12 c@14", "b c"),
            (15, "a@13 c@14", "c"),
        ] {
            let was = rig.cache.snapshot_at(&PODS, Revision(revision)).expect("history");
            assert_eq!(state(&was), (all.to_owned(), on.to_owned()), "{revision}");
        }
        for (snapshot, revision) in snapshots.iter().zip(11..) {
            assert_eq!(snapshot.revision, Revision(revision));
            assert_eq!(state(snapshot), state(&rig.cache.snapshot_at(&PODS, Revision(revision)).expect("history")));
        }
        let asked = |revision| rig.cache.snapshot_at(&PODS, Revision(revision)).err().map(|error| error.to_string());
        assert_eq!(asked(10).as_deref(), Some("too old resource version: 10 (11)"));
        assert_eq!(asked(16).as_deref(), Some("Too large resource version: 16, current: 15"));
    }

    #[test]
    fn everything_that_an_owner_has_is_found() {
        let mut rig = Rig::new(Limits::default());
        let owned = json!({"metadata": {"ownerReferences": [{"kind": "Node", "name": "n1", "uid": "o"}]}});
        rig.put("d/a", &owned);
        rig.put("d/b", &on_node("n1"));
        let snapshot = rig.cache.snapshot_all();
        let found: Vec<_> =
            snapshot.by_index(&OWNER, "o").map(|(shelf, o)| (shelf.storage.shelf.clone(), o.name())).collect();
        assert_eq!(found, [(PODS.clone(), "a")]);
        assert_eq!(snapshot.by_index(&POD_NODE, "n1").count(), 1);
    }

    #[test]
    fn size_counts_everything() {
        let mut rig = Rig::new(Limits::default());
        rig.put("d/a", &on_node("n1"));
        let watcher = rig.watch(Filter::default(), Start::Now);
        let subscription = rig.cache.subscribe_all();
        let size = rig.cache.size();
        assert_eq!((size.shelves, size.objects, size.events, size.readers), (2, 1, 1, 2));
        assert_eq!(size.bytes, rig.cache.get(&PODS, "d", "a").expect("pods").expect("a").bytes.len());
        drop((watcher, subscription));
        assert_eq!(rig.cache.size().readers, 0);
    }
}
