//! How fast the number of pods may change: what was wanted and done lately holds it.

use std::time::Duration;

use crate::model::value::Value;
use tokio::time::Instant;

use crate::model::selector::label::Selector;

/// At most so many times as many at once, without rules of the autoscaler's own.
const FACTOR: i64 = 2;
/// Up to here the factor does not count.
const FREE: i64 = 4;

/// What an autoscaler wanted and did lately. Old entries make place for new ones.
#[derive(Default)]
pub struct Memory {
    /// Which pods are its target's.
    pub selector: Option<Selector>,
    wanted: Vec<(i64, Instant)>,
    added: Vec<(i64, Instant)>,
    removed: Vec<(i64, Instant)>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub least: i64,
    pub most: i64,
    pub current: i64,
}

/// (reason, message) of a condition.
type Said = (&'static str, &'static str);

/// What may be done, and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    pub replicas: i64,
    pub able: Said,
    pub is_limited: bool,
    pub limited: Said,
}

const READY: Said = ("ReadyForNewScale", "recommended size matches current size");
const HELD_DOWN: Said = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);
const HELD_UP: Said = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const WITHIN: Said = ("DesiredWithinRange", "the desired count is within the acceptable range");
const TOO_FEW: Said = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const TOO_MANY: Said = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FAST_UP: Said =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const TOO_FAST_DOWN: Said =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");

impl Memory {
    /// The first thing that is known of the target.
    pub fn begin(&mut self, current: i64, now: Instant) {
        if self.wanted.is_empty() {
            self.wanted.push((current, now));
        }
    }

    /// Without rules: the highest number that was wanted within `window` holds.
    pub fn plain(&mut self, wanted: i64, bounds: Bounds, window: Duration, now: Instant) -> Limited {
        let recent = self.wanted.iter().filter(|(_, at)| age(*at, now) <= window).map(|(wanted, _)| *wanted);
        let held = recent.max().unwrap_or(wanted).max(wanted);
        remember(&mut self.wanted, wanted, now, |at| age(at, now) > window);
        let fastest = (FACTOR * bounds.current).max(FREE);
        let (most, over) = if bounds.most > fastest { (fastest, TOO_FAST_UP) } else { (bounds.most, TOO_MANY) };
        let (replicas, limited) = match held {
            _ if held < bounds.least => (bounds.least, TOO_FEW),
            _ if held > most => (most, over),
            _ => (held, WITHIN),
        };
        Limited { replicas, able: if held == wanted { READY } else { HELD_UP }, is_limited: replicas != held, limited }
    }

    /// With the rules of `spec.behavior`.
    pub fn ruled(&mut self, wanted: i64, bounds: Bounds, behavior: &Value, window: Duration, now: Instant) -> Limited {
        let seconds = |rules: &Value| rules["stabilizationWindowSeconds"].as_u64().map(Duration::from_secs);
        let up = seconds(&behavior["scaleUp"]).unwrap_or_default();
        let down = seconds(&behavior["scaleDown"]).unwrap_or(window);
        let recent = |window: Duration| {
            self.wanted.iter().filter(move |(_, at)| age(*at, now) < window).map(|(wanted, _)| *wanted)
        };
        let (low, high) =
            (recent(up).min().unwrap_or(wanted).min(wanted), recent(down).max().unwrap_or(wanted).max(wanted));
        let held = bounds.current.max(low).min(high);
        remember(&mut self.wanted, wanted, now, |at| age(at, now) > up && age(at, now) > down);
        let able = match held {
            _ if held == wanted => READY,
            _ if wanted >= bounds.current => HELD_DOWN,
            _ => HELD_UP,
        };
        let (replicas, limited) = self.rate(held, bounds, behavior, now);
        Limited { replicas, able, is_limited: replicas != held, limited }
    }

    /// What the rules let pass of a number.
    fn rate(&self, held: i64, bounds: Bounds, behavior: &Value, now: Instant) -> (i64, Said) {
        if held > bounds.current {
            let fastest = self.limit(bounds.current, &behavior["scaleUp"], true, now).max(bounds.current);
            let (most, over) = if bounds.most > fastest { (fastest, TOO_FAST_UP) } else { (bounds.most, TOO_MANY) };
            if held > most {
                return (most, over);
            }
        } else if held < bounds.current {
            let fastest = self.limit(bounds.current, &behavior["scaleDown"], false, now).min(bounds.current);
            let (least, under) =
                if bounds.least < fastest { (fastest, TOO_FAST_DOWN) } else { (bounds.least, TOO_FEW) };
            if held < least {
                return (least, under);
            }
        }
        (held, WITHIN)
    }

