//! The status of a claim: what it got, and how a change of its size goes.

use crate::model::field::{FieldError, FieldErrors, Path};
use crate::rules::at::At;
use crate::rules::checks::meta::object_meta_update;
use crate::rules::checks::names::label_key;
use crate::rules::checks::resources::{is_native, resource_quantity};
use crate::rules::persistent_volume::rules::has_version;
use crate::rules::persistent_volume::spec::basic_amount;

const STORAGE: &str = "storage";
/// Sorted.
const RESIZES: [&str; 5] = [
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

/// All that is wrong with a claim whose status changed.
pub fn changed(at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    has_version(at, errs);
    if at.at("spec").at("accessModes").is_empty() {
        errs.push(FieldError::required(&Path::Root.name("Spec").name("accessModes"), ""));
    }
    let status = at.at("status");
    for (_, amount) in status.at("capacity").entries() {
        basic_amount(&amount, errs);
    }
    let resizes = status.at("allocatedResourceStatuses");
    for (key, resize) in resizes.entries() {
        resource_key(&resizes, key, errs);
        if !RESIZES.contains(&resize.str()) {
            errs.push(FieldError::not_supported(resizes.path(), key, &RESIZES));
        }
    }
    let amounts = status.at("allocatedResources");
    for (key, amount) in amounts.entries() {
        if resource_key(&amounts, key, errs) && basic_amount(&amount, errs) {
            resource_quantity(&amount, STORAGE, errs);
        }
    }
}

/// Storage, or a resource that is not Kubernetes' own.
fn resource_key(at: &At, key: &str, errs: &mut FieldErrors) -> bool {
    let wrong = label_key(key);
    if !wrong.is_empty() {
        for text in wrong {
            at.invalid_as(errs, key, text);
        }
        return false;
    }
    if is_native(key) && key != STORAGE {
        errs.push(FieldError::not_supported(at.path(), key, &[STORAGE]));
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn a_status_tells_of_storage() {
        let kind = Kind::new("v1", "PersistentVolumeClaim");
        let old = json!({"spec": {"resources": {"requests": {"storage": "1Gi"}}}});
        let mut new = old.clone();
        new["status"] = json!({"capacity": {"storage": "-1"}, "allocatedResourceStatuses": {"cpu": "Growing"},
            "allocatedResources": {"a b": "1", "storage": "-2"}});
        let errors = kind.update("status", old, new).unwrap_err();
        let errors: Vec<_> = errors.iter().map(|e| e.chars().take(88).collect::<String>()).collect();
        assert_eq!(
            errors,
            [
                "Spec.accessModes: Required value",
                "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
                "status.allocatedResourceStatuses: Unsupported value: \"cpu\": supported values: \"storage\"",
                "status.allocatedResourceStatuses: Unsupported value: \"cpu\": supported values: \"Controlle",
                "status.allocatedResources: Invalid value: \"a b\": name part must consist of alphanumeric ",
                "status.allocatedResources[storage]: Invalid value: -2: must be a valid resource quantity",
            ]
        );
    }
}
