//! The spec of a PersistentVolumeClaim, in a claim or in the template of an ephemeral volume.

use crate::model::field::{Bad, FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::labels::{SelectorLeniency, label_selector};
use crate::rules::checks::names::{dns1123_label, dns1123_subdomain};
use crate::rules::checks::numbers::POSITIVE;
use crate::rules::checks::resources::{is_whole, resource_quantity};

/// Sorted.
pub const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// What an old spec already had wrong and may keep.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClaimOptions {
    pub bad_selector_values: bool,
    pub bad_source_groups: bool,
}

/// The spec of a claim.
pub fn claim_spec(at: &At, options: ClaimOptions, errs: &mut FieldErrors) {
    let modes = at.at("accessModes");
    if modes.is_empty() {
        modes.required(errs, "at least 1 access mode is required");
    }
    let leniency = SelectorLeniency { bad_values: options.bad_selector_values, ..SelectorLeniency::default() };
    label_selector(&at.at("selector"), leniency, errs);
    access_modes(&modes, errs);
    storage(at, errs);
    class_name(&at.at("storageClassName"), errs);
    choices::optional(&at.at("volumeMode"), &["Block", "Filesystem"], errs);
    let (source, source_ref) = (at.at("dataSource"), at.at("dataSourceRef"));
    data_source(&source, options, errs);
    data_source(&source_ref, options, errs);
    if source_ref.exists() {
        let namespace = source_ref.at("namespace");
        if !namespace.is_empty() {
            namespace.check(errs, dns1123_label);
        }
    }
    if source.exists() && source_ref.exists() {
        // Stock prints its path of the field, whose parts are private.
        let place = Bad::plain("{}");
        let same =
            ["apiGroup", "kind", "name"].iter().all(|name| source.at(name).value() == source_ref.at(name).value());
        if !source_ref.at("namespace").is_empty() {
            at.invalid_as(errs, place, "may not be specified when dataSourceRef.namespace is specified");
        } else if !same {
            at.invalid_as(errs, place, "must match dataSourceRef");
        }
    }
    class_name(&at.at("volumeAttributesClassName"), errs);
}

/// Modes that are known; `ReadWriteOncePod` stands alone.
pub fn access_modes(at: &At, errs: &mut FieldErrors) {
    for mode in at.strs().filter(|mode| !ACCESS_MODES.contains(mode)) {
        errs.push(FieldError::not_supported(at.path(), mode, &ACCESS_MODES));
    }
    let alone = at.strs().any(|mode| mode == "ReadWriteOncePod");
    if alone && at.strs().any(|mode| mode != "ReadWriteOncePod" && ACCESS_MODES.contains(&mode)) {
        at.forbidden(errs, "may not use ReadWriteOncePod with other access modes");
    }
}

fn storage(at: &At, errs: &mut FieldErrors) {
    let resources = at.at("resources");
    let requests = resources.at("requests");
    let amount = requests.entry("storage").placed(resources.path().key("storage"));
    if amount.is_null() {
        amount.required(errs, "");
    } else if amount.quantity().sign() <= 0 {
        amount.invalid(errs, POSITIVE);
    } else {
        resource_quantity(&amount, "storage", errs);
    }
}

fn class_name(at: &At, errs: &mut FieldErrors) {
    if !at.is_empty() {
        at.check(errs, dns1123_subdomain);
    }
}

fn data_source(at: &At, options: ClaimOptions, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    for field in ["name", "kind"] {
        if at.at(field).is_empty() {
            at.at(field).required(errs, "");
        }
    }
    let (group, kind) = (at.at("apiGroup"), at.at("kind").str());
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        at.invalid_as(errs, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
    }
    if !group.is_empty() && !options.bad_source_groups {
        group.check(errs, dns1123_subdomain);
    }
}

/// Warnings of a claim's spec.
pub fn warn_claim_spec(at: &At, warnings: &mut Vec<String>) {
    let resources = at.at("resources");
    for list in ["requests", "limits"] {
        let list = resources.at(list);
        let amount = list.entry("storage");
        if !is_whole(&amount.quantity()) {
            let (place, amount) = (amount.path(), amount.quantity());
            warnings.push(format!("{place}: fractional byte value \"{amount}\" is invalid, must be an integer"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::transcript::assert_begin;
    use crate::schema::table;

    #[test]
    fn specs_of_claims_are_judged_in_stocks_order() {
        let spec = json!({"accessModes": ["ReadWriteOncePod", "ReadWriteOnce", "Any"],
            "resources": {"requests": {"storage": "0"}}, "storageClassName": "A", "volumeMode": "Tape",
            "dataSource": {"kind": "VolumeSnapshot", "name": "a"}, "dataSourceRef": {"kind": "PersistentVolumeClaim"}});
        let (root, mut errs) =
            (At::new(&spec, table::message("k8s.io.api.core.v1.PersistentVolumeClaimSpec")), FieldErrors::new());
        claim_spec(&root, ClaimOptions::default(), &mut errs);
        let found: Vec<_> = errs.iter().map(ToString::to_string).collect();
        assert_begin(
            &found,
            &[
                "accessModes: Unsupported value: \"Any\": supported values: \"ReadOnlyMan",
                "accessModes: Forbidden: may not use ReadWriteOncePod with other access m",
                "resources[storage]: Invalid value: \"0\": must be greater than zero",
                "storageClassName: Invalid value: \"A\": a lowercase RFC 1123 subdomain mu",
                "volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Fil",
                "dataSource: Invalid value: \"VolumeSnapshot\": must be 'PersistentVolumeC",
                "dataSourceRef.name: Required value",
                "<nil>: Invalid value: {}: must match dataSourceRef",
            ],
        );
    }
}
