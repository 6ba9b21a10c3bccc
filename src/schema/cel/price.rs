//! What each call costs at run time, by the tables of cel-go and of Kubernetes.

use super::plan::Invocation;
use super::value::Val;

/// Of making a list, a map, an object.
pub const LIST: u64 = 10;
pub const MAP: u64 = 30;
pub const STRUCT: u64 = 40;
/// Of a question to the authorizer: two fit into one expression.
pub const AUTHORIZATION: u64 = 350_000;
/// Of reading a letter.
pub const LETTER: f64 = 0.1;
/// Of a letter of a pattern.
pub const PATTERN_LETTER: f64 = 0.25;

/// What is known before the call to cost this much at least; only for calls that could be endless.
pub fn before(call: &Invocation, args: &[Val<'_>]) -> Option<u64> {
    match (call.function, args) {
        ("lists.range", [Val::Int(count)]) => u64::try_from(*count).ok(),
        _ => None,
    }
}

pub fn price(call: &Invocation, args: &[Val<'_>], result: Option<&Val<'_>>) -> u64 {
    lists(call, args, result)
        .or_else(|| kubernetes(call, args, result))
        .unwrap_or_else(|| standard(call.overload, args))
}

fn size(value: &Val<'_>) -> u64 {
    match value {
        Val::Optional(Some(inner)) => size(inner),
        other => other.size().map_or(1, |size| size as u64),
    }
}

fn times(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

fn first(args: &[Val<'_>]) -> u64 {
    args.first().map_or(0, size)
}

fn second(args: &[Val<'_>]) -> u64 {
    args.get(1).map_or(0, size)
}

/// The `lists` library.
fn lists(call: &Invocation, args: &[Val<'_>], result: Option<&Val<'_>>) -> Option<u64> {
    let squared = |size: u64| times(size.saturating_mul(size), 2.0) + 1 + LIST;
    match call.function {
        "slice" | "lists.range" | "reverse" => Some(result.map_or(0, size) + 1 + LIST),
        "flatten" => {
            let depth = match args.get(1) {
                Some(Val::Int(depth)) => *depth as f64,
                _ => 1.0,
            };
            Some(times(first(args), depth) + 1 + LIST)
        }
        "distinct" | "sort" => Some(squared(first(args))),
        "sets.contains" | "sets.intersects" => Some(first(args).saturating_mul(second(args)) + 1),
        "sets.equivalent" => Some(first(args).saturating_mul(second(args)).saturating_mul(2) + 1),
        "@sortByAssociatedKeys" => Some(squared(second(args))),
        _ => None,
    }
}

/// Matching a text of this size against a pattern of that size.
fn matching(text: u64, pattern: u64) -> u64 {
    times(text + 1, LETTER).saturating_mul(times(pattern, PATTERN_LETTER))
}

fn kubernetes(call: &Invocation, args: &[Val<'_>], result: Option<&Val<'_>>) -> Option<u64> {
    Some(match call.function {
        // A list that is written out was made a set.
        "@in" if call.overload.is_empty() && matches!(args.get(1), Some(Val::List(_))) => 0,
        "check" => AUTHORIZATION,
        "fieldSelector" | "labelSelector" => {
            let length = second(args);
            LIST + times(length, LETTER) + times(times(length, 0.5), (LIST + STRUCT) as f64)
        }
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => args.first().map_or(0, traversal),
        "url"
        | "lowerAscii"
        | "upperAscii"
        | "substring"
        | "trim"
        | "jsonpatch.escapeKey"
        | "cidr"
        | "isIP"
        | "isCIDR"
        | "quantity"
        | "isQuantity"
        | "semver"
        | "isSemver" => times(first(args), LETTER),
        "ip" if call.overload == "cidr_ip" => 1,
        "ip" => times(first(args), LETTER),
        "replace" | "split" | "ip.isCanonical" => times(first(args), 2.0 * LETTER),
        "join" => times(result.map_or(0, size), 2.0 * LETTER),
        "find" | "findAll" => matching(first(args), second(args)),
        "containsIP" => {
            let text = if call.overload == "cidr_contains_ip_string" { times(second(args), LETTER) } else { 0 };
            times(2 * first(args), LETTER) + text
        }
        "containsCIDR" => {
            let text = if call.overload == "cidr_contains_cidr_string" { times(second(args), LETTER) } else { 0 };
            times(2 * first(args), LETTER) + times(first(args), LETTER) + 1 + text
        }
        "validate" => match args {
            [Val::Format(format), text, ..] => matching(size(text), format.pattern_size as u64),
            _ => return None,
        },
        "_==_" => match args.first() {
            Some(
                Val::Quantity(_)
                | Val::Ip(_)
                | Val::Cidr(_)
                | Val::Format(_)
                | Val::Url(_)
                | Val::Semver(_)
                | Val::Authority(_),
            ) => 1,
            _ => return None,
        },
        _ => return None,
    })
}

/// As a tree of values.
fn traversal(value: &Val<'_>) -> u64 {
    match value {
        Val::String(text) => (text.len() as f64 * LETTER) as u64,
        Val::Bytes(bytes) => (bytes.len() as f64 * LETTER) as u64,
        list if list.is_list() => list.items().flatten().map(|item| traversal(&item)).sum(),
        map if map.is_map() => {
            let entry = |key: &Val<'_>| map.entry(key).and_then(Result::ok).map_or(0, |value| traversal(&value));
            map.keys().iter().map(|key| traversal(key) + entry(key)).sum()
        }
        _ => 1,
    }
}

fn standard(overload: &str, args: &[Val<'_>]) -> u64 {
    match overload {
        "starts_with_string" | "ends_with_string" | "string_to_bytes" | "bytes_to_string" | "strings_quote"
        | "string_format" => times(first(args), LETTER),
        "in_list" => second(args),
        "less_string"
        | "greater_string"
        | "less_equals_string"
        | "greater_equals_string"
        | "less_bytes"
        | "greater_bytes"
        | "less_equals_bytes"
        | "greater_equals_bytes"
        | "equals"
        | "not_equals" => times(first(args).min(second(args)), LETTER),
        "add_string" | "add_bytes" => times(first(args) + second(args), LETTER),
        "matches_string" => matching(first(args), second(args)),
        "contains_string" => times(first(args), LETTER).saturating_mul(times(second(args), LETTER)),
        _ => 1,
    }
}
