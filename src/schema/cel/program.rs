//! From a text to something that runs: compile, estimate, evaluate.

use super::ast::{Ast, Expr, Literal, Node, op};
use super::check::{Checked, check};
use super::cost::{self, Range};
use super::env::Env;
use super::error::Fault;
use super::eval::{self, Meter, Values, Variables};
use super::functions::check_format;
use super::parse::parse;
use super::plan::{Step, plan};
use super::source::{Issue, Source};
use super::stack::with_room;
use super::types::{Shape, Type};
use super::value::Val;
use crate::model::regex;

/// An expression that can be evaluated.
#[derive(Debug)]
pub struct Program {
    /// Or why it can never run.
    step: Result<Step, String>,
    checked: Checked,
}

impl Program {
    /// Compiles; the error is all that is wrong, as cel-go prints it.
    pub fn compile(env: &Env, text: &str) -> Result<Self, String> {
        let print = |(source, issues): (Source, Vec<Issue>)| source.print(issues);
        let ast = parse(text, env.binds).map_err(print)?;
        let depth = usize::from(ast.root.height);
        with_room(depth, || {
            let checked = check(env, ast).map_err(print)?;
            let issues = if env.lax_literals { Vec::new() } else { impossible_literals(&checked) };
            if !issues.is_empty() {
                return Err(checked.ast.source.print(issues));
            }
            Ok(Self { step: plan(&checked), checked })
        })
    }

    /// The type of its value.
    pub fn result(&self) -> &Type {
        self.checked.result()
    }

    /// Whether it reads a variable of its environment.
    pub fn reads(&self, variable: &str) -> bool {
        self.checked.reads(variable)
    }

    /// Whether it selects this field of this variable, also optionally or to ask whether it is there.
    pub fn selects(&self, variable: &str, field: &str) -> bool {
        let is_variable = |expr: &Expr| matches!(&expr.node, Node::Ident(name) if **name == *variable);
        let mut found = false;
        self.checked.ast.root.walk(&mut |expr| match &expr.node {
            Node::Select(select) => found |= is_variable(&select.operand) && *select.field == *field,
            Node::Call(call) if &*call.function == op::OPT_SELECT => {
                if let [operand, Expr { node: Node::Literal(Literal::String(name)), .. }] = call.args.as_slice() {
                    found |= is_variable(operand) && **name == *field;
                }
            }
            _ => {}
        });
        found
    }

    /// The most that one evaluation can cost; `root` bounds the sizes of what is read.
    pub fn cost(&self, root: Option<&Shape>, costly_has: bool) -> Range {
        with_room(self.depth(), || cost::estimate(&self.checked, root, costly_has))
    }

    /// Why it can never run, though its types are right.
    pub fn defect(&self) -> Option<&str> {
        self.step.as_ref().err().map(String::as_str)
    }

    /// Its value; the meter is charged.
    pub fn run<'a>(&'a self, variables: &dyn Variables<'a>, meter: &mut Meter) -> Result<Val<'a>, Fault> {
        match &self.step {
            Ok(step) => with_room(self.depth(), || eval::run(step, variables, meter)),
            Err(defect) => Err(Fault::new(defect.clone())),
        }
    }

    fn depth(&self) -> usize {
        usize::from(self.checked.ast.root.height)
    }
}

/// Durations, times and patterns that are written out wrong, and lists of several types.
fn impossible_literals(checked: &Checked) -> Vec<Issue> {
    let mut issues = Vec::new();
    let ast = &checked.ast;
    let mut wrong = |expr: &Expr, message: String| {
        issues.push(Issue { position: Some(ast.position(expr.id)), message });
    };
    ast.root.walk(&mut |expr| {
        if let Node::Call(call) = &expr.node
            && ["duration", "timestamp", "matches"].contains(&&*call.function)
            && let Some(arg) = call.args.first()
            && let Node::Literal(literal) = &arg.node
            && !is_possible(ast, expr, &call.function, literal)
        {
            wrong(arg, format!("invalid {} argument", call.function));
        }
    });
    mixed(checked, &ast.root, &mut wrong);
    ast.root.walk(&mut |expr| patterns(checked, expr, &mut wrong));
    issues
}

