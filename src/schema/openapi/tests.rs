//! The documents beside those of a stock server, where a copy of its facts is at hand, and in small.

use std::sync::Arc;

use super::definition::{Definitions, Dialect, Scope};
use super::describe::Descriptions;
use super::published::Publisher;
use super::source::{Custom, Source};
use super::{v2, v3};
use crate::model::names::{GroupResource, GroupVersionKind};
use crate::model::value::{Value, json};
use crate::schema::catalog::Catalog;
use crate::schema::facts;
use crate::schema::resource::{Resource, Shape, Subresource, Verbs};
use crate::schema::table::message;

fn builtin(then: impl FnOnce(&Source<'_>)) {
    let catalog = Catalog::builtin();
    let texts = Descriptions::unpack();
    then(&Source { catalog: &catalog, custom: &|_| Custom::default(), texts: &texts });
}

/// Facts and most tests are without descriptions.
fn without_descriptions(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|key, value| key != "description" || !value.is_string());
                members.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

fn document(source: &Source<'_>, path: &str) -> Value {
    let document = v3::document(source, path).expect("a document");
    serde_json::from_slice(&document).expect("JSON")
}

/// `GET /path id` of each operation, sorted.
fn operations(document: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item").iter().filter(|(key, _)| *key != "parameters") {
            lines.push(format!("{path} {method} {}", operation["operationId"].as_str().expect("an id")));
        }
    }
    lines
}

#[test]
fn version_2_is_a_stock_servers() {
    let Some(wanted) = facts::stock("openapi-v2.json.gz") else { return };
    builtin(|source| {
        let got = serde_json::from_slice(&v2::document(source)).expect("JSON");
        facts::assert_same(&without_descriptions(got), &wanted, "v2");
    });
}

#[test]
fn version_3_is_a_stock_servers() {
    let Some(wanted) = facts::stock("openapi-v3.json.gz") else { return };
    let wanted = wanted.as_object().expect("documents by path");
    builtin(|source| {
        let paths: Vec<_> = v3::paths(source.catalog).into_iter().collect();
        assert_eq!(paths.iter().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
        for (path, wanted) in wanted {
            facts::assert_same(&without_descriptions(document(source, path)), wanted, path);
        }
    });
}

#[test]
fn a_type_says_the_same_in_both_versions_but_for_defaults_and_references() {
    let texts = Descriptions::default();
    let port = message("k8s.io.api.core.v1.ServicePort").expect("a message");
    let schema = |dialect| Definitions { dialect, scope: Scope::All, texts: &texts }.schema(port);
    assert_eq!(
        schema(Dialect::V2),
        json!({
            "type": "object",
            "required": ["port"],
            "properties": {
                "appProtocol": {"type": "string"},
                "name": {"type": "string"},
                "nodePort": {"type": "integer", "format": "int32"},
                "port": {"type": "integer", "format": "int32"},
                "protocol": {"type": "string", "enum": ["SCTP", "TCP", "UDP"]},
                "targetPort": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
            },
        })
    );
    let v3 = schema(Dialect::V3);
    assert_eq!(v3["properties"]["port"], json!({"type": "integer", "format": "int32", "default": 0}));
    assert_eq!(v3["properties"]["protocol"]["default"], "TCP");
    assert_eq!(
        v3["properties"]["targetPort"],
        json!({"allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.util.intstr.IntOrString"}]})
    );
}

#[test]
fn descriptions_tell_the_values_of_a_field() {
    builtin(|source| {
        let document = document(source, "api/v1");
        let port = &document["components"]["schemas"]["io.k8s.api.core.v1.ServicePort"]["properties"];
        assert_eq!(port["port"]["description"], "The port that will be exposed by this service.");
        let protocol = port["protocol"]["description"].as_str().expect("a text");
        assert!(
            protocol.ends_with("\n\nPossible enum values:\n - `\"SCTP\"`\n - `\"TCP\"`\n - `\"UDP\"`"),
            "{protocol}"
        );
    });
}

