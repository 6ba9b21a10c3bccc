//! Events that parts of the plane record about objects, as client-go's recorder for `events.k8s.io/v1` writes them: one
//! event for what repeats, with a series that counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::client::{Client, Target};
use crate::base::clock::Clock;
use crate::model::time::Time;
use crate::model::value::{Value, json};

/// The longest note of an event, in bytes.
pub const MAX_NOTE: usize = 1024;
/// What has been told is remembered for so long after it last happened; then it is told anew.
const FORGET: Duration = Duration::from_secs(6 * 60);
/// Different events that are remembered at most.
const MAX_REMEMBERED: usize = 4096;
/// Repetitions between two writes of a series' count.
const SERIES_STEP: u64 = 16;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regarding<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    /// Empty for a cluster-scoped object: its events live in `default`.
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    pub resource_version: &'a str,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub struct Happened<'a> {
    pub is_warning: bool,
    pub reason: &'a str,
    pub action: &'a str,
    pub note: &'a str,
}

/// Records events as one controller. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    client: Client,
    clock: Clock,
    controller: &'static str,
    /// `CONTROLLER-HOST`.
    instance: Arc<str>,
    told: Arc<Mutex<HashMap<String, Told>>>,
    /// The time in the newest event's name: no two have the same.
    newest: Arc<AtomicI64>,
}

/// An event that may repeat.
struct Told {
    namespace: String,
    name: String,
    count: u64,
    last: tokio::time::Instant,
}

impl Recorder {
    pub fn new(client: Client, controller: &'static str, host: &str) -> Self {
        let clock = client.registry().clock.clone();
        let instance = format!("{controller}-{host}").into();
        Self { client, clock, controller, instance, told: Arc::default(), newest: Arc::default() }
    }

    /// Writes the event, or counts it to the one that tells the same. A failure is logged: nobody waits for an event.
    pub async fn record(&self, regarding: Regarding<'_>, related: Option<Regarding<'_>>, happened: Happened<'_>) {
        let now: Time = self.clock.now().into();
        let key = format!("{regarding:?}{related:?}{} {} {}", happened.is_warning, happened.reason, happened.action);
        let written = match self.repeat(&key) {
            Some(None) => return,
            Some(Some((namespace, name, count))) => {
                let series = json!({"count": count, "lastObservedTime": now.to_micros_text().as_str()});
                let target = Target::new("events.k8s.io", "events", &namespace, &name);
                self.client.merge(target, &json!({"series": series})).await.map(drop)
            }
            None => self.create(&key, regarding, related, happened).await,
        };
        if let Err(status) = written {
            tracing::debug!(reason = happened.reason, object = regarding.name, error = %status.message, "no event");
        }
    }

    /// `None`: told for the first time. The inner value: what to write now, if anything.
    fn repeat(&self, key: &str) -> Option<Option<(String, String, u64)>> {
        let now = self.clock.instant();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let known = told.get_mut(key)?;
        if now.duration_since(known.last) > FORGET {
            told.remove(key);
            return None;
        }
        known.count += 1;
        known.last = now;
        let is_due = known.count == 2 || known.count.is_multiple_of(SERIES_STEP);
        Some(is_due.then(|| (known.namespace.clone(), known.name.clone(), known.count)))
    }

    async fn create(
        &self,
        key: &str,
        regarding: Regarding<'_>,
        related: Option<Regarding<'_>>,
        happened: Happened<'_>,
    ) -> crate::model::status::Result<()> {
        let timestamp = self.clock.now();
        let now: Time = timestamp.into();
        let namespace = if regarding.namespace.is_empty() { "default" } else { regarding.namespace };
        let name = format!("{}.{:x}", regarding.name, self.moment(timestamp));
        let mut event = json!({
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": now.to_micros_text().as_str(),
            "reportingController": self.controller,
            "reportingInstance": &*self.instance,
            "action": happened.action,
            "reason": happened.reason,
            "regarding": reference(regarding),
            "note": note(happened.note),
            "type": if happened.is_warning { "Warning" } else { "Normal" },
        });
        if let Some(related) = related {
            event["related"] = reference(related);
        }
        self.remember(key, namespace, &name);
        self.client.create(Target::new("events.k8s.io", "events", namespace, &name), &event).await.map(drop)
    }

    /// Nanoseconds since 1970, later than any before.
    fn moment(&self, now: jiff::Timestamp) -> i64 {
        let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        let later = |newest: i64| now.max(newest.saturating_add(1));
        let before = self.newest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |newest| Some(later(newest)));
        later(before.unwrap_or_default())
    }

    fn remember(&self, key: &str, namespace: &str, name: &str) {
        let now = self.clock.instant();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MAX_REMEMBERED {
            told.retain(|_, known| now.duration_since(known.last) <= FORGET);
        }
        if told.len() >= MAX_REMEMBERED {
            told.clear();
        }
        let event = Told { namespace: namespace.to_owned(), name: name.to_owned(), count: 1, last: now };
        told.insert(key.to_owned(), event);
    }
}

fn reference(of: Regarding<'_>) -> Value {
    let mut reference = json!({"kind": of.kind, "name": of.name});
    for (field, text) in [
        ("apiVersion", of.api_version),
        ("namespace", of.namespace),
        ("uid", of.uid),
        ("resourceVersion", of.resource_version),
    ] {
        if !text.is_empty() {
            reference[field] = text.into();
        }
    }
    reference
}

/// The note, cut where it is too long.
pub fn note(text: &str) -> String {
    const CUT: &str = " ...";
    if text.len() <= MAX_NOTE {
        return text.to_owned();
    }
    let end = (0..=MAX_NOTE - CUT.len()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{CUT}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::GroupResource;
    use crate::registry::fixture::{client, value};

    const POD: Regarding<'static> =
        Regarding { api_version: "v1", kind: "Pod", namespace: "default", name: "a", uid: "u", resource_version: "7" };

    async fn events(client: &Client) -> Vec<Value> {
        client.registry().fresh().await.expect("fresh");
        let events = client.registry().cache.snapshot(&[&GroupResource::new("", "events")]).expect("events");
        let all: Vec<_> = events.shelves[0].iter(None).cloned().collect();
        all.iter().map(|object| value(client.registry(), "", "events", object)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_repeats_is_counted() {
        let client = client().await;
        let recorder = Recorder::new(client.clone(), "default-scheduler", "host");
        let failed = Happened { is_warning: true, reason: "FailedScheduling", action: "Scheduling", note: "no room" };
        recorder.record(POD, None, failed).await;
        let told = events(&client).await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["involvedObject"]["name"], "a");
        assert_eq!((&told[0]["message"], &told[0]["type"]), (&json!("no room"), &json!("Warning")));
        assert_eq!(told[0]["reportingComponent"], "default-scheduler");
        assert_eq!(told[0]["reportingInstance"], "default-scheduler-host");

        recorder.record(POD, None, failed).await;
        recorder.record(POD, None, failed).await;
        let told = events(&client).await;
        assert_eq!((told.len(), &told[0]["series"]["count"]), (1, &json!(2)), "the third is only counted");

        tokio::time::advance(FORGET * 2).await;
        recorder.record(POD, None, failed).await;
        assert_eq!(events(&client).await.len(), 2, "after a pause it is told anew");
    }

    #[test]
    fn a_note_is_cut() {
        assert_eq!(note("short"), "short");
        let long = note(&"é".repeat(MAX_NOTE));
        assert!(long.len() <= MAX_NOTE && long.ends_with(" ..."));
    }
}
