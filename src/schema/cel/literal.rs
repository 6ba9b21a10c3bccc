//! What a literal of a CEL expression stands for.

use super::ast::Literal;

/// The number that a word means; `sign` when a minus stands before it.
pub fn int(word: &str, negative: bool) -> Option<Literal> {
    let sign = if negative { "-" } else { "" };
    let parsed = match word.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(&format!("{sign}{hex}"), 16),
        None => format!("{sign}{word}").parse(),
    };
    parsed.ok().map(Literal::Int)
}

/// With its `u`.
pub fn uint(word: &str) -> Option<Literal> {
    let word = &word[..word.len() - 1];
    let parsed = match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => word.parse(),
    };
    parsed.ok().map(Literal::Uint)
}

/// One too large for a double is none.
pub fn double(word: &str, negative: bool) -> Option<Literal> {
    let parsed: f64 = word.parse().ok()?;
    let value = if negative { -parsed } else { parsed };
    value.is_finite().then_some(Literal::Double(value))
}

/// The text within quotes, with its escapes resolved; the lexer has checked their form.
pub fn string(word: &str) -> Result<Literal, String> {
    let bytes = unescape(word, false)?;
    String::from_utf8(bytes)
        .map(|text| Literal::String(text.into()))
        .map_err(|_| "unable to unescape string".to_owned())
}

/// With its `b`.
pub fn bytes(word: &str) -> Result<Literal, String> {
    unescape(&word[1..], true).map(|bytes| Literal::Bytes(bytes.into()))
}

fn unescape(word: &str, is_bytes: bool) -> Result<Vec<u8>, String> {
    let word = word.replace("\r\n", "\n").replace('\r', "\n");
    let raw = word.starts_with(['r', 'R']);
    let quoted = if raw { &word[1..] } else { &word[..] };
    let quotes = if quoted.len() >= 6 && (quoted.starts_with("'''") || quoted.starts_with("\"\"\"")) { 3 } else { 1 };
    let body = &quoted[quotes..quoted.len() - quotes];
    if raw || !body.contains('\\') {
        return Ok(body.as_bytes().to_vec());
    }
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            push(&mut out, letter);
            continue;
        }
        match rest.next().unwrap_or('\\') {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            'x' | 'X' => code(&mut out, &mut rest, 2, 16, is_bytes)?,
            'u' | 'U' if is_bytes => return Err("unable to unescape string".to_owned()),
            'u' => code(&mut out, &mut rest, 4, 16, false)?,
            'U' => code(&mut out, &mut rest, 8, 16, false)?,
            digit @ '0'..='3' => {
                let mut digits = format!("{digit}{}", rest.as_str()).chars().take(3).collect::<String>();
                digits.truncate(3);
                rest.nth(1);
                code(&mut out, &mut digits.chars(), 3, 8, is_bytes)?;
            }
            other => push(&mut out, other),
        }
    }
    Ok(out)
}

fn code(
    out: &mut Vec<u8>,
    rest: &mut std::str::Chars<'_>,
    digits: usize,
    radix: u32,
    is_bytes: bool,
) -> Result<(), String> {
    let text: String = rest.take(digits).collect();
    let value = u32::from_str_radix(&text, radix).map_err(|_| "unable to unescape string".to_owned())?;
    if is_bytes {
        out.push(u8::try_from(value).unwrap_or(0));
        return Ok(());
    }
    let letter = char::from_u32(value).ok_or_else(|| "invalid unicode code point".to_owned())?;
    push(out, letter);
    Ok(())
}

fn push(out: &mut Vec<u8>, letter: char) {
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved() {
        let text = |word: &str| string(word).expect("a string");
        assert_eq!(text(r"'a\n\x41\u00fc\101\''"), Literal::String("a\nAüA'".into()));
        assert_eq!(text(r"r'\d'"), Literal::String("\\d".into()));
        assert_eq!(text("'''a'b'''"), Literal::String("a'b".into()));
        assert_eq!(bytes(r"b'\xff\377ü'"), Ok(Literal::Bytes([0xff, 0xff, 0xc3, 0xbc].as_slice().into())));
        assert_eq!(string(r"'\ud800'"), Err("invalid unicode code point".into()));
    }

    #[test]
    fn numbers() {
        assert_eq!(int("9223372036854775808", true), Some(Literal::Int(i64::MIN)));
        assert_eq!(int("9223372036854775808", false), None);
        assert_eq!(int("0xff", false), Some(Literal::Int(255)));
        assert_eq!(uint("7u"), Some(Literal::Uint(7)));
        assert_eq!(double("1e400", false), None);
    }
}
