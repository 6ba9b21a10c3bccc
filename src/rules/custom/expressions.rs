//! The expressions of a schema's `x-kubernetes-validations`, compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::field_path::field_path;
use super::schema::{Rule, Schema};
use super::shape::{REQUEST_BYTES, shape};
use crate::schema::cel::env::Env;
use crate::schema::cel::names::escape;
use crate::schema::cel::program::Program;
use crate::schema::cel::types::{Shape, Type};

/// The value that a rule judges, and what it was.
pub const SELF: &str = "self";
pub const OLD_SELF: &str = "oldSelf";
/// What the types of the root are named below: not to be relied on.
pub const ROOT: &str = "selfType";

/// A rule, ready to run.
#[derive(Debug)]
pub struct Compiled {
    /// Or what is wrong with it.
    pub program: Result<Program, String>,
    pub uses_old_self: bool,
    /// The most that one evaluation costs.
    pub cost: u64,
    pub message: Option<Result<Program, String>>,
    pub message_cost: u64,
    /// Below the value, where errors are told; empty: at the value.
    pub path: String,
}

/// How often a value of at least this size can be there in a request.
pub fn cardinality(shape: &Shape) -> u64 {
    u64::try_from(REQUEST_BYTES / (shape.least_bytes + 1)).unwrap_or(0)
}

/// A schema's own rules; `None` for one that says nothing.
pub fn compile(schema: &Schema, shape: &Arc<Shape>) -> Vec<Option<Compiled>> {
    schema.rules.iter().map(|rule| compile_rule(schema, rule, shape)).collect()
}

fn compile_rule(schema: &Schema, rule: &Rule, shape: &Arc<Shape>) -> Option<Compiled> {
    if rule.rule.trim().is_empty() {
        return None;
    }
    let optional = rule.optional_old_self == Some(true);
    let old = if optional { Type::optional(shape.ty.clone()) } else { shape.ty.clone() };
    let env = Env::default().with(SELF, shape.ty.clone()).with(OLD_SELF, old).with_types_of(shape);
    let program = Program::compile(&env, &rule.rule)
        .map_err(|issues| format!("compilation failed: {issues}"))
        .and_then(|program| is(program, &Type::Bool, "cel expression must evaluate to a bool"))
        .and_then(|program| runs(program, "program instantiation failed"));
    let mut compiled = Compiled {
        uses_old_self: program.as_ref().is_ok_and(|program| program.reads(OLD_SELF)),
        cost: program.as_ref().map_or(0, |program| program.cost(Some(shape), env.costly_has).max),
        program,
        message: None,
        message_cost: 0,
        path: String::new(),
    };
    if compiled.program.is_ok() && !rule.message_expression.is_empty() {
        let message = Program::compile(&env, &rule.message_expression)
            .map_err(|issues| format!("messageExpression compilation failed: {issues}"))
            .and_then(|program| is(program, &Type::String, "messageExpression must evaluate to a string"))
            .and_then(|program| runs(program, "messageExpression instantiation failed"));
        compiled.message_cost = message.as_ref().map_or(0, |program| program.cost(Some(shape), env.costly_has).max);
        let right = message.is_ok();
        compiled.message = Some(message);
        if !right {
            return Some(compiled);
        }
    }
    if compiled.program.is_ok() && !rule.field_path.is_empty() {
        compiled.path = field_path(&rule.field_path, schema, true).map(|found| found.path).unwrap_or_default();
    }
    Some(compiled)
}

fn is(program: Program, ty: &Type, otherwise: &str) -> Result<Program, String> {
    if program.result() == ty { Ok(program) } else { Err(otherwise.to_owned()) }
}

fn runs(program: Program, otherwise: &str) -> Result<Program, String> {
    match program.defect() {
        Some(defect) => Err(format!("{otherwise}: {defect}")),
        None => Ok(program),
    }
}

/// The rules of a schema and of all within it.
#[derive(Debug)]
pub struct Node {
    /// Whether the value is a whole object.
    pub whole: bool,
    pub rules: Vec<Option<Compiled>>,
    /// There are rules, but no type to compile them for.
    pub untyped: bool,
    pub items: Option<Box<Node>>,
    pub values: Option<Box<Node>>,
    pub properties: BTreeMap<String, Node>,
}

/// All rules of a custom object's schema; `None` when there are none.
pub fn tree(schema: &Schema, whole: bool) -> Option<Node> {
    if !schema.any(&mut |schema| !schema.rules.is_empty()) {
        return None;
    }
    node(schema, whole, shape(schema, whole, ROOT).as_ref())
}

fn node(schema: &Schema, whole: bool, of: Option<&Arc<Shape>>) -> Option<Node> {
    let part = |name: &str| of.and_then(|of| of.shared(name));
    let mut properties = BTreeMap::new();
    for (name, schema) in schema.properties.iter() {
        // A field that has no identifier has a shape of its own.
        let shape = match escape(name) {
            Some(name) => part(&name),
            None => shape(schema, schema.embedded, ROOT),
        };
        if let Some(shape) = shape
            && let Some(node) = node(schema, schema.embedded, Some(&shape))
        {
            properties.insert(name.to_owned(), node);
        }
    }
    let found = Node {
        whole,
        rules: of.map(|of| compile(schema, of)).unwrap_or_default(),
        untyped: of.is_none() && !schema.rules.is_empty(),
        items: schema.item().and_then(|of| node(of, of.embedded, part("@items").as_ref())).map(Box::new),
        values: schema.values().and_then(|of| node(of, of.embedded, part("@values").as_ref())).map(Box::new),
        properties,
    };
    let empty = found.rules.is_empty() && found.items.is_none() && found.values.is_none() && !found.untyped;
    (!empty || !found.properties.is_empty()).then_some(found)
}
