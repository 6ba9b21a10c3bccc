//! PodDisruptionBudget: how many pods may be taken down at a time.

use super::at::At;
use super::checks::choices;
use super::checks::conditions::conditions;
use super::checks::labels::{SelectorLeniency, label_selector};
use super::checks::numbers::not_above_100_percent;
use super::kind::{self, Generation, NONE, Part, Rules, STATUS};
use super::workload::{bound, none_negative};
use crate::model::field::FieldErrors;

pub const RULES: Rules = Rules {
    group: "policy",
    kind: "PodDisruptionBudget",
    generation: Generation::Fields(&["spec"]),
    status: kind::Status::Separate,
    unconditional_update: false,
    validate: |_, at, errs| spec(&at.at("spec"), false, errs),
    validate_update: |_, new, old, errs| {
        let mut wrong = FieldErrors::new();
        label_selector(&old.at("spec").at("selector"), SelectorLeniency::default(), &mut wrong);
        spec(&new.at("spec"), !wrong.is_empty(), errs);
    },
    parts: &[Part {
        validate: |_, new, _, errs| {
            let status = new.at("status");
            conditions(&status.at("conditions"), errs);
            none_negative(&status, &["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"], errs);
        },
        ..STATUS
    }],
    ..NONE
};

const EVICTION_POLICIES: [&str; 2] = ["AlwaysAllow", "IfHealthyBudget"];

fn spec(at: &At, bad_selector_values: bool, errs: &mut FieldErrors) {
    let bounds = [at.at("minAvailable"), at.at("maxUnavailable")];
    if bounds.iter().all(At::exists) {
        at.invalid(errs, "minAvailable and maxUnavailable cannot be both set");
    }
    for limit in bounds {
        bound(&limit, errs);
        not_above_100_percent(&limit, errs);
    }
    let leniency = SelectorLeniency { bad_values: bad_selector_values, ..SelectorLeniency::default() };
    label_selector(&at.at("selector"), leniency, errs);
    choices::optional(&at.at("unhealthyPodEvictionPolicy"), &EVICTION_POLICIES, errs);
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn one_bound_is_right() {
        let kind = Kind::new("policy/v1", "PodDisruptionBudget");
        assert_eq!(kind.refused(json!({"spec": {"minAvailable": "50%"}})), [""; 0]);
        let spec = json!({"minAvailable": "101%", "maxUnavailable": -1, "unhealthyPodEvictionPolicy": "Never",
            "selector": {"matchLabels": {"a": "!"}}});
        let begins = [
            "spec: Invalid value: {\"MinAvailable\":\"101%\",\"Selector\":{\"matchLabels\":{\"a\":\"!\"}},\
             \"MaxUnavailable\":-1,\"UnhealthyPodEvictionPolicy\":\"Never\"}: minAvailable and maxUnavailable cannot be \
             both set",
            "spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%",
            "spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0",
            "spec.selector.matchLabels: Invalid value: \"!\": a valid label must be",
            "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \
             \"IfHealthyBudget\"",
        ];
        crate::rules::transcript::assert_begin(&kind.refused(json!({"spec": spec})), &begins);
    }

    #[test]
    fn a_bad_selector_may_stay() {
        let kind = Kind::new("policy/v1", "PodDisruptionBudget");
        let spec = |least: i64| {
            let values = json!([{"key": "a", "operator": "In", "values": ["!"]}]);
            json!({"spec": {"minAvailable": least, "selector": {"matchExpressions": values}}})
        };
        assert_eq!(kind.refused(spec(1)).len(), 1);
        assert!(kind.update("", spec(1), spec(2)).is_ok());
    }
}
