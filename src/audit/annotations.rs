//! What authenticators, authorizers and admission have to say of a request for its record.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use compact_str::CompactString;

use super::level::Level;
use super::spent::{Layer, Spent};
use crate::auth::authorizer::Verdict;
use crate::base::clock::Clock;

const DECISION: &str = "authorization.k8s.io/decision";
const REASON: &str = "authorization.k8s.io/reason";
/// Annotations of one request at most, and bytes of one value.
const MAX: usize = 256;
const MAX_BYTES: usize = 256 << 10;

/// Values by key, sorted by key; the first value of a key stays. Clones are of the same request. Of a request that is not
/// recorded nothing is kept, and nothing is allocated.
#[derive(Clone, Debug, Default)]
pub struct Annotations(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    level: Level,
    entries: Mutex<Vec<(CompactString, CompactString)>>,
    spent: Spent,
}

impl Annotations {
    /// Of a request that is recorded at this level.
    pub fn new(level: Level) -> Self {
        let shared = || Arc::new(Shared { level, entries: Mutex::default(), spent: Spent::default() });
        Self((level > Level::None).then(shared))
    }

    /// Whether what is added is kept. Ask before working for it.
    pub fn are_kept(&self) -> bool {
        self.0.is_some()
    }

    pub fn add(&self, key: impl AsRef<str>, value: impl Into<CompactString>) {
        self.add_from(Level::Metadata, key, value);
    }

    /// Kept from this level on.
    pub fn add_from(&self, level: Level, key: impl AsRef<str>, value: impl Into<CompactString>) {
        let Some(shared) = self.0.as_ref().filter(|shared| shared.level >= level) else { return };
        let (key, mut value) = (key.as_ref(), value.into());
        let mut bound = value.len().min(MAX_BYTES);
        while !value.is_char_boundary(bound) {
            bound -= 1;
        }
        value.truncate(bound);
        let mut entries = shared.lock();
        match entries.binary_search_by(|(other, _)| other.as_str().cmp(key)) {
            Ok(at) if entries[at].1 != value => tracing::warn!(key, "an audit annotation is set already"),
            Ok(_) => {}
            Err(at) if entries.len() < MAX => entries.insert(at, (key.into(), value)),
            Err(_) => tracing::warn!(key, "too many audit annotations"),
        }
    }

    /// What the authorizers said.
    pub fn decided(&self, verdict: &Verdict) {
        if self.are_kept() && verdict.error.is_some() && !verdict.is_allowed() {
            self.add(REASON, "internal error");
        } else if self.are_kept() {
            self.add(DECISION, if verdict.is_allowed() { "allow" } else { "forbid" });
            self.add(REASON, compact_str::format_compact!("{}", verdict.reason));
        }
    }

    /// More time went into a layer.
    pub fn took(&self, layer: Layer, time: Duration) {
        if let Some(shared) = &self.0 {
            shared.spent.add(layer, time);
        }
    }

    /// Does it, and adds the time that it took.
    pub fn timed<T>(&self, clock: &Clock, layer: Layer, work: impl FnOnce() -> T) -> T {
        let begun = self.are_kept().then(|| clock.instant());
        let done = work();
        begun.inspect(|begun| self.took(layer, clock.instant() - *begun));
        done
    }

    /// The same of what has to be waited for.
    pub async fn waited<T>(&self, clock: &Clock, layer: Layer, work: impl Future<Output = T>) -> T {
        let begun = self.are_kept().then(|| clock.instant());
        let done = work.await;
        begun.inspect(|begun| self.took(layer, clock.instant() - *begun));
        done
    }

    /// Every layer that took time, by name.
    pub fn visit_layers(&self, visit: impl FnMut(&'static str, Duration)) {
        if let Some(shared) = &self.0 {
            shared.spent.visit(visit);
        }
    }

    /// Every key and value, by key.
    pub fn visit(&self, mut visit: impl FnMut(&str, &str)) {
        if let Some(shared) = &self.0 {
            shared.lock().iter().for_each(|(key, value)| visit(key, value));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<(CompactString, CompactString)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(annotations: &Annotations) -> String {
        let mut text = Vec::new();
        annotations.visit(|key, value| text.push(format!("{key}={value}")));
        text.join(" ")
    }

    #[test]
    fn the_first_value_stays_and_keys_are_sorted() {
        let annotations = Annotations::new(Level::Metadata);
        annotations.add("b", "1");
        annotations.clone().add("a", "2");
        annotations.add("b", "3");
        annotations.add_from(Level::Request, "patch", "long");
        assert_eq!(shown(&annotations), "a=2 b=1");
    }

    #[test]
    fn without_a_record_nothing_is_kept() {
        let annotations = Annotations::default();
        annotations.add("a", "1");
        annotations.decided(&Verdict::allow("because"));
        assert_eq!((shown(&annotations), annotations.are_kept()), (String::new(), false));
    }

    #[test]
    fn they_are_bounded() {
        let annotations = Annotations::new(Level::Metadata);
        (0..2 * MAX).for_each(|key| annotations.add(key.to_string(), "é".repeat(MAX_BYTES)));
        let (mut count, mut bytes) = (0, 0);
        annotations.visit(|_, value| (count, bytes) = (count + 1, bytes.max(value.len())));
        assert_eq!((count, bytes), (MAX, MAX_BYTES));
    }
}
