//! Runs the rules of a schema over a custom object.

use std::borrow::Cow;

use super::correlate::{Keyed, Pair};
use super::expressions::{Compiled, Node, OLD_SELF, SELF};
use super::outcome::bad;
use super::schema::{Rule, Schema};
use crate::model::field::{Bad, Fault, FieldError, FieldErrors, Path};
use crate::model::gotext;
use crate::model::value::Value;
use crate::schema::cel::Fault as CelFault;
use crate::schema::cel::eval::{Meter, Variables};
use crate::schema::cel::typed;
use crate::schema::cel::value::{Result, Val};
use crate::schema::structure::Structure;

/// Units of cost that one evaluation may take, and all of an object.
pub const CALL_BUDGET: u64 = 1_000_000;
pub const OBJECT_BUDGET: u64 = 10_000_000;
/// Bytes of a message that an expression makes.
const MESSAGE_BYTES: usize = 5 << 10;
const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// What all evaluations of an object share.
pub struct Run<'e> {
    pub errs: &'e mut FieldErrors,
    /// Of rules that failed before already.
    pub warnings: &'e mut Vec<String>,
    /// Units of cost that are left.
    pub budget: u64,
}

/// The budget is used up: nothing more is run.
struct Spent;

type Done = std::result::Result<(), Spent>;

/// A value, what it was, and the nearest part around it that can be compared with what it was.
#[derive(Clone, Copy)]
struct Place<'a> {
    value: &'a Value,
    old: Option<&'a Value>,
    pair: Option<Pair<'a>>,
    around: Option<Pair<'a>>,
}

/// Runs all rules; `old` is what the object was, when it was.
pub fn run(
    run: &mut Run<'_>,
    node: &Node,
    (schema, structure): (&Schema, &Structure),
    (value, old): (&Value, Option<&Value>),
    ratchet: bool,
    path: &Path<'_>,
) {
    let pair = old.filter(|_| ratchet).map(|old| Pair { new: value, old, schema });
    let place = Place { value, old, pair, around: None };
    // Spent: the last error says so.
    let _ = run.node(node, schema, structure, place, path);
}

