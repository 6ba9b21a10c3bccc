//! Every message, both ways through every codec.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::generate;
use super::json::{decode, write};
use super::protobuf::{check, decode as through_serde, encode, scan, tree as from_protobuf};
use crate::model::value::{Value, json};
use crate::schema::discovery;
use crate::schema::table::{self, Json, MESSAGES, Message};

fn message(name: &str) -> &'static Message {
    table::message(name).expect("a known message")
}

/// What the text shows of an object, as a sparse value again.
fn json_text(value: &Value, of: &'static Message) -> String {
    let raw = encode::encode(value, of).expect("encodes");
    let mut out = Vec::new();
    write::message(&mut out, &raw, of).expect("writes");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn aggregated_discovery_is_the_same_in_protobuf() {
    let catalog = crate::schema::catalog::Catalog::builtin();
    let groups = discovery::group::groups(&catalog);
    for mut document in [discovery::aggregated::core(&groups), discovery::aggregated::named(&groups)] {
        let text = json_text(&document, message("k8s.io.api.apidiscovery.v2.APIGroupDiscoveryList"));
        // The envelope has these two.
        document.as_object_mut().expect("an object").retain(|key, _| key != "kind" && key != "apiVersion");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), document);
    }
}

/// Clients that prefer protobuf ask for a version's resources in it, too.
#[test]
fn the_verbs_of_a_resource_are_a_message_of_their_own() {
    let resource =
        json!({"kind": "", "name": "pods", "namespaced": false, "singularName": "", "verbs": ["get", "list"]});
    let raw = encode::encode(&resource, message("k8s.io.apimachinery.pkg.apis.meta.v1.APIResource")).expect("encodes");
    let verbs = b"\x22\x0b\x0a\x03get\x0a\x04list";
    assert!(raw.windows(verbs.len()).any(|window| window == verbs), "{raw:02x?}");
}

#[test]
fn every_message_round_trips() {
    for of in MESSAGES {
        let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
        let result = runner.run(&generate::message(of), |value| {
            let raw = encode::encode(&value, of).expect("encodes");
            let back = from_protobuf::to_value(&raw, of).expect("decodes");
            prop_assert_eq!(&back, &value, "protobuf {}", of.name);
            let through_serde: Value = through_serde::from_slice(&raw, of).expect("decodes");
            prop_assert_eq!(&through_serde, &value.opened(), "through serde {}", of.name);
            let again = encode::encode(&back, of).expect("encodes");
            prop_assert_eq!(&again, &raw);
            let late = from_protobuf::of_whole(&raw.clone().into(), of).expect("decodes");
            prop_assert_eq!(&encode::encode(&late, of).expect("encodes"), &raw, "unread {}", of.name);
            prop_assert_eq!(&late, &value, "read late {}", of.name);
            prop_assert_eq!(&encode::encode(&late, of).expect("encodes"), &raw, "read {}", of.name);
            let text = json_text(&value, of);
            let tree: Value = serde_json::from_str(&text).expect("JSON");
            if of.json == Json::Object {
                let decoded = decode::decode(text.as_bytes(), of).expect("decodes");
                prop_assert_eq!(&decoded.value, &value, "json {} {}", of.name, text);
                prop_assert!(decoded.notes.is_empty(), "{:?}", decoded.notes);
            } else {
                prop_assert_eq!(tree, value.opened());
            }
            Ok(())
        });
        if let Err(error) = result {
            panic!("{}: {error}", of.name);
        }
    }
}

#[test]
fn damaged_bytes_are_refused_without_panic() {
    let pod = message("k8s.io.api.core.v1.Pod");
    let mut runner = TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() });
    let strategy = (generate::message(pod), any::<prop::sample::Index>(), any::<u8>());
    runner
        .run(&strategy, |(value, at, byte)| {
            let mut raw = encode::encode(&value, pod).expect("encodes");
            if !raw.is_empty() {
                let at = at.index(raw.len());
                raw[at] = byte;
            }
            let tree = from_protobuf::to_value(&raw, pod);
            let through_serde = through_serde::from_slice::<Value>(&raw, pod);
            if let (Ok(tree), Ok(through_serde)) = (tree, through_serde) {
                prop_assert_eq!(tree.opened(), through_serde);
            }
            let _ = write::message(&mut Vec::new(), &raw, pod);
            let _ = scan::field(&raw, pod, &["spec", "nodeName"]);
            let _ = scan::splice_resource_version(&raw, "12");
            Ok(())
        })
        .expect("no panic");
}

