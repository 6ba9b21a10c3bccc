//! Lease: who leads, and until when.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::fill::remove;
use super::kind::{NONE, Rules};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::syntax::label_key;
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "coordination.k8s.io",
    kind: "Lease",
    create_on_update: true,
    unconditional_update: false,
    prepare_create: |_, new| drop_coordination(new, &Value::Null),
    prepare_update: |_, new, old| drop_coordination(new, old),
    validate: |_, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(&at.at("spec"), errs);
    },
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), false, errs);
        spec(&at.at("spec"), errs);
    },
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: false };
const OLDEST_EMULATION_VERSION: &str = "OldestEmulationVersion";

/// Coordinated leader election is off by default (KEP-4355): its fields stay only where they were.
fn drop_coordination(new: &mut Value, old: &Value) {
    for field in ["strategy", "preferredHolder"] {
        if old["spec"][field].is_null() {
            remove(new, &["spec"], field);
        }
    }
}

fn spec(at: &At, errs: &mut FieldErrors) {
    let (duration, transitions) = (at.at("leaseDurationSeconds"), at.at("leaseTransitions"));
    if duration.exists() && duration.i64() <= 0 {
        duration.invalid(errs, "must be greater than 0");
    }
    if transitions.i64() < 0 {
        transitions.invalid(errs, "must be greater than or equal to 0");
    }
    let (strategy, holder) = (at.at("strategy"), at.at("preferredHolder"));
    if strategy.exists() {
        coordination_strategy(&strategy, errs);
    }
    if !holder.is_empty() && strategy.is_empty() {
        holder.forbidden(errs, "may only be specified if `strategy` is defined");
    }
}

/// A strategy of Kubernetes' own, or one that somebody named under a prefix. Stock names the place twice.
fn coordination_strategy(at: &At, errs: &mut FieldErrors) {
    let (strategy, place) = (at.str(), at.path().name("strategy"));
    if !strategy.contains('/') {
        if strategy != OLDEST_EMULATION_VERSION {
            errs.push(FieldError::not_supported(&place, strategy, &[OLDEST_EMULATION_VERSION]));
        }
        return;
    }
    for text in label_key(strategy) {
        errs.push(FieldError::invalid(&place, strategy, text));
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn durations_are_positive_and_coordination_is_off() {
        let kind = Kind::new("coordination.k8s.io/v1", "Lease");
        let found = kind.refused(json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}));
        assert_eq!(
            found,
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ]
        );
        let kept = kind.create(json!({"spec": {"holderIdentity": "h", "strategy": "s", "preferredHolder": "p"}}));
        assert_eq!(kept.expect("right")["spec"], json!({"holderIdentity": "h"}));
        let old = json!({"spec": {"strategy": "example.com/s", "preferredHolder": "p"}});
        let found = |spec| kind.update("", old.clone(), json!({"spec": spec})).err().unwrap_or_default();
        assert!(found(old["spec"].clone()).is_empty());
        assert_eq!(
            found(json!({"strategy": "s"})),
            ["spec.strategy.strategy: Unsupported value: \"s\": supported values: \"OldestEmulationVersion\""]
        );
        assert_eq!(
            found(json!({"preferredHolder": "q"})),
            ["spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"]
        );
    }
}
