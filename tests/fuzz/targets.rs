//! What is done with any bytes at all: it may be refused, and must never panic, overflow the stack or take long; and what
//! is accepted must come back the same. `tests/fuzz/mod.rs` runs each for a moment, `make fuzz` for as long as told.

use http::Method;
use monokube::apiserver::route::route;
use monokube::codec::json::{decode, write};
use monokube::codec::protobuf::encode::encode;
use monokube::codec::protobuf::envelope::Envelope;
use monokube::codec::protobuf::{scan, tree as protobuf};
use monokube::codec::{cbor, json, yaml};
use monokube::fields::patch::{Validation, json as json_patch, merge, strategic};
use monokube::model::quantity::Quantity;
use monokube::model::selector::{field::FieldSelector, label};
use monokube::model::value::{Value, json};
use monokube::schema::cel::env::Env;
use monokube::schema::cel::program::Program;
use monokube::schema::table::{Message, message};

type Target = fn(&[u8]);

/// (name, what it does)
pub const TARGETS: &[(&str, Target)] = &[
    ("json", any_json),
    ("protobuf", any_protobuf),
    ("yaml", any_yaml),
    ("cbor", any_cbor),
    ("json_patch", any_json_patch),
    ("merge_patch", any_merge_patch),
    ("strategic_patch", any_strategic_patch),
    ("selectors", any_selector),
    ("quantity", any_quantity),
    ("path", any_path),
    ("cel", any_expression),
];

/// The target of this name.
pub fn of(name: &str) -> Target {
    TARGETS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no target {name}")).1
}

/// Types that have everything: lists, maps, times, quantities, raw JSON, nesting.
const TYPES: [&str; 5] = [
    "k8s.io.api.core.v1.Pod",
    "k8s.io.api.apps.v1.Deployment",
    "k8s.io.api.core.v1.Secret",
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    "k8s.io.api.resource.v1.ResourceSlice",
];

/// The first byte chooses the type.
fn typed(input: &[u8]) -> Option<(&'static Message, &[u8])> {
    let (first, rest) = input.split_first()?;
    let name = TYPES[usize::from(*first) % TYPES.len()];
    Some((message(name).unwrap_or_else(|| panic!("{name} is not in the table")), rest))
}

pub fn any_json(input: &[u8]) {
    let Some((message, text)) = typed(input) else { return };
    let _ = json::scan::labels(text);
    let Ok(decoded) = decode::decode(text, message) else { return };
    let Ok(raw) = encode(&decoded.value, message) else { return };
    if decoded.value.is_null() {
        return;
    }
    assert_eq!(protobuf::to_value(&raw, message).expect("what was encoded"), decoded.value);
}

pub fn any_protobuf(input: &[u8]) {
    let Some((message, raw)) = typed(input) else { return };
    let _ = (scan::metadata(raw), scan::name(raw), Envelope::parse(raw).map(drop));
    let (Ok(value), mut text) = (protobuf::to_value(raw, message), Vec::new()) else { return };
    // The writer reads what it passes by, the reader skips it.
    if write::object(&mut text, raw, message, "v1", "Kind").is_ok() {
        serde_json::from_slice::<Value>(&text).expect("JSON");
    }
    let again = encode(&value, message).expect("what was decoded");
    assert_eq!(protobuf::to_value(&again, message).expect("what was encoded"), value);
}

pub fn any_yaml(input: &[u8]) {
    if let Ok((text, _)) = yaml::read::to_json(input) {
        json::parse::parse(&text).expect("JSON");
    }
}

pub fn any_cbor(input: &[u8]) {
    if let Ok(value) = cbor::decode(input) {
        assert_eq!(cbor::decode(&cbor::encode(&value)).expect("what was encoded"), value);
    }
    let _ = cbor::to_json(input);
}

/// What patches are applied to.
fn pod() -> Value {
    json!({"metadata": {"name": "p", "labels": {"a": "b"}, "finalizers": ["x/y"]},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]}],
            "tolerations": [{"key": "k"}]}})
}

pub fn any_json_patch(input: &[u8]) {
    if let Ok(patched) = json_patch::apply(pod().to_string().as_bytes(), input, Validation::Warn) {
        json::parse::parse(&patched.text).expect("JSON");
    }
}

pub fn any_merge_patch(input: &[u8]) {
    if let Ok(patched) = merge::apply(pod().to_string().as_bytes(), input, Validation::Warn) {
        json::parse::parse(&patched.text).expect("JSON");
    }
}

pub fn any_strategic_patch(input: &[u8]) {
    let message = message(TYPES[0]).expect("in the table");
    if let Ok(patched) = strategic::apply(&pod(), input, message, Validation::Warn) {
        let _ = encode(&patched.value, message);
    }
}

pub fn any_selector(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let _ = FieldSelector::parse(text);
    if let Ok(selector) = label::parse(text) {
        assert_eq!(label::parse(&selector.to_string()).expect("what was printed"), selector);
    }
}

pub fn any_quantity(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(quantity) = Quantity::parse(text) {
        let again = Quantity::parse(&quantity.to_string()).expect("what was printed");
        assert_eq!(again.to_string(), quantity.to_string());
    }
}

pub fn any_path(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let _ = route(&Method::GET, path, query);
}

pub fn any_expression(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let _ = Program::compile(&Env::default(), text);
}
