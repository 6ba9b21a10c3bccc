//! What is wrong with a JSON text, in the words of Go's scanner. Slow and only used when parsing has failed.

use crate::model::gotext;

/// The deepest nesting that stock's scanner takes.
const STOCK_MAX_DEPTH: usize = 10_000;

/// Why the text is no JSON; `None` when the scanner finds nothing wrong.
pub fn explain(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { text, at: 0, nesting: Vec::new() };
    scanner.run().err()
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    nesting: Vec<Within>,
}

/// What encloses the place, and what may come next in it.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    ObjectKey,
    ObjectValue,
    Array,
}

type Scan = Result<(), String>;

impl Scanner<'_> {
    fn run(&mut self) -> Scan {
        self.space();
        self.value("looking for beginning of value")?;
        loop {
            self.space();
            match self.nesting.last().copied() {
                None => break,
                Some(Within::ObjectKey) => self.after_key()?,
                Some(Within::ObjectValue) => self.after_member()?,
                Some(Within::Array) => self.after_item()?,
            }
        }
        match self.byte() {
            None => Ok(()),
            Some(_) => self.invalid("after top-level value"),
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    fn invalid(&self, context: &str) -> Scan {
        match self.byte() {
            Some(byte) => Err(format!("invalid character {} {context}", letter(byte))),
            None => Err("unexpected end of JSON input".into()),
        }
    }

    fn push(&mut self, within: Within) -> Scan {
        self.at += 1;
        self.nesting.push(within);
        if self.nesting.len() > STOCK_MAX_DEPTH.min(super::MAX_DEPTH) {
            return Err("exceeded max depth".into());
        }
        Ok(())
    }

    /// Reads a scalar, or steps into an object or array.
    fn value(&mut self, context: &str) -> Scan {
        match self.byte() {
            Some(b'{') => {
                self.push(Within::ObjectKey)?;
                self.space();
                if self.byte() == Some(b'}') {
                    self.close()
                } else {
                    self.key("looking for beginning of object key string")
                }
            }
            Some(b'[') => {
                self.push(Within::Array)?;
                self.space();
                if self.byte() == Some(b']') { self.close() } else { self.value("looking for beginning of value") }
            }
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.invalid(context),
        }
    }

    fn close(&mut self) -> Scan {
        self.at += 1;
        self.nesting.pop();
        Ok(())
    }

    fn key(&mut self, context: &str) -> Scan {
        if self.byte() != Some(b'"') {
            return self.invalid(context);
        }
        self.string()
    }

    fn after_key(&mut self) -> Scan {
        if self.byte() != Some(b':') {
            return self.invalid("after object key");
        }
        self.at += 1;
        if let Some(within) = self.nesting.last_mut() {
            *within = Within::ObjectValue;
        }
        self.space();
        self.value("looking for beginning of value")
    }

    fn after_member(&mut self) -> Scan {
        match self.byte() {
            Some(b',') => {
                self.at += 1;
                if let Some(within) = self.nesting.last_mut() {
                    *within = Within::ObjectKey;
                }
                self.space();
                self.key("looking for beginning of object key string")
            }
            Some(b'}') => self.close(),
            _ => self.invalid("after object key:value pair"),
        }
    }

    fn after_item(&mut self) -> Scan {
        match self.byte() {
            Some(b',') => {
                self.at += 1;
                self.space();
                self.value("looking for beginning of value")
            }
            Some(b']') => self.close(),
            _ => self.invalid("after array element"),
        }
    }

    fn string(&mut self) -> Scan {
        self.at += 1;
        loop {
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    match self.byte() {
                        Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => {}
                        Some(b'u') => {
                            for _ in 0..4 {
                                self.at += 1;
                                if !self.byte().is_some_and(|b| b.is_ascii_hexdigit()) {
                                    return self.invalid("in \\u hexadecimal character escape");
                                }
                            }
                        }
                        _ => return self.invalid("in string escape code"),
                    }
                }
                Some(0..=0x1f) | None => return self.invalid("in string literal"),
                Some(_) => {}
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Scan {
        if self.byte() == Some(b'-') {
            self.at += 1;
            if !self.byte().is_some_and(|b| b.is_ascii_digit()) {
                return self.invalid("in numeric literal");
            }
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits();
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            if !self.byte().is_some_and(|b| b.is_ascii_digit()) {
                return self.invalid("after decimal point in numeric literal");
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            if !self.byte().is_some_and(|b| b.is_ascii_digit()) {
                return self.invalid("in exponent of numeric literal");
            }
            self.digits();
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> Scan {
        for expected in word.bytes() {
            if self.byte() != Some(expected) {
                let expected = expected as char;
                return self.invalid(&format!("in literal {word} (expecting '{expected}')"));
            }
            self.at += 1;
        }
        Ok(())
    }
}

/// A byte as Go quotes it: `'x'`, bytes beyond ASCII as Latin-1.
fn letter(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".into(),
        b'"' => "'\"'".into(),
        other => {
            let quoted = gotext::quote(&(other as char).to_string());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_gos() {
        let cases = [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("{a", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("nuul", "invalid character 'u' in literal null (expecting 'l')"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("\"\\q\"", "invalid character 'q' in string escape code"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
            ("'", "invalid character '\\'' looking for beginning of value"),
        ];
        for (text, error) in cases {
            assert_eq!(explain(text.as_bytes()).as_deref(), Some(error), "{text}");
        }
        assert_eq!(explain(br#" {"a": [1, {"b": null}]} "#), None);
    }
}
