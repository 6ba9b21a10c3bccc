//! Cron schedules in the standard five fields, with names, ranges and steps, or as `@daily` and `@every 1h`.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use super::duration::Duration;
use super::gotext;

/// When a job is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    rule: Rule,
    /// From a `TZ=` before the fields.
    zone: Option<TimeZone>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Every(SignedDuration),
    Fields(Fields),
}

/// The values that each field allows, one a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Sunday is 0.
    weekdays: u64,
    /// Only where neither is a star must a day match one of the two instead of both.
    any_day: bool,
    any_weekday: bool,
}

struct Bounds {
    least: u64,
    most: u64,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { least: 0, most: 59, names: &[] };
const HOURS: Bounds = Bounds { least: 0, most: 23, names: &[] };
const DAYS: Bounds = Bounds { least: 1, most: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds = Bounds { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };
/// A schedule that is not due within so many years never is.
const YEARS: i16 = 5;

impl Schedule {
    /// Reads a schedule; the error is stock's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        let (zone, rest) = match text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) {
            None => (None, text),
            Some(rest) => {
                let Some((name, rest)) = rest.split_once(' ') else {
                    return Err("invalid schedule format: runtime error: slice bounds out of range [:-1]".to_owned());
                };
                let zone = time_zone(name).map_err(|why| format!("provided bad location {name}: {why}"))?;
                (Some(zone), rest.trim())
            }
        };
        let rule = if rest.starts_with('@') { descriptor(rest)? } else { Rule::Fields(Fields::parse(rest)?) };
        Ok(Self { rule, zone })
    }

    /// The first time after `after`; `zone` is where the schedule names none. `None` when it is never due.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match &self.rule {
            Rule::Every(delay) => {
                let whole = Timestamp::from_second(after.as_second()).ok()?;
                whole.checked_add(*delay).ok()
            }
            Rule::Fields(fields) => {
                let zone = self.zone.as_ref().unwrap_or(zone);
                fields.next(after, zone)
            }
        }
    }
}

/// The time zone of this name, with Go's text where there is none.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "" | "UTC" => Ok(TimeZone::UTC),
        "Local" => Ok(TimeZone::system()),
        _ if name.contains("..") || name.starts_with(['/', '\\']) => Err("time: invalid location name".to_owned()),
        _ => TimeZone::get(name)
            .ok()
            // Go looks a file up, so the case counts.
            .filter(|zone| zone.iana_name() == Some(name))
            .ok_or_else(|| format!("unknown time zone {name}")),
    }
}

fn descriptor(text: &str) -> Result<Rule, String> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(delay) = text.strip_prefix("@every ") else {
                return Err(format!("unrecognized descriptor: {text}"));
            };
            let delay = Duration::parse(delay).map_err(|why| format!("failed to parse duration {text}: {why}"))?;
            return Ok(Rule::Every(SignedDuration::from_secs((delay.0 / 1_000_000_000).max(1))));
        }
    };
    Fields::parse(fields).map(Rule::Fields)
}

impl Fields {
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = parts.as_slice() else {
            return Err(format!("expected exactly 5 fields, found {}: {}", parts.len(), gotext::list(&parts)));
        };
        let (minutes, hours) = (MINUTES.parse(minutes)?.0, HOURS.parse(hours)?.0);
        let (days, any_day) = DAYS.parse(days)?;
        let months = MONTHS.parse(months)?.0;
        let (weekdays, any_weekday) = WEEKDAYS.parse(weekdays)?;
        Ok(Self { minutes, hours, days, months, weekdays, any_day, any_weekday })
    }

    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let after = Timestamp::from_second(after.as_second()).ok()?;
        let mut now = after.checked_add(1.second()).ok()?.to_zoned(zone.clone());
        let last = now.year().checked_add(YEARS)?;
        // Each step moves on to the next month, day, hour or minute that could fit.
        while now.year() <= last {
            let date = now.date();
            now = if !has(self.months, date.month()) {
                midnight(date.first_of_month().checked_add(1.month()).ok()?, zone)?
            } else if !self.is_due_on(date) {
                midnight(date.tomorrow().ok()?, zone)?
            } else if !has(self.hours, now.hour()) {
                let rest = i64::from(3600 - i32::from(now.minute()) * 60 - i32::from(now.second()));
                now.checked_add(rest.seconds()).ok()?
            } else if !has(self.minutes, now.minute()) || now.second() > 0 {
                let rest = i64::from(60 - now.second());
                now.checked_add(rest.seconds()).ok()?
            } else {
                return Some(now.timestamp());
            };
        }
        None
    }

    fn is_due_on(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, sunday_first(date.weekday()));
        if self.any_day || self.any_weekday { day && weekday } else { day || weekday }
    }
}

fn has(bits: u64, value: i8) -> bool {
    bits >> value & 1 == 1
}

fn sunday_first(day: Weekday) -> i8 {
    day.to_sunday_zero_offset()
}

