//! What strict decoding has against a patch: fields that come more than once, in the words of stock's decoder.

use std::collections::HashSet;

use crate::codec::json::parse::{Parser, Token, Unreadable};
use crate::codec::json::syntax;
use crate::model::gotext;

/// Notes kept at most.
const MAX_NOTES: usize = 100;

/// A JSON text being read for its notes.
#[derive(Default)]
pub struct Notes {
    path: String,
    pub notes: Vec<String>,
}

impl Notes {
    /// Reads a value, to note what comes more than once in it.
    pub fn value(&mut self, parser: &mut Parser<'_>) -> Result<(), Unreadable> {
        match parser.token()? {
            Token::Object => {
                let mut seen = HashSet::new();
                parser.object(|parser, key| {
                    self.within_key(&key.clone(), |notes| {
                        notes.once(&mut seen, key.into_owned());
                        notes.value(parser)
                    })
                })
            }
            Token::Array => parser.array(|parser, index| self.within_index(index, |notes| notes.value(parser))),
            _ => parser.skip(),
        }
    }

    pub fn within_key<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        if before > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        let outcome = read(self);
        self.path.truncate(before);
        outcome
    }

    pub fn within_index<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        self.path.push_str(&format!("[{index}]"));
        let outcome = read(self);
        self.path.truncate(before);
        outcome
    }

    /// Notes the place if its key was seen before.
    pub fn once(&mut self, seen: &mut HashSet<String>, key: String) {
        if !seen.insert(key) {
            self.note("duplicate");
        }
    }

    pub fn note(&mut self, what: &str) {
        let note = format!("{what} field {}", gotext::quote(&self.path));
        if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Why the text is not read: its syntax, or a value of a wrong type.
pub fn explain(text: &[u8], wrong_type: Option<String>) -> String {
    syntax::explain(text).or(wrong_type).unwrap_or_else(|| "json: number out of range".into())
}
