//! What a claim is filled from: `dataSource` and `dataSourceRef` say the same (KEP 1495).

use crate::model::value::{Map, Value};
use crate::rules::fill;

/// Drops what may not be said, then says what is left in both fields. `before` is the old spec; null for a new claim.
pub fn prepare(claim: &mut Value, before: &Value) {
    let Some(spec) = fill::fields(claim, &["spec"]) else { return };
    let referred_before = before["dataSourceRef"].is_object();
    // Of a feature that is off: sources in other namespaces.
    if is_elsewhere(spec) && !referred_before {
        spec.remove("dataSourceRef");
    }
    let in_use = referred_before || before["dataSource"].is_object();
    if !in_use && !spec.contains_key("dataSourceRef") && !spec.get("dataSource").is_some_and(is_claim_or_snapshot) {
        spec.remove("dataSource");
    }
    say_twice(spec);
}

fn is_elsewhere(spec: &Map) -> bool {
    let source = spec.get("dataSourceRef").and_then(Value::as_object);
    source.is_some_and(|source| !fill::text(source, "namespace").is_empty())
}

/// What the older of the two fields may hold.
fn is_claim_or_snapshot(source: &Value) -> bool {
    let text = |name: &str| source.get(name).and_then(Value::as_str).unwrap_or("");
    matches!(
        (text("apiGroup"), text("kind")),
        ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
    )
}

fn say_twice(spec: &mut Map) {
    let source = |name: &str| spec.get(name).filter(|source| source.is_object()).cloned();
    match (source("dataSource"), source("dataSourceRef")) {
        (Some(source), None) => {
            spec.insert("dataSourceRef".into(), source);
        }
        (None, Some(mut source)) if !is_elsewhere(spec) => {
            fill::remove(&mut source, &[], "namespace");
            spec.insert("dataSource".into(), source);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn both_fields_say_the_same() {
        let claim = json!({"kind": "PersistentVolumeClaim", "name": "a"});
        let other = json!({"apiGroup": "g", "kind": "K", "name": "a"});
        let far = json!({"kind": "PersistentVolumeClaim", "name": "a", "namespace": "b"});
        for (spec, before, kept) in [
            (json!({"dataSource": claim}), json!({}), json!({"dataSource": claim, "dataSourceRef": claim})),
            (json!({"dataSourceRef": other}), json!({}), json!({"dataSource": other, "dataSourceRef": other})),
            (json!({"dataSource": other}), json!({}), json!({})),
            (
                json!({"dataSource": other}),
                json!({"dataSource": other}),
                json!({"dataSource": other, "dataSourceRef": other}),
            ),
            (json!({"dataSourceRef": far}), json!({}), json!({})),
            (json!({"dataSourceRef": far}), json!({"dataSourceRef": far}), json!({"dataSourceRef": far})),
        ] {
            let mut claim = json!({"spec": spec});
            prepare(&mut claim, &before);
            assert_eq!(claim["spec"], kept);
        }
    }
}
