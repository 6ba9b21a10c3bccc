//! The part `ephemeralcontainers` of a pod: containers that are put beside the others, and stay (KEP-277).

use std::collections::BTreeMap;

use crate::model::field::{FieldError, FieldErrors};
use crate::model::gotext;
use crate::model::object;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::meta::object_meta_update;
use crate::rules::kind::Cx;
use crate::rules::strategy::keep;
use crate::rules::{diff, same};
use crate::schema::table;

use super::annotations::MIRROR;
use super::disabled;
use super::object::{grow_generation, metadata_and_spec};
use super::options::Options;
use super::update::{annotations_update, put};
use super::visit::NO_PLACE;

/// Only the containers come from the request.
pub fn prepare(_: &Cx, new: &mut Value, old: &Value) {
    let containers = new["spec"]["ephemeralContainers"].clone();
    keep(new, old, "spec");
    keep(new, old, "status");
    keep_metadata(new, old);
    if let Some(spec) = new.get_mut("spec") {
        put(spec, "ephemeralContainers", &containers);
        disabled::drop(spec, &old["spec"]);
    }
    grow_generation(new, old);
}

/// What a write of a part leaves as it is in the metadata.
pub fn keep_metadata(new: &mut Value, old: &Value) {
    for field in ["deletionTimestamp", "generation", "labels", "annotations", "finalizers", "ownerReferences"] {
        let before = object::metadata(old).and_then(|meta| meta.get(field)).cloned().unwrap_or(Value::Null);
        object::set_meta(new, field, before);
    }
}

pub fn validate(cx: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    let options = Options::of_pod(Some(old));
    let before_these = errs.len();
    let (meta, before) = (new.at("metadata"), old.at("metadata"));
    object_meta_update(&meta, &before, true, errs);
    metadata_and_spec(cx, new, &options, errs);
    annotations_update(new, old, &options, errs);
    if before.at("annotations").entry(MIRROR).exists() {
        errs.truncate(before_these);
        errs.push(FieldError::forbidden(&NO_PLACE, "static pods do not support ephemeral containers"));
        return;
    }
    let Some(message) = table::message("k8s.io.api.core.v1.EphemeralContainer") else { return };
    let (spec, spec_before) = (new.at("spec"), old.at("spec"));
    let (list, list_before) = (spec.at("ephemeralContainers"), spec_before.at("ephemeralContainers"));
    let by_name: BTreeMap<_, _> = list.items().map(|item| (item.at("name").str(), item.value())).collect();
    for was in list_before.items() {
        let name = was.at("name").str();
        let quoted = gotext::quote(name);
        match by_name.get(name) {
            None => list.forbidden(errs, format!("existing ephemeral containers {quoted} may not be removed\n")),
            Some(now) if !same::messages(now, was.value(), message) => {
                let changes = diff::changes(was.value(), now, message);
                list.forbidden(errs, format!("existing ephemeral containers {quoted} may not be changed\n{changes}"));
            }
            Some(_) => {}
        }
    }
}
