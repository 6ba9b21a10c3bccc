//! The served groups in the order of discovery.

use compact_str::CompactString;

use crate::model::value::Value;
use crate::model::version;
use crate::schema::catalog::Catalog;
use crate::schema::resource::{Resource, Shape, Verbs};

/// The verbs of a custom resource, in the order in which stock lists them.
const CUSTOM_VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// A group and its versions, the preferred one first. The core group's name is empty.
pub struct Group<'a> {
    pub name: CompactString,
    pub versions: Vec<Version<'a>>,
}

/// A version of a group.
pub struct Version<'a> {
    pub name: CompactString,
    pub served: Served<'a>,
}

/// Where a version's resources are known from.
pub enum Served<'a> {
    /// The catalog.
    Here(Vec<&'a Resource>),
    /// An aggregated server: its `APIResourceDiscovery` items, and whether it could not be asked of late.
    Elsewhere { resources: Vec<Value>, stale: bool },
}

/// The groups of a catalog: the built-in ones in their own order, then those of custom resources by name.
pub fn groups(catalog: &Catalog) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let builtin = |r: &Resource| matches!(r.shape, Shape::Builtin(_));
    for resource in catalog.resources().iter().filter(|r| builtin(r)) {
        add(&mut groups, resource);
    }
    let own = groups.len();
    let mut custom: Vec<_> = catalog.resources().iter().filter(|r| !builtin(r)).collect();
    custom.sort_by(|a, b| {
        let versions = || version::compare(&a.kind.version, &b.kind.version);
        a.kind.group.cmp(&b.kind.group).then_with(versions).then_with(|| a.name.resource.cmp(&b.name.resource))
    });
    for resource in custom {
        add(&mut groups, resource);
    }
    debug_assert!(groups[own..].is_sorted_by(|a, b| a.name < b.name));
    groups
}

fn add<'a>(groups: &mut Vec<Group<'a>>, resource: &'a Resource) {
    let kind = &resource.kind;
    let at = groups.iter().position(|g| g.name == kind.group).unwrap_or_else(|| {
        groups.push(Group { name: kind.group.clone(), versions: Vec::new() });
        groups.len() - 1
    });
    let versions = &mut groups[at].versions;
    let known = versions.iter().position(|v| v.name == kind.version).unwrap_or_else(|| {
        versions.push(Version { name: kind.version.clone(), served: Served::Here(Vec::new()) });
        versions.len() - 1
    });
    let Served::Here(resources) = &mut versions[known].served else { return };
    if !resources.iter().any(|r| r.name == resource.name) {
        resources.push(resource);
    }
}

/// The names of a resource's or subresource's verbs, in the order of its kind of resource.
pub(super) fn verbs(resource: &Resource, verbs: Verbs) -> Vec<&'static str> {
    match resource.shape {
        Shape::Builtin(_) => verbs.names().collect(),
        Shape::Custom(_) => {
            let has = |name: &&str| Verbs::parse(name).is_some_and(|verb| verbs.contains(verb));
            CUSTOM_VERBS.into_iter().filter(has).collect()
        }
    }
}

pub(super) fn texts(list: &[CompactString]) -> Value {
    list.iter().map(CompactString::as_str).collect()
}
