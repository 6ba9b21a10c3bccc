//! What a plain scalar is: YAML 1.1's words and numbers as stock's reader takes them.

/// A scalar's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// Beyond 64 bits with a sign.
    Big(u64),
    Float(f64),
    /// It looks like a time and is read as a text.
    Time,
    Text,
}

/// YAML's own tags, without `tag:yaml.org,2002:`.
impl Scalar {
    pub fn tag(&self) -> &'static str {
        match self {
            Scalar::Null => "null",
            Scalar::Bool(_) => "bool",
            Scalar::Int(_) | Scalar::Big(_) => "int",
            Scalar::Float(_) => "float",
            Scalar::Time => "timestamp",
            Scalar::Text => "str",
        }
    }
}

/// What the text is when nothing else tells. With `times` it may be a time.
pub fn resolve(text: &str, times: bool) -> Scalar {
    if let Some(word) = word(text) {
        return word;
    }
    match text.as_bytes().first() {
        Some(b'.') => fraction(text).map_or(Scalar::Text, Scalar::Float),
        Some(b'+' | b'-' | b'0'..=b'9') if times && is_time(text) => Scalar::Time,
        Some(b'+' | b'-' | b'0'..=b'9') => number(&text.replace('_', "")),
        _ => Scalar::Text,
    }
}

fn word(text: &str) -> Option<Scalar> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

/// `.5`, `.5e3`, `.1_000`; what is too large is none.
fn fraction(text: &str) -> Option<f64> {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let misplaced = |at: usize| !digit(bytes.get(at.wrapping_sub(1))) || !digit(bytes.get(at + 1));
    if text.match_indices('_').any(|(at, _)| misplaced(at)) {
        return None;
    }
    let plain = text.replace('_', "");
    if is_float(&plain) { plain.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = digits(text);
    let mut rest = &text[whole..];
    if let Some(after) = rest.strip_prefix('.') {
        let fraction = digits(after);
        if whole == 0 && fraction == 0 {
            return false;
        }
        rest = &after[fraction..];
    } else if whole == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(power) => {
            let power = power.strip_prefix(['+', '-']).unwrap_or(power);
            !power.is_empty() && digits(power) == power.len()
        }
    }
}

/// Decimal, `0x`, `0o` or a leading 0, and `0b`; else a float.
fn number(text: &str) -> Scalar {
    let (negative, size) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(size) = unsigned(size) {
        let limit = 1u64 << 63;
        match (negative, size) {
            (true, size) if size <= limit => return Scalar::Int((size as i64).wrapping_neg()),
            (false, size) if size < limit => return Scalar::Int(size as i64),
            // A sign before what needs all 64 bits is not taken.
            (false, size) if !text.starts_with('+') => return Scalar::Big(size),
            _ => {}
        }
    }
    if is_float(text)
        && let Some(number) = text.parse().ok().filter(|number: &f64| number.is_finite())
    {
        return Scalar::Float(number);
    }
    // A sign may also stand behind the prefix of a binary number.
    let binary = text.strip_prefix("0b").filter(|digits| digits.starts_with(['+', '-']));
    binary.and_then(|digits| i64::from_str_radix(digits, 2).ok()).map_or(Scalar::Text, Scalar::Int)
}

