//! The part `resize` of a pod: what its containers, and the pod as a whole, ask for and may use (KEP-1287, KEP-5419).

use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::{Map, Value};
use crate::rules::at::At;
use crate::rules::checks::meta::object_meta_update;
use crate::rules::kind::Cx;
use crate::rules::same;
use crate::rules::strategy::keep;
use crate::schema::table;

use super::amounts::{is_sidecar, qos_class};
use super::annotations::MIRROR;
use super::disabled;
use super::ephemeral::keep_metadata;
use super::object::{grow_generation, metadata_and_spec};
use super::options::Options;
use super::update::{put, spec_message};
use super::visit::NO_PLACE;

const LISTS: [&str; 2] = ["containers", "initContainers"];
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// Only resources and resize policies come from the request; all of it where containers were added or removed, for the
/// validation to tell.
pub fn prepare(_: &Cx, new: &mut Value, old: &Value) {
    let count = |pod: &Value, list: &str| pod["spec"][list].as_array().map_or(0, Vec::len);
    if LISTS.iter().all(|list| count(new, list) == count(old, list)) {
        let resources = new["spec"]["resources"].clone();
        let lists = LISTS.map(|list| resized(&new["spec"][list], &old["spec"][list]));
        keep(new, old, "spec");
        keep(new, old, "status");
        keep_metadata(new, old);
        if let Some(spec) = new.get_mut("spec") {
            put(spec, "resources", &resources);
            LISTS.iter().zip(&lists).for_each(|(list, containers)| put(spec, list, containers));
        }
    }
    if let Some(spec) = new.get_mut("spec") {
        disabled::drop(spec, &old["spec"]);
    }
    grow_generation(new, old);
}

/// The old containers with the new sizes; the new ones where their names differ.
fn resized(new: &Value, old: &Value) -> Value {
    let (Some(new_items), Some(old_items)) = (new.as_array(), old.as_array()) else { return new.clone() };
    let mut resized = old_items.clone();
    for (container, new_one) in resized.iter_mut().zip(new_items) {
        if container["name"] != new_one["name"] {
            return new.clone();
        }
        put(container, "resources", &new_one["resources"]);
        put(container, "resizePolicy", &new_one["resizePolicy"]);
    }
    resized.into()
}

pub fn validate(cx: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    let before_these = errs.len();
    let (meta, meta_before) = (new.at("metadata"), old.at("metadata"));
    object_meta_update(&meta, &meta_before, true, errs);
    metadata_and_spec(cx, new, &Options::of_pod(Some(old)), errs);
    let (spec, before) = (new.at("spec"), old.at("spec"));
    let refused = if meta_before.at("annotations").entry(MIRROR).exists() {
        Some("static pods cannot be resized")
    } else if before.at("os").at("name").str() == "windows" {
        Some("windows pods cannot be resized")
    } else {
        None
    };
    if let Some(why) = refused {
        errs.truncate(before_these);
        errs.push(FieldError::forbidden(&NO_PLACE, why));
        return;
    }
    as_a_whole(new, old, errs);
    let mut allowed = spec.value().clone();
    if [&spec, &before].iter().any(|spec| has_amounts(&spec.at("resources"))) {
        pod_resources(&mut allowed, &spec, &before, errs);
    }
    let status = old.at("status");
    if !status.at("nodeAllocatableResourceClaimStatuses").is_empty() {
        spec.forbidden(errs, "pods with node allocatable resource claims cannot be resized");
    }
    if !same_order(&spec, &before, errs) {
        return;
    }
    for list in ["initContainers", "containers"] {
        for (container, was) in spec.at(list).items().zip(before.at(list).items()) {
            let (now, was) = (container.at("resources"), was.at("resources"));
            none_removed(&now, &was, "resource", errs);
        }
    }
    only_sizes(&mut allowed, &spec, &before, errs);
    let unchanged = spec_message().is_some_and(|message| same::messages(&allowed, before.value(), message));
    if errs.is_empty() && !unchanged {
        spec.forbidden(errs, "only cpu and memory resources are mutable");
    }
}

fn as_a_whole(new: &At, old: &At, errs: &mut FieldErrors) {
    let (spec, status) = (new.at("spec"), old.at("status"));
    let class = status.at("qosClass");
    let was = if class.is_empty() { qos_class(old.at("spec").value()) } else { class.str() };
    if was != qos_class(spec.value()) {
        let shown = new.at("status").at("qosClass").str();
        spec.invalid_as(errs, shown, "Pod QOS Class may not change as a result of resizing");
    }
    let statuses = status.at("containerStatuses");
    let running = statuses.items().find(|s| s.at("state").has("running")).map(|s| s.has("resources"));
    if running == Some(false) {
        spec.forbidden(errs, "Pod running on node without support for resize");
    }
}

