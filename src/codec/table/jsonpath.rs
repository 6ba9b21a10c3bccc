//! JSONPath as `kubectl` and a CustomResourceDefinition's columns have it: fields, indexes and slices, wildcards,
//! filters, unions and recursive descent.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::model::value::Value;

/// A parsed path, without the braces around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    /// `.*`; also every letter's byte of a string.
    Wildcard,
    /// `..`: everything below that is no scalar.
    Descent,
    Slice {
        start: Option<i64>,
        end: End,
        step: Option<i64>,
    },
    Filter(Box<Filter>),
    Union(Vec<Path>),
    Literal(Value),
    /// A word that means nothing here.
    Word,
}

/// Where a slice ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// `[2]`: after one item.
    One,
    Open,
    At(i64),
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    left: Path,
    /// Operator and right side; `None`: the left side exists.
    compared: Option<(String, Path)>,
}

/// The text is no path, or it cannot be followed in that value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong;

/// Filters and unions within one another at most.
const MAX_DEPTH: usize = 8;
/// Values found on the way at most.
const MAX_FOUND: usize = 10_000;

impl Path {
    /// Reads what stands between the braces: `.spec.ports[*].port`.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        Parser { rest: text, depth: 0 }.path()
    }

    /// What it leads to, in order. A missing field leads nowhere; an index beyond a list's end is an error.
    pub fn find<'v>(&self, value: &'v Value) -> Result<Vec<Cow<'v, Value>>, Wrong> {
        self.walk(vec![Cow::Borrowed(value)])
    }

    fn walk<'v>(&self, mut found: Vec<Cow<'v, Value>>) -> Result<Vec<Cow<'v, Value>>, Wrong> {
        for step in &self.0 {
            found = step.walk(found)?;
            if found.len() > MAX_FOUND {
                return Err(Wrong);
            }
        }
        Ok(found)
    }
}

impl Step {
    fn walk<'v>(&self, from: Vec<Cow<'v, Value>>) -> Result<Vec<Cow<'v, Value>>, Wrong> {
        let mut found = Vec::new();
        match self {
            Step::Word => return Err(Wrong),
            Step::Literal(value) => found.extend(from.iter().map(|_| Cow::Owned(value.clone()))),
            Step::Field(name) => {
                found.extend(from.into_iter().filter_map(|value| project(value, |v| v.get(name.as_str()))));
            }
            Step::Wildcard => from.iter().for_each(|value| found.extend(children(value))),
            Step::Descent => descend(from, &mut found)?,
            Step::Slice { start, end, step } => {
                for value in from.iter().filter(|v| !v.is_null()) {
                    slice(&items(value).ok_or(Wrong)?, *start, *end, *step, &mut found)?;
                }
            }
            Step::Union(paths) => {
                for path in paths {
                    found.extend(path.walk(from.clone())?);
                }
            }
            Step::Filter(filter) => {
                for value in &from {
                    for item in items(value).ok_or(Wrong)? {
                        if filter.holds(&item)? {
                            found.push(item);
                        }
                    }
                }
            }
        }
        Ok(found)
    }
}

/// A part of a value, as borrowed or owned as the value itself.
fn project<'v>(value: Cow<'v, Value>, part: impl Fn(&Value) -> Option<&Value>) -> Option<Cow<'v, Value>> {
    match value {
        Cow::Borrowed(value) => part(value).map(Cow::Borrowed),
        Cow::Owned(value) => part(&value).cloned().map(Cow::Owned),
    }
}

fn items<'v>(value: &Cow<'v, Value>) -> Option<Vec<Cow<'v, Value>>> {
    match value {
        Cow::Borrowed(Value::Array(items)) => Some(items.iter().map(Cow::Borrowed).collect()),
        Cow::Owned(Value::Array(items)) => Some(items.iter().cloned().map(Cow::Owned).collect()),
        _ => None,
    }
}

fn children<'v>(value: &Cow<'v, Value>) -> Vec<Cow<'v, Value>> {
    match value {
        Cow::Borrowed(Value::Object(map)) => map.values().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::Object(map)) => map.values().cloned().map(Cow::Owned).collect(),
        other => match other.as_ref() {
            Value::String(text) => text.bytes().map(|byte| Cow::Owned(byte.into())).collect(),
            _ => items(value).unwrap_or_default(),
        },
    }
}

