//! A Node's defaults, preparation, validation and warnings.

use super::{avoid, taints};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::gotext;
use crate::model::quantity::Quantity;
use crate::model::syntax::{DNS1123_SUBDOMAIN_BYTES, Texts, dns1123_label, dns1123_subdomain};
use crate::model::value::{Map, Value, json};
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta, object_meta_update};
use crate::rules::checks::names::{NameRule, config_map_key};
use crate::rules::checks::network::{Family, cidr_family, cidr_warnings, legacy_cidr};
use crate::rules::checks::numbers::{INTEGER, NOT_NEGATIVE, POSITIVE};
use crate::rules::checks::resources::{is_counted, is_whole};
use crate::rules::fill::{self as filling, remove, round_up};
use crate::rules::kind::{Cx, NONE, Part, Rules, STATUS};
use crate::rules::strategy::keep;

/// Says what is wrong with a text.
type Check = fn(&str) -> Texts;

pub const RULES: Rules = Rules {
    group: "",
    kind: "Node",
    prepare_create: |_, new| {
        remove(new, &["spec"], "configSource");
        remove(new, &["status"], "config");
    },
    prepare_update,
    validate: |_, at, errs| node(at, errs),
    validate_update: |_, at, old, errs| {
        node(at, errs);
        change(at, old, errs);
    },
    warn,
    parts: &[Part {
        prepare: |_, new, old| {
            if old["status"]["config"].is_null() {
                remove(new, &["status"], "config");
            }
        },
        validate: |_, at, old, errs| change(at, old, errs),
        ..STATUS
    }],
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: true };
const ONE_REFERENCE: &str = "exactly one reference subfield must be non-nil";

/// The defaults of v1, and the two forms in which a node's networks are said.
pub fn fill(object: &mut Value) {
    if let Some(status) = filling::fields(object, &["status"]) {
        let unset = |list: Option<&Value>| list.and_then(Value::as_object).is_none_or(Map::is_empty);
        if let Some(capacity) = status.get("capacity").cloned()
            && unset(status.get("allocatable"))
        {
            status.insert("allocatable".into(), capacity);
        }
        round_up(status, "capacity");
        round_up(status, "allocatable");
    }
    if let Some(spec) = filling::fields(object, &["spec"]) {
        let first = spec.get("podCIDRs").and_then(|all| all.get(0)).and_then(Value::as_str).unwrap_or("").to_owned();
        let single = filling::text(spec, "podCIDR").to_owned();
        if !single.is_empty() && single != first {
            spec.insert("podCIDRs".into(), json!([single]));
        } else if !first.is_empty() {
            spec.insert("podCIDR".into(), first.into());
        }
    }
}

fn prepare_update(_: &Cx, new: &mut Value, old: &Value) {
    keep(new, old, "status");
    if old["spec"]["configSource"].is_null() {
        remove(new, &["spec"], "configSource");
    }
}

fn node(at: &At, errs: &mut FieldErrors) {
    let metadata = at.at("metadata");
    object_meta(&metadata, META, errs);
    annotations(&metadata, errs);
    let (spec, status) = (at.at("spec"), at.at("status"));
    taints::in_spec(&spec.at("taints"), &metadata.path().name("taints"), errs);
    amounts(&status, errs);
    swap(&status, &metadata, errs);
    declared_features(&status.at("declaredFeatures"), errs);
    let cidrs = spec.at("podCIDRs");
    for cidr in cidrs.items() {
        legacy_cidr(&cidr, true, errs);
    }
    let has = |family| cidrs.strs().any(|cidr| cidr_family(cidr) == Some(family));
    if cidrs.len() > 1 {
        let unreadable = cidrs.strs().enumerate().find(|(_, cidr)| cidr_family(cidr).is_none());
        if let Some((index, cidr)) = unreadable {
            let why = format!("invalid CIDR[{index}]: <nil> (invalid CIDR address: {cidr})");
            cidrs.internal(errs, format!("invalid PodCIDRs. failed to check with dual stack with error:{why}"));
        }
        if cidrs.len() > 2 || unreadable.is_some() || !(has(Family::V4) && has(Family::V6)) {
            cidrs.invalid(errs, "may specify no more than one CIDR for each IP family");
        }
    }
}

