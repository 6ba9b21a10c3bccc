//! Adds up the cost of an expression's nodes, and tracks how large their values can be.

use std::collections::HashMap;

use super::super::ast::{Call, Expr, Fold, Id, Literal, Node, Select};
use super::super::check::Checked;
use super::super::price::{LIST, MAP, STRUCT};
use super::super::types::{Inner, Shape, Type};
use super::calls;
use super::range::Range;

/// From a variable down: names of fields, `@items`, `@keys`, `@values`.
pub type Path<'a> = Vec<&'a str>;

/// The least and the most that evaluating costs. `root` declares what paths lead through; its variable does not matter.
pub fn estimate(checked: &Checked, root: Option<&Shape>, costly_has: bool) -> Range {
    let mut walk = Walk {
        checked,
        root,
        costly_has,
        paths: HashMap::new(),
        sizes: HashMap::new(),
        entries: HashMap::new(),
        locals: Vec::new(),
    };
    walk.cost(&checked.ast.root)
}

pub struct Walk<'a> {
    checked: &'a Checked,
    root: Option<&'a Shape>,
    costly_has: bool,
    paths: HashMap<Id, Path<'a>>,
    sizes: HashMap<Id, Range>,
    entries: HashMap<Id, EntrySize>,
    locals: Vec<(&'a str, Local<'a>)>,
}

/// A value as functions see it.
pub struct Seen<'a> {
    pub expr: Option<&'a Expr>,
    pub ty: &'a Type,
    pub path: Path<'a>,
    pub size: Option<Range>,
}

#[derive(Clone)]
struct Local<'a> {
    path: Path<'a>,
    size: Option<Range>,
    entry: Option<EntrySize>,
}

/// How large keys and values of a container are.
#[derive(Clone, Copy)]
pub struct EntrySize {
    is_list: bool,
    key: Range,
    value: Range,
}

impl EntrySize {
    fn or(self, other: Self) -> Self {
        Self { is_list: self.is_list, key: self.key.or(other.key), value: self.value.or(other.value) }
    }
}

impl<'a> Walk<'a> {
    fn cost(&mut self, expr: &'a Expr) -> Range {
        match &expr.node {
            Node::Literal(_) => Range::ZERO,
            Node::Ident(name) => {
                let path = self.local(name).map_or_else(|| vec![&**name], |local| local.path.clone());
                self.paths.insert(expr.id, path);
                Range::ONE
            }
            Node::Select(select) => self.select(expr, select),
            Node::Call(call) => self.call(expr, call),
            Node::List(list) => {
                let cost = list.items.iter().fold(Range::ZERO, |sum, item| sum.plus(self.cost(item)));
                let none = if list.items.is_empty() { Range::ZERO } else { Range::NONE };
                let value = list.items.iter().fold(none, |size, item| size.or(self.size_or_unknown(item)));
                self.entries.insert(expr.id, EntrySize { is_list: true, key: Range::ONE, value });
                cost.plus(Range::of(LIST))
            }
            Node::Map(entries) => {
                let none = if entries.is_empty() { Range::ZERO } else { Range::NONE };
                let (mut cost, mut key, mut value) = (Range::ZERO, none, none);
                for entry in entries {
                    cost = cost.plus(self.cost(&entry.key)).plus(self.cost(&entry.value));
                    key = key.or(self.size_or_unknown(&entry.key));
                    value = value.or(self.size_or_unknown(&entry.value));
                }
                self.entries.insert(expr.id, EntrySize { is_list: false, key, value });
                cost.plus(Range::of(MAP))
            }
            Node::Struct(object) => {
                let cost = object.fields.iter().fold(Range::ZERO, |sum, field| sum.plus(self.cost(&field.value)));
                cost.plus(Range::of(STRUCT))
            }
            Node::Fold(fold) if is_bind(fold) => self.bind(expr, fold),
            Node::Fold(fold) => self.fold(expr, fold),
        }
    }

