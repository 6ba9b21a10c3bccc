//! JSON patch (RFC 6902), as stock's library does it: `replace` and `copy` take a missing key of an object for null,
//! indexes may be negative, and a failed operation tells the client no more than 422.

use std::collections::HashSet;

use super::node::Node;
use super::notes::{Notes, explain};
use super::{Patched, Validation};
use crate::codec::json::MAX_DEPTH;
use crate::codec::json::parse::{Parser, Token, Unreadable};
use crate::model::gotext;
use crate::model::status::Status;

/// Operations of a patch at most.
const MAX_OPERATIONS: usize = 10_000;
/// Bytes that all `copy` operations of a patch add at most.
const MAX_COPIED: usize = 3 * 1024 * 1024;

/// Applies a patch to an object's JSON. 400: the patch is none; 413: it has too many operations; 422: it does not fit.
pub fn apply(object: &[u8], patch: &[u8], validation: Validation) -> Result<Patched, Status> {
    let strict = validation != Validation::Ignore;
    let mut reader = Reader { strict, notes: Notes::default(), wrong: None, operations: Vec::new() };
    let mut parser = Parser::new(patch);
    let outcome = reader.patch(&mut parser).and_then(|()| parser.end());
    if outcome.is_err() || reader.wrong.is_some() {
        let why = explain(patch, reader.wrong);
        let prefix = if strict { "error decoding patch: " } else { "" };
        return Err(Status::bad_request(format!("{prefix}{why}")));
    }
    let count = reader.operations.len();
    if count > MAX_OPERATIONS {
        let limit = format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}");
        return Err(Status::too_large(format!("Request entity too large: {limit}")));
    }
    let text = run(object, reader.operations).map_err(|_| Status::unprocessable())?;
    let notes = if strict { reader.notes.notes } else { Vec::new() };
    let notes = notes.into_iter().map(|note| format!("json patch {note}")).collect();
    Ok(Patched { text, notes })
}

/// One operation, as written.
#[derive(Debug, Default)]
struct Operation {
    /// `None`: not a string, or not there.
    op: Option<String>,
    path: Option<String>,
    from: Option<String>,
    value: Option<Node>,
}

/// An operation does not apply: there is no such place, a test failed, or too much was copied.
#[derive(Debug, PartialEq, Eq)]
struct Unfit;

struct Reader {
    strict: bool,
    notes: Notes,
    /// The first value of a wrong type.
    wrong: Option<String>,
    operations: Vec<Operation>,
}

impl Reader {
    fn patch(&mut self, parser: &mut Parser<'_>) -> Result<(), Unreadable> {
        match parser.token()? {
            Token::Null => parser.literal(Token::Null),
            Token::Array => parser.array(|parser, index| self.operation(parser, index)),
            token => {
                let wanted = if self.strict { "[]handlers.jsonPatchOp" } else { "jsonpatch.Patch" };
                self.mistaken(token, &format!("Go value of type {wanted}"));
                parser.skip()
            }
        }
    }

    fn operation(&mut self, parser: &mut Parser<'_>, index: usize) -> Result<(), Unreadable> {
        let mut operation = Operation::default();
        match parser.token()? {
            Token::Null => parser.literal(Token::Null)?,
            Token::Object => {
                let mut seen = HashSet::new();
                parser.object(|parser, key| self.member(parser, index, key.into_owned(), &mut seen, &mut operation))?;
            }
            token => {
                let wanted = if self.strict { "handlers.jsonPatchOp" } else { "jsonpatch.Operation" };
                self.mistaken(token, &format!("Go value of type {wanted}"));
                parser.skip()?;
            }
        }
        self.operations.push(operation);
        Ok(())
    }

    fn member(
        &mut self,
        parser: &mut Parser<'_>,
        index: usize,
        key: String,
        seen: &mut HashSet<String>,
        operation: &mut Operation,
    ) -> Result<(), Unreadable> {
        let known = matches!(key.as_str(), "op" | "path" | "from" | "value");
        let name = key.clone();
        self.notes.within_index(index, |notes| {
            notes.within_key(&key, |notes| match known {
                true => notes.once(seen, name),
                false => notes.note("unknown"),
            });
        });
        let token = parser.token()?;
        let text = match (key.as_str(), token) {
            ("value", _) => {
                let raw = parser.raw()?;
                let notes = &mut self.notes;
                notes
                    .within_index(index, |notes| notes.within_key(&key, |notes| notes.value(&mut Parser::new(raw))))?;
                operation.value = Some(if token == Token::Null { Node::Null } else { Node::new(raw) });
                return Ok(());
            }
            ("op" | "path" | "from", Token::String) => Some(parser.string()?),
            ("op" | "path" | "from", token) => {
                if self.strict && token != Token::Null {
                    self.mistaken(token, &format!("Go struct field jsonPatchOp.{key} of type string"));
                }
                parser.skip()?;
                None
            }
            _ => return parser.skip(),
        };
        match key.as_str() {
            "op" => operation.op = text,
            "path" => operation.path = text,
            _ => operation.from = text,
        }
        Ok(())
    }

