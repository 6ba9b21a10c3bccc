//! ValidatingAdmissionPolicyBinding and MutatingAdmissionPolicyBinding.

use super::matching::{match_resources, mutating_operations, param_ref};
use super::{GROUP, metadata, warn};
use crate::model::field::FieldErrors;
use crate::model::syntax::dns1123_subdomain;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::kind::{Generation, NONE, Rules};

pub const VALIDATING: Rules = Rules {
    group: GROUP,
    kind: "ValidatingAdmissionPolicyBinding",
    generation: Generation::Fields(&["spec"]),
    unconditional_update: false,
    validate: |_, at, errs| validate(at, false, errs),
    validate_update: |_, new, _, errs| validate(new, false, errs),
    warn,
    ..NONE
};

pub const MUTATING: Rules = Rules {
    kind: "MutatingAdmissionPolicyBinding",
    validate: |_, at, errs| validate(at, true, errs),
    validate_update: |_, new, _, errs| validate(new, true, errs),
    ..VALIDATING
};

fn validate(at: &At, mutating: bool, errs: &mut FieldErrors) {
    metadata(at, errs);
    let spec = at.at("spec");
    let policy = spec.at("policyName");
    if policy.is_empty() {
        policy.required(errs, "");
    } else {
        policy.check(errs, dns1123_subdomain);
    }
    param_ref(&spec.at("paramRef"), errs);
    let resources = spec.at("matchResources");
    if resources.exists() {
        match_resources(&resources, errs);
    }
    if mutating {
        mutating_operations(&resources, errs);
    } else {
        actions(&spec.at("validationActions"), errs);
    }
}

fn actions(at: &At, errs: &mut FieldErrors) {
    for (index, action) in at.items().enumerate() {
        choices::one_of(&action, &["Audit", "Deny", "Warn"], errs);
        if at.strs().take(index).any(|before| before == action.str()) {
            action.duplicate(errs);
        }
    }
    if ["Deny", "Warn"].iter().all(|action| at.strs().any(|said| said == *action)) {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                   response and headers serves no purpose)";
        at.invalid(errs, why);
    }
    if at.is_empty() {
        at.required(errs, "at least one validation action is required");
    }
}
