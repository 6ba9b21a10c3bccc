//! JSON to YAML in the form that stock prints: keys sorted, two spaces further in, lists at their key's column, lines
//! folded after 80 letters.

use std::cmp::Ordering;

use super::resolve::{Scalar, is_base60, resolve};
use crate::model::gotext;
use crate::model::value::{Map, Number, Text, Value, unpacked};

/// A value as a whole document.
pub fn text(value: &Value) -> String {
    let mut emitter = Emitter::new();
    emitter.node(value, Context::Root);
    emitter.finish()
}

/// Letters after which a line may break at the next space.
const WIDTH: usize = 80;
const STEP: isize = 2;
/// Letters that a key may have to stand before its colon.
const SIMPLE_KEY: usize = 128;

/// Writes a document part by part.
pub struct Emitter {
    out: String,
    /// In letters.
    column: usize,
    indent: isize,
    /// The last letter is a space or an indicator that is as good as one.
    spaced: bool,
    /// Nothing but spaces and indicators stand on this line.
    indented: bool,
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq)]
enum Context {
    Root,
    Item,
    Key,
    Value,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

impl Default for Emitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Emitter {
    pub fn new() -> Self {
        Self { out: String::new(), column: 0, indent: -1, spaced: true, indented: true }
    }

    /// What has been written; the rest goes on behind it.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// Ends the last line.
    pub fn finish(mut self) -> String {
        self.indent = -1;
        self.line();
        self.out
    }

    /// Begins a document that is a mapping; its entries are to be written in the order of their keys.
    pub fn open(&mut self) {
        self.indent = 0;
    }

    /// An entry of the outermost mapping.
    pub fn entry(&mut self, key: &str, value: &Value) {
        self.key(key);
        self.node(value, Context::Value);
    }

    /// An entry of the outermost mapping that is a list which is not empty.
    pub fn open_list(&mut self, key: &str) {
        self.key(key);
    }

    /// An item of that list.
    pub fn item(&mut self, value: &Value) {
        self.line();
        self.indicator("-", true, false, true);
        self.node(value, Context::Item);
    }

    fn put(&mut self, letter: char) {
        self.out.push(letter);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    /// Begins a line at the indentation, unless one begins there already.
    fn line(&mut self) {
        let indent = self.indent.max(0) as usize;
        if !self.indented || self.column > indent || (self.column == indent && !self.spaced) {
            self.line_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.spaced = true;
        self.indented = true;
    }

    fn indicator(&mut self, mark: &str, needs_space: bool, is_space: bool, is_indentation: bool) {
        if needs_space && !self.spaced {
            self.put(' ');
        }
        mark.chars().for_each(|letter| self.put(letter));
        self.spaced = is_space;
        self.indented &= is_indentation;
    }

    /// Further in by a step; `flow`: also outside of everything. Gives what it was before.
    fn deeper(&mut self, flow: bool, indentless: bool) -> isize {
        let before = self.indent;
        if self.indent < 0 {
            self.indent = if flow { STEP } else { 0 };
        } else if !indentless {
            self.indent += STEP;
        }
        before
    }

    fn node(&mut self, value: &Value, context: Context) {
        match value {
            Value::Null => self.scalar("null", Style::Plain, context),
            Value::Bool(flag) => self.scalar(if *flag { "true" } else { "false" }, Style::Plain, context),
            Value::Number(number) => self.scalar(&printed(number), Style::Plain, context),
            Value::String(text) => self.scalar(text, wanted(text), context),
            Value::Array(items) if items.is_empty() => self.empty("[", "]"),
            Value::Object(map) if map.is_empty() => self.empty("{", "}"),
            Value::Array(items) => {
                let inside = matches!(context, Context::Key | Context::Value);
                let before = self.deeper(false, inside && !self.indented);
                items.iter().for_each(|item| self.item(item));
                self.indent = before;
            }
            Value::Object(map) => {
                let before = self.deeper(false, false);
                for (key, value) in sorted(map) {
                    self.key(key);
                    self.node(value, Context::Value);
                }
                self.indent = before;
            }
            Value::Written(text) => self.node(&unpacked(text), context),
        }
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, true, false);
        self.indicator(close, false, false, false);
    }

    /// A key and its colon.
    fn key(&mut self, key: &str) {
        self.line();
        if key.len() <= SIMPLE_KEY && !key.contains(is_break) {
            self.scalar(key, wanted(key), Context::Key);
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, true);
            self.scalar(key, wanted(key), Context::Value);
            self.line();
            self.indicator(":", true, false, true);
        }
    }

