//! Runs an expression over values.
//!
//! Errors are values until they reach the top: `&&`, `||` and the quantifiers may absorb them. A cost that is too
//! high ends all at once.

use std::sync::Arc;

use super::compare::{equal, same_key};
use super::error::Fault;
use super::plan::{Invocation, Loop, Step};
use super::price;
use super::typed::Schema;
use super::value::{Made, Result, Text, Val};

/// What an expression's variables are.
pub trait Variables<'a>: Sync {
    /// The value of a variable by its whole name; `None` when there is none.
    fn get(&self, name: &str, meter: &mut Meter) -> Option<Result<Val<'a>>>;
}

/// Names and values.
pub struct Values<'a>(pub Vec<(&'static str, Val<'a>)>);

impl<'a> Variables<'a> for Values<'a> {
    fn get(&self, name: &str, _: &mut Meter) -> Option<Result<Val<'a>>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| Ok(value.clone()))
    }
}

/// What running has cost, in units of cel-go's runtime cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    pub used: u64,
    pub limit: u64,
}

impl Meter {
    pub fn new(limit: u64) -> Self {
        Self { used: 0, limit }
    }

    pub fn pay(&mut self, cost: u64) -> Result<()> {
        self.used = self.used.saturating_add(cost);
        if self.used > self.limit { Err(Fault::Budget) } else { Ok(()) }
    }
}

/// The value of an expression.
pub fn run<'a>(step: &'a Step, variables: &dyn Variables<'a>, meter: &mut Meter) -> Result<Val<'a>> {
    Runner { variables, meter, locals: Vec::new() }.step(step)
}

struct Runner<'r, 'a> {
    variables: &'r dyn Variables<'a>,
    meter: &'r mut Meter,
    locals: Vec<Result<Val<'a>>>,
}