#[test]
fn verbs_and_subresources_make_operations() {
    builtin(|source| {
        assert_eq!(
            operations(&document(source, "apis/policy/v1")),
            [
                "/apis/policy/v1/ get getPolicyV1APIResources",
                "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets delete deletePolicyV1CollectionNamespacedPodDisruptionBudget",
                "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets get listPolicyV1NamespacedPodDisruptionBudget",
                "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets post createPolicyV1NamespacedPodDisruptionBudget",
                "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name} delete deletePolicyV1NamespacedPodDisruptionBudget",
                "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name} get readPolicyV1NamespacedPodDisruptionBudget",
                "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name} patch patchPolicyV1NamespacedPodDisruptionBudget",
                "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name} put replacePolicyV1NamespacedPodDisruptionBudget",
                "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}/status get readPolicyV1NamespacedPodDisruptionBudgetStatus",
                "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}/status patch patchPolicyV1NamespacedPodDisruptionBudgetStatus",
                "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{name}/status put replacePolicyV1NamespacedPodDisruptionBudgetStatus",
                "/apis/policy/v1/poddisruptionbudgets get listPolicyV1PodDisruptionBudgetForAllNamespaces",
                "/apis/policy/v1/watch/namespaces/{namespace}/poddisruptionbudgets get watchPolicyV1NamespacedPodDisruptionBudgetList",
                "/apis/policy/v1/watch/namespaces/{namespace}/poddisruptionbudgets/{name} get watchPolicyV1NamespacedPodDisruptionBudget",
                "/apis/policy/v1/watch/poddisruptionbudgets get watchPolicyV1PodDisruptionBudgetListForAllNamespaces",
            ]
        );
        let exec = &document(source, "api/v1")["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/exec"];
        assert_eq!(exec["post"]["x-kubernetes-action"], "connect");
        let names: Vec<_> = exec["parameters"].as_array().expect("a list").iter().map(|p| p["name"].clone()).collect();
        assert_eq!(names, ["command", "container", "name", "namespace", "stderr", "stdin", "stdout", "tty"]);
    });
}

#[test]
fn version_2_names_shared_parameters_by_what_they_are() {
    builtin(|source| {
        let document: Value = serde_json::from_slice(&v2::document(source)).expect("JSON");
        let path = &document["paths"]["/api/v1/namespaces/{namespace}/configmaps"];
        assert_eq!(
            path["parameters"],
            json!([{"$ref": "#/parameters/namespace-vgWSWtn3"}, {"$ref": "#/parameters/pretty-tJGM1-ng"}])
        );
        let dry_run = &path["post"]["parameters"][1];
        assert_eq!((&dry_run["name"], &dry_run["in"]), (&json!("dryRun"), &json!("query")));
    });
}

#[test]
fn the_index_gives_each_document_an_address_for_its_content() {
    let index: Value = serde_json::from_slice(&v3::index([("apis/apps/v1", "AB12")])).expect("JSON");
    let address = "/openapi/v3/apis/apps/v1?hash=AB12";
    assert_eq!(index, json!({"paths": {"apis/apps/v1": {"serverRelativeURL": address}}}));
    builtin(|source| {
        assert_eq!(v3::document(source, "apis/apps/v1"), v3::document(source, "apis/apps/v1"));
        for path in ["", "nosuch", "apis/", "apis/nosuch.example.com", "apis/apps/v9", "api/v2", "apis//v1"] {
            assert!(v3::document(source, path).is_none(), "{path}");
        }
    });
}

fn widgets() -> Resource {
    let kind = GroupVersionKind::new("shop.example.com", "v1", "Widget");
    let edited = Verbs::GET.and(Verbs::PATCH).and(Verbs::UPDATE);
    Resource {
        name: GroupResource::new("shop.example.com", "widgets"),
        singular: "widget".into(),
        list_kind: "WidgetList".into(),
        namespaced: false,
        verbs: Verbs::ALL,
        short_names: Vec::new(),
        categories: Vec::new(),
        subresources: vec![Subresource { name: "status".into(), verbs: edited, kind: kind.clone() }],
        kind,
        shape: Shape::Custom(crate::schema::structure::Structure::default().ready()),
        storage: None,
        fields: Vec::new(),
        unknown_field: Default::default(),
        definition: None,
    }
}

/// How a property is published in both versions.
fn published(property: Value) -> (Value, Value) {
    let texts = Descriptions::default();
    let schema = json!({"type": "object", "properties": {"x": property}});
    let custom = Custom { schema: Some(schema), ..Custom::default() };
    let publish = |dialect| Publisher { dialect, texts: &texts }.object(&widgets(), &custom)["properties"]["x"].clone();
    (publish(Dialect::V2), publish(Dialect::V3))
}

