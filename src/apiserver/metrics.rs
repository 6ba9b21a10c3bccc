//! /metrics: counts and times of requests, and what the process costs, in Prometheus' text form.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the times of requests, in seconds.
const BUCKETS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// Counters whose names do not say so.
const PLAIN: [&str; 2] = ["authentication_attempts", "authenticated_user_requests"];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Request {
    verb: &'static str,
    code: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Verb {
    verb: &'static str,
}

/// The numbers of one server.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    times: Family<Verb, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::with(|_| {})
    }
}

impl Metrics {
    /// With what others register of their own.
    pub fn with(others: impl FnOnce(&mut Registry)) -> Self {
        let mut registry = Registry::default();
        others(&mut registry);
        let requests = Family::default();
        let times = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        // The encoder appends `_total` to a counter's name.
        registry.register("apiserver_request", "Requests answered, by verb and HTTP code", requests.clone());
        registry.register("apiserver_request_duration_seconds", "Times of requests, by verb", times.clone());
        Self { registry, requests, times }
    }

    pub fn request(&self, verb: &'static str, code: u16, took: Duration) {
        self.requests.get_or_create(&Request { verb, code }).inc();
        self.times.get_or_create(&Verb { verb }).observe(took.as_secs_f64());
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            tracing::error!("metrics cannot be written");
        }
        classic(&text)
    }
}

/// The text in the form that stock writes: a counter's whole name also where its type is told, some names without
/// `_total`, no mark at the end.
fn classic(text: &str) -> String {
    let (mut out, mut help, mut plain) = (String::with_capacity(text.len()), "", false);
    for line in text.lines().filter(|line| *line != "# EOF") {
        if line.starts_with("# HELP ") {
            help = line;
            continue;
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            plain = kind == "counter" && PLAIN.contains(&name);
            let suffix = if kind == "counter" && !plain { "_total" } else { "" };
            if let Some(said) = help.strip_prefix("# HELP ").and_then(|rest| rest.strip_prefix(name)) {
                let _ = writeln!(out, "# HELP {name}{suffix}{said}");
            }
            let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
            continue;
        }
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap_or(line.len()));
        let name = if plain { name.strip_suffix("_total").unwrap_or(name) } else { name };
        let _ = writeln!(out, "{name}{rest}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_counters_do_not_say_that_they_are() {
        let counter = Counter::<u64>::default();
        counter.inc();
        let metrics = Metrics::with(|registry| registry.register("authentication_attempts", "Tries", counter));
        let text = metrics.text();
        let expected = "# HELP authentication_attempts Tries.\n# TYPE authentication_attempts counter\nauthentication_attempts 1\n";
        assert!(text.starts_with(expected) && !text.contains("EOF"), "{text}");
    }

    #[test]
    fn requests_are_counted() {
        let metrics = Metrics::default();
        metrics.request("get", 200, Duration::from_millis(3));
        let text = metrics.text();
        assert!(text.contains("apiserver_request_total{verb=\"get\",code=\"200\"} 1"), "{text}");
        assert!(text.contains("# TYPE apiserver_request_total counter\n"), "{text}");
        assert!(text.contains("apiserver_request_duration_seconds_bucket{le=\"0.005\",verb=\"get\"} 1"), "{text}");
    }
}
