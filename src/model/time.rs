//! Times as the API writes them: RFC 3339 in UTC, in seconds (`Time`) or microseconds (`MicroTime`).

use compact_str::{CompactString, format_compact};
use jiff::Timestamp;

use super::duration::Duration;
use super::gotext;

/// A moment: seconds since 1970 and nanoseconds after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    pub seconds: i64,
    pub nanos: u32,
}

/// The API's two forms of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    Seconds,
    /// Six decimals, written and demanded.
    Micros,
}

const DAY: i64 = 86_400;
const DAYS_IN: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Time {
    /// Go's zero time, which JSON shows as null.
    pub const ZERO: Self = Self { seconds: -62_135_596_800, nanos: 0 };

    /// As `metav1.Time`; the error is Go's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_as(text, Precision::Seconds)
    }

    /// As `metav1.MicroTime`; the error is Go's text.
    pub fn parse_micros(text: &str) -> Result<Self, String> {
        Self::parse_as(text, Precision::Micros)
    }

    pub fn parse_as(text: &str, precision: Precision) -> Result<Self, String> {
        Reader { text, rest: text, precision }.read()
    }

    /// How long after `earlier` this is, as far as a duration reaches.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = |time: Self| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
        let between = nanos(self) - nanos(earlier);
        Duration(i64::try_from(between).unwrap_or(if between < 0 { i64::MIN } else { i64::MAX }))
    }

    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// `2006-01-02T15:04:05Z`, what is smaller cut off.
    pub fn to_text(self) -> CompactString {
        self.to_text_as(Precision::Seconds)
    }

    /// `2006-01-02T15:04:05.000000Z`, what is smaller cut off.
    pub fn to_micros_text(self) -> CompactString {
        self.to_text_as(Precision::Micros)
    }

    /// Appends [`Self::to_text_as`].
    pub fn append(self, precision: Precision, out: &mut Vec<u8>) {
        let (year, month, day) = civil(self.seconds.div_euclid(DAY));
        let Ok(year @ 0..=9999) = u32::try_from(year) else {
            return out.extend_from_slice(self.to_text_as(precision).as_bytes());
        };
        let second = self.seconds.rem_euclid(DAY) as u32;
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut pair = |at: usize, number: u32| {
            text[at] = b'0' + (number / 10) as u8;
            text[at + 1] = b'0' + (number % 10) as u8;
        };
        pair(0, year / 100);
        pair(2, year % 100);
        pair(5, month);
        pair(8, day);
        pair(11, second / 3600);
        pair(14, second / 60 % 60);
        pair(17, second % 60);
        if precision == Precision::Micros {
            let micros = self.nanos / 1000;
            pair(20, micros / 10_000);
            pair(22, micros / 100 % 100);
            pair(24, micros % 100);
            return out.extend_from_slice(&text);
        }
        text[19] = b'Z';
        out.extend_from_slice(&text[..20]);
    }

    pub fn to_text_as(self, precision: Precision) -> CompactString {
        let (year, month, day) = civil(self.seconds.div_euclid(DAY));
        let second = self.seconds.rem_euclid(DAY) as u32;
        let mut text = CompactString::with_capacity(0);
        if year < 0 {
            text.push('-');
        }
        let year = year.unsigned_abs();
        if year > 9999 {
            text.push_str(&format_compact!("{}", year / 100));
        } else {
            push_pair(&mut text, (year / 100) as u32);
        }
        push_pair(&mut text, (year % 100) as u32);
        for (mark, number) in
            [('-', month), ('-', day), ('T', second / 3600), (':', second / 60 % 60), (':', second % 60)]
        {
            text.push(mark);
            push_pair(&mut text, number);
        }
        if precision == Precision::Micros {
            let micros = self.nanos / 1000;
            text.push('.');
            for pair in [micros / 10_000, micros / 100 % 100, micros % 100] {
                push_pair(&mut text, pair);
            }
        }
        text.push('Z');
        text
    }
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        let nanos = time.as_nanosecond();
        let second = 1_000_000_000;
        Self { seconds: nanos.div_euclid(second) as i64, nanos: nanos.rem_euclid(second) as u32 }
    }
}

