//! The embedded store does what the one in memory does, whatever is asked in whatever order.

use bytes::Bytes;
use monokube::base::clock::Clock;
use monokube::model::revision::Revision;
use monokube::store::contract::{Change, Commit, Expect, Outcome, Store, WatchItem};
use monokube::store::embedded::Embedded;
use monokube::store::memory::Memory;
use proptest::prelude::*;

use super::subjects;
use super::suite::{Watched, loaded};

#[derive(Clone, Debug)]
enum Step {
    Commit(Commit),
    Compact(Revision),
    Advance(Revision),
    Watch(Revision),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let expect = prop_oneof![
        2 => Just(Expect::Any),
        2 => Just(Expect::Absent),
        3 => (0..60_u64).prop_map(|revision| Expect::At(Revision(revision))),
    ];
    let value = prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let change = prop_oneof![3 => value.prop_map(|value| Change::Put { value, ttl: None }), 1 => Just(Change::Delete)];
    let key = prop::sample::select(vec!["/registry/a", "/registry/a/b", "/registry/b", "/registry/\u{e9}"]);
    let commit = (key, expect, change).prop_map(|(key, expect, change)| Commit { key: key.to_owned(), expect, change });
    let revision = (0..60_u64).prop_map(Revision);
    let step = prop_oneof![
        30 => commit.prop_map(Step::Commit),
        1 => revision.clone().prop_map(Step::Compact),
        1 => revision.clone().prop_map(Step::Advance),
        2 => revision.prop_map(Step::Watch),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..80)
}

/// The first item of a watch, if something is there at once.
async fn first_item(store: &dyn Store, from: Revision) -> Option<WatchItem> {
    store.watch(from).await.expect("opens").try_recv().ok()
}

async fn compare(steps: Vec<Step>) {
    let directory = subjects::directory();
    let memory = Memory::new(Clock::machine());
    let mut embedded: Embedded = subjects::open(directory.path()).await;
    for step in steps {
        match step {
            Step::Commit(commit) => {
                let outcome = memory.commit(commit.clone()).await;
                assert_eq!(embedded.commit(commit).await, outcome);
                if let Ok(Outcome::Committed(revision)) = outcome {
                    assert_eq!(embedded.current().await, Ok(revision));
                }
            }
            Step::Compact(revision) => {
                memory.compact(revision).await.expect("compacts");
                embedded.compact(revision).await.expect("compacts");
            }
            Step::Advance(revision) => {
                assert_eq!(embedded.advance(revision).await, memory.advance(revision).await);
            }
            Step::Watch(from) => {
                assert_eq!(first_item(&embedded, from).await, first_item(&memory, from).await);
            }
            Step::Restart => {
                embedded.close().await;
                embedded = subjects::open(directory.path()).await;
                // It has forgotten the history; so does the model.
                memory.compact(Revision(u64::MAX)).await.expect("compacts");
            }
        }
    }
    assert_eq!(loaded(&embedded, "/registry/").await, loaded(&memory, "/registry/").await);
    let current = memory.current().await.expect("answers");
    assert!(Watched::new(&embedded, current).await.until(current).await.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn embedded_does_what_memory_does(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(compare(steps));
    }
}
