//! How long a number has been how high: a histogram of time, in nanoseconds.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

/// Nanoseconds by the height of a number.
#[derive(Clone, Debug)]
pub struct TimeShares {
    /// Upper bounds of the buckets, ascending.
    bounds: &'static [f64],
    /// One for each bound, and one for what is above them all.
    nanos: Vec<u64>,
    sum: f64,
}

impl TimeShares {
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, nanos: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// The number has been `x` for this long.
    pub fn add(&mut self, x: f64, time: Duration) {
        let nanos = time.as_nanos() as u64;
        let bucket = self.bounds.partition_point(|bound| *bound < x);
        self.nanos[bucket] += nanos;
        self.sum += x * nanos as f64;
    }

    pub fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.nanos.iter().copied()).collect();
        encoder.encode_histogram::<NoLabelSet>(self.sum, self.nanos.iter().sum(), &buckets, None)
    }

    /// How long it has been above `bound`, which is one of the bounds.
    #[cfg(test)]
    pub fn above(&self, bound: f64) -> Duration {
        let first = self.bounds.partition_point(|known| *known <= bound);
        Duration::from_nanos(self.nanos[first..].iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_falls_into_the_bucket_of_its_number() {
        let mut shares = TimeShares::new(&[0.0, 0.5, 1.0]);
        for (x, millis) in [(0.0, 1), (0.5, 2), (0.7, 4), (3.0, 8)] {
            shares.add(x, Duration::from_millis(millis));
        }
        let millis = |bound| shares.above(bound).as_millis();
        assert_eq!((millis(0.0), millis(0.5), millis(1.0)), (14, 12, 8));
        assert_eq!(shares.sum, 27.8e6 - 0.0);
    }
}
