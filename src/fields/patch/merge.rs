//! JSON merge patch (RFC 7386), as stock's library does it: nulls are taken out of what is new, also within lists.

use std::collections::BTreeMap;

use super::node::Node;
use super::notes::{Notes, explain};
use super::{Patched, Validation};
use crate::codec::json::parse::{Parser, Token};
use crate::model::status::Status;

/// Applies a patch to an object's JSON. 400: the patch is none.
pub fn apply(object: &[u8], patch: &[u8], validation: Validation) -> Result<Patched, Status> {
    let strict = validation != Validation::Ignore;
    let mut notes = Notes::default();
    let mut parser = Parser::new(patch);
    let token = parser.token();
    let read = notes.value(&mut parser).and_then(|()| parser.end());
    let invalid = || Status::bad_request("Invalid JSON Patch");
    let wrong = match token {
        Ok(Token::Object | Token::Null) | Err(_) => None,
        Ok(other) => {
            Some(format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", other.word()))
        }
    };
    if strict && (read.is_err() || wrong.is_some()) {
        return Err(Status::bad_request(format!("error decoding patch: {}", explain(patch, wrong))));
    }
    read.map_err(|_| invalid())?;
    let notes = if strict { notes.notes } else { Vec::new() };
    let (mut document, mut patch) = (Node::new(object), Node::new(patch));
    match token {
        Ok(Token::Object) => {}
        Ok(Token::Array) => {
            prune(&mut patch);
            return Ok(Patched { text: patch.to_text(), notes });
        }
        _ => return Err(invalid()),
    }
    match (document.object(), patch.object()) {
        (Some(fields), Some(changes)) => lay_over(fields, std::mem::take(changes)),
        _ => return Err(Status::bad_request("Invalid JSON Document")),
    }
    Ok(Patched { text: document.to_text(), notes })
}

fn lay_over(fields: &mut BTreeMap<String, Node>, changes: BTreeMap<String, Node>) {
    for (name, mut change) in changes {
        match fields.get_mut(&name) {
            _ if matches!(change, Node::Null) => {
                fields.remove(&name);
            }
            None | Some(Node::Null) => {
                prune(&mut change);
                fields.insert(name, change);
            }
            Some(current) => merge(current, change),
        }
    }
}

fn merge(current: &mut Node, mut change: Node) {
    match (current.object(), change.object()) {
        (Some(fields), Some(changes)) => lay_over(fields, std::mem::take(changes)),
        (Some(_), None) => *current = change,
        (None, _) => {
            prune(&mut change);
            *current = change;
        }
    }
}

/// Takes the nulls out of objects; in lists they stay.
fn prune(node: &mut Node) {
    if let Some(fields) = node.object() {
        fields.retain(|_, value| !matches!(value, Node::Null));
        fields.values_mut().for_each(prune);
    } else if let Some(items) = node.array() {
        items.iter_mut().for_each(prune);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(object: &str, patch: &str) -> String {
        let outcome = apply(object.as_bytes(), patch.as_bytes(), Validation::Warn);
        outcome.map_or_else(|status| status.message, |patched| String::from_utf8(patched.text).expect("UTF-8"))
    }

    #[test]
    fn objects_merge_and_null_deletes() {
        for (object, patch, result) in [
            (
                r#"{"b":{"z":1,"y":2},"a":1}"#,
                r#"{"a":null,"c":{"d":null,"e":[{"f":null}]}}"#,
                r#"{"b":{"z":1,"y":2},"c":{"e":[{}]}}"#,
            ),
            (r#"{"b":{"z":1,"y":2}}"#, r#"{"b":{"x":3}}"#, r#"{"b":{"x":3,"y":2,"z":1}}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":{"b":null}}"#, r#"{"a":{}}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":[null]}"#, r#"{"a":[null]}"#),
            (r#"{"a":null}"#, r#"{"a":{"b":null,"c":1}}"#, r#"{"a":{"c":1}}"#),
            (r#"{"a":"x"}"#, r#"{"zz":null}"#, r#"{"a":"x"}"#),
        ] {
            assert_eq!(patched(object, patch), result);
        }
    }

    #[test]
    fn what_is_no_patch_is_told() {
        for (patch, strict, lax) in [
            ("[]", "json: cannot unmarshal array into Go value of type map[string]interface {}", None),
            (
                "5",
                "json: cannot unmarshal number into Go value of type map[string]interface {}",
                Some("Invalid JSON Patch"),
            ),
            ("{bad", "invalid character 'b' looking for beginning of object key string", Some("Invalid JSON Patch")),
            ("", "unexpected end of JSON input", Some("Invalid JSON Patch")),
        ] {
            assert_eq!(patched("{}", patch), format!("error decoding patch: {strict}"));
            let outcome = apply(b"{}", patch.as_bytes(), Validation::Ignore);
            assert_eq!(outcome.err().map(|status| status.message).as_deref(), lax);
        }
        assert_eq!(patched("{}", "null"), "Invalid JSON Patch");
    }

    #[test]
    fn repeated_fields_are_noted() {
        let patch = br#"{"data":{"k":"1"},"data":{"k":"2","l":[{"m":1,"m":2}]}}"#;
        let patched = apply(b"{}", patch, Validation::Warn).expect("a patch");
        assert_eq!(patched.text, br#"{"data":{"k":"2","l":[{"m":2}]}}"#);
        assert_eq!(patched.notes, ["duplicate field \"data\"", "duplicate field \"data.l[0].m\""]);
    }
}
