//! One row of a table: its cells, its conditions and the object that it shows.

use std::fmt;

use crate::codec::json::write;
use crate::codec::protobuf::view::View;
use crate::model::duration::Duration;
use crate::model::time::Time;

/// A row being written as JSON.
pub struct Row<'o> {
    out: &'o mut Vec<u8>,
    now: Time,
    empty: bool,
    /// Why the object needs no more attention: (reason, message).
    completed: Option<(&'static str, &'static str)>,
}

impl<'o> Row<'o> {
    /// Begins a row; `now` is what ages are counted from.
    pub fn new(out: &'o mut Vec<u8>, now: Time) -> Self {
        out.extend_from_slice(b"{\"cells\":[");
        Self { out, now, empty: true, completed: None }
    }

    fn cell(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out
    }

    pub fn text(&mut self, text: &str) {
        write::string(self.cell(), text);
    }

    /// The text, or `other` when it is empty.
    pub fn text_or(&mut self, text: &str, other: &str) {
        self.text(if text.is_empty() { other } else { text });
    }

    pub fn print(&mut self, text: fmt::Arguments<'_>) {
        match text.as_str() {
            Some(text) => self.text(text),
            None => self.text(&text.to_string()),
        }
    }

    pub fn number(&mut self, number: i64) {
        write::integer(self.cell(), number);
    }

    pub fn flag(&mut self, flag: bool) {
        self.cell().extend_from_slice(if flag { b"true" } else { b"false" });
    }

    /// Any JSON text.
    pub fn json(&mut self, json: &[u8]) {
        self.cell().extend_from_slice(json);
    }

    /// How long ago that was.
    pub fn age(&mut self, time: Option<Time>) {
        let age = self.since(time);
        self.text(&age);
    }

    /// How long ago that was, as a text.
    pub fn since(&self, time: Option<Time>) -> String {
        match time {
            Some(time) => human(self.now.since(time)),
            None => "<unknown>".into(),
        }
    }

    /// The object's name.
    pub fn name(&mut self, object: View<'_>) {
        self.text(object.at("metadata").text("name"));
    }

    /// The object's age.
    pub fn created(&mut self, object: View<'_>) {
        self.age(object.at("metadata").time("creationTimestamp"));
    }

    /// Marks the row as one of an object that is done.
    pub fn complete(&mut self, reason: &'static str, message: &'static str) {
        self.completed = Some((reason, message));
    }

    /// Ends the cells; the caller appends the object's JSON and the closing brace.
    pub fn end(self) -> &'o mut Vec<u8> {
        self.out.push(b']');
        if let Some((reason, message)) = self.completed {
            self.out.extend_from_slice(b",\"conditions\":[{\"type\":\"Completed\",\"status\":\"True\",\"reason\":");
            write::string(self.out, reason);
            self.out.extend_from_slice(b",\"message\":");
            write::string(self.out, message);
            self.out.extend_from_slice(b"}]");
        }
        self.out.extend_from_slice(b",\"object\":");
        self.out
    }
}

/// A duration in two or three significant figures: `45s`, `3m20s`, `5h`, `2d4h`, `400d`.
///
/// A clock that is a second ahead is forgiven.
pub fn human(duration: Duration) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let seconds = duration.0 / 1_000_000_000;
    let pair = |unit: i64, name: &str, small: i64, small_name: &str, modulus: i64| match seconds / small % modulus {
        0 => format!("{}{name}", seconds / unit),
        rest => format!("{}{name}{rest}{small_name}", seconds / unit),
    };
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => pair(MINUTE, "m", 1, "s", 60),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => pair(HOUR, "h", MINUTE, "m", 60),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => pair(DAY, "d", HOUR, "h", 24),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => pair(YEAR, "y", DAY, "d", 365),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), text, "{seconds}");
        }
    }
}