    fn mistaken(&mut self, found: Token, wanted: &str) {
        self.wrong.get_or_insert_with(|| format!("json: cannot unmarshal {} into {wanted}", found.word()));
    }
}

/// The object after all operations.
fn run(object: &[u8], operations: Vec<Operation>) -> Result<Vec<u8>, Unfit> {
    let mut document = Node::new(object);
    if document.object().is_none() && document.array().is_none() {
        return Err(Unfit);
    }
    let mut copied = 0;
    for operation in operations {
        step(&mut document, operation, &mut copied)?;
    }
    Ok(document.to_text())
}

fn step(document: &mut Node, operation: Operation, copied: &mut usize) -> Result<(), Unfit> {
    let Operation { op, path, from, value } = operation;
    let (path, from) = (path.ok_or(Unfit), from.ok_or(Unfit));
    match op.as_deref() {
        Some("add") => add(document, &path?, value.unwrap_or(Node::Null)),
        Some("remove") => {
            let path = path?;
            let (container, key) = find(document, &path)?;
            remove(container, &key).map(drop)
        }
        Some("replace") => replace(document, &path?, value),
        Some("move") => {
            let from = from?;
            let (container, key) = find(document, &from)?;
            let value = remove(container, &key)?;
            add(document, &path?, value)
        }
        Some("copy") => {
            let from = from?;
            let (container, key) = find(document, &from)?;
            let value = get(container, &key)?.map(|node| node.to_text());
            let path = path?;
            find(document, &path)?;
            *copied += value.as_ref().map_or(0, Vec::len);
            if *copied > MAX_COPIED {
                return Err(Unfit);
            }
            add(document, &path, value.map_or(Node::Null, |text| Node::new(&text)))
        }
        Some("test") => test(document, &path?, value),
        _ => Err(Unfit),
    }
}

/// The container that holds the path's last key, and the key.
fn find<'n>(document: &'n mut Node, path: &str) -> Result<(&'n mut Node, String), Unfit> {
    let mut keys: Vec<String> = path.split('/').skip(1).map(unescape).collect();
    let last = keys.pop().ok_or(Unfit)?;
    if keys.len() > MAX_DEPTH {
        return Err(Unfit);
    }
    let mut node = document;
    for key in keys {
        node = get(node, &key)?.ok_or(Unfit)?;
        if node.object().is_none() && node.array().is_none() {
            return Err(Unfit);
        }
    }
    Ok((node, last))
}

/// RFC 6901: `~1` is a slash, `~0` a tilde.
fn unescape(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut rest = key;
    while let Some(at) = rest.find('~') {
        out.push_str(&rest[..at]);
        let letter = match rest.as_bytes().get(at + 1) {
            Some(b'1') => '/',
            Some(b'0') => '~',
            _ => {
                out.push('~');
                rest = &rest[at + 1..];
                continue;
            }
        };
        out.push(letter);
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
    out
}

/// `None`: null, or a key that the object does not have.
fn get<'n>(container: &'n mut Node, key: &str) -> Result<Option<&'n mut Node>, Unfit> {
    let node = match container {
        Node::Object(map) => map.get_mut(key),
        Node::Array(items) => {
            let at = place(key, items.len())?;
            items.get_mut(at)
        }
        _ => None,
    };
    Ok(node.filter(|node| !matches!(node, Node::Null)))
}

/// An index in `0..end`; negative ones count from the end.
fn place(key: &str, end: usize) -> Result<usize, Unfit> {
    let index = gotext::atoi(key).map_err(|_| Unfit)?;
    let place = if index < 0 { index.checked_add(end as i64).ok_or(Unfit)? } else { index };
    usize::try_from(place).ok().filter(|place| *place < end).ok_or(Unfit)
}

