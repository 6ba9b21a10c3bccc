//! What a changed pod may differ in: nearly nothing, and while it waits at its gates a little more.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::field::FieldErrors;
use crate::model::value::{Map, Value, json};
use crate::rules::at::At;
use crate::rules::checks::meta::object_meta_update;
use crate::rules::checks::numbers::range_of;
use crate::rules::kind::Cx;
use crate::rules::{diff, same};
use crate::schema::table::{self, Message};

use super::affinity::REQUIRED;
use super::annotations::pod_annotations_update;
use super::containers::image_without_space;
use super::object::metadata_and_spec;
use super::options::Options;
use super::tolerations::tolerations;

const MAY_CHANGE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const MOST_DEADLINE_SECONDS: i64 = i32::MAX as i64;

/// All that is wrong with a changed pod.
pub fn validate_update(cx: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    let options = Options::of_pod(Some(old));
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    metadata_and_spec(cx, new, &options, errs);
    annotations_update(new, old, &options, errs);
    let (spec, before) = (new.at("spec"), old.at("spec"));
    for list in ["containers", "initContainers"] {
        let (list, count) = (spec.at(list), before.at(list).len());
        if list.len() != count {
            return list.forbidden(errs, "pod updates may not add or remove containers");
        }
        for container in list.items() {
            if container.at("image").is_empty() {
                container.at("image").required(errs, "");
            }
            image_without_space(&container, errs);
        }
    }
    if !deadline(&spec.at("activeDeadlineSeconds"), &before.at("activeDeadlineSeconds"), errs) {
        return;
    }
    if only_added_tolerations(&spec.at("tolerations"), &before.at("tolerations"), errs) {
        tolerations(&spec.at("tolerations"), options.comparing_tolerations, errs);
    }
    only_removed_gates(&spec.at("schedulingGates"), &before.at("schedulingGates"), errs);
    let Some(message) = spec_message() else { return };
    if same::messages(spec.value(), before.value(), message) {
        return;
    }
    let mut allowed = with_old_mutable_fields(spec.value(), before.value());
    if !before.at("schedulingGates").is_empty() {
        gated_changes(&mut allowed, &spec, &before, message, errs);
    }
    if !same::messages(&allowed, before.value(), message) {
        let changes = diff::changes(before.value(), &allowed, message);
        spec.forbidden(errs, format!("{MAY_CHANGE}\n{changes}"));
    }
}

/// What holds of annotations in every change of a pod.
pub fn annotations_update(new: &At, old: &At, options: &Options, errs: &mut FieldErrors) {
    let (meta, before) = (new.at("metadata"), old.at("metadata"));
    pod_annotations_update(&meta.at("annotations"), &before.at("annotations"), errs);
    super::annotations::pod_annotations(&meta.at("annotations"), &new.at("spec"), options, errs);
}

/// The type of `spec`.
pub fn spec_message() -> Option<&'static Message> {
    table::message("k8s.io.api.core.v1.PodSpec")
}

/// A deadline may be set and lowered. False where stock stops.
fn deadline(at: &At, before: &At, errs: &mut FieldErrors) -> bool {
    let seconds = at.i64();
    if at.is_null() {
        if before.exists() {
            at.invalid(errs, "must not update from a positive integer to nil value");
        }
        return true;
    }
    let texts = range_of(seconds, 0, MOST_DEADLINE_SECONDS);
    let outside = !texts.is_empty();
    at.invalid_each(errs, texts);
    let raised = !outside && before.exists() && before.i64() < seconds;
    if raised {
        at.invalid(errs, "must be less than or equal to previous value");
    }
    !outside && !raised
}

/// Tolerations may be added, and the seconds of old ones changed. True when nothing is wrong.
fn only_added_tolerations(at: &At, before: &At, errs: &mut FieldErrors) -> bool {
    let key = |item: &At<'_, '_>| ["key", "operator", "value", "effect"].map(|field| item.at(field).str().to_owned());
    let now: BTreeSet<_> = at.items().map(|item| key(&item)).collect();
    let kept = before.items().all(|item| now.contains(&key(&item)));
    if !kept {
        at.forbidden(errs, "existing toleration can not be modified except its tolerationSeconds");
    }
    kept
}

