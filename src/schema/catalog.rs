//! The live set of resources. It is replaced as a whole when CustomResourceDefinitions change, so that every request sees
//! one consistent set.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use compact_str::CompactString;

use super::builtin::{ROWS, Row};
use super::resource::{Resource, Storage};
use crate::model::names::{GroupResource, GroupVersionKind};

/// Every resource that is served, in the order of discovery.
#[derive(Debug, Default)]
pub struct Catalog {
    resources: Vec<Arc<Resource>>,
    /// (group, version, plural) -> position
    by_path: HashMap<(CompactString, CompactString, CompactString), usize>,
    by_kind: HashMap<GroupVersionKind, usize>,
}

impl Catalog {
    /// The built-in resources alone.
    pub fn builtin() -> Self {
        Self::new(ROWS.iter().map(|row| Arc::new(resource(row))).collect())
    }

    /// The first of two resources with the same path or kind is the one served.
    pub fn new(resources: Vec<Arc<Resource>>) -> Self {
        let mut catalog = Self { by_path: HashMap::new(), by_kind: HashMap::new(), resources };
        for (at, resource) in catalog.resources.iter().enumerate() {
            let kind = &resource.kind;
            let path = (kind.group.clone(), kind.version.clone(), resource.name.resource.clone());
            catalog.by_path.entry(path).or_insert(at);
            catalog.by_kind.entry(kind.clone()).or_insert(at);
        }
        catalog
    }

    /// These resources and `more`.
    pub fn with(&self, more: impl IntoIterator<Item = Arc<Resource>>) -> Self {
        Self::new(self.resources.iter().cloned().chain(more).collect())
    }

    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let key = (group.into(), version.into(), plural.into());
        self.by_path.get(&key).map(|at| &self.resources[*at])
    }

    pub fn by_kind(&self, kind: &GroupVersionKind) -> Option<&Arc<Resource>> {
        self.by_kind.get(kind).map(|at| &self.resources[*at])
    }

    /// The resource in its preferred version, or the one of the group that has it.
    pub fn preferred(&self, name: &GroupResource) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|r| r.name == *name)
    }

    /// What is kept, each once.
    pub fn storages(&self) -> Vec<Storage> {
        let mut storages: Vec<Storage> = Vec::new();
        for storage in self.resources.iter().filter_map(|r| r.storage.as_ref()) {
            if !storages.iter().any(|s| s.shelf == storage.shelf) {
                storages.push(storage.clone());
            }
        }
        storages
    }
}

/// The catalog that requests read now. Cheap to clone; all clones see the same.
#[derive(Clone, Default)]
pub struct Live(Arc<ArcSwap<Catalog>>);

impl Live {
    pub fn new(catalog: Catalog) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(catalog)))
    }

    pub fn load(&self) -> Arc<Catalog> {
        self.0.load_full()
    }

    pub fn replace(&self, catalog: Catalog) {
        self.0.store(Arc::new(catalog));
    }
}

fn resource(row: &Row) -> Resource {
    let texts = |list: &[&str]| list.iter().map(|s| CompactString::from(*s)).collect();
    Resource {
        kind: row.kind(),
        name: GroupResource::new(row.group, row.resource),
        singular: row.singular.into(),
        list_kind: compact_str::format_compact!("{}List", row.kind),
        namespaced: row.namespaced,
        verbs: row.verbs,
        short_names: texts(row.short_names),
        categories: texts(row.categories),
        subresources: row.subresources(),
        shape: row.shape(),
        storage: row.storage(),
        fields: texts(row.fields),
        unknown_field: unknown_field(row).into(),
        definition: None,
    }
}

/// Kinds that name fields of their own refuse others in other words than kinds that do not.
fn unknown_field(row: &Row) -> &'static str {
    match (row.unknown_field, row.fields) {
        ("", []) => "{quoted} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ("", _) => "field label not supported: {field}",
        (own, _) => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_share_a_kind_share_a_shelf() {
        let catalog = Catalog::builtin();
        let shelf = |group, version, plural| {
            let found = catalog.find(group, version, plural).expect("a resource");
            found.storage.as_ref().map(|s| (s.shelf.to_string(), s.kind.clone()))
        };
        assert_eq!(shelf("", "v1", "events"), shelf("events.k8s.io", "v1", "events"));
        assert_eq!(
            shelf("autoscaling", "v1", "horizontalpodautoscalers"),
            shelf("autoscaling", "v2", "horizontalpodautoscalers")
        );
        assert_eq!(shelf("", "v1", "bindings"), None);
        assert!(catalog.storages().len() > 50);
    }
}