fn add(document: &mut Node, path: &str, value: Node) -> Result<(), Unfit> {
    let (container, key) = find(document, path)?;
    match container {
        Node::Object(map) => {
            map.insert(key, value);
        }
        Node::Array(items) if key == "-" => items.push(value),
        Node::Array(items) => {
            let at = place(&key, items.len() + 1)?;
            items.insert(at, value);
        }
        _ => return Err(Unfit),
    }
    Ok(())
}

fn remove(container: &mut Node, key: &str) -> Result<Node, Unfit> {
    match container {
        Node::Object(map) => map.remove(key).ok_or(Unfit),
        Node::Array(items) => {
            let at = place(key, items.len())?;
            Ok(items.remove(at))
        }
        _ => Err(Unfit),
    }
}

fn replace(document: &mut Node, path: &str, value: Option<Node>) -> Result<(), Unfit> {
    if path.is_empty() {
        let mut value = value.ok_or(Unfit)?;
        if value.object().is_none() && value.array().is_none() {
            return Err(Unfit);
        }
        *document = value;
        return Ok(());
    }
    let (container, key) = find(document, path)?;
    match container {
        Node::Object(map) => {
            map.insert(key, value.unwrap_or(Node::Null));
        }
        Node::Array(items) => {
            let at = place(&key, items.len())?;
            items[at] = value.unwrap_or(Node::Null);
        }
        _ => return Err(Unfit),
    }
    Ok(())
}

