//! The scanner's part for scalars: plain, in quotes, and as a block of lines.

use super::cursor::Result;
use super::scan::{Kind, Scanner};

/// White space within a scalar that goes over lines: one break is a space, more are breaks.
#[derive(Default)]
struct Folding {
    blanks: String,
    first: String,
    more: String,
    /// A line break has been passed.
    broken: bool,
}

impl Folding {
    /// Passes blanks and line breaks. What stands before the first letter of a line does not count.
    fn pass(&mut self, scanner: &mut Scanner<'_>) {
        if scanner.cursor.is_blank(0) {
            if self.broken {
                scanner.cursor.skip();
            } else {
                scanner.cursor.read(&mut self.blanks);
            }
        } else if self.broken {
            scanner.cursor.read_line(&mut self.more);
        } else {
            self.blanks.clear();
            scanner.cursor.read_line(&mut self.first);
            self.broken = true;
        }
    }

    /// Appends what the white space stands for.
    fn flush(&mut self, text: &mut String) {
        if !self.broken {
            text.push_str(&self.blanks);
            self.blanks.clear();
            return;
        }
        if self.first.starts_with('\n') && self.more.is_empty() {
            text.push(' ');
        } else {
            // A separator of Unicode, and a line break that others follow.
            if !self.first.starts_with('\n') {
                text.push_str(&self.first);
            }
            text.push_str(&self.more);
        }
        *self = Self::default();
    }
}