fn push_pair(text: &mut CompactString, number: u32) {
    text.push((b'0' + (number / 10) as u8) as char);
    text.push((b'0' + (number % 10) as u8) as char);
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil(day: i64) -> (i64, u32, u32) {
    // Eras of 400 years that begin on the first of March of the year 0.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + carry, month as u32, of_month as u32)
}

/// The reverse of [`civil`].
fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    DAYS_IN[month as usize - 1] + i64::from(leap && month == 2)
}

/// Reads one element of the layout after the other, as lenient as Go: an hour of one digit and a fraction after a
/// comma are accepted.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    precision: Precision,
}

impl Reader<'_> {
    fn read(mut self) -> Result<Time, String> {
        let year = self.year()?;
        self.mark("-")?;
        let month = self.number("01", "month", 2, 1..13)?;
        self.mark("-")?;
        let day = self.number("02", "day", 2, i64::MIN..i64::MAX)?;
        self.mark("T")?;
        let hour = self.number("15", "hour", 1, 0..24)?;
        self.mark(":")?;
        let minute = self.number("04", "minute", 2, 0..60)?;
        self.mark(":")?;
        let second = self.number("05", "second", 2, 0..60)?;
        let nanos = self.fraction()?;
        let offset = self.zone()?;
        if !self.rest.is_empty() {
            return Err(self.wrong(&format!("extra text: {}", gotext::quote_bytes(self.rest))));
        }
        if day < 1 || day > days_in(year, month) {
            return Err(self.wrong("day out of range"));
        }
        let seconds = day_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
        Ok(Time { seconds, nanos })
    }

    fn layout(&self) -> &'static str {
        match self.precision {
            Precision::Seconds => "2006-01-02T15:04:05Z07:00",
            Precision::Micros => "2006-01-02T15:04:05.000000Z07:00",
        }
    }

    fn wrong(&self, why: &str) -> String {
        format!("parsing time {}: {why}", gotext::quote_bytes(self.text))
    }

    fn mismatch(&self, element: &str) -> String {
        let [text, layout, rest, element] = [self.text, self.layout(), self.rest, element].map(gotext::quote_bytes);
        format!("parsing time {text} as {layout}: cannot parse {rest} as {element}")
    }

    fn year(&mut self) -> Result<i64, String> {
        let digits = self.rest.get(..4).filter(|y| y.bytes().all(|b| b.is_ascii_digit()));
        let year = digits.and_then(|y| y.parse().ok()).ok_or_else(|| self.mismatch("2006"))?;
        self.rest = &self.rest[4..];
        Ok(year)
    }

    fn mark(&mut self, mark: &str) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(mark).ok_or_else(|| self.mismatch(mark))?;
        Ok(())
    }

    /// A number of two digits, or of at least `digits`.
    fn number(&mut self, element: &str, name: &str, digits: usize, range: std::ops::Range<i64>) -> Result<i64, String> {
        let found = self.rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
        if found < digits {
            return Err(self.mismatch(element));
        }
        let number = self.rest[..found].parse().unwrap_or(0);
        if !range.contains(&number) {
            return Err(self.wrong(&format!("{name} out of range")));
        }
        self.rest = &self.rest[found..];
        Ok(number)
    }

    fn fraction(&mut self) -> Result<u32, String> {
        let digits = match self.rest.strip_prefix(['.', ',']) {
            Some(rest) => rest.bytes().take_while(u8::is_ascii_digit).count(),
            None => 0,
        };
        let digits = match self.precision {
            Precision::Seconds => digits,
            Precision::Micros if digits >= 6 => 6,
            Precision::Micros => return Err(self.mismatch(".000000")),
        };
        if digits == 0 {
            return Ok(0);
        }
        let (fraction, rest) = self.rest.split_at(1 + digits);
        self.rest = rest;
        let kept = &fraction[1..=digits.min(9)];
        Ok(kept.parse::<u32>().unwrap_or(0) * 10u32.pow(9 - kept.len() as u32))
    }

    /// Seconds east of UTC.
    fn zone(&mut self) -> Result<i64, String> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let element = "Z07:00";
        let zone = self.rest.as_bytes();
        if zone.len() < 6 || zone[3] != b':' {
            return Err(self.mismatch(element));
        }
        let pair = |at: usize| {
            let digits = [zone[at], zone[at + 1]];
            digits.iter().all(u8::is_ascii_digit).then(|| i64::from((digits[0] - b'0') * 10 + digits[1] - b'0'))
        };
        // A range error comes first, also where the other half is no number.
        let (hours, minutes) = (pair(1), pair(1).and_then(|_| pair(4)));
        if minutes.is_some_and(|m| m > 60) {
            return Err(self.wrong("time zone offset minute out of range"));
        }
        if hours.is_some_and(|h| h > 24) {
            return Err(self.wrong("time zone offset hour out of range"));
        }
        let (Some(hours), Some(minutes)) = (hours, minutes) else { return Err(self.mismatch(element)) };
        let sign = match zone[0] {
            b'+' => 1,
            b'-' => -1,
            _ => return Err(self.mismatch(element)),
        };
        self.rest = &self.rest[6..];
        Ok(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_and_printed() {
        for (text, printed) in [
            ("2006-01-02T15:04:05Z", "2006-01-02T15:04:05Z"),
            ("2006-01-02T15:04:05.999Z", "2006-01-02T15:04:05Z"),
            ("2006-01-02T15:04:05,5+02:30", "2006-01-02T12:34:05Z"),
            ("2006-01-02T5:04:05Z", "2006-01-02T05:04:05Z"),
            ("2024-02-29T23:59:59-00:01", "2024-03-01T00:00:59Z"),
            ("0000-01-01T00:00:00+24:00", "-0001-12-31T00:00:00Z"),
            ("9999-12-31T23:59:59-01:00", "10000-01-01T00:59:59Z"),
        ] {
            assert_eq!(Time::parse(text).map(Time::to_text).as_deref(), Ok(printed), "{text}");
        }
        let micros = Time::parse_micros("2006-01-02T15:04:05.012345+01:00").map(Time::to_micros_text);
        assert_eq!(micros.as_deref(), Ok("2006-01-02T14:04:05.012345Z"));
        assert!(Time::parse("0001-01-01T00:00:00Z").is_ok_and(Time::is_zero));
    }

    #[test]
    fn others_are_refused_in_gos_words() {
        let layout = "2006-01-02T15:04:05Z07:00";
        for (text, rest, element) in [
            ("x", "x", "2006"),
            ("", "", "2006"),
            ("20060102", "0102", "-"),
            ("2006-1-02T15:04:05Z", "1-02T15:04:05Z", "01"),
            ("2006-01-02 15:04:05Z", " 15:04:05Z", "T"),
            ("2006-01-02T15:04:05", "", "Z07:00"),
            ("2006-01-02T15:04:05+0100", "+0100", "Z07:00"),
        ] {
            let error = format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{rest}\" as \"{element}\"");
            assert_eq!(Time::parse(text), Err(error));
        }
        for (text, why) in [
            ("2006-13-02T15:04:05Z", "month out of range"),
            ("2006-02-30T15:04:05Z", "day out of range"),
            ("2006-01-02T24:04:05Z", "hour out of range"),
            ("2006-01-02T15:60:05Z", "minute out of range"),
            ("2006-01-02T15:04:60Z", "second out of range"),
            ("2006-01-02T15:04:05+25:00", "time zone offset hour out of range"),
            ("2006-01-02T15:04:05Z!", "extra text: \"!\""),
        ] {
            assert_eq!(Time::parse(text), Err(format!("parsing time \"{text}\": {why}")));
        }
        let error = Time::parse_micros("2006-01-02T15:04:05Z").expect_err("a fraction is demanded");
        assert!(error.ends_with(r#"as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#), "{error}");
    }

    proptest! {
        #[test]
        fn both_ways_of_printing_agree(seconds in -200_000_000_000i64..300_000_000_000, nanos in 0u32..1_000_000_000) {
            for precision in [Precision::Seconds, Precision::Micros] {
                let (time, mut appended) = (Time { seconds, nanos }, Vec::new());
                time.append(precision, &mut appended);
                prop_assert_eq!(appended, time.to_text_as(precision).as_bytes().to_vec());
            }
        }

        #[test]
        fn what_is_printed_is_read_again(seconds in Time::ZERO.seconds..253_402_300_800, micros in 0u32..1_000_000) {
            let time = Time { seconds, nanos: micros * 1000 };
            prop_assert_eq!(Time::parse_micros(&time.to_micros_text()), Ok(time));
            prop_assert_eq!(Time::parse(&time.to_text()), Ok(Time { seconds, nanos: 0 }));
        }

        #[test]
        fn never_panics(text in "\\PC{0,12}|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-9:.,+Zé-]{0,20}") {
            let _ = (Time::parse(&text), Time::parse_micros(&text));
        }
    }
}
