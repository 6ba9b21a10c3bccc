//! The kind PersistentVolumeClaim.

use super::{change, source, status};
use crate::model::field::FieldErrors;
use crate::model::value::{Value, json};
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta};
use crate::rules::checks::names::NameRule;
use crate::rules::fill;
use crate::rules::kind::{NONE, Part, Rules, STATUS, Status};
use crate::rules::persistent_volume::rules::OLD_CLASS;
use crate::rules::pod::defaults::claim_spec as fill_spec;
use crate::rules::pod::volumes::claim::{ClaimOptions, claim_spec, warn_claim_spec};

pub const RULES: Rules = Rules {
    group: "",
    kind: "PersistentVolumeClaim",
    status: Status::Separate,
    returns_deleted: true,
    prepare_create: |_, new| {
        new["status"] = json!({"phase": "Pending"});
        source::prepare(new, &Value::Null);
    },
    prepare_update: |_, new, old| source::prepare(new, &old["spec"]),
    validate: |_, at, errs| claim(at, ClaimOptions::default(), errs),
    validate_update: |_, at, old, errs| change::claim(at, old, errs),
    warn: |_, at, _, warnings| {
        let metadata = at.at("metadata");
        let annotations = metadata.at("annotations");
        let class = annotations.entry(OLD_CLASS);
        if class.exists() {
            let place = class.path();
            warnings.push(format!("{place}: deprecated since v1.8; use \"storageClassName\" attribute instead"));
        }
        warn_claim_spec(&at.at("spec"), warnings);
    },
    parts: &[Part { validate: |_, at, old, errs| status::changed(at, old, errs), ..STATUS }],
    ..NONE
};

/// Defaults.
pub fn fill(claim: &mut Value) {
    if let Some(status) = fill::made(claim, &["status"]) {
        fill::default(status, "phase", "Pending");
        fill::round_up(status, "capacity");
        fill::round_up(status, "allocatedResources");
    }
    if fill::made(claim, &["spec"]).is_some() {
        fill_spec(&mut claim["spec"]);
    }
}

/// A claim, new or changed.
pub fn claim(at: &At, options: ClaimOptions, errs: &mut FieldErrors) {
    let meta = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
    object_meta(&at.at("metadata"), meta, errs);
    claim_spec(&at.at("spec"), options, errs);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::transcript::Kind;

    #[test]
    fn a_new_claim_is_pending() {
        let kind = Kind::new("v1", "PersistentVolumeClaim");
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        let kept = kind.create(json!({"spec": spec, "status": {"phase": "Bound"}})).expect("a claim");
        assert_eq!(
            (&kept["status"], &kept["spec"]["volumeMode"]),
            (&json!({"phase": "Pending"}), &json!("Filesystem"))
        );
        let mut old = json!({"metadata": {"annotations": {OLD_CLASS: "a"}}, "spec": spec});
        old["spec"]["resources"]["requests"]["storage"] = "100m".into();
        assert_eq!(
            kind.warnings(old),
            [
                "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \
                 \"storageClassName\" attribute instead",
                "spec.resources.requests[storage]: fractional byte value \"100m\" is invalid, must be an integer",
            ]
        );
    }
}