fn descend<'v>(from: Vec<Cow<'v, Value>>, found: &mut Vec<Cow<'v, Value>>) -> Result<(), Wrong> {
    for value in from {
        let below = children(&value);
        if !below.is_empty() {
            found.push(value);
            if found.len() > MAX_FOUND {
                return Err(Wrong);
            }
            descend(below, found)?;
        }
    }
    Ok(())
}

fn slice<'v>(
    items: &[Cow<'v, Value>],
    start: Option<i64>,
    end: End,
    step: Option<i64>,
    found: &mut Vec<Cow<'v, Value>>,
) -> Result<(), Wrong> {
    let length = items.len() as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    let first = start.unwrap_or(0);
    let last = match end {
        End::Open => length,
        End::At(at) => from_end(at),
        // The one before the end: `[-1]` is `[-1:0]`, where 0 stands for the end.
        End::One if first == -1 => length,
        End::One => from_end(first.saturating_add(1)),
    };
    let first = from_end(first);
    if first == last {
        return Ok(());
    }
    if !(0..length).contains(&first) || !(0..=length).contains(&last) || first > last {
        return Err(Wrong);
    }
    let step = usize::try_from(step.unwrap_or(1)).ok().filter(|step| *step > 0).ok_or(Wrong)?;
    found.extend(items[first as usize..last as usize].iter().step_by(step).cloned());
    Ok(())
}

impl Filter {
    fn holds(&self, item: &Value) -> Result<bool, Wrong> {
        let left = self.left.walk(vec![Cow::Borrowed(item)]);
        let Some((operator, right)) = &self.compared else {
            return Ok(left.is_ok_and(|found| !found.is_empty()));
        };
        let left = left?;
        let Some(left) = only(&left)? else { return Ok(false) };
        let right = right.walk(vec![Cow::Borrowed(item)])?;
        let Some(right) = only(&right)? else { return Ok(false) };
        let ordered = || order(left, right).ok_or(Wrong);
        Ok(match operator.as_str() {
            "==" => equal(left, right)?,
            "!=" => !equal(left, right)?,
            "<" => ordered()? == Ordering::Less,
            ">" => ordered()? == Ordering::Greater,
            "<=" => ordered()? != Ordering::Greater,
            ">=" => ordered()? != Ordering::Less,
            _ => return Err(Wrong),
        })
    }
}

