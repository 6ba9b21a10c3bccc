//! How many seats a level could use over time: the average, its deviation, the highest mark, and what borrowing makes of
//! them.

use std::time::Duration;

/// What is kept of the smoothed demand at each adjustment: half of it is forgotten after five minutes.
const SMOOTHING: f64 = 0.977;

/// Integrates a number over time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Integral {
    seconds: f64,
    of_x: f64,
    of_x2: f64,
    max: f64,
}

/// A number over a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observed {
    /// Zero when no time has passed; average and deviation say nothing then.
    pub seconds: f64,
    pub average: f64,
    pub deviation: f64,
    pub max: f64,
}

/// A level's demand, as of the last adjustment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    pub average: f64,
    pub deviation: f64,
    /// The most seats wanted at once since the adjustment before.
    pub high: u64,
    /// Follows a rise at once, and a fall slowly.
    pub smoothed: f64,
}

impl Integral {
    /// `x` has been the number for this long.
    pub fn add(&mut self, x: f64, time: Duration) {
        let seconds = time.as_secs_f64();
        self.seconds += seconds;
        self.of_x += x * seconds;
        self.of_x2 += x * x * seconds;
    }

    /// `x` is the number from now on.
    pub fn note(&mut self, x: f64) {
        self.max = self.max.max(x);
    }

    /// Ends the span. The next one begins with `x`.
    pub fn take(&mut self, x: f64) -> Observed {
        let ended = std::mem::replace(self, Self { max: x, ..Self::default() });
        if ended.seconds <= 0.0 {
            return Observed { max: ended.max, ..Observed::default() };
        }
        let average = ended.of_x / ended.seconds;
        let variance = ended.of_x2 / ended.seconds - average * average;
        Observed { seconds: ended.seconds, average, deviation: variance.max(0.0).sqrt(), max: ended.max }
    }
}

impl Demand {
    pub fn update(&mut self, observed: Observed) {
        self.high = observed.max.round() as u64;
        if observed.seconds <= 0.0 {
            return;
        }
        self.average = observed.average;
        self.deviation = observed.deviation;
        let envelope = observed.average + observed.deviation;
        self.smoothed = envelope.max(SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * envelope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_weighed_by_its_time() {
        let mut integral = Integral::default();
        integral.note(10.0);
        integral.add(10.0, Duration::from_secs(1));
        integral.note(0.0);
        integral.add(0.0, Duration::from_secs(1));
        assert_eq!(integral.take(3.0), Observed { seconds: 2.0, average: 5.0, deviation: 5.0, max: 10.0 });
        assert_eq!(integral.take(0.0), Observed { max: 3.0, ..Observed::default() });
    }

    #[test]
    fn demand_rises_at_once_and_falls_slowly() {
        let mut demand = Demand::default();
        let observed = |average| Observed { seconds: 10.0, average, deviation: 0.0, max: average };
        demand.update(observed(100.0));
        assert_eq!((demand.smoothed, demand.high), (100.0, 100));
        for _ in 0..30 {
            demand.update(observed(0.0));
        }
        // Five minutes later.
        assert!((demand.smoothed - 50.0).abs() < 1.0, "{demand:?}");
        assert_eq!((demand.high, demand.average), (0, 0.0));
    }
}
