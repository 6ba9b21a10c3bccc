//! What functions cost by the sizes of their arguments: (cost, size of the result).

use super::super::price::{AUTHORIZATION, LETTER, LIST, PATTERN_LETTER, STRUCT};
use super::super::types::Type;
use super::range::Range;
use super::walk::{Seen, Walk, unknown, written_int};

type Cost = (Range, Option<Range>);

/// Bytes of an address.
const ADDRESS: Range = Range { min: 4, max: 16 };
/// Letters of the patterns of named formats and of their names.
const FORMAT_PATTERN: f64 = 128.0;
const FORMAT_NAME: u64 = 64;
/// Functions of Kubernetes that cost the same whatever they are given.
const CHEAP: [&str; 38] = [
    "serviceAccount",
    "path",
    "group",
    "resource",
    "subresource",
    "namespace",
    "name",
    "allowed",
    "reason",
    "error",
    "errored",
    "masked",
    "prefixLength",
    "family",
    "isUnspecified",
    "isLoopback",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isGlobalUnicast",
    "format.named",
    "sign",
    "asInteger",
    "isInteger",
    "asApproximateFloat",
    "isGreaterThan",
    "isLessThan",
    "compareTo",
    "add",
    "sub",
    "major",
    "minor",
    "patch",
    "getScheme",
    "getHostname",
    "getHost",
    "getPort",
    "getEscapedPath",
    "getQuery",
];

fn fixed(cost: u64) -> Option<Cost> {
    Some((Range::of(cost), None))
}

/// A call that makes a list.
fn makes(factor: f64, size: Range) -> Option<Cost> {
    Some((size.scaled(factor).plus(Range::ONE).plus(Range::of(LIST)), Some(size)))
}

/// The `lists` library of cel-go.
pub fn lists<'a>(function: &str, target: Option<&Seen<'a>>, args: &[Seen<'a>], walk: &Walk<'a>) -> Option<Cost> {
    let size = |seen: &Seen<'a>| sized(seen, walk);
    match (function, target, args) {
        ("slice", Some(list), [start, end]) => {
            let start = written_int(start).unwrap_or(0) as u64;
            let end = written_int(end).map_or(size(list).max, |end| end as u64);
            makes(1.0, Range::of(end.wrapping_sub(start)))
        }
        ("lists.range", None, [count]) => {
            makes(1.0, Range::of(written_int(count).map_or(u64::MAX, |count| count as u64)))
        }
        ("reverse", Some(list), []) => makes(1.0, size(list)),
        ("flatten", Some(list), []) => makes(1.0, size(list)),
        ("flatten", Some(list), [depth]) => {
            makes(written_int(depth).map_or(u64::MAX as f64, |depth| depth as f64), size(list))
        }
        ("distinct", Some(list), []) => makes(2.0, size(list).times(size(list))),
        ("sets.contains" | "sets.intersects", None, [a, b]) => Some((size(a).times(size(b)).plus(Range::ONE), None)),
        ("sets.equivalent", None, [a, b]) => Some((size(a).times(size(b)).scaled(2.0).plus(Range::ONE), None)),
        ("sort", Some(list), []) => sorts(list, size(list)),
        ("@sortByAssociatedKeys", Some(_), [keys]) => sorts(keys, size(keys)),
        _ => None,
    }
}

fn sorts(keys: &Seen<'_>, size: Range) -> Option<Cost> {
    let of_texts = matches!(keys.ty, Type::List(of) if matches!(**of, Type::String | Type::Bytes));
    makes(if of_texts { 2.0 + LETTER } else { 2.0 }, size.times(size))
}

/// Computed, declared, or unknown.
fn sized<'a>(seen: &Seen<'a>, walk: &Walk<'a>) -> Range {
    seen.size.or_else(|| if seen.path.is_empty() { None } else { walk.declared(&seen.path) }).unwrap_or(Range::UNKNOWN)
}

/// An element of a list: by its place if it has one, else by its type.
fn element<'a>(list: &Seen<'a>) -> Option<Seen<'a>> {
    let ty = match list.ty {
        Type::Map(of) => &of.0,
        other => other.params().first()?,
    };
    let mut path = list.path.clone();
    if !path.is_empty() {
        path.push("@items");
    }
    Some(Seen { expr: None, ty, path, size: None })
}

/// Kubernetes' table.
pub fn kubernetes<'a>(
    function: &str,
    overload: &str,
    target: Option<&Seen<'a>>,
    args: &[Seen<'a>],
    walk: &Walk<'a>,
) -> Option<Cost> {
    let size = |seen: &Seen<'a>| sized(seen, walk);
    let read = |seen: &Seen<'a>| Some((size(seen).scaled(LETTER), None));
    match (function, target, args) {
        ("check", ..) => fixed(AUTHORIZATION),
        (cheap, ..) if CHEAP.contains(&cheap) => fixed(1),
        ("fieldSelector" | "labelSelector", _, [selector]) => {
            let length = size(selector);
            let requirements = length.scaled(0.5).scaled((LIST + STRUCT) as f64);
            Some((Range::of(LIST).plus(length.scaled(LETTER)).plus(requirements), None))
        }
        ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", Some(list), _) => {
            traverses(list, size(list), walk)
        }
        ("url" | "jsonpatch.escapeKey", _, [text]) => Some((size(text).scaled(LETTER), Some(size(text)))),
        ("lowerAscii" | "upperAscii" | "substring" | "trim", Some(text), _) => {
            Some((size(text).scaled(LETTER), Some(size(text))))
        }
        ("replace", Some(text), [old, new, ..]) => {
            let result = replaced(size(text), size(old), size(new));
            Some((size(text).scaled(2.0 * LETTER), Some(result)))
        }
        ("split", Some(text), _) => {
            let most = args.get(1).and_then(written_int).map_or(size(text).max, |most| most as u64);
            Some((size(text).scaled(2.0 * LETTER), Some(Range { min: 0, max: most })))
        }
        ("join", Some(list), _) => {
            let count = size(list);
            let mut result = element(list).map_or(Range::ZERO, |of| count.times(size(&of)));
            if let Some(separator) = args.first() {
                let between = Range { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
                result = result.plus(size(separator).times(between));
            }
            Some((result.scaled(LETTER), Some(result)))
        }
        ("find" | "findAll", Some(text), [pattern, ..]) => {
            let cost = size(text).plus(Range::ONE).scaled(LETTER).times(size(pattern).scaled(PATTERN_LETTER));
            Some((cost, Some(Range { min: 0, max: size(text).max })))
        }
        ("ip", ..) if overload == "cidr_ip" => fixed(1),
        ("cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver", _, [text, ..]) => {
            read(text)
        }
        ("ip.isCanonical", _, [text, ..]) => Some((size(text).scaled(2.0 * LETTER), None)),
        ("containsIP" | "containsCIDR", _, [other, ..]) => Some((contains(function, overload, size(other)), None)),
        ("validate", _, [text, ..]) => Some((size(text).scaled(LETTER).scaled(FORMAT_PATTERN * PATTERN_LETTER), None)),
        ("_==_", _, [a, b]) if a.ty == b.ty => equality(a.ty, b),
        _ => None,
    }
}

