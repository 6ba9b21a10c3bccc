//! A step of the path to a field: a name, the key of a list's item, the value of a set's item, or an index.

use std::cmp::Ordering;
use std::fmt;

use compact_str::CompactString;

use crate::codec::json::parse;
use crate::model::gotext;
use crate::model::value::{Number, Value, unpacked};

/// One step. Names come before keys, keys before values, values before indexes.
#[derive(Clone, Debug)]
pub enum Element {
    Field(CompactString),
    /// The key fields of an item of a list of type map, sorted by name.
    Key(Vec<(CompactString, Value)>),
    /// An item of a set.
    Value(Value),
    Index(i64),
}

/// A field's place; empty at the root.
pub type Path = [Element];

/// Why a step's text was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Of a kind that a later version may know: it is passed over.
    Kind,
    Malformed(String),
}

impl Element {
    pub fn field(name: &str) -> Self {
        Element::Field(name.into())
    }

    /// A key of these fields, in any order.
    pub fn key<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (CompactString::from(name), value)).collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        Element::Key(fields)
    }

    /// Appends its text in FieldsV1: `f:name`, `k:{"name":"x"}`, `v:"x"`, `i:0`.
    pub fn write(&self, out: &mut String) {
        match self {
            Element::Field(name) => {
                out.push_str("f:");
                out.push_str(name);
            }
            Element::Key(fields) => {
                out.push_str("k:{");
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    plain_string(out, name);
                    out.push(':');
                    json(out, value);
                }
                out.push('}');
            }
            Element::Value(value) => {
                out.push_str("v:");
                json(out, value);
            }
            Element::Index(index) => out.push_str(&format!("i:{index}")),
        }
    }

    /// Reads what `write` wrote.
    pub fn parse(text: &str) -> Result<Self, Unknown> {
        let malformed = |why: &str| Unknown::Malformed(why.to_owned());
        if text.len() < 2 {
            return Err(malformed("key must be 2 characters long:"));
        }
        if text.as_bytes()[1] != b':' {
            return Err(Unknown::Malformed(format!("missing colon: {text}")));
        }
        let rest = &text[2..];
        let value = || parse::parse(rest.as_bytes()).map_err(|_| malformed("invalid JSON"));
        match text.as_bytes()[0] {
            b'f' => Ok(Element::Field(rest.into())),
            b'v' => Ok(Element::Value(value()?)),
            b'k' => match value()? {
                Value::Object(map) => Ok(Element::Key(map.into_iter().collect())),
                _ => Err(malformed("expect { or n")),
            },
            b'i' => gotext::atoi(rest).map(Element::Index).map_err(Unknown::Malformed),
            _ => Err(Unknown::Kind),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Element::Field(_) => 0,
            Element::Key(_) => 1,
            Element::Value(_) => 2,
            Element::Index(_) => 3,
        }
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Element::Field(a), Element::Field(b)) => a.as_str().cmp(b.as_str()),
            (Element::Key(a), Element::Key(b)) => {
                let pairs = a.iter().zip(b).map(|(a, b)| a.0.as_str().cmp(b.0.as_str()).then(order(&a.1, &b.1)));
                pairs.into_iter().find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Element::Value(a), Element::Value(b)) => order(a, b),
            (Element::Index(a), Element::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element {}

/// As errors name it: `.name`, `[name="x",port=80]`, `[="x"]`, `[0]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
                write!(f, "[{}]", fields.join(","))
            }
            Element::Value(value) => write!(f, "[={}]", shown(value)),
            Element::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// The path as errors name it: `.spec.containers[name="a"].image`.
pub fn display(path: &Path) -> String {
    path.iter().map(Element::to_string).collect()
}

/// The order of values: numbers, strings, booleans, lists, maps, null.
pub fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let pairs = a.iter().zip(b).map(|(a, b)| order(a, b));
            pairs.into_iter().find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let pairs = a.iter().zip(b).map(|(a, b)| a.0.cmp(b.0).then_with(|| order(a.1, b.1)));
            pairs.into_iter().find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Written(a), b) => order(&unpacked(a), b),
        (a, Value::Written(b)) => order(a, &unpacked(b)),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// Equal as values: `1` and `1.0` are.
pub fn same(a: &Value, b: &Value) -> bool {
    a == b || order(a, b).is_eq()
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) | Value::Written(_) => 4,
        Value::Null => 5,
    }
}

fn numbers(a: &Number, b: &Number) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// A value within a path.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::String(text) => gotext::quote(text),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
        Value::Object(map) => map.iter().map(|(key, value)| format!("{key}={}", shown(value))).collect(),
        other => gotext::value(other),
    }
}

/// A value's JSON as Go writes it: `<`, `>` and `&` escaped, a whole double without a point.
fn json(out: &mut String, value: &Value) {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(double) if number.is_f64() && double == double.trunc() && double.abs() < 1e21 => {
                out.push_str(&format!("{double:.0}"));
            }
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) if is_plain(text) => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json(out, item);
            }
            out.push(']');
        }
        other => out.push_str(&gotext::json(other)),
    }
}

/// Nothing in it is ever escaped.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\' | b'<' | b'>' | b'&'))
}

/// A JSON string in which `<`, `>` and `&` stay as they are.
pub fn plain_string(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn text(element: &Element) -> String {
        let mut out = String::new();
        element.write(&mut out);
        out
    }

    #[test]
    fn texts_are_stocks() {
        for (element, expected, display) in [
            (Element::field("a.b/c"), "f:a.b/c", ".a.b/c"),
            (
                Element::key([("protocol", json!("TCP")), ("containerPort", json!(80.0))]),
                r#"k:{"containerPort":80,"protocol":"TCP"}"#,
                r#"[containerPort=80,protocol="TCP"]"#,
            ),
            (Element::Value(json!("a<b")), r#"v:"a\u003cb""#, r#"[="a<b"]"#),
            (Element::Value(json!(true)), "v:true", "[=true]"),
            (Element::Index(3), "i:3", "[3]"),
        ] {
            assert_eq!((text(&element).as_str(), element.to_string().as_str()), (expected, display));
            assert_eq!(Element::parse(expected).as_ref(), Ok(&element));
        }
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for (text, why) in [
            ("", "key must be 2 characters long:"),
            ("fa", "missing colon: fa"),
            ("i:x", "strconv.Atoi: parsing \"x\": invalid syntax"),
            ("k:[]", "expect { or n"),
            ("v:{", "invalid JSON"),
        ] {
            assert_eq!(Element::parse(text), Err(Unknown::Malformed(why.into())));
        }
        assert_eq!(Element::parse("z:1"), Err(Unknown::Kind));
    }

    #[test]
    fn numbers_are_equal_by_value() {
        assert_eq!(Element::Value(json!(1)), Element::Value(json!(1.0)));
        assert!(Element::Value(json!(9)) < Element::Value(json!(10)));
        assert!(Element::field("z") < Element::key([("a", json!(1))]));
    }
}
