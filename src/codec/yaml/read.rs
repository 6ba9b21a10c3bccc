//! A YAML document to JSON: merges and aliases resolved, keys made texts.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::compose::{Content, Document, compose};
use super::cursor::{Problem, text};
use super::resolve::{Scalar, resolve};
use crate::codec::json::tree;
use crate::model::gotext;
use crate::model::value::{Map, Number, Value};

/// A text's first document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    pub value: Value,
    /// `line 7: key "k" already set in map`: what strict reading has against it, in order, at most 100. The last of
    /// repeated keys wins.
    pub repeated: Vec<String>,
}

/// Repeated keys noted at most.
const MAX_NOTES: usize = 100;
/// Collections and aliases within one another at most.
const MAX_DEPTH: usize = crate::codec::json::MAX_DEPTH;

/// Reads the first document; nothing is null. The error is stock's text: `yaml: line 3: ...`.
pub fn read(bytes: &[u8]) -> Result<Read, String> {
    let read = || {
        let document = compose(&text(bytes)?)?;
        let mut reader = Reader::new(&document);
        let value = document.root().map_or(Ok(Value::Null), |root| reader.value(root))?;
        Ok((Read { value, repeated: reader.notes }, reader.wrong_key.or(reader.wrong_number)))
    };
    match read() {
        Ok((read, None)) => Ok(read),
        Ok((_, Some(unsayable))) => Err(unsayable),
        Err(Problem { what, line: 0 }) => Err(format!("yaml: {what}")),
        Err(Problem { what, line }) => Err(format!("yaml: line {line}: {what}")),
    }
}

/// The same as JSON text, for decoders of JSON.
pub fn to_json(bytes: &[u8]) -> Result<(Vec<u8>, Vec<String>), String> {
    let read = read(bytes)?;
    let mut json = Vec::with_capacity(bytes.len());
    tree::value(&mut json, &read.value);
    Ok((json, read.repeated))
}

/// What strict reading says of repeated keys, as one error.
pub fn strict_error(repeated: &[String]) -> String {
    format!("yaml: unmarshal errors:\n  {}", repeated.join("\n  "))
}

type Found<T> = super::cursor::Result<T>;

struct Reader<'d> {
    document: &'d Document,
    notes: Vec<String>,
    /// The first key and the first number that JSON cannot say.
    wrong_key: Option<String>,
    wrong_number: Option<String>,
    /// Aliases that are being followed.
    within: HashSet<usize>,
    depth: usize,
    nodes: usize,
    aliased: usize,
}

/// A mapping's key. Keys of different types differ, though they may look alike as texts.
#[derive(Clone, Debug, PartialEq)]
enum Key {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// One that JSON cannot say: Go's type and text.
    Wrong(&'static str, String),
}

/// A mapping being read.
#[derive(Default)]
struct Entries {
    map: Map,
    /// Keys that are no texts, which are few.
    others: Vec<Key>,
}

impl Key {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Key::Text(text) => Cow::Borrowed(text),
            Key::Int(number) => Cow::Owned(number.to_string()),
            // Floats of keys are printed in 32 bits.
            Key::Float(number) => match *number as f32 {
                f32::INFINITY => Cow::Borrowed(".inf"),
                f32::NEG_INFINITY => Cow::Borrowed("-.inf"),
                number if number.is_nan() => Cow::Borrowed(".nan"),
                number => Cow::Owned(gotext::float32(number)),
            },
            Key::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Key::Wrong(_, text) => Cow::Borrowed(text),
        }
    }

    /// As Go prints it in a message.
    fn shown(&self) -> String {
        match self {
            Key::Text(text) => gotext::quote(text),
            Key::Float(number) => gotext::float(*number),
            other => other.text().into_owned(),
        }
    }
}

impl<'d> Reader<'d> {
    fn new(document: &'d Document) -> Self {
        Self {
            document,
            notes: Vec::new(),
            wrong_key: None,
            wrong_number: None,
            within: HashSet::new(),
            depth: 0,
            nodes: 0,
            aliased: 0,
        }
    }

