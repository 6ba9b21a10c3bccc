//! PriorityLevelConfiguration: how many requests of a level run at once, and how many wait.

use super::mandatory::{self, EXEMPT};
use super::{CONDITIONS, GROUP, META, conditions};
use crate::model::field::FieldErrors;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::meta::object_meta;
use crate::rules::fill;
use crate::rules::kind::{Generation, NONE, Rules, Status};

pub const RULES: Rules = Rules {
    group: GROUP,
    kind: "PriorityLevelConfiguration",
    generation: Generation::Fields(&["spec"]),
    status: Status::Separate,
    validate: |_, at, errs| level(at, errs),
    validate_update: |_, at, _, errs| level(at, errs),
    parts: &[CONDITIONS],
    ..NONE
};

/// Of an older version of the kind; never kept.
const ZERO_SHARES: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";
const MOST_QUEUES: i64 = 10_000_000;
/// Of the hash that deals a request its hand of queues.
const HASH_BITS: f64 = 60.0;

pub fn fill_level(object: &mut Value) {
    if let Some(exempt) = fill::fields(object, &["spec", "exempt"]) {
        fill::default(exempt, "nominalConcurrencyShares", 0);
        fill::default(exempt, "lendablePercent", 0);
    }
    if let Some(limited) = fill::fields(object, &["spec", "limited"]) {
        fill::default(limited, "nominalConcurrencyShares", 30);
        fill::default(limited, "lendablePercent", 0);
    }
    if let Some(queuing) = fill::fields(object, &["spec", "limited", "limitResponse", "queuing"]) {
        fill::default(queuing, "handSize", 8);
        fill::default(queuing, "queues", 64);
        fill::default(queuing, "queueLengthLimit", 50);
    }
}

fn level(at: &At, errs: &mut FieldErrors) {
    let metadata = at.at("metadata");
    object_meta(&metadata, META, errs);
    let annotations = metadata.at("annotations");
    if annotations.entry(ZERO_SHARES).exists() {
        annotations.forbidden(errs, format!("annotation '{ZERO_SHARES}' is forbidden"));
    }
    let (name, spec) = (metadata.at("name").str(), at.at("spec"));
    self::spec(name, &spec, errs);
    stays(name, &spec, errs);
    conditions(at, errs);
}

fn spec(name: &str, at: &At, errs: &mut FieldErrors) {
    let (kind, exempt, limited) = (at.at("type"), at.at("exempt"), at.at("limited"));
    if (name == EXEMPT) != (kind.str() == "Exempt") {
        kind.invalid(errs, "must be 'Exempt' if and only if `name` is 'exempt'");
    }
    match kind.str() {
        "Exempt" => {
            if limited.exists() {
                limited.forbidden(errs, "must be nil if the type is not Limited");
            }
            shares(&exempt.at("nominalConcurrencyShares"), errs);
            lendable(&exempt.at("lendablePercent"), errs);
        }
        "Limited" => {
            if exempt.exists() {
                exempt.forbidden(errs, "must be nil if the type is Limited");
            }
            if limited.is_null() {
                limited.required(errs, "must not be empty when type is Limited");
            } else {
                self::limited(&limited, errs);
            }
        }
        _ => choices::required(&kind, &["Exempt", "Limited"], errs),
    }
}

fn limited(at: &At, errs: &mut FieldErrors) {
    shares(&at.at("nominalConcurrencyShares"), errs);
    response(&at.at("limitResponse"), errs);
    lendable(&at.at("lendablePercent"), errs);
    let borrowing = at.at("borrowingLimitPercent");
    if borrowing.i64() < 0 {
        borrowing.invalid(errs, "if specified, must be a non-negative integer");
    }
}

fn shares(at: &At, errs: &mut FieldErrors) {
    if at.i64() < 0 {
        at.invalid(errs, "must be a non-negative integer");
    }
}

fn lendable(at: &At, errs: &mut FieldErrors) {
    if !(0..=100).contains(&at.i64()) {
        at.invalid(errs, "must be between 0 and 100, inclusive");
    }
}

/// The texts say Limited where they mean Queue, as in stock.
fn response(at: &At, errs: &mut FieldErrors) {
    let (kind, queuing) = (at.at("type"), at.at("queuing"));
    match kind.str() {
        "Reject" if queuing.exists() => {
            queuing.forbidden(errs, "must be nil if limited.limitResponse.type is not Limited");
        }
        "Queue" if queuing.is_null() => {
            queuing.required(errs, "must not be empty if limited.limitResponse.type is Limited");
        }
        "Queue" => self::queuing(&queuing, errs),
        "Reject" => {}
        _ => choices::required(&kind, &["Queue", "Reject"], errs),
    }
}

