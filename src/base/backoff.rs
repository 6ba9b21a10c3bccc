//! Exponential backoff, bounded.

use std::time::Duration;

/// Doubles from `first` up to `most`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub most: Duration,
}

impl Backoff {
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most }
    }

    /// How long to wait after `failures` failures in a row (1 is the first).
    pub fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_most() {
        let backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(1));
        let waits: Vec<_> = [1, 2, 3, 8, 9, 100].iter().map(|n| backoff.after(*n).as_millis()).collect();
        assert_eq!(waits, [5, 10, 20, 640, 1000, 1000]);
    }
}
