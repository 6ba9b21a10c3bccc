//! A JSON document that is read only as far as it is touched: what nobody touches stays text, in its own order; what is
//! touched is written with its keys sorted. So the patched text that errors show is stock's.

use std::collections::BTreeMap;

use crate::codec::json::parse::{Parser, Token, Unreadable};
use crate::codec::json::{compact, write};

/// A value of the document.
#[derive(Clone, Debug)]
pub enum Node {
    Null,
    /// JSON text.
    Text(Box<[u8]>),
    Object(BTreeMap<String, Node>),
    Array(Vec<Node>),
}

impl Node {
    pub fn new(text: &[u8]) -> Self {
        Node::Text(text.into())
    }

    /// Reads the next value; null is no text.
    pub fn read(parser: &mut Parser<'_>) -> Result<Self, Unreadable> {
        match parser.token()? {
            Token::Null => parser.literal(Token::Null).map(|()| Node::Null),
            _ => parser.raw().map(Node::new),
        }
    }

    /// The object that the value is, opened; `None` when it is none.
    pub fn object(&mut self) -> Option<&mut BTreeMap<String, Node>> {
        if let Node::Text(text) = self {
            let mut map = BTreeMap::new();
            let mut parser = Parser::new(text);
            if parser.token() != Ok(Token::Object) {
                return None;
            }
            let member = |parser: &mut Parser<'_>, key: std::borrow::Cow<'_, str>| {
                map.insert(key.into_owned(), Node::read(parser)?);
                Ok::<_, Unreadable>(())
            };
            parser.object(member).ok()?;
            *self = Node::Object(map);
        }
        match self {
            Node::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The array that the value is, opened; `None` when it is none.
    pub fn array(&mut self) -> Option<&mut Vec<Node>> {
        if let Node::Text(text) = self {
            let mut items = Vec::new();
            let mut parser = Parser::new(text);
            if parser.token() != Ok(Token::Array) {
                return None;
            }
            let item = |parser: &mut Parser<'_>, _| {
                items.push(Node::read(parser)?);
                Ok::<_, Unreadable>(())
            };
            parser.array(item).ok()?;
            *self = Node::Array(items);
        }
        match self {
            Node::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Appends its JSON, compact and with Go's escapes.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Text(text) => compact::append(out, text),
            Node::Object(map) => {
                out.push(b'{');
                for (index, (key, value)) in map.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write::string(out, key);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
            Node::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
        }
    }

    pub fn to_text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Equal as JSON; scalars are equal when their texts are.
    pub fn equals(&mut self, other: &mut Node) -> bool {
        if let Some(a) = self.object() {
            let Some(b) = other.object() else { return false };
            return a.len() == b.len()
                && a.iter_mut().zip(b).all(|((name, a), (other, b))| name == other && a.equals(b));
        }
        if let Some(a) = self.array() {
            let Some(b) = other.array() else { return false };
            return a.len() == b.len() && a.iter_mut().zip(b).all(|(a, b)| a.equals(b));
        }
        match (self, other) {
            (Node::Null, Node::Null) => true,
            (Node::Text(a), Node::Text(b)) => a == b,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_untouched_keeps_its_order() {
        let mut node = Node::new(br#"{"b": {"y": "<\"&", "x" :1} , "a":[1, 2]}"#);
        node.object().expect("an object").insert("c".into(), Node::Null);
        let text = String::from_utf8(node.to_text()).expect("UTF-8");
        assert_eq!(text, r#"{"a":[1,2],"b":{"y":"\u003c\"\u0026","x":1},"c":null}"#);
    }

    #[test]
    fn equality_is_that_of_json() {
        let equal = |a: &str, b: &str| Node::new(a.as_bytes()).equals(&mut Node::new(b.as_bytes()));
        assert!(equal(r#"{"a":[1,null],"b":"x"}"#, r#"{ "b":"x", "a":[1, null] }"#));
        for (a, b) in
            [("1", "1.0"), ("[]", "{}"), (r#"{"a":1}"#, r#"{"a":1,"b":2}"#), ("[null]", "[1]"), ("\"a\"", "1")]
        {
            assert!(!equal(a, b), "{a} {b}");
        }
    }
}