impl Scanner<'_> {
    pub(super) fn plain_scalar(&mut self) -> Result<()> {
        let (start, indent) = (self.cursor.mark, self.indent + 1);
        let (mut text, mut folding) = (String::new(), Folding::default());
        while !self.cursor.is_document_mark() && !self.cursor.is(b'#') {
            while !self.cursor.is_blankz(0) && !self.ends_plain() {
                folding.flush(&mut text);
                self.cursor.read(&mut text);
            }
            if !self.cursor.is_blank(0) && !self.cursor.is_break(0) {
                break;
            }
            while self.cursor.is_blank(0) || self.cursor.is_break(0) {
                let outside = (self.cursor.mark.column as isize) < indent;
                if folding.broken && outside && self.cursor.is(b'\t') {
                    return Err(self.cursor.problem("found a tab character that violates indentation"));
                }
                folding.pass(self);
            }
            if !self.in_flow() && (self.cursor.mark.column as isize) < indent {
                break;
            }
        }
        if folding.broken {
            self.key_allowed = true;
        }
        self.push(Kind::Scalar { text, plain: true }, start);
        Ok(())
    }

    fn ends_plain(&self) -> bool {
        match self.cursor.byte(0) {
            b':' => self.cursor.is_blankz(1),
            b',' | b'?' | b'[' | b']' | b'{' | b'}' => self.in_flow(),
            _ => false,
        }
    }

    pub(super) fn quoted_scalar(&mut self, single: bool) -> Result<()> {
        let start = self.cursor.mark;
        let (mut text, mut folding) = (String::new(), Folding::default());
        self.cursor.skip();
        loop {
            if self.cursor.is_document_mark() {
                return Err(self.cursor.problem("found unexpected document indicator"));
            }
            if self.cursor.at_end() {
                return Err(self.cursor.problem("found unexpected end of stream"));
            }
            while !self.cursor.is_blankz(0) {
                match (self.cursor.byte(0), self.cursor.byte(1)) {
                    (b'\'', b'\'') if single => {
                        text.push('\'');
                        self.cursor.skip_many(2);
                    }
                    (b'\'', _) if single => break,
                    (b'"', _) if !single => break,
                    (b'\\', _) if !single && self.cursor.is_break(1) => {
                        self.cursor.skip();
                        self.cursor.skip_line();
                        folding.broken = true;
                        break;
                    }
                    (b'\\', _) if !single => self.escape(&mut text)?,
                    _ => self.cursor.read(&mut text),
                }
            }
            if self.cursor.is(if single { b'\'' } else { b'"' }) {
                break;
            }
            // After a backslash at the end of a line nothing stands for the break.
            let escaped = folding.broken;
            while self.cursor.is_blank(0) || self.cursor.is_break(0) {
                folding.pass(self);
            }
            if escaped && folding.first.is_empty() {
                text.push_str(&folding.more);
                folding = Folding::default();
            } else {
                folding.flush(&mut text);
            }
        }
        self.cursor.skip();
        self.push(Kind::Scalar { text, plain: false }, start);
        Ok(())
    }

    fn escape(&mut self, text: &mut String) -> Result<()> {
        let digits = match self.cursor.byte(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            plain => {
                text.push(match plain {
                    b'0' => '\0',
                    b'a' => '\u{7}',
                    b'b' => '\u{8}',
                    b't' | b'\t' => '\t',
                    b'n' => '\n',
                    b'v' => '\u{b}',
                    b'f' => '\u{c}',
                    b'r' => '\r',
                    b'e' => '\u{1b}',
                    b' ' | b'"' | b'\'' | b'\\' => plain as char,
                    b'N' => '\u{85}',
                    b'_' => '\u{a0}',
                    b'L' => '\u{2028}',
                    b'P' => '\u{2029}',
                    _ => return Err(self.cursor.problem("found unknown escape character")),
                });
                self.cursor.skip_many(2);
                return Ok(());
            }
        };
        self.cursor.skip_many(2);
        let mut code = 0u32;
        for at in 0..digits {
            let digit = (self.cursor.byte(at) as char).to_digit(16);
            let digit = digit.ok_or_else(|| self.cursor.problem("did not find expected hexdecimal number"))?;
            code = code << 4 | digit;
        }
        let letter = char::from_u32(code);
        text.push(letter.ok_or_else(|| self.cursor.problem("found invalid Unicode character escape code"))?);
        self.cursor.skip_many(digits);
        Ok(())
    }

    /// `|` or `>`, how far it is indented, and whether line breaks at its end are kept.
    pub(super) fn block_scalar(&mut self, literal: bool) -> Result<()> {
        let start = self.cursor.mark;
        self.cursor.skip();
        let (mut keep, mut indented) = (None, None);
        for _ in 0..2 {
            match self.cursor.byte(0) {
                sign @ (b'+' | b'-') if keep.is_none() => keep = Some(sign == b'+'),
                b'0' if indented.is_none() => {
                    return Err(self.cursor.problem("found an indentation indicator equal to 0"));
                }
                digit @ b'1'..=b'9' if indented.is_none() => indented = Some(isize::from(digit - b'0')),
                _ => break,
            }
            self.cursor.skip();
        }
        self.cursor.skip_blanks();
        self.cursor.skip_comment();
        if !self.cursor.is_breakz(0) {
            return Err(self.cursor.problem("did not find expected comment or line break"));
        }
        if self.cursor.is_break(0) {
            self.cursor.skip_line();
        }
        let mut indent = indented.map_or(0, |by| self.indent.max(0) + by);
        let (mut text, mut first, mut more) = (String::new(), String::new(), String::new());
        self.block_breaks(&mut indent, &mut more)?;
        let mut after_blank = false;
        while self.cursor.mark.column as isize == indent && !self.cursor.at_end() {
            let blank = self.cursor.is_blank(0);
            // Folded are lines that do not begin with a blank.
            if !literal && first.starts_with('\n') && !after_blank && !blank {
                if more.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(&first);
            }
            text.push_str(&more);
            first.clear();
            more.clear();
            after_blank = blank;
            while !self.cursor.is_breakz(0) {
                self.cursor.read(&mut text);
            }
            self.cursor.read_line(&mut first);
            self.block_breaks(&mut indent, &mut more)?;
        }
        if keep != Some(false) {
            text.push_str(&first);
        }
        if keep == Some(true) {
            text.push_str(&more);
        }
        self.push(Kind::Scalar { text, plain: false }, start);
        Ok(())
    }

    /// Passes indentation and empty lines; finds how far the block is indented if that is not known (0).
    fn block_breaks(&mut self, indent: &mut isize, breaks: &mut String) -> Result<()> {
        let mut widest = 0;
        loop {
            let outside = |scanner: &Self| *indent == 0 || (scanner.cursor.mark.column as isize) < *indent;
            while outside(self) && self.cursor.is(b' ') {
                self.cursor.skip();
            }
            widest = widest.max(self.cursor.mark.column as isize);
            if outside(self) && self.cursor.is(b'\t') {
                return Err(self.cursor.problem("found a tab character where an indentation space is expected"));
            }
            if !self.cursor.is_break(0) {
                break;
            }
            self.cursor.read_line(breaks);
        }
        if *indent == 0 {
            *indent = widest.max(self.indent + 1).max(1);
        }
        Ok(())
    }
}
