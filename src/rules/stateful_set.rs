//! StatefulSet: pods with names and claims of their own.

use std::collections::BTreeMap;

use super::at::At;
use super::checks::choices;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::{NameRule, dns1123_label};
use super::checks::numbers::{non_negative, not_above_100_percent};
use super::fill::{default, items, made, remove, round_up, text};
use super::kind::{self, Cx, Generation, NONE, Part, Rules, STATUS};
use super::pod::defaults::claim_spec as claim_defaults;
use super::pod::options::Options;
use super::pod::template;
use super::pod::volumes::claim::{ClaimOptions, claim_spec, warn_claim_spec};
use super::workload::{
    bound, bound_value, collisions_grow, counts_fit, fill_template, is_new_generation, lenient, none_negative,
    prepare_template, runs_forever, selected, strict_selector,
};
use crate::model::field::FieldErrors;
use crate::model::selector::label::Selector;
use crate::model::value::{Map, Value, json};

pub const RULES: Rules = Rules {
    group: "apps",
    kind: "StatefulSet",
    generation: Generation::Fields(&["spec"]),
    status: kind::Status::Separate,
    prepare_create: |_, object| prepare(object, None),
    prepare_update: |_, new, old| prepare(new, Some(old)),
    validate: |cx, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(cx, at, &Options::default(), Leniency::default(), errs);
    },
    validate_update,
    warn,
    parts: &[Part { validate: validate_status, ..STATUS }],
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Label, kube_finalizers: true };
const TEMPLATE: &[&str] = &["spec", "template"];
const ROLLING_UPDATE: [&str; 3] = ["spec", "updateStrategy", "rollingUpdate"];
const RETENTION: [&str; 2] = ["Retain", "Delete"];
/// All other fields of the spec stay as they were created.
const KEPT: [&str; 4] = ["podManagementPolicy", "selector", "serviceName", "volumeClaimTemplates"];

/// What a changed object may have wrong because it cannot change it.
#[derive(Clone, Copy, Debug, Default)]
struct Leniency {
    is_update: bool,
    bad_template: bool,
}

/// Defaults.
pub fn fill(object: &mut Value) {
    fill_template(object, TEMPLATE);
    if let Some(spec) = made(object, &["spec"]) {
        default(spec, "podManagementPolicy", "OrderedReady");
        default(spec, "replicas", 1);
        default(spec, "revisionHistoryLimit", 10);
    }
    if let Some(policy) = made(object, &["spec", "persistentVolumeClaimRetentionPolicy"]) {
        default(policy, "whenDeleted", "Retain");
        default(policy, "whenScaled", "Retain");
    }
    fill_strategy(object);
    items(object, &["spec", "volumeClaimTemplates"]).for_each(fill_claim);
}

fn fill_strategy(object: &mut Value) {
    let Some(strategy) = made(object, &["spec", "updateStrategy"]) else { return };
    if text(strategy, "type").is_empty() {
        strategy.insert("type".into(), "RollingUpdate".into());
        default(strategy, "rollingUpdate", json!({}));
    }
    if let Some(update) = strategy.get_mut("rollingUpdate").and_then(Value::as_object_mut) {
        default(update, "partition", 0);
    }
}

fn fill_claim(claim: &mut Map) {
    // What every claim would say alike is not kept.
    claim.remove("apiVersion");
    claim.remove("kind");
    let object = || Value::Object(Map::new());
    claim_defaults(claim.entry("spec").or_insert_with(object));
    if let Some(status) = claim.entry("status").or_insert_with(object).as_object_mut() {
        default(status, "phase", "Pending");
        round_up(status, "capacity");
        round_up(status, "allocatedResources");
    }
}

fn prepare(new: &mut Value, old: Option<&Value>) {
    // A feature that is off: kept where it was in use.
    let in_use = old.and_then(|old| ROLLING_UPDATE.iter().try_fold(old, |now, name| now.get(*name)));
    if in_use.is_none_or(|update| update.get("maxUnavailable").is_none()) {
        remove(new, &ROLLING_UPDATE, "maxUnavailable");
    }
    prepare_template(new, old, TEMPLATE);
}

