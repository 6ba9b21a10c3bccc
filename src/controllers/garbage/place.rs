//! Where an object is: its resource and its key. The keys of the garbage collector's queue.

use std::sync::Arc;

use crate::cache::handle::Snapshot;
use crate::cache::object::{Object, Owner};
use crate::cache::shelf::Shelf;
use crate::model::names::{GroupResource, GroupVersion};
use crate::registry::core::Registry;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub shelf: GroupResource,
    /// `namespace/name`, or `name`.
    pub key: String,
}

/// An object in a snapshot.
pub struct InSnapshot<'a> {
    pub shelf: &'a Arc<Shelf>,
    pub object: &'a Arc<Object>,
}

/// Where the object of an owner reference would be.
pub enum Found {
    At(Place),
    /// Nobody serves its kind, or it cannot be an owner there: nothing may be concluded from its absence.
    Unknown,
}

impl Place {
    pub fn new(shelf: &GroupResource, key: &str) -> Self {
        Self { shelf: shelf.clone(), key: key.to_owned() }
    }

    /// `deployments.apps|namespace/name`.
    pub fn text(&self) -> String {
        format!("{}|{}", self.shelf, self.key)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (shelf, key) = text.split_once('|')?;
        let (resource, group) = shelf.split_once('.').unwrap_or((shelf, ""));
        Some(Self { shelf: GroupResource::new(group, resource), key: key.to_owned() })
    }

    pub fn find<'a>(&self, snapshot: &'a Snapshot) -> Option<InSnapshot<'a>> {
        let shelf = snapshot.find(&self.shelf)?;
        Some(InSnapshot { shelf, object: shelf.get_key(&self.key)? })
    }

    /// The object as the cache has it now.
    pub fn get(&self, registry: &Registry) -> Option<Arc<Object>> {
        let (namespace, name) = self.split();
        registry.cache.get(&self.shelf, namespace, name).ok()?
    }

    /// (namespace, name)
    pub fn split(&self) -> (&str, &str) {
        self.key.split_once('/').unwrap_or(("", &self.key))
    }
}

/// Where the owner of an object in this namespace is.
pub fn owner(registry: &Registry, namespace: &str, owner: &Owner<'_>) -> Found {
    let catalog = registry.catalog.load();
    let kind = GroupVersion::parse(&owner.api_version).map(|version| version.with_kind(&owner.kind));
    let Some(resource) = kind.and_then(|kind| catalog.by_kind(&kind).cloned()) else { return Found::Unknown };
    let Some(storage) = &resource.storage else { return Found::Unknown };
    match (resource.namespaced, namespace) {
        // An object of the cluster cannot have an owner in a namespace: nobody knows in which.
        (true, "") => Found::Unknown,
        (true, namespace) => Found::At(Place::new(&storage.shelf, &format!("{namespace}/{}", owner.name))),
        (false, _) => Found::At(Place::new(&storage.shelf, &owner.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_its_text() {
        for (group, resource, key) in
            [("apps", "deployments", "d/a"), ("", "nodes", "n.x"), ("a.b.io", "things", "d/x")]
        {
            let place = Place::new(&GroupResource::new(group, resource), key);
            assert_eq!(Place::parse(&place.text()), Some(place));
        }
    }
}
