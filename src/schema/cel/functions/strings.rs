//! Texts: searching, cutting, joining, matching.

use super::super::compare::equal;
use super::super::error::Fault;
use super::super::eval::text;
use super::super::plan::Invocation;
use super::super::value::{Result, Val};
use super::{Row, format};
use crate::model::regex::compile;

pub const ROWS: &[Row] = &[
    ("charAt", char_at),
    ("contains", contains),
    ("endsWith", contains),
    ("startsWith", contains),
    ("matches", matches),
    ("find", find),
    ("findAll", find_all),
    ("indexOf", index_of),
    ("lastIndexOf", index_of),
    ("lowerAscii", case),
    ("upperAscii", case),
    ("trim", case),
    ("replace", replace),
    ("split", split),
    ("substring", substring),
    ("join", join),
    ("format", formatted),
    ("strings.quote", quote),
];

fn out_of_range(at: i64) -> Fault {
    Fault::new(format!("index out of range: {at}"))
}

fn char_at<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [value, Val::Int(at)] = args else { return Err(Fault::overload()) };
    let value = text(value)?;
    let index = usize::try_from(*at).map_err(|_| out_of_range(*at))?;
    match value.chars().nth(index) {
        Some(letter) => Ok(Val::text(letter.to_string())),
        None if value.chars().count() == index => Ok(Val::text("")),
        None => Err(out_of_range(*at)),
    }
}

fn contains<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [value, part] = args else { return Err(Fault::overload()) };
    let (value, part) = (text(value)?, text(part)?);
    Ok(Val::Bool(match call.function {
        "contains" => value.contains(part),
        "startsWith" => value.starts_with(part),
        _ => value.ends_with(part),
    }))
}

fn matches<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [value, pattern] = args else { return Err(Fault::overload()) };
    let value = text(value)?;
    if let Some(pattern) = &call.pattern {
        return Ok(Val::Bool(pattern.is_match(value)));
    }
    let pattern = compile(text(pattern)?).map_err(Fault::new)?;
    Ok(Val::Bool(pattern.is_match(value)))
}

fn illegal(error: String) -> Fault {
    Fault::new(format!("Illegal regex: {error}"))
}

fn find<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [value, pattern] = args else { return Err(Fault::overload()) };
    let value = text(value)?;
    let found = match &call.pattern {
        Some(pattern) => pattern.find(value),
        None => compile(text(pattern)?).map_err(illegal)?.find(value),
    };
    Ok(Val::text(found.map_or("", |found| found.as_str())))
}

fn find_all<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let (value, pattern, most) = match args {
        [value, pattern] => (value, pattern, -1),
        [value, pattern, Val::Int(most)] => (value, pattern, *most),
        _ => return Err(Fault::overload()),
    };
    let (value, most) = (text(value)?, usize::try_from(most).unwrap_or(usize::MAX));
    let compiled;
    let pattern = match &call.pattern {
        Some(pattern) => pattern,
        None => {
            compiled = compile(text(pattern)?).map_err(illegal)?;
            &compiled
        }
    };
    Ok(Val::list(pattern.find_iter(value).take(most).map(|found| Val::text(found.as_str())).collect::<Vec<_>>()))
}

/// Of a text in a text, or of an item in a list.
fn index_of<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let last = call.function == "lastIndexOf";
    match args {
        [Val::String(value), Val::String(part)] => text_index(value, part, None, last),
        [Val::String(value), Val::String(part), Val::Int(offset)] => text_index(value, part, Some(*offset), last),
        [list, item] if list.is_list() => {
            let mut found = -1;
            for (at, other) in list.items().enumerate() {
                if equal(&other?, item)? {
                    found = at as i64;
                    if !last {
                        break;
                    }
                }
            }
            Ok(Val::Int(found))
        }
        _ => Err(Fault::overload()),
    }
}