impl<'a> Runner<'_, 'a> {
    fn step(&mut self, step: &'a Step) -> Result<Val<'a>> {
        match step {
            Step::Const(value) => Ok(value.clone()),
            Step::Local(depth) => {
                self.meter.pay(1)?;
                self.locals[*depth].clone()
            }
            Step::Variable(name) => {
                self.meter.pay(1)?;
                let found = self.variables.get(name, self.meter);
                found.unwrap_or_else(|| Err(Fault::new(format!("no such attribute(s): {name}"))))
            }
            Step::Select { operand, field, optional } => {
                let operand = self.root(operand)?;
                let found = select(&operand, field, *optional);
                self.pay_part(&found)?;
                found
            }
            Step::Test { operand, field } => {
                let operand = self.step(operand)?;
                test(&operand, field)
            }
            Step::Index { operand, key, optional } => {
                let operand = self.root(operand)?;
                let key = self.unpaid(key)?;
                let found = index(&operand, &key, *optional);
                self.pay_part(&found)?;
                found
            }
            Step::And(a, b) => self.logic(a, b, false),
            Step::Or(a, b) => self.logic(a, b, true),
            Step::If(condition, yes, no) => match self.step(condition)? {
                Val::Bool(true) => self.unpaid(yes),
                Val::Bool(false) => self.unpaid(no),
                _ => Err(Fault::overload()),
            },
            Step::NotStrictlyFalse(step) => {
                let value = self.step(step);
                self.meter.pay(1)?;
                match value {
                    Ok(Val::Bool(flag)) => Ok(Val::Bool(flag)),
                    Err(Fault::Budget) => Err(Fault::Budget),
                    _ => Ok(Val::Bool(true)),
                }
            }
            Step::Call(call) => self.call(call),
            Step::List(items) => self.list(items),
            Step::Map(entries) => self.map(entries),
            Step::Struct { name, fields } => self.object(name, fields),
            Step::Fold(fold) => self.fold(fold),
        }
    }

    /// What a path begins with: a value that is no path itself costs once more.
    fn root(&mut self, step: &'a Step) -> Result<Val<'a>> {
        let value = self.step(step)?;
        if !step.is_path() && !matches!(step, Step::If(..)) {
            self.meter.pay(1)?;
        }
        Ok(value)
    }

    /// A part of a path costs, one that is not there and need not be does not.
    fn pay_part(&mut self, found: &Result<Val<'a>>) -> Result<()> {
        if matches!(found, Ok(Val::Optional(None))) { Ok(()) } else { self.meter.pay(1) }
    }

    /// A path that chooses, or is chosen, does not pay for its root.
    fn unpaid(&mut self, step: &'a Step) -> Result<Val<'a>> {
        let value = self.step(step)?;
        if step.is_path() {
            self.meter.used = self.meter.used.saturating_sub(1);
        }
        Ok(value)
    }

    /// `decided` is what ends it: either side may, whatever the other is.
    fn logic(&mut self, a: &'a Step, b: &'a Step, decided: bool) -> Result<Val<'a>> {
        let left = self.step(a);
        match &left {
            Ok(Val::Bool(flag)) if *flag == decided => return left,
            Err(Fault::Budget) => return left,
            _ => {}
        }
        let right = self.step(b);
        match (&left, &right) {
            (_, Ok(Val::Bool(flag))) if *flag == decided => right,
            (_, Err(Fault::Budget)) => right,
            (Err(_), _) => left,
            (_, Err(_)) => right,
            (Ok(Val::Bool(_)), Ok(Val::Bool(_))) => Ok(Val::Bool(!decided)),
            _ => Err(Fault::overload()),
        }
    }

    fn call(&mut self, call: &'a Invocation) -> Result<Val<'a>> {
        if let ("or" | "orValue", [first, other]) = (call.function, call.args.as_slice()) {
            return self.or(call, first, other);
        }
        let mut args: smallvec::SmallVec<[Val<'a>; 4]> = smallvec::SmallVec::new();
        let mut fault = None;
        for arg in &call.args {
            match self.step(arg) {
                Ok(value) => args.push(value),
                Err(found) if call.args.len() > 2 || found == Fault::Budget => return Err(found),
                Err(found) => drop(fault.get_or_insert(found)),
            }
        }
        if let Some(fault) = fault {
            self.meter.pay(1)?;
            return Err(fault);
        }
        if let Some(cost) = price::before(call, &args)
            && self.meter.used.saturating_add(cost) > self.meter.limit
        {
            return Err(Fault::Budget);
        }
        let result = (call.native)(call, &args);
        self.meter.pay(price::price(call, &args, result.as_ref().ok()))?;
        result.map_err(|fault| named_overload(call, &args, fault))
    }

    /// The other is only looked at when the first is none; choosing costs nothing.
    fn or(&mut self, call: &Invocation, first: &'a Step, other: &'a Step) -> Result<Val<'a>> {
        match self.step(first)? {
            Val::Optional(None) => self.step(other),
            Val::Optional(Some(inner)) if call.function == "orValue" => Ok((*inner).clone()),
            Val::Optional(inner) => Ok(Val::Optional(inner)),
            _ => Err(Fault::overload()),
        }
    }

    fn list(&mut self, items: &'a [(Step, bool)]) -> Result<Val<'a>> {
        let mut made = Vec::with_capacity(items.len());
        for (item, optional) in items {
            let value = self.step(item)?;
            made.extend(kept(value, *optional)?);
        }
        self.meter.pay(price::LIST)?;
        Ok(Val::list(made))
    }

    fn map(&mut self, entries: &'a [(Step, Step, bool)]) -> Result<Val<'a>> {
        let mut made: Vec<(Val<'a>, Val<'a>)> = Vec::with_capacity(entries.len());
        for (key, value, optional) in entries {
            let key = self.step(key)?;
            let value = self.step(value)?;
            if !matches!(key, Val::Bool(_) | Val::Int(_) | Val::Uint(_) | Val::String(_) | Val::Double(_)) {
                return Err(Fault::new(format!("unsupported key type: {}", key.type_name())));
            }
            let Some(value) = kept(value, *optional)? else { continue };
            match made.iter_mut().find(|(known, _)| equal(known, &key).unwrap_or(false)) {
                Some((_, known)) => *known = value,
                None => made.push((key, value)),
            }
        }
        self.meter.pay(price::MAP)?;
        Ok(Val::Map(made.into()))
    }

    fn object(&mut self, name: &str, fields: &'a [(Box<str>, Step, bool)]) -> Result<Val<'a>> {
        let mut made: Vec<(Box<str>, Val<'a>)> = Vec::with_capacity(fields.len());
        for (field, value, optional) in fields {
            let value = self.step(value)?;
            let Some(value) = kept(value, *optional)? else { continue };
            if name == "JSONPatch" && &**field != "value" && !matches!(value, Val::String(_)) {
                let found = value.type_name();
                return Err(Fault::new(format!("unexpected type {found} for JSONPatchType '{field}' field")));
            }
            made.retain(|(known, _)| known != field);
            made.push((field.clone(), value));
        }
        self.meter.pay(price::STRUCT)?;
        Ok(Val::Struct(Arc::new(Made { name: name.into(), fields: made })))
    }

    fn fold(&mut self, fold: &'a Loop) -> Result<Val<'a>> {
        let outside = self.locals.len();
        if fold.binds {
            let value = self.step(&fold.init);
            self.locals.push(value);
            let result = self.step(&fold.result);
            self.locals.truncate(outside);
            return result;
        }
        let range = self.step(&fold.range)?;
        if !range.is_list() && !range.is_map() {
            return Err(Fault::new(format!("got '{}', expected iterable type", go_type(&range))));
        }
        let init = self.step(&fold.init);
        self.locals.push(init);
        let ended = self.rounds(fold, &range, outside);
        self.locals.truncate(outside + 1);
        let result = ended.and_then(|()| self.step(&fold.result));
        self.locals.truncate(outside);
        result
    }

    fn rounds(&mut self, fold: &'a Loop, range: &Val<'a>, gathered: usize) -> Result<()> {
        if range.is_map() {
            for key in range.keys() {
                let second = fold.two.then(|| range.entry(&key).unwrap_or(Err(Fault::overload())));
                if !self.round(fold, gathered, Ok(key), second)? {
                    break;
                }
            }
            return Ok(());
        }
        for (at, item) in range.items().enumerate() {
            let (first, second) = if fold.two { (Ok(Val::Int(at as i64)), Some(item)) } else { (item, None) };
            if !self.round(fold, gathered, first, second)? {
                break;
            }
        }
        Ok(())
    }

    /// False when the loop ends.
    fn round(
        &mut self,
        fold: &'a Loop,
        gathered: usize,
        first: Result<Val<'a>>,
        second: Option<Result<Val<'a>>>,
    ) -> Result<bool> {
        self.locals.truncate(gathered + 1);
        self.locals.push(first);
        self.locals.extend(second);
        match self.step(&fold.condition)? {
            Val::Bool(true) => {}
            Val::Bool(false) => return Ok(false),
            _ => return Err(Fault::overload()),
        }
        let next = self.step(&fold.step);
        if matches!(next, Err(Fault::Budget)) {
            return Err(Fault::Budget);
        }
        self.locals[gathered] = next;
        Ok(true)
    }
}

/// The name of a value's type in the original's code, which its message shows.
fn go_type(value: &Val<'_>) -> String {
    let name = value.type_name();
    let short = name.rsplit(['.', '_']).next().unwrap_or(name);
    match value {
        Val::Null => "types.Null".to_owned(),
        Val::Type(_) => "*types.Type".to_owned(),
        Val::Optional(_) => "*types.Optional".to_owned(),
        _ => format!("types.{}{}", short[..1].to_ascii_uppercase(), &short[1..]),
    }
}

/// Functions, other than operators, tell which types they were given.
fn named_overload(call: &Invocation, args: &[Val<'_>], fault: Fault) -> Fault {
    if fault != Fault::overload() || !call.function.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return fault;
    }
    if ["contains", "startsWith", "endsWith", "matches"].contains(&call.function) {
        return fault;
    }
    if call.function == "size" {
        return Fault::new("no such overload: size");
    }
    let types: Vec<_> = args.iter().map(Val::type_name).collect();
    Fault::new(format!("no such overload: {}({})", call.function, types.join(", ")))
}

/// An element that may be left out: what the optional holds.
fn kept<'a>(value: Val<'a>, optional: bool) -> Result<Option<Val<'a>>> {
    match value {
        value if !optional => Ok(Some(value)),
        Val::Optional(inner) => Ok(inner.map(|inner| (*inner).clone())),
        other => {
            Err(Fault::new(format!("cannot initialize optional entry from non-optional value {}", other.type_name())))
        }
    }
}

fn select<'a>(operand: &Val<'a>, field: &str, optional: bool) -> Result<Val<'a>> {
    if let Val::Optional(inner) = operand {
        return match inner {
            None => Ok(Val::none()),
            Some(inner) => as_optional(inner.field(field)),
        };
    }
    if optional {
        return match operand {
            Val::Struct(_) | Val::Fields(..) | Val::Map(_) => as_optional(operand.field(field)),
            _ if operand.is_list() => Err(unsupported(operand, field)),
            _ => Ok(Val::none()),
        };
    }
    match operand {
        Val::Struct(_) | Val::Fields(..) | Val::Map(_) => {
            operand.field(field).unwrap_or_else(|| Err(Fault::no_key(field)))
        }
        _ => Err(unsupported(operand, field)),
    }
}

fn unsupported(operand: &Val<'_>, field: &str) -> Fault {
    if operand.is_list() { Fault::new("unsupported index type 'string' in list") } else { Fault::no_key(field) }
}

fn as_optional<'a>(found: Option<Result<Val<'a>>>) -> Result<Val<'a>> {
    match found {
        None => Ok(Val::none()),
        Some(value) => value.map(Val::some),
    }
}

fn test<'a>(operand: &Val<'a>, field: &str) -> Result<Val<'a>> {
    let has = |value: &Val<'a>| match value {
        Val::Struct(_) | Val::Fields(..) | Val::Map(_) => Ok(value.field(field).is_some()),
        list if list.is_list() => Err(unsupported(list, field)),
        _ => Ok(false),
    };
    let found = match operand {
        Val::Optional(None) => false,
        Val::Optional(Some(inner)) => has(inner)?,
        other => has(other)?,
    };
    Ok(Val::Bool(found))
}

