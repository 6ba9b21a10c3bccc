//! A checked expression made ready to run: names resolved to places, calls to functions, constants to values.

use regex::Regex;

use super::ast::{Call, Expr, Fold, Literal, Node, Select, op};
use super::check::Checked;
use super::functions::{self, Native};
use super::value::{Val, type_text};
use crate::model;

/// Of composed expressions: their results, by name.
pub const VARIABLES: &str = "variables";

#[derive(Debug)]
pub enum Step {
    Const(Val<'static>),
    /// A variable of the environment, by its whole name.
    Variable(Box<str>),
    /// A variable of a macro, by its depth.
    Local(usize),
    Select {
        operand: Box<Step>,
        field: Box<str>,
        optional: bool,
    },
    Test {
        operand: Box<Step>,
        field: Box<str>,
    },
    Index {
        operand: Box<Step>,
        key: Box<Step>,
        optional: bool,
    },
    And(Box<Step>, Box<Step>),
    Or(Box<Step>, Box<Step>),
    If(Box<Step>, Box<Step>, Box<Step>),
    NotStrictlyFalse(Box<Step>),
    Call(Box<Invocation>),
    List(Vec<(Step, bool)>),
    Map(Vec<(Step, Step, bool)>),
    Struct {
        name: Box<str>,
        fields: Vec<(Box<str>, Step, bool)>,
    },
    Fold(Box<Loop>),
}

#[derive(Debug)]
pub struct Invocation {
    pub function: &'static str,
    /// Empty when it depends on the values.
    pub overload: &'static str,
    pub native: Native,
    pub args: Vec<Step>,
    /// The pattern among the arguments, when it is a constant.
    pub pattern: Option<Regex>,
}

#[derive(Debug)]
pub struct Loop {
    pub range: Step,
    pub two: bool,
    /// Nothing is looped over: it only names a value.
    pub binds: bool,
    pub init: Step,
    pub condition: Step,
    pub step: Step,
    pub result: Step,
}

/// Makes the steps of an expression. The error is of a constant that can never be evaluated.
pub fn plan(checked: &Checked) -> Result<Step, String> {
    let mut planner = Planner { checked, locals: Vec::new(), fault: None };
    let step = planner.step(&checked.ast.root);
    match planner.fault {
        Some(fault) => Err(fault),
        None => Ok(step),
    }
}

/// What a constant is converted by is done ahead.
const CONVERSIONS: [&str; 10] =
    ["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"];

struct Planner<'a> {
    checked: &'a Checked,
    locals: Vec<&'a str>,
    fault: Option<String>,
}

impl<'a> Planner<'a> {
    fn boxed(&mut self, expr: &'a Expr) -> Box<Step> {
        Box::new(self.step(expr))
    }

    fn step(&mut self, expr: &'a Expr) -> Step {
        match &expr.node {
            Node::Literal(literal) => Step::Const(constant(literal)),
            Node::Ident(name) => self.ident(expr, name),
            Node::Select(select) => self.select(select),
            Node::Call(call) => self.call(expr, call),
            Node::List(list) => {
                let items = list.items.iter().enumerate();
                let items = items.map(|(at, item)| (self.step(item), list.optional.contains(&at)));
                constant_list(items.collect())
            }
            Node::Map(entries) => {
                let entries = entries.iter();
                constant_map(entries.map(|e| (self.step(&e.key), self.step(&e.value), e.optional)).collect())
            }
            Node::Struct(object) => {
                let fields = object.fields.iter();
                let fields = fields.map(|f| (f.name.clone(), self.step(&f.value), f.optional)).collect();
                Step::Struct { name: object.name.clone(), fields }
            }
            Node::Fold(fold) => self.fold(fold),
        }
    }

    fn ident(&mut self, expr: &Expr, name: &'a str) -> Step {
        if let Some(depth) = self.locals.iter().rposition(|local| *local == name) {
            return Step::Local(depth);
        }
        match self.checked.type_name(expr) {
            Some(ty) => Step::Const(Val::Type(type_text(ty))),
            None => Step::Variable(name.into()),
        }
    }

    fn select(&mut self, select: &'a Select) -> Step {
        let field = select.field.clone();
        let composed = select.operand.ident() == Some(VARIABLES) && !self.locals.contains(&VARIABLES);
        if composed && !select.test {
            return Step::Variable(format!("{VARIABLES}.{field}").into());
        }
        let operand = self.boxed(&select.operand);
        if select.test { Step::Test { operand, field } } else { Step::Select { operand, field, optional: false } }
    }

