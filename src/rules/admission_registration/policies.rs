//! ValidatingAdmissionPolicy and MutatingAdmissionPolicy.

use std::sync::Arc;

use super::expressions::{Names, Variables, check, env, match_conditions};
use super::matching::{FAILURE, REINVOCATION, match_resources, mutating_operations, param_kind};
use super::{GROUP, metadata, warn};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::syntax::label_key;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::conditions::conditions;
use crate::rules::kind::{Cx, Generation, NONE, Part, Rules, STATUS, Status};
use crate::rules::strategy;
use crate::schema::cel::names::is_identifier;
use crate::schema::cel::types::{Shape, Type};

pub const VALIDATING: Rules = Rules {
    group: GROUP,
    kind: "ValidatingAdmissionPolicy",
    generation: Generation::Fields(&["spec"]),
    status: Status::Separate,
    unconditional_update: false,
    validate: |_, at, errs| validating(at, false, errs),
    validate_update: |_, new, old, errs| validating(new, same_conditions(new, old), errs),
    warn,
    parts: &[Part { prepare: |_, new, old| strategy::keep_metadata(new, old), validate: validate_status, ..STATUS }],
    ..NONE
};

pub const MUTATING: Rules = Rules {
    kind: "MutatingAdmissionPolicy",
    status: Status::Inline,
    validate: |_, at, errs| mutating(at, false, errs),
    validate_update: |_, new, old, errs| mutating(new, same_conditions(new, old), errs),
    parts: &[],
    ..VALIDATING
};

const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
/// Annotations of one policy, and bytes of one's expression.
const ANNOTATIONS: usize = 20;
const ANNOTATION_BYTES: usize = 5 << 10;

/// What was judged before need not be judged again.
fn same_conditions(new: &At, old: &At) -> bool {
    ["paramKind", "matchConditions"].iter().all(|field| new.value()["spec"][field] == old.value()["spec"][field])
}

/// What both kinds say first.
fn common(spec: &At, mutating: bool, skip_conditions: bool, errs: &mut FieldErrors) {
    choices::required(&spec.at("failurePolicy"), &FAILURE, errs);
    let kind = spec.at("paramKind");
    if kind.exists() {
        param_kind(&kind, errs);
    }
    let constraints = spec.at("matchConstraints");
    if constraints.is_null() {
        constraints.required(errs, "");
    } else {
        match_resources(&constraints, errs);
        if constraints.at("resourceRules").is_empty() {
            constraints.at("resourceRules").required(errs, "");
        }
        if mutating {
            mutating_operations(&constraints, errs);
        }
    }
    if !skip_conditions {
        match_conditions(&spec.at("matchConditions"), kind.exists(), errs);
    }
}

/// The variables of a policy, typed one after the other.
fn variables(spec: &At, errs: &mut FieldErrors) -> Variables {
    let mut known = Variables::new();
    let names = Names { params: spec.at("paramKind").exists(), authorizer: true, patches: false };
    for variable in spec.at("variables").items() {
        let (name, expression) = (variable.at("name"), variable.at("expression"));
        if name.str().trim().is_empty() {
            name.required(errs, "name is not specified");
        } else if !is_identifier(name.str()) {
            name.invalid(errs, "must be a valid CEL identifier");
        }
        if expression.str().trim().is_empty() {
            expression.required(errs, "expression is not specified");
            continue;
        }
        let made = check(&env(names, Some(&known)), &expression, expression.str(), &[], errs);
        known.insert(name.str().to_owned(), Arc::new(Shape::simple(made.unwrap_or(Type::Dyn), 1)));
    }
    known
}

