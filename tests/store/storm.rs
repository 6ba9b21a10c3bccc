//! The embedded store is killed in a storm of writes, again and again. What it acknowledged is there; what it did not may
//! be, but only as it was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use monokube::base::entropy::Entropy;
use monokube::model::revision::Revision;
use monokube::store::contract::{Commit, Expect, Outcome, Store};
use monokube::store::embedded::Embedded;

use super::child::{Running, say};
use super::subjects::{self, open};
use super::suite::loaded;

const ROUNDS: u32 = 8;
const WRITERS: u32 = 48;
/// Keys of each writer, written in turn.
const KEYS: u64 = 5;

/// What a writer does to its key in its step `step`: the value, or `None` for a delete.
fn value(key: &str, step: u64) -> Option<Bytes> {
    let filler = "x".repeat((step as usize * 977) % 6000);
    (step / KEYS % 4 != 3).then(|| Bytes::from(format!("{key} {step} {filler}")))
}

fn key(round: &str, writer: u32, step: u64) -> String {
    format!("/registry/storm/{round}/{writer}/{}", step % KEYS)
}

/// The child: each writer takes its steps one after another, and says so after each that was acknowledged.
pub async fn storm(store: Embedded, round: &str) {
    let store = Arc::new(store);
    let writers = (0..WRITERS).map(|writer| {
        let (store, round) = (store.clone(), round.to_owned());
        tokio::spawn(async move {
            for step in 0.. {
                let key = key(&round, writer, step);
                let commit = match value(&key, step) {
                    Some(value) => Commit::put(key, Expect::Any, value),
                    None => Commit::delete(key, Expect::Any),
                };
                match store.commit(commit).await {
                    Ok(Outcome::Committed(revision)) => say(&format!("{round} {writer} {step} {revision}")),
                    other => panic!("{other:?}"),
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("never ends");
    }
}

/// The last step of each writer that was acknowledged, and the greatest revision.
#[derive(Default)]
struct Acknowledged {
    steps: BTreeMap<(String, u32), BTreeMap<u64, Revision>>,
    newest: Revision,
}

impl Acknowledged {
    fn note(&mut self, line: &str) {
        let parts: Vec<_> = line.split(' ').collect();
        // The last line may be cut off.
        let [round, writer, step, revision] = parts[..] else { return };
        let revision = Revision::parse(revision).expect("a revision");
        let steps = self.steps.entry((round.to_owned(), writer.parse().expect("a number"))).or_default();
        steps.insert(step.parse().expect("a number"), revision);
        self.newest = self.newest.max(revision);
    }

    /// Compares with what the store has after the kill.
    async fn check(&self, store: &dyn Store) {
        let (revision, entries) = loaded(store, "/registry/").await;
        assert!(revision >= self.newest, "revision {revision} after {} was acknowledged", self.newest);
        let mut found: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        for ((round, writer), steps) in &self.steps {
            let (last, _) = steps.last_key_value().expect("one at least");
            for slot in 0..KEYS {
                let key = key(round, *writer, slot);
                let found = found.remove(&key);
                let acknowledged = (0..=*last).rev().find(|step| step % KEYS == slot);
                // A writer's next step was under way.
                let under_way = Some(last + 1).filter(|step| step % KEYS == slot);
                let is = |step: u64| found.as_ref().map(|entry| &entry.value) == value(&key, step).as_ref();
                let as_acknowledged = acknowledged.map_or(found.is_none(), is);
                assert!(as_acknowledged || under_way.is_some_and(is), "{key} after step {last}: {found:?}");
                if let (Some(step), Some(entry)) = (acknowledged, &found)
                    && as_acknowledged
                {
                    assert_eq!(Some(&entry.revision), steps.get(&step), "{key}");
                }
            }
        }
        // Writers of whom nothing was heard took no more than their first step.
        for (key, entry) in found {
            assert_eq!(Some(&entry.value), value(&key, 0).as_ref(), "{key} was never asked for");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    let (directory, chance) = (subjects::directory(), Entropy::seeded(42));
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let mut child = Running::start(&format!("storm {round}"), directory.path(), None);
        for _ in 0..100 + chance.below(3000) {
            acknowledged.note(&child.line().expect("it storms until it is killed"));
        }
        for line in child.kill() {
            acknowledged.note(&line);
        }
        let store = open(directory.path()).await;
        acknowledged.check(&store).await;
        store.close().await;
    }
}