fn validate_update(cx: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    let options = lenient(old);
    let mut wrong = FieldErrors::new();
    spec(cx, old, &options, Leniency { is_update: true, bad_template: false }, &mut wrong);
    spec(cx, new, &options, Leniency { is_update: true, bad_template: !wrong.is_empty() }, errs);
    let (spec, before) = (new.at("spec"), old.at("spec"));
    if KEPT.iter().any(|name| !spec.at(name).same_as(&before.at(name))) {
        spec.forbidden(
            errs,
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        );
    }
}

fn spec(cx: &Cx, object: &At, options: &Options, leniency: Leniency, errs: &mut FieldErrors) {
    let spec = object.at("spec");
    let management = spec.at("podManagementPolicy");
    match management.str() {
        "" => management.required(errs, ""),
        "OrderedReady" | "Parallel" => {}
        _ => management.invalid(errs, "must be 'OrderedReady' or 'Parallel'"),
    }
    update_strategy(&spec.at("updateStrategy"), errs);
    let retention = spec.at("persistentVolumeClaimRetentionPolicy");
    if retention.exists() {
        choices::one_of(&retention.at("whenDeleted"), &RETENTION, errs);
        choices::one_of(&retention.at("whenScaled"), &RETENTION, errs);
    }
    if !leniency.is_update {
        for claim in spec.at("volumeClaimTemplates").items() {
            claim_spec(&claim.at("spec"), ClaimOptions::default(), errs);
        }
    }
    none_negative(&spec, &["replicas", "minReadySeconds"], errs);
    let ordinals = spec.at("ordinals");
    // Stock tells this place as one name.
    let start = ordinals.at("start");
    non_negative(&start.placed(spec.path().name("ordinals.start")), errs);
    let service = spec.at("serviceName");
    if !leniency.is_update && !service.is_empty() {
        service.check(errs, dns1123_label);
    }
    let selector = spec.at("selector");
    strict_selector(&selector, "statefulset", errs);
    match Selector::of_object(selector.value()) {
        Err(_) => selector.invalid(errs, ""),
        Ok(labels) => own_template(cx, object, &labels, options, leniency, errs),
    }
    runs_forever(&spec.at("template"), "StatefulSet", errs);
}

fn update_strategy(at: &At, errs: &mut FieldErrors) {
    let update = at.at("rollingUpdate");
    match at.at("type").str() {
        "" => at.required(errs, ""),
        "OnDelete" => {
            if update.exists() {
                update.invalid(errs, "only allowed for updateStrategy 'RollingUpdate'");
            }
        }
        "RollingUpdate" => {
            non_negative(&update.at("partition"), errs);
            let unavailable = update.at("maxUnavailable");
            if unavailable.exists() {
                bound(&unavailable, errs);
                if bound_value(&unavailable) == 0 {
                    unavailable.invalid(errs, "cannot be 0");
                }
                not_above_100_percent(&unavailable, errs);
            }
        }
        _ => at.invalid(errs, "must be 'RollingUpdate' or 'OnDelete'"),
    }
}

/// The template as the controller will use it: pods get names of their own, and volumes of the set's claims.
fn own_template(
    cx: &Cx,
    object: &At,
    labels: &Selector,
    options: &Options,
    leniency: Leniency,
    errs: &mut FieldErrors,
) {
    let spec = object.at("spec");
    let template = spec.at("template");
    selected(&template, labels, errs);
    let pod = template.at("spec");
    if !leniency.bad_template {
        let as_it_stands = ["subdomain", "hostname"].iter().all(|name| pod.at(name).is_empty());
        match object.schema().message() {
            Some(message) if !(as_it_stands && spec.at("volumeClaimTemplates").is_empty()) => {
                let object = json!({"spec": {"template": identified(template.value(), spec.value())}});
                let object = At::new(&object, Some(message));
                template::validate(cx, &object.at("spec").at("template"), options, errs);
            }
            _ => template::validate(cx, &template, options, errs),
        }
    }
    template::metadata(&template, options, errs);
}

