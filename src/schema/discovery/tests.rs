//! Discovery beside a stock server's, where a copy of its facts is at hand, and in small.

use std::sync::Arc;

use super::group::{Group, Served, groups};
use super::{aggregated, legacy};
use crate::model::names::{GroupResource, GroupVersion, GroupVersionKind};
use crate::model::value::{Value, json};
use crate::schema::catalog::Catalog;
use crate::schema::facts;
use crate::schema::resource::{Resource, Shape, Storage, Subresource, Verbs};

/// A custom resource with the status and scale subresources, kept as v1.
fn custom(group: &str, version: &str, plural: &str, kind: &str) -> Arc<Resource> {
    let shape = Shape::Custom(crate::schema::structure::Structure::default().ready());
    let edited = Verbs::GET.and(Verbs::PATCH).and(Verbs::UPDATE);
    let sub = |name: &str, kind: GroupVersionKind| Subresource { name: name.into(), verbs: edited, kind };
    Arc::new(Resource {
        kind: GroupVersionKind::new(group, version, kind),
        name: GroupResource::new(group, plural),
        singular: kind.to_lowercase().into(),
        list_kind: format!("{kind}List").into(),
        namespaced: true,
        verbs: Verbs::ALL,
        short_names: vec!["th".into()],
        categories: vec!["all".into()],
        subresources: vec![
            sub("status", GroupVersionKind::new("", "", kind)),
            sub("scale", GroupVersionKind::new("autoscaling", "v1", "Scale")),
        ],
        shape: shape.clone(),
        storage: Some(Storage {
            shelf: GroupResource::new(group, plural),
            folder: format!("{group}/{plural}").into(),
            kind: GroupVersionKind::new(group, "v1", kind),
            shape,
        }),
        fields: Vec::new(),
        unknown_field: Default::default(),
        definition: None,
    })
}

fn resources<'a>(groups: &'a [Group<'a>], group: &str, version: &str) -> Value {
    let group = groups.iter().find(|g| g.name == group).expect("a group");
    let found = group.versions.iter().find(|v| v.name == version).expect("a version");
    let Served::Here(resources) = &found.served else { panic!("served here") };
    legacy::resource_list(&GroupVersion::new(&group.name, version), resources)
}

#[test]
fn aggregated_discovery_is_a_stock_servers() {
    let Some(wanted) = facts::stock("discovery.json.gz") else { return };
    let catalog = Catalog::builtin();
    let groups = groups(&catalog);
    facts::assert_same(&aggregated::core(&groups), &wanted["api"], "/api");
    facts::assert_same(&aggregated::named(&groups), &wanted["apis"], "/apis");
}

#[test]
fn a_version_lists_its_resources_and_where_they_are_kept() {
    let catalog = Catalog::builtin();
    let verbs = json!(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]);
    assert_eq!(
        resources(&groups(&catalog), "autoscaling", "v1"),
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": "autoscaling/v1",
            "resources": [
                {
                    "name": "horizontalpodautoscalers",
                    "singularName": "horizontalpodautoscaler",
                    "namespaced": true,
                    "kind": "HorizontalPodAutoscaler",
                    "verbs": verbs,
                    "shortNames": ["hpa"],
                    "categories": ["all"],
                    "storageVersionHash": "qwQve8ut294=",
                },
                {
                    "name": "horizontalpodautoscalers/status",
                    "singularName": "",
                    "namespaced": true,
                    "kind": "HorizontalPodAutoscaler",
                    "verbs": ["get", "patch", "update"],
                },
            ],
        })
    );
}

#[test]
fn storage_hashes_name_the_kept_version() {
    let catalog = Catalog::builtin();
    let groups = groups(&catalog);
    let hash = |group: &str, version: &str, name: &str| {
        let list = resources(&groups, group, version);
        let found = list["resources"].as_array().expect("a list").iter().find(|r| r["name"] == name);
        found.expect("a resource")["storageVersionHash"].clone()
    };
    // Events are the core group's, a policy that is new in this version is kept as the last one knew it.
    assert_eq!(hash("events.k8s.io", "v1", "events"), "r2yiGXH7wu8=");
    assert_eq!(hash("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies"), "LYmCf+UMVdg=");
    assert_eq!(hash("", "v1", "bindings"), Value::Null);
}

