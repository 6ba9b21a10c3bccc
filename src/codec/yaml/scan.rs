//! A YAML 1.1 text to tokens. Whether something is a mapping's key shows only at the colon after it, so tokens wait until
//! that is known.

use std::collections::VecDeque;

use super::cursor::{Cursor, Mark, Problem, Result};

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub kind: Kind,
    pub start: Mark,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    StreamEnd,
    /// `%YAML 1.1`
    Version(u8, u8),
    /// `%TAG handle prefix`
    TagDirective(String, String),
    DocumentStart,
    DocumentEnd,
    SequenceStart,
    MappingStart,
    /// Of a block of lines.
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    /// `-`
    Entry,
    /// `,`
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    /// Handle and suffix.
    Tag(String, String),
    Scalar {
        text: String,
        plain: bool,
    },
}

/// Something that is a key if a colon follows.
#[derive(Clone, Copy, Debug, Default)]
struct SimpleKey {
    possible: bool,
    /// Nothing else can stand there.
    required: bool,
    /// Which token it begins with, counted from the first; further in it is a later one.
    token: usize,
    /// The collection in brackets that it would stand in has had a key, or might have.
    seen: bool,
    /// The token is given out without waiting for the colon.
    unawaited: bool,
    mark: Mark,
}

/// Letters that a key may have at most, so that waiting for its colon ends.
const KEY_LETTERS: usize = 1024;
/// Collections within one another at most, as stock has it.
const MAX_DEPTH: usize = 10_000;

/// Makes tokens as they are asked for.
pub struct Scanner<'t> {
    pub(super) cursor: Cursor<'t>,
    tokens: VecDeque<Token>,
    /// Tokens taken.
    taken: usize,
    /// The column of the block that is open; -1 outside of all.
    pub(super) indent: isize,
    indents: Vec<isize>,
    /// One for each collection in brackets, and one for all blocks.
    keys: Vec<SimpleKey>,
    pub(super) key_allowed: bool,
    ended: bool,
}

impl<'t> Scanner<'t> {
    pub fn new(text: &'t str) -> Self {
        Self {
            cursor: Cursor::new(text),
            tokens: VecDeque::new(),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            keys: vec![SimpleKey::default()],
            key_allowed: true,
            ended: false,
        }
    }

    /// Within brackets.
    pub(super) fn in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    /// The next token; at the end it is always [`Kind::StreamEnd`].
    pub fn peek(&mut self) -> Result<&Token> {
        while self.needs_more()? {
            self.fetch()?;
        }
        self.tokens.front().ok_or_else(|| Problem::plain("did not find expected <stream-start>"))
    }

    /// Takes the token that was peeked.
    pub fn take(&mut self) -> Result<Token> {
        self.peek()?;
        self.taken += 1;
        self.tokens.pop_front().ok_or_else(|| Problem::plain("did not find expected <stream-start>"))
    }

    /// Whether the first token might still get a key before it.
    fn needs_more(&mut self) -> Result<bool> {
        if self.tokens.is_empty() {
            return Ok(!self.ended);
        }
        match self.keys.binary_search_by_key(&self.taken, |key| key.token) {
            Ok(at) if self.keys[at].possible && !self.keys[at].unawaited => {
                Ok(self.is_still_possible(at)? && !self.ended)
            }
            _ => Ok(false),
        }
    }

    /// A key ends on its line and is not too long.
    fn is_still_possible(&mut self, at: usize) -> Result<bool> {
        let (key, here) = (self.keys[at], self.cursor.mark);
        if !key.possible {
            return Ok(false);
        }
        if key.mark.line < here.line || key.mark.index + KEY_LETTERS < here.index {
            if key.required {
                return Err(self.cursor.problem("could not find expected ':'"));
            }
            self.keys[at].possible = false;
        }
        Ok(self.keys[at].possible)
    }

    /// What begins here may be a key.
    fn save_key(&mut self) -> Result<()> {
        if !self.key_allowed {
            return Ok(());
        }
        let required = !self.in_flow() && self.indent == self.cursor.mark.column as isize;
        self.drop_key()?;
        let token = self.taken + self.tokens.len();
        if let Some(key) = self.keys.last_mut() {
            *key = SimpleKey { possible: true, required, token, seen: true, unawaited: false, mark: self.cursor.mark };
        }
        Ok(())
    }

