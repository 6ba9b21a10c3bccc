//! Is a webhook to be asked about this at all: CEL over the question.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::field::{FieldErrors, aggregate};
use crate::model::value::{Value, json};
use crate::rules::at::At;
use crate::schema::cel::env::Env;
use crate::schema::cel::eval::{Meter, Values};
use crate::schema::cel::program::Program;
use crate::schema::cel::types::{Shape, Type};
use crate::schema::cel::value::Val;

/// Conditions of one webhook at most.
const CONDITIONS: usize = 64;
/// Units of cost that one evaluation may take.
const BUDGET: u64 = 1_000_000;

/// The conditions of one webhook: it is asked where all are true.
#[derive(Default)]
pub struct Conditions(Vec<(String, Program)>);

impl Conditions {
    /// Of the `matchConditions` at this place.
    pub fn compile(conditions: &At, errs: &mut FieldErrors) -> Self {
        if conditions.len() > CONDITIONS {
            conditions.too_many(errs, CONDITIONS);
            return Self::default();
        }
        let (env, mut seen, mut compiled) = (env(), BTreeSet::new(), Vec::new());
        for condition in conditions.items() {
            let expression = condition.at("expression");
            let text = expression.str();
            if text.trim().is_empty() {
                expression.required(errs, "");
            } else if !seen.insert(text) {
                expression.duplicate(errs);
            } else {
                match Program::compile(&env, text) {
                    Err(issues) => expression.invalid(errs, format!("compilation failed: {issues}")),
                    Ok(program) if *program.result() != Type::Bool => {
                        let found = program.result();
                        expression.invalid(errs, format!("must evaluate to bool but got {found}"));
                    }
                    Ok(program) => match program.defect() {
                        Some(why) => expression.internal(errs, format!("program instantiation failed: {why}")),
                        None => compiled.push((text.to_owned(), program)),
                    },
                }
            }
        }
        Self(compiled)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all are true of this `spec`. One that is false settles it; otherwise one that cannot be evaluated is an
    /// error.
    pub fn hold(&self, spec: &Value) -> Result<bool, String> {
        if self.0.is_empty() {
            return Ok(true);
        }
        let request = whole(spec);
        let mut errors = Vec::new();
        for (text, program) in &self.0 {
            let variables = Values(vec![("request", Val::seen(&request))]);
            match program.run(&variables, &mut Meter::new(BUDGET)) {
                Ok(Val::Bool(true)) => {}
                Ok(Val::Bool(false)) => return Ok(false),
                Ok(_) => {
                    errors.push(format!("cel evaluation error: expression '{text}' eval result type should be bool"))
                }
                Err(why) => errors.push(format!("cel evaluation error: expression '{text}' resulted in error: {why}")),
            }
        }
        if errors.is_empty() { Ok(true) } else { Err(aggregate(errors.into_iter().map(Into::into))) }
    }
}

/// With every text that the type has, also the empty ones.
fn whole(spec: &Value) -> Value {
    let text = |of: &Value, name: &str| Value::from(of[name].as_str().unwrap_or(""));
    let or = |name: &str, empty: Value| spec.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(empty);
    let mut request = json!({
        "user": text(spec, "user"), "uid": text(spec, "uid"),
        "groups": or("groups", json!([])), "extra": or("extra", json!({}))
    });
    for (part, texts) in [
        ("resourceAttributes", &["namespace", "verb", "group", "version", "resource", "subresource", "name"][..]),
        ("nonResourceAttributes", &["path", "verb"]),
    ] {
        let Some(mut whole) = spec.get(part).filter(|value| value.is_object()).cloned() else { continue };
        for name in texts {
            whole[*name] = text(&spec[part], name);
        }
        for selector in ["fieldSelector", "labelSelector"] {
            let requirements = whole.get_mut(selector).and_then(|selector| selector.get_mut("requirements"));
            for requirement in requirements.and_then(Value::as_array_mut).into_iter().flatten() {
                if requirement.get("values").is_none() {
                    requirement["values"] = json!([]);
                }
            }
        }
        request[part] = whole;
    }
    request
}

fn env() -> Env {
    let request = request();
    Env::default().with("request", request.ty.clone()).with_types_of(&request)
}

fn object<const N: usize>(name: &str, fields: [(&str, Arc<Shape>); N]) -> Arc<Shape> {
    let fields = fields.into_iter().map(|(field, shape)| (field.to_owned(), shape));
    Arc::new(Shape::object(&format!("kubernetes.{name}"), fields.collect()))
}

fn request() -> Arc<Shape> {
    let simple = |ty| Arc::new(Shape::simple(ty, 1));
    let text = || simple(Type::String);
    let texts = || simple(Type::list(Type::String));
    let requirement = object("SelectorRequirement", [("key", text()), ("operator", text()), ("values", texts())]);
    let selector = |name: &str| {
        let requirements = Arc::new(Shape::list(requirement.clone(), -1));
        object(name, [("rawSelector", text()), ("requirements", requirements)])
    };
    let resource = object(
        "ResourceAttributes",
        [
            ("namespace", text()),
            ("verb", text()),
            ("group", text()),
            ("version", text()),
            ("resource", text()),
            ("subresource", text()),
            ("name", text()),
            ("fieldSelector", selector("FieldSelectorAttributes")),
            ("labelSelector", selector("LabelSelectorAttributes")),
        ],
    );
    let path = object("NonResourceAttributes", [("path", text()), ("verb", text())]);
    object(
        "SubjectAccessReviewSpec",
        [
            ("resourceAttributes", resource),
            ("nonResourceAttributes", path),
            ("user", text()),
            ("groups", texts()),
            ("extra", simple(Type::map(Type::String, Type::list(Type::String)))),
            ("uid", text()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(expressions: &[&str]) -> (Conditions, String) {
        let conditions: Value = expressions.iter().map(|text| json!({"expression": *text})).collect();
        let mut errs = FieldErrors::new();
        let compiled = Conditions::compile(&At::new(&conditions, None), &mut errs);
        (compiled, errs.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn hold(expressions: &[&str], spec: &Value) -> String {
        let (conditions, errors) = compile(expressions);
        assert_eq!(errors, "");
        conditions.hold(spec).map_or_else(|why| why, |hold| hold.to_string())
    }

    #[test]
    fn all_must_be_true_of_the_question() {
        let of_resource = json!({"user": "jane", "resourceAttributes": {"verb": "get", "resource": "pods",
            "fieldSelector": {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n"]}]}}});
        let of_path = json!({"user": "jane", "groups": ["a"], "nonResourceAttributes": {"verb": "get", "path": "/x"}});
        assert_eq!(hold(&[], &of_path), "true");
        assert_eq!(hold(&["has(request.resourceAttributes)"], &of_resource), "true");
        assert_eq!(hold(&["has(request.resourceAttributes)"], &of_path), "false");
        assert_eq!(hold(&["request.resourceAttributes.namespace == ''"], &of_resource), "true");
        assert_eq!(hold(&["'a' in request.groups", "request.nonResourceAttributes.path == '/x'"], &of_path), "true");
        let selector = "request.resourceAttributes.fieldSelector.requirements.exists(r, r.key == 'spec.nodeName' && r.values == ['n'])";
        assert_eq!(hold(&[selector], &of_resource), "true");
        let labelled =
            json!({"resourceAttributes": {"labelSelector": {"requirements": [{"key": "a", "operator": "Exists"}]}}});
        let selector = "request.resourceAttributes.labelSelector.requirements.exists(r, r.key == 'a' && r.operator == 'Exists' && r.values.size() == 0)";
        assert_eq!(hold(&[selector, "!has(request.resourceAttributes.fieldSelector)"], &labelled), "true");
        assert_eq!(hold(&["request.extra.size() == 0 && request.uid == ''"], &of_resource), "true");
    }

    #[test]
    fn one_that_is_false_counts_more_than_one_that_fails() {
        let spec = json!({"user": "jane", "nonResourceAttributes": {"verb": "get", "path": "/x"}});
        let fails = "request.resourceAttributes.verb == 'get'";
        assert_eq!(hold(&[fails, "request.user == 'joe'"], &spec), "false");
        assert_eq!(
            hold(&[fails], &spec),
            format!("cel evaluation error: expression '{fails}' resulted in error: no such key: resourceAttributes")
        );
    }

    #[test]
    fn conditions_are_judged_when_they_are_written() {
        let (_, errors) = compile(&["", "true", "true", "request.user", "request.nothing == ''"]);
        let expected = [
            "[0].expression: Required value",
            "[2].expression: Duplicate value: \"true\"",
            "[3].expression: Invalid value: \"request.user\": must evaluate to bool but got string",
            "[4].expression: Invalid value: \"request.nothing == ''\": compilation failed: ERROR: <input>:1:8: undefined field 'nothing'",
            " | request.nothing == ''",
            " | .......^",
        ];
        assert_eq!(errors, expected.join("\n"));
        let (_, many) = compile(&["true"; 65]);
        assert!(many.contains("Too many: 65: must have at most 64 items"), "{many}");
    }
}
