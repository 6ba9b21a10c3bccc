//! The kind Pod: what a new one is given, and what must hold of it.

use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::{Map, Value, json};
use crate::model::{gotext, object};
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta};
use crate::rules::checks::names::{NameRule, dns1123_label};
use crate::rules::kind::{Cx, Generation, NONE, Part, Rules, STATUS, Status};
use crate::rules::same;

use super::annotations::{APPARMOR_CONTAINER, MIRROR, pod_annotations, profiles_match};
use super::containers::image_without_space;
use super::options::Options;
use super::update::{spec_message, validate_update};
use super::visit::container_values_mut;
use super::{amounts, defaults, disabled, ephemeral, resize, security, spec, status, warnings};

pub const RULES: Rules = Rules {
    group: "",
    kind: "Pod",
    generation: Generation::Own,
    status: Status::Separate,
    returns_deleted: true,
    prepare_create,
    prepare_update,
    validate,
    validate_update,
    forewarn: warnings::profiles,
    warn,
    parts: PARTS,
    ..NONE
};

const PARTS: &[Part] = &[
    Part {
        name: "ephemeralcontainers",
        writes: &[],
        prepare: ephemeral::prepare,
        validate: ephemeral::validate,
        ..STATUS
    },
    Part { name: "resize", writes: &[], prepare: resize::prepare, validate: resize::validate, ..STATUS },
    Part { prepare: status::prepare, validate: status::validate, warn: status::warn, ..STATUS },
];

/// Defaults.
pub fn fill(pod: &mut Value) {
    defaults::pod(pod);
}

