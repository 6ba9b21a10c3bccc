//! What becomes of a note: a new Event, a higher count of an old one, or nothing. The numbers are client-go's.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::recorder::{Note, Regarding};
use crate::model::time::Time;

/// Things remembered of each sort.
const REMEMBERED: usize = 4_096;
/// So many different messages for one reason become one Event ...
const SIMILAR: usize = 10;
/// ... if they come within so many seconds.
const SIMILAR_SECONDS: i64 = 600;
/// Events that an object may cause at once, and seconds until it may cause one more.
const BURST: f64 = 25.0;
const REFILL_SECONDS: f64 = 300.0;
const COMBINED: &str = "(combined from similar events): ";

/// Remembers what was told lately.
#[derive(Default)]
pub struct Correlator {
    similar: Recent<Group, Similar>,
    told: Recent<Told, Last>,
    sources: Recent<Source, Bucket>,
}

/// An Event as it was written last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    pub name: String,
    pub first: Time,
    pub count: i64,
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub message: String,
    /// Under which it is remembered when it is written.
    pub told: Told,
    /// The Event whose count is to be raised; `None`: a new one.
    pub last: Option<Last>,
}

/// Who tells of what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    component: &'static str,
    /// Whatever its state.
    regarding: [String; 5],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    source: Source,
    kind: &'static str,
    reason: &'static str,
}

/// The same Event: the same group and message; without a message the one that stands for many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    group: Group,
    message: Option<String>,
}

struct Similar {
    messages: HashSet<String>,
    last: Time,
}

struct Bucket {
    tokens: f64,
    last: Time,
}

impl Correlator {
    /// `None`: its object has caused too many.
    pub fn judge(&mut self, note: &Note) -> Option<Write> {
        let group = Group::of(note);
        let alone = self.is_alone(&group, note);
        let message = if alone { note.message.clone() } else { format!("{COMBINED}{}", note.message) };
        let told = Told { message: alone.then(|| note.message.clone()), group };
        let last = self.told.get(&told).map(|last| Last { count: last.count + 1, ..last.clone() });
        if !self.spend(&told.group.source, note.time) {
            // It counts all the same.
            last.into_iter().for_each(|last| self.told.put(told.clone(), last));
            return None;
        }
        Some(Write { message, told, last })
    }

    /// It was written.
    pub fn wrote(&mut self, told: Told, last: Last) {
        self.told.put(told, last);
    }

    /// Whether few others like it came lately.
    fn is_alone(&mut self, group: &Group, note: &Note) -> bool {
        let fresh = || Similar { messages: HashSet::new(), last: note.time };
        let similar = self.similar.get_or(group, fresh);
        if note.time.seconds - similar.last.seconds > SIMILAR_SECONDS {
            *similar = fresh();
        }
        similar.last = note.time;
        similar.messages.insert(note.message.clone());
        let alone = similar.messages.len() < SIMILAR;
        if !alone {
            similar.messages.remove(&note.message);
        }
        alone
    }

    fn spend(&mut self, source: &Source, now: Time) -> bool {
        let bucket = self.sources.get_or(source, || Bucket { tokens: BURST, last: now });
        let waited = now.since(bucket.last).0.max(0) as f64 / 1e9;
        bucket.tokens = (bucket.tokens + waited / REFILL_SECONDS).min(BURST);
        bucket.last = now;
        let may = bucket.tokens >= 1.0;
        bucket.tokens -= f64::from(u8::from(may));
        may
    }
}

impl Group {
    fn of(note: &Note) -> Self {
        let Regarding { api_version, kind, namespace, name, uid, .. } = note.regarding.clone();
        let source = Source { component: note.component, regarding: [api_version, kind, namespace, name, uid] };
        Self { source, kind: note.kind.name(), reason: note.reason }
    }
}

/// The [`REMEMBERED`] things that were used last.
struct Recent<K, V> {
    entries: HashMap<K, (V, u64)>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }
}

impl<K: Clone + Eq + std::hash::Hash, V> Recent<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(value, _)| value)
    }

    fn get_or(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let value = self.entries.remove(key).map(|(value, used)| {
            self.by_use.remove(&used);
            value
        });
        self.put(key.clone(), value.unwrap_or_else(make));
        &mut self.entries.get_mut(key).expect("just put").0
    }

    fn put(&mut self, key: K, value: V) {
        self.uses += 1;
        self.by_use.insert(self.uses, key.clone());
        if let Some((_, used)) = self.entries.insert(key, (value, self.uses)) {
            self.by_use.remove(&used);
        }
        while self.entries.len() > REMEMBERED {
            let Some((_, oldest)) = self.by_use.pop_first() else { return };
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::events::Kind;
    use crate::registry::fixture::client;

    async fn note(message: &str, seconds: i64) -> Note {
        Note {
            client: client().await,
            component: "c",
            regarding: Regarding { name: "a".into(), ..Regarding::default() },
            kind: Kind::Normal,
            reason: "Done",
            message: message.into(),
            time: Time { seconds, nanos: 0 },
        }
    }

    /// What is written of these messages, a second after one another: `message x count`.
    async fn told(correlator: &mut Correlator, start: i64, messages: &[String]) -> Vec<String> {
        let mut lines = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            let note = note(message, start + at as i64).await;
            let Some(write) = correlator.judge(&note) else { continue };
            let first = Last { name: at.to_string(), first: note.time, count: 1 };
            let last = write.last.unwrap_or(first);
            lines.push(format!("{} x{}", write.message, last.count));
            correlator.wrote(write.told, last);
        }
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_again_raises_a_count() {
        let mut correlator = Correlator::default();
        let lines = told(&mut correlator, 0, &["a", "b", "a"].map(String::from)).await;
        assert_eq!(lines, ["a x1", "b x1", "a x2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn many_similar_ones_become_one_and_too_many_none() {
        let mut correlator = Correlator::default();
        let many: Vec<_> = (0..40).map(|number| number.to_string()).collect();
        let lines = told(&mut correlator, 0, &many).await;
        assert_eq!(lines.len(), 25);
        assert_eq!((lines[8].as_str(), lines[9].as_str()), ("8 x1", "(combined from similar events): 9 x1"));
        assert_eq!(lines[24], "(combined from similar events): 24 x16");
        let later = told(&mut correlator, 1_000, &many).await;
        assert_eq!(later, ["0 x2", "1 x2", "2 x2"], "some time has passed, and three may be told");
    }

    #[test]
    fn only_the_last_used_are_remembered() {
        let mut recent = Recent::default();
        for key in 0..REMEMBERED {
            recent.put(key, ());
        }
        recent.get_or(&0, || ());
        recent.put(REMEMBERED, ());
        assert!(recent.get(&0).is_some() && recent.get(&1).is_none());
        assert_eq!((recent.entries.len(), recent.by_use.len()), (REMEMBERED, REMEMBERED));
    }
}
