//! The types of an expression's nodes, or what is wrong with them, in the words of cel-go's checker.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::ast::{Ast, Call, Expr, Fold, Id, List, Literal, Node, Select, Struct, op};
use super::env::{Env, Named};
use super::library::{Function, Overload};
use super::source::{Issue, Source};
use super::types::{Fields, Object, Type};
use super::unify::{Variables, most_general};

/// An expression with the types of its nodes.
#[derive(Debug)]
pub struct Checked {
    pub ast: Ast,
    types: Vec<Type>,
    /// What each call may mean.
    overloads: HashMap<Id, Overloads>,
    /// Names of types, where they stand as values.
    type_names: HashMap<Id, Type>,
    /// The variables of the environment that it reads.
    pub reads: Vec<Box<str>>,
}

pub type Overloads = SmallVec<[&'static str; 2]>;

impl Checked {
    pub fn ty(&self, expr: &Expr) -> &Type {
        self.types.get(expr.id as usize).unwrap_or(&Type::Dyn)
    }

    /// What the whole gives.
    pub fn result(&self) -> &Type {
        self.ty(&self.ast.root)
    }

    /// None when the node is no call.
    pub fn overloads(&self, expr: &Expr) -> &[&'static str] {
        self.overloads.get(&expr.id).map_or(&[], SmallVec::as_slice)
    }

    pub fn type_name(&self, expr: &Expr) -> Option<&Type> {
        self.type_names.get(&expr.id)
    }

    pub fn reads(&self, variable: &str) -> bool {
        self.reads.iter().any(|name| **name == *variable)
    }
}

/// Types all nodes. Names are replaced by what they stand for.
pub fn check(env: &Env, mut ast: Ast) -> Result<Checked, (Source, Vec<Issue>)> {
    let nodes = ast.positions.len();
    let mut checker = Checker {
        env,
        positions: &ast.positions,
        locals: Vec::new(),
        types: vec![Type::Error; nodes],
        overloads: HashMap::new(),
        type_names: HashMap::new(),
        reads: Vec::new(),
        variables: Variables::default(),
        issues: Vec::new(),
    };
    checker.expr(&mut ast.root);
    let Checker { mut types, overloads, type_names, reads, variables, issues, .. } = checker;
    if !issues.is_empty() {
        return Err((ast.source, issues));
    }
    for ty in &mut types {
        *ty = variables.substitute(ty, true);
    }
    Ok(Checked { ast, types, overloads, type_names, reads })
}

struct Checker<'a> {
    env: &'a Env,
    positions: &'a [u32],
    /// Variables of macros, inner ones last.
    locals: Vec<(Box<str>, Type)>,
    types: Vec<Type>,
    overloads: HashMap<Id, Overloads>,
    type_names: HashMap<Id, Type>,
    reads: Vec<Box<str>>,
    variables: Variables,
    issues: Vec<Issue>,
}

