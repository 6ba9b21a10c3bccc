//! Values that may be none.

use std::sync::Arc;

use super::super::error::Fault;
use super::super::plan::Invocation;
use super::super::value::{Result, Val};
use super::Row;

pub const ROWS: &[Row] = &[
    ("optional.of", of),
    ("optional.ofNonZeroValue", of),
    ("optional.none", |_, _| Ok(Val::none())),
    ("hasValue", has_value),
    ("value", value),
    ("or", chosen),
    ("orValue", chosen),
    ("unwrapOpt", unwrap),
];

fn inner<'v, 'a>(args: &'v [Val<'a>]) -> Result<Option<&'v Arc<Val<'a>>>> {
    match args {
        [Val::Optional(inner), ..] => Ok(inner.as_ref()),
        _ => Err(Fault::overload()),
    }
}

fn of<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [value] = args else { return Err(Fault::overload()) };
    let none = call.function == "optional.ofNonZeroValue" && value.is_zero();
    Ok(if none { Val::none() } else { Val::some(value.clone()) })
}

fn has_value<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    Ok(Val::Bool(inner(args)?.is_some()))
}

fn value<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    inner(args)?.map(|inner| (**inner).clone()).ok_or_else(|| Fault::new("optional.none() dereference"))
}

/// They are evaluated lazily, elsewhere.
fn chosen<'a>(_: &Invocation, _: &[Val<'a>]) -> Result<Val<'a>> {
    Err(Fault::overload())
}

fn unwrap<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [list] = args else { return Err(Fault::overload()) };
    let mut kept = Vec::new();
    for item in list.items() {
        match item? {
            Val::Optional(inner) => kept.extend(inner.map(|inner| (*inner).clone())),
            other => {
                return Err(Fault::new(format!("value {} is not optional", other.type_name())));
            }
        }
    }
    Ok(Val::list(kept))
}
