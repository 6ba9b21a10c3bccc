//! What the cache may grow to.

use std::time::Duration;

/// Bounds of one cache. The current state itself is as large as it is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Events remembered, of all resources together.
    pub history_events: usize,
    /// Bytes of old states that the remembered events keep alive.
    pub history_bytes: usize,
    /// Events older than this are forgotten, down to `history_least`.
    pub history_age: Duration,
    pub history_least: usize,
    /// Bytes of rendered events kept for the next watcher.
    pub rendered_bytes: usize,
    /// Events waiting in a watcher's inbox. One that overflows reads on from the history, if that still reaches back.
    pub inbox_events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            history_events: 100_000,
            history_bytes: 64 << 20,
            history_age: Duration::from_secs(300),
            history_least: 1_000,
            rendered_bytes: 8 << 20,
            inbox_events: 1_000,
        }
    }
}
