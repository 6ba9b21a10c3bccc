//! How Go prints a value, for the texts that clients match on.

use std::num::IntErrorKind;

use serde_json::Value;

/// Go's `%q`: quoted, with Go's escapes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out.push('"');
    out
}

/// Go prints letters, marks, numbers, punctuation, symbols and the ASCII space as they are.
pub fn is_printable(letter: char) -> bool {
    letter == ' ' || !(letter.is_control() || letter.is_whitespace() || is_unassigned(letter))
}

/// Format characters, surrogate space and private use: the large classes that Go escapes.
fn is_unassigned(letter: char) -> bool {
    matches!(letter as u32,
        0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f
        | 0xe000..=0xf8ff | 0xfeff | 0xfff0..=0xfffb | 0xfffe | 0xffff | 0xe0000..=0x0010_ffff)
}

/// Go's `json.Marshal`: compact, with `<`, `>`, `&` and the line separators escaped.
pub fn json(value: &Value) -> String {
    let plain = value.to_string();
    if !plain.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return plain;
    }
    let mut out = String::with_capacity(plain.len() + 16);
    for letter in plain.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", letter as u32)),
            other => out.push(other),
        }
    }
    out
}

/// Go's `%v` of a float: the shortest digits, with an exponent from a million on.
pub fn float(number: f64) -> String {
    match exponent(number) {
        (_, -4..6) => number.to_string(),
        (digits, power) => format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs()),
    }
}

/// Go's `json.Marshal` of a float.
pub fn json_float(number: f64) -> String {
    match exponent(number) {
        (_, -6..21) => number.to_string(),
        (digits, power) => format!("{digits}e{}{}", if power < 0 { '-' } else { '+' }, power.abs()),
    }
}

/// The shortest digits with one before the point, and the power of ten.
fn exponent(number: f64) -> (String, i32) {
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, power)) => (digits.to_owned(), power.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

/// Go's `%v` of a list of strings: `[a b c]`.
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(AsRef::as_ref).collect();
    format!("[{}]", items.join(" "))
}

/// How Go's `time` quotes: every byte outside ASCII in hexadecimal.
pub fn quote_bytes(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            ' '..='\u{7f}' => out.push(letter),
            other => other.encode_utf8(&mut [0; 4]).bytes().for_each(|b| out.push_str(&format!("\\x{b:02x}"))),
        }
    }
    out.push('"');
    out
}

/// Go's `strconv.Atoi`; the error is its text.
pub fn atoi(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|error| {
        let why = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {}: {why}", quote(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quotes_as_go_does() {
        let cases = [
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\n\t\u{1}", r#""\n\t\x01""#),
            ("é世", "\"é世\""),
            ("\u{200b}", r#""\u200b""#),
        ];
        for (text, quoted) in cases {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn json_escapes_html() {
        assert_eq!(super::json(&json!({"a": "<&>"})), r#"{"a":"\u003c\u0026\u003e"}"#);
    }

    #[test]
    fn numbers_are_read_as_go_does() {
        assert_eq!((atoi("-12"), atoi("+7")), (Ok(-12), Ok(7)));
        for (text, error) in [
            ("a", "strconv.Atoi: parsing \"a\": invalid syntax"),
            ("", "strconv.Atoi: parsing \"\": invalid syntax"),
            ("99999999999999999999", "strconv.Atoi: parsing \"99999999999999999999\": value out of range"),
        ] {
            assert_eq!(atoi(text), Err(error.to_owned()));
        }
    }

    #[test]
    fn floats_are_printed_as_go_does() {
        for (number, printed, json) in [
            (0.0, "0", "0"),
            (2.5, "2.5", "2.5"),
            (-100_000.0, "-100000", "-100000"),
            (1_234_567.5, "1.2345675e+06", "1234567.5"),
            (0.0001, "0.0001", "0.0001"),
            (0.000012, "1.2e-05", "0.000012"),
            (1e-7, "1e-07", "1e-7"),
            (1e21, "1e+21", "1e+21"),
        ] {
            assert_eq!((float(number).as_str(), json_float(number).as_str()), (printed, json));
        }
    }

    #[test]
    fn times_are_quoted_by_bytes() {
        assert_eq!(quote_bytes("a\"é\n"), r#""a\"\xc3\xa9\x0a""#);
    }
}