    /// Counts a step and refuses a document that aliases make much larger than its text.
    fn step(&mut self) -> Found<()> {
        const LOW: f64 = 400_000.0;
        const HIGH: f64 = 4_000_000.0;
        self.nodes += 1;
        self.aliased += usize::from(!self.within.is_empty());
        let (nodes, aliased) = (self.nodes as f64, self.aliased as f64);
        let allowed = 0.99 - 0.89 * ((nodes - LOW) / (HIGH - LOW)).clamp(0.0, 1.0);
        if self.aliased > 100 && self.nodes > 1000 && aliased / nodes > allowed {
            return Err(Problem::plain("document contains excessive aliasing"));
        }
        Ok(())
    }

    fn value(&mut self, at: usize) -> Found<Value> {
        self.step()?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Problem::plain("exceeded max depth"));
        }
        let document = self.document;
        let value = match &document.node(at).content {
            Content::Scalar { text, tag, implicit } => self.plain(scalar(text, tag, *implicit)?),
            Content::Sequence(items) => {
                let mut values = Vec::with_capacity(items.len());
                for item in items {
                    values.push(self.value(*item)?);
                }
                Value::Array(values)
            }
            Content::Mapping(entries) => {
                let mut into = Entries::default();
                self.entries(entries, &mut into)?;
                Value::Object(into.map)
            }
            Content::Alias(name, target) => self.follow(at, name, |reader| reader.value(*target))?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn follow<T>(&mut self, alias: usize, name: &str, read: impl FnOnce(&mut Self) -> Found<T>) -> Found<T> {
        if !self.within.insert(alias) {
            return Err(Problem::plain(format!("anchor '{name}' value contains itself")));
        }
        let value = read(self)?;
        self.within.remove(&alias);
        Ok(value)
    }

    fn entries(&mut self, entries: &[(usize, usize)], into: &mut Entries) -> Found<()> {
        for (key, value) in entries {
            if is_merge(&self.document.node(*key).content) {
                self.merge(*value, into)?;
                continue;
            }
            let key = self.key(*key)?;
            let line = self.document.node(*value).line;
            let value = self.value(*value)?;
            if let (Key::Wrong(kind, key), None) = (&key, &self.wrong_key) {
                let value = if value.is_null() { "<nil>".into() } else { go_syntax(&value) };
                self.wrong_key = Some(format!("unsupported map key of type: {kind}, key: {key}, value: {value}"));
            }
            let repeated = match &key {
                Key::Text(text) => {
                    into.map.contains_key(text) && !into.others.iter().any(|other| other.text() == *text)
                }
                other => into.others.contains(other),
            };
            if repeated && self.notes.len() < MAX_NOTES {
                self.notes.push(format!("line {line}: key {} already set in map", key.shown()));
            }
            into.map.insert(key.text().into(), value);
            if !repeated && !matches!(key, Key::Text(_)) {
                into.others.push(key);
            }
        }
        Ok(())
    }

    fn plain(&mut self, scalar: Typed) -> Value {
        match scalar {
            Typed::Text(text) => text.into(),
            Typed::Plain(Scalar::Bool(flag)) => flag.into(),
            Typed::Plain(Scalar::Int(number)) => number.into(),
            Typed::Plain(Scalar::Big(number)) => number.into(),
            Typed::Plain(Scalar::Float(number)) => {
                if !number.is_finite() && self.wrong_number.is_none() {
                    let name = if number.is_nan() { "NaN" } else { ["-Inf", "+Inf"][usize::from(number > 0.0)] };
                    self.wrong_number = Some(format!("json: unsupported value: {name}"));
                }
                Number::from_f64(number).map_or(Value::Null, Value::Number)
            }
            Typed::Plain(_) => Value::Null,
        }
    }

    fn key(&mut self, at: usize) -> Found<Key> {
        self.step()?;
        let document = self.document;
        Ok(match &document.node(at).content {
            Content::Scalar { text, tag, implicit } => match scalar(text, tag, *implicit)? {
                Typed::Text(text) => Key::Text(text),
                Typed::Plain(Scalar::Bool(flag)) => Key::Bool(flag),
                Typed::Plain(Scalar::Int(number)) => Key::Int(number),
                Typed::Plain(Scalar::Float(number)) => Key::Float(number),
                Typed::Plain(Scalar::Big(number)) => Key::Wrong("uint64", format!("{number:#x}")),
                Typed::Plain(_) => Key::Wrong("%!s(<nil>)", "<nil>".into()),
            },
            Content::Alias(name, target) => self.follow(at, name, |reader| reader.key(*target))?,
            Content::Sequence(_) | Content::Mapping(_) => {
                let key = self.value(at)?;
                return Err(Problem::plain(format!("invalid map key: {}", go_syntax(&key))));
            }
        })
    }

    /// `<<: *other` or `<<: [*one, *other]`, of which earlier ones go before later ones.
    fn merge(&mut self, at: usize, into: &mut Entries) -> Found<()> {
        let document = self.document;
        match &document.node(at).content {
            Content::Sequence(items) => {
                for item in items.iter().rev() {
                    if matches!(document.node(*item).content, Content::Sequence(_)) {
                        return Err(not_mergeable());
                    }
                    self.merge(*item, into)?;
                }
                Ok(())
            }
            Content::Mapping(entries) => self.merged(entries, into),
            Content::Alias(name, target) => match &document.node(*target).content {
                Content::Mapping(entries) => {
                    self.step()?;
                    self.follow(at, name, |reader| reader.merged(entries, into))
                }
                _ => Err(not_mergeable()),
            },
            Content::Scalar { .. } => Err(not_mergeable()),
        }
    }

    fn merged(&mut self, entries: &[(usize, usize)], into: &mut Entries) -> Found<()> {
        self.step()?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Problem::plain("exceeded max depth"));
        }
        self.entries(entries, into)?;
        self.depth -= 1;
        Ok(())
    }
}

