//! A place in a YAML text, and what kinds of letters stand there.

/// Counted in letters, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub index: usize,
    pub line: usize,
    pub column: usize,
}

/// What is wrong with a text. The line is the one that the error names; 0 when it names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub what: String,
    pub line: usize,
}

impl Problem {
    /// Of the grammar. It names the line before, as counting from 0 makes it.
    pub fn grammar(what: &str, mark: Mark) -> Self {
        Self { what: what.into(), line: mark.line }
    }

    pub fn plain(what: impl Into<String>) -> Self {
        Self { what: what.into(), line: 0 }
    }
}

pub type Result<T> = std::result::Result<T, Problem>;

/// Walks through a text letter by letter. Beyond its end stand zero bytes, which no YAML text contains.
pub struct Cursor<'t> {
    text: &'t str,
    at: usize,
    pub mark: Mark,
}

impl<'t> Cursor<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0, mark: Mark::default() }
    }

    #[inline]
    pub fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    #[inline]
    pub fn is(&self, byte: u8) -> bool {
        self.byte(0) == byte
    }

    /// Of the letters themselves. It names their line, unless it is the first.
    pub fn problem(&self, what: &str) -> Problem {
        Problem { what: what.into(), line: if self.mark.line == 0 { 0 } else { self.mark.line + 1 } }
    }

    #[inline]
    pub fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    #[inline]
    pub fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    #[inline]
    pub fn is_break(&self, ahead: usize) -> bool {
        match self.byte(ahead) {
            b'\r' | b'\n' => true,
            0xc2 => self.byte(ahead + 1) == 0x85,
            0xe2 => self.byte(ahead + 1) == 0x80 && matches!(self.byte(ahead + 2), 0xa8 | 0xa9),
            _ => false,
        }
    }

    /// A line break or the end.
    #[inline]
    pub fn is_breakz(&self, ahead: usize) -> bool {
        self.byte(ahead) == 0 || self.is_break(ahead)
    }

    /// A blank, a line break or the end.
    #[inline]
    pub fn is_blankz(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_breakz(ahead)
    }

    /// A letter, a digit, `_` or `-` of ASCII.
    #[inline]
    pub fn is_word(&self) -> bool {
        matches!(self.byte(0), b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'-')
    }

    /// `---` or `...` at the start of a line.
    pub fn is_document_mark(&self) -> bool {
        self.mark.column == 0
            && matches!(self.text.as_bytes().get(self.at..self.at + 3), Some(b"---" | b"..."))
            && self.is_blankz(3)
    }

    fn width(&self) -> usize {
        match self.byte(0) {
            0..=0x7f => 1,
            0x80..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0.. => 4,
        }
    }

    /// Passes one letter.
    #[inline]
    pub fn skip(&mut self) {
        self.at = (self.at + self.width()).min(self.text.len());
        self.mark.index += 1;
        self.mark.column += 1;
    }

    pub fn skip_many(&mut self, letters: usize) {
        (0..letters).for_each(|_| self.skip());
    }

    /// Passes and keeps one letter.
    #[inline]
    pub fn read(&mut self, into: &mut String) {
        let start = self.at;
        self.skip();
        into.push_str(&self.text[start..self.at]);
    }

    /// Passes a line break, of which a carriage return and a line feed are one.
    pub fn skip_line(&mut self) {
        if self.is(b'\r') && self.byte(1) == b'\n' {
            self.skip();
        }
        self.skip();
        self.mark.line += 1;
        self.mark.column = 0;
    }

    /// Passes a line break and keeps it: as a line feed, unless it separates lines or paragraphs of Unicode.
    pub fn read_line(&mut self, into: &mut String) {
        if self.is(0xe2) {
            self.read(into);
            self.mark.line += 1;
            self.mark.column = 0;
        } else if self.is_break(0) {
            self.skip_line();
            into.push('\n');
        }
    }

    pub fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.skip();
        }
    }

    /// Passes a comment, up to the end of the line.
    pub fn skip_comment(&mut self) {
        if self.is(b'#') {
            while !self.is_breakz(0) {
                self.skip();
            }
        }
    }
}

/// The text of a body: UTF-8, or UTF-16 when a byte order mark says so. Control characters are no text.
pub fn text(bytes: &[u8]) -> Result<String> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        _ => utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))?,
    };
    let allowed = |letter: char| matches!(letter, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(allowed) { Ok(text) } else { Err(Problem::plain("control characters are not allowed")) }
}

fn utf8(bytes: &[u8]) -> Result<String> {
    let Err(error) = std::str::from_utf8(bytes) else {
        return Ok(String::from_utf8_lossy(bytes).into_owned());
    };
    let rest = &bytes[error.valid_up_to()..];
    let width = match rest[0] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return Err(Problem::plain("invalid leading UTF-8 octet")),
    };
    if rest.len() < width {
        return Err(Problem::plain("incomplete UTF-8 octet sequence"));
    }
    if !rest[1..width].iter().all(|byte| byte & 0xc0 == 0x80) {
        return Err(Problem::plain("invalid trailing UTF-8 octet"));
    }
    let code = rest[1..width]
        .iter()
        .fold(u32::from(rest[0]) & (0x7f >> width), |code, byte| code << 6 | u32::from(byte & 0x3f));
    let least = [0x80, 0x800, 0x10000][width - 2];
    Err(Problem::plain(if code < least { "invalid length of a UTF-8 sequence" } else { "invalid Unicode character" }))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String> {
    if !bytes.len().is_multiple_of(2) {
        return Err(Problem::plain("incomplete UTF-16 character"));
    }
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).collect::<std::result::Result<_, _>>().map_err(|error| {
        let low = (0xdc00..0xe000).contains(&error.unpaired_surrogate());
        Problem::plain(if low { "unexpected low surrogate area" } else { "expected low surrogate area" })
    })
}
