//! How Go prints a value, for the texts that clients match on.

use std::num::IntErrorKind;

use serde_json::{Number, Value};

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

/// Go's `%v` of decoded JSON: `map[a:1 b:[x <nil>]]`.
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => self::number(number),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(self::value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let entries: Vec<_> = map.iter().map(|(key, value)| format!("{key}:{}", self::value(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// Go's `%#v` of decoded JSON: `map[string]interface {}{"a":1}`.
pub fn source(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => self::number(number),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(source).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<_> = map.iter().map(|(key, value)| format!("{}:{}", quote(key), source(value))).collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}

/// Go's `%v` of an integer or a double.
pub fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(double) if number.is_f64() => float(double),
        _ => number.to_string(),
    }
}

/// Go's `%v` of a double: `1e+06` from a million on, `1e-05` below a ten-thousandth.
pub fn float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return number.to_string() };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number == 0.0 || (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
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
    fn values_print_as_go_prints_them() {
        let value = json!({"b": ["x", 1.5, null, true], "a": {"c": 3}});
        assert_eq!(super::value(&value), "map[a:map[c:3] b:[x 1.5 <nil> true]]");
        let source = r#"map[string]interface {}{"a":map[string]interface {}{"c":3}, "b":[]interface {}{"x", 1.5, interface {}(nil), true}}"#;
        assert_eq!(super::source(&value), source);
        let doubles = [1.0, 1e6, 123456789.0, 1e21, 0.0001, 0.00001, -2.5e-7, 0.0, 12345.5];
        let texts = ["1", "1e+06", "1.23456789e+08", "1e+21", "0.0001", "1e-05", "-2.5e-07", "0", "12345.5"];
        assert_eq!(doubles.map(float), texts);
    }

    #[test]
    fn times_are_quoted_by_bytes() {
        assert_eq!(quote_bytes("a\"é\n"), r#""a\"\xc3\xa9\x0a""#);
    }
}