    fn call(&mut self, expr: &'a Expr, call: &'a Call) -> Step {
        let args = &call.args;
        match (&*call.function, args.as_slice()) {
            (op::AND, [a, b]) => return Step::And(self.boxed(a), self.boxed(b)),
            (op::OR, [a, b]) => return Step::Or(self.boxed(a), self.boxed(b)),
            (op::CONDITIONAL, [c, a, b]) => return Step::If(self.boxed(c), self.boxed(a), self.boxed(b)),
            (op::NOT_STRICTLY_FALSE, [a]) => return Step::NotStrictlyFalse(self.boxed(a)),
            (op::INDEX, [a, key]) => {
                return Step::Index { operand: self.boxed(a), key: self.boxed(key), optional: false };
            }
            (op::OPT_INDEX, [a, key]) => {
                return Step::Index { operand: self.boxed(a), key: self.boxed(key), optional: true };
            }
            (op::OPT_SELECT, [a, Expr { node: Node::Literal(Literal::String(field)), .. }]) => {
                return Step::Select { operand: self.boxed(a), field: field.clone(), optional: true };
            }
            _ => {}
        }
        let overload = match self.checked.overloads(expr) {
            [one] => one,
            _ => "",
        };
        let (function, native) = functions::find(&call.function);
        let pattern = self.pattern(function, call);
        let args: Vec<Step> = call.target.as_deref().into_iter().chain(args).map(|arg| self.step(arg)).collect();
        let converts = CONVERSIONS.contains(&function);
        let overload = match args.as_slice() {
            [_, Step::Const(Val::List(items))] if function == "@in" && items.is_empty() => {
                return Step::Const(Val::Bool(false));
            }
            [_, Step::Const(Val::List(_))] if overload == "in_list" => "",
            _ => overload,
        };
        let invocation = Invocation { function, overload, native, args, pattern };
        match invocation.args.as_slice() {
            [Step::Const(value)] if converts => match (invocation.native)(&invocation, std::slice::from_ref(value)) {
                Ok(value) => Step::Const(value),
                Err(fault) => {
                    self.fault.get_or_insert(fault.to_string());
                    Step::Call(Box::new(invocation))
                }
            },
            _ => Step::Call(Box::new(invocation)),
        }
    }

    /// The compiled pattern of a call that takes one, when it is written out.
    fn pattern(&mut self, function: &str, call: &Call) -> Option<Regex> {
        if !["matches", "find", "findAll"].contains(&function) {
            return None;
        }
        let at = usize::from(call.target.is_none());
        let Node::Literal(Literal::String(text)) = &call.args.get(at)?.node else { return None };
        match model::regex::compile(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.fault.get_or_insert(error);
                None
            }
        }
    }

    fn fold(&mut self, fold: &'a Fold) -> Step {
        let (range, init) = (self.step(&fold.range), self.step(&fold.init));
        let outside = self.locals.len();
        self.locals.push(&fold.accumulator);
        self.locals.push(&fold.var);
        self.locals.extend(fold.second.as_deref());
        let (condition, step) = (self.step(&fold.condition), self.step(&fold.step));
        self.locals.truncate(outside + 1);
        let result = self.step(&fold.result);
        self.locals.truncate(outside);
        let binds = matches!(&fold.condition.node, Node::Literal(Literal::Bool(false)));
        Step::Fold(Box::new(Loop { range, two: fold.second.is_some(), binds, init, condition, step, result }))
    }
}

fn constant(literal: &Literal) -> Val<'static> {
    match literal {
        Literal::Null => Val::Null,
        Literal::Bool(flag) => Val::Bool(*flag),
        Literal::Int(number) => Val::Int(*number),
        Literal::Uint(number) => Val::Uint(*number),
        Literal::Double(number) => Val::Double(*number),
        Literal::String(text) => Val::text(&**text),
        Literal::Bytes(bytes) => Val::Bytes((**bytes).into()),
    }
}

fn constant_list(items: Vec<(Step, bool)>) -> Step {
    let known = |(item, optional): &(Step, bool)| match item {
        Step::Const(value) if !optional => Some(value.clone()),
        _ => None,
    };
    match items.iter().map(known).collect::<Option<Vec<_>>>() {
        Some(values) => Step::Const(Val::list(values)),
        None => Step::List(items),
    }
}

/// Keys that repeat are told at run time.
fn constant_map(entries: Vec<(Step, Step, bool)>) -> Step {
    let known = |(key, value, optional): &(Step, Step, bool)| match (key, value) {
        (Step::Const(key @ (Val::String(_) | Val::Int(_) | Val::Bool(_) | Val::Uint(_))), Step::Const(value))
            if !optional =>
        {
            Some((key.clone(), value.clone()))
        }
        _ => None,
    };
    let values = entries.iter().map(known).collect::<Option<Vec<_>>>();
    let repeats = |values: &Vec<(Val<'_>, Val<'_>)>| {
        values.iter().enumerate().any(|(at, (key, _))| {
            values[..at].iter().any(|(known, _)| super::compare::equal(known, key).unwrap_or(true))
        })
    };
    match values.filter(|values| !repeats(values)) {
        Some(values) => Step::Const(Val::Map(values.into())),
        None => Step::Map(entries),
    }
}

impl Step {
    /// A path from a variable or from any other value: its root costs once, whatever it is.
    pub fn is_path(&self) -> bool {
        matches!(
            self,
            Step::Variable(_) | Step::Local(_) | Step::Select { .. } | Step::Index { .. } | Step::Test { .. }
        )
    }
}
