//! How often tokens were known already, and how often they had to be verified or asked about, under stock's names.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::base::clock::Clock;

/// Upper bounds of the times of lookups, in seconds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Status {
    status: &'static str,
}

/// The numbers of all lookups of one server. Cheap to clone.
#[derive(Clone)]
pub struct Counts {
    requests: Family<Status, Counter>,
    times: Family<Status, Histogram, fn() -> Histogram>,
    fetches: Family<Status, Counter>,
    active: Family<Status, Gauge>,
    /// Those of most requests, so that nothing is looked up.
    hits: Counter,
    hit_times: Histogram,
}

/// What counts them. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Lookups {
    counts: Counts,
    clock: Clock,
}

/// A token is looked for.
pub struct Looking<'a> {
    of: &'a Lookups,
    begun: Instant,
}

/// Nothing was known of a token; dropped when it is.
pub struct Missed<'a> {
    looking: Looking<'a>,
    waiting: Gauge,
}

/// Somebody finds out about a token. Dropped before it is done, it failed.
pub struct Fetching {
    of: Counts,
    active: Gauge,
    good: bool,
}

impl Default for Counts {
    fn default() -> Self {
        let requests: Family<Status, Counter> = Family::default();
        let times: Family<Status, Histogram, fn() -> Histogram> =
            Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let hit = Status { status: "hit" };
        let (hits, hit_times) = (requests.get_or_create(&hit).clone(), times.get_or_create(&hit).clone());
        Self { requests, times, fetches: Family::default(), active: Family::default(), hits, hit_times }
    }
}

impl Counts {
    /// The encoder appends `_total` to a counter's name.
    pub fn register(&self, registry: &mut Registry) {
        let name = |name: &str| format!("authentication_token_cache_{name}");
        registry.register(name("request"), "Tokens that were looked for, by outcome", self.requests.clone());
        let help = "Times until it was known what a token is, by outcome";
        registry.register(name("request_duration_seconds"), help, self.times.clone());
        registry.register(name("fetch"), "Tokens that were verified or asked about", self.fetches.clone());
        let help = "Tokens that are asked about, and requests that wait for an answer";
        registry.register(name("active_fetch_count"), help, self.active.clone());
    }

    pub fn by(&self, clock: &Clock) -> Lookups {
        Lookups { counts: self.clone(), clock: clock.clone() }
    }
}

impl Lookups {
    pub fn begin(&self) -> Looking<'_> {
        Looking { of: self, begun: self.clock.instant() }
    }

    pub fn fetch(&self) -> Fetching {
        Fetching { of: self.counts.clone(), active: self.counts.begun("in_flight"), good: false }
    }
}

impl Counts {
    fn begun(&self, status: &'static str) -> Gauge {
        let active = self.active.get_or_create(&Status { status }).clone();
        active.inc();
        active
    }
}

impl<'a> Looking<'a> {
    /// It was known.
    pub fn hit(self) {
        self.of.counts.hits.inc();
        self.of.counts.hit_times.observe(self.took().as_secs_f64());
    }

    pub fn missed(self) -> Missed<'a> {
        let waiting = self.of.counts.begun("blocked");
        Missed { looking: self, waiting }
    }

    fn took(&self) -> Duration {
        self.of.clock.instant() - self.begun
    }
}

impl Drop for Missed<'_> {
    fn drop(&mut self) {
        let (counts, miss) = (&self.looking.of.counts, Status { status: "miss" });
        counts.requests.get_or_create(&miss).inc();
        counts.times.get_or_create(&miss).observe(self.looking.took().as_secs_f64());
        self.waiting.dec();
    }
}

impl Fetching {
    /// It is found out; `good`: without an error.
    pub fn done(mut self, good: bool) {
        self.good = good;
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let status = if self.good { "ok" } else { "error" };
        self.of.fetches.get_or_create(&Status { status }).inc();
        self.active.dec();
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Lookups whose numbers are told to nobody.
    pub fn uncounted() -> Lookups {
        Counts::default().by(&Clock::machine())
    }

    /// The lines that say something.
    pub fn told(lookups: &Lookups) -> Vec<String> {
        let mut registry = Registry::default();
        lookups.counts.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a text");
        let lines = text.lines().filter_map(|line| line.strip_prefix("authentication_token_cache_"));
        lines.filter(|line| !line.contains("seconds") && !line.ends_with(" 0")).map(str::to_owned).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_lookup_is_counted_by_its_outcome() {
        let lookups = uncounted();
        lookups.begin().hit();
        let (missed, fetching) = (lookups.begin().missed(), lookups.fetch());
        let waiting = lookups.begin().missed();
        let mut now = told(&lookups);
        now.sort();
        let active = ["active_fetch_count{status=\"blocked\"} 2", "active_fetch_count{status=\"in_flight\"} 1"];
        assert_eq!(now, [active[0], active[1], "request_total{status=\"hit\"} 1"]);
        fetching.done(true);
        drop((missed, waiting, lookups.fetch()));
        let mut now = told(&lookups);
        now.sort();
        let requests = ["request_total{status=\"hit\"} 1", "request_total{status=\"miss\"} 2"];
        let fetches = ["fetch_total{status=\"error\"} 1", "fetch_total{status=\"ok\"} 1"];
        assert_eq!(now, [fetches[0], fetches[1], requests[0], requests[1]]);
    }
}
