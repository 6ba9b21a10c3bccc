//! How Go prints a value, for the texts that clients match on.

use std::num::IntErrorKind;

use crate::model::value::{Number, Value, unpacked};

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
    shortest(&serde_json::to_string(&number).unwrap_or_default()).print(-4..6, 2)
}

/// The same of a float of 32 bits.
pub fn float32(number: f32) -> String {
    shortest(&serde_json::to_string(&number).unwrap_or_default()).print(-4..6, 2)
}

/// Go's `json.Marshal` of a float.
pub fn json_float(number: f64) -> String {
    shortest(&serde_json::to_string(&number).unwrap_or_default()).print(-6..21, 1)
}

/// A decimal number: a sign, digits without zeros at either end, and the power of ten of the first.
struct Decimal {
    negative: bool,
    digits: String,
    power: i32,
}

/// The number in serde_json's text, which has the shortest digits that read back as the same. What is no number is 0.
fn shortest(text: &str) -> Decimal {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{}{fraction}", whole.trim_start_matches('-'));
    let digits = all.trim_start_matches('0');
    let point = whole.trim_start_matches('-').len() as i32 - (all.len() - digits.len()) as i32;
    let power = point - 1 + exponent.parse::<i32>().unwrap_or(0);
    let digits = digits.trim_end_matches('0').to_owned();
    if digits.bytes().any(|b| b.is_ascii_digit()) {
        return Decimal { negative: text.starts_with('-'), digits, power };
    }
    Decimal { negative: text.starts_with('-'), digits: "0".into(), power: 0 }
}

impl Decimal {
    /// With an exponent of at least that many digits outside of `plain` powers.
    fn print(&self, plain: std::ops::Range<i32>, exponent_digits: usize) -> String {
        let sign = if self.negative { "-" } else { "" };
        let digits = &self.digits;
        if !plain.contains(&self.power) {
            let point = if digits.len() > 1 { "." } else { "" };
            let direction = if self.power < 0 { '-' } else { '+' };
            let power = self.power.unsigned_abs();
            return format!("{sign}{}{point}{}e{direction}{power:0exponent_digits$}", &digits[..1], &digits[1..]);
        }
        if self.power < 0 {
            return format!("{sign}0.{}{digits}", "0".repeat(self.power.unsigned_abs() as usize - 1));
        }
        let whole = self.power as usize + 1;
        match digits.len().checked_sub(whole) {
            None => format!("{sign}{digits}{}", "0".repeat(whole - digits.len())),
            Some(0) => format!("{sign}{digits}"),
            Some(_) => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
        }
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

/// Bytes in hexadecimal, small letters.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Go's `%v` of decoded JSON: `map[a:1 b:[x <nil>]]`.
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => self::number(number),
        Value::String(text) => text.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(self::value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let entries: Vec<_> = map.iter().map(|(key, value)| format!("{key}:{}", self::value(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        Value::Written(text) => self::value(&unpacked(text)),
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
        Value::Written(text) => source(&unpacked(text)),
    }
}

/// Go's `%v` of an integer or a double.
pub fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(double) if number.is_f64() => float(double),
        _ => number.to_string(),
    }
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

/// A label selector object, as `%v` writes a pointer to one.
pub fn label_selector(selector: &Value) -> String {
    if selector.is_null() {
        return "nil".to_owned();
    }
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let labels: String = labels.map(|(key, value)| format!("{key}: {},", text(value))).collect();
    let expression = |expression: &Value| {
        let values: Vec<String> = expression["values"].as_array().into_iter().flatten().map(text).collect();
        let (key, operator) = (text(&expression["key"]), text(&expression["operator"]));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{}],}},", values.join(" "))
    };
    let expressions: String = selector["matchExpressions"].as_array().into_iter().flatten().map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

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
    fn floats_are_printed_as_go_does() {
        for (number, printed, json) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (933_259_433_729_384.3, "9.332594337293842e+14", "933259433729384.2"),
            (100.0, "100", "100"),
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

    #[test]
    fn label_selectors_are_written_as_structures() {
        let expressions = json!([{"key": "x", "operator": "In", "values": ["1", "2"]}]);
        assert_eq!(
            label_selector(&json!({"matchLabels": {"a": "b"}, "matchExpressions": expressions})),
            "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:x,Operator:In,Values:[1 2],},},}"
        );
        assert_eq!(label_selector(&Value::Null), "nil");
    }
}