impl Checker<'_> {
    fn expr(&mut self, expr: &mut Expr) {
        let id = expr.id;
        let ty = match &mut expr.node {
            Node::Literal(literal) => literal_type(literal),
            Node::Ident(name) => self.ident(id, name),
            Node::Select(_) => self.select(expr),
            Node::Call(call) => self.call(id, call),
            Node::List(list) => self.list(list),
            Node::Map(_) => self.map(expr),
            Node::Struct(object) => self.object(id, object),
            Node::Fold(fold) => self.fold(fold),
        };
        self.types[id as usize] = ty;
    }

    fn ty(&self, expr: &Expr) -> Type {
        self.types[expr.id as usize].clone()
    }

    fn wrong(&mut self, id: Id, message: String) -> Type {
        self.issues.push(Issue { position: Some(self.positions[id as usize]), message });
        Type::Error
    }

    fn undeclared(&mut self, id: Id, name: &str) -> Type {
        self.wrong(id, format!("undeclared reference to '{name}' (in container '')"))
    }

    /// A variable or the name of a type; noted as read.
    fn named(&mut self, id: Id, name: &str) -> Option<Type> {
        if let Some((_, ty)) = self.locals.iter().rev().find(|(known, _)| **known == *name) {
            return Some(ty.clone());
        }
        match self.env.find(name)? {
            Named::Variable(ty) => {
                let name = name.strip_prefix('.').unwrap_or(name);
                if !self.reads.iter().any(|known| **known == *name) {
                    self.reads.push(name.into());
                }
                Some(ty)
            }
            Named::Type(ty) => {
                self.type_names.insert(id, ty.clone());
                Some(Type::Type(Some(ty.into())))
            }
        }
    }

    fn ident(&mut self, id: Id, name: &mut Box<str>) -> Type {
        let Some(ty) = self.named(id, name) else { return self.undeclared(id, &name.clone()) };
        if let Some(bare) = name.strip_prefix('.') {
            *name = bare.into();
        }
        ty
    }

    fn select(&mut self, expr: &mut Expr) -> Type {
        if let Some(name) = expr.qualified_name()
            && let Some(ty) = self.named(expr.id, &name)
        {
            expr.node = Node::Ident(name.strip_prefix('.').unwrap_or(&name).into());
            return ty;
        }
        let Node::Select(Select { operand, field, test }) = &mut expr.node else { return Type::Error };
        let (field, test) = (field.clone(), *test);
        let ty = self.field(expr.id, operand, &field, false);
        if test { Type::Bool } else { self.variables.substitute(&ty, false) }
    }

    fn field(&mut self, id: Id, operand: &mut Expr, field: &str, optional: bool) -> Type {
        self.expr(operand);
        let operand = self.variables.substitute(&self.ty(operand), false);
        let (target, is_optional) = match operand.unwrapped() {
            Some(inner) => (inner.clone(), true),
            None => (operand, false),
        };
        let result = match &target {
            Type::Map(of) => of.1.clone(),
            Type::Object(object) => self.object_field(id, object, field),
            Type::Param(_) => {
                self.variables.assign(&Type::Dyn, &target);
                Type::Dyn
            }
            Type::Dyn | Type::Error => Type::Dyn,
            other => {
                self.wrong(id, format!("type '{other}' does not support field selection"));
                Type::Dyn
            }
        };
        if is_optional || optional { Type::optional(result) } else { result }
    }

    fn object_field(&mut self, id: Id, object: &Object, field: &str) -> Type {
        match &object.fields {
            Fields::Opaque => self.wrong(id, format!("unexpected failed resolution of '{}'", object.name)),
            Fields::Any => Type::Dyn,
            Fields::Loose(fields) => fields.get(field).map_or(Type::Unspecified, |shape| shape.ty.clone()),
            Fields::Known(fields) => match fields.get(field) {
                Some(shape) => shape.ty.clone(),
                None => self.wrong(id, format!("undefined field '{field}'")),
            },
        }
    }

    fn call(&mut self, id: Id, call: &mut Call) -> Type {
        if &*call.function == op::OPT_SELECT {
            return self.opt_select(id, call);
        }
        for arg in &mut call.args {
            self.expr(arg);
        }
        let Some(target) = &mut call.target else {
            let Some(function) = self.env.function(&call.function) else {
                return self.undeclared(id, &call.function.clone());
            };
            call.function = function.name.into();
            return self.resolve(id, function, None, &call.args);
        };
        if let Some(prefix) = target.qualified_name()
            && let Some(function) = self.env.function(&format!("{prefix}.{}", call.function))
        {
            call.function = function.name.into();
            call.target = None;
            return self.resolve(id, function, None, &call.args);
        }
        self.expr(target);
        match self.env.function(&call.function) {
            Some(function) => self.resolve(id, function, Some(target), &call.args),
            None => self.undeclared(id, &call.function.clone()),
        }
    }

    fn opt_select(&mut self, id: Id, call: &mut Call) -> Type {
        let [operand, field] = call.args.as_mut_slice() else { return Type::Error };
        let Node::Literal(Literal::String(name)) = &field.node else { return Type::Error };
        let name = name.clone();
        let ty = self.field(id, operand, &name, true);
        self.types[field.id as usize] = Type::String;
        self.overloads.insert(id, SmallVec::from_slice(&["select_optional_field"]));
        self.variables.substitute(&ty, false)
    }

    fn resolve(&mut self, id: Id, function: &Function, target: Option<&Expr>, args: &[Expr]) -> Type {
        let types: SmallVec<[Type; 4]> = target.into_iter().chain(args).map(|arg| self.ty(arg)).collect();
        if [op::AND, op::OR].contains(&function.name) {
            return self.logic(id, function, &types, args);
        }
        let mut result: Option<Type> = None;
        let mut found = Overloads::new();
        for overload in function.overloads.iter().filter(|overload| overload.member == target.is_some()) {
            let Some(given) = self.fitting(overload, &types) else { continue };
            found.push(overload.id);
            result = Some(match result {
                None => given,
                Some(known) if !known.is_dyn() && known != given => Type::Dyn,
                Some(known) => known,
            });
        }
        if let Some(result) = result {
            self.overloads.insert(id, found);
            return result;
        }
        let shown: Vec<_> = types.iter().map(|ty| self.variables.substitute(ty, true).to_string()).collect();
        let signature = match (target, shown.split_first()) {
            (Some(_), Some((first, rest))) => format!("{first}.({})", rest.join(", ")),
            _ => format!("({})", shown.join(", ")),
        };
        self.wrong(id, format!("found no matching overload for '{}' applied to '{signature}'", function.name))
    }

    fn logic(&mut self, id: Id, function: &Function, types: &[Type], args: &[Expr]) -> Type {
        let mut result = Type::Bool;
        for (ty, arg) in types.iter().zip(args) {
            if !self.variables.assign(ty, &Type::Bool) {
                result = self.wrong(arg.id, format!("expected type 'bool' but found '{ty}'"));
            }
        }
        self.overloads.insert(id, function.overloads.iter().map(|overload| overload.id).collect());
        result
    }

    /// What the overload gives for these arguments, if it takes them.
    fn fitting(&mut self, overload: &Overload, types: &[Type]) -> Option<Type> {
        if overload.args.len() != types.len() {
            return None;
        }
        let given: SmallVec<[&Type; 4]> = types.iter().collect();
        if overload.params == 0 {
            return self.variables.assign_all(&given, &overload.args).then(|| overload.result.clone());
        }
        let first = self.variables.fresh_many(overload.params);
        let wanted: SmallVec<[Type; 4]> = overload.args.iter().map(|arg| renumber(arg, first)).collect();
        if !self.variables.assign_all(&given, &wanted) {
            return None;
        }
        Some(self.variables.substitute(&renumber(&overload.result, first), false))
    }

    /// The type of an element that may be left out.
    fn optional_value(&mut self, expr: &Expr) -> Type {
        let ty = self.ty(expr);
        match ty.unwrapped() {
            Some(inner) => inner.clone(),
            None if ty.is_dyn() => ty,
            None => {
                self.wrong(expr.id, format!("expected type '{}' but found '{ty}'", Type::optional(ty.clone())));
                ty
            }
        }
    }

    fn list(&mut self, list: &mut List) -> Type {
        let mut joined = None;
        for (at, item) in list.items.iter_mut().enumerate() {
            self.expr(item);
            let ty = if list.optional.contains(&at) { self.optional_value(item) } else { self.ty(item) };
            joined = Some(self.join(joined, ty));
        }
        Type::list(joined.unwrap_or_else(|| self.variables.fresh()))
    }

    fn map(&mut self, expr: &mut Expr) -> Type {
        let Node::Map(entries) = &mut expr.node else { return Type::Error };
        let (mut keys, mut values) = (None, None);
        for entry in entries {
            self.expr(&mut entry.key);
            let ty = self.ty(&entry.key);
            keys = Some(self.join(keys, ty));
            self.expr(&mut entry.value);
            let ty = if entry.optional { self.optional_value(&entry.value) } else { self.ty(&entry.value) };
            values = Some(self.join(values, ty));
        }
        let keys = keys.unwrap_or_else(|| self.variables.fresh());
        Type::map(keys, values.unwrap_or_else(|| self.variables.fresh()))
    }

    /// Elements of several types are found later, for some uses allow them.
    fn join(&mut self, before: Option<Type>, ty: Type) -> Type {
        let Some(before) = before else { return ty };
        if self.variables.assign(&before, &ty) {
            return most_general(&before, &ty);
        }
        Type::Dyn
    }

    fn object(&mut self, id: Id, object: &mut Struct) -> Type {
        let found = self.env.find(&object.name);
        let ty = match found {
            None => return self.undeclared(id, &object.name.clone()),
            Some(Named::Variable(Type::Error)) => Type::Error,
            Some(Named::Variable(ty)) => self.wrong(id, format!("'{}' is not a type", ty.declared())),
            Some(Named::Type(ty @ (Type::Object(_) | Type::Timestamp | Type::Duration | Type::Null))) => ty,
            Some(Named::Type(ty)) => {
                let name = ty.declared();
                let name = name.split('(').next().unwrap_or_default();
                self.wrong(id, format!("'{name}' is not a message type"))
            }
        };
        if let Some(bare) = object.name.strip_prefix('.') {
            object.name = bare.into();
        }
        for field in &mut object.fields {
            self.expr(&mut field.value);
            let wanted = match &ty {
                Type::Object(object) => self.object_field(field.id, &object.clone(), &field.name),
                Type::Error => self.wrong(field.id, format!("unexpected failed resolution of '{}'", object.name)),
                _ => self.wrong(field.id, format!("undefined field '{}'", field.name)),
            };
            let given = if field.optional { self.optional_value(&field.value) } else { self.ty(&field.value) };
            if !self.variables.assign(&wanted, &given) {
                let name = &field.name;
                let message = format!("expected type of field '{name}' is '{wanted}' but provided type is '{given}'");
                self.wrong(field.id, message);
            }
        }
        ty
    }

    fn fold(&mut self, fold: &mut Fold) -> Type {
        self.expr(&mut fold.range);
        self.expr(&mut fold.init);
        let range = self.variables.substitute(&self.ty(&fold.range), false);
        let gathered = self.ty(&fold.init);
        let outside = self.locals.len();
        self.locals.push((fold.accumulator.clone(), gathered.clone()));
        let (first, second) = self.elements(fold.range.id, &range, fold.second.is_some());
        self.locals.push((fold.var.clone(), first));
        if let Some(name) = &fold.second {
            self.locals.push((name.clone(), second));
        }
        self.expr(&mut fold.condition);
        self.assert(&fold.condition, &Type::Bool);
        self.expr(&mut fold.step);
        self.assert(&fold.step, &gathered);
        self.locals.truncate(outside + 1);
        self.expr(&mut fold.result);
        self.locals.truncate(outside);
        self.variables.substitute(&self.ty(&fold.result), false)
    }

    /// The types of a loop's variables.
    fn elements(&mut self, id: Id, range: &Type, two: bool) -> (Type, Type) {
        match range {
            Type::List(of) if two => (Type::Int, (**of).clone()),
            Type::List(of) => ((**of).clone(), Type::Error),
            Type::Map(of) => (of.0.clone(), of.1.clone()),
            Type::Dyn | Type::Error | Type::Param(_) => {
                self.variables.assign(&Type::Dyn, range);
                (Type::Dyn, Type::Dyn)
            }
            other => {
                self.wrong(
                    id,
                    format!(
                        "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                    ),
                );
                (Type::Error, Type::Error)
            }
        }
    }

    fn assert(&mut self, expr: &Expr, wanted: &Type) {
        let ty = self.ty(expr);
        if !self.variables.assign(wanted, &ty) {
            self.wrong(expr.id, format!("expected type '{wanted}' but found '{ty}'"));
        }
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}

/// The type with its parameters numbered from `first`.
fn renumber(ty: &Type, first: u32) -> Type {
    match ty {
        Type::Param(number) => Type::Param(first + number),
        Type::List(of) => Type::list(renumber(of, first)),
        Type::Map(of) => Type::map(renumber(&of.0, first), renumber(&of.1, first)),
        Type::Opaque(name, params) => Type::Opaque(name, params.iter().map(|param| renumber(param, first)).collect()),
        Type::Type(Some(of)) => Type::Type(Some(renumber(of, first).into())),
        other => other.clone(),
    }
}
