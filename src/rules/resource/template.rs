//! ResourceClaimTemplate: claims that are made for pods.

use super::parts::{CLAIM_META, GROUP};
use super::requests::{admin_access, claim_spec, fill_requests};
use crate::model::field::FieldErrors;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::meta::{object_meta, object_meta_update, template_meta};
use crate::rules::kind::{NONE, Rules};

pub const RULES: Rules = Rules {
    group: GROUP,
    kind: "ResourceClaimTemplate",
    returns_deleted: true,
    validate: |cx, at, errs| {
        admin_access(cx, &at.at("spec").at("spec"), errs);
        template(at, errs);
    },
    validate_update: |_, at, old, errs| {
        template(at, errs);
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        at.at("spec").immutable(errs, &old.at("spec"));
    },
    reads_namespace: true,
    ..NONE
};

/// Defaults.
pub fn fill(template: &mut Value) {
    fill_requests(template, &["spec", "spec", "devices", "requests"]);
}

fn template(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), CLAIM_META, errs);
    let spec = at.at("spec");
    template_meta(&spec.at("metadata"), errs);
    claim_spec(&spec.at("spec"), errs);
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn a_template_has_labels_and_annotations_only() {
        let kind = Kind::new("resource.k8s.io/v1", "ResourceClaimTemplate");
        let template = json!({"spec": {"metadata": {"name": "x"}, "spec": {"devices": {"requests": [{"name": "r"}]}}}});
        assert_eq!(
            kind.refused(template),
            [
                "spec.metadata.name: Forbidden: cannot be set",
                "spec.spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
            ]
        );
    }
}
