//! Words of a CEL expression, by the lexer rules of cel-spec.

/// A word and where it stands, in code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub start: u32,
    pub end: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ident,
    /// In backquotes.
    Escaped,
    Int,
    Uint,
    Float,
    String,
    Bytes,
    In,
    True,
    False,
    Null,
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// Longer ones first.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":", "+", "*",
    "/", "%",
];

/// The text is no sequence of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWords;

/// The words of a text; the last is `End`.
pub fn tokens(text: &[char]) -> Result<Vec<Token>, NotWords> {
    let mut found = Vec::with_capacity(text.len() / 3 + 1);
    let mut at = 0;
    while let Some(letter) = text.get(at) {
        let start = at;
        if matches!(letter, ' ' | '\t' | '\r' | '\n' | '\u{c}') {
            at += 1;
            continue;
        }
        if text[at..].starts_with(&['/', '/']) {
            at += text[at..].iter().take_while(|c| **c != '\n').count();
            continue;
        }
        let kind = word(text, &mut at)?;
        found.push(Token { kind, start: start as u32, end: at as u32 });
    }
    found.push(Token { kind: Kind::End, start: at as u32, end: at as u32 });
    Ok(found)
}

fn word(text: &[char], at: &mut usize) -> Result<Kind, NotWords> {
    let rest = &text[*at..];
    if let Some((kind, length)) = string(rest).or_else(|| number(rest)) {
        *at += length;
        return Ok(kind);
    }
    if rest[0].is_ascii_alphabetic() || rest[0] == '_' {
        let length = rest.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').count();
        *at += length;
        return Ok(keyword(&rest[..length]));
    }
    if rest[0] == '`' {
        let inner = rest[1..].iter().take_while(|c| c.is_ascii_alphanumeric() || "_.-/ ".contains(**c)).count();
        if inner == 0 || rest.get(inner + 1) != Some(&'`') {
            return Err(NotWords);
        }
        *at += inner + 2;
        return Ok(Kind::Escaped);
    }
    let sign = SIGNS.iter().find(|sign| sign.chars().eq(rest.iter().copied().take(sign.len())));
    let sign = sign.ok_or(NotWords)?;
    *at += sign.len();
    Ok(Kind::Sign(sign))
}

fn keyword(word: &[char]) -> Kind {
    match word {
        ['i', 'n'] => Kind::In,
        ['t', 'r', 'u', 'e'] => Kind::True,
        ['f', 'a', 'l', 's', 'e'] => Kind::False,
        ['n', 'u', 'l', 'l'] => Kind::Null,
        _ => Kind::Ident,
    }
}

fn number(text: &[char]) -> Option<(Kind, usize)> {
    let digits = |from: usize| text[from.min(text.len())..].iter().take_while(|c| c.is_ascii_digit()).count();
    let unsigned = |end: usize| match text.get(end) {
        Some('u' | 'U') => (Kind::Uint, end + 1),
        _ => (Kind::Int, end),
    };
    if text.starts_with(&['0', 'x']) {
        let hex = text[2..].iter().take_while(|c| c.is_ascii_hexdigit()).count();
        if hex > 0 {
            return Some(unsigned(2 + hex));
        }
    }
    let whole = digits(0);
    let mut end = whole;
    let fraction = if text.get(whole) == Some(&'.') { digits(whole + 1) } else { 0 };
    if fraction > 0 {
        end += 1 + fraction;
    }
    if end == 0 {
        return None;
    }
    let mut is_float = fraction > 0;
    if matches!(text.get(end), Some('e' | 'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some('+' | '-')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
            is_float = true;
        }
    }
    Some(if is_float { (Kind::Float, end) } else { unsigned(end) })
}

/// A string or bytes with its prefix and quotes.
fn string(text: &[char]) -> Option<(Kind, usize)> {
    let bytes = matches!(text.first(), Some('b' | 'B'));
    let mut from = usize::from(bytes);
    let raw = matches!(text.get(from), Some('r' | 'R'));
    from += usize::from(raw);
    let quote = *text.get(from).filter(|c| matches!(c, '"' | '\''))?;
    let kind = if bytes { Kind::Bytes } else { Kind::String };
    let body = &text[from..];
    let length = match body.starts_with(&[quote; 3]) {
        true => closed(&body[3..], &[quote; 3], raw, true).map(|inner| inner + 6),
        false => None,
    };
    let length = length.or_else(|| closed(&body[1..], &[quote], raw, false).map(|inner| inner + 2))?;
    Some((kind, from + length))
}

/// The letters before the closing quotes.
fn closed(text: &[char], quotes: &[char], raw: bool, lines: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        if text[at..].starts_with(quotes) {
            return Some(at);
        }
        at += match text.get(at)? {
            '\n' | '\r' if !lines => return None,
            '\\' if !raw => escape(&text[at..])?,
            _ => 1,
        };
    }
}

/// The letters of an escape sequence.
fn escape(text: &[char]) -> Option<usize> {
    let all = |from: usize, count: usize, test: fn(&char) -> bool| {
        text.get(from..from + count).filter(|part| part.iter().all(test)).map(|_| from + count)
    };
    match text.get(1)? {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '`' | '?' | '\\' => Some(2),
        'x' | 'X' => all(2, 2, char::is_ascii_hexdigit),
        'u' => all(2, 4, char::is_ascii_hexdigit),
        'U' => all(2, 8, char::is_ascii_hexdigit),
        '0'..='3' => all(2, 2, |c| ('0'..='7').contains(c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let text: Vec<char> = text.chars().collect();
        let found = tokens(&text).expect("words");
        let show =
            |t: &Token| format!("{:?}:{}", t.kind, text[t.start as usize..t.end as usize].iter().collect::<String>());
        found.iter().map(show).collect()
    }

    #[test]
    fn words_of_a_text() {
        assert_eq!(
            words("self.a >= 1u && .5e3 in [0xFF, r'\\d', b\"x\"] // end"),
            [
                "Ident:self",
                "Sign(\".\"):.",
                "Ident:a",
                "Sign(\">=\"):>=",
                "Uint:1u",
                "Sign(\"&&\"):&&",
                "Float:.5e3",
                "In:in",
                "Sign(\"[\"):[",
                "Int:0xFF",
                "Sign(\",\"):,",
                "String:r'\\d'",
                "Sign(\",\"):,",
                "Bytes:b\"x\"",
                "Sign(\"]\"):]",
                "End:"
            ]
        );
    }

    #[test]
    fn strings_end_where_their_quotes_end() {
        assert_eq!(words(r#"'''a'b''' "" '\'' "#), ["String:'''a'b'''", "String:\"\"", "String:'\\''", "End:"]);
        for wrong in ["'a", "'\\q'", "a = b", "#", "\"a\nb\"", "a & b"] {
            assert_eq!(tokens(&wrong.chars().collect::<Vec<_>>()), Err(NotWords), "{wrong}");
        }
    }
}