/// What only a change can have wrong, of the node or of its status.
fn change(at: &At, old: &At, errs: &mut FieldErrors) {
    let metadata = at.at("metadata");
    object_meta_update(&metadata, &old.at("metadata"), true, errs);
    annotations(&metadata, errs);
    let (spec, status, was) = (at.at("spec"), at.at("status"), old.at("spec"));
    amounts(&status, errs);
    declared_features(&status.at("declaredFeatures"), errs);
    let addresses = status.at("addresses");
    for (index, address) in addresses.items().enumerate() {
        if addresses.items().take(index).any(|earlier| earlier.same_as(&address)) {
            address.duplicate(errs);
        }
    }
    pod_cidrs_stay(&spec.at("podCIDRs"), &was.at("podCIDRs"), errs);
    let (provider, before) = (spec.at("providerID"), was.at("providerID"));
    if !before.is_empty() && before.str() != provider.str() {
        provider.forbidden(errs, "node updates may not change providerID except from \"\" to valid");
    }
    if spec.has("configSource") {
        config_source(&spec.at("configSource"), false, errs);
    }
    let config = status.at("config");
    for field in ["assigned", "active", "lastKnownGood"] {
        if config.has(field) {
            config_source(&config.at(field), true, errs);
        }
    }
    taints::in_spec(&spec.at("taints"), &metadata.path().name("taints"), errs);
    if spec.at("externalID").str() != was.at("externalID").str() {
        spec.at("externalID").forbidden(errs, "may not be updated");
    }
}

fn annotations(metadata: &At, errs: &mut FieldErrors) {
    let annotations = metadata.at("annotations");
    taints::in_annotation(&annotations, errs);
    avoid::in_annotation(&annotations, errs);
}

/// Amounts of resources. As in stock, their names stand in the place like those of fields.
fn amounts(status: &At, errs: &mut FieldErrors) {
    for list in ["capacity", "allocatable"] {
        let list = status.at(list);
        for (name, amount) in list.entries() {
            let quantity = Quantity::from_value(amount.value()).unwrap_or(Quantity::ZERO);
            let place = list.path().name(name);
            if quantity.sign() < 0 {
                errs.push(FieldError::invalid(&place, amount.bad(), NOT_NEGATIVE));
            }
            if is_counted(name) && !is_whole(&quantity) {
                errs.push(FieldError::invalid(&place, amount.bad(), INTEGER));
            }
        }
    }
}

/// As in stock, at a place that does not exist.
fn swap(status: &At, metadata: &At, errs: &mut FieldErrors) {
    let capacity = &status.value()["nodeInfo"]["swap"]["capacity"];
    if let Some(capacity) = capacity.as_i64().filter(|capacity| *capacity <= 0) {
        let place = metadata.path().name("nodeSwapStatus");
        errs.push(FieldError::invalid(&place.name("capacity"), capacity, POSITIVE));
    }
}

/// Sorted names of features, each once.
fn declared_features(at: &At, errs: &mut FieldErrors) {
    let mut items = at.items().peekable();
    while let Some(feature) = items.next() {
        if let Some(why) = wrong_feature_name(feature.str()) {
            feature.invalid(errs, why);
        }
        let Some(next) = items.peek() else { break };
        match feature.str().cmp(next.str()) {
            std::cmp::Ordering::Equal => next.duplicate(errs),
            std::cmp::Ordering::Greater => next.invalid(errs, "list must be sorted alphabetically"),
            std::cmp::Ordering::Less => {}
        }
    }
}

fn wrong_feature_name(name: &str) -> Option<String> {
    let quoted = gotext::quote(name);
    if name.len() > DNS1123_SUBDOMAIN_BYTES {
        return Some(format!(
            "invalid feature name {quoted}: must be no more than {DNS1123_SUBDOMAIN_BYTES} characters"
        ));
    }
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let right = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.split('/').all(word);
    (!right).then(|| {
        format!(
            "invalid feature name {quoted}: must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
        )
    })
}

/// Once set they stay.
fn pod_cidrs_stay(at: &At, before: &At, errs: &mut FieldErrors) {
    const DETAIL: &str = "node updates may not change podCIDR except from \"\" to valid";
    if before.is_empty() {
        return;
    }
    if at.len() != before.len() {
        return at.forbidden(errs, DETAIL);
    }
    for _ in at.strs().zip(before.strs()).filter(|(now, was)| now != was) {
        at.forbidden(errs, DETAIL);
    }
}

/// Where a kubelet's configuration once came from; in the status it says which object exactly.
fn config_source(at: &At, exact: bool, errs: &mut FieldErrors) {
    let map = at.at("configMap");
    if map.is_null() {
        return at.invalid(errs, ONE_REFERENCE);
    }
    for field in ["uid", "resourceVersion"] {
        let value = map.at(field);
        match (exact, value.is_empty()) {
            (true, true) => value.required(errs, ""),
            (false, false) => value.forbidden(errs, format!("{field} must not be set in spec")),
            _ => {}
        }
    }
    let checks: [(&str, Check); 3] =
        [("namespace", dns1123_label), ("name", dns1123_subdomain), ("kubeletConfigKey", config_map_key)];
    for (field, check) in checks {
        let value = map.at(field);
        if value.is_empty() {
            value.required(errs, "");
        } else {
            value.check(errs, check);
        }
    }
}