    /// How far the rules of one direction go: each counts from where its period began.
    fn limit(&self, current: i64, rules: &Value, is_up: bool, now: Instant) -> i64 {
        let choice = rules["selectPolicy"].as_str().unwrap_or("Max");
        if choice == "Disabled" {
            return current;
        }
        let far = |policy: &Value| {
            let period = Duration::from_secs(policy["periodSeconds"].as_u64().unwrap_or(0));
            let sum = |moves: &[(i64, Instant)]| -> i64 {
                moves.iter().filter(|(_, at)| age(*at, now) < period).map(|(count, _)| *count).sum()
            };
            let (from, value) =
                (current - sum(&self.added) + sum(&self.removed), policy["value"].as_i64().unwrap_or(0));
            let part = value as f64 / 100.0;
            match (policy["type"] == "Percent", is_up) {
                (false, true) => from + value,
                (false, false) => from - value,
                // Rounded so that there is a change at all.
                (true, true) => (from as f64 * (1.0 + part)).ceil() as i64,
                (true, false) => (from as f64 * (1.0 - part)) as i64,
            }
        };
        let limits = rules["policies"].as_array().into_iter().flatten().map(far);
        // The largest change upwards is the largest number, the largest one downwards the smallest.
        let chosen = if is_up == (choice != "Min") { limits.max() } else { limits.min() };
        chosen.unwrap_or(current)
    }

    /// Remembers a change that was made, for rules to count.
    pub fn moved(&mut self, from: i64, to: i64, behavior: &Value, now: Instant) {
        if !behavior.is_object() {
            return;
        }
        let (moves, rules) = match to > from {
            true => (&mut self.added, &behavior["scaleUp"]),
            false => (&mut self.removed, &behavior["scaleDown"]),
        };
        let periods = rules["policies"].as_array().into_iter().flatten();
        let longest = periods.filter_map(|policy| policy["periodSeconds"].as_u64()).max().unwrap_or(0);
        remember(moves, (to - from).abs(), now, |at| age(at, now) > Duration::from_secs(longest));
    }
}

fn age(at: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(at)
}

/// In the place of one that is old, if there is one.
fn remember(all: &mut Vec<(i64, Instant)>, value: i64, now: Instant, is_old: impl Fn(Instant) -> bool) {
    match all.iter_mut().rev().find(|(_, at)| is_old(*at)) {
        Some(old) => *old = (value, now),
        None => all.push((value, now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    const WINDOW: Duration = Duration::from_secs(300);

    fn bounds(current: i64) -> Bounds {
        Bounds { least: 1, most: 100, current }
    }

    #[tokio::test(start_paused = true)]
    async fn a_high_number_holds_for_a_while() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let mut at = |wanted: i64, current: i64, seconds: u64| {
            let limited = memory.plain(wanted, bounds(current), WINDOW, now + Duration::from_secs(seconds));
            (limited.replicas, limited.able.0, limited.limited.0)
        };
        assert_eq!(at(50, 5, 0), (10, "ReadyForNewScale", "ScaleUpLimit"));
        assert_eq!(at(2, 10, 60), (20, "ScaleDownStabilized", "ScaleUpLimit"));
        assert_eq!(at(2, 50, 299), (50, "ScaleDownStabilized", "DesiredWithinRange"));
        assert_eq!(at(2, 50, 301), (2, "ReadyForNewScale", "DesiredWithinRange"));
        assert_eq!(at(0, 2, 900), (1, "ReadyForNewScale", "TooFewReplicas"));
    }

    #[tokio::test(start_paused = true)]
    async fn rules_count_what_was_done_in_their_period() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let pods = |value: i64| json!([{"type": "Pods", "value": value, "periodSeconds": 60}]);
        let behavior = json!({
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": pods(3)},
            "scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                {"type": "Percent", "value": 50, "periodSeconds": 60}]},
        });
        let mut at = |wanted: i64, current: i64, seconds: u64| {
            let now = now + Duration::from_secs(seconds);
            let limited = memory.ruled(wanted, bounds(current), &behavior, WINDOW, now);
            if limited.replicas != current {
                memory.moved(current, limited.replicas, &behavior, now);
            }
            (limited.replicas, limited.limited.0)
        };
        assert_eq!(at(20, 5, 0), (8, "ScaleUpLimit"));
        assert_eq!(at(20, 8, 30), (8, "ScaleUpLimit"), "three were added in this minute");
        assert_eq!(at(20, 8, 61), (11, "ScaleUpLimit"));
        assert_eq!(at(1, 11, 200), (5, "ScaleDownLimit"));
        assert_eq!(at(1, 5, 261), (2, "ScaleDownLimit"));
        let disabled = json!({"scaleUp": {"selectPolicy": "Disabled"}, "scaleDown": {"stabilizationWindowSeconds": 0}});
        let limited = Memory::default().ruled(9, bounds(2), &disabled, WINDOW, now);
        assert_eq!((limited.replicas, limited.is_limited), (2, true));
    }
}
