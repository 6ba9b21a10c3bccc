//! The types of what the expressions of webhooks and policies may name, and checking them when they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::field::{FieldError, FieldErrors};
use crate::model::syntax::label_key;
use crate::rules::at::At;
use crate::schema::cel::env::Env;
use crate::schema::cel::program::Program;
use crate::schema::cel::types::{Shape, Type};

/// Conditions of one webhook or policy.
const CONDITIONS: usize = 64;

/// What an expression may name beside the request and its objects.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names {
    pub params: bool,
    pub authorizer: bool,
    /// It makes a change.
    pub patches: bool,
}

/// The variables of a policy, in order.
pub type Variables = BTreeMap<String, Arc<Shape>>;

/// The environment of an expression; `variables` where the policy has any.
pub fn env(names: Names, variables: Option<&Variables>) -> Env {
    let (request, namespace) = (request(), namespace());
    let mut env = Env::default()
        .with("object", Type::Dyn)
        .with("oldObject", Type::Dyn)
        .with("namespaceObject", namespace.ty.clone())
        .with("request", request.ty.clone())
        .with_types_of(&request)
        .with_types_of(&namespace);
    if names.params {
        env = env.with("params", Type::Dyn);
    }
    if names.authorizer {
        let of = |name: &str| Type::named(&format!("kubernetes.authorization.{name}"));
        env = env.with("authorizer", of("Authorizer")).with("authorizer.requestResource", of("ResourceCheck"));
    }
    if names.patches {
        env = env.with_patches();
    }
    if let Some(variables) = variables {
        let shape = Shape::object("kubernetes.variables", variables.clone());
        env = env.with("variables", shape.ty.clone()).with_types_of(&shape);
    }
    env
}

/// Whether an expression is right and makes one of these types (any, if there are none); what it makes, if it is right.
pub fn check(env: &Env, at: &At, text: &str, makes: &[Type], errs: &mut FieldErrors) -> Option<Type> {
    let program = match Program::compile(env, text) {
        Ok(program) => program,
        Err(issues) => {
            errs.push(FieldError::invalid(at.path(), text, format!("compilation failed: {issues}")));
            return None;
        }
    };
    let made = program.result().clone();
    if !makes.is_empty() && !makes.contains(&made) {
        let names: Vec<_> = makes.iter().map(Type::declared).collect();
        let why = match names.as_slice() {
            [one] => format!("must evaluate to {one} but got {}", made.declared()),
            several => format!("must evaluate to one of [{}] but got {}", several.join(" "), made.declared()),
        };
        errs.push(FieldError::invalid(at.path(), text, why));
        return None;
    }
    if let Some(why) = program.defect() {
        errs.push(FieldError::internal(at.path(), format!("program instantiation failed: {why}")));
        return None;
    }
    Some(made)
}

/// `matchConditions`.
pub fn match_conditions(at: &At, params: bool, errs: &mut FieldErrors) {
    if at.len() > CONDITIONS {
        at.too_many(errs, CONDITIONS);
    }
    if at.is_empty() {
        return;
    }
    let env = env(Names { params, authorizer: true, patches: false }, None);
    let mut seen = Vec::new();
    for condition in at.items() {
        let (expression, name) = (condition.at("expression"), condition.at("name"));
        match expression.str().trim() {
            "" => expression.required(errs, ""),
            text => drop(check(&env, &expression, text, &[Type::Bool], errs)),
        }
        if name.is_empty() {
            name.required(errs, "");
            continue;
        }
        name.check(errs, label_key);
        if seen.contains(&name.str()) {
            name.duplicate(errs);
        }
        seen.push(name.str());
    }
}

fn object<const N: usize>(name: &str, fields: [(&str, Shape); N]) -> Shape {
    Shape::object(name, fields.into_iter().map(|(field, shape)| (field.to_owned(), Arc::new(shape))).collect())
}

fn of(ty: Type) -> Shape {
    Shape::simple(ty, 1)
}

fn texts() -> Shape {
    of(Type::list(Type::String))
}

fn text_map() -> Shape {
    of(Type::map(Type::String, Type::String))
}

fn request() -> Shape {
    let text = || of(Type::String);
    let names = |name: &str, last: &str| object(name, [("group", text()), ("version", text()), (last, text())]);
    let kind = || names("kubernetes.GroupVersionKind", "kind");
    let resource = || names("kubernetes.GroupVersionResource", "resource");
    let extra = of(Type::map(Type::String, Type::list(Type::String)));
    let user = [("username", text()), ("uid", text()), ("groups", texts()), ("extra", extra)];
    object(
        "kubernetes.AdmissionRequest",
        [
            ("kind", kind()),
            ("resource", resource()),
            ("subResource", text()),
            ("requestKind", kind()),
            ("requestResource", resource()),
            ("requestSubResource", text()),
            ("name", text()),
            ("namespace", text()),
            ("operation", text()),
            ("userInfo", object("kubernetes.UserInfo", user)),
            ("dryRun", of(Type::Bool)),
            ("options", of(Type::Dyn)),
        ],
    )
}

fn namespace() -> Shape {
    let text = || of(Type::String);
    let metadata = [
        ("name", text()),
        ("generateName", text()),
        ("namespace", text()),
        ("labels", text_map()),
        ("annotations", text_map()),
        ("UID", text()),
        ("creationTimestamp", of(Type::Timestamp)),
        ("deletionGracePeriodSeconds", of(Type::Int)),
        ("deletionTimestamp", of(Type::Timestamp)),
        ("generation", of(Type::Int)),
        ("resourceVersion", text()),
        ("finalizers", texts()),
    ];
    object(
        "kubernetes.Namespace",
        [
            ("metadata", object("kubernetes.NamespaceMetadata", metadata)),
            ("spec", object("kubernetes.NamespaceSpec", [("finalizers", texts())])),
            ("status", object("kubernetes.NamespaceStatus", [("phase", text())])),
        ],
    )
}
