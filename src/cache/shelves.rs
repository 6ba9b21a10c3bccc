//! All shelves: found by the resource's name, or by a key of the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use compact_str::CompactString;

use super::shelf::{Shelf, ShelfId};
use crate::model::names::GroupResource;
use crate::schema::resource::Storage;

/// Every resource that the cache keeps.
#[derive(Default)]
pub struct Shelves {
    by_id: BTreeMap<ShelfId, Arc<Shelf>>,
    by_name: HashMap<GroupResource, ShelfId>,
    by_folder: HashMap<CompactString, ShelfId>,
    next: u32,
}

impl Shelves {
    /// An empty shelf. There must be none of that name or folder.
    pub fn add(&mut self, storage: Storage) -> ShelfId {
        let id = ShelfId(self.next);
        self.next += 1;
        let known =
            self.by_name.insert(storage.shelf.clone(), id).or(self.by_folder.insert(storage.folder.clone(), id));
        assert_eq!(known, None, "{} and its folder {} are given once", storage.shelf, storage.folder);
        self.by_id.insert(id, Arc::new(Shelf::new(id, Arc::new(storage))));
        id
    }

    pub fn remove(&mut self, name: &GroupResource) -> Option<Arc<Shelf>> {
        let id = self.by_name.remove(name)?;
        let shelf = self.by_id.remove(&id)?;
        self.by_folder.remove(&shelf.storage.folder);
        Some(shelf)
    }

    pub fn id(&self, name: &GroupResource) -> Option<ShelfId> {
        self.by_name.get(name).copied()
    }

    pub fn get(&self, id: ShelfId) -> Option<&Arc<Shelf>> {
        self.by_id.get(&id)
    }

    pub fn find(&self, name: &GroupResource) -> Option<&Arc<Shelf>> {
        self.get(self.id(name)?)
    }

    /// The shelf, to change it. Snapshots of it stay as they are.
    pub(super) fn get_mut(&mut self, id: ShelfId) -> Option<&mut Shelf> {
        self.by_id.get_mut(&id).map(Arc::make_mut)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Shelf>> {
        self.by_id.values()
    }

    /// The shelf and the object's key for a key of the store, given without the store's prefix:
    /// `services/specs/default/web` is `default/web` in the longest folder that is known.
    pub fn locate<'a>(&self, path: &'a str) -> Option<(&Arc<Shelf>, &'a str)> {
        let mut folder = path;
        while let Some((shorter, _)) = folder.rsplit_once('/') {
            folder = shorter;
            if let Some(id) = self.by_folder.get(folder) {
                let key = &path[folder.len() + 1..];
                let whole = key.split('/').count() <= 2 && key.split('/').all(|part| !part.is_empty());
                return whole.then_some((self.get(*id)?, key));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::{storage_of, thing_storage};

    #[test]
    fn keys_lead_to_their_shelf() {
        let mut shelves = Shelves::default();
        for storage in [storage_of("", "v1", "pods"), storage_of("", "v1", "services"), thing_storage()] {
            shelves.add(storage);
        }
        let located = |path| shelves.locate(path).map(|(shelf, key)| (shelf.storage.shelf.to_string(), key));
        assert_eq!(located("pods/default/web"), Some(("pods".into(), "default/web")));
        assert_eq!(located("services/specs/default/web"), Some(("services".into(), "default/web")));
        assert_eq!(located("x.io/things/a/b"), Some(("things.x.io".into(), "a/b")));
        assert_eq!(located("x.io/things/b"), Some(("things.x.io".into(), "b")));
        for strange in ["pods", "pods/", "pods/a//b", "pods/a/b/c", "podsx/a/b", "services/default/web", ""] {
            assert_eq!(located(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_name_that_comes_again_is_another_shelf() {
        let mut shelves = Shelves::default();
        let name = GroupResource::new("x.io", "things");
        let first = shelves.add(thing_storage());
        assert!(shelves.remove(&name).is_some() && shelves.remove(&name).is_none());
        assert_eq!(shelves.locate("x.io/things/a/b").map(|(_, key)| key), None);
        assert_ne!(shelves.add(thing_storage()), first);
    }
}