#[test]
fn a_custom_resource_has_documents() {
    let catalog = Catalog::builtin().with([Arc::new(widgets())]);
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "x-unknown": 1}}});
    let custom = move |_: &Resource| Custom {
        schema: Some(schema.clone()),
        selectable: vec![".spec.color".into()],
        ..Custom::default()
    };
    let texts = Descriptions::default();
    let source = Source { catalog: &catalog, custom: &custom, texts: &texts };
    assert!(v3::paths(&catalog).contains("apis/shop.example.com/v1"));
    assert!(!v3::paths(&catalog).contains("apis/shop.example.com"));
    let document = document(&source, "apis/shop.example.com/v1");
    assert_eq!(document["info"], json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}));
    assert_eq!(
        operations(&document)[..4],
        [
            "/apis/shop.example.com/v1/widgets delete deleteShopExampleComV1CollectionWidget",
            "/apis/shop.example.com/v1/widgets get listShopExampleComV1Widget",
            "/apis/shop.example.com/v1/widgets post createShopExampleComV1Widget",
            "/apis/shop.example.com/v1/widgets/{name} delete deleteShopExampleComV1Widget",
        ]
    );
    let widget = json!({
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]},
            "spec": {"type": "object"},
        },
        "x-kubernetes-group-version-kind": [{"group": "shop.example.com", "kind": "Widget", "version": "v1"}],
        "x-kubernetes-selectable-fields": [{"fieldPath": "spec.color"}],
    });
    assert_eq!(document["components"]["schemas"]["com.example.shop.v1.Widget"], widget);
    let v2: Value = serde_json::from_slice(&v2::document(&source)).expect("JSON");
    assert!(v2["definitions"]["com.example.shop.v1.WidgetList"].is_object());
    assert!(v2["paths"]["/apis/shop.example.com/v1/widgets/{name}/status"]["put"].is_object());
}

#[test]
fn version_2_says_nothing_of_what_may_be_null() {
    let (v2, v3) = published(json!({"type": "object", "nullable": true, "properties": {"a": {"type": "string"}}}));
    assert_eq!(v2, json!({}));
    assert_eq!(v3, json!({"type": "object", "nullable": true, "properties": {"a": {"type": "string"}}}));
    let (v2, _) = published(json!({
        "type": "object", "required": ["a", "b"],
        "properties": {"a": {"type": "string", "nullable": true}, "b": {"type": "string"}},
    }));
    assert_eq!(v2["required"], json!(["b"]));
}

#[test]
fn version_2_says_nothing_of_the_fields_where_unknown_ones_are_kept() {
    let (v2, v3) = published(json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {"type": "string"}},
    }));
    assert_eq!(v2, json!({"x-kubernetes-preserve-unknown-fields": true}));
    assert_eq!(v3["properties"]["a"], json!({"type": "string"}));
}

#[test]
fn version_2_has_no_junctors_and_no_defaults() {
    let (v2, v3) =
        published(json!({"type": "string", "default": "", "oneOf": [{"pattern": "a"}], "not": {"pattern": "b"}}));
    assert_eq!(v2, json!({"type": "string"}));
    assert_eq!(v3, json!({"type": "string", "default": "", "oneOf": [{"pattern": "a"}], "not": {"pattern": "b"}}));
}

#[test]
fn a_number_or_a_string_is_said_to_be_either() {
    let either = json!([{"type": "integer"}, {"type": "string"}]);
    let (v2, v3) = published(json!({"x-kubernetes-int-or-string": true}));
    assert_eq!(v2, json!({"x-kubernetes-int-or-string": true}));
    assert_eq!(v3, json!({"x-kubernetes-int-or-string": true, "anyOf": either}));
    let (_, v3) =
        published(json!({"x-kubernetes-int-or-string": true, "anyOf": [{"minimum": 4}], "allOf": [{"pattern": "x"}]}));
    assert_eq!(v3["allOf"], json!([{"anyOf": either}, {"pattern": "x"}]));
    let said = json!({"x-kubernetes-int-or-string": true, "allOf": [{"anyOf": either}, {"pattern": "x"}]});
    assert_eq!(published(said.clone()).1, said);
}

#[test]
fn an_embedded_object_has_what_any_object_has() {
    let (v2, _) = published(json!({"type": "object", "x-kubernetes-embedded-resource": true}));
    assert_eq!(v2["required"], json!(["kind", "apiVersion"]));
    assert_eq!(v2["properties"]["kind"], json!({"type": "string"}));
    let (v2, v3) = published(json!({
        "type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true,
    }));
    assert_eq!(v2.get("properties"), None);
    assert!(v3["properties"]["metadata"].is_object());
}

#[test]
fn a_schema_of_any_depth_is_followed_no_deeper_than_is_safe() {
    let mut deep = json!({"type": "string"});
    for _ in 0..2000 {
        deep = json!({"type": "object", "additionalProperties": deep});
    }
    let (_, v3) = published(deep);
    assert!(v3.to_string().len() < 10_000);
}