fn prepare_create(cx: &Cx, pod: &mut Value) {
    object::set_meta(pod, "generation", 1.into());
    let labels = object::metadata(pod).and_then(|meta| meta.get("labels")).cloned().unwrap_or_default();
    let mut status = json!({"phase": "Pending", "qosClass": amounts::qos_class(&pod["spec"])});
    if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        status["conditions"] = json!([{
            "type": "PodScheduled",
            "status": "False",
            "lastTransitionTime": cx.now.to_text().as_str(),
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
    }
    pod["status"] = status;
    if let Some(spec) = pod.get_mut("spec") {
        disabled::drop(spec, &Value::Null);
        merge_label_keys(spec, &labels);
    }
    profiles_of_annotations(pod);
}

fn prepare_update(_: &Cx, new: &mut Value, old: &Value) {
    if let Some(spec) = new.get_mut("spec") {
        disabled::drop(spec, &old["spec"]);
    }
    grow_generation(new, old);
}

/// The generation grows with each change of the spec.
pub fn grow_generation(new: &mut Value, old: &Value) {
    let unchanged = spec_message().is_some_and(|message| same::messages(&new["spec"], &old["spec"], message));
    if !unchanged {
        let generation = object::generation(old) + 1;
        object::set_meta(new, "generation", generation.into());
    }
}

/// Completes selectors by labels of the pod itself (KEP-3243, KEP-3633).
fn merge_label_keys(spec: &mut Value, labels: &Value) {
    let items = |list: Option<&mut Value>, visit: &mut dyn FnMut(&mut Value)| {
        list.and_then(Value::as_array_mut).into_iter().flatten().for_each(visit);
    };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = spec.get_mut("affinity").and_then(|a| a.get_mut(kind)) else { continue };
        items(affinity.get_mut(super::affinity::PREFERRED), &mut |weighted| {
            if let Some(term) = weighted.get_mut("podAffinityTerm") {
                merge_keys(term, "matchLabelKeys", "In", labels);
                merge_keys(term, "mismatchLabelKeys", "NotIn", labels);
            }
        });
        items(affinity.get_mut(super::affinity::REQUIRED), &mut |term| {
            merge_keys(term, "matchLabelKeys", "In", labels);
            merge_keys(term, "mismatchLabelKeys", "NotIn", labels);
        });
    }
    items(spec.get_mut("topologySpreadConstraints"), &mut |constraint| {
        merge_keys(constraint, "matchLabelKeys", "In", labels);
    });
}

fn merge_keys(term: &mut Value, keys: &str, operator: &str, labels: &Value) {
    let keys = term[keys].as_array().into_iter().flatten().filter_map(Value::as_str);
    let found = keys.filter_map(|key| Some((key, labels.get(key)?)));
    let requirements: Vec<_> =
        found.map(|(key, value)| json!({"key": key, "operator": operator, "values": [value]})).collect();
    let Some(selector) = term.get_mut("labelSelector").and_then(Value::as_object_mut) else { return };
    if !requirements.is_empty() {
        let expressions = selector.entry("matchExpressions").or_insert_with(|| json!([]));
        if let Some(expressions) = expressions.as_array_mut() {
            expressions.extend(requirements);
        }
    }
}

/// Annotations that named a profile of AppArmor become fields, where a container has none.
fn profiles_of_annotations(pod: &mut Value) {
    if pod["spec"]["os"]["name"] == "windows" {
        return;
    }
    let annotations = object::metadata(pod).and_then(|meta| meta.get("annotations")?.as_object());
    let wanted: Map = annotations
        .into_iter()
        .flatten()
        .filter_map(|(key, text)| Some((key.strip_prefix(APPARMOR_CONTAINER)?.to_owned(), text.clone())))
        .collect();
    if wanted.is_empty() {
        return;
    }
    let of_pod = pod["spec"]["securityContext"]["appArmorProfile"].clone();
    let Some(spec) = pod.get_mut("spec") else { return };
    for container in container_values_mut(spec) {
        let profile = container["name"].as_str().and_then(|name| wanted.get(name)).and_then(Value::as_str);
        let Some(profile) = profile.and_then(profile_of_annotation).filter(|profile| *profile != of_pod) else {
            continue;
        };
        if container["securityContext"]["appArmorProfile"].is_null() {
            container["securityContext"]["appArmorProfile"] = profile;
        }
    }
}

/// The field that says what the annotation says; `None` where it names no right profile.
pub fn profile_of_annotation(text: &str) -> Option<Value> {
    let profile = match text {
        "unconfined" => json!({"type": "Unconfined"}),
        "runtime/default" => json!({"type": "RuntimeDefault"}),
        _ => {
            json!({"type": "Localhost", "localhostProfile": text.strip_prefix("localhost/").filter(|p| !p.is_empty())?})
        }
    };
    let mut errs = FieldErrors::new();
    security::apparmor_profile(&At::new(&profile, None), &mut errs);
    errs.is_empty().then_some(profile)
}

fn validate(cx: &Cx, pod: &At, errs: &mut FieldErrors) {
    metadata_and_spec(cx, pod, &Options::of_pod(None), errs);
    let (spec, meta) = (pod.at("spec"), pod.at("metadata"));
    if !spec.at("ephemeralContainers").is_empty() {
        spec.at("ephemeralContainers").forbidden(errs, "cannot be set on create");
    }
    if !spec.at("nodeName").is_empty() && !spec.at("schedulingGates").is_empty() {
        spec.at("nodeName").forbidden(errs, "cannot be set until all schedulingGates have been cleared");
    }
    profiles_match(&meta.at("annotations"), &spec, errs);
}

/// What holds of every pod, new or changed.
pub fn metadata_and_spec(cx: &Cx, pod: &At, options: &Options, errs: &mut FieldErrors) {
    let (meta, spec) = (pod.at("metadata"), pod.at("spec"));
    let annotations = meta.at("annotations");
    object_meta(&meta, MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true }, errs);
    pod_annotations(&annotations, &spec, options, errs);
    let is_static = annotations.entry(MIRROR).exists();
    spec::spec(cx, &spec, (meta.at("name").str(), is_static), options, errs);
    if spec.at("serviceAccountName").is_empty() {
        for volume in spec.at("volumes").items() {
            let projected = volume.at("projected");
            for source in projected.at("sources").items().filter(|source| source.has("serviceAccountToken")) {
                let place = source.path().name("serviceAccountToken");
                errs.push(FieldError::forbidden(&place, "must not be specified when serviceAccountName is not set"));
            }
        }
    }
    for list in ["containers", "initContainers"] {
        spec.at(list).items().for_each(|container| image_without_space(&container, errs));
    }
}

fn warn(_: &Cx, new: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    if old.is_some() {
        return;
    }
    let meta = new.at("metadata");
    let texts = dns1123_label(meta.at("name").str());
    if !texts.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is \
             recommended: {}",
            gotext::list(&texts)
        ));
    }
    warnings::warn(new, false, warnings);
}