fn test(document: &mut Node, path: &str, value: Option<Node>) -> Result<(), Unfit> {
    let mut value = value.unwrap_or(Node::Null);
    let equal = if path.is_empty() {
        document.equals(&mut value)
    } else {
        let (container, key) = find(document, path)?;
        match get(container, &key)? {
            Some(node) => node.equals(&mut value),
            None => matches!(value, Node::Null),
        }
    };
    if equal { Ok(()) } else { Err(Unfit) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::model::value::Value;

    const OBJECT: &str = r#"{"kind":"C","data":{"b":"x","a":"y"},"list":["p","q"],"none":null}"#;

    fn patched(patch: &str) -> Result<String, u16> {
        let outcome = apply(OBJECT.as_bytes(), patch.as_bytes(), Validation::Warn);
        outcome.map(|patched| String::from_utf8(patched.text).expect("UTF-8")).map_err(|status| status.code)
    }

    /// One operation on the object; only what differs from it is told.
    fn check(operation: &str, expected: Result<&str, u16>) {
        let found = patched(&format!("[{operation}]"));
        assert_eq!(found.as_deref().map_err(|code| *code), expected, "{operation}");
    }

    #[test]
    fn operations_do_what_stocks_do() {
        check(
            r#"{"op":"replace","path":"/data/none","value":1}"#,
            Ok(r#"{"data":{"a":"y","b":"x","none":1},"kind":"C","list":["p","q"],"none":null}"#),
        );
        check(
            r#"{"op":"copy","from":"/data/zz","path":"/data/c"}"#,
            Ok(r#"{"data":{"a":"y","b":"x","c":null},"kind":"C","list":["p","q"],"none":null}"#),
        );
        check(
            r#"{"op":"add","path":"/list/-1","value":"r"}"#,
            Ok(r#"{"data":{"b":"x","a":"y"},"kind":"C","list":["p","q","r"],"none":null}"#),
        );
        check(
            r#"{"op":"remove","path":"/list/01"}"#,
            Ok(r#"{"data":{"b":"x","a":"y"},"kind":"C","list":["p"],"none":null}"#),
        );
        check(
            r#"{"op":"add","path":"data/~0~1~01","value":"odd"}"#,
            Ok(r#"{"data":{"b":"x","a":"y"},"kind":"C","list":["p","q"],"none":null,"~/~1":"odd"}"#),
        );
        check(r#"{"op":"replace","path":"","value":{"b":1, "a":2}}"#, Ok(r#"{"a":2,"b":1}"#));
        check(r#"{"op":"test","path":"/none","value":null}"#, patched("[]").as_deref().map_err(|code| *code));
        for unfit in [
            r#"{"op":"remove","path":"/data/zz"}"#,
            r#"{"op":"move","from":"/data/zz","path":"/data/c"}"#,
            r#"{"op":"move","from":"/data","path":"/data/c"}"#,
            r#"{"op":"add","path":"/zz/a","value":1}"#,
            r#"{"op":"add","path":"/kind/a","value":1}"#,
            r#"{"op":"add","path":"/list/3","value":1}"#,
            r#"{"op":"add","path":"/list/-4","value":1}"#,
            r#"{"op":"remove","path":"/list/-"}"#,
            r#"{"op":"replace","path":"/list/2","value":1}"#,
            r#"{"op":"replace","path":"","value":"x"}"#,
            r#"{"op":"test","path":"/list","value":["q","p"]}"#,
            r#"{"op":"test","path":"/none"}, {"op":"test","path":"/kind"}"#,
            r#"{"op":"add","value":1}"#,
            r#"{"op":"frobnicate","path":"/kind"}"#,
            r#"{"path":"/kind","value":1}"#,
            "null",
        ] {
            check(unfit, Err(422));
        }
    }

    #[test]
    fn what_is_no_patch_is_told() {
        for (patch, strict, lax) in [
            ("{}", "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp", "jsonpatch.Patch"),
            ("[1]", "json: cannot unmarshal number into Go value of type handlers.jsonPatchOp", "jsonpatch.Operation"),
            ("[{\"op\":1}]", "json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string", ""),
            ("[", "unexpected end of JSON input", "unexpected end"),
        ] {
            let outcome = |validation| apply(b"{}", patch.as_bytes(), validation).expect_err("no patch");
            assert_eq!(outcome(Validation::Warn).message, format!("error decoding patch: {strict}"));
            let told = outcome(Validation::Ignore);
            assert!(told.message.contains(lax) && !told.message.contains("decoding"), "{told}");
        }
        let many = |count: usize| format!("[{}]", vec![r#"{"op":"test","path":"/a"}"#; count].join(","));
        assert!(apply(b"{}", many(10_000).as_bytes(), Validation::Warn).is_ok());
        let told = apply(b"{}", many(10_001).as_bytes(), Validation::Warn).expect_err("too many").message;
        assert_eq!(
            told,
            "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
        );
    }

    #[test]
    fn strictness_notes_what_is_repeated_or_unknown() {
        let patch = br#"[{"op":"add","path":"/a","value":1,"value":{"x":1,"x":2}},{"op":"test","path":"/b","more":1}]"#;
        let notes = apply(b"{}", patch, Validation::Strict).expect("applies").notes;
        let expected =
            ["duplicate field \"[0].value\"", "duplicate field \"[0].value.x\"", "unknown field \"[1].more\""];
        assert_eq!(notes, expected.map(|note| format!("json patch {note}")));
        assert!(apply(b"{}", patch, Validation::Ignore).expect("applies").notes.is_empty());
    }

    #[test]
    fn copies_are_bounded() {
        let big = format!("{{\"a\":[\"{}\"]}}", "x".repeat(1 << 20));
        let copies =
            |count: usize| format!("[{}]", vec![r#"{"op":"copy","from":"/a/0","path":"/a/-"}"#; count].join(","));
        assert!(apply(big.as_bytes(), copies(2).as_bytes(), Validation::Warn).is_ok());
        assert_eq!(apply(big.as_bytes(), copies(3).as_bytes(), Validation::Warn).expect_err("too much").code, 422);
        // Depth doubles with each copy; the answer may be a refusal, never the end of the process.
        let deep: Vec<_> =
            (0..20).map(|n| format!(r#"{{"op":"copy","from":"/a","path":"{}/a"}}"#, "/a".repeat(1 << n))).collect();
        let _ = apply(br#"{"a":{"a":{}}}"#, format!("[{}]", deep.join(",")).as_bytes(), Validation::Warn);
    }

    proptest! {
        #[test]
        fn never_panics_and_writes_json(
            operations in prop::collection::vec(
                ("(add|remove|replace|move|copy|test)", "(/(a|b|l|0|-1|-|~1)){0,3}", "(/(a|b|l|0|1)){0,3}", "(1|\"x\"|null|\\[1,2\\]|\\{\"a\":\\{\\}\\})"),
                0..6,
            )
        ) {
            let operations: Vec<_> = operations
                .iter()
                .map(|(op, path, from, value)| format!(r#"{{"op":"{op}","path":"{path}","from":"{from}","value":{value}}}"#))
                .collect();
            let patch = format!("[{}]", operations.join(","));
            let object = br#"{"a":{"b":1,"l":[1,{"a":2},null]},"l":["x","y"]}"#;
            if let Ok(patched) = apply(object, patch.as_bytes(), Validation::Strict) {
                prop_assert!(serde_json::from_slice::<Value>(&patched.text).is_ok());
            }
        }

        #[test]
        fn any_text_is_answered(patch in r#"[\[\]{}",:a-z0-9/~ ]{0,40}"#) {
            let _ = apply(OBJECT.as_bytes(), patch.as_bytes(), Validation::Warn);
        }
    }
}
