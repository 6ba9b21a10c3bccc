//! What is counted of requests: by schema and level, and by whether they read or write.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use compact_str::CompactString;
use prometheus_client::encoding::{MetricEncoder, NoLabelSet};
use tokio::time::Instant;

use super::queues::Refusal;
use super::shares::TimeShares;

const SECONDS: &[f64] = &[0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0];
const WATCHES: &[f64] = &[0.0, 1.0, 10.0, 100.0, 1000.0, 10000.0];
const SEATS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0];
const REQUESTS: &[f64] = &[0.0, 0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];

/// A number that others read while it changes.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

/// How often something was how large.
#[derive(Debug)]
pub struct Spread {
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

/// The requests of one schema on one level.
#[derive(Debug)]
pub struct Counts {
    pub level: CompactString,
    pub schema: CompactString,
    pub dispatched: Number,
    pub rejected: [Number; 3],
    pub no_room: Number,
    pub executing: Number,
    pub seats: Number,
    pub waiting: Number,
    pub waiting_seats: Number,
    /// Seconds of those that ran in the end, and of those that did not.
    pub waited: [Spread; 2],
    /// Seconds of watches' beginnings, and of everything else.
    pub ran: [Spread; 2],
    pub width: Spread,
    pub watches: Spread,
}

/// The requests that read, or write, and run, or wait: how many, over time.
#[derive(Debug)]
pub struct Flight(Mutex<Flying>);

#[derive(Debug)]
struct Flying {
    count: u64,
    /// By what it is divided for `shares`.
    most: u64,
    since: Instant,
    shares: TimeShares,
    /// The highest count of the second that began then, and of the one before.
    mark: (Instant, u64),
    last: u64,
}

/// Everything that is counted here.
#[derive(Debug)]
pub struct Numbers {
    by_schema: Mutex<BTreeMap<(CompactString, CompactString), Arc<Counts>>>,
    /// Of those that run: reads, writes.
    pub executing: [Flight; 2],
    pub waiting: [Flight; 2],
}

impl Number {
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn change(&self, amount: u64, up: bool) {
        if up {
            self.add(amount);
        } else {
            self.0.fetch_sub(amount, Ordering::Relaxed);
        }
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Spread {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    pub fn observe(&self, x: f64) {
        self.counts[self.bounds.partition_point(|bound| *bound < x)].fetch_add(1, Ordering::Relaxed);
        let add = |sum: u64| Some((f64::from_bits(sum) + x).to_bits());
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> =
            bounds.zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

impl Counts {
    fn new(level: &str, schema: &str) -> Self {
        Self {
            level: level.into(),
            schema: schema.into(),
            dispatched: Number::default(),
            rejected: Default::default(),
            no_room: Number::default(),
            executing: Number::default(),
            seats: Number::default(),
            waiting: Number::default(),
            waiting_seats: Number::default(),
            waited: [Spread::new(SECONDS), Spread::new(SECONDS)],
            ran: [Spread::new(SECONDS), Spread::new(SECONDS)],
            width: Spread::new(SEATS),
            watches: Spread::new(WATCHES),
        }
    }

    pub fn reject(&self, why: Refusal) {
        self.rejected[why as usize].add(1);
    }

    fn is_idle(&self) -> bool {
        self.executing.get() == 0 && self.seats.get() == 0 && self.waiting.get() == 0
    }
}

impl Flight {
    fn new(now: Instant) -> Self {
        let shares = TimeShares::new(REQUESTS);
        Self(Mutex::new(Flying { count: 0, most: 1, since: now, shares, mark: (now, 0), last: 0 }))
    }

    pub fn change(&self, up: bool, now: Instant) {
        let mut flying = self.at(now);
        flying.count = if up { flying.count + 1 } else { flying.count.saturating_sub(1) };
        flying.mark.1 = flying.mark.1.max(flying.count);
    }

    /// What counts as all.
    pub fn set_most(&self, most: u64, now: Instant) {
        self.at(now).most = most.max(1);
    }

    /// The most at once in the last whole second.
    pub fn high(&self, now: Instant) -> u64 {
        self.at(now).last
    }

    pub fn shares(&self, now: Instant) -> TimeShares {
        self.at(now).shares.clone()
    }

    fn at(&self, now: Instant) -> MutexGuard<'_, Flying> {
        let mut flying = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let time = now.saturating_duration_since(flying.since);
        if !time.is_zero() {
            let part = flying.count as f64 / flying.most as f64;
            flying.shares.add(part, time);
            flying.since = now;
        }
        let marked = now.saturating_duration_since(flying.mark.0);
        if marked >= Duration::from_secs(1) {
            // Nothing has changed in the whole seconds since the one that is marked.
            flying.last = if marked < Duration::from_secs(2) { flying.mark.1 } else { flying.count };
            flying.mark = (now - Duration::from_nanos(marked.subsec_nanos().into()), flying.count);
        }
        flying
    }
}

impl Numbers {
    pub fn new(now: Instant) -> Self {
        let pair = || [Flight::new(now), Flight::new(now)];
        Self { by_schema: Mutex::default(), executing: pair(), waiting: pair() }
    }

    pub fn of(&self, level: &str, schema: &str) -> Arc<Counts> {
        let new = || Arc::new(Counts::new(level, schema));
        self.lock().entry((level.into(), schema.into())).or_insert_with(new).clone()
    }

    pub fn all(&self) -> Vec<Arc<Counts>> {
        self.lock().values().cloned().collect()
    }

    /// Forgets what is of no schema any more and has no request.
    pub fn keep(&self, is_known: impl Fn(&str, &str) -> bool) {
        self.lock().retain(|(level, schema), counts| is_known(level, schema) || !counts.is_idle());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(CompactString, CompactString), Arc<Counts>>> {
        self.by_schema.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_high_mark_is_of_the_last_whole_second() {
        let start = Instant::now();
        let flight = Flight::new(start);
        let at = |millis| start + Duration::from_millis(millis);
        flight.change(true, at(100));
        flight.change(true, at(200));
        flight.change(false, at(300));
        assert_eq!((flight.high(at(900)), flight.high(at(1100))), (0, 2));
        assert_eq!(flight.high(at(2100)), 1);
        flight.change(false, at(2200));
        assert_eq!((flight.high(at(3000)), flight.high(at(9000))), (1, 0));
    }

    #[test]
    fn what_is_of_no_schema_is_forgotten_when_it_rests() {
        let numbers = Numbers::new(Instant::now());
        let busy = numbers.of("l", "busy");
        busy.executing.add(1);
        numbers.of("l", "gone");
        numbers.of("l", "here");
        numbers.keep(|_, schema| schema == "here");
        let left: Vec<_> = numbers.all().iter().map(|counts| counts.schema.to_string()).collect();
        assert_eq!(left, ["busy", "here"]);
        assert!(Arc::ptr_eq(&busy, &numbers.of("l", "busy")));
    }

    #[test]
    fn sizes_are_spread_over_buckets() {
        let spread = Spread::new(&[1.0, 2.0]);
        [0.5, 1.0, 1.5, 9.0].into_iter().for_each(|x| spread.observe(x));
        let counts: Vec<_> = spread.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!((counts, spread.count()), (vec![2, 1, 1], 4));
        assert_eq!(f64::from_bits(spread.sum.load(Ordering::Relaxed)), 12.0);
    }
}