/// What was found whole is read without a fault later, and as it would have been read at once.
#[test]
fn whole_bytes_can_be_read_late() {
    let holders = ["v1.Pod", "v1.ControllerRevision", "v1.CustomResourceDefinition", "v1.ServiceAccount", "v1.Event"];
    for of in MESSAGES.iter().filter(|of| holders.iter().any(|holder| of.name.ends_with(holder))) {
        let mut runner = TestRunner::new(Config { cases: 512, failure_persistence: None, ..Config::default() });
        let strategy = (generate::message(of), any::<prop::sample::Index>(), any::<u8>());
        let result = runner.run(&strategy, |(value, at, byte)| {
            let mut raw = encode::encode(&value, of).expect("encodes");
            if !raw.is_empty() {
                let at = at.index(raw.len());
                raw[at] = byte;
            }
            if check::check(&raw, of).is_ok() {
                let at_once = from_protobuf::to_value(&raw, of);
                prop_assert_eq!(from_protobuf::of_whole(&raw.into(), of), at_once.clone());
                prop_assert!(at_once.is_ok());
            }
            Ok(())
        });
        if let Err(error) = result {
            panic!("{}: {error}", of.name);
        }
    }
}

#[test]
fn zero_fields_show_as_stock_shows_them() {
    let pod = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}});
    let shown: Value = serde_json::from_str(&json_text(&pod, message("k8s.io.api.core.v1.Pod"))).expect("JSON");
    assert_eq!(
        shown,
        json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "resources": {}}]}, "status": {}})
    );
    let role = json!({"metadata": {"name": "r"}});
    let shown: Value = serde_json::from_str(&json_text(&role, message("k8s.io.api.rbac.v1.Role"))).expect("JSON");
    assert_eq!(shown, json!({"metadata": {"name": "r"}, "rules": null}));
}

