//! The table of what was measured.

use std::fmt;

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Aim::AtMost(bound) => value <= bound,
            Aim::AtLeast(bound) => value >= bound,
        }
    }
}

/// Rows in the order in which they were measured.
#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
}

enum Line {
    Section(String),
    Row { what: String, value: f64, unit: &'static str, aim: Option<Aim>, note: String },
}

impl Report {
    pub fn section(&mut self, title: &str) {
        self.add(Line::Section(title.to_owned()));
    }

    pub fn row(&mut self, what: &str, value: f64, unit: &'static str, aim: Option<Aim>) {
        self.row_with(what, value, unit, aim, "");
    }

    pub fn row_with(&mut self, what: &str, value: f64, unit: &'static str, aim: Option<Aim>, note: &str) {
        self.add(Line::Row { what: what.to_owned(), value, unit, aim, note: note.to_owned() });
    }

    /// Progress is told as it comes: a whole run takes minutes.
    fn add(&mut self, line: Line) {
        tracing::info!("{line}");
        self.lines.push(line);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Section(title) => write!(f, "\n{title}"),
            Line::Row { what, value, unit, aim, note } => {
                let aim = aim.map_or(String::new(), |aim| {
                    let (sign, bound) = match aim {
                        Aim::AtMost(bound) => ("<=", bound),
                        Aim::AtLeast(bound) => (">=", bound),
                    };
                    format!("{sign} {} {}", number(bound), if aim.is_met(*value) { "met" } else { "missed" })
                });
                let line = format!("  {what:<40} {:>10} {unit:<17} {aim:<18} {note}", number(*value));
                f.write_str(line.trim_end())
            }
        }
    }
}

/// With as many decimals as a figure of this size deserves.
fn number(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_say_whether_their_aim_is_met() {
        let mut report = Report::default();
        report.section("at rest");
        report.row("memory", 41.6, "MB", Some(Aim::AtMost(40.0)));
        report.row_with("lists", 412.3, "MB/s", Some(Aim::AtLeast(300.0)), "in 1 s");
        let text: Vec<String> =
            report.to_string().lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(text, ["", "at rest", "memory 42 MB <= 40 missed", "lists 412 MB/s >= 300 met in 1 s"]);
    }
}
