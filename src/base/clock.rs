//! The clock: the machine's, or one that follows tokio's (pausable) time from a fixed origin.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Tells the time. Cheap to clone; every clone tells the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Machine,
    /// `origin` is the wall-clock time at `start`.
    Virtual {
        origin: Timestamp,
        start: Instant,
    },
}

impl Clock {
    /// The machine's wall clock.
    pub fn machine() -> Self {
        Self(Source::Machine)
    }

    /// A clock that shows `origin` now and moves with tokio's time: paused, it stands still.
    pub fn starting_at(origin: Timestamp) -> Self {
        Self(Source::Virtual { origin, start: Instant::now() })
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Machine => Timestamp::now(),
            Source::Virtual { origin, start } => *origin + start.elapsed(),
        }
    }

    /// Monotonic time, for measuring and for deadlines.
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    pub async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_follows_paused_time() {
        let origin = "2026-01-01T00:00:00Z".parse().expect("a time");
        let clock = Clock::starting_at(origin);
        assert_eq!(clock.now(), origin);
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now().to_string(), "2026-01-01T01:00:00Z");
    }
}