fn text_index(value: &str, part: &str, offset: Option<i64>, last: bool) -> Result<Val<'static>> {
    let letters: Vec<char> = value.chars().collect();
    let wanted: Vec<char> = part.chars().collect();
    let count = letters.len() as i64;
    let offset = match (offset, last) {
        (Some(offset), _) => offset,
        (None, false) => 0,
        (None, true) if wanted.is_empty() => count,
        (None, true) if value.len() < part.len() => return Ok(Val::Int(-1)),
        (None, true) => count - 1,
    };
    if wanted.is_empty() {
        return Ok(Val::Int(offset));
    }
    let start = usize::try_from(offset).map_err(|_| out_of_range(offset))?;
    if offset >= count || wanted.len() > letters.len() {
        return Ok(Val::Int(-1));
    }
    let ends = letters.len() - wanted.len();
    let here = |at: &usize| letters[*at..].starts_with(&wanted);
    let found = if last { (0..=start.min(ends)).rev().find(here) } else { (start..=ends).find(here) };
    Ok(Val::Int(found.map_or(-1, |at| at as i64)))
}

fn case<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [value] = args else { return Err(Fault::overload()) };
    let value = text(value)?;
    Ok(Val::text(match call.function {
        "lowerAscii" => value.to_ascii_lowercase(),
        "upperAscii" => value.to_ascii_uppercase(),
        _ => value.trim().to_owned(),
    }))
}

/// A negative count means all.
fn count(value: Option<&Val<'_>>) -> Result<usize> {
    match value {
        None => Ok(usize::MAX),
        Some(Val::Int(count)) => Ok(usize::try_from(*count).unwrap_or(usize::MAX)),
        Some(_) => Err(Fault::overload()),
    }
}

fn replace<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [value, old, new, most @ ..] = args else { return Err(Fault::overload()) };
    let most = count(most.first())?;
    Ok(Val::text(text(value)?.replacen(text(old)?, text(new)?, most)))
}

fn split<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [value, separator, most @ ..] = args else { return Err(Fault::overload()) };
    let (value, separator, most) = (text(value)?, text(separator)?, count(most.first())?);
    if most == 0 {
        return Ok(Val::list([]));
    }
    let parts: Vec<Val<'a>> = if separator.is_empty() {
        let letters: Vec<char> = value.chars().collect();
        let single = letters.len().min(most.saturating_sub(1));
        let rest: String = letters[single..].iter().collect();
        let parts = letters[..single].iter().map(|letter| Val::text(letter.to_string()));
        parts.chain((!rest.is_empty()).then(|| Val::text(rest))).collect()
    } else {
        value.splitn(most, separator).map(Val::text).collect()
    };
    Ok(Val::list(parts))
}

fn substring<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let (value, start, end) = match args {
        [value, Val::Int(start)] => (text(value)?, *start, None),
        [value, Val::Int(start), Val::Int(end)] => (text(value)?, *start, Some(*end)),
        _ => return Err(Fault::overload()),
    };
    let letters: Vec<char> = value.chars().collect();
    let whole = letters.len() as i64;
    let last = end.unwrap_or(whole);
    if end.is_some() && start > last {
        return Err(Fault::new(format!("invalid substring range. start: {start}, end: {last}")));
    }
    for bound in [start, last] {
        if bound < 0 || bound > whole {
            return Err(out_of_range(bound));
        }
    }
    Ok(Val::text(letters[start as usize..last as usize].iter().collect::<String>()))
}

fn join<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [list, separator @ ..] = args else { return Err(Fault::overload()) };
    let separator = separator.first().map_or(Ok(""), text)?;
    let mut out = String::new();
    for (at, item) in list.items().enumerate() {
        let item = item?;
        let Val::String(item) = &item else {
            return Err(Fault::new(format!("join: invalid input: {}", super::show(&item))));
        };
        if at > 0 {
            out.push_str(separator);
        }
        out.push_str(item);
    }
    Ok(Val::text(out))
}

fn formatted<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [pattern, list] = args else { return Err(Fault::overload()) };
    let items = list.items().collect::<Result<Vec<_>>>()?;
    format::format(text(pattern)?, &items).map(Val::text)
}

fn quote<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [value] = args else { return Err(Fault::overload()) };
    let mut out = String::from('"');
    for letter in text(value)?.chars() {
        match letter {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out.push('"');
    Ok(Val::text(out))
}
