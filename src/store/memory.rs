//! A store in memory, for tests and simulation: deterministic under a paused clock, and it fails on demand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::contract::{Change, Changed, Commit, Entry, Expect, Load, Outcome, Store, StoreError, WatchItem};
use super::expiry;
use super::history::History;
use crate::base::clock::Clock;
use crate::model::revision::Revision;

/// Entries in one chunk of a load.
const CHUNK: usize = 256;

/// Keeps the contract except that nothing survives the process.
pub struct Memory {
    kept: Arc<Kept>,
    clock: Clock,
    /// Faults to come.
    pub faults: Faults,
}

/// What goes wrong next. Commits meet the faults in the order in which they were asked for.
#[derive(Default)]
pub struct Faults {
    commits: Mutex<VecDeque<Fault>>,
}

enum Fault {
    Fail(StoreError),
    LoseAnswer { happened: bool },
}

struct Kept {
    state: Mutex<State>,
    history: Arc<History>,
    next: expiry::Next,
}

struct State {
    entries: BTreeMap<String, Value>,
    /// Every key with a TTL, by when it expires.
    expiries: BTreeSet<(Timestamp, String)>,
    revision: Revision,
}

struct Value {
    bytes: Bytes,
    revision: Revision,
    expires: Option<Timestamp>,
}

impl Memory {
    /// An empty store at revision 1. Must be called within a runtime.
    pub fn new(clock: Clock) -> Self {
        let revision = Revision(1);
        let (next, due) = watch::channel(None);
        let state = State { entries: BTreeMap::new(), expiries: BTreeSet::new(), revision };
        let kept = Arc::new(Kept { state: Mutex::new(state), history: History::new(revision), next });
        let (weak, now) = (Arc::downgrade(&kept), clock.clone());
        tokio::spawn(expiry::run(clock.clone(), due, move || {
            let expired = weak.upgrade().map(|kept| kept.expire(now.now()));
            std::future::ready(expired.map(|()| true))
        }));
        Self { kept, clock, faults: Faults::default() }
    }

    /// Ends all watches as a lost connection would.
    pub fn break_watches(&self, reason: &str) {
        self.kept.history.break_watches(reason);
    }
}

impl Faults {
    /// The next `count` commits fail with `error`; nothing is changed.
    pub fn fail_commits(&self, count: usize, error: &StoreError) {
        self.lock().extend((0..count).map(|_| Fault::Fail(error.clone())));
    }

    /// The next `count` commits end with [`StoreError::Unknown`], having `happened` or not.
    pub fn lose_answers(&self, count: usize, happened: bool) {
        self.lock().extend((0..count).map(|_| Fault::LoseAnswer { happened }));
    }

    fn next(&self) -> Option<Fault> {
        self.lock().pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Memory {
    async fn load(&self, prefix: &str) -> Result<Load, StoreError> {
        let state = self.kept.lock();
        let under = state.entries.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        let entries: Vec<_> = under.map(|(key, value)| value.entry(key)).collect();
        let (sender, chunks) = mpsc::channel(entries.len().div_ceil(CHUNK).max(1));
        for chunk in entries.chunks(CHUNK) {
            sender.try_send(Ok(chunk.to_vec())).expect("room for every chunk");
        }
        Ok(Load { revision: state.revision, chunks })
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.kept.lock().current(key))
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        commit.check_size()?;
        let lost = || Err(StoreError::Unknown("the answer was lost".to_owned()));
        match self.faults.next() {
            None => Ok(self.kept.commit(commit, &self.clock)),
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::LoseAnswer { happened: false }) => lost(),
            Some(Fault::LoseAnswer { happened: true }) => {
                self.kept.commit(commit, &self.clock);
                lost()
            }
        }
    }

    async fn watch(&self, from: Revision) -> Result<mpsc::Receiver<WatchItem>, StoreError> {
        Ok(self.kept.history.watch(from))
    }

    async fn current(&self) -> Result<Revision, StoreError> {
        Ok(self.kept.history.head())
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.kept.history.compact(revision);
        Ok(())
    }

    async fn advance(&self, revision: Revision) -> Result<Revision, StoreError> {
        let mut state = self.kept.lock();
        state.revision = state.revision.max(revision);
        self.kept.history.publish(Vec::new(), state.revision);
        Ok(state.revision)
    }

    async fn size(&self) -> Result<u64, StoreError> {
        let state = self.kept.lock();
        Ok(state.entries.iter().map(|(key, value)| (key.len() + value.bytes.len()) as u64).sum())
    }
}

