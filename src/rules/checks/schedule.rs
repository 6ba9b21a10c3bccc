//! Schedules of CronJobs and their time zones.

use crate::model::cron::{Schedule, time_zone};
use crate::model::field::FieldErrors;
use crate::rules::at::At;

/// Of a part of a time zone's name between slashes.
const ZONE_PART_BYTES: usize = 14;

/// A schedule. Where the old object has a time zone inside it, a changed one may too.
pub fn schedule(at: &At, zone: &At, allow_zone_inside: bool, errs: &mut FieldErrors) {
    if let Err(why) = Schedule::parse(at.str()) {
        at.invalid(errs, why);
    }
    if at.str().contains("TZ") {
        if !allow_zone_inside {
            at.invalid(errs, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
        } else if zone.exists() {
            at.invalid(errs, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
        }
    }
}

/// The name of a time zone; absent is right.
pub fn zone(at: &At, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    let name = at.str();
    if name.is_empty() {
        at.invalid(errs, "timeZone must be nil or non-empty string");
        return;
    }
    if !name.split('/').all(is_zone_part) {
        at.invalid(errs, format!("unknown time zone {name}"));
        return;
    }
    if name.eq_ignore_ascii_case("local") {
        at.invalid(errs, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
    }
    if let Err(why) = time_zone(name) {
        at.invalid(errs, why);
    }
}

fn is_zone_part(part: &str) -> bool {
    (1..=ZONE_PART_BYTES).contains(&part.len())
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b))
        && !matches!(part, "." | "..")
        && !part.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};

    #[test]
    fn schedules() {
        for (text, zone, inside, errors) in [
            ("* * * * *", Value::Null, false, &[][..]),
            ("x", Value::Null, false, &["expected exactly 5 fields, found 1: [x]"]),
            (
                "TZ=UTC * * * * *",
                Value::Null,
                false,
                &["cannot use TZ or CRON_TZ in schedule, use timeZone field instead"],
            ),
            ("TZ=UTC * * * * *", json!("UTC"), true, &["cannot use both timeZone field and TZ or CRON_TZ in schedule"]),
            ("TZ=UTC * * * * *", Value::Null, true, &[]),
        ] {
            let (value, mut errs) = (json!(text), FieldErrors::new());
            schedule(&At::new(&value, None), &At::new(&zone, None), inside, &mut errs);
            let expected: Vec<_> = errors.iter().map(|e| format!("Invalid value: \"{text}\": {e}")).collect();
            assert_eq!(errs.iter().map(|e| e.body()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn zones() {
        for (name, error) in [
            (json!("Europe/Rome"), ""),
            (json!("Etc/GMT+5"), ""),
            (Value::Null, ""),
            (json!(""), "timeZone must be nil or non-empty string"),
            (json!("Mars/Olympus"), "unknown time zone Mars/Olympus"),
            (json!("../etc"), "unknown time zone ../etc"),
            (json!("Local"), "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"),
        ] {
            let mut errs = FieldErrors::new();
            zone(&At::new(&name, None), &mut errs);
            let found: Vec<_> = errs.iter().map(|e| e.body()).collect();
            let expected = if error.is_empty() { vec![] } else { vec![format!("Invalid value: {name}: {error}")] };
            assert_eq!(found, expected);
        }
    }
}
