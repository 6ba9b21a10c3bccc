//! Where the time of a request went, for its record.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A part of a request's way, under stock's name.
#[derive(Clone, Copy, Debug)]
pub enum Layer {
    Authentication,
    Authorization,
    /// Whether the user may be another, and who that is.
    Impersonation,
    /// Until there was a seat for it.
    Queue,
    /// Until the store had answered, and the cache was as new as the answer.
    Store,
    /// What is kept was decoded.
    Decode,
    /// What is kept was brought into the version that was asked for.
    Transform,
    /// The answer was written down; of a list also that its pieces were sent.
    Serialize,
    /// The pieces of a list were sent. Of an answer in one piece nobody here sees it.
    Write,
}

/// In the order of [`Layer`].
const NAMES: [&str; 9] = [
    "authentication",
    "authorization",
    "impersonation",
    "apf-queue-wait",
    "etcd",
    "decode-response-object",
    "transform-response-object",
    "serialize-response-object",
    "response-write",
];

/// Nanoseconds by layer; zero where a request did not come.
#[derive(Debug, Default)]
pub struct Spent([AtomicU64; NAMES.len()]);

impl Spent {
    /// More time in a layer; all of it counts together.
    pub fn add(&self, layer: Layer, took: Duration) {
        self.0[layer as usize].fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Every layer that took time, by name.
    pub fn visit(&self, mut visit: impl FnMut(&'static str, Duration)) {
        for (name, nanos) in NAMES.iter().zip(&self.0) {
            let nanos = nanos.load(Ordering::Relaxed);
            if nanos > 0 {
                visit(name, Duration::from_nanos(nanos));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_adds_up_under_its_name() {
        let spent = Spent::default();
        spent.add(Layer::Write, Duration::from_millis(1));
        spent.add(Layer::Store, Duration::from_millis(2));
        spent.add(Layer::Store, Duration::from_millis(3));
        let mut seen = Vec::new();
        spent.visit(|name, took| seen.push((name, took.as_millis())));
        assert_eq!(seen, [("etcd", 5), ("response-write", 1)]);
    }
}
