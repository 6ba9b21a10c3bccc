//! ResourceClaim: devices for a pod or some.

use super::parts::{CLAIM_META, GROUP};
use super::requests::{admin_access, claim_spec, fill_requests, fill_tolerations};
use super::status;
use crate::model::value::Value;
use crate::rules::checks::meta::{object_meta, object_meta_update};
use crate::rules::fill;
use crate::rules::kind::{NONE, Part, Rules, STATUS, Status};

pub const RULES: Rules = Rules {
    group: GROUP,
    kind: "ResourceClaim",
    status: Status::Separate,
    returns_deleted: true,
    validate: |cx, at, errs| {
        admin_access(cx, &at.at("spec"), errs);
        object_meta(&at.at("metadata"), CLAIM_META, errs);
        claim_spec(&at.at("spec"), errs);
    },
    validate_update: |_, at, old, errs| {
        object_meta(&at.at("metadata"), CLAIM_META, errs);
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        at.at("spec").immutable(errs, &old.at("spec"));
    },
    parts: &[Part { prepare: status::prepare, validate: status::changed, ..STATUS }],
    reads_namespace: true,
    ..NONE
};

/// Defaults.
pub fn fill(claim: &mut Value) {
    fill_requests(claim, &["spec", "devices", "requests"]);
    for result in fill::items(claim, &["status", "allocation", "devices", "results"]) {
        fill_tolerations(result);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn what_a_claim_asks_for_stays() {
        let kind = Kind::new("resource.k8s.io/v1", "ResourceClaim");
        let claim = |class: &str| {
            let exactly = json!({"deviceClassName": class, "tolerations": [{"key": "a"}]});
            json!({"spec": {"devices": {"requests": [{"name": "r", "exactly": exactly}]}}})
        };
        let kept = kind.create(claim("c")).expect("a claim");
        assert_eq!(
            kept["spec"]["devices"]["requests"][0]["exactly"],
            json!({"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1,
                "tolerations": [{"key": "a", "operator": "Equal"}]})
        );
        let errors = kind.update("", claim("c"), claim("d")).unwrap_err();
        assert!(errors.len() == 1 && errors[0].ends_with(": field is immutable"), "{errors:?}");
    }
}