fn only_removed_gates(at: &At, before: &At, errs: &mut FieldErrors) {
    let known: BTreeSet<_> = before.items().map(|gate| gate.at("name").str()).collect();
    let new: BTreeMap<_, _> = at.items().enumerate().map(|(index, gate)| (gate.at("name").str(), index)).collect();
    for (index, gate) in at.items().enumerate() {
        let name = gate.at("name");
        if !known.contains(name.str()) && new.get(name.str()) == Some(&index) {
            name.forbidden(errs, format!("only deletion is allowed, but found new scheduling gate '{}'", name.str()));
        }
    }
}

/// The new spec with the old values of all that may change: what is then left of a difference is forbidden.
fn with_old_mutable_fields(new: &Value, old: &Value) -> Value {
    let mut allowed = new.clone();
    for list in ["containers", "initContainers"] {
        if allowed[list].as_array().is_some_and(Vec::is_empty) {
            put(&mut allowed, list, &Value::Null);
        }
        let containers = allowed.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for (container, before) in containers.zip(old[list].as_array().into_iter().flatten()) {
            put(container, "image", &before["image"]);
        }
    }
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        put(&mut allowed, field, &old[field]);
    }
    let was_negative = old["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0);
    if was_negative && allowed["terminationGracePeriodSeconds"] == 1 {
        put(&mut allowed, "terminationGracePeriodSeconds", &old["terminationGracePeriodSeconds"]);
    }
    allowed
}

/// Sets a field, or takes it away where the value is null.
pub fn put(object: &mut Value, field: &str, value: &Value) {
    if let Some(fields) = object.as_object_mut() {
        if value.is_null() {
            fields.remove(field);
        } else {
            fields.insert(field.into(), value.clone());
        }
    }
}

/// A pod that waits at its gates may be told more exactly where to run (KEP-3838).
fn gated_changes(allowed: &mut Value, spec: &At, before: &At, message: &Message, errs: &mut FieldErrors) {
    let same = |field: &str, a: &Value, b: &Value| message.field(field).is_none_or(|field| same::fields(a, b, field));
    let (selector, was) = (spec.at("nodeSelector"), before.at("nodeSelector"));
    if !same("nodeSelector", selector.value(), was.value()) {
        for _ in was.entries().filter(|(key, value)| {
            let now = selector.entry(key);
            now.is_null() || now.str() != value.str()
        }) {
            selector.invalid(errs, "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
        }
        put(allowed, "nodeSelector", was.value());
    }
    let (affinity, was) = (spec.at("affinity"), before.at("affinity"));
    let (node, node_was) = (affinity.at("nodeAffinity"), was.at("nodeAffinity"));
    if same("affinity", &only_node(&node), &only_node(&node_was)) {
        return;
    }
    narrowed(&node, &node_was, errs);
    if allowed["affinity"].is_null() {
        put(allowed, "affinity", &only_node(&node_was));
        return;
    }
    put(&mut allowed["affinity"], "nodeAffinity", node_was.value());
    if was.is_null() && allowed["affinity"].as_object().is_some_and(Map::is_empty) {
        put(allowed, "affinity", &Value::Null);
    }
}

/// An affinity of nothing but this affinity to nodes.
fn only_node(node: &At) -> Value {
    if node.is_null() { Value::Null } else { json!({"nodeAffinity": node.value()}) }
}

/// Required terms may get further requirements only.
fn narrowed(at: &At, before: &At, errs: &mut FieldErrors) {
    let (required, was) = (at.at(REQUIRED), before.at(REQUIRED));
    let (terms, were) = (required.at("nodeSelectorTerms"), was.at("nodeSelectorTerms"));
    if were.is_empty() {
        return;
    }
    if terms.len() != were.len() {
        return terms.invalid(errs, "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
    }
    for (term, was) in terms.items().zip(were.items()) {
        if !only_adds(&term, &was) {
            term.invalid(errs, "only additions are allowed (no mutations or deletions)");
        }
    }
}

fn only_adds(term: &At, was: &At) -> bool {
    const LISTS: [&str; 2] = ["matchExpressions", "matchFields"];
    let empty = |term: &At| LISTS.iter().all(|list| term.at(list).is_empty());
    if empty(was) {
        return empty(term);
    }
    LISTS.iter().all(|list| {
        let (now, was) = (term.at(list), was.at(list));
        now.len() >= was.len() && now.items().zip(was.items()).all(|(now, was)| now.same_as(&was))
    })
}
