//! What is counted: events, requests by level, and everything that went wrong, which is also said in the log.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::level::Level;
use crate::base::clock::Clock;

/// The same trouble is said at most this often.
const SAID_EVERY: Duration = Duration::from_secs(1);
/// Events that one line names.
const NAMED: usize = 10;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Plugin {
    plugin: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfLevel {
    level: &'static str,
}

/// The numbers of one server. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Parts>);

struct Parts {
    clock: Clock,
    events: Counter,
    errors: Family<Plugin, Counter>,
    levels: Family<OfLevel, Counter>,
    /// Those of `levels`, in the order of [`Level::ALL`].
    by_level: [Counter; 4],
    rejected: Counter,
    /// By plugin: when its last line was written, and how many events it has lost since.
    said: Mutex<Vec<(&'static str, Instant, usize)>>,
}

impl Metrics {
    pub fn new(clock: &Clock) -> Self {
        let levels = Family::<OfLevel, Counter>::default();
        let by_level = Level::ALL.map(|level| levels.get_or_create_owned(&OfLevel { level: level.word() }));
        Self(Arc::new(Parts {
            clock: clock.clone(),
            events: Counter::default(),
            errors: Family::default(),
            levels,
            by_level,
            rejected: Counter::default(),
            said: Mutex::default(),
        }))
    }

    /// Under stock's names; the encoder appends `_total`.
    pub fn register(&self, registry: &mut Registry) {
        let parts = &self.0;
        let help = "Audit events made and handed to the backends";
        registry.register("apiserver_audit_event", help, parts.events.clone());
        let help = "Audit events that were not recorded as they should be, by plugin";
        registry.register("apiserver_audit_error", help, parts.errors.clone());
        registry.register("apiserver_audit_level", "Requests by the level of their policy rule", parts.levels.clone());
        let help = "Requests refused because they could not be recorded";
        registry.register("apiserver_audit_requests_rejected", help, parts.rejected.clone());
    }

    pub fn event(&self) {
        self.0.events.inc();
    }

    pub fn level(&self, level: Level) {
        self.0.by_level[level as usize].inc();
    }

    pub fn rejected(&self) {
        self.0.rejected.inc();
    }

    /// Events are lost, `ids` of them.
    pub fn lost<T: Display>(&self, plugin: &'static str, why: &dyn Display, ids: impl IntoIterator<Item = T>) {
        let (mut count, mut named) = (0, Vec::new());
        for id in ids {
            count += 1;
            if named.len() < NAMED {
                named.push(id.to_string());
            }
        }
        self.0.errors.get_or_create(&Plugin { plugin }).inc_by(count as u64);
        if let Some(unsaid) = self.may_say(plugin, count) {
            let events = named.join(",");
            tracing::error!(plugin, count = unsaid, events, why = %why, "audit events are lost");
        }
    }

    /// How many events the line has to tell of, if it is time for one.
    fn may_say(&self, plugin: &'static str, count: usize) -> Option<usize> {
        let now = self.0.clock.instant();
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, last, unsaid)) = said.iter_mut().find(|(other, ..)| *other == plugin) else {
            said.push((plugin, now, 0));
            return Some(count);
        };
        *unsaid += count;
        if now - *last < SAID_EVERY {
            return None;
        }
        *last = now;
        Some(std::mem::take(unsaid))
    }

    #[cfg(test)]
    pub fn errors(&self, plugin: &'static str) -> u64 {
        self.0.errors.get_or_create(&Plugin { plugin }).get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[tokio::test(start_paused = true)]
    async fn trouble_is_counted_always_and_said_now_and_then() {
        let metrics = Metrics::new(&Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a time")));
        assert_eq!(metrics.may_say("log", 1), Some(1));
        assert_eq!(metrics.may_say("log", 2), None);
        assert_eq!(metrics.may_say("webhook", 5), Some(5));
        metrics.lost("log", &"disk full", ["a", "b"]);
        metrics.0.clock.sleep(SAID_EVERY).await;
        assert_eq!(metrics.may_say("log", 1), Some(5));
        metrics.event();
        metrics.level(Level::Metadata);
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        for line in [
            "apiserver_audit_event_total 1",
            "apiserver_audit_error_total{plugin=\"log\"} 2",
            "apiserver_audit_level_total{level=\"Metadata\"} 1",
            "apiserver_audit_requests_rejected_total 0",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
