//! One resource: all of its objects in the order of their keys, and its indexes. A clone is a snapshot and costs a few
//! reference counts: maps are persistent trees that share what did not change.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use smallvec::SmallVec;

use super::index::{self, Index};
use super::object::{Key, Object};
use crate::schema::resource::Storage;

/// Names a shelf for as long as the cache lives; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShelfId(pub u32);

/// A resource's objects.
#[derive(Clone)]
pub struct Shelf {
    pub id: ShelfId,
    pub storage: Arc<Storage>,
    pub(super) objects: OrdMap<Key, Arc<Object>>,
    indexes: SmallVec<[(&'static Index, OrdSet<Posting>); 4]>,
    /// Of all objects.
    bytes: usize,
}

/// That the object of this key is found under a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Posting {
    hash: u64,
    key: Key,
}

type Hashes = SmallVec<[u64; 2]>;

impl Shelf {
    pub(super) fn new(id: ShelfId, storage: Arc<Storage>) -> Self {
        let indexes = Index::of_shelf(&storage.shelf).map(|index| (index, OrdSet::new())).collect();
        Self { id, storage, objects: OrdMap::new(), indexes, bytes: 0 }
    }

    /// Puts an object in the place of the one with its key, which is given back.
    pub(super) fn put(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        self.bytes += object.bytes.len();
        let previous = self.objects.insert(object.key.clone(), object.clone());
        self.bytes -= previous.as_ref().map_or(0, |previous| previous.bytes.len());
        for (index, postings) in &mut self.indexes {
            let new = hashes(index, &self.storage, Some(&object));
            let old = hashes(index, &self.storage, previous.as_deref());
            repost(postings, &object.key, &old, &new);
        }
        previous
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Arc<Object>> {
        let object = self.objects.remove(key)?;
        self.bytes -= object.bytes.len();
        for (index, postings) in &mut self.indexes {
            let old = hashes(index, &self.storage, Some(&object));
            repost(postings, &object.key, &old, &[]);
        }
        Some(object)
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Bytes of all objects, without what it costs to keep them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The objects found under a value of an index, in the order of keys. None, if the shelf has no such index.
    pub fn by_index(&self, index: &'static Index, value: &str) -> impl Iterator<Item = &Arc<Object>> {
        let hash = index::hash(value);
        let postings = self.indexes.iter().find(|(known, _)| *known == index).map(|(_, postings)| postings);
        postings
            .into_iter()
            .flat_map(move |postings| postings.range(Posting { hash, key: "".into() }..))
            .take_while(move |posting| posting.hash == hash)
            .filter_map(|posting| self.objects.get(posting.key.as_str()))
            .filter(move |object| index.has(object, &self.storage.shape, value))
    }
}

fn hashes(index: &Index, storage: &Storage, object: Option<&Object>) -> Hashes {
    let mut hashes = Hashes::new();
    if let Some(object) = object {
        index.values(object, &storage.shape, |value| hashes.push(index::hash(value)));
    }
    hashes
}

fn repost(postings: &mut OrdSet<Posting>, key: &Key, old: &[u64], new: &[u64]) {
    if old == new {
        return;
    }
    for hash in old.iter().filter(|hash| !new.contains(hash)) {
        postings.remove(&Posting { hash: *hash, key: key.clone() });
    }
    for hash in new.iter().filter(|hash| !old.contains(hash)) {
        postings.insert(Posting { hash: *hash, key: key.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::index::{OWNER, POD_NODE, UID};
    use crate::cache::testing::{object, storage_of};
    use crate::model::value::json;

    fn shelf() -> Shelf {
        Shelf::new(ShelfId(0), Arc::new(storage_of("", "v1", "pods")))
    }

    fn pod(name: &str, revision: u64, node: &str, owners: &[&str]) -> Arc<Object> {
        let owners: Vec<_> = owners.iter().map(|uid| json!({"kind": "X", "name": "x", "uid": uid})).collect();
        let metadata = json!({"name": name, "namespace": "d", "uid": format!("uid-{name}"), "ownerReferences": owners});
        object(revision, &json!({"metadata": metadata, "spec": {"nodeName": node}}))
    }

    fn found(shelf: &Shelf, index: &'static Index, value: &str) -> Vec<String> {
        shelf.by_index(index, value).map(|object| object.name().to_owned()).collect()
    }

    #[test]
    fn indexes_follow_the_objects() {
        let mut shelf = shelf();
        shelf.put(pod("a", 1, "", &["o1", "o2"]));
        shelf.put(pod("b", 2, "n1", &["o1"]));
        assert_eq!(found(&shelf, &POD_NODE, ""), ["a"]);
        assert_eq!(found(&shelf, &OWNER, "o1"), ["a", "b"]);
        assert_eq!(found(&shelf, &UID, "uid-b"), ["b"]);
        shelf.put(pod("a", 3, "n1", &["o2"]));
        assert_eq!(found(&shelf, &POD_NODE, "n1"), ["a", "b"]);
        assert_eq!(found(&shelf, &OWNER, "o1"), ["b"]);
        shelf.remove("d/b");
        assert_eq!(found(&shelf, &POD_NODE, "n1"), ["a"]);
        assert_eq!((found(&shelf, &OWNER, "o1").len(), found(&shelf, &UID, "uid-b").len()), (0, 0));
        shelf.remove("d/a");
        assert_eq!((shelf.len(), shelf.bytes()), (0, 0));
        assert!(shelf.indexes.iter().all(|(_, postings)| postings.is_empty()));
    }

    #[test]
    fn a_snapshot_stays_while_the_shelf_changes() {
        let mut shelf = shelf();
        shelf.put(pod("a", 1, "n1", &[]));
        let snapshot = shelf.clone();
        shelf.put(pod("a", 2, "n2", &[]));
        shelf.put(pod("b", 3, "n1", &[]));
        assert_eq!((found(&snapshot, &POD_NODE, "n1"), snapshot.len()), (vec!["a".to_owned()], 1));
        assert_eq!(found(&shelf, &POD_NODE, "n1"), ["b"]);
        assert_eq!(snapshot.objects["d/a"].revision.0, 1);
    }
}
