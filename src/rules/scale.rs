//! Scale: how many replicas a workload has, as its subresource tells.

use super::checks::meta::{MetaRules, object_meta};
use super::checks::names::NameRule;
use super::checks::numbers::non_negative;
use super::kind::{NONE, Rules};

pub const RULES: Rules = Rules {
    group: "autoscaling",
    kind: "Scale",
    validate: |_, at, errs| {
        let meta = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
        object_meta(&at.at("metadata"), meta, errs);
        non_negative(&at.at("spec").at("replicas"), errs);
    },
    ..NONE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::field::FieldErrors;
    use crate::model::value::json;
    use crate::rules::at::At;
    use crate::rules::kind::Cx;

    #[test]
    fn nothing_has_less_than_no_replicas() {
        let scale = json!({"metadata": {"name": "a", "namespace": "b"}, "spec": {"replicas": -1}});
        let mut errs = FieldErrors::new();
        (RULES.validate)(&Cx::for_tests(), &At::new(&scale, None), &mut errs);
        assert_eq!(errs[0].to_string(), "spec.replicas: Invalid value: -1: must be greater than or equal to 0");
        assert_eq!(errs.len(), 1);
    }
}
