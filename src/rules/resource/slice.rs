//! ResourceSlice: devices of a pool, on one node or some.

use super::devices::{counter_set, device};
use super::parts::{GROUP, by_name, pool_name, set};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::gotext::quote;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta, object_meta_update};
use crate::rules::checks::names::{NameRule, csi_driver_name, dns1123_subdomain};
use crate::rules::fill;
use crate::rules::kind::{Cx, Generation, NONE, Rules};
use crate::rules::pod::affinity::node_selector;

pub const RULES: Rules = Rules {
    group: GROUP,
    kind: "ResourceSlice",
    generation: Generation::Fields(&["spec"]),
    returns_deleted: true,
    prepare_create: prepare,
    prepare_update: |cx, new, _| prepare(cx, new),
    validate: |_, at, errs| {
        let meta = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: true };
        object_meta(&at.at("metadata"), meta, errs);
        spec(&at.at("spec"), None, errs);
    },
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        spec(&at.at("spec"), Some(&old.at("spec")), errs);
    },
    warn: |_, at, _, warnings| {
        let driver = at.at("spec").at("driver").str();
        if driver.chars().any(char::is_uppercase) {
            let driver = quote(driver);
            warnings
                .push(format!("spec.driver: driver names should be lowercase; {driver} contains uppercase characters"));
        }
    },
    ..NONE
};

const MOST_DEVICES: usize = 128;
/// Where devices have taints or share counters.
const MOST_INTRICATE_DEVICES: usize = 64;
const MOST_COUNTER_SETS: usize = 8;
/// Of features that are off.
const LISTS: [&str; 4] = ["bools", "ints", "strings", "versions"];
const MAPPINGS: &str = "nodeAllocatableResourceMappings";
const ONE_OF: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";

/// Taints have a time; what features that are off say is dropped.
fn prepare(cx: &Cx, new: &mut Value) {
    let now = Value::from(cx.now.to_text().as_str());
    for device in fill::items(new, &["spec", "devices"]) {
        let taints = device.get_mut("taints").and_then(Value::as_array_mut);
        for taint in taints.into_iter().flatten().filter_map(Value::as_object_mut) {
            fill::default(taint, "timeAdded", now.clone());
        }
        device.remove(MAPPINGS);
        let attributes = device.get_mut("attributes").and_then(Value::as_object_mut);
        for attribute in attributes.into_iter().flat_map(|all| all.values_mut()).filter_map(Value::as_object_mut) {
            attribute.retain(|field, _| !LISTS.contains(&field.as_str()));
        }
    }
}

fn spec(at: &At, before: Option<&At>, errs: &mut FieldErrors) {
    csi_driver_name(&at.at("driver"), errs);
    pool(&at.at("pool"), errs);
    if let Some(before) = before {
        at.at("pool").at("name").immutable(errs, &before.at("pool").at("name"));
        at.at("driver").immutable(errs, &before.at("driver"));
        at.at("nodeName").immutable(errs, &before.at("nodeName"));
    }
    nodes(at, errs);
    let (counters, devices) = (at.at("sharedCounters"), at.at("devices"));
    if counters.exists() && devices.exists() {
        at.invalid_as(errs, "", "only one of `sharedCounters` or `devices` is allowed");
    }
    let intricate = |device: At| !device.at("taints").is_empty() || !device.at("consumesCounters").is_empty();
    let most = if devices.items().any(intricate) { MOST_INTRICATE_DEVICES } else { MOST_DEVICES };
    let chosen_by_device = at.at("perDeviceNodeSelection").bool();
    let old_devices = before.map(|before| before.value()["devices"].as_array().map_or(&[][..], Vec::as_slice));
    let check = |at: &At, errs: &mut FieldErrors| {
        let same_name = |old: &&Value| old["name"].as_str().unwrap_or("") == at.at("name").str();
        device(at, old_devices.and_then(|devices| devices.iter().find(same_name)), chosen_by_device, errs);
    };
    set(&devices, most, errs, check, by_name);
    set(&counters, MOST_COUNTER_SETS, errs, counter_set, by_name);
}

fn pool(at: &At, errs: &mut FieldErrors) {
    pool_name(&at.at("name"), errs);
    let (count, generation) = (at.at("resourceSliceCount"), at.at("generation"));
    if count.i64() <= 0 {
        count.invalid(errs, "must be greater than zero");
    }
    if generation.i64() < 0 {
        generation.invalid(errs, "must be greater than or equal to zero");
    }
}

/// From which nodes the devices can be had.
fn nodes(at: &At, errs: &mut FieldErrors) {
    let (name, selector) = (at.at("nodeName"), at.at("nodeSelector"));
    let mut said = Vec::new();
    if name.exists() && name.is_empty() {
        name.invalid(errs, "must be either unset or set to a non-empty string");
    } else if name.exists() {
        said.push("`nodeName`");
        name.check(errs, dns1123_subdomain);
    }
    if selector.exists() {
        said.push("`nodeSelector`");
        node_selector(&selector, false, errs);
        let terms = selector.at("nodeSelectorTerms");
        if terms.len() != 1 {
            terms.invalid(errs, "must have exactly one node selector term");
        }
    }
    for (field, shown) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")] {
        let flag = at.at(field);
        if flag.bool() {
            said.push(shown);
        } else if flag.exists() {
            flag.invalid(errs, "must be either unset or set to true");
        }
    }
    match said.len() {
        0 => at.required(errs, ONE_OF),
        1 => {}
        _ => {
            let said = format!("{{{}}}", said.join(", "));
            let detail = format!("{ONE_OF}, but multiple fields are set");
            errs.push(FieldError::invalid(at.path(), &said, detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("resource.k8s.io/v1", "ResourceSlice")
    }

    fn slice(more: Value) -> Value {
        let mut spec = json!({"driver": "d", "pool": {"name": "p", "resourceSliceCount": 1}, "allNodes": true});
        for (name, value) in more.as_object().into_iter().flatten() {
            spec[name] = value.clone();
        }
        json!({"spec": spec})
    }

    #[test]
    fn taints_have_a_time() {
        let device = json!({"name": "a", "taints": [{"key": "k", "effect": "NoExecute"}]});
        let kept = kind().create(slice(json!({"devices": [device]}))).expect("a slice");
        assert_eq!(kept["spec"]["devices"][0]["taints"][0]["timeAdded"], "2026-01-01T00:00:00Z");
        assert_eq!(kept["metadata"]["generation"], 1);
    }

    #[test]
    fn devices_are_had_from_some_nodes() {
        let more = json!({"nodeName": "n", "perDeviceNodeSelection": false, "driver": "D",
            "pool": {"name": "p", "generation": -1}, "sharedCounters": [], "devices": []});
        assert_eq!(
            kind().refused(slice(more)),
            [
                "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
                "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero",
                "spec.perDeviceNodeSelection: Invalid value: false: must be either unset or set to true",
                "spec: Invalid value: \"{`nodeName`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, \
                 `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set",
                "spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed",
            ]
        );
        assert_eq!(
            kind().warnings(slice(json!({"driver": "D"}))),
            ["spec.driver: driver names should be lowercase; \"D\" contains uppercase characters"]
        );
    }

    #[test]
    fn a_slice_stays_of_its_driver_and_pool() {
        let pool = json!({"name": "q", "resourceSliceCount": 1});
        assert_eq!(
            kind().update("", slice(json!({})), slice(json!({"driver": "e", "pool": pool}))).unwrap_err(),
            [
                "spec.pool.name: Invalid value: \"q\": field is immutable",
                "spec.driver: Invalid value: \"e\": field is immutable",
            ]
        );
    }
}