    fn scalar(&mut self, text: &str, wanted: Style, context: Context) {
        let before = self.deeper(true, false);
        let key = context == Context::Key;
        match Shape::of(text).style(wanted, key, text) {
            Style::Plain => self.plain(text, !key),
            Style::Single => self.single(text, !key),
            Style::Double => self.double(text, !key),
            Style::Literal => self.literal(text),
        }
        self.indent = before;
    }

    fn plain(&mut self, text: &str, folds: bool) {
        if !self.spaced {
            self.put(' ');
        }
        self.folded(text, folds, false);
        self.spaced = false;
        self.indented = false;
    }

    fn single(&mut self, text: &str, folds: bool) {
        self.indicator("'", true, false, false);
        self.folded(text, folds, true);
        self.indicator("'", false, false, false);
        self.spaced = false;
        self.indented = false;
    }

    /// Letters as they are; a long line breaks at a single space.
    fn folded(&mut self, text: &str, folds: bool, quoted: bool) {
        let (mut spaces, mut breaks) = (false, false);
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            let next = letters.peek().map(|(_, next)| *next);
            if letter == ' ' {
                let inside = !quoted || (at > 0 && at + 1 < text.len());
                if folds && !spaces && self.column > WIDTH && inside && next != Some(' ') {
                    self.line();
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(letter) {
                if !breaks && letter == '\n' {
                    self.line_break();
                }
                self.own_break(letter);
                self.indented = true;
                breaks = true;
            } else {
                if breaks {
                    self.line();
                }
                if quoted && letter == '\'' {
                    self.put('\'');
                }
                self.put(letter);
                self.indented = false;
                (spaces, breaks) = (false, false);
            }
        }
    }

    fn own_break(&mut self, letter: char) {
        self.out.push(letter);
        self.column = 0;
    }

    fn double(&mut self, text: &str, folds: bool) {
        self.indicator("\"", true, false, false);
        let mut spaces = false;
        // A byte order mark at the start makes stock escape everything.
        let marked = text.starts_with('\u{feff}');
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if marked || !is_printable(letter) || is_break(letter) || matches!(letter, '"' | '\\') {
                self.escape(letter);
                spaces = false;
            } else if letter == ' ' {
                if folds && !spaces && self.column > WIDTH && at > 0 && at + 1 < text.len() {
                    self.line();
                    if letters.peek().is_some_and(|(_, next)| *next == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(letter);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.spaced = false;
        self.indented = false;
    }

    fn escape(&mut self, letter: char) {
        self.put('\\');
        let short = match letter {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' | '\\' => letter,
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = letter as u32;
                let digits = match code {
                    0..=0xff => format!("x{code:02X}"),
                    0x100..=0xffff => format!("u{code:04X}"),
                    _ => format!("U{code:08X}"),
                };
                digits.chars().for_each(|digit| self.put(digit));
                return;
            }
        };
        self.put(short);
    }

    /// Lines as they are, further in.
    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with(|c: char| c == ' ' || is_break(c)) {
            self.indicator(&STEP.to_string(), false, false, false);
        }
        let mut last = text.chars().rev();
        match (last.next().is_some_and(is_break), last.next()) {
            (false, _) => self.indicator("-", false, false, false),
            (true, None) => self.indicator("+", false, false, false),
            (true, Some(letter)) if is_break(letter) => self.indicator("+", false, false, false),
            (true, Some(_)) => {}
        }
        self.line_break();
        self.indented = true;
        self.spaced = true;
        let mut breaks = true;
        for letter in text.chars() {
            if is_break(letter) {
                self.own_break(letter);
                self.indented = true;
                breaks = true;
            } else {
                if breaks {
                    self.line();
                }
                self.put(letter);
                self.indented = false;
                breaks = false;
            }
        }
    }
}

/// How a text would be written if its letters allow it.
fn wanted(text: &str) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if resolve(text, true) == Scalar::Text && !is_base60(text) {
        Style::Plain
    } else {
        Style::Double
    }
}

fn printed(number: &Number) -> String {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), ..) => whole.to_string(),
        (None, Some(whole), _) => whole.to_string(),
        (None, None, float) => gotext::float(float.unwrap_or(0.0)),
    }
}

