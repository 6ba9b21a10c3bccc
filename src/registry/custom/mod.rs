//! Custom resources: definitions take effect while the server runs, and their objects are written by their own rules.
//!
//! It owns the way from CustomResourceDefinitions in the cache to the catalog, their status, and the end of their
//! objects. What a schema demands of objects `rules::custom` knows.
//!
//! In reading order: `objects` (reading and writing by a definition), `follow` (from definitions to the catalog),
//! `cleanup` (a definition that goes takes its objects with it).

pub mod cleanup;
pub mod follow;
pub mod objects;

#[cfg(test)]
mod tests;

use crate::auth::identity::User;
use crate::model::names::GroupResource;
use crate::registry::client::{Client, Target};
use crate::registry::core::Registry;
use crate::registry::request::Address;
use crate::schema::openapi::source::Custom;
use crate::schema::resource::Resource;

const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";

/// The shelf of the definitions.
fn shelf() -> GroupResource {
    GroupResource::new(GROUP, PLURAL)
}

/// A definition, to write it.
fn target(name: &str) -> Target<'_> {
    Target::new(GROUP, PLURAL, "", name)
}

/// As whom definitions and their objects are written.
fn client(registry: &Registry) -> Client {
    Client::new(registry, User::new("system:apiserver", &["system:masters"]), "kube-apiserver")
}

/// What OpenAPI tells of a custom resource: its definition is read for it, and not kept.
pub fn published(registry: &Registry, resource: &Resource) -> Custom {
    let crd = format!("{}.{}", resource.name.resource, resource.name.group);
    let definitions = registry.catalog.load().preferred(&shelf()).cloned();
    let found = definitions.and_then(|of| registry.cached(&Address::new(&of, "", &crd)).ok()?);
    let Some(crd) = found.map(|found| found.value) else { return Custom::default() };
    let mut versions = crd["spec"]["versions"].as_array().into_iter().flatten();
    let Some(version) = versions.find(|version| version["name"] == resource.kind.version.as_str()) else {
        return Custom::default();
    };
    let selectable = version["selectableFields"].as_array().into_iter().flatten();
    Custom {
        schema: version.pointer("/schema/openAPIV3Schema").cloned(),
        selectable: selectable.filter_map(|field| field["jsonPath"].as_str().map(str::to_owned)).collect(),
        preserve_unknown: crd["spec"]["preserveUnknownFields"] == true,
    }
}
