//! The one who changes the cache: applies what the store says, in its order. No waiting, no clock of its own: the same
//! changes give the same events.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::object::{Form, Key, Object};
use super::shelf::{Shelf, ShelfId};
use super::shelves::Shelves;
use super::state::{Draft, Shared};
use super::stored::{self, Convert, Undecodable};
use crate::codec::protobuf::envelope;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::revision::Revision;
use crate::schema::resource::Storage;
use crate::store::contract::{Changed, Entry, StoreError};

/// Changes that are applied before anyone may read again, unless one revision has more.
const CHUNK: usize = 256;
/// Undecodable values that are logged one by one; of more there is only the count.
const MAX_LOGGED: usize = 20;

/// Holds what no shelf has, too: values of unknown folders, and those that are no objects.
pub struct Writer {
    shared: Arc<Shared>,
    /// What all keys of the store begin with: `/registry/`.
    prefix: String,
    convert: Arc<dyn Convert>,
    aside: Aside,
}

/// What is not on a shelf, by the store's key without its prefix.
#[derive(Default)]
struct Aside {
    /// Values of no known resource: of a custom one, until its definition has been seen.
    unclaimed: BTreeMap<String, (Revision, Bytes)>,
    /// Values that are no objects, and why.
    undecodable: BTreeMap<String, (Undecodable, Revision, Bytes)>,
}

impl Aside {
    /// A copy: the store's own bytes may be a small part of something large.
    fn claim_later(&mut self, path: &str, revision: Revision, value: &[u8]) {
        self.unclaimed.insert(path.to_owned(), (revision, Bytes::copy_from_slice(value)));
    }

    fn give_up(&mut self, path: &str, reason: Undecodable, revision: Revision, value: &[u8]) {
        if self.undecodable.len() < MAX_LOGGED {
            tracing::warn!(path, %revision, %reason, "stored value is undecodable");
        }
        self.undecodable.insert(path.to_owned(), (reason, revision, Bytes::copy_from_slice(value)));
    }
}

/// What a load has brought so far.
pub struct Loading {
    revision: Revision,
    objects: BTreeMap<ShelfId, Vec<Arc<Object>>>,
    aside: Aside,
}

impl Loading {
    pub fn new(revision: Revision) -> Self {
        Self { revision, objects: BTreeMap::new(), aside: Aside::default() }
    }
}

impl Writer {
    pub fn new(shared: Arc<Shared>, prefix: String, convert: Arc<dyn Convert>) -> Self {
        Self { shared, prefix, convert, aside: Aside::default() }
    }