fn is_break(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Letters beyond the basic plane count as unprintable, and so do tabs.
fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// What of a scalar's letters forbids a style.
struct Shape {
    plain: bool,
    single: bool,
    literal: bool,
    many_lines: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self { plain: true, single: true, literal: false, many_lines: false };
        }
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut many_lines) = (false, false);
        let (mut break_space, mut space_break) = (false, false);
        let (mut after_space, mut after_break, mut after_white) = (false, false, true);
        let mut letters = text.chars().peekable();
        let mut first = true;
        while let Some(letter) = letters.next() {
            let before_white = letters.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            indicators |= match letter {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
                    if first =>
                {
                    true
                }
                '?' | '-' if first => before_white,
                ':' => before_white,
                '#' => after_white,
                _ => false,
            };
            special |= !is_printable(letter);
            let (space, line) = (letter == ' ', is_break(letter));
            many_lines |= line;
            break_space |= space && after_break;
            space_break |= line && after_space;
            (after_space, after_break) = (space, line);
            after_white = line || matches!(letter, ' ' | '\t' | '\0');
            first = false;
        }
        let edge = |letter: Option<char>| letter.is_some_and(|c| c == ' ' || is_break(c));
        let edged = edge(text.chars().next()) || edge(text.chars().next_back());
        let odd = space_break || special;
        Self {
            plain: !(indicators || edged || break_space || odd || many_lines),
            single: !(break_space || odd),
            literal: !(odd || text.ends_with(' ')),
            many_lines,
        }
    }

    fn style(&self, wanted: Style, key: bool, text: &str) -> Style {
        match wanted {
            _ if key && self.many_lines => Style::Double,
            Style::Plain if self.plain && !(key && text.is_empty()) => Style::Plain,
            Style::Plain | Style::Single if self.single => Style::Single,
            Style::Literal if self.literal && !key => Style::Literal,
            _ => Style::Double,
        }
    }
}

/// In the order of stock's printer: numbers within keys by their value, letters after everything else.
fn sorted(map: &Map) -> Vec<(&Text, &Value)> {
    merge_sort(map.iter().collect(), &|a: &(&Text, &Value), b: &(&Text, &Value)| order(a.0, b.0))
}