/// The one value, `None` for none; more cannot be compared.
fn only<'a>(found: &'a [Cow<'_, Value>]) -> Result<Option<&'a Value>, Wrong> {
    match found {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(Wrong),
    }
}

/// Whole and broken numbers are of different kinds, as in Go.
fn equal(left: &Value, right: &Value) -> Result<bool, Wrong> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        _ => order(left, right).map(|order| order == Ordering::Equal).ok_or(Wrong),
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            (None, None) => left.as_f64()?.partial_cmp(&right.as_f64()?),
            _ => None,
        },
        _ => None,
    }
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn path(mut self) -> Result<Path, Wrong> {
        let mut steps = Vec::new();
        while let Some(letter) = self.rest.chars().next() {
            match letter {
                '}' => break,
                '\n' | '\r' => return Err(Wrong),
                _ if self.rest.starts_with("[?(") => steps.push(self.filter()?),
                _ if self.rest.starts_with("..") => {
                    if steps.last() == Some(&Step::Descent) {
                        return Err(Wrong);
                    }
                    steps.push(Step::Descent);
                    self.skip(2);
                    if self.rest.starts_with(|c: char| c == '_' || c.is_alphanumeric()) {
                        steps.push(self.field());
                    }
                }
                ' ' | '@' | '$' => self.skip(1),
                '[' => self.brackets(&mut steps)?,
                '"' | '\'' => steps.push(self.quoted(letter)?),
                '.' => {
                    self.skip(1);
                    steps.push(self.field());
                }
                '+' | '-' | '0'..='9' => steps.push(self.number()?),
                c if c == '_' || c.is_alphanumeric() => steps.push(self.word()),
                _ => return Err(Wrong),
            }
        }
        Ok(Path(steps))
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn within(&self, text: &str) -> Result<Path, Wrong> {
        if self.depth == MAX_DEPTH {
            return Err(Wrong);
        }
        Parser { rest: text, depth: self.depth + 1 }.path()
    }

    /// A name up to the next letter that ends one; a backslash makes the next letter part of it.
    fn field(&mut self) -> Step {
        let mut escaped = false;
        let end = self.rest.find(|letter| {
            let ends = !escaped && is_end(letter);
            escaped = !escaped && letter == '\\';
            ends
        });
        match self.take(end.unwrap_or(self.rest.len())) {
            "*" => Step::Wildcard,
            name => Step::Field(name.replace('\\', "")),
        }
    }

    fn word(&mut self) -> Step {
        match self.take(self.rest.find(is_end).unwrap_or(self.rest.len())) {
            "true" => Step::Literal(true.into()),
            "false" => Step::Literal(false.into()),
            _ => Step::Word,
        }
    }

    fn number(&mut self) -> Result<Step, Wrong> {
        let sign = usize::from(self.rest.starts_with(['+', '-']));
        let digits = self.rest[sign..].find(|c: char| c != '.' && !c.is_ascii_digit());
        let text = self.take(digits.map_or(self.rest.len(), |end| end + sign));
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Step::Literal(whole.into()));
        }
        text.parse::<f64>().map(|number| Step::Literal(number.into())).map_err(|_| Wrong)
    }

    /// A text in quotes, in which a backslash escapes.
    fn quoted(&mut self, quote: char) -> Result<Step, Wrong> {
        self.skip(1);
        let mut text = String::new();
        let mut letters = self.rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\n' => return Err(Wrong),
                '\\' => text.push(match letters.next().ok_or(Wrong)?.1 {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other @ ('\\' | '"' | '\'') => other,
                    _ => return Err(Wrong),
                }),
                end if end == quote => {
                    self.skip(at + 1);
                    return Ok(Step::Literal(text.into()));
                }
                other => text.push(other),
            }
        }
        Err(Wrong)
    }

    /// `[0]`, `[1:3]`, `[*]`, `['name']`, `[0,2]`.
    fn brackets(&mut self, steps: &mut Vec<Step>) -> Result<(), Wrong> {
        let end = self.rest.find([']', '\n']).filter(|at| self.rest[*at..].starts_with(']')).ok_or(Wrong)?;
        let text = &self.take(end + 1)[1..end];
        if text.contains(',') {
            let each = |part: &str| self.within(&format!("[{}]", part.trim_matches(' ')));
            steps.push(Step::Union(text.split(',').map(each).collect::<Result<_, _>>()?));
            return Ok(());
        }
        let quoted = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).filter(|key| !key.contains('\''));
        match quoted {
            Some(key) => steps.extend(self.within(&format!(".{key}"))?.0),
            None => steps.push(range(if text == "*" { ":" } else { text })?),
        }
        Ok(())
    }

    /// `[?(@.type=="Ready")]`
    fn filter(&mut self) -> Result<Step, Wrong> {
        self.skip(3);
        let (mut quote, mut before) = (None, ' ');
        let mut end = None;
        for (at, letter) in self.rest.char_indices() {
            match (letter, quote) {
                ('\n', _) => return Err(Wrong),
                ('"' | '\'', None) => quote = Some(Some(letter)),
                (letter, Some(Some(open))) if letter == open && before != '\\' => quote = Some(None),
                (')', None | Some(None)) => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
            before = letter;
        }
        let text = self.take(end.ok_or(Wrong)?);
        self.rest = self.rest.strip_prefix(")]").ok_or(Wrong)?;
        let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
        let compared = text.find(is_operator).filter(|at| *at > 0).and_then(|at| {
            let right = text[at..].trim_start_matches(is_operator);
            (!right.is_empty()).then(|| (&text[..at], &text[at..text.len() - right.len()], right))
        });
        let filter = match compared {
            None => Filter { left: self.within(text)?, compared: None },
            Some((left, operator, right)) => {
                Filter { left: self.within(left)?, compared: Some((operator.into(), self.within(right)?)) }
            }
        };
        Ok(Step::Filter(Box::new(filter)))
    }
}