impl Kept {
    fn commit(&self, commit: Commit, clock: &Clock) -> Outcome {
        let mut state = self.lock();
        let current = state.entries.get(&commit.key).map(|value| value.revision);
        let as_expected = match commit.expect {
            Expect::Absent => current.is_none(),
            Expect::At(revision) => current == Some(revision),
            Expect::Any => true,
        };
        if !as_expected || (commit.change == Change::Delete && current.is_none()) {
            return Outcome::Conflict { current: state.current(&commit.key) };
        }
        let change = match commit.change {
            Change::Delete => state.delete(commit.key),
            Change::Put { value, ttl } => {
                let expires = ttl.map(|ttl| expiry::deadline(clock, ttl));
                if let Some(at) = expires {
                    expiry::note(&self.next, at);
                }
                state.put(commit.key, value, expires)
            }
        };
        let revision = change.revision;
        self.history.publish(vec![change], revision);
        Outcome::Committed(revision)
    }

    fn expire(&self, now: Timestamp) {
        let mut state = self.lock();
        while let Some((at, key)) = state.expiries.first().cloned()
            && at <= now
        {
            let change = state.delete(key);
            let revision = change.revision;
            self.history.publish(vec![change], revision);
        }
        self.next.send_replace(state.expiries.first().map(|(at, _)| *at));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn current(&self, key: &str) -> Option<Entry> {
        self.entries.get(key).map(|value| value.entry(key))
    }

    fn put(&mut self, key: String, bytes: Bytes, expires: Option<Timestamp>) -> Changed {
        self.revision = self.revision.next();
        let value = Value { bytes: bytes.clone(), revision: self.revision, expires };
        let before = self.entries.insert(key.clone(), value);
        self.forget_expiry(&key, before);
        self.expiries.extend(expires.map(|at| (at, key.clone())));
        Changed { key, value: Some(bytes), revision: self.revision }
    }

    fn delete(&mut self, key: String) -> Changed {
        self.revision = self.revision.next();
        let before = self.entries.remove(&key);
        self.forget_expiry(&key, before);
        Changed { key, value: None, revision: self.revision }
    }

    fn forget_expiry(&mut self, key: &str, before: Option<Value>) {
        if let Some(at) = before.and_then(|before| before.expires) {
            self.expiries.remove(&(at, key.to_owned()));
        }
    }
}

impl Value {
    fn entry(&self, key: &str) -> Entry {
        Entry { key: key.to_owned(), value: self.bytes.clone(), revision: self.revision }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn put(key: &str) -> Commit {
        Commit::put(key, Expect::Absent, "x")
    }

    #[tokio::test]
    async fn faults_come_in_the_order_asked_for() {
        let store = Memory::new(Clock::machine());
        let full = StoreError::CannotWrite("disk full".to_owned());
        store.faults.fail_commits(1, &full);
        store.faults.lose_answers(1, false);
        store.faults.lose_answers(1, true);
        assert_eq!(store.commit(put("/registry/a")).await, Err(full));
        assert!(matches!(store.commit(put("/registry/a")).await, Err(StoreError::Unknown(_))));
        assert_eq!(store.get("/registry/a").await, Ok(None));
        assert!(matches!(store.commit(put("/registry/a")).await, Err(StoreError::Unknown(_))));
        assert!(store.get("/registry/a").await.expect("answers").is_some());
        assert_eq!(store.commit(put("/registry/b")).await, Ok(Outcome::Committed(Revision(3))));
    }

    #[tokio::test]
    async fn a_broken_watch_says_why() {
        let store = Memory::new(Clock::machine());
        let mut watch = store.watch(Revision(1)).await.expect("answers");
        store.break_watches("connection lost");
        assert_eq!(watch.recv().await, Some(WatchItem::Broken("connection lost".to_owned())));
        assert_eq!(watch.recv().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_expire_in_simulated_time() {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a time"));
        let store = Memory::new(clock.clone());
        let change = Change::Put { value: "x".into(), ttl: Some(Duration::from_secs(3600)) };
        let commit = Commit { key: "/registry/events/a".to_owned(), expect: Expect::Any, change };
        store.commit(commit).await.expect("answers");
        let mut watch = store.watch(Revision(2)).await.expect("answers");
        let before = clock.now();
        let gone = Changed { key: "/registry/events/a".to_owned(), value: None, revision: Revision(3) };
        assert_eq!(watch.recv().await, Some(WatchItem::Changes(vec![gone])));
        let waited = clock.now().duration_since(before);
        assert!(waited.as_secs() == 3600, "{waited:?}");
    }
}