    /// Applies changes in order and publishes them, revision by revision or several at once. Those that were applied
    /// before are passed over.
    pub fn apply(&mut self, changes: &[Changed]) {
        let mut rest = changes;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunk(rest));
            self.apply_chunk(chunk);
            rest = after;
        }
    }

    fn apply_chunk(&mut self, changes: &[Changed]) {
        let shared = self.shared.clone();
        let drafts: Vec<_> = {
            let state = shared.read();
            let new = changes.iter().filter(|change| change.revision > state.revision);
            new.filter_map(|change| self.draft(&state.shelves, change)).collect()
        };
        let Some(last) = changes.last() else { return };
        self.commit(drafts, last.revision);
    }

    /// Makes changes as one: no reader sees some of them without the others.
    fn commit(&mut self, drafts: Vec<Draft>, revision: Revision) {
        let now = self.shared.clock.instant();
        let (revision, events) = {
            let mut state = self.shared.write();
            let events: Vec<_> = drafts.into_iter().filter_map(|draft| state.commit(draft, now)).collect();
            state.revision = state.revision.max(revision);
            (state.revision, events)
        };
        self.shared.publish(revision, &events);
    }

    /// Nothing else has changed up to this revision.
    pub fn progress(&mut self, revision: Revision) {
        self.commit(Vec::new(), revision);
    }

    /// What a change of the store is to the shelves; `None` when it is nothing to them.
    fn draft(&mut self, shelves: &Shelves, change: &Changed) -> Option<Draft> {
        let path = change.key.strip_prefix(&self.prefix)?;
        let Some((shelf, key)) = shelves.locate(path) else {
            match &change.value {
                Some(value) => self.aside.claim_later(path, change.revision, value),
                None => drop(self.aside.unclaimed.remove(path)),
            }
            return None;
        };
        self.aside.undecodable.remove(path);
        if let Some(value) = &change.value {
            match self.changed(shelf, key, change, value) {
                Ok(object) => return Some(Draft::Put(shelf.id, object)),
                Err(reason) => self.aside.give_up(path, reason, change.revision, value),
            }
        }
        let known = shelf.get_key(key)?;
        Some(Draft::Delete(shelf.id, known.key.clone(), change.revision))
    }

    /// What this server has just stored is not looked through again.
    fn changed(&self, shelf: &Shelf, key: &str, change: &Changed, value: &[u8]) -> Result<Arc<Object>, Undecodable> {
        let Some(own) = self.shared.trees.arrived(&change.key, value) else {
            return self.read(shelf, key, change.revision, value);
        };
        let key = shelf.get_key(key).map_or_else(|| key.into(), |known| known.key.clone());
        let object = Arc::new(stored::own(key, change.revision, value, &shelf.storage)?);
        let tree = match own.tree {
            Some(mut tree) => {
                object::set_meta(&mut tree, "resourceVersion", change.revision.to_string().into());
                tree
            }
            None => object.to_value(&shelf.storage.shape)?,
        };
        self.shared.trees.keep(&object, tree);
        Ok(object)
    }

    fn read(&self, shelf: &Shelf, key: &str, revision: Revision, value: &[u8]) -> Result<Arc<Object>, Undecodable> {
        let key = shelf.get_key(key).map_or_else(|| key.into(), |known| known.key.clone());
        stored::object(key, revision, value, &shelf.storage, &*self.convert).map(Arc::new)
    }

    /// Takes a part of a load. What has not changed since is not read again.
    pub fn load(&self, loading: &mut Loading, entries: Vec<Entry>) {
        let state = self.shared.read();
        for Entry { key, value, revision } in entries {
            let Some(path) = key.strip_prefix(&self.prefix) else { continue };
            let Some((shelf, key)) = state.shelves.locate(path) else {
                loading.aside.claim_later(path, revision, &value);
                continue;
            };
            let same = shelf.get_key(key).filter(|known| known.revision == revision).cloned();
            match same.map_or_else(|| self.read(shelf, key, revision, &value), Ok) {
                Ok(object) => loading.objects.entry(shelf.id).or_default().push(object),
                Err(reason) => loading.aside.give_up(path, reason, revision, &value),
            }
        }
    }

    /// Puts what was loaded in place: the first time silently, later as the events that lead there from what is known.
    pub fn install(&mut self, mut loading: Loading) -> Result<(), StoreError> {
        let known = self.shared.read().revision;
        if loading.revision < known {
            let wrong = format!("its revision went back from {known} to {}", loading.revision);
            return Err(StoreError::Damaged(wrong));
        }
        loading.objects.values_mut().for_each(|objects| objects.sort_by(|a, b| a.key.cmp(&b.key)));
        if loading.aside.undecodable.len() > MAX_LOGGED {
            tracing::warn!(count = loading.aside.undecodable.len(), "stored values are undecodable");
        }
        self.aside = loading.aside;
        if known == Revision::ZERO {
            self.fill(loading.revision, loading.objects);
        } else {
            let drafts = self.differences(loading.revision, &mut loading.objects);
            self.commit(drafts, loading.revision);
        }
        Ok(())
    }

    fn fill(&mut self, revision: Revision, objects: BTreeMap<ShelfId, Vec<Arc<Object>>>) {
        {
            let mut state = self.shared.write();
            for (id, objects) in objects {
                let Some(shelf) = state.shelves.get_mut(id) else { continue };
                objects.into_iter().for_each(|object| drop(shelf.put(object)));
            }
            let ids: Vec<_> = state.shelves.iter().map(|shelf| shelf.id).collect();
            ids.into_iter().for_each(|id| state.history.begin(id, revision));
            state.revision = revision;
        }
        self.shared.publish(revision, &[]);
    }

    /// What leads from the known state to the loaded one, in the order of revisions.
    fn differences(&self, revision: Revision, loaded: &mut BTreeMap<ShelfId, Vec<Arc<Object>>>) -> Vec<Draft> {
        let (state, mut puts, mut gone) = (self.shared.read(), Vec::new(), Vec::new());
        for shelf in state.shelves.iter() {
            let mut loaded = loaded.remove(&shelf.id).unwrap_or_default().into_iter().peekable();
            for known in shelf.iter(None) {
                while let Some(added) = loaded.next_if(|object| object.key < known.key) {
                    puts.push(Draft::Put(shelf.id, added));
                }
                match loaded.next_if(|object| object.key == known.key) {
                    None => gone.push((revision, shelf.id, known.key.clone())),
                    Some(object) if object.revision == known.revision => {}
                    Some(object) => {
                        if object.uid() != known.uid() {
                            gone.push((Revision(object.revision.0 - 1), shelf.id, known.key.clone()));
                        }
                        puts.push(Draft::Put(shelf.id, object));
                    }
                }
            }
            puts.extend(loaded.map(|object| Draft::Put(shelf.id, object)));
        }
        let mut drafts = deletes(state.revision, gone, &puts);
        drafts.append(&mut puts);
        drafts.sort_by_key(Draft::revision);
        drafts
    }

    /// Makes a shelf for a resource, filled with what the store has for it; or tells an existing one how its resource is
    /// kept from now on.
    pub fn add_shelf(&mut self, storage: Storage) -> ShelfId {
        let shared = self.shared.clone();
        let mut state = shared.write();
        if let Some(id) = state.shelves.id(&storage.shelf) {
            let shelf = state.shelves.get_mut(id).expect("has a shelf");
            assert_eq!(shelf.storage.folder, storage.folder, "a resource stays in its folder");
            shelf.storage = Arc::new(storage);
            return id;
        }
        let id = state.shelves.add(storage);
        let revision = state.revision;
        state.history.begin(id, revision);
        let mut claimed = Vec::new();
        self.aside.unclaimed.retain(|path, (revision, value)| {
            let Some((_, key)) = state.shelves.locate(path) else { return true };
            claimed.push((path.clone(), Key::from(key), *revision, value.clone()));
            false
        });
        let shelf = state.shelves.get_mut(id).expect("was added");
        for (path, key, revision, value) in claimed {
            match stored::object(key, revision, &value, &shelf.storage, &*self.convert) {
                Ok(object) => drop(shelf.put(Arc::new(object))),
                Err(reason) => self.aside.give_up(&path, reason, revision, &value),
            }
        }
        drop(state);
        let mut woken = Vec::new();
        shared.topics().resync(&mut woken);
        woken.into_iter().for_each(std::task::Waker::wake);
        id
    }

    /// Takes a resource's shelf away: its watchers end. What the store has for it is kept aside. `false`: there is none.
    pub fn remove_shelf(&mut self, name: &GroupResource) -> bool {
        let Some(shelf) = ({
            let mut state = self.shared.write();
            let removed = state.shelves.remove(name);
            removed.inspect(|shelf| state.history.end(shelf.id))
        }) else {
            return false;
        };
        let folder = &shelf.storage.folder;
        for object in shelf.iter(None) {
            let path = format!("{folder}/{}", object.key.as_str());
            self.aside.unclaimed.insert(path, (object.revision, as_stored(object, &shelf.storage)));
        }
        let hopeless = &mut self.aside.undecodable;
        let gone: Vec<_> = hopeless
            .extract_if(.., |path, _| path.strip_prefix(&**folder).is_some_and(|rest| rest.starts_with('/')))
            .collect();
        self.aside.unclaimed.extend(gone.into_iter().map(|(path, (_, revision, value))| (path, (revision, value))));
        let mut woken = Vec::new();
        self.shared.topics().close(shelf.id, &mut woken);
        woken.into_iter().for_each(std::task::Waker::wake);
        true
    }

    /// (key without the store's prefix, why) of every value that is no object.
    pub fn undecodable(&self) -> impl Iterator<Item = (&str, &Undecodable)> {
        self.aside.undecodable.iter().map(|(path, (reason, ..))| (path.as_str(), reason))
    }

    /// How many values belong to no shelf.
    pub fn unclaimed(&self) -> usize {
        self.aside.unclaimed.len()
    }
}