/// Of `format`, when both its text and its list are written out.
fn patterns(checked: &Checked, expr: &Expr, wrong: &mut impl FnMut(&Expr, String)) {
    let Node::Call(call) = &expr.node else { return };
    let (Some(target), [arg], "format") = (&call.target, call.args.as_slice(), &*call.function) else { return };
    let (Node::Literal(Literal::String(text)), Node::List(list)) = (&target.node, &arg.node) else { return };
    let samples: Vec<_> = list.items.iter().map(|item| sample(checked.ty(item))).collect();
    if let Some((at, fault)) = check_format(text, &samples) {
        wrong(at.and_then(|at| list.items.get(at)).unwrap_or(expr), fault.to_string());
    }
}

/// A value of a type, when the type is known.
fn sample(ty: &Type) -> Option<Val<'static>> {
    Some(match ty {
        Type::Null => Val::Null,
        Type::Bool => Val::Bool(true),
        Type::Int => Val::Int(0),
        Type::Uint => Val::Uint(0),
        Type::Double => Val::Double(0.0),
        Type::String => Val::text(""),
        Type::Bytes => Val::Bytes([].into()),
        Type::Duration => Val::Duration(0),
        Type::List(_) => Val::list([]),
        Type::Map(_) => Val::Map(Vec::new().into()),
        _ => return None,
    })
}

fn is_possible(ast: &Ast, call: &Expr, function: &str, literal: &Literal) -> bool {
    match (function, literal) {
        ("matches", Literal::String(pattern)) => regex::compile(pattern).is_ok(),
        ("matches", _) => true,
        _ => {
            let ast = Ast { root: call.clone(), source: ast.source.clone(), positions: ast.positions.clone() };
            let Ok(checked) = check(&Env::default(), ast) else { return false };
            let Ok(step) = plan(&checked) else { return false };
            eval::run(&step, &Values(Vec::new()), &mut Meter::new(u64::MAX)).is_ok()
        }
    }
}