fn not_mergeable() -> Problem {
    Problem::plain("map merge requires map or sequence of maps as the value")
}

/// As Go's `%#v` prints what YAML reads.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::String(text) => gotext::quote(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}:{}", gotext::quote(key), go_syntax(value))).collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

fn is_merge(content: &Content) -> bool {
    match content {
        Content::Scalar { text, tag, implicit } => text == "<<" && (*implicit || tag == "tag:yaml.org,2002:merge"),
        _ => false,
    }
}

/// A scalar of a known type.
enum Typed {
    Text(String),
    /// Neither a text nor what reads as one.
    Plain(Scalar),
}

fn scalar(text: &str, tag: &str, implicit: bool) -> Found<Typed> {
    let as_text = || Ok(Typed::Text(text.to_owned()));
    if tag.is_empty() && !implicit {
        return as_text();
    }
    let wanted = match (tag, tag.strip_prefix("tag:yaml.org,2002:")) {
        ("", _) => "",
        (_, Some("binary")) => return binary(text).map(Typed::Text),
        (_, Some(known @ ("bool" | "int" | "float" | "null" | "timestamp"))) => known,
        // Of any other tag nothing but the text is known.
        _ => return as_text(),
    };
    let resolved = resolve(text, matches!(wanted, "" | "timestamp"));
    let resolved = match (wanted, resolved) {
        ("float", Scalar::Int(number)) => Scalar::Float(number as f64),
        (wanted, resolved) if wanted.is_empty() || wanted == resolved.tag() => resolved,
        (wanted, resolved) => {
            return Err(Problem::plain(format!("cannot decode !!{} `{text}` as a !!{wanted}", resolved.tag())));
        }
    };
    match resolved {
        Scalar::Time | Scalar::Text => as_text(),
        other => Ok(Typed::Plain(other)),
    }
}

