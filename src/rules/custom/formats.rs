//! The `format` of a text: which there are, and whether a text has one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use regex::Regex;

use super::schema::Schema;
use crate::model::duration::Duration;
use crate::model::url::Url;
use crate::rules::checks::network::sloppy_ip;

/// A name and its check.
type Row = (&'static str, fn(&str) -> bool);

/// By name, without dashes.
static FORMATS: &[Row] = &[
    ("bsonobjectid", |text| text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit())),
    ("byte", |text| has(BYTE, text)),
    ("cidr", is_cidr),
    ("creditcard", is_credit_card),
    ("date", is_date),
    ("datetime", is_date_time),
    ("duration", is_duration),
    ("email", is_email),
    ("hexcolor", |text| has(HEX, text)),
    ("hostname", is_hostname),
    ("ipv4", |text| text.contains('.') && sloppy_ip(text).is_some()),
    ("ipv6", |text| text.contains(':') && text.parse::<IpAddr>().is_ok()),
    ("isbn", |text| is_isbn10(text) || is_isbn13(text)),
    ("isbn10", is_isbn10),
    ("isbn13", is_isbn13),
    ("k8slongname", |text| text.len() <= 253 && text.split('.').all(is_name)),
    ("k8sshortname", |text| text.len() <= 63 && is_name(text)),
    ("mac", is_mac),
    ("password", |_| true),
    ("rgbcolor", |text| has(RGB, text)),
    ("ssn", |text| text.len() == 11 && has(SSN, text)),
    ("uri", |text| Url::parse_request(text).is_ok()),
    ("uuid", |text| is_uuid(text, "[0-9a-f]", "[0-9a-f]")),
    ("uuid3", |text| is_uuid(text, "3", "[0-9a-f]")),
    ("uuid4", |text| is_uuid(text, "4", "[89ab]")),
    ("uuid5", |text| is_uuid(text, "5", "[89ab]")),
];

const BYTE: &str = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$";
const HEX: &str = "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$";
const SSN: &str = "^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$";
const RGB: &str = r"^rgb\(\s*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])\s*,\s*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])\s*,\s*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])\s*\)$";
const HOSTNAME: &str = r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$";
const CARD: &str = "^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})$";
const TIME: &str = "^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$";
const DURATION: &str = r"([0-9]+)\s*([A-Za-zµ]+)";
/// Those of `has`, compiled once.
static PATTERNS: LazyLock<HashMap<&'static str, Regex>> = LazyLock::new(|| {
    let all = [RGB, HOSTNAME, CARD, TIME, DURATION, BYTE, HEX, SSN];
    all.into_iter().filter_map(|text| Some((text, Regex::new(text).ok()?))).collect()
});
/// Units of durations, also longer words that begin with the last of a row.
const UNITS: [&[&str]; 8] = [
    &["ns", "nano"],
    &["us", "µs", "micro"],
    &["ms", "milli"],
    &["s", "sec"],
    &["m", "min"],
    &["h", "hr", "hour"],
    &["d", "day"],
    &["w", "wk", "week"],
];

/// The format that values of a schema are checked for.
pub fn of(schema: &Schema) -> Option<&str> {
    let format = Some(schema.format.as_str()).filter(|format| !format.is_empty())?;
    is_supported(if schema.int_or_string { "" } else { &schema.kind }, format).then_some(format)
}

/// Whether a format means something for a type; what means nothing is ignored and warned of.
pub fn is_supported(kind: &str, format: &str) -> bool {
    match kind {
        "" | "string" => is_known(format),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    }
}

/// A format of texts.
pub fn is_known(format: &str) -> bool {
    check_of(format).is_some()
}

/// Whether a text has a known format.
pub fn is(format: &str, text: &str) -> bool {
    check_of(format).is_none_or(|check| check(text))
}

fn check_of(format: &str) -> Option<fn(&str) -> bool> {
    let name = format.replace('-', "");
    FORMATS.iter().find(|(known, _)| *known == name).map(|(_, check)| *check)
}

fn has(pattern: &'static str, text: &str) -> bool {
    PATTERNS.get(pattern).is_some_and(|pattern| pattern.is_match(text))
}

fn is_cidr(text: &str) -> bool {
    let Some((ip, bits)) = text.split_once('/') else { return false };
    let most = match sloppy_ip(ip) {
        Some(IpAddr::V4(_)) if !ip.contains(':') => 32,
        Some(_) => 128,
        None => return false,
    };
    bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let doubled = |(at, digit): (usize, u8)| {
        let number = u32::from(digit - b'0') * if at % 2 == 1 { 2 } else { 1 };
        if number >= 10 { number % 10 + 1 } else { number }
    };
    has(CARD, &digits) && digits.bytes().rev().enumerate().map(doubled).sum::<u32>().is_multiple_of(10)
}

fn is_date(text: &str) -> bool {
    crate::schema::cel::is_date(text)
}

fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    let in_range = |from: usize, most: &str| time.get(from..from + 2).is_some_and(|number| number <= most);
    is_date(date) && has(TIME, time) && in_range(0, "23") && in_range(3, "59") && in_range(6, "59")
}

fn is_duration(text: &str) -> bool {
    if Duration::parse(text).is_ok() {
        return true;
    }
    let Some(pattern) = PATTERNS.get(DURATION) else { return false };
    let mut right = false;
    for found in pattern.captures_iter(text) {
        if found[1].parse::<i64>().is_err() {
            return false;
        }
        let unit = found[2].to_lowercase();
        right |= UNITS.iter().any(|row| {
            let longer = row.last().is_some_and(|last| unit.starts_with(last));
            longer || row.contains(&unit.as_str())
        });
    }
    right
}

/// `local@domain`, or `Name <local@domain>`.
fn is_email(text: &str) -> bool {
    let address = match text.trim_end().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((_, address)) => address,
        None => text.trim(),
    };
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii();
    let dotted = |text: &str| text.split('.').all(|part| !part.is_empty() && part.chars().all(atom));
    let quoted = |text: &str| text.len() > 2 && text.starts_with('"') && text.ends_with('"');
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    (dotted(local) || quoted(local)) && (dotted(domain) || (domain.starts_with('[') && domain.ends_with(']')))
}

fn is_hostname(text: &str) -> bool {
    has(HOSTNAME, text) && text.len() <= 255 && text.split('.').all(|part| part.len() <= 63)
}

fn is_isbn10(text: &str) -> bool {
    let digits = without_gaps(text);
    let value = |(at, digit): (usize, &u8)| match digit {
        b'0'..=b'9' => Some((at as u32 + 1) * u32::from(digit - b'0')),
        b'X' if at == 9 => Some(100),
        _ => None,
    };
    let sum = digits.iter().enumerate().map(value).sum::<Option<u32>>();
    digits.len() == 10 && sum.is_some_and(|sum| sum.is_multiple_of(11))
}

fn is_isbn13(text: &str) -> bool {
    let digits = without_gaps(text);
    if digits.len() != 13 || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let weigh = |(at, digit): (usize, &u8)| u32::from(digit - b'0') * if at % 2 == 1 { 3 } else { 1 };
    let sum: u32 = digits[..12].iter().enumerate().map(weigh).sum();
    u32::from(digits[12] - b'0') == (10 - sum % 10) % 10
}

fn without_gaps(text: &str) -> Vec<u8> {
    text.bytes().filter(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'-')).collect()
}

fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().last()) else { return false };
    inner(first) && inner(last) && text.bytes().all(|b| inner(b) || b == b'-')
}

/// 6, 8 or 20 bytes: pairs of digits apart by colons or dashes, or fours by dots.
fn is_mac(text: &str) -> bool {
    let groups = |separator: char, digits: usize| {
        let parts: Vec<_> = text.split(separator).collect();
        let right = parts.iter().all(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit()));
        right && [6, 8, 20].contains(&(parts.len() * digits / 2))
    };
    groups(':', 2) || groups('-', 2) || groups('.', 4)
}

fn is_uuid(text: &str, version: &str, variant: &str) -> bool {
    let mut bare = String::with_capacity(32);
    let lower = text.to_ascii_lowercase();
    let mut rest = lower.as_str();
    for (at, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some(part) = rest.get(..length) else { return false };
        bare.push_str(part);
        rest = &rest[length..];
    }
    let of = |place: usize, letters: &str| {
        letters == "[0-9a-f]" || bare.as_bytes().get(place).is_some_and(|b| letters.contains(char::from(*b)))
    };
    rest.is_empty() && bare.bytes().all(|b| b.is_ascii_hexdigit()) && of(12, version) && of(16, variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_formats() {
        for (format, right, wrong) in [
            ("date-time", "2024-01-02T03:04:05Z", "2024-01-02 03:04:05"),
            ("date", "2024-02-29", "2023-02-29"),
            ("duration", "3 days", "3 moons"),
            ("email", "Me <a@b.c>", "a.b.c"),
            ("hostname", "a-b.example.com", "a_b"),
            ("ipv4", "10.0.0.1", "::1"),
            ("ipv6", "fe80::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "00:11:22:33:44:55", "00:11"),
            ("uuid4", "123E4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
            ("isbn10", "0-321-75104-3", "0321751044"),
            ("isbn13", "978-0321751041", "978-0321751042"),
            ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
            ("byte", "YQ==", "Y"),
            ("rgbcolor", "rgb(1, 2,255)", "rgb(256,0,0)"),
            ("k8s-short-name", "a-b", "a.b"),
            ("k8s-long-name", "a.b", "A"),
            ("uri", "https://a/b", "b"),
        ] {
            assert!(is(format, right), "{format} {right}");
            assert!(!is(format, wrong), "{format} {wrong}");
        }
        assert!(!is_supported("object", "date") && !is_supported("string", "color"));
    }
}