fn range(text: &str) -> Result<Step, Wrong> {
    let mut parts = text.split(':').map(|part| match part {
        "" => Ok(None),
        digits if digits.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map(Some).map_err(|_| Wrong)
        }
        _ => Err(Wrong),
    });
    let start = parts.next().unwrap_or(Ok(None))?;
    let end = match parts.next().transpose()? {
        None => End::One,
        Some(None) => End::Open,
        Some(Some(at)) => End::At(at),
    };
    let step = parts.next().unwrap_or(Ok(None))?;
    if parts.next().is_some() {
        return Err(Wrong);
    }
    Ok(Step::Slice { start, end, step })
}

/// What ends a name.
fn is_end(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::model::value::json;

    fn check(path: &str, found: Option<Value>) {
        let value = json!({
            "a": {"b.c/d": 1, "e": [10, 20, 30], "n": null, "s": "x"},
            "list": [{"type": "A", "n": 1}, {"type": "B", "n": 2}, {"type": "B", "n": 3, "ok": true}]
        });
        let result = Path::parse(path)
            .and_then(|p| p.find(&value).map(|f| Value::from_iter(f.into_iter().map(Cow::into_owned))));
        assert_eq!(result.ok(), found, "{path}");
    }

    #[test]
    fn paths_lead_where_stocks_do() {
        for (path, found) in [
            (".a.e", json!([[10, 20, 30]])),
            (".a.e[0]", json!([10])),
            (".a.e[-1]", json!([30])),
            (".a.e[-2]", json!([20])),
            (".a.e[1:]", json!([20, 30])),
            (".a.e[:2]", json!([10, 20])),
            (".a.e[::2]", json!([10, 30])),
            (".a.e[0,2]", json!([10, 30])),
            (".a.e[*]", json!([10, 20, 30])),
            (".a.b\\.c/d", json!([1])),
            (".a['b\\.c/d']", json!([1])),
            (".a.none.more", json!([])),
            (".a.n", json!([null])),
            (".a.n.x", json!([])),
            (".a.s.x", json!([])),
            (".list[*].type", json!(["A", "B", "B"])),
            (".list[?(@.type==\"B\")].n", json!([2, 3])),
            (".list[?(@.type=='B')].n", json!([2, 3])),
            (".list[?(@.n>1)].n", json!([2, 3])),
            (".list[?(@.n<=1)].type", json!(["A"])),
            (".list[?(@.ok)].n", json!([3])),
            (".list[?(@.ok==true)].n", json!([3])),
            (".list[?(@.type!=\"A\")].n", json!([2, 3])),
            ("..n", json!([null, 1, 2, 3])),
            (".a.*", json!([1, [10, 20, 30], null, "x"])),
            ("$.a.s", json!(["x"])),
        ] {
            check(path, Some(found));
        }
        for wrong in [".a.e[5]", ".a.s[0]", ".a[?(@.x==1)]", ".list[?(@.n==\"1\")]", ".list[?(@.n==1.5)]", ".a.e[2:1]"]
        {
            check(wrong, None);
        }
        for wrong in [".a[", ".a[x]", ".a[?(@.x", "....", ".a}#"] {
            assert_eq!(Path::parse(wrong).is_err(), wrong != ".a}#", "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"[a.\[\]()?@*:,0-9'"=<>!\\ {}$é-]{0,24}"#) {
            if let Ok(path) = Path::parse(&text) {
                let _ = path.find(&json!({"a": [{"a": "é"}, 1, null, 2.5], "b": {"a": {}}}));
            }
        }
    }

    #[test]
    fn depth_and_results_are_bounded() {
        assert!(Path::parse(&"[?(".repeat(10_000)).is_err());
        let wide = Value::Array((0..200).map(|_| json!([[1], [2], [3]])).collect());
        assert_eq!(Path::parse("..*..*..*").and_then(|p| p.find(&wide).map(|f| f.len())), Err(Wrong));
    }
}
