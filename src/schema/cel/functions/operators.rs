//! Arithmetic, comparison, membership.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::compare::{equal, ordered};
use super::super::error::Fault;
use super::super::eval::concat;
use super::super::plan::Invocation;
use super::super::time;
use super::super::value::{Result, Val};
use super::Row;
use super::convert::show;

pub const ROWS: &[Row] = &[
    ("_==_", equals),
    ("_!=_", equals),
    ("_<_", compare),
    ("_<=_", compare),
    ("_>_", compare),
    ("_>=_", compare),
    ("_+_", add),
    ("_-_", subtract),
    ("_*_", multiply),
    ("_/_", divide),
    ("_%_", divide),
    ("!_", not),
    ("-_", negate),
    ("@in", is_in),
    ("cel.@mapInsert", insert),
];

const INT: &str = "integer overflow";
const UINT: &str = "unsigned integer overflow";
const DURATION: &str = "duration overflow";

fn equals<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [a, b] = args else { return Err(Fault::overload()) };
    Ok(Val::Bool(equal(a, b)? == (call.function == "_==_")))
}

fn compare<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [a, b] = args else { return Err(Fault::overload()) };
    let order = ordered(a, b)?;
    Ok(Val::Bool(match call.function {
        "_<_" => order == Ordering::Less,
        "_<=_" => order != Ordering::Greater,
        "_>_" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

fn within<'a>(value: Option<Val<'a>>, text: &'static str) -> Result<Val<'a>> {
    value.ok_or_else(|| Fault::new(text))
}

fn add<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [a, b] = args else { return Err(Fault::overload()) };
    plus(a, b)
}

pub fn plus<'a>(a: &Val<'a>, b: &Val<'a>) -> Result<Val<'a>> {
    match (a, b) {
        (Val::Int(a), Val::Int(b)) => within(a.checked_add(*b).map(Val::Int), INT),
        (Val::Uint(a), Val::Uint(b)) => within(a.checked_add(*b).map(Val::Uint), UINT),
        (Val::Double(a), Val::Double(b)) => Ok(Val::Double(a + b)),
        (Val::String(a), Val::String(b)) => Ok(Val::text([&**a, &**b].concat())),
        (Val::Bytes(a), Val::Bytes(b)) => Ok(Val::Bytes([&**a, &**b].concat().into())),
        (Val::Duration(a), Val::Duration(b)) => within(a.checked_add(*b).map(Val::Duration), DURATION),
        (Val::Timestamp(time), Val::Duration(nanos)) | (Val::Duration(nanos), Val::Timestamp(time)) => {
            time::plus(*time, *nanos)
        }
        _ if a.is_list() && b.is_list() => concat(a, b),
        _ => Err(Fault::overload()),
    }
}

fn subtract<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match args {
        [Val::Int(a), Val::Int(b)] => within(a.checked_sub(*b).map(Val::Int), INT),
        [Val::Uint(a), Val::Uint(b)] => within(a.checked_sub(*b).map(Val::Uint), UINT),
        [Val::Double(a), Val::Double(b)] => Ok(Val::Double(a - b)),
        [Val::Duration(a), Val::Duration(b)] => within(a.checked_sub(*b).map(Val::Duration), DURATION),
        [Val::Timestamp(a), Val::Timestamp(b)] => time::between(*a, *b),
        [Val::Timestamp(time), Val::Duration(nanos)] => {
            let back = nanos.checked_neg().ok_or_else(|| Fault::new(DURATION))?;
            time::plus(*time, back)
        }
        _ => Err(Fault::overload()),
    }
}

fn multiply<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match args {
        [Val::Int(a), Val::Int(b)] => within(a.checked_mul(*b).map(Val::Int), INT),
        [Val::Uint(a), Val::Uint(b)] => within(a.checked_mul(*b).map(Val::Uint), UINT),
        [Val::Double(a), Val::Double(b)] => Ok(Val::Double(a * b)),
        _ => Err(Fault::overload()),
    }
}

fn divide<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let rest = call.function == "_%_";
    let by_zero = || Fault::new(if rest { "modulus by zero" } else { "division by zero" });
    match args {
        [Val::Int(_), Val::Int(0)] | [Val::Uint(_), Val::Uint(0)] => Err(by_zero()),
        [Val::Int(a), Val::Int(b)] => {
            within(if rest { a.checked_rem(*b) } else { a.checked_div(*b) }.map(Val::Int), INT)
        }
        [Val::Uint(a), Val::Uint(b)] => Ok(Val::Uint(if rest { a % b } else { a / b })),
        [Val::Double(a), Val::Double(b)] if !rest => Ok(Val::Double(a / b)),
        _ => Err(Fault::overload()),
    }
}

fn not<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match args {
        [Val::Bool(flag)] => Ok(Val::Bool(!flag)),
        _ => Err(Fault::overload()),
    }
}

fn negate<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match args {
        [Val::Int(number)] => within(number.checked_neg().map(Val::Int), INT),
        [Val::Double(number)] => Ok(Val::Double(-number)),
        _ => Err(Fault::overload()),
    }
}

fn is_in<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [value, of] = args else { return Err(Fault::overload()) };
    if of.is_map() {
        return Ok(Val::Bool(of.entry(value).is_some()));
    }
    if let Val::Struct(_) = of {
        let Val::String(name) = value else { return Err(Fault::overload()) };
        return Ok(Val::Bool(of.field(name).is_some()));
    }
    if !of.is_list() {
        return Err(Fault::overload());
    }
    for item in of.items() {
        if equal(&item?, value)? {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

fn insert<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let entries = |map: &Val<'a>| -> Result<Vec<(Val<'a>, Val<'a>)>> {
        let keys = map.keys().into_iter();
        keys.map(|key| map.entry(&key).unwrap_or(Err(Fault::overload())).map(|value| (key, value))).collect()
    };
    let (map, more) = match args {
        [map, key, value] => (map, vec![(key.clone(), value.clone())]),
        [map, other] => (map, entries(other)?),
        _ => return Err(Fault::overload()),
    };
    let mut all = entries(map)?;
    for (key, value) in more {
        if map.entry(&key).is_some() {
            return Err(Fault::new(format!("insert failed: key {} already exists", show(&key))));
        }
        all.push((key, value));
    }
    Ok(Val::Map(Arc::new(all)))
}
