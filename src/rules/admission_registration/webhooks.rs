//! ValidatingWebhookConfiguration and MutatingWebhookConfiguration.

use super::expressions::match_conditions;
use super::matching::{FAILURE, MATCH, REINVOCATION, rule};
use super::{GROUP, metadata, warn};
use crate::model::field::FieldErrors;
use crate::model::syntax::dns1035_label;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::labels::{SelectorLeniency, has_bad_selector_value, label_selector};
use crate::rules::checks::names::fully_qualified_name;
use crate::rules::checks::web::{webhook_service, webhook_url};
use crate::rules::kind::{Cx, Generation, NONE, Rules};

pub const VALIDATING: Rules = Rules {
    group: GROUP,
    kind: "ValidatingWebhookConfiguration",
    generation: Generation::Fields(&["webhooks"]),
    unconditional_update: false,
    validate: |_, at, errs| validate(at, false, Excuses::default(), errs),
    validate_update: |cx, new, old, errs| validate_update(cx, new, old, false, errs),
    warn,
    ..NONE
};

pub const MUTATING: Rules = Rules {
    kind: "MutatingWebhookConfiguration",
    validate: |_, at, errs| validate(at, true, Excuses::default(), errs),
    validate_update: |cx, new, old, errs| validate_update(cx, new, old, true, errs),
    ..VALIDATING
};

/// Versions of reviews that the server knows.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];
const SIDE_EFFECTS: [&str; 4] = ["None", "NoneOnDryRun", "Some", "Unknown"];
/// The longest that a call may take, in seconds.
const TIMEOUT: i64 = 30;

/// What the old object had wrong and the new one may keep.
#[derive(Clone, Copy, Default)]
struct Excuses {
    conditions: bool,
    side_effects: bool,
    reviews: bool,
    names: bool,
    selector_values: bool,
}

fn validate_update(_: &Cx, new: &At, old: &At, mutating: bool, errs: &mut FieldErrors) {
    let (hooks, before) = (new.at("webhooks"), old.at("webhooks"));
    let names: Vec<&str> = before.items().map(|hook| hook.at("name").value().as_str().unwrap_or("")).collect();
    let is_known = |hook: At| {
        let versions = hook.at("admissionReviewVersions");
        versions.is_empty() || versions.strs().any(|version| REVIEWS.contains(&version))
    };
    let conditions = |hook: At| hook.at("matchConditions").value().clone();
    let bad_selector =
        |hook: At| ["namespaceSelector", "objectSelector"].iter().any(|name| has_bad_selector_value(&hook.at(name)));
    let excuses = Excuses {
        conditions: hooks.len() == before.len()
            && hooks.items().zip(before.items()).all(|(new, old)| conditions(new) == conditions(old)),
        side_effects: !before.items().all(|hook| SIDE_EFFECTS[..2].contains(&hook.at("sideEffects").str())),
        reviews: !before.items().all(is_known),
        names: names.iter().enumerate().any(|(at, name)| names[..at].contains(name)),
        selector_values: before.items().any(bad_selector),
    };
    validate(new, mutating, excuses, errs);
}

fn validate(at: &At, mutating: bool, excuses: Excuses, errs: &mut FieldErrors) {
    metadata(at, errs);
    let hooks = at.at("webhooks");
    let mut names = Vec::new();
    for hook in hooks.items() {
        webhook(&hook, mutating, excuses, errs);
        review_versions(&hook.at("admissionReviewVersions"), excuses, errs);
        let name = hook.at("name");
        if !excuses.names && !name.is_empty() {
            if names.contains(&name.str()) {
                name.duplicate(errs);
            }
            names.push(name.str());
        }
    }
}

fn webhook(at: &At, mutating: bool, excuses: Excuses, errs: &mut FieldErrors) {
    fully_qualified_name(&at.at("name"), errs);
    for item in at.at("rules").items() {
        rule(&item, errs);
    }
    choices::optional(&at.at("failurePolicy"), &FAILURE, errs);
    choices::optional(&at.at("matchPolicy"), &MATCH, errs);
    let effects = at.at("sideEffects");
    let allowed = if excuses.side_effects { &SIDE_EFFECTS[..] } else { &SIDE_EFFECTS[..2] };
    if effects.is_null() {
        effects.required(errs, format!("must specify one of {}", allowed.join(", ")));
    }
    choices::optional(&effects, allowed, errs);
    let timeout = at.at("timeoutSeconds");
    if timeout.exists() && !(1..=TIMEOUT).contains(&timeout.i64()) {
        timeout.invalid(errs, "the timeout value must be between 1 and 30 seconds");
    }
    let leniency = SelectorLeniency { bad_values: excuses.selector_values, ..SelectorLeniency::default() };
    label_selector(&at.at("namespaceSelector"), leniency, errs);
    label_selector(&at.at("objectSelector"), leniency, errs);
    if mutating {
        choices::optional(&at.at("reinvocationPolicy"), &REINVOCATION, errs);
    }
    let client = at.at("clientConfig");
    let (url, service) = (client.at("url"), client.at("service"));
    if url.exists() == service.exists() {
        client.required(errs, "exactly one of url or service is required");
    } else if url.exists() {
        webhook_url(&url, true, errs);
    } else {
        webhook_service(&service, errs);
    }
    if !excuses.conditions {
        match_conditions(&at.at("matchConditions"), false, errs);
    }
}

fn review_versions(at: &At, excuses: Excuses, errs: &mut FieldErrors) {
    if at.is_empty() {
        return at.required(errs, format!("must specify one of {}", REVIEWS.join(", ")));
    }
    let mut seen = Vec::new();
    for version in at.items() {
        if seen.contains(&version.str()) {
            version.invalid(errs, "duplicate version");
            continue;
        }
        seen.push(version.str());
        version.check(errs, dns1035_label);
    }
    if !excuses.reviews && !seen.iter().any(|version| REVIEWS.contains(version)) {
        at.invalid(errs, format!("must include at least one of {}", REVIEWS.join(", ")));
    }
}