/// As Go reads a number without a sign whose base shows from its prefix.
fn unsigned(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let prefixed = |base| (bytes.len() > 2).then(|| (&text[2..], base));
    let (digits, base) = match bytes {
        [b'0', b'x' | b'X', ..] => prefixed(16)?,
        [b'0', b'b' | b'B', ..] => prefixed(2)?,
        [b'0', b'o' | b'O', ..] => prefixed(8)?,
        [b'0'] => return Some(0),
        [b'0', ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if digits.starts_with(['+', '-']) { None } else { u64::from_str_radix(digits, base).ok() }
}

/// A date, or a date and a time of day: parts of one or two digits.
pub fn is_time(text: &str) -> bool {
    let mut reader = Reader(text);
    let Some(year) = reader.digits(4..=4) else { return false };
    let (Some(()), Some(month), Some(()), Some(day)) =
        (reader.mark(b"-"), reader.digits(1..=2), reader.mark(b"-"), reader.digits(1..=2))
    else {
        return false;
    };
    if !(1..=12).contains(&month) || day < 1 || day > days(year, month) {
        return false;
    }
    if reader.0.is_empty() {
        return true;
    }
    let zoned = reader.0.starts_with(['T', 't']);
    reader.mark(b"Tt ").and_then(|()| reader.day_time()).is_some()
        && if zoned { reader.zone().is_some() && reader.0.is_empty() } else { reader.0.is_empty() }
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

struct Reader<'t>(&'t str);

impl Reader<'_> {
    fn mark(&mut self, marks: &[u8]) -> Option<()> {
        let first = *self.0.as_bytes().first()?;
        if marks.contains(&first) {
            self.0 = &self.0[1..];
            return Some(());
        }
        None
    }

    fn digits(&mut self, count: std::ops::RangeInclusive<usize>) -> Option<u32> {
        let found = self.0.bytes().take(*count.end()).take_while(u8::is_ascii_digit).count();
        if found < *count.start() {
            return None;
        }
        let (digits, rest) = self.0.split_at(found);
        self.0 = rest;
        digits.parse().ok()
    }

    /// `15:4:5.999`
    fn day_time(&mut self) -> Option<()> {
        for (limit, after) in [(24, true), (60, true), (60, false)] {
            self.digits(1..=2).filter(|part| *part < limit)?;
            if after {
                self.mark(b":")?;
            }
        }
        if let [b'.' | b',', b'0'..=b'9', ..] = self.0.as_bytes() {
            self.0 = self.0[1..].trim_start_matches(|c: char| c.is_ascii_digit());
        }
        Some(())
    }

    /// `Z` or `+07:00`
    fn zone(&mut self) -> Option<()> {
        if self.mark(b"Z").is_some() {
            return Some(());
        }
        self.mark(b"+-")?;
        self.digits(2..=2).filter(|hours| *hours <= 24)?;
        self.mark(b":")?;
        self.digits(2..=2).filter(|minutes| *minutes <= 60).map(|_| ())
    }
}

/// A number in base 60, which other readers know.
pub fn is_base60(text: &str) -> bool {
    let Some((head, rest)) = text.strip_prefix(['+', '-']).unwrap_or(text).split_once(':') else { return false };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let (places, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let place = |place: &str| {
        let bytes = place.as_bytes();
        matches!(bytes, [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
    };
    head.starts_with(|c: char| c.is_ascii_digit()) && digits(head) && places.split(':').all(place) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_stock_takes_them_for() {
        for (text, scalar) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("yes", Scalar::Bool(true)),
            ("Off", Scalar::Bool(false)),
            ("yEs", Scalar::Text),
            ("12", Scalar::Int(12)),
            ("-1_000", Scalar::Int(-1000)),
            ("0x1F", Scalar::Int(31)),
            ("0o17", Scalar::Int(15)),
            ("017", Scalar::Int(15)),
            ("08", Scalar::Float(8.0)),
            ("0b11", Scalar::Int(3)),
            ("0b-11", Scalar::Int(-3)),
            ("0x", Scalar::Text),
            ("-9223372036854775808", Scalar::Int(i64::MIN)),
            ("9223372036854775808", Scalar::Big(1 << 63)),
            ("+9223372036854775808", Scalar::Float(9223372036854775808.0)),
            ("18446744073709551616", Scalar::Float(18446744073709551616.0)),
            ("1.", Scalar::Float(1.0)),
            (".5e1", Scalar::Float(5.0)),
            (".1_5", Scalar::Float(0.15)),
            ("._5", Scalar::Text),
            ("1e999", Scalar::Text),
            ("1.2.3", Scalar::Text),
            ("1:30", Scalar::Text),
            ("2001-01-01", Scalar::Time),
            ("2001-1-1 1:2:3.4", Scalar::Time),
            ("2001-1-1T1:2:3+01:00", Scalar::Time),
            ("2001-02-30", Scalar::Text),
            ("2001-01-01T00:00:00", Scalar::Text),
            ("text", Scalar::Text),
        ] {
            assert_eq!(resolve(text, true), scalar, "{text}");
        }
        assert!(is_base60("1:30") && is_base60("-190:20:30.15") && !is_base60("1:60") && !is_base60("a:1"));
    }
}
