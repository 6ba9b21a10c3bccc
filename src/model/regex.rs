//! Regular expressions as Go's `regexp` package reads them, run by the `regex` crate.
//!
//! Both are of the RE2 family. The differences are told apart here: Go's `\d`, `\w`, `\s` and `\b` know ASCII only,
//! `[` and `&&` mean nothing within a class, and errors have Go's words.

use regex::{Regex, RegexBuilder};

/// Of a repetition.
const MOST_REPEATS: u32 = 1000;
/// Of nested groups.
const MOST_DEPTH: usize = 1000;
/// Of a compiled program, in bytes.
const MOST_BYTES: usize = 1 << 21;

/// Compiles; the error is Go's whole text.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let translated = translate(pattern).map_err(|error| format!("error parsing regexp: {error}"))?;
    RegexBuilder::new(&translated)
        .size_limit(MOST_BYTES)
        .nest_limit(250)
        .build()
        .map_err(|_| format!("error parsing regexp: expression too large: `{pattern}`"))
}

/// The same expression in the syntax of the `regex` crate.
fn translate(pattern: &str) -> Result<String, String> {
    let mut reader = Reader { pattern, at: 0, out: String::with_capacity(pattern.len() + 8), depth: 0 };
    reader.read()?;
    Ok(reader.out)
}

struct Reader<'a> {
    pattern: &'a str,
    at: usize,
    out: String,
    depth: usize,
}

