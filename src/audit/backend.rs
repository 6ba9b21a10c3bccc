//! What takes events: how they are written down, cut when they are too long, and whether requests wait for them.

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::batch::Buffer;
use super::event::Event;
use super::level::{Level, Stage};
use super::metrics::Metrics;

/// An event at a stage.
pub struct Telling<'a> {
    pub event: &'a Event,
    pub stage: Stage,
    pub at: Timestamp,
    json: OnceCell<Bytes>,
}

/// One event written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The request's `Audit-Id`.
    pub id: CompactString,
    /// Without the line's end.
    pub text: Bytes,
}

/// Brings entries to where they are kept. What fails it counts and says itself.
pub trait Deliver: Send + Sync {
    /// Takes them at once, in the order of calls; the future tells whether all have arrived.
    fn deliver(&self, entries: Vec<Entry>) -> BoxFuture<'static, bool>;

    /// The server ends: what does not arrive now is lost.
    fn hurry(&self) {}
}

/// Whether requests wait for their events.
pub enum Mode {
    Batch(Buffer),
    Blocking(Arc<dyn Deliver>),
    /// Requests that cannot be recorded when they come are refused.
    BlockingStrict(Arc<dyn Deliver>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    /// One line of `name="value"`.
    Legacy,
}

/// One that takes events.
pub struct Backend {
    pub mode: Mode,
    pub format: Format,
    /// Bytes of an event at most; a longer one loses its objects, and is lost when that is not enough.
    pub longest: Option<usize>,
    pub metrics: Metrics,
}

/// An event on its way. Dropped, it arrives all the same.
pub struct Delivery {
    pub arrived: BoxFuture<'static, bool>,
    pub strict: bool,
}

impl<'a> Telling<'a> {
    pub fn new(event: &'a Event, stage: Stage, at: Timestamp) -> Self {
        Self { event, stage, at, json: OnceCell::new() }
    }

    fn json(&self) -> &Bytes {
        self.json.get_or_init(|| self.event.json(self.stage, self.at, false).into())
    }
}

impl Backend {
    /// Takes an event; what comes back may be waited for.
    pub fn take(&self, telling: &Telling<'_>) -> Option<Delivery> {
        let entry = self.entry(telling)?;
        let (deliver, strict) = match &self.mode {
            Mode::Batch(buffer) => {
                buffer.push(entry);
                return None;
            }
            Mode::Blocking(deliver) => (deliver, false),
            Mode::BlockingStrict(deliver) => (deliver, true),
        };
        Some(Delivery { arrived: deliver.deliver(vec![entry]), strict })
    }

    fn entry(&self, telling: &Telling<'_>) -> Option<Entry> {
        let mut text = Bytes::new();
        if self.longest.is_some() || self.format == Format::Json {
            text = telling.json().clone();
        }
        // Stock counts the line's end, too.
        let is_long = |text: &Bytes| self.longest.is_some_and(|longest| text.len() + 1 > longest);
        if is_long(&text) && telling.event.level >= Level::Request {
            text = telling.event.json(telling.stage, telling.at, true).into();
        }
        if is_long(&text) {
            self.metrics.lost("truncate", &"event is too large even after truncating", [&telling.event.id]);
            return None;
        }
        if self.format == Format::Legacy {
            text = telling.event.line(telling.stage).into();
        }
        Some(Entry { id: telling.event.id.clone(), text })
    }
}

#[cfg(test)]
pub mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::audit::annotations::Annotations;
    use crate::auth::authorizer::Attributes;
    use crate::auth::identity::User;
    use crate::base::clock::Clock;

    /// Keeps what it is given.
    #[derive(Default)]
    pub struct Kept(pub Mutex<Vec<Vec<String>>>);

    impl Kept {
        pub fn texts(&self) -> Vec<Vec<String>> {
            self.0.lock().expect("not poisoned").clone()
        }
    }

    impl Deliver for Kept {
        fn deliver(&self, entries: Vec<Entry>) -> BoxFuture<'static, bool> {
            let texts = entries.into_iter().map(|entry| String::from_utf8(entry.text.to_vec()).expect("text"));
            self.0.lock().expect("not poisoned").push(texts.collect());
            Box::pin(async { true })
        }
    }

    pub fn clock() -> Clock {
        Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a time"))
    }

    pub fn event(level: Level) -> Event {
        let user = User::new("jane", &[]);
        let mut event = Event::new(level, &Attributes::path(&user, "get", "/version"), "id", clock().now());
        event.uri = "/version".into();
        event.annotations = Annotations::new(level);
        event
    }

    #[tokio::test]
    async fn what_is_too_long_loses_its_objects_and_then_itself() {
        let (kept, metrics) = (Arc::new(Kept::default()), Metrics::new(&clock()));
        let backend = |longest| Backend {
            mode: Mode::Blocking(kept.clone()),
            format: Format::Json,
            longest: Some(longest),
            metrics: metrics.clone(),
        };
        let mut event = event(Level::Request);
        event.request_object = Some(format!("{{\"a\":{:?}}}", "x".repeat(1000)).into());
        let take = |longest, event: &Event| {
            let telling = Telling::new(event, Stage::ResponseComplete, clock().now());
            backend(longest).take(&telling).is_some()
        };
        assert!(take(2000, &event) && take(1000, &event) && !take(100, &event));
        event.level = Level::Metadata;
        assert!(!take(1000, &event));
        let texts = kept.texts().concat();
        assert_eq!(texts.iter().map(|text| text.contains("xxx")).collect::<Vec<_>>(), [true, false]);
        assert!(texts[1].contains("\"annotations\":{\"audit.k8s.io/truncated\":\"true\"}"));
        assert_eq!(metrics.errors("truncate"), 2);
    }
}
