//! A JSON parser with a bounded depth that reads as Go's does: invalid UTF-8 becomes U+FFFD, integers stay integers,
//! the last of repeated keys wins. What is wrong with a text, [`super::syntax`] says.

use std::borrow::Cow;

use super::MAX_DEPTH;
use crate::model::value::{Map, Number, Value};

/// The text is no JSON, or nests too deeply: [`super::syntax::explain`] finds the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

pub type Result<T> = std::result::Result<T, Unreadable>;

/// Reads one value and nothing after it.
pub fn parse(text: &[u8]) -> Result<Value> {
    let mut parser = Parser::new(text);
    let value = parser.value()?;
    parser.end()?;
    Ok(value)
}

/// A place in a JSON text.
pub struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

/// What a value begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    Object,
    Array,
    String,
    Number,
    Bool(bool),
    Null,
}

impl Token {
    /// The word of Go's errors.
    pub fn word(self) -> &'static str {
        match self {
            Token::Object => "object",
            Token::Array => "array",
            Token::String => "string",
            Token::Number => "number",
            Token::Bool(_) => "bool",
            Token::Null => "null",
        }
    }
}

/// The bytes at which a string is no longer plain.
const ENDS: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        ends[byte] = true;
        byte += 1;
    }
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};

impl<'a> Parser<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.byte() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(Unreadable)
    }

    /// Nothing but space is left.
    pub fn end(&mut self) -> Result<()> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err(Unreadable) }
    }

    /// What stands next; literals are checked when they are read.
    #[inline]
    pub fn token(&mut self) -> Result<Token> {
        self.space();
        match self.byte() {
            Some(b'{') => Ok(Token::Object),
            Some(b'[') => Ok(Token::Array),
            Some(b'"') => Ok(Token::String),
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number),
            Some(b't') => Ok(Token::Bool(true)),
            Some(b'f') => Ok(Token::Bool(false)),
            Some(b'n') => Ok(Token::Null),
            _ => Err(Unreadable),
        }
    }

    /// Reads `null`, `true` or `false`.
    pub fn literal(&mut self, token: Token) -> Result<()> {
        let word: &[u8] = match token {
            Token::Null => b"null",
            Token::Bool(true) => b"true",
            Token::Bool(false) => b"false",
            _ => return Err(Unreadable),
        };
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(Unreadable)
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Unreadable) } else { Ok(()) }
    }

    /// How far it has read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Reads an object: `member` is called at each value with its key and must read it.
    /// Keys are borrowed where they can be.
    pub fn object<E: From<Unreadable>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.enter()?;
        self.expect(b'{')?;
        self.space();
        if self.byte() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.space();
                let key = self.text()?;
                self.space();
                self.expect(b':')?;
                member(self, key)?;
                self.space();
                match self.byte() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => break self.at += 1,
                    _ => return Err(Unreadable.into()),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads an array: `item` is called at each value with its index and must read it.
    pub fn array<E: From<Unreadable>>(
        &mut self,
        mut item: impl FnMut(&mut Self, usize) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.enter()?;
        self.expect(b'[')?;
        self.space();
        if self.byte() == Some(b']') {
            self.at += 1;
        } else {
            let mut index = 0;
            loop {
                item(self, index)?;
                index += 1;
                self.space();
                match self.byte() {
                    Some(b',') => self.at += 1,
                    Some(b']') => break self.at += 1,
                    _ => return Err(Unreadable.into()),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Any value.
    pub fn value(&mut self) -> Result<Value> {
        match self.token()? {
            Token::Object => {
                let mut map = Map::new();
                self.object(|parser, key| {
                    map.insert(key.into(), parser.value()?);
                    Ok::<_, Unreadable>(())
                })?;
                Ok(Value::Object(map))
            }
            Token::Array => {
                let mut items = Vec::new();
                self.array(|parser, _| {
                    items.push(parser.value()?);
                    Ok::<_, Unreadable>(())
                })?;
                Ok(Value::Array(items))
            }
            Token::String => self.text().map(Value::from),
            Token::Number => number(self.number()?).map(Value::Number),
            token => {
                self.literal(token)?;
                Ok(if let Token::Bool(flag) = token { Value::Bool(flag) } else { Value::Null })
            }
        }
    }

    /// Reads a value and gives its own text.
    pub fn raw(&mut self) -> Result<&'a [u8]> {
        self.space();
        let start = self.at;
        self.skip()?;
        Ok(&self.text[start..self.at])
    }

    /// Reads a value and forgets it.
    pub fn skip(&mut self) -> Result<()> {
        match self.token()? {
            Token::Object => self.object(|parser, _| parser.skip()),
            Token::Array => self.array(|parser, _| parser.skip()),
            Token::String => self.skip_string(),
            Token::Number => self.number().map(|_| ()),
            token => self.literal(token),
        }
    }

    /// Passes over a value of a text that is known to be JSON: only strings and brackets are looked at.
    pub fn leap(&mut self) -> Result<()> {
        let mut open = 0_usize;
        loop {
            match self.byte().ok_or(Unreadable)? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                }
                b'}' | b']' if open == 0 => return Ok(()),
                b'}' | b']' => {
                    open -= 1;
                    self.at += 1;
                }
                b',' if open == 0 => return Ok(()),
                _ => self.at += 1,
            }
        }
    }

    /// A number's literal.
    pub fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(Unreadable),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        std::str::from_utf8(&self.text[start..self.at]).map_err(|_| Unreadable)
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Unreadable) }
    }

    /// A string, unescaped.
    pub fn string(&mut self) -> Result<String> {
        self.text().map(Cow::into_owned)
    }

    /// A string, unescaped; borrowed where it needs no change.
    pub fn text(&mut self) -> Result<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        match self.plain()? {
            b'"' => {
                let plain = &self.text[start..self.at];
                self.at += 1;
                Ok(match std::str::from_utf8(plain) {
                    Ok(text) => Cow::Borrowed(text),
                    Err(_) => String::from_utf8_lossy(plain),
                })
            }
            b'\\' => self.escaped(start).map(Cow::Owned),
            _ => Err(Unreadable),
        }
    }

    /// Passes over what is plain in a string. What ends it: a quote, a backslash, or what may not stand in a string.
    #[inline]
    fn plain(&mut self) -> Result<u8> {
        let rest = &self.text[self.at..];
        let at = rest.iter().position(|byte| ENDS[usize::from(*byte)]).ok_or(Unreadable)?;
        self.at += at;
        Ok(rest[at])
    }

    fn skip_string(&mut self) -> Result<()> {
        self.expect(b'"')?;
        loop {
            match self.plain()? {
                b'"' => break self.at += 1,
                b'\\' => drop(self.escape()?),
                _ => return Err(Unreadable),
            }
        }
        Ok(())
    }

    /// The rest of a string from its first backslash on.
    fn escaped(&mut self, start: usize) -> Result<String> {
        let mut out = self.text[start..self.at].to_vec();
        loop {
            match self.byte().ok_or(Unreadable)? {
                b'"' => {
                    self.at += 1;
                    return Ok(match String::from_utf8(out) {
                        Ok(text) => text,
                        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
                    });
                }
                b'\\' => {
                    let letter = self.escape()?;
                    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0..=0x1f => return Err(Unreadable),
                _ => {
                    let rest = &self.text[self.at..];
                    let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
                    let plain = &rest[..plain.unwrap_or(rest.len())];
                    out.extend_from_slice(plain);
                    self.at += plain.len();
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let kind = *self.text.get(self.at + 1).ok_or(Unreadable)?;
        self.at += 2;
        Ok(match kind {
            b'"' | b'\\' | b'/' => kind as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                self.surrogate(high)?
            }
            _ => return Err(Unreadable),
        })
    }

    /// Half a surrogate pair alone becomes U+FFFD, as in Go.
    fn surrogate(&mut self, high: u32) -> Result<char> {
        if !(0xd800..0xdc00).contains(&high) || !self.text[self.at..].starts_with(b"\\u") {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let back = self.at;
        self.at += 2;
        let low = self.hex()?;
        if (0xdc00..0xe000).contains(&low) {
            let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.at = back;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Unreadable)?;
        let mut code = 0;
        for digit in digits {
            code = code * 16 + (*digit as char).to_digit(16).ok_or(Unreadable)?;
        }
        self.at += 4;
        Ok(code)
    }
}

/// An integer where it fits 64 bits, else the nearest double.
pub fn number(literal: &str) -> Result<Number> {
    if let Ok(integer) = literal.parse::<i64>() {
        return Ok(integer.into());
    }
    let double: f64 = literal.parse().map_err(|_| Unreadable)?;
    Number::from_f64(double).ok_or(Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::model::value::json;

    #[test]
    fn reads_as_go_does() {
        let cases = [
            (r#" {"a": [1, -2.5e3, true, null, "x"]} "#, Some(json!({"a": [1, -2500.0, true, null, "x"]}))),
            (r#"{"a":1,"a":2}"#, Some(json!({"a": 2}))),
            (r#""\u00e9\ud83d\ude00\ud800x\n""#, Some(json!("é😀\u{fffd}x\n"))),
            ("9223372036854775808", Some(json!(9223372036854775808.0))),
            ("01", None),
            ("{\"a\":1,}", None),
            ("[1 2]", None),
            ("\"\t\"", None),
            ("1e999", None),
            ("nul", None),
            ("", None),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text.as_bytes()).ok(), value, "{text}");
        }
        assert_eq!(parse(b"\"a\xffb\""), Ok(json!("a\u{fffd}b")));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(deep(MAX_DEPTH).as_bytes()).is_ok());
        assert!(parse(deep(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}",:0-9a-z.eE+\\ -]{0,24}"#) {
            let ours = parse(text.as_bytes()).ok();
            let theirs = serde_json::from_str::<Value>(&text).ok();
            if ours.is_some() || theirs.as_ref().is_some_and(|v| !text.contains("\\u") && v != &Value::Null) {
                prop_assert_eq!(ours.map(|v| v.to_string()), theirs.map(|v| v.to_string()));
            }
        }
    }
}
