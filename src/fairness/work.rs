//! Work: seats times time, in the fixed point that stock counts in.

use std::fmt;
use std::time::Duration;

/// Units of one second on one seat.
const SCALE: i128 = 100_000_000;
const NANOS: i128 = 1_000_000_000;

/// Seat-seconds, or a reading of the meter that counts them. Wide enough that no meter ever runs over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work(i128);

/// How many seats a request takes, and for how long beyond its own end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// While it runs.
    pub initial: u64,
    /// After its answer, for `linger`: its watchers are told.
    pub last: u64,
    pub linger: Duration,
}

impl Work {
    pub const ZERO: Work = Work(0);

    /// Rounded to the nearest unit.
    pub fn of(seats: f64, time: Duration) -> Self {
        Self((seats * time.as_nanos() as f64 / (NANOS / SCALE) as f64).round() as i128)
    }

    /// How long so many seats need for it.
    pub fn per_seat(self, seats: u64) -> Duration {
        let nanos = self.0.max(0) * (NANOS / SCALE) / i128::from(seats.max(1));
        Duration::from_nanos(nanos.min(i128::from(u64::MAX)) as u64)
    }

    /// In seat-seconds.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / SCALE as f64
    }
}

impl std::ops::Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Work {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl std::ops::SubAssign for Work {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:08}ss", amount / SCALE as u128, amount % SCALE as u128)
    }
}

impl Estimate {
    pub const ONE: Estimate = Estimate { initial: 1, last: 0, linger: Duration::ZERO };

    pub fn seats(initial: u64) -> Self {
        Self { initial, ..Self::ONE }
    }

    /// What it takes all along: the larger of both.
    pub fn width(&self) -> u64 {
        self.initial.max(self.last)
    }

    /// Its work, if it runs as long as `guess`.
    pub fn work(&self, guess: Duration) -> Work {
        Work::of(self.initial as f64, guess) + self.last_work()
    }

    pub fn last_work(&self) -> Work {
        Work::of(self.last as f64, self.linger)
    }

    /// The same work at the end on no more than `seats` seats.
    pub fn narrowed(self, seats: u64) -> Self {
        if self.last <= seats {
            return self;
        }
        Self { last: seats, linger: self.last_work().per_seat(seats), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_shown_as_stock_shows_it() {
        let work = Work::of(2.0, Duration::from_millis(1500));
        assert_eq!((work.to_string().as_str(), work.as_f64()), ("3.00000000ss", 3.0));
        assert_eq!((Work::ZERO - Work::of(1.0, Duration::from_millis(5))).to_string(), "-0.00500000ss");
        assert_eq!(work.per_seat(3), Duration::from_secs(1));
    }

    #[test]
    fn a_narrower_request_lingers_longer() {
        let wide = Estimate { initial: 1, last: 10, linger: Duration::from_millis(5) };
        let narrow = wide.narrowed(2);
        assert_eq!(narrow, Estimate { initial: 1, last: 2, linger: Duration::from_millis(25) });
        assert_eq!((narrow.last_work(), narrow.width(), wide.width()), (wide.last_work(), 2, 10));
        assert_eq!(wide.narrowed(10), wide);
    }
}
