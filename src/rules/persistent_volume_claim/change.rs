//! What of a claim may change: little but the size of a bound one.

use super::rules;
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::value::{Value, json};
use crate::rules::at::At;
use crate::rules::checks::labels::{SelectorLeniency, immutable_annotation, label_selector};
use crate::rules::checks::meta::object_meta_update;
use crate::rules::persistent_volume::rules::OLD_CLASS;
use crate::rules::pod::volumes::claim::ClaimOptions;
use crate::rules::{diff, fill, same};

const CLASS: &str = "storageClassName";
const ATTRIBUTES_CLASS: &str = "volumeAttributesClassName";

/// All that is wrong with a changed claim.
pub fn claim(at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    rules::claim(at, options(&old.at("spec")), errs);
    spec_stays(at, old, errs);
    let (now, before) = (at.at("spec"), old.at("spec"));
    size(at, old, errs);
    let mode = now.at("volumeMode");
    if !mode.same_as(&before.at("volumeMode")) {
        errs.push(FieldError::invalid(&Path::Root.name("volumeMode"), mode.bad(), "field is immutable"));
    }
    attributes_class(at, old, errs);
}

/// What an old claim has wrong and may keep.
pub fn options(before: &At) -> ClaimOptions {
    let mut wrong = FieldErrors::new();
    label_selector(&before.at("selector"), SelectorLeniency::default(), &mut wrong);
    let grouped = |source: &str| before.at(source).has("apiGroup");
    ClaimOptions {
        bad_selector_values: !wrong.is_empty(),
        bad_source_groups: grouped("dataSource") || grouped("dataSourceRef"),
    }
}

/// Compares the specs without what may change; says all of the difference.
fn spec_stays(at: &At, old: &At, errs: &mut FieldErrors) {
    let (now, before) = (at.at("spec"), old.at("spec"));
    let (mut new_spec, mut old_spec) = (now.value().clone(), before.value().clone());
    if before.at("volumeName").is_empty() {
        set(&mut old_spec, "volumeName", &new_spec["volumeName"]);
    }
    class_may_come(at, old, &mut new_spec, errs);
    if at.at("status").at("phase").str() == "Bound" {
        if let Some(requests) = fill::fields(&mut new_spec, &["resources", "requests"]) {
            let size = before.value()["resources"]["requests"].get("storage").cloned();
            requests.insert("storage".into(), size.unwrap_or_else(|| json!("0")));
        }
        set(&mut new_spec, ATTRIBUTES_CLASS, &old_spec[ATTRIBUTES_CLASS]);
    }
    let Some(message) = now.schema().message() else { return };
    if !same::messages(&new_spec, &old_spec, message) {
        let changes = diff::changes(&old_spec, &new_spec, message);
        now.forbidden(
            errs,
            format!(
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
                 claims\n{changes}"
            ),
        );
    }
}

fn set(spec: &mut Value, field: &str, value: &Value) {
    if value.is_null() {
        fill::remove(spec, &[], field);
    } else {
        spec[field] = value.clone();
    }
}

/// A claim that names no class may name one: that of its old annotation, where it has one.
fn class_may_come(at: &At, old: &At, new_spec: &mut Value, errs: &mut FieldErrors) {
    let (now, before) = (at.at("metadata"), old.at("metadata"));
    let (now, before) = (now.at("annotations"), before.at("annotations"));
    let (annotation, annotation_before) = (now.entry(OLD_CLASS), before.entry(OLD_CLASS));
    let class = at.at("spec").at(CLASS).value().as_str();
    let is_new = class.is_some() && old.at("spec").at(CLASS).is_null();
    let told = annotation_before.value().as_str();
    let unchanged = annotation.is_null() || annotation.value().as_str() == told;
    if is_new && told.is_some() && class == told && unchanged {
        fill::remove(new_spec, &[], CLASS);
        return;
    }
    immutable_annotation(&now, &before, OLD_CLASS, errs);
    if is_new && (told.is_none() || class == told) {
        fill::remove(new_spec, &[], CLASS);
    }
}