/// What stands before a repetition operator.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    Something,
    /// A repetition that begins here.
    Repeat(usize),
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn read(&mut self) -> Result<(), String> {
        let mut before = Before::Nothing;
        while let Some(letter) = self.peek() {
            let start = self.at;
            match letter {
                '(' => {
                    before = Before::Nothing;
                    if self.group()? {
                        before = Before::Something;
                    }
                }
                ')' => {
                    self.depth =
                        self.depth.checked_sub(1).ok_or_else(|| format!("unexpected ): `{}`", self.pattern))?;
                    self.copy();
                    before = Before::Something;
                }
                '|' => {
                    self.copy();
                    before = Before::Nothing;
                }
                '*' | '+' | '?' => {
                    self.copy();
                    before = self.repeated(before, start)?;
                }
                '{' => match counts(self.rest())? {
                    Some(length) => {
                        self.at += length;
                        self.out.push_str(&self.pattern[start..self.at]);
                        before = self.repeated(before, start)?;
                    }
                    None => {
                        self.next();
                        self.out.push_str("\\{");
                        before = Before::Something;
                    }
                },
                '}' | ']' => {
                    self.next();
                    self.out.push('\\');
                    self.out.push(letter);
                    before = Before::Something;
                }
                '[' => {
                    self.class()?;
                    before = Before::Something;
                }
                '\\' => {
                    self.escape()?;
                    before = Before::Something;
                }
                _ => {
                    self.copy();
                    before = Before::Something;
                }
            }
        }
        if self.depth > 0 { Err(format!("missing closing ): `{}`", self.pattern)) } else { Ok(()) }
    }

    fn copy(&mut self) {
        let letter = self.next();
        self.out.extend(letter);
    }

    /// After a repetition operator that begins at `start`.
    fn repeated(&mut self, before: Before, start: usize) -> Result<Before, String> {
        if self.peek() == Some('?') {
            self.copy();
        }
        match before {
            Before::Nothing => {
                Err(format!("missing argument to repetition operator: `{}`", &self.pattern[start..self.at]))
            }
            Before::Repeat(first) => {
                Err(format!("invalid nested repetition operator: `{}`", &self.pattern[first..self.at]))
            }
            Before::Something => Ok(Before::Repeat(start)),
        }
    }

    /// True when it was only flags, `(?i)`.
    fn group(&mut self) -> Result<bool, String> {
        let rest = self.rest();
        let Some(special) = rest.strip_prefix("(?") else {
            self.enter()?;
            self.copy();
            return Ok(false);
        };
        let named = special.strip_prefix("P<").or_else(|| special.strip_prefix('<'));
        if let Some(name) = named {
            let Some(end) = name.find('>') else { return Err(format!("invalid named capture: `{rest}`")) };
            let length = rest.len() - name.len() + end + 1;
            let name = &name[..end];
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("invalid named capture: `{}`", &rest[..length]));
            }
            // A name may begin with a digit in Go; nobody asks for groups by name.
            self.out.push('(');
            self.at += length;
            self.enter()?;
            return Ok(false);
        }
        let end = special.find([':', ')']).unwrap_or(special.len());
        let flags = &special[..end];
        let bad = flags.char_indices().find(|(_, c)| !"imsU-".contains(*c));
        let negations = flags.matches('-').count();
        if let Some((at, letter)) = bad {
            let shown = &rest[..2 + at + letter.len_utf8()];
            return Err(format!("invalid or unsupported Perl syntax: `{shown}`"));
        }
        if end == special.len() || negations > 1 || flags.ends_with('-') {
            let shown = &rest[..(2 + end + 1).min(rest.len())];
            let missing = end == special.len() && negations <= 1;
            return Err(match missing {
                true => format!("missing closing ): `{}`", self.pattern),
                false => format!("invalid or unsupported Perl syntax: `{shown}`"),
            });
        }
        let closes = special.as_bytes()[end] == b')';
        self.at += 2 + end + 1;
        match (flags.is_empty(), closes) {
            (true, true) => {}
            _ => self.out.push_str(&rest[..2 + end + 1]),
        }
        if !closes {
            self.enter()?;
        }
        Ok(closes)
    }

    fn enter(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(format!("expression nests too deeply: `{}`", self.pattern));
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let start = self.at;
        self.next();
        let Some(letter) = self.next() else {
            return Err("trailing backslash at end of expression: ``".to_owned());
        };
        let text = match letter {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            's' => "[\\t\\n\\x0C\\r ]",
            'S' => "[^\\t\\n\\x0C\\r ]",
            'b' => "(?-u:\\b)",
            'B' => "(?-u:\\B)",
            'A' => "\\A",
            'z' => "\\z",
            'C' => return Err("invalid escape sequence: `\\C`".to_owned()),
            'Q' => {
                let rest = self.rest();
                let length = rest.find("\\E").unwrap_or(rest.len());
                self.out.push_str(&regex::escape(&rest[..length]));
                self.at += (length + 2).min(rest.len());
                return Ok(());
            }
            'p' | 'P' => return self.property(start),
            _ => {
                self.at = start;
                let letter = self.letter()?;
                self.out.push_str(&literal(letter));
                return Ok(());
            }
        };
        self.out.push_str(text);
        Ok(())
    }

    /// `\pL` or `\p{Greek}`.
    fn property(&mut self, start: usize) -> Result<(), String> {
        let rest = self.rest();
        let length = match rest.chars().next() {
            Some('{') => rest.find('}').map(|end| end + 1),
            Some(letter) => Some(letter.len_utf8()),
            None => None,
        };
        let Some(length) = length else {
            return Err(format!("invalid character class range: `{}`", &self.pattern[start..]));
        };
        self.at += length;
        let text = &self.pattern[start..self.at];
        let text = text.replace("{^", "{");
        let negated = self.pattern[start..self.at].contains("{^");
        let text = if negated { text.replacen("\\p", "\\P", 1) } else { text };
        if regex::Regex::new(&text).is_err() {
            return Err(format!("invalid character class range: `{}`", &self.pattern[start..self.at]));
        }
        self.out.push_str(&text);
        Ok(())
    }

    /// A letter, escaped or not.
    fn letter(&mut self) -> Result<char, String> {
        let start = self.at;
        let first = self.next().unwrap_or('\\');
        if first != '\\' {
            return Ok(first);
        }
        let Some(letter) = self.next() else {
            return Err("trailing backslash at end of expression: ``".to_owned());
        };
        let invalid = |end: usize| format!("invalid escape sequence: `{}`", &self.pattern[start..end]);
        Ok(match letter {
            'a' => '\u{7}',
            'f' => '\u{c}',
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'v' => '\u{b}',
            'x' => return self.hex(start),
            '0'..='7' => {
                let octal = |c: &char| ('0'..='7').contains(c);
                if letter != '0' && !self.peek().as_ref().is_some_and(octal) {
                    return Err(invalid(self.at));
                }
                let mut value = letter.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().filter(octal) else { break };
                    value = value * 8 + digit.to_digit(8).unwrap_or(0);
                    self.next();
                }
                char::from_u32(value).unwrap_or('\0')
            }
            other if other.is_ascii_alphanumeric() || !other.is_ascii() => return Err(invalid(self.at)),
            other => other,
        })
    }

    fn hex(&mut self, start: usize) -> Result<char, String> {
        let rest = self.rest();
        let (digits, length) = match rest.strip_prefix('{') {
            Some(inner) => match inner.find('}') {
                Some(end) => (&inner[..end], end + 2),
                None => (inner, rest.len()),
            },
            None => {
                let length = rest.char_indices().nth(2).map_or(rest.len(), |(at, _)| at);
                (&rest[..length], length)
            }
        };
        let closed = !rest.starts_with('{') || rest.contains('}');
        let wide_enough = rest.starts_with('{') || digits.len() == 2;
        let value = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        match value.filter(|_| closed && wide_enough && digits.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(letter) => {
                self.at += length;
                Ok(letter)
            }
            None => {
                let end = (self.at + length).min(self.pattern.len());
                Err(format!("invalid escape sequence: `{}`", &self.pattern[start..end]))
            }
        }
    }

    fn class(&mut self) -> Result<(), String> {
        let start = self.at;
        self.copy();
        if self.peek() == Some('^') {
            self.copy();
        }
        let mut first = true;
        loop {
            match self.peek() {
                None => return Err(format!("missing closing ]: `{}`", &self.pattern[start..])),
                Some(']') if !first => break,
                _ => {}
            }
            first = false;
            if !self.class_name()? {
                self.range()?;
            }
        }
        self.copy();
        Ok(())
    }

    /// `[:alpha:]`, `\d`, `\pL`.
    fn class_name(&mut self) -> Result<bool, String> {
        let rest = self.rest();
        if rest.starts_with("[:")
            && let Some(end) = rest.find(":]")
        {
            let name = &rest[..end + 2];
            if regex::Regex::new(&format!("[{name}]")).is_err() {
                return Err(format!("invalid character class range: `{name}`"));
            }
            self.out.push_str(name);
            self.at += name.len();
            return Ok(true);
        }
        let text = match rest.get(..2) {
            Some("\\d") => "0-9",
            Some("\\D") => "[^0-9]",
            Some("\\w") => "0-9A-Za-z_",
            Some("\\W") => "[^0-9A-Za-z_]",
            Some("\\s") => "\\t\\n\\x0C\\r ",
            Some("\\S") => "[^\\t\\n\\x0C\\r ]",
            Some("\\p" | "\\P") => {
                let start = self.at;
                self.at += 2;
                self.property(start)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.out.push_str(text);
        self.at += 2;
        Ok(true)
    }

    fn range(&mut self) -> Result<(), String> {
        let start = self.at;
        let low = self.letter()?;
        self.out.push_str(&literal(low));
        let rest = self.rest();
        if !rest.starts_with('-') || rest.starts_with("-]") || rest.len() == 1 {
            return Ok(());
        }
        self.next();
        let high = self.letter()?;
        if high < low {
            return Err(format!("invalid character class range: `{}`", &self.pattern[start..self.at]));
        }
        self.out.push('-');
        self.out.push_str(&literal(high));
        Ok(())
    }
}

/// A letter that stands for itself, within a class or not.
fn literal(letter: char) -> String {
    match letter {
        letter if letter.is_ascii_punctuation() && letter != '<' && letter != '>' => format!("\\{letter}"),
        letter if letter.is_control() => format!("\\x{{{:x}}}", letter as u32),
        letter => letter.to_string(),
    }
}

/// The length of `{2}`, `{2,}` or `{2,3}` if the text begins with one.
fn counts(text: &str) -> Result<Option<usize>, String> {
    let Some(end) = text.find('}') else { return Ok(None) };
    let inner = &text[1..end];
    let (low, high) = inner.split_once(',').map_or((inner, None), |(low, high)| (low, Some(high)));
    let is_count = |digits: &str| {
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'))
    };
    if !is_count(low) || !high.is_none_or(|high| high.is_empty() || is_count(high)) {
        return Ok(None);
    }
    let number = |digits: &str| digits.parse::<u32>().unwrap_or(u32::MAX);
    let (least, most) = (number(low), high.filter(|high| !high.is_empty()).map(number));
    let whole = &text[..=end];
    if least > MOST_REPEATS || most.is_some_and(|most| most > MOST_REPEATS || most < least) {
        return Err(format!("invalid repeat count: `{whole}`"));
    }
    Ok(Some(whole.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, found) in [
            (r"^\d+$", "123", true),
            (r"^\d+$", "١٢٣", false),
            (r"^[\w.-]+$", "a_b.c-d", true),
            (r"^[0-9a-z-.]+$", "a-9.b", true),
            (r"^[[:alpha:]\s]+$", "a b", true),
            (r"^[a-z&&]+$", "a&&b", true),
            (r"^(?i)ABC$", "abc", true),
            (r"^(?P<x>a)(?:b)$", "ab", true),
            (r"\Qa.b\E", "a.b", true),
            (r"^\x41{2}$", "AA", true),
            (r"a{,2}", "a{,2}", true),
            (r"^]$", "]", true),
            (r"^[]a]$", "]", true),
            (r"^[^/]+/[^/]+$", "a/b", true),
            (r"\ba\b", "é a", true),
        ] {
            assert_eq!(compile(pattern).map(|regex| regex.is_match(text)), Ok(found), "{pattern}");
        }
    }

    #[test]
    fn errors_have_gos_words() {
        for (pattern, text) in [
            ("[", "missing closing ]: `[`"),
            ("a(b", "missing closing ): `a(b`"),
            ("a)b", "unexpected ): `a)b`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            (r"\8", r"invalid escape sequence: `\8`"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("a\\", "trailing backslash at end of expression: ``"),
            ("(?P<n", "invalid named capture: `(?P<n`"),
        ] {
            let error = compile(pattern).map(drop).expect_err(pattern);
            assert_eq!(error, format!("error parsing regexp: {text}"));
        }
    }
}