#[test]
fn decoding_errors_read_as_gos() {
    let pod = message("k8s.io.api.core.v1.Pod");
    let cases = [
        (r#"[]"#, "json: cannot unmarshal array into Go value of type v1.Pod"),
        (r#"{"kind": 5}"#, "json: cannot unmarshal number into Go struct field Pod.kind of type string"),
        (
            r#"{"metadata": "x"}"#,
            "json: cannot unmarshal string into Go struct field Pod.metadata of type v1.ObjectMeta",
        ),
        (
            r#"{"spec": {"nodeSelector": {"a": 5}, "priority": "x"}}"#,
            "json: cannot unmarshal number into Go struct field PodSpec.spec.nodeSelector of type string",
        ),
        (
            r#"{"spec": {"containers": [{"ports": [{"containerPort": 1.5}]}]}}"#,
            "json: cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            r#"{"spec": {"containers": {}}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            r#"{"spec": {"overhead": 1}}"#,
            "json: cannot unmarshal number into Go struct field PodSpec.spec.overhead of type v1.ResourceList",
        ),
        (r#"{"spec": {"priority": "x"}, }"#, "invalid character '}' looking for beginning of object key string"),
    ];
    for (text, error) in cases {
        assert_eq!(decode::decode(text.as_bytes(), pod).expect_err(text), error);
    }
}

#[test]
fn unknown_and_repeated_fields_are_noted() {
    let text = r#"{"metadata": {"name": "a", "labels": {"x": "1", "x": "2"}}, "spex": {},
        "spec": {"containers": [{"name": "c", "imagee": "i", "name": "d"}], "nodeName": "n"}, "spec": {"hostname": "h"}}"#;
    let decoded = decode::decode(text.as_bytes(), message("k8s.io.api.core.v1.Pod")).expect("decodes");
    assert_eq!(
        decoded.notes,
        [
            r#"duplicate field "metadata.labels.x""#,
            r#"unknown field "spex""#,
            r#"unknown field "spec.containers[0].imagee""#,
            r#"duplicate field "spec.containers[0].name""#,
            r#"duplicate field "spec""#,
        ]
    );
    assert_eq!(
        decoded.value,
        json!({"metadata": {"name": "a", "labels": {"x": "2"}},
            "spec": {"containers": [{"name": "d"}], "nodeName": "n", "hostname": "h"}})
    );
}

#[test]
fn nulls_and_zeros_unset() {
    let text = r#"{"metadata": {"name": "", "labels": null, "generation": 0, "creationTimestamp": null},
        "spec": {"containers": [null], "priority": 0, "hostNetwork": false, "nodeSelector": {"a": null}}, "status": {}}"#;
    let decoded = decode::decode(text.as_bytes(), message("k8s.io.api.core.v1.Pod")).expect("decodes");
    assert_eq!(decoded.value, json!({"spec": {"containers": [{}], "priority": 0, "nodeSelector": {"a": ""}}}));
}

#[test]
fn bytes_are_scanned() {
    let pod = message("k8s.io.api.core.v1.Pod");
    let value = json!({
        "metadata": {"name": "a", "namespace": "n", "uid": "u", "labels": {"x": "1", "y": "2"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "o", "uid": "ou", "controller": true}]},
        "spec": {"nodeName": "node", "hostNetwork": true, "priority": 7}
    });
    let raw = encode::encode(&value, pod).expect("encodes");
    assert_eq!((scan::name(&raw), scan::namespace(&raw), scan::uid(&raw)), (Ok("a"), Ok("n"), Ok("u")));
    assert_eq!(scan::labels(&raw).expect("labels").collect::<Vec<_>>(), [("x", "1"), ("y", "2")]);
    let owners: Vec<_> = scan::owners(&raw).expect("owners").map(|o| (o.kind, o.uid, o.controller)).collect();
    assert_eq!(owners, [("Node", "ou", true)]);
    let field = |path: &[&str]| scan::field(&raw, pod, path).expect("scans");
    assert_eq!(field(&["spec", "nodeName"]), Some(scan::Scalar::Str("node")));
    assert_eq!(field(&["spec", "hostNetwork"]), Some(scan::Scalar::Bool(true)));
    assert_eq!(field(&["status", "phase"]), Some(scan::Scalar::Str("")));
    assert_eq!(field(&["spec", "containers", "name"]), None);
    for version in ["7", "123456789"] {
        let spliced = scan::splice_resource_version(&raw, version).expect("splices");
        let mut expected = value.clone();
        expected["metadata"]["resourceVersion"] = version.into();
        assert_eq!(from_protobuf::to_value(&spliced, pod), Ok(expected.clone()));
        assert_eq!(spliced, encode::encode(&expected, pod).expect("encodes"), "in its own place");
    }
}

#[test]
fn typed_structs_come_out_of_the_same_bytes() {
    let pod = message("k8s.io.api.core.v1.Pod");
    let value = json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}});
    let raw = encode::encode(&value, pod).expect("encodes");
    let typed: k8s_openapi::api::core::v1::Pod = through_serde::from_slice(&raw, pod).expect("a Pod");
    assert_eq!(typed.metadata.name.as_deref(), Some("a"));
    let spec = typed.spec.expect("a spec");
    assert_eq!(spec.containers[0].name, "c");
    assert_eq!(
        spec.containers[0].resources.as_ref().and_then(|r| r.limits.as_ref()).map(|l| l["cpu"].0.as_str()),
        Some("1")
    );
}

#[test]
fn a_schema_that_may_be_something_else_is_not_read_strictly() {
    let of = message("k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
    let text = br#"{"bogus": 1, "not": {"bogus": 1}, "items": {"bogus": 1}, "additionalProperties": {"bogus": 1}}"#;
    let read = decode::decode(text, of).expect("a schema");
    assert_eq!(read.notes, ["unknown field \"bogus\"", "unknown field \"not.bogus\""]);
}