fn binary(text: &str) -> Found<String> {
    let clean: String = text.chars().filter(|c| *c != '\n' && *c != '\r').collect();
    match STANDARD.decode(clean) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) => Err(Problem::plain("!!binary value contains invalid base64 data")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn yaml_is_read_as_stock_reads_it() {
        for (text, value) in [
            ("", Value::Null),
            ("a: 1\nb: [x, 'y', \"z\\u00e9\"]\n", json!({"a": 1, "b": ["x", "y", "z\u{e9}"]})),
            ("{\"a\":\"b\",\"c\":[1,2.5,null,true]}", json!({"a": "b", "c": [1, 2.5, null, true]})),
            (
                "a: yes\nb: off\nc: ~\nd: 0x10\ne: 1e3\nf: 2001-01-01\n",
                json!({"a": true, "b": false, "c": null, "d": 16, "e": 1000.0, "f": "2001-01-01"}),
            ),
            ("a: |\n  x\n   y\n\n  z\nb: >-\n  p\n  q\n\n  r\n", json!({"a": "x\n y\n\nz\n", "b": "p q\nr"})),
            ("a: &x {k: v}\nb: *x\nc:\n  <<: *x\n  k: w\n", json!({"a": {"k": "v"}, "b": {"k": "v"}, "c": {"k": "w"}})),
            ("- a\n- - b\n  - c\n-\n", json!(["a", ["b", "c"], null])),
            ("a:\n- 1\n- 2\n", json!({"a": [1, 2]})),
            ("1: x\ntrue: w\n2.5: z\n", json!({"1": "x", "true": "w", "2.5": "z"})),
            ("a: x\n---\nb: y\n", json!({"a": "x"})),
            ("{} trailing", json!({})),
            ("%YAML 1.1\n---\na: b\n", json!({"a": "b"})),
            ("k: !!str 5\nf: !!float 5\nb: !!binary aGk=\n", json!({"k": "5", "f": 5.0, "b": "hi"})),
        ] {
            assert_eq!(read(text.as_bytes()).map(|read| read.value), Ok(value), "{text}");
        }
        assert_eq!(read(b"\xff\xfea\0:\0 \x001\0").map(|read| read.value), Ok(json!({"a": 1})));
    }

    #[test]
    fn what_is_wrong_is_said_in_stocks_words() {
        for (text, error) in [
            ("a: b: c", "yaml: mapping values are not allowed in this context"),
            ("x: y\na: b: c", "yaml: line 2: mapping values are not allowed in this context"),
            ("\t- x", "yaml: found character that cannot start any token"),
            ("a: 'x", "yaml: found unexpected end of stream"),
            ("a: [1, 2", "yaml: line 1: did not find expected ',' or ']'"),
            ("a: 1\n b: 2\n", "yaml: line 2: mapping values are not allowed in this context"),
            ("a:\n  - b\n c: d\n", "yaml: line 2: did not find expected key"),
            ("a: *x", "yaml: unknown anchor 'x' referenced"),
            ("a: &x [*x]", "yaml: anchor 'x' value contains itself"),
            ("a:\n  <<: x", "yaml: map merge requires map or sequence of maps as the value"),
            ("%YAML 1.2\n---\na: b", "yaml: found incompatible YAML document"),
            ("a: !!int x", "yaml: cannot decode !!str `x` as a !!int"),
            ("? [a]\n: b", "yaml: invalid map key: []interface {}{\"a\"}"),
            ("~: x", "unsupported map key of type: %!s(<nil>), key: <nil>, value: \"x\""),
            ("a: .nan", "json: unsupported value: NaN"),
            ("a: \u{1}", "yaml: control characters are not allowed"),
        ] {
            assert_eq!(read(text.as_bytes()).map(|read| read.value), Err(error.to_owned()), "{text}");
        }
        assert_eq!(read(b"a: \xff").map(|read| read.value), Err("yaml: invalid leading UTF-8 octet".into()));
    }

    #[test]
    fn repeated_keys_are_noted() {
        let read = read(b"a: 1\nb:\n  c: 2\n  c: 3\na: 4\n").expect("YAML");
        assert_eq!(read.value, json!({"a": 4, "b": {"c": 3}}));
        assert_eq!(
            strict_error(&read.repeated),
            "yaml: unmarshal errors:\n  line 4: key \"c\" already set in map\n  line 5: key \"a\" already set in map"
        );
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let previous = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        let error = |text: &str| read(text.as_bytes()).map(|_| ()).expect_err("refused");
        assert_eq!(error(&bomb), "yaml: document contains excessive aliasing");
        assert_eq!(error(&"[".repeat(100_000)), "yaml: exceeded max depth");
        assert_eq!(error(&"- ".repeat(100_000)), "yaml: exceeded max depth");
        let mut chain = String::from("a0: &a0 x\n");
        for level in 1..2000 {
            chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert_eq!(error(&chain), "yaml: exceeded max depth");
    }
}
