//! What a job makes of failed and of succeeded pods.

use std::collections::BTreeSet;

use crate::model::field::{Bad, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::labels::label_name;
use crate::rules::checks::numbers::non_negative;

use super::indexes;

const RULES: usize = 20;
const EXIT_CODES: usize = 255;
const PATTERNS: usize = 20;
const INDEXES_BYTES: usize = 64 * 1024;
/// Sorted.
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
const REPLACEMENTS: [&str; 2] = ["Failed", "TerminatingOrFailed"];

/// `podFailurePolicy` of a job's spec. Absent is right.
pub fn failure(spec: &At, errs: &mut FieldErrors) {
    let policy = spec.at("podFailurePolicy");
    let rules = policy.at("rules");
    if rules.len() > RULES {
        rules.too_many(errs, RULES);
    }
    for rule in rules.items() {
        failure_rule(spec, &rule, errs);
    }
}

fn failure_rule(spec: &At, rule: &At, errs: &mut FieldErrors) {
    let action = rule.at("action");
    match action.str() {
        "FailIndex" => {
            if !spec.has("backoffLimitPerIndex") {
                action.invalid(errs, "requires the backoffLimitPerIndex to be set");
            }
        }
        _ => known(&action, &ACTIONS, errs),
    }
    let (codes, conditions) = (rule.at("onExitCodes"), rule.at("onPodConditions"));
    if codes.exists() {
        exit_codes(spec, &codes, errs);
    }
    if conditions.len() > PATTERNS {
        conditions.too_many(errs, PATTERNS);
    }
    for pattern in conditions.items() {
        label_name(&pattern.at("type"), errs);
        known(&pattern.at("status"), &STATUSES, errs);
    }
    match (codes.exists(), !conditions.is_empty()) {
        (true, true) => {
            rule.invalid_as(errs, Bad::omitted(), "specifying both OnExitCodes and OnPodConditions is not supported")
        }
        (false, false) => {
            rule.invalid_as(errs, Bad::omitted(), "specifying one of OnExitCodes and OnPodConditions is required");
        }
        _ => {}
    }
}

/// One of the known, which are told when there is none.
fn known(at: &At, known: &[&str], errs: &mut FieldErrors) {
    if at.is_empty() {
        let quoted: Vec<_> = known.iter().map(|name| format!("\"{name}\"")).collect();
        at.required(errs, format!("valid values: [{}]", quoted.join(" ")));
    } else if !known.contains(&at.str()) {
        at.not_supported(errs, known);
    }
}

fn exit_codes(spec: &At, at: &At, errs: &mut FieldErrors) {
    let (operator, container, values) = (at.at("operator"), at.at("containerName"), at.at("values"));
    known(&operator, &OPERATORS, errs);
    if container.exists() && !has_container(spec, container.str()) {
        container.invalid(errs, "must be one of the container or initContainer names in the pod template");
    }
    if values.is_empty() {
        values.invalid(errs, "at least one value is required");
    } else if values.len() > EXIT_CODES {
        values.too_many(errs, EXIT_CODES);
    }
    let (mut seen, mut last, mut ordered) = (BTreeSet::new(), i64::MIN, true);
    for code in values.items() {
        let number = code.i64();
        if operator.str() == "In" && number == 0 {
            code.invalid(errs, "must not be 0 for the In operator");
        }
        if !seen.insert(number) {
            code.duplicate(errs);
        }
        ordered &= last <= number;
        last = number;
    }
    if !ordered {
        values.invalid(errs, "must be ordered");
    }
}

fn has_container(spec: &At, name: &str) -> bool {
    let template = spec.at("template");
    let pod = template.at("spec");
    let named = |list: &str| pod.at(list).items().any(|container| container.at("name").str() == name);
    named("containers") || named("initContainers")
}

/// `podReplacementPolicy` of a job's spec. Absent is right.
pub fn replacement(spec: &At, errs: &mut FieldErrors) {
    let at = spec.at("podReplacementPolicy");
    let known = if spec.has("podFailurePolicy") { &REPLACEMENTS[..1] } else { &REPLACEMENTS };
    if at.exists() && !known.contains(&at.str()) {
        at.not_supported(errs, known);
    }
}

/// `successPolicy` of an indexed job's spec.
pub fn success(spec: &At, errs: &mut FieldErrors) {
    let policy = spec.at("successPolicy");
    let rules = policy.at("rules");
    if rules.is_empty() {
        rules.required(errs, "at least one rules must be specified when the successPolicy is specified");
    }
    if rules.len() > RULES {
        rules.too_many(errs, RULES);
    }
    let completions = spec.at("completions").i64();
    for rule in rules.items() {
        success_rule(&rule, completions, errs);
    }
}

fn success_rule(rule: &At, completions: i64, errs: &mut FieldErrors) {
    let (indexes, count) = (rule.at("succeededIndexes"), rule.at("succeededCount"));
    if indexes.is_null() && count.is_null() {
        rule.required(errs, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut total = 0;
    if indexes.exists() {
        if indexes.len() > INDEXES_BYTES {
            indexes.too_long(errs, INDEXES_BYTES);
        }
        match indexes::count(indexes.str(), completions) {
            Ok(found) => total = found,
            Err(why) => indexes.invalid(errs, format!("error parsing succeededIndexes: {why}")),
        }
    }
    if count.is_null() {
        return;
    }
    non_negative(&count, errs);
    if count.i64() > completions {
        let detail = format!("must be less than or equal to {completions} (the number of specified completions)");
        count.invalid(errs, detail);
    }
    if indexes.exists() && count.i64() > total {
        let detail = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        count.invalid(errs, detail);
    }
}