fn index<'a>(operand: &Val<'a>, key: &Val<'a>, optional: bool) -> Result<Val<'a>> {
    if let Val::Optional(inner) = operand {
        return match inner {
            None => Ok(Val::none()),
            Some(inner) => index(inner, key, true),
        };
    }
    let found = if operand.is_list() { item(operand, key)? } else { entry(operand, key)? };
    match found {
        Some(value) if optional => value.map(Val::some),
        Some(value) => value,
        None if optional => Ok(Val::none()),
        None if operand.is_list() => Err(Fault::new(format!("index out of bounds: {}", super::functions::show(key)))),
        None => Err(Fault::no_key(super::functions::show(key))),
    }
}

fn entry<'a>(operand: &Val<'a>, key: &Val<'a>) -> Result<Option<Result<Val<'a>>>> {
    match (operand, key) {
        (Val::Map(_) | Val::Fields(..), _) => Ok(operand.entry(key)),
        (Val::Struct(_), Val::String(name)) => Ok(operand.field(name)),
        _ => Ok(None),
    }
}

fn item<'a>(operand: &Val<'a>, key: &Val<'a>) -> Result<Option<Result<Val<'a>>>> {
    let at = match key {
        Val::Int(at) => *at,
        Val::Uint(at) => i64::try_from(*at).unwrap_or(-1),
        Val::Double(at) if at.fract() == 0.0 => *at as i64,
        other => return Err(Fault::new(format!("unsupported index type '{}' in list", other.type_name()))),
    };
    let Ok(at) = usize::try_from(at) else { return Ok(None) };
    Ok(match operand {
        Val::List(items) => items.get(at).map(|item| Ok(item.clone())),
        Val::Items(items, schema) => items.get(at).map(|item| Val::typed(item, schema.items())),
        _ => None,
    })
}

/// One list after the other. Sets keep one of each; lists with keys take the right one's items where keys meet.
pub fn concat<'a>(a: &Val<'a>, b: &Val<'a>) -> Result<Val<'a>> {
    let (mut items, others) = (a.items().collect::<Result<Vec<_>>>()?, b.items().collect::<Result<Vec<_>>>()?);
    let kind = match a {
        Val::Items(_, schema) => Schema::list_kind(*schema),
        _ => None,
    };
    let Some(kind) = kind else {
        items.extend(others);
        return Ok(Val::list(items));
    };
    for other in others {
        let mut known = None;
        for (at, item) in items.iter().enumerate() {
            if same_key(item, &other, kind)? {
                known = Some(at);
                break;
            }
        }
        match known {
            Some(at) => items[at] = other,
            None => items.push(other),
        }
    }
    Ok(Val::list(items))
}

/// The text of a value that is one.
pub fn text<'v>(value: &'v Val<'_>) -> Result<&'v str> {
    match value {
        Val::String(Text::Seen(text)) => Ok(text),
        Val::String(Text::Made(text)) => Ok(text),
        _ => Err(Fault::overload()),
    }
}