impl Run<'_> {
    fn node(&mut self, node: &Node, schema: &Schema, structure: &Structure, place: Place<'_>, path: &Path<'_>) -> Done {
        if place.value.is_null() {
            return Ok(());
        }
        self.rules(node, schema, structure, place, path)?;
        match place.value {
            Value::Array(items) => self.items(node, schema, structure, items, place, path),
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let (Some(node), Some(schema), Some(structure)) =
                        (&node.values, schema.values(), structure.values.as_deref())
                    {
                        self.node(node, schema, structure, place.field(name, value), &path.key(name))?;
                    }
                    if let (Some(node), Some(schema), Some(structure)) = (
                        node.properties.get(name.as_str()),
                        schema.properties.get(name.as_str()),
                        structure.properties.get(name.as_str()),
                    ) {
                        self.node(node, schema, structure, place.field(name, value), &path.name(name))?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn items(
        &mut self,
        node: &Node,
        schema: &Schema,
        structure: &Structure,
        items: &[Value],
        place: Place<'_>,
        path: &Path<'_>,
    ) -> Done {
        let (Some(node), Some(of), Some(structure)) = (&node.items, schema.item(), structure.items.as_deref()) else {
            return Ok(());
        };
        let pairs = place.pair.map(|pair| pair.items()).unwrap_or_default();
        let old = place.old.and_then(Value::as_array).map(|old| Keyed::new(schema, old));
        for (at, value) in items.iter().enumerate() {
            let inner = Place {
                value,
                old: old.as_ref().and_then(|old| old.get(value)),
                pair: pairs.get(at).copied().flatten(),
                around: place.pair.or(place.around),
            };
            self.node(node, of, structure, inner, &path.index(at))?;
        }
        Ok(())
    }

    fn rules(
        &mut self,
        node: &Node,
        schema: &Schema,
        structure: &Structure,
        place: Place<'_>,
        path: &Path<'_>,
    ) -> Done {
        let kind = schema.kind.as_str();
        if node.untyped {
            let why = "rule compiler initialization error: failed to convert to declType for CEL validation rules";
            self.errs.push(FieldError::invalid(path, kind, why));
            return Ok(());
        }
        if node.rules.is_empty() {
            return Ok(());
        }
        if self.budget == 0 {
            self.errs.push(FieldError::invalid(path, kind, OUT_OF_BUDGET));
            return Err(Spent);
        }
        let of = if node.whole { typed::Schema::of_object(structure) } else { typed::Schema::new(structure) };
        let old = place.old.filter(|old| !old.is_null());
        let scope =
            Scope { own: Val::typed(place.value, of), old: old.map(|old| Val::typed(old, of)), optional: false };
        for (rule, compiled) in schema.rules.iter().zip(&node.rules) {
            if let Some(compiled) = compiled {
                self.rule(rule, compiled, kind, &scope, place, path)?;
            }
        }
        Ok(())
    }

    fn rule<'a>(
        &mut self,
        rule: &Rule,
        compiled: &'a Compiled,
        kind: &str,
        scope: &Scope<'a>,
        place: Place<'_>,
        path: &Path<'_>,
    ) -> Done {
        let program = match &compiled.program {
            Ok(program) => program,
            Err(why) => {
                self.errs.push(FieldError::invalid(path, kind, format!("rule compile error: {why}")));
                return Ok(());
            }
        };
        let optional = rule.optional_old_self == Some(true);
        if compiled.uses_old_self && scope.old.is_none() && !optional {
            return Ok(());
        }
        let mut meter = Meter::new(CALL_BUDGET);
        let result = program.run(&Scope { optional, ..scope.clone() }, &mut meter);
        if meter.used > self.budget {
            self.errs.push(FieldError::invalid(path, kind, OUT_OF_BUDGET));
            return Err(Spent);
        }
        self.budget -= meter.used;
        match result {
            Ok(Val::Bool(true)) => Ok(()),
            Ok(_) => self.failed(rule, compiled, kind, scope, place, path),
            Err(fault) => {
                let spent = matches!(fault, CelFault::Budget);
                self.errs.push(FieldError::invalid(path, kind, why(rule, &fault)));
                if spent { Err(Spent) } else { Ok(()) }
            }
        }
    }

    /// A rule came out false.
    fn failed<'a>(
        &mut self,
        rule: &Rule,
        compiled: &'a Compiled,
        kind: &str,
        scope: &Scope<'a>,
        place: Place<'_>,
        path: &Path<'_>,
    ) -> Done {
        let below = path.name(&compiled.path);
        let path = if compiled.path.is_empty() { path } else { &below };
        let (detail, done) = match self.message(rule, compiled, scope) {
            Ok(made) => (made.map_or_else(|| said(rule), Cow::Owned), Ok(())),
            Err(why) => {
                self.tell(FieldError::invalid(path, kind, why), compiled, place);
                return Err(Spent);
            }
        };
        let value = if matches!(kind, "object" | "array") { Bad::plain("") } else { bad(place.value) };
        let fault = match rule.reason.as_deref() {
            Some("FieldValueForbidden") => Fault::Forbidden,
            Some("FieldValueRequired") => Fault::Required,
            Some("FieldValueDuplicate") => Fault::Duplicate,
            _ => Fault::Invalid,
        };
        let error = match fault {
            Fault::Duplicate => FieldError::duplicate(path, value),
            fault => FieldError::new(fault, path, value, detail.into_owned()),
        };
        self.tell(error, compiled, place);
        done
    }

    /// What fails as it did before is a warning.
    fn tell(&mut self, error: FieldError, compiled: &Compiled, place: Place<'_>) {
        let unchanged = || place.pair.or(place.around).is_some_and(|pair| pair.same());
        if !compiled.uses_old_self && unchanged() {
            self.warnings.push(error.to_string());
        } else {
            self.errs.push(error);
        }
    }

    /// What the rule's message expression makes; `None` when it makes no message. The error ends everything.
    fn message<'a>(
        &mut self,
        rule: &Rule,
        compiled: &'a Compiled,
        scope: &Scope<'a>,
    ) -> std::result::Result<Option<String>, String> {
        let Some(Ok(program)) = &compiled.message else { return Ok(None) };
        let mut meter = Meter::new(CALL_BUDGET);
        let result = program.run(scope, &mut meter);
        if meter.used > self.budget {
            let why = "messageExpression evaluation failed due to running out of cost budget, no further validation \
                       rules will be run";
            return Err(why.to_owned());
        }
        self.budget -= meter.used;
        match result {
            Err(CelFault::Budget) => {
                let quoted = gotext::quote(&rule.message_expression);
                let why =
                    "no further validation rules will be run due to call cost exceeds limit for messageExpression";
                Err(format!("{why}: {quoted}"))
            }
            Ok(Val::String(text)) => {
                let text = text.trim();
                let right = !text.is_empty() && text.len() <= MESSAGE_BYTES && !text.contains('\n');
                Ok(right.then(|| text.to_owned()))
            }
            _ => Ok(None),
        }
    }
}

impl<'a> Place<'a> {
    fn field(&self, name: &str, value: &'a Value) -> Self {
        let old = self.old.and_then(|old| old.get(name));
        let Some(pair) = self.pair else { return Self { value, old, ..*self } };
        // A root's kind and version were made the same in old and new.
        if self.around.is_none() && matches!(name, "apiVersion" | "kind") {
            return Self { value, old, pair: None, around: None };
        }
        Self { value, old, pair: pair.field(name), around: Some(pair) }
    }
}

/// `self` and `oldSelf`.
#[derive(Clone)]
struct Scope<'a> {
    own: Result<Val<'a>>,
    old: Option<Result<Val<'a>>>,
    /// `oldSelf` is optional.
    optional: bool,
}

impl<'a> Variables<'a> for Scope<'a> {
    fn get(&self, name: &str, _: &mut Meter) -> Option<Result<Val<'a>>> {
        match name {
            SELF => Some(self.own.clone()),
            OLD_SELF if self.optional => Some(match &self.old {
                Some(old) => old.clone().map(Val::some),
                None => Ok(Val::none()),
            }),
            OLD_SELF => self.old.clone(),
            _ => None,
        }
    }
}

fn why(rule: &Rule, fault: &CelFault) -> String {
    let named = if rule.message.is_empty() { rule.rule.trim() } else { rule.message.trim() };
    match fault {
        CelFault::Budget => {
            format!(
                "'{fault}': no further validation rules will be run due to call cost exceeds limit for rule: {named}"
            )
        }
        CelFault::Error(text) if text.starts_with("no such overload") => {
            format!(
                "'{text}': call arguments did not match a supported operator, function or macro signature for rule: \
                 {named}"
            )
        }
        CelFault::Error(text) => format!("{text} evaluating rule: {named}"),
    }
}

fn said(rule: &Rule) -> Cow<'_, str> {
    if rule.message.is_empty() {
        format!("failed rule: {}", rule.rule.trim()).into()
    } else {
        rule.message.trim().into()
    }
}