fn validating(at: &At, skip_conditions: bool, errs: &mut FieldErrors) {
    metadata(at, errs);
    let spec = at.at("spec");
    common(&spec, false, skip_conditions, errs);
    let known = variables(&spec, errs);
    let known = Some(&known).filter(|_| !spec.at("variables").is_empty());
    let (validations, annotations) = (spec.at("validations"), spec.at("auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        let why = "validations or auditAnnotations must contain at least one item";
        validations.required(errs, why);
        return annotations.required(errs, why);
    }
    let params = spec.at("paramKind").exists();
    let judging = env(Names { params, authorizer: true, patches: false }, known);
    let telling = env(Names { params, authorizer: false, patches: false }, known);
    for validation in validations.items() {
        let expression = validation.at("expression");
        if expression.str().trim().is_empty() {
            expression.required(errs, "expression is not specified");
        } else {
            check(&judging, &expression, expression.str(), &[Type::Bool], errs);
        }
        let message = validation.at("messageExpression");
        if !message.str().trim().is_empty() {
            check(&telling, &message, message.str(), &[Type::String], errs);
        } else if !message.is_empty() {
            message.invalid(errs, "must be non-empty if specified");
        }
        let message = validation.at("message");
        if !message.is_empty() && message.str().trim().is_empty() {
            message.invalid(errs, "must be non-empty if specified");
        } else if message.str().trim().contains(['\n', '\r']) {
            message.invalid(errs, "must not contain line breaks");
        }
        choices::optional(&validation.at("reason"), &REASONS, errs);
    }
    if annotations.len() > ANNOTATIONS {
        annotations.invalid(errs, format!("must not have more than {ANNOTATIONS} auditAnnotations"));
    }
    let policy = at.at("metadata");
    let policy = policy.at("name").str();
    let mut seen = Vec::new();
    for item in annotations.items() {
        let (key, value) = (item.at("key"), item.at("valueExpression"));
        if policy.is_empty() {
            key.invalid(errs, "requires metadata.name be non-empty");
        } else {
            let whole = format!("{policy}/{}", key.str());
            errs.extend(label_key(&whole).into_iter().map(|text| FieldError::invalid(key.path(), &whole, text)));
        }
        annotation(&value, &judging, errs);
        if seen.contains(&key.str()) {
            key.duplicate(errs);
        }
        seen.push(key.str());
    }
}

fn annotation(at: &At, env: &crate::schema::cel::env::Env, errs: &mut FieldErrors) {
    match at.str().trim() {
        "" => at.required(errs, "valueExpression is not specified"),
        text if text.len() > ANNOTATION_BYTES => {
            at.required(errs, format!("must not exceed {ANNOTATION_BYTES} bytes in length"));
        }
        text => drop(check(env, at, text, &[Type::String, Type::Null], errs)),
    }
}

fn mutating(at: &At, skip_conditions: bool, errs: &mut FieldErrors) {
    metadata(at, errs);
    let spec = at.at("spec");
    common(&spec, true, skip_conditions, errs);
    let known = variables(&spec, errs);
    let mutations = spec.at("mutations");
    if mutations.is_empty() {
        mutations.required(errs, "mutations must contain at least one item");
    }
    let names = Names { params: spec.at("paramKind").exists(), authorizer: true, patches: true };
    let env = env(names, Some(&known));
    for mutation in mutations.items() {
        let kind = mutation.at("patchType");
        let (patch, apply) = (mutation.at("jsonPatch"), mutation.at("applyConfiguration"));
        let (own, other, makes) = match kind.str() {
            "JSONPatch" => (patch, apply, Type::list(Type::named("JSONPatch"))),
            "ApplyConfiguration" => (apply, patch, Type::named("Object")),
            _ => {
                choices::required(&kind, &["ApplyConfiguration", "JSONPatch"], errs);
                continue;
            }
        };
        let why = |what: &str| format!("must {what}be specified when patchType is {}", kind.str());
        let expression = own.at("expression");
        match expression.str().trim() {
            _ if own.is_null() => own.required(errs, why("")),
            "" => expression.required(errs, ""),
            text => drop(check(&env, &expression, text, &[makes], errs)),
        }
        if other.exists() {
            let shown = if kind.str() == "JSONPatch" { "{applyConfiguration}" } else { "{jsonPatch}" };
            other.invalid_as(errs, shown, why("not "));
        }
    }
    choices::required(&spec.at("reinvocationPolicy"), &REINVOCATION, errs);
}

fn validate_status(_: &Cx, new: &At, _: &At, errs: &mut FieldErrors) {
    let status = new.at("status");
    let checking = status.at("typeChecking");
    for warning in checking.at("expressionWarnings").items() {
        if warning.at("warning").is_empty() {
            warning.at("warning").required(errs, "");
        }
        if warning.at("fieldRef").str().trim().is_empty() {
            warning.at("fieldRef").required(errs, "");
        }
    }
    conditions(&status.at("conditions"), errs);
}