fn traverses<'a>(list: &Seen<'a>, size: Range, walk: &Walk<'a>) -> Option<Cost> {
    let Some(of) = element(list) else { return Some((size.scaled(LETTER), None)) };
    let mut each = Range::ONE;
    if matches!(of.ty, Type::String | Type::Bytes) {
        each = each.plus(sized(&of, walk).scaled(LETTER));
    }
    Some((size.times(each), None))
}

/// How long a text can become when parts of it are replaced.
fn replaced(text: Range, old: Range, new: Range) -> Range {
    let times = |length: u64, by: u64| (length as f64 / by as f64).ceil() as u64;
    let (mut count, mut kept) = (Range::ZERO, Range::ZERO);
    if old.min == 0 {
        count.max = text.max.saturating_add(1);
        kept.max = text.max;
    } else if new.max <= old.min {
        kept.max = text.max;
    } else {
        count.max = times(text.max, old.min);
    }
    if old.max == 0 {
        count.min = text.min.saturating_add(1);
        kept.min = text.min;
    } else if old.max <= new.min {
        kept.min = text.min;
    } else {
        count.min = times(text.min, old.max);
    }
    count.times(new).plus(kept)
}

fn contains(function: &str, overload: &str, other: Range) -> Range {
    let mut cost = ADDRESS.plus(ADDRESS).scaled(LETTER);
    if function == "containsCIDR" {
        cost = cost.plus(ADDRESS.scaled(LETTER)).plus(Range::ONE);
    }
    if overload.ends_with("_string") { cost.plus(other.scaled(LETTER)) } else { cost }
}

fn equality(ty: &Type, other: &Seen<'_>) -> Option<Cost> {
    match ty.name()? {
        "net.IP" | "net.CIDR" | "kubernetes.Quantity" | "kubernetes.Semver" => fixed(1),
        name if name.starts_with("kubernetes.authorization.") => fixed(1),
        "kubernetes.NamedFormat" => Some((Range { min: 1, max: FORMAT_NAME }.scaled(LETTER), None)),
        "kubernetes.URL" => {
            let most = other.size.map_or(1, |size| size.max);
            Some((Range { min: 1, max: most }.scaled(LETTER), None))
        }
        _ => None,
    }
}

/// What cel-go charges for its own functions.
pub fn standard(overload: &str, target: Option<&Seen<'_>>, args: &[Seen<'_>]) -> Cost {
    let found = match (overload, target, args) {
        ("string_format", Some(text), _) => Some((unknown(text).scaled(LETTER), None)),
        ("string_to_bytes", _, [text]) => {
            let size = unknown(text);
            Some((size.scaled(LETTER), Some(Range { min: size.min, max: size.max.wrapping_mul(4) })))
        }
        ("bytes_to_string", _, [bytes]) => {
            let size = unknown(bytes);
            Some((size.scaled(LETTER), Some(Range { min: size.min / 4, max: size.max })))
        }
        ("strings_quote", _, [text]) => {
            let size = unknown(text);
            let result = Range { min: size.min.wrapping_add(2), max: size.max.wrapping_mul(2).wrapping_add(2) };
            Some((size.scaled(LETTER), Some(result)))
        }
        ("starts_with_string" | "ends_with_string", _, [part]) => Some((unknown(part).scaled(LETTER), None)),
        ("in_list", _, [_, list]) => Some((unknown(list), None)),
        ("matches_string", Some(text), [pattern]) => {
            let cost = unknown(text).plus(Range::ONE).scaled(LETTER).times(unknown(pattern).scaled(PATTERN_LETTER));
            Some((cost, None))
        }
        ("contains_string", Some(text), [part]) => {
            Some((unknown(text).scaled(LETTER).times(unknown(part).scaled(LETTER)), None))
        }
        (
            "less_string"
            | "greater_string"
            | "less_equals_string"
            | "greater_equals_string"
            | "less_bytes"
            | "greater_bytes"
            | "less_equals_bytes"
            | "greater_equals_bytes"
            | "equals"
            | "not_equals",
            _,
            [a, b],
        ) => {
            let most = unknown(a).max.min(unknown(b).max);
            Some((Range { min: u64::from(most > 0), max: most }.scaled(LETTER), None))
        }
        _ => None,
    };
    found.unwrap_or((Range::ONE, None))
}