/// Where the day has no midnight, the first moment after it.
fn midnight(date: Date, zone: &TimeZone) -> Option<Zoned> {
    DateTime::from_parts(date, Time::midnight()).to_zoned(zone.clone()).ok()
}

impl Bounds {
    /// The allowed values, and whether a star stands among them.
    fn parse(&self, field: &str) -> Result<(u64, bool), String> {
        let (mut bits, mut star) = (0, false);
        for part in field.split(',').filter(|part| !part.is_empty()) {
            let (more, starred) = self.range(part)?;
            bits |= more;
            star |= starred;
        }
        Ok((bits, star))
    }

    fn range(&self, text: &str) -> Result<(u64, bool), String> {
        let parts: Vec<_> = text.split('/').collect();
        let ends: Vec<_> = parts[0].split('-').collect();
        let mut star = matches!(ends[0], "*" | "?");
        let (start, mut end) = match ends.as_slice() {
            _ if star => (self.least, self.most),
            [one] => {
                let start = self.number(one)?;
                (start, start)
            }
            [low, high] => (self.number(low)?, self.number(high)?),
            [low, ..] => {
                self.number(low)?;
                return Err(format!("too many hyphens: {text}"));
            }
            [] => unreachable!("a split has a part"),
        };
        let step = match parts.as_slice() {
            [_] => 1,
            [_, step] => {
                let step = whole_number(step)?;
                if ends.len() == 1 {
                    end = self.most;
                }
                star &= step <= 1;
                step
            }
            _ => return Err(format!("too many slashes: {text}")),
        };
        if start < self.least {
            return Err(format!("beginning of range ({start}) below minimum ({}): {text}", self.least));
        }
        if end > self.most {
            return Err(format!("end of range ({end}) above maximum ({}): {text}", self.most));
        }
        if start > end {
            return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {text}"));
        }
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        Ok(((start..=end).step_by(step).fold(0, |bits, value| bits | 1 << value), star))
    }

    fn number(&self, text: &str) -> Result<u64, String> {
        match self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            Some(at) => Ok(at as u64 + self.least),
            None => whole_number(text),
        }
    }
}

fn whole_number(text: &str) -> Result<u64, String> {
    let number = gotext::atoi(text).map_err(|why| format!("failed to parse int from {text}: {why}"))?;
    u64::try_from(number).map_err(|_| format!("negative number ({number}) not allowed: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next(schedule: &str, after: &str, zone: &str) -> Option<String> {
        let (schedule, zone) = (Schedule::parse(schedule).expect(schedule), time_zone(zone).expect(zone));
        schedule.next(after.parse().expect(after), &zone).map(|t| t.to_string())
    }

    #[test]
    fn schedules_are_due() {
        for (schedule, after, zone, due) in [
            ("*/15 * * * *", "2024-01-01T00:14:59.5Z", "UTC", "2024-01-01T00:15:00Z"),
            ("0 0 29 2 *", "2024-02-29T00:00:00Z", "UTC", "2028-02-29T00:00:00Z"),
            ("0 12 13 * FRI", "2024-01-01T00:00:00Z", "UTC", "2024-01-05T12:00:00Z"),
            ("0 12 * * 1-5", "2024-01-05T12:00:00Z", "UTC", "2024-01-08T12:00:00Z"),
            ("30 2 * * *", "2024-03-30T12:00:00Z", "Europe/Rome", "2024-04-01T00:30:00Z"),
            ("TZ=Asia/Tokyo 0 9 * * *", "2024-01-01T00:00:00Z", "UTC", "2024-01-02T00:00:00Z"),
            ("@monthly", "2024-01-31T23:59:59Z", "UTC", "2024-02-01T00:00:00Z"),
            ("@every 90s", "2024-01-01T00:00:00.9Z", "UTC", "2024-01-01T00:01:30Z"),
        ] {
            assert_eq!(next(schedule, after, zone).as_deref(), Some(due), "{schedule}");
        }
        assert_eq!(next("0 0 30 2 *", "2024-01-01T00:00:00Z", "UTC"), None);
    }

    #[test]
    fn others_are_refused_in_stocks_words() {
        for (schedule, error) in [
            ("", "empty spec string"),
            ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("*/-1 * * * *", "negative number (-1) not allowed: -1"),
            ("@never", "unrecognized descriptor: @never"),
            ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
            ("TZ=Bogus * * * * *", "provided bad location Bogus: unknown time zone Bogus"),
            ("TZ=UTC", "invalid schedule format: runtime error: slice bounds out of range [:-1]"),
        ] {
            assert_eq!(Schedule::parse(schedule).map(|s| s.rule), Err(error.to_owned()), "{schedule}");
        }
        assert_eq!(time_zone("europe/rome").map(|_| ()), Err("unknown time zone europe/rome".to_owned()));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,12}|[-0-9*/,?@a-z ]{0,24}") {
            if let Ok(schedule) = Schedule::parse(&text) {
                let _ = schedule.next(Timestamp::UNIX_EPOCH, &TimeZone::UTC);
            }
        }
    }
}
