//! What is wrong with the `x-kubernetes-validations` of a schema.

use super::schema::{Check, Context, Found};
use crate::model::field::{Bad, FieldError, FieldErrors, Path};
use crate::model::value::Value;
use crate::rules::custom::expressions::{Compiled, cardinality, compile};
use crate::rules::custom::field_path::field_path;
use crate::rules::custom::schema::{Rule, Schema};
use crate::rules::show;
use crate::schema::table;

const RULE: &str = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.ValidationRule";
/// Units of cost of one expression.
const RULE_COST: u64 = 10_000_000;
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

pub fn validate(
    check: &mut Check<'_>,
    schema: &Schema,
    raw: Option<&Value>,
    context: Option<&Context>,
    uncorrelated: Option<&Path<'_>>,
    path: &Path<'_>,
    found: &mut Found,
) {
    if schema.rules.is_empty() {
        return;
    }
    let rules = path.name("x-kubernetes-validations");
    for (at, rule) in schema.rules.iter().enumerate() {
        texts(rule, schema, &rules.index(at), &mut found.schema);
    }
    let Some(context) = context.filter(|_| found.schema.is_empty()) else { return };
    let Some(shape) = &context.shape else {
        let why = "internal error: failed to construct type information for x-kubernetes-validations rules: unable to \
                   convert structural schema to CEL declarations";
        return found.cel.push(FieldError::internal(&rules, why));
    };
    let times = context.most.unwrap_or_else(|| cardinality(shape));
    for (at, (rule, compiled)) in schema.rules.iter().zip(compile(schema, shape)).enumerate() {
        let Some(compiled) = compiled else { continue };
        let raw = raw.and_then(|raw| raw.get("x-kubernetes-validations")?.get(at)).unwrap_or(&Value::Null);
        let one = One { rule, raw, compiled, uncorrelated };
        one.tell(check, times, &rules.index(at), &mut found.cel);
    }
}

/// What can be said of a rule without reading its expressions.
fn texts(rule: &Rule, schema: &Schema, path: &Path<'_>, errs: &mut FieldErrors) {
    let breaks = |text: &str| text.contains(['\n', '\r']);
    let (trimmed, message) = (rule.rule.trim(), rule.message.trim());
    let at = path.name("message");
    if trimmed.is_empty() {
        errs.push(FieldError::required(&path.name("rule"), "rule is not specified"));
    } else if !rule.message.is_empty() && message.is_empty() {
        errs.push(FieldError::invalid(&at, &rule.message, "must be non-empty if specified"));
    } else if breaks(message) {
        errs.push(FieldError::invalid(&at, &rule.message, "must not contain line breaks"));
    } else if breaks(trimmed) && message.is_empty() {
        errs.push(FieldError::required(&at, "message must be specified if rule contains line breaks"));
    }
    if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
        let why = "messageExpression must be non-empty if specified";
        errs.push(FieldError::required(&path.name("messageExpression"), why));
    }
    if let Some(reason) = rule.reason.as_deref().filter(|reason| !REASONS.contains(reason)) {
        errs.push(FieldError::not_supported(&path.name("reason"), reason, &REASONS));
    }
    let at = path.name("fieldPath");
    if rule.field_path.is_empty() {
        return;
    }
    if rule.field_path.trim().is_empty() {
        errs.push(FieldError::invalid(&at, &rule.field_path, "must be non-empty if specified"));
    }
    if breaks(&rule.field_path) {
        errs.push(FieldError::invalid(&at, &rule.field_path, "must not contain line breaks"));
    }
    if super::structural::unreadable(schema).is_none() && field_path(&rule.field_path, schema, true).is_err() {
        errs.push(FieldError::invalid(&at, &rule.field_path, "must be a valid path"));
    }
}

struct One<'r> {
    rule: &'r Rule,
    raw: &'r Value,
    compiled: Compiled,
    uncorrelated: Option<&'r Path<'r>>,
}

impl One<'_> {
    fn tell(&self, check: &mut Check<'_>, times: u64, path: &Path<'_>, errs: &mut FieldErrors) {
        let (at, message) = (path.name("rule"), path.name("messageExpression"));
        let cost = self.compiled.cost.saturating_mul(times);
        if !check.options.any_cost && cost > RULE_COST {
            errs.push(FieldError::forbidden(&at, too_dear("estimated rule cost", cost, RULE_COST)));
        }
        check.total.add(&at, cost);
        if let Err(why) = &self.compiled.program {
            errs.push(FieldError::invalid(&at, self.shown(), why.clone()));
        }
        match &self.compiled.message {
            Some(Err(why)) => errs.push(FieldError::invalid(&message, self.shown(), why.clone())),
            Some(Ok(_)) => {
                let cost = self.compiled.message_cost;
                if !check.options.any_cost && cost > RULE_COST {
                    let why = too_dear("estimated messageExpression cost", cost, RULE_COST);
                    errs.push(FieldError::forbidden(&message, why));
                }
                check.total.add(&message, cost);
            }
            None => {}
        }
        if self.compiled.uses_old_self {
            if let Some(part) = self.uncorrelated {
                let why = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {part}");
                errs.push(FieldError::invalid(&at, &self.rule.rule, why));
            }
        } else if let Some(optional) = self.rule.optional_old_self {
            let why = "may not be set if oldSelf is not used in rule";
            errs.push(FieldError::invalid(&path.name("optionalOldSelf"), optional, why));
        }
    }

    fn shown(&self) -> Bad {
        table::message(RULE).map_or_else(|| self.raw.into(), |rule| Bad::plain(show::message(self.raw, rule)))
    }
}

/// How far a cost is beyond what it may be.
pub fn too_dear(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        factor if factor > 100.0 => "more than 100x".to_owned(),
        factor if factor < 1.5 => format!("{factor:.6}x"),
        factor => format!("{factor:.1}x"),
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and \
         maxLength where arrays, maps, and strings are declared)"
    )
}