fn identified(template: &Value, spec: &Value) -> Value {
    let mut template = template.clone();
    let Some(pod) = template.get_mut("spec").and_then(Value::as_object_mut) else { return template };
    pod.remove("subdomain");
    pod.remove("hostname");
    let claims = spec["volumeClaimTemplates"].as_array().into_iter().flatten();
    let mut volumes = BTreeMap::new();
    for name in claims.map(|claim| claim["metadata"]["name"].as_str().unwrap_or("")) {
        volumes.insert(name, json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
    }
    if !volumes.is_empty() {
        let mut own = pod.remove("volumes").unwrap_or_default();
        let own = own.as_array_mut().map(std::mem::take).unwrap_or_default();
        let own = own.into_iter().filter(|volume| !volumes.contains_key(volume["name"].as_str().unwrap_or("")));
        let own: Vec<_> = own.collect();
        pod.insert("volumes".into(), volumes.into_values().chain(own).collect());
    }
    template
}

fn validate_status(_: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    let status = new.at("status");
    let counts = [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ];
    none_negative(&status, &counts, errs);
    let fitting = ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
    counts_fit(&status, &fitting, "cannot be greater than status.readyReplicas", errs);
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    collisions_grow(new, old, errs);
}

fn warn(_: &Cx, new: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    let spec = new.at("spec");
    if is_new_generation(new, old) {
        template::warn(&spec.at("template"), warnings);
    }
    for claim in spec.at("volumeClaimTemplates").items() {
        // Stock tells the place so: of a new object without the spec, of a changed one with Go's name of it.
        let place = if old.is_none() { *claim.path() } else { claim.path().name("Spec") };
        warn_claim_spec(&claim.at("spec").placed(place), warnings);
    }
    if spec.at("revisionHistoryLimit").i64() < 0 {
        warnings.push(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                .to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;
    use crate::rules::workload::tests::{template, workload};

    #[test]
    fn claims_become_volumes_of_its_pods() {
        let kind = Kind::new("apps/v1", "StatefulSet");
        let mounts = json!([{"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]);
        let template = template(json!({"containers": mounts}));
        assert_eq!(
            kind.refused(workload(json!({"template": template}))),
            ["spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\""]
        );
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        let kept = kind.create(workload(json!({"template": template, "volumeClaimTemplates": [claim]}))).unwrap();
        let claim = &kept["spec"]["volumeClaimTemplates"][0];
        assert_eq!((&claim["status"], &claim["kind"]), (&json!({"phase": "Pending"}), &json!(null)));
        assert_eq!(claim["spec"]["volumeMode"], "Filesystem");
    }

    #[test]
    fn what_is_wrong_is_told_in_stocks_order() {
        let kind = Kind::new("apps/v1", "StatefulSet");
        let spec = json!({"podManagementPolicy": "X", "updateStrategy": {"type": "OnDelete", "rollingUpdate": {}},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Keep"}, "ordinals": {"start": -1},
            "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {}}], "serviceName": "A"});
        let found = kind.refused(workload(spec));
        let begins = [
            "spec.podManagementPolicy: Invalid value: \"X\": must be 'OrderedReady' or 'Parallel'",
            "spec.updateStrategy.rollingUpdate: Invalid value: {\"Partition\":0,\"MaxUnavailable\":null}: only allowed",
            "spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: \"Keep\": supported values: \
             \"Retain\", \"Delete\"",
            "spec.volumeClaimTemplates[0].spec.accessModes: Required value",
            "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
            "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
            "spec.serviceName: Invalid value: \"A\": a lowercase RFC 1123 label",
        ];
        crate::rules::transcript::assert_begin(&found, &begins);
    }

    #[test]
    fn most_of_its_spec_stays() {
        let kind = Kind::new("apps/v1", "StatefulSet");
        let old = || workload(json!({"serviceName": "s"}));
        let new = workload(json!({"serviceName": "s", "replicas": 3, "ordinals": {"start": 1}, "minReadySeconds": 2}));
        assert_eq!(kind.update("", old(), new).unwrap()["spec"]["replicas"], 3);
        let found = kind.update("", old(), workload(json!({"serviceName": "t"}))).unwrap_err();
        crate::rules::transcript::assert_begin(
            &found,
            &["spec: Forbidden: updates to statefulset spec for fields other"],
        );
    }
}