/// Elements of one literal have one type, except among what `format` prints.
fn mixed(checked: &Checked, expr: &Expr, wrong: &mut impl FnMut(&Expr, String)) {
    let inner = |expr: &Expr, optional: bool| {
        let ty = checked.ty(expr);
        if optional { ty.unwrapped().unwrap_or(ty).clone() } else { ty.clone() }
    };
    let mismatch = |known: &Type, ty: &Type| format!("expected type '{known}' but found '{ty}'");
    match &expr.node {
        Node::Call(call) if &*call.function == "format" => return,
        Node::List(list) => {
            let mut known: Option<Type> = None;
            for (at, item) in list.items.iter().enumerate() {
                let ty = inner(item, list.optional.contains(&at));
                match &known {
                    None => known = Some(ty),
                    Some(known) if *known == ty => {}
                    Some(known) => {
                        wrong(item, mismatch(known, &ty));
                        break;
                    }
                }
            }
        }
        Node::Map(entries) => {
            let mut known: Option<(Type, Type)> = None;
            for entry in entries {
                let (key, value) = (inner(&entry.key, false), inner(&entry.value, entry.optional));
                match &known {
                    None => known = Some((key, value)),
                    Some((keys, values)) => {
                        if *keys != key {
                            wrong(&entry.key, mismatch(keys, &key));
                        }
                        if *values != value {
                            wrong(&entry.value, mismatch(values, &value));
                        }
                    }
                }
            }
        }
        _ => {}
    }
    for child in expr.node.children() {
        mixed(checked, child, wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    /// As the original has it: type, estimated cost, cost, value; or what is wrong.
    fn outcome(env: &Env, text: &str) -> String {
        let program = match Program::compile(env, text) {
            Ok(program) => program,
            Err(error) => return error.lines().next().unwrap_or_default().to_owned(),
        };
        let d = json!({"a": 1, "l": [1, "z", null, 1.5], "o": {"k": "v"}});
        let values = Values(vec![
            ("x", Val::Int(3)),
            ("s", Val::text("abc")),
            ("l", Val::list([3, 1, 2].map(Val::Int))),
            ("d", Val::seen(&d)),
            ("m", Val::seen(&d["o"])),
        ]);
        let mut meter = Meter::new(1_000_000);
        let value = match program.run(&values, &mut meter) {
            Ok(value) if value.is_list() => "list".to_owned(),
            Ok(value) => super::super::show(&value),
            Err(fault) => format!("error {fault}"),
        };
        let cost = program.cost(None, false);
        let most = if cost.max == u64::MAX { "max".to_owned() } else { cost.max.to_string() };
        format!("{} {}..{most} {} {value}", program.result(), cost.min, meter.used)
    }

    #[test]
    fn outcomes() {
        let text_map = Type::map(Type::String, Type::String);
        let env = Env::default().with("x", Type::Int).with("s", Type::String).with("d", Type::Dyn);
        let env = env.with("l", Type::list(Type::Int)).with("m", text_map);
        for (text, expected) in [
            ("x + 1 == 4", "bool 3..3 3 true"),
            ("s.startsWith('a') && x > 5", "bool 2..4 4 false"),
            ("l.map(i, i * 2)", "list(int) 12..max 44 list"),
            ("l.all(i, i > 0)", "bool 2..max 17 true"),
            ("l.exists_one(i, i == 1)", "bool 3..max 11 true"),
            ("[1,2,3].filter(i, i > 1).map(i, string(i)).join(',')", "string 84..1844674407370955383 63 2,3"),
            ("d.l[9]", "dyn 2..2 3 error index out of bounds: 9"),
            ("1 / (x - 3) == 1 || x == 3", "bool 4..6 6 true"),
            ("{'a': 1}.?b.orValue(7)", "int 32..32 1 7"),
            ("duration('90s').getMinutes()", "int 2..2 1 1"),
            ("quantity('1500m').isGreaterThan(quantity('1'))", "bool 3..3 3 true"),
            ("l.sortBy(i, -i)", "list(int) 35..max 75 list"),
            ("m.transformMap(k, v, v + k)['k']", "string 33..max 10 vk"),
            ("type(x) == int", "bool 4..1844674407370955267 3 true"),
            ("cidr('10.0.0.0/8').containsIP('10.1.2.3')", "bool 3..6 3 true"),
            ("semver('1.2.3').minor()", "int 2..2 2 2"),
            ("optional.of(1).optMap(v, v + 1).value()", "int 4..18 8 2"),
            ("s.replace('a', 'bb', 1)", "string 1..3689348814741910529 2 bbbc"),
            ("s.find('b+')", "string 2..1844674407370955265 2 b"),
            ("dyn(x).startsWith('a')", "bool 3..3 3 error no such overload"),
            ("dyn(x) + 'a'", "string 3..3 3 error no such overload"),
            ("x in [1, 2, 3]", "bool 14..14 1 true"),
            ("has(d.o.k) && has(d.nope) == false", "bool 1..3 4 true"),
            (
                "ip('10.0.0.01')",
                "net.IP 1..1 1 error IP Address \"10.0.0.01\" parse error during conversion from string: ParseAddr(\"10.0.0.01\"): IPv4 field has octet with leading zero",
            ),
            ("url('https://a.b:80/c%20d?e=f&e=g').getHost()", "string 4..4 4 a.b:80"),
            ("y", "ERROR: <input>:1:1: undeclared reference to 'y' (in container '')"),
            ("x + s", "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'"),
            ("s.foo", "ERROR: <input>:1:2: type 'string' does not support field selection"),
            ("duration('x')", "ERROR: <input>:1:10: invalid duration argument"),
            ("s.matches('(')", "ERROR: <input>:1:11: invalid matches argument"),
            ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'"),
            (
                "'%q'.format(['a'])",
                "ERROR: <input>:1:12: could not parse formatting clause: unrecognized formatting clause \"q\"",
            ),
            ("s.foo()", "ERROR: <input>:1:6: undeclared reference to 'foo' (in container '')"),
            ("x is b", "ERROR: <input>:1:3: Syntax error: mismatched input 'is' expecting <EOF>"),
            ("[] + [1]", "list(int) 21..21 1 list"),
        ] {
            assert_eq!(outcome(&env, text), expected, "{text}");
        }
    }

    #[test]
    fn cost_is_bounded() {
        let env = Env::default().with("l", Type::list(Type::Int));
        let program = Program::compile(&env, "lists.range(1000000000).size() > 0").expect("an expression");
        let run = program.run(&Values(Vec::new()), &mut Meter::new(1000));
        assert_eq!(run.map(|value| super::super::show(&value)), Err(Fault::Budget));
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(Program::compile(&env, &deep).is_ok());
    }
}
