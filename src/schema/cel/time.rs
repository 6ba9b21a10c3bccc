//! Moments and durations in expressions.

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::error::Fault;
use super::value::{Result, Val};
use crate::model::duration::Duration;

/// The years 1 to 9999, in seconds.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;
const SECOND: i64 = 1_000_000_000;

/// A moment as RFC 3339 writes it.
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 20 && matches!(bytes[10], b'T' | b't') && bytes[4] == b'-' && !text.contains(' ');
    text.parse().ok().filter(|_| shaped)
}

/// A day, at its beginning in UTC.
pub fn parse_date(text: &str) -> Option<Timestamp> {
    let date: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// As RFC 3339 with as many digits as it needs.
pub fn print(time: Timestamp) -> String {
    time.to_string()
}

pub fn print_duration(nanos: i64) -> String {
    let seconds = nanos / SECOND;
    let rest = (nanos % SECOND).abs();
    if rest == 0 {
        return format!("{seconds}s");
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let fraction = format!("{rest:09}");
    format!("{sign}{}.{}s", seconds.abs(), fraction.trim_end_matches('0'))
}

pub fn checked(time: Timestamp) -> Result<Val<'static>> {
    if (FIRST..=LAST).contains(&time.as_second()) { Ok(Val::Timestamp(time)) } else { Err(overflow()) }
}

pub fn from_seconds(seconds: i64) -> Result<Val<'static>> {
    if !(FIRST..=LAST).contains(&seconds) {
        return Err(overflow());
    }
    Timestamp::from_second(seconds).map(Val::Timestamp).map_err(|_| overflow())
}

fn overflow() -> Fault {
    Fault::new("timestamp overflow")
}

pub fn plus(time: Timestamp, nanos: i64) -> Result<Val<'static>> {
    let moved = time.checked_add(jiff::SignedDuration::from_nanos(nanos)).map_err(|_| overflow())?;
    checked(moved)
}

/// The nanoseconds from one to the other.
pub fn between(later: Timestamp, earlier: Timestamp) -> Result<Val<'static>> {
    let nanos = later.as_nanosecond() - earlier.as_nanosecond();
    i64::try_from(nanos).map(Val::Duration).map_err(|_| Fault::new("duration overflow"))
}

pub fn parse_duration(text: &str) -> Result<Val<'static>> {
    Duration::parse(text).map(|duration| Val::Duration(duration.0)).map_err(Fault::new)
}

/// A part of a moment (`getHours`, ...) in a time zone; UTC when none is told.
pub fn part(function: &str, time: Timestamp, zone: Option<&str>) -> Result<i64> {
    let zoned = time.to_zoned(zone.map_or(Ok(TimeZone::UTC), time_zone)?);
    Ok(match function {
        "getFullYear" => i64::from(zoned.year()),
        "getMonth" => i64::from(zoned.month()) - 1,
        "getDayOfYear" => i64::from(zoned.day_of_year()) - 1,
        "getDayOfMonth" => i64::from(zoned.day()) - 1,
        "getDate" => i64::from(zoned.day()),
        "getDayOfWeek" => i64::from(zoned.weekday().to_sunday_zero_offset()),
        "getHours" => i64::from(zoned.hour()),
        "getMinutes" => i64::from(zoned.minute()),
        "getSeconds" => i64::from(zoned.second()),
        "getMilliseconds" => milliseconds(&zoned),
        _ => return Err(Fault::overload()),
    })
}

fn milliseconds(zoned: &Zoned) -> i64 {
    i64::from(zoned.millisecond())
}

pub fn duration_part(function: &str, nanos: i64) -> Result<i64> {
    Ok(match function {
        "getHours" => nanos / (3600 * SECOND),
        "getMinutes" => nanos / (60 * SECOND),
        "getSeconds" => nanos / SECOND,
        "getMilliseconds" => nanos / 1_000_000,
        _ => return Err(Fault::overload()),
    })
}

/// A name, or hours and minutes from UTC.
fn time_zone(name: &str) -> Result<TimeZone> {
    let Some((hours, minutes)) = name.split_once(':') else {
        return match name {
            "" | "UTC" => Ok(TimeZone::UTC),
            other => TimeZone::get(other).map_err(|_| Fault::new(format!("unknown time zone {other}"))),
        };
    };
    let number = |text: &str| {
        text.parse::<i32>().map_err(|_| {
            Fault::new(format!("strconv.Atoi: parsing {}: invalid syntax", crate::model::gotext::quote(text)))
        })
    };
    let (hours_number, minutes_number) = (number(hours)?, number(minutes)?);
    let sign = if hours.starts_with('-') { -1 } else { 1 };
    let seconds = hours_number * 3600 + sign * minutes_number * 60;
    Offset::from_seconds(seconds).map(Offset::to_time_zone).map_err(|_| Fault::new("time zone offset out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_moment() {
        let time = parse("2024-02-29T23:30:15.123Z").expect("a time");
        assert_eq!(part("getDayOfYear", time, None), Ok(59));
        assert_eq!(part("getHours", time, Some("+01:00")), Ok(0));
        assert_eq!(part("getDate", time, Some("Europe/Berlin")), Ok(1));
        assert_eq!(part("getDayOfWeek", time, None), Ok(4));
        assert_eq!(part("getMilliseconds", time, None), Ok(123));
    }

    #[test]
    fn durations_print_in_seconds() {
        assert_eq!(print_duration(90 * SECOND), "90s");
        assert_eq!(print_duration(-1_500_000_000), "-1.5s");
        assert_eq!(print_duration(1), "0.000000001s");
    }
}