fn warn(_: &Cx, at: &At, _: Option<&At>, warnings: &mut Vec<String>) {
    let spec = at.at("spec");
    if spec.has("configSource") {
        warnings.push("spec.configSource: the feature is removed".to_owned());
    }
    if !spec.at("externalID").is_empty() {
        warnings.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned());
    }
    for cidr in spec.at("podCIDRs").items() {
        warnings.extend(cidr_warnings(cidr.path(), cidr.str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::transcript::{Kind, assert_begin};

    fn kind() -> Kind {
        Kind::new("v1", "Node")
    }

    #[test]
    fn what_is_left_out_is_filled() {
        let node =
            json!({"spec": {"podCIDR": "10.0.0.0/24", "configSource": {}}, "status": {"capacity": {"cpu": "100u"}}});
        let kept = kind().create(node).expect("right");
        assert_eq!(kept["spec"], json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]}));
        assert_eq!(kept["status"], json!({"capacity": {"cpu": "1m"}, "allocatable": {"cpu": "1m"}}));
    }

    #[test]
    fn wrong_places_are_stocks() {
        let node = json!({
            "metadata": {"annotations": {
                "scheduler.alpha.kubernetes.io/taints": "[{\"Key\": \"a b\", \"effect\": \"NoExecute\"}]",
                "scheduler.alpha.kubernetes.io/preferAvoidPods": "{",
            }},
            "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}, {"key": "k", "effect": "NoSchedule"}, {"key": "k"}]},
            "status": {"capacity": {"cpu": "-1", "example.com/gpu": "1500m"}, "allocatable": {"pods": "1"}, "declaredFeatures": ["B", "A", "A", "a"]},
        });
        let found = kind().refused(node);
        assert_begin(
            &found,
            &[
                "metadata.annotations.scheduler.alpha.kubernetes.io/taints[0].key: Invalid value: \"a b\": name part must consist",
                "metadata.annotations.AvoidPods: Invalid value: \"scheduler.alpha.kubernetes.io/preferAvoidPods\": unexpected e",
                "metadata.taints[1]: Duplicate value: {\"Key\":\"k\",\"Value\":\"\",\"Effect\":\"NoSchedule\",\"TimeAdded\":null}: taint",
                "metadata.taints[2].effect: Required value",
                "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
                "status.capacity.example.com/gpu: Invalid value: \"1500m\": must be an integer",
                "status.declaredFeatures[1]: Invalid value: \"A\": list must be sorted alphabetically",
                "status.declaredFeatures[2]: Duplicate value: \"A\"",
                "status.declaredFeatures[3]: Invalid value: \"a\": invalid feature name \"a\": must start with an UpperCamelCase ",
            ],
        );
    }

    #[test]
    fn networks_and_provider_are_set_once() {
        let old = json!({"spec": {"podCIDRs": ["10.0.0.0/24"], "providerID": "p"}, "status": {"phase": "Running"}});
        let new = json!({"spec": {"podCIDRs": ["10.0.1.0/24"], "providerID": "q"}});
        assert_eq!(
            kind().update("", old.clone(), new).unwrap_err(),
            [
                "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
                "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid",
            ]
        );
        let kept = kind().update("", json!({"status": old["status"]}), old.clone()).expect("right");
        assert_eq!(kept["status"], old["status"]);
        let twice = json!({"status": {"addresses": [{"type": "InternalIP", "address": "a"}, {"address": "a", "type": "InternalIP"}]}});
        let found = kind().update("status", old, twice).unwrap_err();
        let text = "status.addresses[1]: Duplicate value: {\"Type\":\"InternalIP\",\"Address\":\"a\"}";
        assert_eq!(found, [text]);
    }

    #[test]
    fn two_networks_are_of_two_families() {
        let found = kind().refused(json!({"spec": {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}}));
        let text = "spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"10.0.1.0/24\"]: may specify no more than one CIDR for each IP family";
        assert_eq!(found, [text]);
        assert!(kind().create(json!({"spec": {"podCIDRs": ["10.0.0.0/24", "2001:db8::/64"]}})).is_ok());
        let found = kind().refused(json!({"spec": {"podCIDRs": ["10.0.0.0/24", "x"]}}));
        let text = "spec.podCIDRs: Internal error: invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[1]: <nil> (invalid CIDR address: x)";
        assert_eq!(found[1], text);
    }
}