/// The order of keys has cycles (`08`, `0b1`, `1`), which the library's sort may answer with a panic.
fn merge_sort<T>(mut items: Vec<T>, order: &impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let right = items.split_off(items.len() / 2);
    let length = items.len() + right.len();
    let mut left = merge_sort(items, order).into_iter().peekable();
    let mut right = merge_sort(right, order).into_iter().peekable();
    let mut merged = Vec::with_capacity(length);
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        let from = if order(l, r) == Ordering::Greater { &mut right } else { &mut left };
        merged.extend(from.next());
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

fn order(a: &str, b: &str) -> Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = left.iter().zip(&right).position(|(l, r)| l != r) else { return left.len().cmp(&right.len()) };
    match (left[at].is_alphabetic(), right[at].is_alphabetic()) {
        (true, true) => left[at].cmp(&right[at]),
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            // Within a number that began before, zeros count.
            let mut begun = false;
            if left[at] == '0' || right[at] == '0' {
                let digits = left[..at].iter().rev().take_while(|c| c.is_numeric());
                begun = digits.into_iter().any(|c| *c != '0');
            }
            let number = |letters: &[char]| {
                let digits = letters[at..].iter().take_while(|c| c.is_numeric());
                let start = i64::from(begun);
                digits.fold((start, at), |(number, end), digit| {
                    let digit = i64::from(*digit as u32) - i64::from(b'0');
                    (number.wrapping_mul(10).wrapping_add(digit), end + 1)
                })
            };
            number(&left).cmp(&number(&right)).then_with(|| left[at].cmp(&right[at]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::parse::parse;
    use crate::codec::yaml::read::read;
    use proptest::prelude::*;

    use crate::model::value::json;

    #[test]
    fn values_are_printed_as_stock_prints_them() {
        let value = json!({
            "kind": "A", "apiVersion": "v1", "time": "2020-01-01T00:00:00Z", "flag": true, "quoted": "true", "n": 1.5,
            "list": [{"b": 1, "a": [1, 2]}, [[]], {}, null], "text": "a\nb\n", "kept": "a\n\n", "cut": "a\nb",
            "f:labels": {".": {}, "k:{\"a\":1}": {}}, "empty": "", "colon": "a: b", "tab": "a\tb", "emoji": "\u{1f600}",
            "v10": 1, "v2": 2, "it's": "it's: x",
            "long": "word ".repeat(30),
        });
        let expected = r##"apiVersion: v1
colon: 'a: b'
cut: |-
  a
  b
emoji: "\U0001F600"
empty: ""
f:labels:
  .: {}
  k:{"a":1}: {}
flag: true
it's: 'it''s: x'
kept: |+
  a

kind: A
list:
- a:
  - 1
  - 2
  b: 1
- - []
- {}
- null
long: 'word word word word word word word word word word word word word word word
  word word word word word word word word word word word word word word word '
"n": 1.5
quoted: "true"
tab: "a\tb"
text: |
  a
  b
time: "2020-01-01T00:00:00Z"
v2: 2
v10: 1
"##;
        assert_eq!(text(&value), expected);
    }

    #[test]
    fn a_list_is_printed_item_by_item_as_in_one_piece() {
        let items = [json!({"metadata": {"name": "a"}}), json!("x\n"), json!([1])];
        let whole = json!({"apiVersion": "v1", "items": items, "kind": "List"});
        let mut emitter = Emitter::new();
        emitter.open();
        emitter.entry("apiVersion", &whole["apiVersion"]);
        emitter.open_list("items");
        let mut parts = String::new();
        for item in &items {
            emitter.item(item);
            parts.push_str(&emitter.take());
        }
        emitter.entry("kind", &whole["kind"]);
        parts.push_str(&emitter.finish());
        assert_eq!(parts, text(&whole));
    }

    fn tree() -> impl Strategy<Value = Value> {
        let letters = prop_oneof![
            "[a-z0-9.:# '\"\\\\{}\\[\\],&*!|>%@`?~=+_\n\r\t-]{0,12}",
            "\\PC{0,8}",
            "(yes|null|1e3|0x1f|08|~|1:30|---|2001-01-01)",
            "([a-z]{1,9} ){10,20}[a-z]"
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (any::<i32>(), -9..9_i32).prop_map(|(n, p)| Value::from(f64::from(n) * 10f64.powi(p) + 0.5)),
            letters.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(letters.clone(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(value in tree()) {
            // A key `<<` is printed as it is, as stock does, and would be read as a merge.
            let text = text(&value);
            let back = read(text.as_bytes());
            prop_assert_eq!(back.as_ref().map(|read| numbers(&read.value)), Ok(numbers(&value)), "{}", text);
            prop_assert!(back.is_ok_and(|read| read.repeated.is_empty()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9:# '\"\\\\{}\\[\\],&*!|>%@`?~<=+\n\r\t \u{85}\u{2028}-]{0,48}") {
            let _ = read(text.as_bytes());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }

    /// Floats without a fraction read as whole numbers, in JSON too.
    fn numbers(value: &Value) -> Value {
        let mut json = Vec::new();
        crate::codec::json::tree::value(&mut json, value);
        parse(&json).expect("JSON")
    }
}
