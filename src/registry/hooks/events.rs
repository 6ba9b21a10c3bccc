//! Events end by themselves, an hour after their last change.

use std::time::Duration;

use async_trait::async_trait;

use super::KindHooks;

/// Core v1 Event, also served as events.k8s.io.
pub struct Events {
    /// `--event-ttl`.
    pub ttl: Duration,
}

#[async_trait]
impl KindHooks for Events {
    fn resource(&self) -> (&'static str, &'static str) {
        ("", "events")
    }

    fn ttl(&self) -> Option<Duration> {
        Some(self.ttl)
    }

    fn has_dependents(&self) -> bool {
        false
    }
}
