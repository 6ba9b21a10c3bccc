//! Durations as Go writes them: `1h2m3.5s`.

use std::fmt;

use super::gotext;

/// Nanoseconds, negative ones too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

const SECOND: u64 = 1_000_000_000;
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    // The micro sign and the Greek letter.
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];
/// Beyond it not even a negative duration fits.
const MOST: u64 = 1 << 63;

impl Duration {
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * SECOND as i64)
    }

    /// Reads Go's form; the error is its text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let negative = text.starts_with('-');
        let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
        if rest == "0" {
            return Ok(Self(0));
        }
        let invalid = || format!("time: invalid duration {}", gotext::quote_bytes(text));
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut sum = 0u64;
        while !rest.is_empty() {
            let number = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
            let (whole, (fraction, scale), used) = leading_number(&rest[..number]).ok_or_else(invalid)?;
            rest = &rest[used..];
            let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() {
                return Err(format!("time: missing unit in duration {}", gotext::quote_bytes(text)));
            }
            let Some((_, unit)) = UNITS.iter().find(|(known, _)| *known == name) else {
                let (name, text) = (gotext::quote_bytes(name), gotext::quote_bytes(text));
                return Err(format!("time: unknown unit {name} in duration {text}"));
            };
            let part = whole.checked_mul(*unit).filter(|v| *v <= MOST).ok_or_else(invalid)?;
            let part = part + (fraction as f64 * (*unit as f64 / scale)) as u64;
            sum = sum.checked_add(part).filter(|v| *v <= MOST && part <= MOST).ok_or_else(invalid)?;
            rest = after;
        }
        match (negative, i64::try_from(sum)) {
            (true, _) => Ok(Self((sum as i64).wrapping_neg())),
            (false, Ok(sum)) => Ok(Self(sum)),
            (false, Err(_)) => Err(invalid()),
        }
    }

    /// `None` when it is negative.
    pub fn to_std(self) -> Option<std::time::Duration> {
        self.0.try_into().ok().map(std::time::Duration::from_nanos)
    }
}

/// Whole part, fraction with its denominator, and how many bytes they took; `None` when there is no digit or the
/// number is too large.
fn leading_number(text: &str) -> Option<(u64, (u64, f64), usize)> {
    let digits = text.find('.').unwrap_or(text.len());
    let (whole, rest) = text.split_at(digits);
    let Some(fraction) = rest.strip_prefix('.') else {
        return Some((parse_whole(whole)?, (0, 1.0), whole.len()));
    };
    // A second point ends the number.
    let fraction = &fraction[..fraction.find('.').unwrap_or(fraction.len())];
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let used = whole.len() + 1 + fraction.len();
    Some((if whole.is_empty() { 0 } else { parse_whole(whole)? }, parse_fraction(fraction), used))
}

/// As many digits as fit; more change nothing.
fn parse_fraction(digits: &str) -> (u64, f64) {
    let (mut numerator, mut scale) = (0u64, 1.0);
    for digit in digits.bytes().map(|b| u64::from(b - b'0')) {
        match numerator.checked_mul(10).and_then(|n| n.checked_add(digit)).filter(|n| *n <= MOST) {
            Some(longer) => (numerator, scale) = (longer, scale * 10.0),
            None => break,
        }
    }
    (numerator, scale)
}

fn parse_whole(digits: &str) -> Option<u64> {
    digits.parse().ok().filter(|v| *v <= MOST)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match size {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{size}ns"),
            1_000..1_000_000 => write_fraction(f, size, 1_000, "\u{b5}s"),
            1_000_000..SECOND => write_fraction(f, size, 1_000_000, "ms"),
            _ => {
                let minutes = size / SECOND / 60;
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write_fraction(f, size % (60 * SECOND), SECOND, "s")
            }
        }
    }
}

fn write_fraction(f: &mut fmt::Formatter<'_>, size: u64, unit: u64, name: &str) -> fmt::Result {
    write!(f, "{}", size / unit)?;
    let mut rest = size % unit;
    if rest > 0 {
        f.write_str(".")?;
        let mut place = unit / 10;
        while rest > 0 {
            write!(f, "{}", rest / place)?;
            rest %= place;
            place /= 10;
        }
    }
    f.write_str(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_and_printed_as_go_does() {
        for (text, printed) in [
            ("0", "0s"),
            ("-0s", "0s"),
            ("1h2m3.5s", "1h2m3.5s"),
            ("90m", "1h30m0s"),
            ("1.5h", "1h30m0s"),
            (".5m", "30s"),
            ("5.s", "5s"),
            ("1500us", "1.5ms"),
            ("1\u{3bc}s", "1\u{b5}s"),
            ("999ns", "999ns"),
            ("-1.000000001s", "-1.000000001s"),
            ("2562047h47m16.854775807s", "2562047h47m16.854775807s"),
            ("-9223372036854775808ns", "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(Duration::parse(text).map(|d| d.to_string()), Ok(printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn others_are_refused_in_gos_words() {
        for (text, error) in [
            ("", "time: invalid duration \"\""),
            ("x", "time: invalid duration \"x\""),
            ("1", "time: missing unit in duration \"1\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            (".s", "time: invalid duration \".s\""),
            ("1.2.3s", "time: missing unit in duration \"1.2.3s\""),
            ("1 s", "time: unknown unit \" s\" in duration \"1 s\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
            ("1\u{e9}", r#"time: unknown unit "\xc3\xa9" in duration "1\xc3\xa9""#),
        ] {
            assert_eq!(Duration::parse(text), Err(error.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(nanos in any::<i64>()) {
            let duration = Duration(nanos);
            prop_assert_eq!(Duration::parse(&duration.to_string()), Ok(duration));
        }

        #[test]
        fn never_panics(text in "\\PC{0,12}|[-+0-9.hmsun]{0,40}") {
            let _ = Duration::parse(&text);
        }
    }
}
