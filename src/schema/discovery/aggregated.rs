//! Discovery in one document: `/api` and `/apis` as an `APIGroupDiscoveryList` (KEP-3352).

use super::group::{Group, Served, Version, texts, verbs};
use crate::model::names::GroupVersionKind;
use crate::model::value::{Value, json};
use crate::schema::resource::{Resource, Subresource};

/// The group and version of the document.
pub const API_VERSION: &str = "apidiscovery.k8s.io/v2";

/// `/api`: the core group alone.
pub fn core(groups: &[Group<'_>]) -> Value {
    list(groups.iter().filter(|g| g.name.is_empty()))
}

/// `/apis`: every other group.
pub fn named(groups: &[Group<'_>]) -> Value {
    list(groups.iter().filter(|g| !g.name.is_empty()))
}

fn list<'g, 'a: 'g>(groups: impl Iterator<Item = &'g Group<'a>>) -> Value {
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": API_VERSION,
        "metadata": {},
        "items": groups.map(group).collect::<Vec<_>>(),
    })
}

fn group(group: &Group<'_>) -> Value {
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name.as_str()}) };
    json!({"metadata": metadata, "versions": group.versions.iter().map(version).collect::<Vec<_>>()})
}

fn version(version: &Version<'_>) -> Value {
    let (resources, stale) = match &version.served {
        Served::Here(resources) => (resources.iter().map(|r| resource(r)).collect(), false),
        Served::Elsewhere { resources, stale } => (resources.clone(), *stale),
    };
    json!({"version": version.name.as_str(), "resources": resources, "freshness": if stale { "Stale" } else { "Current" }})
}

fn resource(resource: &Resource) -> Value {
    let mut entry = json!({
        "resource": resource.name.resource.as_str(),
        "responseKind": kind(&GroupVersionKind::new("", "", &resource.kind.kind)),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular.as_str(),
        "verbs": verbs(resource, resource.verbs),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = texts(&resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = texts(&resource.categories);
    }
    if !resource.subresources.is_empty() {
        let one = |sub: &Subresource| {
            let verbs = verbs(resource, sub.verbs);
            json!({"subresource": sub.name.as_str(), "responseKind": kind(&sub.kind), "verbs": verbs})
        };
        entry["subresources"] = resource.subresources.iter().map(one).collect();
    }
    entry
}

fn kind(kind: &GroupVersionKind) -> Value {
    json!({"group": kind.group.as_str(), "version": kind.version.as_str(), "kind": kind.kind.as_str()})
}