fn queuing(at: &At, errs: &mut FieldErrors) {
    let (length, queues, hand) = (at.at("queueLengthLimit"), at.at("queues"), at.at("handSize"));
    if length.i64() <= 0 {
        length.invalid(errs, "must be positive");
    }
    if queues.i64() <= 0 {
        queues.invalid(errs, "must be positive");
    } else if queues.i64() > MOST_QUEUES {
        queues.invalid(errs, format!("must not be greater than {MOST_QUEUES}"));
    }
    if hand.i64() <= 0 {
        hand.invalid(errs, "must be positive");
    } else if hand.i64() > queues.i64() {
        hand.invalid(errs, format!("should not be greater than queues ({})", queues.i64()));
    } else if ((queues.i64() as f64).log2() * hand.i64() as f64).ceil() > HASH_BITS {
        let (queues, size) = (queues.i64(), hand.i64());
        hand.invalid(
            errs,
            format!(
                "required entropy bits of deckSize {queues} and handSize {size} should not be greater than {HASH_BITS}"
            ),
        );
    }
}

/// A mandatory level stays what it is; of the exempt one, what it lends may change.
fn stays(name: &str, at: &At, errs: &mut FieldErrors) {
    let Some(mut fixed) = mandatory::level(name) else { return };
    let except = if name == EXEMPT {
        if at.has("exempt") {
            fixed["exempt"] = at.at("exempt").value().clone();
        } else {
            fill::remove(&mut fixed, &[], "exempt");
        }
        " except the 'spec.exempt' field"
    } else {
        ""
    };
    if !at.same_as(&At::new(&fixed, None)) {
        at.invalid(errs, format!("spec of '{name}'{except} must equal the fixed value"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration")
    }

    fn queue(queuing: Value) -> Value {
        json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": queuing}}}})
    }

    #[test]
    fn a_level_limits_or_exempts() {
        let kept = kind().create(queue(json!({}))).expect("a level");
        assert_eq!(
            kept["spec"]["limited"],
            json!({"nominalConcurrencyShares": 30, "lendablePercent": 0, "limitResponse": {"type": "Queue",
                "queuing": {"handSize": 8, "queues": 64, "queueLengthLimit": 50}}})
        );
        assert_eq!(
            kind().refused(json!({"spec": {"type": "Exempt", "limited": {}, "exempt": {"lendablePercent": 101}}})),
            [
                "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'",
                "spec.limited: Forbidden: must be nil if the type is not Limited",
                "spec.exempt.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
            ]
        );
        assert_eq!(kind().refused(json!({})), ["spec.type: Required value"]);
        assert_eq!(
            kind().refused(json!({"spec": {"type": "Limited"}})),
            ["spec.limited: Required value: must not be empty when type is Limited"]
        );
    }

    #[test]
    fn a_hand_needs_few_bits() {
        assert!(kind().create(queue(json!({"queues": 64, "handSize": 10}))).is_ok());
        assert_eq!(
            kind().refused(queue(json!({"queues": 64, "handSize": 11}))),
            [
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 11: required entropy bits of deckSize 64 and \
              handSize 11 should not be greater than 60"
            ]
        );
        assert_eq!(
            kind().refused(queue(json!({"queues": 2, "queueLengthLimit": -1}))),
            [
                "spec.limited.limitResponse.queuing.queueLengthLimit: Invalid value: -1: must be positive",
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: should not be greater than queues (2)",
            ]
        );
    }

    #[test]
    fn the_exempt_level_may_lend_and_the_last_one_stays() {
        let exempt =
            |exempt: Value| json!({"metadata": {"name": "exempt"}, "spec": {"type": "Exempt", "exempt": exempt}});
        assert!(kind().create(exempt(json!({"lendablePercent": 50}))).is_ok());
        let catch_all = json!({"metadata": {"name": "catch-all"}, "spec": mandatory::level("catch-all")});
        assert!(kind().create(catch_all.clone()).is_ok());
        let mut changed = catch_all.clone();
        changed["spec"]["limited"]["lendablePercent"] = 1.into();
        let errors = kind().update("", catch_all, changed).unwrap_err();
        assert!(errors[0].ends_with(": spec of 'catch-all' must equal the fixed value"), "{errors:?}");
    }
}