    /// What might have been a key is none.
    fn drop_key(&mut self) -> Result<()> {
        match self.keys.last_mut() {
            Some(key) if key.possible && key.required => Err(self.cursor.problem("could not find expected ':'")),
            Some(key) => {
                key.possible = false;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn push(&mut self, kind: Kind, start: Mark) {
        self.tokens.push_back(Token { kind, start });
    }

    /// Takes an indicator of that many letters.
    fn indicator(&mut self, kind: Kind, letters: usize) {
        let start = self.cursor.mark;
        self.cursor.skip_many(letters);
        self.push(kind, start);
    }

    /// Opens a block at this column if it is further in; `before` is the token that it goes before.
    fn open_block(&mut self, mark: Mark, before: Option<usize>, kind: Kind) -> Result<()> {
        let column = mark.column as isize;
        if self.in_flow() || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > MAX_DEPTH {
            return Err(self.cursor.problem(&format!("exceeded max depth of {MAX_DEPTH}")));
        }
        self.insert(before, kind, mark);
        Ok(())
    }

    /// Puts a token before another, or behind all when that one was given out.
    fn insert(&mut self, before: Option<usize>, kind: Kind, start: Mark) {
        let at = before.and_then(|token| token.checked_sub(self.taken)).unwrap_or(self.tokens.len());
        self.tokens.insert(at.min(self.tokens.len()), Token { kind, start });
    }

    /// Closes the blocks that are further in than the column.
    fn close_blocks(&mut self, column: isize) {
        if self.in_flow() {
            return;
        }
        while self.indent > column {
            self.push(Kind::BlockEnd, self.cursor.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn fetch(&mut self) -> Result<()> {
        self.skip_to_token();
        self.close_blocks(self.cursor.mark.column as isize);
        let (first, blank) = (self.cursor.byte(0), self.cursor.is_blankz(1));
        let block = !self.in_flow();
        match first {
            0 => self.end(),
            b'%' if self.cursor.mark.column == 0 => {
                self.outside_blocks()?;
                self.directive()
            }
            b'-' | b'.' if self.cursor.is_document_mark() => {
                self.outside_blocks()?;
                self.indicator(if first == b'-' { Kind::DocumentStart } else { Kind::DocumentEnd }, 3);
                Ok(())
            }
            b'[' => self.open_flow(Kind::FlowSequenceStart),
            b'{' => self.open_flow(Kind::FlowMappingStart),
            b']' => self.close_flow(Kind::FlowSequenceEnd),
            b'}' => self.close_flow(Kind::FlowMappingEnd),
            b',' => {
                self.drop_key()?;
                self.key_allowed = true;
                self.indicator(Kind::FlowEntry, 1);
                Ok(())
            }
            b'-' if blank => self.entry(),
            b'?' if !block || blank => self.key(),
            b':' if !block || blank => self.value(),
            b'*' | b'&' => self.anchor(first),
            b'!' => self.node_part(Self::tag),
            b'|' | b'>' if block => {
                self.drop_key()?;
                self.key_allowed = true;
                self.block_scalar(first == b'|')
            }
            b'\'' | b'"' => self.node_part(|scanner| scanner.quoted_scalar(first == b'\'')),
            _ if self.begins_plain(first) => self.node_part(Self::plain_scalar),
            _ => Err(self.cursor.problem("found character that cannot start any token")),
        }
    }

    fn begins_plain(&self, first: u8) -> bool {
        match first {
            b'-' => !self.cursor.is_blank(1),
            b'?' | b':' => !self.in_flow() && !self.cursor.is_blankz(1),
            b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"' | b'%' | b'@'
            | b'`' => false,
            _ => !self.cursor.is_blankz(0),
        }
    }

    /// Something that may be a key, and after which no key can begin on the same line.
    fn node_part(&mut self, scan: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.save_key()?;
        self.key_allowed = false;
        scan(self)
    }

    fn skip_to_token(&mut self) {
        loop {
            if self.cursor.mark.column == 0 && [0, 1, 2].map(|k| self.cursor.byte(k)) == [0xef, 0xbb, 0xbf] {
                self.cursor.skip();
            }
            // A tab cannot stand where a key's column counts.
            while self.cursor.is(b' ') || (self.cursor.is(b'\t') && (self.in_flow() || !self.key_allowed)) {
                self.cursor.skip();
            }
            self.cursor.skip_comment();
            if !self.cursor.is_break(0) {
                return;
            }
            self.cursor.skip_line();
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    fn outside_blocks(&mut self) -> Result<()> {
        self.close_blocks(-1);
        self.drop_key()?;
        self.key_allowed = false;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.cursor.mark.column != 0 {
            self.cursor.mark.column = 0;
            self.cursor.mark.line += 1;
        }
        self.outside_blocks()?;
        self.push(Kind::StreamEnd, self.cursor.mark);
        self.ended = true;
        Ok(())
    }

    fn open_flow(&mut self, kind: Kind) -> Result<()> {
        self.save_key()?;
        let next = self.taken + self.tokens.len() + 1;
        self.keys.push(SimpleKey { token: next, ..SimpleKey::default() });
        if self.keys.len() > MAX_DEPTH {
            return Err(self.cursor.problem(&format!("exceeded max depth of {MAX_DEPTH}")));
        }
        self.key_allowed = true;
        self.indicator(kind, 1);
        Ok(())
    }

    fn close_flow(&mut self, kind: Kind) -> Result<()> {
        self.drop_key()?;
        if self.in_flow() {
            let inner = self.keys.pop().unwrap_or_default();
            // Stock forgets that brackets with nothing in them may be a key.
            if let (false, Some(key)) = (inner.seen, self.keys.last_mut()) {
                key.unawaited |= key.token + 1 == inner.token;
            }
        }
        self.key_allowed = false;
        self.indicator(kind, 1);
        Ok(())
    }

    fn entry(&mut self) -> Result<()> {
        if !self.in_flow() {
            if !self.key_allowed {
                return Err(self.cursor.problem("block sequence entries are not allowed in this context"));
            }
            self.open_block(self.cursor.mark, None, Kind::SequenceStart)?;
        }
        self.drop_key()?;
        self.key_allowed = true;
        self.indicator(Kind::Entry, 1);
        Ok(())
    }

    fn key(&mut self) -> Result<()> {
        if !self.in_flow() {
            if !self.key_allowed {
                return Err(self.cursor.problem("mapping keys are not allowed in this context"));
            }
            self.open_block(self.cursor.mark, None, Kind::MappingStart)?;
        }
        self.drop_key()?;
        self.key_allowed = !self.in_flow();
        self.indicator(Kind::Key, 1);
        Ok(())
    }

    fn value(&mut self) -> Result<()> {
        let last = self.keys.len() - 1;
        if self.is_still_possible(last)? {
            let key = self.keys[last];
            self.insert(Some(key.token), Kind::Key, key.mark);
            self.open_block(key.mark, Some(key.token), Kind::MappingStart)?;
            self.keys[last].possible = false;
            self.key_allowed = false;
        } else {
            if !self.in_flow() {
                if !self.key_allowed {
                    return Err(self.cursor.problem("mapping values are not allowed in this context"));
                }
                self.open_block(self.cursor.mark, None, Kind::MappingStart)?;
            }
            self.key_allowed = !self.in_flow();
        }
        self.indicator(Kind::Value, 1);
        Ok(())
    }

    /// `&name` or `*name`
    fn anchor(&mut self, first: u8) -> Result<()> {
        self.node_part(|scanner| {
            let (start, mut name) = (scanner.cursor.mark, String::new());
            scanner.cursor.skip();
            while scanner.cursor.is_word() {
                scanner.cursor.read(&mut name);
            }
            let ends = scanner.cursor.is_blankz(0)
                || matches!(scanner.cursor.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
            if name.is_empty() || !ends {
                return Err(scanner.cursor.problem("did not find expected alphabetic or numeric character"));
            }
            scanner.push(if first == b'&' { Kind::Anchor(name) } else { Kind::Alias(name) }, start);
            Ok(())
        })
    }

    fn directive(&mut self) -> Result<()> {
        let start = self.cursor.mark;
        let mut name = String::new();
        self.cursor.skip();
        while self.cursor.is_word() {
            self.cursor.read(&mut name);
        }
        if name.is_empty() {
            return Err(self.cursor.problem("could not find expected directive name"));
        }
        if !self.cursor.is_blankz(0) {
            return Err(self.cursor.problem("found unexpected non-alphabetical character"));
        }
        let kind = match name.as_str() {
            "YAML" => self.version()?,
            "TAG" => self.tag_directive()?,
            _ => return Err(self.cursor.problem("found unknown directive name")),
        };
        self.cursor.skip_blanks();
        self.cursor.skip_comment();
        if !self.cursor.is_breakz(0) {
            return Err(self.cursor.problem("did not find expected comment or line break"));
        }
        if self.cursor.is_break(0) {
            self.cursor.skip_line();
        }
        self.push(kind, start);
        Ok(())
    }

    fn version(&mut self) -> Result<Kind> {
        self.cursor.skip_blanks();
        let major = self.version_number()?;
        if !self.cursor.is(b'.') {
            return Err(self.cursor.problem("did not find expected digit or '.' character"));
        }
        self.cursor.skip();
        Ok(Kind::Version(major, self.version_number()?))
    }

    fn version_number(&mut self) -> Result<u8> {
        let mut digits = String::new();
        while self.cursor.byte(0).is_ascii_digit() {
            if digits.len() == 2 {
                return Err(self.cursor.problem("found extremely long version number"));
            }
            self.cursor.read(&mut digits);
        }
        digits.parse().map_err(|_| self.cursor.problem("did not find expected version number"))
    }

    fn tag_directive(&mut self) -> Result<Kind> {
        self.cursor.skip_blanks();
        let handle = self.tag_handle(true)?;
        if !self.cursor.is_blank(0) {
            return Err(self.cursor.problem("did not find expected whitespace"));
        }
        self.cursor.skip_blanks();
        let prefix = self.tag_uri("")?;
        if !self.cursor.is_blankz(0) {
            return Err(self.cursor.problem("did not find expected whitespace or line break"));
        }
        Ok(Kind::TagDirective(handle, prefix))
    }

    /// `!<uri>`, `!suffix`, `!!suffix`, `!handle!suffix` or `!`
    fn tag(&mut self) -> Result<()> {
        let start = self.cursor.mark;
        let (handle, suffix) = if self.cursor.byte(1) == b'<' {
            self.cursor.skip_many(2);
            let uri = self.tag_uri("")?;
            if !self.cursor.is(b'>') {
                return Err(self.cursor.problem("did not find the expected '>'"));
            }
            self.cursor.skip();
            (String::new(), uri)
        } else {
            let handle = self.tag_handle(false)?;
            if handle.len() > 1 && handle.ends_with('!') {
                let suffix = self.tag_uri("")?;
                (handle, suffix)
            } else {
                // What was taken for a handle is the start of a suffix; a mark alone is the whole tag.
                match self.tag_uri(&handle)? {
                    suffix if suffix.is_empty() => (suffix, "!".into()),
                    suffix => ("!".into(), suffix),
                }
            }
        };
        if !self.cursor.is_blankz(0) {
            return Err(self.cursor.problem("did not find expected whitespace or line break"));
        }
        self.push(Kind::Tag(handle, suffix), start);
        Ok(())
    }

    fn tag_handle(&mut self, directive: bool) -> Result<String> {
        let mut handle = String::new();
        if !self.cursor.is(b'!') {
            return Err(self.cursor.problem("did not find expected '!'"));
        }
        self.cursor.read(&mut handle);
        while self.cursor.is_word() {
            self.cursor.read(&mut handle);
        }
        if self.cursor.is(b'!') {
            self.cursor.read(&mut handle);
        } else if directive && handle != "!" {
            return Err(self.cursor.problem("did not find expected '!'"));
        }
        Ok(handle)
    }

    /// `head` is what of it was read already, with a mark before it.
    fn tag_uri(&mut self, head: &str) -> Result<String> {
        let mut uri: Vec<u8> = head.bytes().skip(1).collect();
        let mut any = !head.is_empty();
        while self.cursor.is_word() || b";/?:@&=+$,.!~*'()[]%".contains(&self.cursor.byte(0)) {
            any = true;
            if self.cursor.is(b'%') {
                self.uri_escape(&mut uri)?;
            } else {
                uri.push(self.cursor.byte(0));
                self.cursor.skip();
            }
        }
        if !any {
            return Err(self.cursor.problem("did not find expected tag URI"));
        }
        Ok(String::from_utf8_lossy(&uri).into_owned())
    }

    /// The bytes of one letter, each as `%xx`.
    fn uri_escape(&mut self, uri: &mut Vec<u8>) -> Result<()> {
        let mut left = None;
        while left != Some(0) {
            let digit = |cursor: &Cursor<'_>, at| (cursor.byte(at) as char).to_digit(16);
            let (Some(high), Some(low), true) = (digit(&self.cursor, 1), digit(&self.cursor, 2), self.cursor.is(b'%'))
            else {
                return Err(self.cursor.problem("did not find URI escaped octet"));
            };
            let octet = (high * 16 + low) as u8;
            left = Some(match (left, octet) {
                (None, 0..=0x7f) => 0,
                (None, 0xc0..=0xdf) => 1,
                (None, 0xe0..=0xef) => 2,
                (None, 0xf0..=0xf7) => 3,
                (None, _) => return Err(self.cursor.problem("found an incorrect leading UTF-8 octet")),
                (Some(left), 0x80..=0xbf) => left - 1,
                (Some(_), _) => return Err(self.cursor.problem("found an incorrect trailing UTF-8 octet")),
            });
            uri.push(octet);
            self.cursor.skip_many(3);
        }
        Ok(())
    }
}