#[test]
fn the_core_group_has_documents_of_its_own_form() {
    let catalog = Catalog::builtin();
    let groups = groups(&catalog);
    assert_eq!(
        legacy::core_versions(&groups, "192.0.2.10:6443"),
        json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "192.0.2.10:6443"}],
        })
    );
    assert_eq!(resources(&groups, "", "v1").get("apiVersion"), None);
    let list = resources(&groups, "", "v1");
    let names: Vec<_> = list["resources"].as_array().expect("a list").iter().map(|r| r["name"].clone()).collect();
    let at = names.iter().position(|name| name == "pods").expect("pods");
    assert_eq!(names[at..at + 4], ["pods", "pods/attach", "pods/binding", "pods/ephemeralcontainers"]);
}

#[test]
fn custom_groups_follow_the_built_in_ones_by_name_and_their_versions_by_age() {
    let catalog = Catalog::builtin().with([
        custom("shop.example.com", "v1beta1", "widgets", "Widget"),
        custom("shop.example.com", "v1", "widgets", "Widget"),
        custom("apps.example.com", "v1", "things", "Thing"),
    ]);
    let groups = groups(&catalog);
    let list = legacy::group_list(&groups);
    let names: Vec<_> = list["groups"].as_array().expect("a list").iter().map(|g| g["name"].clone()).collect();
    assert_eq!(names[names.len() - 3..], ["flowcontrol.apiserver.k8s.io", "apps.example.com", "shop.example.com"]);
    assert_eq!(
        legacy::group(groups.last().expect("a group")),
        json!({
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": "shop.example.com",
            "versions": [
                {"groupVersion": "shop.example.com/v1", "version": "v1"},
                {"groupVersion": "shop.example.com/v1beta1", "version": "v1beta1"},
            ],
            "preferredVersion": {"groupVersion": "shop.example.com/v1", "version": "v1"},
        })
    );
}

#[test]
fn custom_resources_are_told_like_built_in_ones() {
    let catalog = Catalog::new(vec![custom("shop.example.com", "v1", "widgets", "Widget")]);
    let groups = groups(&catalog);
    let verbs = json!(["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]);
    let edited = json!(["get", "patch", "update"]);
    let list = resources(&groups, "shop.example.com", "v1");
    assert_eq!(list["resources"][0]["verbs"], verbs);
    assert_eq!(
        list["resources"][2],
        json!({"name": "widgets/scale", "singularName": "", "namespaced": true, "group": "autoscaling", "version": "v1",
            "kind": "Scale", "verbs": edited})
    );
    assert_eq!(
        aggregated::named(&groups)["items"],
        json!([{
            "metadata": {"name": "shop.example.com"},
            "versions": [{
                "version": "v1",
                "freshness": "Current",
                "resources": [{
                    "resource": "widgets",
                    "responseKind": {"group": "", "version": "", "kind": "Widget"},
                    "scope": "Namespaced",
                    "singularResource": "widget",
                    "verbs": verbs,
                    "shortNames": ["th"],
                    "categories": ["all"],
                    "subresources": [
                        {"subresource": "status", "responseKind": {"group": "", "version": "", "kind": "Widget"}, "verbs": edited},
                        {"subresource": "scale", "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}, "verbs": edited},
                    ],
                }],
            }],
        }])
    );
}

#[test]
fn an_aggregated_servers_resources_stand_as_it_told_them() {
    let told = json!([{"resource": "nodes", "scope": "Cluster", "verbs": ["get", "list"]}]);
    let served = Served::Elsewhere { resources: told.as_array().cloned().unwrap_or_default(), stale: true };
    let version = super::group::Version { name: "v1beta1".into(), served };
    let group = Group { name: "metrics.k8s.io".into(), versions: vec![version] };
    assert_eq!(
        aggregated::named(&[group])["items"][0]["versions"],
        json!([{"version": "v1beta1", "freshness": "Stale", "resources": told}])
    );
}
