//! The keys of one controller that wait to be looked at: each once, in order; failed ones after a while.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use compact_str::CompactString;
use tokio::time::Instant;

use crate::base::backoff::Backoff;

/// What is to be looked at: `namespace/name` for most controllers.
pub type Key = CompactString;

/// Waits after failures in a row.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(1000));

/// Bounded by the number of objects: a key stands in it once, and leaves when there is nothing to remember of it.
#[derive(Debug, Default)]
pub struct Queue {
    ready: VecDeque<Key>,
    keys: HashMap<Key, Entry>,
    /// Keys that are due later; the number tells those of one moment apart.
    due: BTreeMap<(Instant, u64), Key>,
    stamps: u64,
}

#[derive(Debug, Default)]
struct Entry {
    place: Place,
    failures: u32,
    due: Option<(Instant, u64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Idle,
    Ready,
    Running,
    /// Running, and asked for meanwhile.
    Again,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    After(Duration),
    /// To be tried again, not before this time is over.
    Failed(Duration),
}

impl Queue {
    /// Asks for a key now. One that runs is looked at once more afterwards.
    pub fn add(&mut self, key: &Key) {
        let entry = self.keys.entry(key.clone()).or_default();
        match entry.place {
            Place::Idle => {
                entry.place = Place::Ready;
                if let Some(due) = entry.due.take() {
                    self.due.remove(&due);
                }
                self.ready.push_back(key.clone());
            }
            Place::Running => entry.place = Place::Again,
            Place::Ready | Place::Again => {}
        }
    }

    /// Asks for those that are due.
    pub fn wake(&mut self, now: Instant) {
        while let Some(first) = self.due.first_entry() {
            if first.key().0 > now {
                return;
            }
            let key = first.remove();
            if let Some(entry) = self.keys.get_mut(&key) {
                entry.due = None;
            }
            self.add(&key);
        }
    }

    /// When the next key is due that nobody has asked for.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }

    /// The key that has waited longest; it runs until [`Self::finish`].
    pub fn take(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        self.keys.entry(key.clone()).or_default().place = Place::Running;
        Some(key)
    }

    /// Its run is over.
    pub fn finish(&mut self, key: &Key, outcome: Outcome, now: Instant) {
        let Some(entry) = self.keys.get_mut(key) else { return };
        entry.failures = if matches!(outcome, Outcome::Failed(_)) { entry.failures.saturating_add(1) } else { 0 };
        let again = entry.place == Place::Again;
        entry.place = Place::Idle;
        if again {
            return self.add(key);
        }
        let wait = match outcome {
            Outcome::Done => {
                self.keys.remove(key);
                return;
            }
            Outcome::After(wait) => wait,
            Outcome::Failed(least) => BACKOFF.after(entry.failures).max(least),
        };
        self.stamps += 1;
        let due = (now + wait, self.stamps);
        entry.due = Some(due);
        self.due.insert(due, key.clone());
    }

    /// How often in a row a key has failed.
    pub fn failures(&self, key: &Key) -> u32 {
        self.keys.get(key).map_or(0, |entry| entry.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = Key::const_new("a");
    const B: Key = Key::const_new("b");

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_once_and_runs_once() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        [&A, &B, &A].into_iter().for_each(|key| queue.add(key));
        assert_eq!((queue.take(), queue.take(), queue.take()), (Some(A), Some(B), None));
        queue.add(&A);
        queue.add(&A);
        assert_eq!(queue.take(), None, "it runs");
        queue.finish(&A, Outcome::Done, now);
        queue.finish(&B, Outcome::Done, now);
        assert_eq!((queue.take(), queue.take()), (Some(A), None), "asked for while it ran");
        queue.finish(&A, Outcome::Done, now);
        assert!(queue.keys.is_empty(), "nothing is remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_longer_each_time() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(&A);
        for wait in [5, 10, 20, 40] {
            assert_eq!(queue.take(), Some(A));
            queue.finish(&A, Outcome::Failed(Duration::ZERO), now);
            let due = queue.next_due().expect("due");
            assert_eq!(due, now + Duration::from_millis(wait));
            queue.wake(now);
            assert_eq!(queue.take(), None);
            queue.wake(due);
        }
        queue.take();
        queue.finish(&A, Outcome::Failed(at(9)), now);
        assert_eq!((queue.next_due(), queue.failures(&A)), (Some(now + at(9)), 5));
        queue.add(&A);
        assert_eq!((queue.take(), queue.next_due()), (Some(A), None), "a change does not wait");
        queue.finish(&A, Outcome::Done, now);
        assert_eq!(queue.failures(&A), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_says_anew_when_the_next_is_due() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(&A);
        queue.take();
        queue.finish(&A, Outcome::After(at(60)), now);
        queue.add(&A);
        queue.take();
        assert_eq!(queue.next_due(), None);
        queue.finish(&A, Outcome::After(at(30)), now);
        assert_eq!(queue.next_due(), Some(now + at(30)));
        queue.wake(now + at(30));
        assert_eq!(queue.take(), Some(A));
    }
}