    fn local(&self, name: &str) -> Option<&Local<'a>> {
        self.locals.iter().rev().find(|(known, _)| *known == name).map(|(_, local)| local)
    }

    fn path(&self, expr: &Expr) -> Path<'a> {
        if let Some(local) = expr.ident().and_then(|name| self.local(name)) {
            return local.path.clone();
        }
        self.paths.get(&expr.id).cloned().unwrap_or_default()
    }

    fn select(&mut self, expr: &'a Expr, select: &'a Select) -> Range {
        let cost = self.cost(&select.operand);
        if select.test {
            return if self.costly_has { cost.plus(Range::ONE) } else { cost };
        }
        let mut path = self.path(&select.operand);
        path.push(&select.field);
        self.paths.insert(expr.id, path);
        match self.checked.ty(&select.operand) {
            Type::Map(_) | Type::Object(_) | Type::Param(_) => cost.plus(Range::ONE),
            _ => cost,
        }
    }

    fn call(&mut self, expr: &'a Expr, call: &'a Call) -> Range {
        if let ("dyn", [arg]) = (&*call.function, call.args.as_slice()) {
            let cost = self.cost(arg);
            self.copy_sizes(expr.id, arg);
            return cost.plus(Range::ONE);
        }
        let mut costs = Vec::with_capacity(call.args.len());
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            costs.push(self.cost(arg));
            args.push(self.seen(arg));
        }
        let overloads = self.checked.overloads(expr);
        if overloads.is_empty() {
            return Range::ZERO;
        }
        let (mut sum, mut target) = (Range::ZERO, None);
        if let Some(expr) = call.target.as_deref() {
            sum = self.cost(expr);
            target = Some(self.seen(expr));
        }
        let (mut cost, mut size) = (Range::NONE, None);
        for overload in overloads {
            let (one, result) = self.overload(expr, call, overload, target.as_ref(), &args, &costs);
            cost = cost.or(one);
            size = match (size, result) {
                (Some(a), Some(b)) => Some(Range::or(a, b)),
                (a, b) => a.or(b),
            };
            if let ("index_list" | "index_map", Some(container)) = (*overload, call.args.first()) {
                size = self.entry_size(container).map(|entry| entry.value);
                let mut path = self.path(container);
                path.push(if *overload == "index_list" { "@items" } else { "@values" });
                self.paths.insert(expr.id, path);
            }
            size = size.or_else(|| self.size(expr));
        }
        if let Some(size) = size {
            self.sizes.insert(expr.id, size);
        }
        sum.plus(cost)
    }

    /// The cost with that of the arguments, and how large the result is.
    fn overload(
        &mut self,
        expr: &'a Expr,
        call: &'a Call,
        overload: &str,
        target: Option<&Seen<'a>>,
        args: &[Seen<'a>],
        costs: &[Range],
    ) -> (Range, Option<Range>) {
        let args_cost = costs.iter().fold(Range::ZERO, |sum, cost| sum.plus(*cost));
        let function = &*call.function;
        if let Some((cost, size)) = calls::lists(function, target, args, self)
            .or_else(|| calls::kubernetes(function, overload, target, args, self))
        {
            return (cost.plus(args_cost), size);
        }
        match (overload, args, costs) {
            ("logical_or" | "logical_and", _, [left, right]) => {
                (Range { min: left.min, max: left.plus(*right).max }, None)
            }
            ("conditional", [_, yes, no], [condition, on_yes, on_no]) => {
                let size = unknown(yes).or(unknown(no));
                self.join_entries(expr.id, &call.args[1], &call.args[2]);
                (condition.plus(on_yes.or(*on_no)), Some(size))
            }
            ("add_string" | "add_bytes" | "add_list", [a, b], _) => {
                let size = unknown(a).plus(unknown(b));
                self.join_entries(expr.id, &call.args[0], &call.args[1]);
                let cost = if overload == "add_list" { Range::ONE } else { size.scaled(super::super::price::LETTER) };
                (cost.plus(args_cost), Some(size))
            }
            _ => {
                let (cost, size) = calls::standard(overload, target, args);
                (cost.plus(args_cost), size)
            }
        }
    }

    fn join_entries(&mut self, id: Id, a: &'a Expr, b: &'a Expr) {
        if let (Some(a), Some(b)) = (self.entry_size(a), self.entry_size(b)) {
            self.entries.insert(id, a.or(b));
        }
    }

    fn seen(&mut self, expr: &'a Expr) -> Seen<'a> {
        let mut path = self.path(expr);
        if path.first().is_some_and(|name| [super::super::ast::ACCUMULATOR, "__result__"].contains(name)) {
            path.clear();
        }
        Seen { expr: Some(expr), ty: self.checked.ty(expr), path, size: self.size(expr) }
    }

    fn size_or_unknown(&mut self, expr: &'a Expr) -> Range {
        self.size(expr).unwrap_or(Range::UNKNOWN)
    }

    fn size(&mut self, expr: &'a Expr) -> Option<Range> {
        if let Some(size) = self.sizes.get(&expr.id) {
            return Some(*size);
        }
        if let Some(size) = written_size(&expr.node) {
            return Some(Range::of(size));
        }
        if let Some(size) = self.declared(&self.path(expr)) {
            self.sizes.insert(expr.id, size);
            return Some(size);
        }
        if self.checked.ty(expr).is_scalar() {
            return Some(Range::ONE);
        }
        self.local(expr.ident()?)?.size
    }

    /// How large the schema lets a value be.
    pub fn declared(&self, path: &[&str]) -> Option<Range> {
        let mut at = self.root?;
        for name in path.get(1..)? {
            if *name == "@keys" && matches!(at.inner, Inner::Values(_)) {
                return Some(Range::ZERO);
            }
            at = at.part(name)?;
        }
        Some(Range { min: 0, max: at.most as u64 })
    }

    fn copy_sizes(&mut self, to: Id, from: &'a Expr) {
        if let Some(size) = self.size(from) {
            self.sizes.insert(to, size);
        }
        if let Some(entry) = self.entry_size(from) {
            self.entries.insert(to, entry);
        }
    }

    fn entry_size(&self, expr: &Expr) -> Option<EntrySize> {
        self.entries.get(&expr.id).copied().or_else(|| self.local(expr.ident()?)?.entry)
    }

    fn fold(&mut self, expr: &'a Expr, fold: &'a Fold) -> Range {
        let cost = self.cost(&fold.range).plus(self.cost(&fold.init));
        let outside = self.locals.len();
        self.push_value(&fold.accumulator, &fold.init);
        self.push_elements(fold);
        let round = self.cost(&fold.condition).plus(self.cost(&fold.step));
        self.locals.truncate(outside + 1);
        let cost = cost.plus(self.cost(&fold.result));
        self.locals.truncate(outside);
        let rounds = self.size_or_unknown(&fold.range);
        match &fold.init.node {
            Node::Literal(_) => {
                if let Some(size) = self.size(&fold.init) {
                    self.sizes.insert(expr.id, size);
                }
            }
            Node::List(_) | Node::Map(_) => {
                self.sizes.insert(expr.id, rounds);
                if let Some(entry) = self.entry_size(&fold.step) {
                    self.entries.insert(expr.id, entry);
                }
            }
            _ => {}
        }
        cost.plus(rounds.times(round))
    }

    fn bind(&mut self, expr: &'a Expr, fold: &'a Fold) -> Range {
        let cost = self.cost(&fold.range).plus(self.cost(&fold.init));
        self.push_value(&fold.accumulator, &fold.init);
        let cost = cost.plus(self.cost(&fold.result));
        self.locals.pop();
        self.copy_sizes(expr.id, &fold.result);
        cost
    }

    fn push_value(&mut self, name: &'a str, value: &'a Expr) {
        let local = Local { path: self.path(value), entry: self.entry_size(value), size: self.size(value) };
        self.locals.push((name, local));
    }

    /// The loop's variables.
    fn push_elements(&mut self, fold: &'a Fold) {
        let entry = self.entry_size(&fold.range);
        let is_list = entry.map_or(matches!(self.checked.ty(&fold.range), Type::List(_)), |entry| entry.is_list);
        let path = self.path(&fold.range);
        let local = |part: &'a str, size: Option<Range>| {
            let mut path = path.clone();
            path.push(part);
            Local { path, size, entry: None }
        };
        let (key, value) = (entry.map(|entry| entry.key), entry.map(|entry| entry.value));
        let values = local(if is_list { "@items" } else { "@values" }, value);
        match &fold.second {
            Some(second) => {
                self.locals.push((&fold.var, local(if is_list { "@indices" } else { "@keys" }, key)));
                self.locals.push((second, values));
            }
            None if is_list => self.locals.push((&fold.var, values)),
            None => self.locals.push((&fold.var, local("@keys", key))),
        }
    }
}

/// The size, or that nothing is known.
pub fn unknown(seen: &Seen<'_>) -> Range {
    seen.size.unwrap_or(Range::UNKNOWN)
}

fn is_bind(fold: &Fold) -> bool {
    matches!(&fold.range.node, Node::List(list) if list.items.is_empty())
        && matches!(&fold.condition.node, Node::Literal(Literal::Bool(false)))
}

/// The size of what is written out.
fn written_size(node: &Node) -> Option<u64> {
    Some(match node {
        Node::Literal(Literal::String(text)) => text.chars().count() as u64,
        Node::Literal(Literal::Bytes(bytes)) => bytes.len() as u64,
        Node::Literal(_) => 1,
        Node::List(list) => list.items.len() as u64,
        Node::Map(entries) => entries.len() as u64,
        _ => return None,
    })
}

/// The whole number that an argument is written as.
pub fn written_int(seen: &Seen<'_>) -> Option<i64> {
    match seen.expr.map(|expr| &expr.node) {
        Some(Node::Literal(Literal::Int(number))) => Some(*number),
        _ => None,
    }
}