fn has_amounts(resources: &At) -> bool {
    !resources.at("requests").is_empty() || !resources.at("limits").is_empty()
}

fn pod_resources(allowed: &mut Value, spec: &At, before: &At, errs: &mut FieldErrors) {
    let (now, was) = (spec.at("resources"), before.at("resources"));
    if was.exists() && now.is_null() {
        return now.forbidden(errs, "pod-level resources cannot be removed");
    }
    if was.exists() {
        none_removed(&now, &was, "pod-level resource", errs);
    }
    let mut resources = now.value().clone();
    with_old_sizes(&mut resources, was.value());
    let empty = ["requests", "limits", "claims"].iter().all(|list| match &resources[*list] {
        Value::Object(amounts) => amounts.is_empty(),
        Value::Array(claims) => claims.is_empty(),
        _ => true,
    });
    if was.is_null() && empty {
        resources = Value::Null;
    }
    put(allowed, "resources", &resources);
    if !same_field("k8s.io.api.core.v1.PodSpec", "resources", &resources, was.value()) {
        spec.forbidden(errs, "only cpu and memory resources are mutable at pod-level");
    }
}

fn same_field(message: &str, field: &str, a: &Value, b: &Value) -> bool {
    let field = table::message(message).and_then(|message| message.field(field));
    field.is_some_and(|field| same::fields(a, b, field))
}

/// `kind` begins the text.
fn none_removed(now: &At, was: &At, kind: &str, errs: &mut FieldErrors) {
    for list in ["requests", "limits"] {
        let (now, was) = (now.at(list), was.at(list));
        if was.len() > now.len() || was.entries().any(|(name, _)| now.entry(name).is_null()) {
            now.forbidden(errs, format!("{kind} {list} cannot be removed"));
        }
    }
}

fn same_order(spec: &At, before: &At, errs: &mut FieldErrors) -> bool {
    let count = errs.len();
    for name in LISTS {
        let (list, was) = (spec.at(name), before.at(name));
        if list.len() != was.len() {
            list.forbidden(errs, format!("{name} may not be added or removed on resize"));
            continue;
        }
        for (container, was) in list.items().zip(was.items()) {
            if container.at("name").str() != was.at("name").str() {
                container.at("name").forbidden(errs, format!("{name} may not be renamed or reordered on resize"));
            }
        }
    }
    errs.len() == count
}

/// Of each container nothing but its sizes may have changed; `allowed` then has the old ones.
fn only_sizes(allowed: &mut Value, spec: &At, before: &At, errs: &mut FieldErrors) {
    for list in LISTS {
        let containers = allowed.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        let (now, was) = (spec.at(list), before.at(list));
        for ((container, now), was) in containers.zip(now.items()).zip(was.items()) {
            let Some(message) = table::message("k8s.io.api.core.v1.Container") else { continue };
            let changed = !same::messages(container, was.value(), message);
            with_old_container_sizes(container, was.value());
            if !same::messages(container, was.value(), message) {
                if list == "containers" {
                    spec.forbidden(errs, "only cpu and memory resources are mutable");
                } else {
                    now.forbidden(errs, "only cpu and memory resources for init or sidecar containers are mutable");
                }
            }
            if list == "initContainers" && changed && !is_sidecar(now.value()) {
                let policies = now.at("resizePolicy");
                for _ in policies.items().filter(|p| p.at("restartPolicy").str() == "RestartContainer") {
                    let detail =
                        "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
                    now.forbidden(errs, detail);
                }
            }
        }
    }
}

/// As in stock the claims of the container are left out.
fn with_old_container_sizes(container: &mut Value, old: &Value) {
    let mut resources = container["resources"].clone();
    if !resources.is_object() {
        resources = Value::Object(Map::new());
    }
    with_old_sizes(&mut resources, &old["resources"]);
    put(&mut resources, "claims", &Value::Null);
    put(container, "resources", &resources);
}

/// Sets CPU and memory to what they were.
fn with_old_sizes(resources: &mut Value, old: &Value) {
    if !resources.is_object() {
        return;
    }
    for list in ["requests", "limits"] {
        for name in RESIZABLE {
            let was = &old[list][name];
            if was.is_null() && resources[list].is_null() {
                continue;
            }
            if resources[list].is_null() {
                resources[list] = Value::Object(Map::new());
            }
            put(&mut resources[list], name, was);
        }
    }
}
