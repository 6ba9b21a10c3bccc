//! Labels that a job gives its pods, so that it selects no others.

use crate::model::field::{FieldError, FieldErrors};
use crate::model::object;
use crate::model::selector::label::Selector;
use crate::model::value::{Map, Value};
use crate::rules::at::At;
use crate::rules::fill::{default, made};

const UID: &str = "batch.kubernetes.io/controller-uid";
const NAME: &str = "batch.kubernetes.io/job-name";
/// The same as before labels had domains.
const OLD_UID: &str = "controller-uid";
const OLD_NAME: &str = "job-name";
/// No field of a job: see [`share`].
const SHARED: &str = "(labels are the template's)";

/// Labels the template and selects by the job's uid. What the user set stays, for validation to refuse.
pub fn generate(object: &mut Value) {
    let (name, uid) = (object::name(object).to_owned(), object::uid(object).to_owned());
    if let Some(labels) = made(object, &["spec", "template", "metadata", "labels"]) {
        for (key, value) in [(OLD_NAME, &name), (NAME, &name), (OLD_UID, &uid), (UID, &uid)] {
            default(labels, key, value.as_str());
        }
    }
    if let Some(labels) = made(object, &["spec", "selector", "matchLabels"]) {
        default(labels, UID, uid);
    }
}

/// Labels of the template become those of a job that has none.
///
/// Stock's job and template then have one map, and what [`generate`] adds shows in both. A note beside the fields,
/// which no encoding knows, says so until [`unshare`] takes it away.
pub fn share(object: &mut Value) {
    let has_template_labels = object["spec"]["template"]["metadata"]["labels"].is_object();
    if has_template_labels && !has_labels(object) {
        take_labels(object);
        object[SHARED] = true.into();
    }
}

/// Takes the note away; true when it was there.
pub fn unshare(object: &mut Value) -> bool {
    object.as_object_mut().is_some_and(|fields| fields.remove(SHARED).is_some())
}

/// Whether the job has labels of its own.
pub fn has_labels(object: &Value) -> bool {
    let labels = object::metadata(object).and_then(|meta| meta.get("labels")).and_then(Value::as_object);
    labels.is_some_and(|labels| !labels.is_empty())
}

/// Gives the job the labels of its template.
pub fn take_labels(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    object::set_meta(object, "labels", labels);
}

/// Whether a template has the labels with a domain.
pub fn has_all_labels(template: &At) -> bool {
    let meta = template.at("metadata");
    let labels = meta.at("labels");
    [NAME, UID].iter().all(|key| labels.entry(key).exists())
}

/// A selector that was not made by hand selects what this job's pods have.
pub fn generated(job: &At, all_labels: bool, errs: &mut FieldErrors) {
    let (meta, spec) = (job.at("metadata"), job.at("spec"));
    let selector = spec.at("selector");
    if spec.at("manualSelector").bool() || selector.is_null() {
        return;
    }
    let (uid, name) = (meta.at("uid"), meta.at("name"));
    if uid.is_empty() {
        uid.required(errs, "");
    }
    let mut expected = vec![(OLD_UID, uid.str()), (OLD_NAME, name.str())];
    if all_labels {
        expected.extend([(UID, uid.str()), (NAME, name.str())]);
    }
    let template = spec.at("template");
    let template = template.at("metadata");
    let labels = template.at("labels");
    for (key, value) in &expected {
        let (label, detail) = (labels.entry(key), format!("must be '{value}'"));
        if label.is_null() {
            label.required(errs, detail);
        } else if label.str() != *value {
            errs.push(FieldError::invalid(label.path(), labels.bad(), detail));
        }
    }
    let expected: Map = expected.into_iter().collect();
    if Selector::of_object(selector.value()).is_ok_and(|selector| !selector.matches_map(Some(&expected))) {
        selector.invalid(errs, "`selector` not auto-generated");
    }
}
