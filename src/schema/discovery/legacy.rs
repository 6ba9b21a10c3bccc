//! Discovery in one document a path: `/api`, `/apis`, `/apis/<group>`, `/api/v1`, `/apis/<group>/<version>`.

use super::group::{Group, texts, verbs};
use crate::model::names::{GroupVersion, GroupVersionKind};
use crate::model::value::{Map, Value, json};
use crate::schema::resource::{Resource, Storage, Verbs};
use crate::schema::{builtin, digest};

/// `/api`: the versions of the core group. `address` is where clients reach this server: `192.0.2.1:6443`.
pub fn core_versions(groups: &[Group<'_>], address: &str) -> Value {
    let core = groups.iter().filter(|g| g.name.is_empty());
    let versions: Vec<&str> = core.flat_map(|g| &g.versions).map(|v| v.name.as_str()).collect();
    json!({
        "kind": "APIVersions",
        "versions": versions,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`: every group but the core.
pub fn group_list(groups: &[Group<'_>]) -> Value {
    let named = groups.iter().filter(|g| !g.name.is_empty());
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": named.map(versions).collect::<Vec<_>>()})
}

/// `/apis/<group>`.
pub fn group(group: &Group<'_>) -> Value {
    let mut document = versions(group);
    document["kind"] = "APIGroup".into();
    document["apiVersion"] = "v1".into();
    document
}

/// `/api/v1` and `/apis/<group>/<version>`: the resources of one version, each followed by its subresources.
pub fn resource_list(version: &GroupVersion, resources: &[&Resource]) -> Value {
    let mut list = Vec::new();
    for resource in resources {
        list.push(entry(resource));
        for sub in &resource.subresources {
            let name = format!("{}/{}", resource.name.resource, sub.name);
            list.push(named(resource, &name, "", &sub.kind, sub.verbs));
        }
    }
    let mut document = json!({"kind": "APIResourceList", "groupVersion": version.to_string(), "resources": list});
    // Stock's core group is older than the field and never got it.
    if !version.group.is_empty() {
        document["apiVersion"] = "v1".into();
    }
    document
}

fn versions(group: &Group<'_>) -> Value {
    let one = |version: &str| json!({"groupVersion": format!("{}/{version}", group.name), "version": version});
    let all: Vec<_> = group.versions.iter().map(|v| one(&v.name)).collect();
    json!({"name": group.name.as_str(), "preferredVersion": all.first(), "versions": all})
}

fn entry(resource: &Resource) -> Value {
    let own = &resource.kind;
    let unnamed = GroupVersionKind::new("", "", &own.kind);
    let mut entry = named(resource, &resource.name.resource, &resource.singular, &unnamed, resource.verbs);
    if !resource.short_names.is_empty() {
        entry["shortNames"] = texts(&resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = texts(&resource.categories);
    }
    // Of a custom resource only the version that is kept has one.
    let keeps = |storage: &&Storage| resource.shape.message().is_some() || storage.kind == *own;
    if let Some(storage) = resource.storage.as_ref().filter(keeps) {
        let announced =
            builtin::row_of(&own.group, &own.version, &resource.name.resource).map_or("", |row| row.announced);
        let version = if announced.is_empty() { &storage.kind.version } else { announced };
        let kept = GroupVersionKind::new(&storage.kind.group, version, &storage.kind.kind);
        entry["storageVersionHash"] = digest::storage_version(&kept).into();
    }
    entry
}

fn named(resource: &Resource, name: &str, singular: &str, kind: &GroupVersionKind, allowed: Verbs) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), name.into());
    entry.insert("singularName".into(), singular.into());
    entry.insert("namespaced".into(), resource.namespaced.into());
    entry.insert("kind".into(), kind.kind.as_str().into());
    entry.insert("verbs".into(), json!(verbs(resource, allowed)));
    for (key, part) in [("group", &kind.group), ("version", &kind.version)] {
        if !part.is_empty() {
            entry.insert(key.into(), part.as_str().into());
        }
    }
    Value::Object(entry)
}