fn as_stored(object: &Object, storage: &Storage) -> Bytes {
    match object.form {
        Form::Json => object.bytes.clone(),
        Form::Protobuf => envelope::wrap(&storage.kind.group_version().to_string(), &storage.kind.kind, &object.bytes),
    }
}

/// Deletes of which only is known that each was after `known` and not after its own revision. They get revisions that no
/// other change has, the earliest ones: a client that goes on at another server then rather hears of a delete twice than
/// never.
fn deletes(known: Revision, mut gone: Vec<(Revision, ShelfId, Key)>, puts: &[Draft]) -> Vec<Draft> {
    let used: HashSet<_> = puts.iter().map(Draft::revision).collect();
    gone.sort_by_key(|(latest, ..)| *latest);
    let mut free = known.next();
    let delete = |(latest, shelf, key)| {
        while used.contains(&free) {
            free = free.next();
        }
        let revision = free.min(latest);
        free = free.next();
        Draft::Delete(shelf, key, revision)
    };
    gone.into_iter().map(delete).collect()
}

/// How many of these changes to apply at once: whole revisions.
fn chunk(changes: &[Changed]) -> usize {
    let Some(last) = changes.get(CHUNK - 1) else { return changes.len() };
    CHUNK + changes[CHUNK..].iter().take_while(|change| change.revision == last.revision).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::error::CacheError;
    use crate::cache::event::Kind;
    use crate::cache::limits::Limits;
    use crate::cache::subscription::Update;
    use crate::cache::testing::{
        NODES, PODS, Rig, THINGS, changed, json_thing, labelled, listed, node_value, pod_value, thing_storage,
    };

    use crate::model::value::json;

    fn pod(revision: u64, name: &str) -> Changed {
        let value = pod_value(&json!({"metadata": {"name": name, "namespace": "d"}}));
        changed(revision, &format!("pods/d/{name}"), Some(&value))
    }

    #[test]
    fn a_revision_is_seen_whole_and_on_all_shelves() {
        let mut rig = Rig::new(Limits::default());
        let mut changes: Vec<_> = (0..CHUNK as u64 - 1).map(|n| pod(20 + n, &format!("p{n}"))).collect();
        let expiry = 20 + CHUNK as u64;
        let node = node_value("n1");
        changes.extend([pod(expiry, "x"), pod(expiry, "y"), changed(expiry, "minions/n1", Some(&node))]);
        changes.push(pod(expiry + 1, "z"));
        assert_eq!((chunk(&changes), chunk(&changes[..9])), (CHUNK + 2, 9));
        let mut subscription = rig.cache.subscribe(&[&*PODS, &*NODES]).expect("shelves");
        rig.apply(&changes);
        let snapshot = rig.cache.snapshot(&[&*NODES, &*PODS]).expect("shelves");
        assert_eq!(snapshot.revision, Revision(expiry + 1));
        assert_eq!(snapshot.shelves.iter().map(|shelf| shelf.len()).collect::<Vec<_>>(), [1, CHUNK + 2]);
        let seqs: Vec<_> = std::iter::from_fn(|| subscription.try_next())
            .filter_map(|update| if let Update::Event(event) = update { Some(event.seq) } else { None })
            .collect();
        assert_eq!(seqs, (0..CHUNK as u64 + 3).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_applied_is_passed_over() {
        let mut rig = Rig::new(Limits::default());
        rig.apply(&[pod(11, "a"), pod(12, "b")]);
        rig.apply(&[pod(11, "a"), pod(12, "b"), pod(13, "c")]);
        assert_eq!((listed(&rig.cache, &PODS).as_str(), rig.cache.size().events), ("a@11 b@12 c@13", 3));
        rig.apply(&[changed(14, "pods/d/none", None), changed(15, "else/where", None)]);
        assert_eq!((rig.cache.published(), rig.cache.size().events), (Revision(15), 3));
    }

    #[tokio::test]
    async fn undecodable_values_are_kept_apart() {
        let mut rig = Rig::new(Limits::default());
        rig.apply(&[pod(11, "a"), changed(12, "pods/d/b", Some(b"rubbish")), pod(13, "c")]);
        assert_eq!(listed(&rig.cache, &PODS), "a@11 c@13");
        rig.apply(&[changed(14, "pods/d/a", Some(b"k8s\0\xff"))]);
        assert_eq!(listed(&rig.cache, &PODS), "c@13");
        let (shown, count) = rig.cache.undecodable(1).await;
        assert_eq!(count, 2);
        assert_eq!(shown, [("pods/d/a".to_owned(), "unexpected EOF".to_owned())]);
        rig.apply(&[pod(15, "b"), changed(16, "pods/d/a", None)]);
        assert_eq!((listed(&rig.cache, &PODS).as_str(), rig.cache.undecodable(9).await.1), ("b@15 c@13", 0));
    }

    #[tokio::test]
    async fn a_resource_that_comes_later_finds_its_objects() {
        let mut rig = Rig::new(Limits::default());
        rig.apply(&[changed(11, "x.io/things/d/t", Some(&json_thing("d", "t", &json!({}))))]);
        rig.apply(&[changed(12, "x.io/things/d/u", Some(b"{}")), changed(13, "x.io/thingsy/d/v", Some(b"{}"))]);
        assert_eq!(rig.cache.snapshot(&[&*THINGS]).err(), Some(CacheError::NoShelf(THINGS.clone())));
        let mut all = rig.cache.subscribe_all();
        assert!(matches!(all.try_next(), Some(Update::Resync(state)) if state.shelves.len() == 2));
        rig.cache.add_shelf(thing_storage()).await;
        assert_eq!((listed(&rig.cache, &THINGS).as_str(), rig.cache.undecodable(9).await.1), ("t@11", 1));
        assert!(matches!(all.try_next(), Some(Update::Resync(state)) if state.shelves.len() == 3));
        rig.apply(&[changed(14, "x.io/things/d/t", Some(&json_thing("d", "t", &json!({"size": 1}))))]);
        assert!(matches!(all.try_next(), Some(Update::Event(event)) if event.kind() == Kind::Modified));
        assert!(rig.cache.remove_shelf(&THINGS).await && !rig.cache.remove_shelf(&THINGS).await);
        assert!(matches!(all.try_next(), Some(Update::Resync(state)) if state.shelves.len() == 2));
        assert_eq!(rig.cache.undecodable(9).await.1, 0);
        assert_eq!(rig.writer().unclaimed(), 3);
        rig.cache.add_shelf(thing_storage()).await;
        assert_eq!((listed(&rig.cache, &THINGS).as_str(), rig.cache.undecodable(9).await.1), ("t@14", 1));
    }

    #[tokio::test]
    async fn a_known_resource_may_change_how_it_is_kept() {
        let rig = Rig::new(Limits::default());
        let id = rig.cache.add_shelf(thing_storage()).await;
        let mut other = thing_storage();
        other.kind.version = "v2".into();
        assert_eq!(rig.cache.add_shelf(other).await, id);
        let snapshot = rig.cache.snapshot(&[&*THINGS]).expect("things");
        assert_eq!(snapshot.shelves[0].storage.kind.version, "v2");
    }

    #[test]
    fn a_store_that_goes_back_is_refused() {
        let mut rig = Rig::new(Limits::default());
        rig.put("d/a", &labelled("x"));
        let refused = rig.writer().install(Loading::new(Revision(10)));
        assert_eq!(refused, Err(StoreError::Damaged("its revision went back from 11 to 10".into())));
    }
}