/// A claim may shrink back to more than it has, where it could not grow.
fn size(at: &At, old: &At, errs: &mut FieldErrors) {
    let requested = |claim: &At| claim.at("spec").at("resources").at("requests").entry("storage").quantity();
    let size = requested(at);
    if size < requested(old) && size <= old.at("status").at("capacity").entry("storage").quantity() {
        let place = Path::Root.name("spec");
        let place = place.name("resources");
        let place = place.name("requests");
        errs.push(FieldError::forbidden(&place.name("storage"), "field can not be less than status.capacity"));
    }
}

/// A class of attributes once applied stays, or another comes.
fn attributes_class(at: &At, old: &At, errs: &mut FieldErrors) {
    let spec = at.at("spec");
    let class = spec.at(ATTRIBUTES_CLASS);
    let applied = old.at("status").has("currentVolumeAttributesClassName");
    if !applied || class.same_as(&old.at("spec").at(ATTRIBUTES_CLASS)) {
        return;
    }
    if class.is_null() {
        let detail = "update to nil is forbidden when status.currentVolumeAttributesClassName is not nil";
        class.forbidden(errs, detail);
    } else if class.is_empty() {
        let detail = "update to empty string is forbidden when status.currentVolumeAttributesClassName is not nil";
        class.forbidden(errs, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("v1", "PersistentVolumeClaim")
    }

    fn bound(size: &str, more: Value) -> Value {
        let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}});
        for (name, value) in more.as_object().into_iter().flatten() {
            spec[name] = value.clone();
        }
        let status = json!({"phase": "Bound", "capacity": {"storage": "2Gi"},
            "currentVolumeAttributesClassName": "gold"});
        json!({"spec": spec, "status": status})
    }

    #[test]
    fn a_bound_claim_may_grow() {
        let class = json!({"volumeAttributesClassName": "gold"});
        assert!(kind().update("", bound("3Gi", class.clone()), bound("4Gi", class.clone())).is_ok());
        assert_eq!(
            kind().update("", bound("3Gi", class), bound("2Gi", json!({}))).unwrap_err(),
            [
                "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
                "spec.volumeAttributesClassName: Forbidden: update to nil is forbidden when \
                 status.currentVolumeAttributesClassName is not nil",
            ]
        );
    }

    #[test]
    fn all_else_stays() {
        let old = bound("3Gi", json!({}));
        let errors = kind().update("", old, bound("3Gi", json!({"volumeMode": "Block"}))).unwrap_err();
        assert!(
            errors[0].starts_with(
                "spec: Forbidden: spec is immutable after creation except resources.requests and \
                volumeAttributesClassName for bound claims\n@@ "
            ) && errors[0].contains("- \"VolumeMode\": \"Filesystem\",\n+ \"VolumeMode\": \"Block\",\n"),
            "{errors:?}"
        );
        assert_eq!(errors[1..], ["volumeMode: Invalid value: \"Block\": field is immutable"]);
    }

    #[test]
    fn a_class_may_come() {
        let class = |name: &str| bound("3Gi", json!({"storageClassName": name}));
        assert!(kind().update("", bound("3Gi", json!({})), class("a")).is_ok());
        let mut annotated = bound("3Gi", json!({}));
        annotated["metadata"] = json!({"annotations": {OLD_CLASS: "a"}});
        assert!(kind().update("", annotated.clone(), class("a")).is_ok());
        let errors = kind().update("", annotated, class("b")).unwrap_err();
        assert_eq!(
            errors[0],
            "metadata.annotations.volume.beta.kubernetes.io/storage-class: Invalid value: \"\": field is immutable"
        );
        assert!(errors.len() == 2 && errors[1].starts_with("spec: Forbidden: "), "{errors:?}");
    }
}
