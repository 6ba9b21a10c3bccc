//! Lists and sets.

use std::cmp::Ordering;

use super::super::compare::{equal, order};
use super::super::error::Fault;
use super::super::plan::Invocation;
use super::super::value::{Result, Val};
use super::{Row, operators};

pub const ROWS: &[Row] = &[
    ("isSorted", is_sorted),
    ("sum", sum),
    ("max", extreme),
    ("min", extreme),
    ("slice", slice),
    ("flatten", flatten),
    ("distinct", distinct),
    ("sort", sort),
    ("@sortByAssociatedKeys", sort),
    ("reverse", reverse),
    ("first", end),
    ("last", end),
    ("lists.range", range),
    ("sets.contains", sets),
    ("sets.equivalent", sets),
    ("sets.intersects", sets),
];

fn all<'a>(list: &Val<'a>) -> Result<Vec<Val<'a>>> {
    if list.is_list() { list.items().collect() } else { Err(Fault::overload()) }
}

fn only<'a>(args: &[Val<'a>]) -> Result<Vec<Val<'a>>> {
    match args {
        [list] => all(list),
        _ => Err(Fault::overload()),
    }
}

fn is_sorted<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let items = only(args)?;
    for pair in items.windows(2) {
        if order(&pair[0], &pair[1]).ok_or_else(Fault::overload)? == Ordering::Greater {
            return Ok(Val::Bool(false));
        }
    }
    Ok(Val::Bool(true))
}

fn sum<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let mut items = only(args)?.into_iter();
    let Some(mut total) = items.next() else {
        return Ok(match call.overload {
            "list_double_sum_double" => Val::Double(0.0),
            "list_uint_sum_uint" => Val::Uint(0),
            "list_duration_sum_duration" => Val::Duration(0),
            _ => Val::Int(0),
        });
    };
    for item in items {
        total = operators::plus(&total, &item)?;
    }
    Ok(total)
}

fn extreme<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let wanted = if call.function == "max" { Ordering::Less } else { Ordering::Greater };
    let mut items = only(args)?.into_iter();
    let Some(mut found) = items.next() else {
        return Err(Fault::new(format!("{} called on empty list", call.function)));
    };
    for item in items {
        if order(&found, &item).ok_or_else(Fault::overload)? == wanted {
            found = item;
        }
    }
    Ok(found)
}

fn slice<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [list, Val::Int(start), Val::Int(end)] = args else { return Err(Fault::overload()) };
    let items = all(list)?;
    let wrong = |reason: String| Fault::new(format!("cannot slice({start}, {end}), {reason}"));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return Err(wrong("negative indexes not supported".to_owned()));
    };
    if from > to {
        return Err(wrong("start index must be less than or equal to end index".to_owned()));
    }
    if items.len() < to {
        return Err(wrong(format!("list is length {}", items.len())));
    }
    Ok(Val::list(items[from..to].iter().cloned()))
}

fn flatten<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let (list, depth) = match args {
        [list] => (list, 1),
        [list, Val::Int(depth)] => (list, *depth),
        _ => return Err(Fault::overload()),
    };
    let depth = usize::try_from(depth).map_err(|_| Fault::new("level must be non-negative"))?;
    let mut items = all(list)?;
    for _ in 0..depth {
        if !items.iter().any(Val::is_list) {
            break;
        }
        let mut flat = Vec::with_capacity(items.len());
        for item in items {
            if item.is_list() { flat.extend(all(&item)?) } else { flat.push(item) }
        }
        items = flat;
    }
    Ok(Val::list(items))
}

fn distinct<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let mut kept: Vec<Val<'a>> = Vec::new();
    for item in only(args)? {
        if !kept.iter().any(|known| equal(known, &item).unwrap_or(false)) {
            kept.push(item);
        }
    }
    Ok(Val::list(kept))
}

/// By their own order or by that of their keys.
fn sort<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let (items, keys) = match args {
        [list] => (all(list)?, all(list)?),
        [list, keys] => (all(list)?, all(keys)?),
        _ => return Err(Fault::overload()),
    };
    if items.len() != keys.len() {
        return Err(Fault::new(format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got {} and {} elements respectively",
            items.len(),
            keys.len()
        )));
    }
    if keys.iter().any(|key| order(key, key).is_none()) {
        return Err(Fault::new("list elements must be comparable"));
    }
    if keys.windows(2).any(|pair| pair[0].type_name() != pair[1].type_name()) {
        return Err(Fault::new("list elements must have the same type"));
    }
    let mut pairs: Vec<_> = keys.into_iter().zip(items).collect();
    pairs.sort_by(|(a, _), (b, _)| order(a, b).unwrap_or(Ordering::Equal));
    Ok(Val::list(pairs.into_iter().map(|(_, item)| item)))
}

fn reverse<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    Ok(Val::list(only(args)?.into_iter().rev()))
}

fn end<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let mut items = only(args)?.into_iter();
    let found = if call.function == "first" { items.next() } else { items.next_back() };
    Ok(found.map_or(Val::none(), Val::some))
}

/// The caller has seen to it that the cost of so many is within its limit.
fn range<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match args {
        [Val::Int(count)] => Ok(Val::list((0..*count).map(Val::Int).collect::<Vec<_>>())),
        _ => Err(Fault::overload()),
    }
}

fn sets<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [a, b] = args else { return Err(Fault::overload()) };
    let (a, b) = (all(a)?, all(b)?);
    let has = |list: &[Val<'a>], item: &Val<'a>| list.iter().any(|known| equal(known, item).unwrap_or(false));
    let holds = |list: &[Val<'a>], items: &[Val<'a>]| items.iter().all(|item| has(list, item));
    Ok(Val::Bool(match call.function {
        "sets.contains" => holds(&a, &b),
        "sets.equivalent" => holds(&a, &b) && holds(&b, &a),
        _ => b.iter().any(|item| has(&a, item)),
    }))
}
