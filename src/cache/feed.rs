//! The task that follows the store: loads everything, then applies every change as it comes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::state::Shared;
use super::writer::{Loading, Writer};
use crate::base::backoff::Backoff;
use crate::store::contract::{Changed, Store, StoreError, WatchItem};

/// Between attempts to reach the store.
const RETRY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
/// Changes that are taken from the store together when many wait.
const MERGED: usize = 1024;

pub(super) struct Feed {
    pub store: Arc<dyn Store>,
    pub prefix: String,
    pub shared: Arc<Shared>,
    pub writer: Arc<Mutex<Writer>>,
}

/// Why a watch of the store is over.
enum Over {
    Broken(String),
    Compacted,
}

impl Feed {
    /// Reads everything: the first time to begin with, later to catch up with what a watch no longer tells.
    pub async fn load(&self) -> Result<(), StoreError> {
        let mut load = self.store.load(&self.prefix).await?;
        let mut writer = self.writer.lock().await;
        let mut loading = Loading::new(load.revision);
        while let Some(chunk) = load.chunks.recv().await {
            writer.load(&mut loading, chunk?);
        }
        writer.install(loading)
    }

    /// Follows the store until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => {}
        }
        self.shared.following.store(false, Ordering::Release);
    }

    async fn follow(&self) {
        let mut failures = 0;
        loop {
            let reason = match self.watch(&mut failures).await {
                Ok(Over::Broken(reason)) => reason,
                Ok(Over::Compacted) => match self.load().await {
                    Ok(()) => continue,
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            self.shared.following.store(false, Ordering::Release);
            failures += 1;
            if failures == 1 {
                tracing::warn!(reason, "lost the store's watch");
            }
            self.shared.clock.sleep(RETRY.after(failures)).await;
        }
    }

    /// Applies what one watch of the store tells.
    async fn watch(&self, failures: &mut u32) -> Result<Over, StoreError> {
        let from = self.shared.read().revision;
        let mut items = self.store.watch(from).await?;
        self.shared.following.store(true, Ordering::Release);
        let mut next = None;
        loop {
            let item = match next.take() {
                Some(item) => item,
                None => match items.recv().await {
                    Some(item) => item,
                    None => return Ok(Over::Broken("the store is closed".into())),
                },
            };
            match item {
                WatchItem::Changes(mut changes) => {
                    next = more(&mut changes, &mut items);
                    self.writer.lock().await.apply(&changes);
                }
                WatchItem::Progress(revision) => self.writer.lock().await.progress(revision),
                WatchItem::Compacted(_) => return Ok(Over::Compacted),
                WatchItem::Broken(reason) => return Ok(Over::Broken(reason)),
            }
            *failures = 0;
            tokio::task::coop::consume_budget().await;
        }
    }
}

/// Appends the changes that wait already; gives back what stands after them.
fn more(changes: &mut Vec<Changed>, items: &mut mpsc::Receiver<WatchItem>) -> Option<WatchItem> {
    while changes.len() < MERGED {
        match items.try_recv().ok()? {
            WatchItem::Changes(mut further) => changes.append(&mut further),
            other => return Some(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tasks::Tasks;
    use crate::cache::handle::Cache;
    use crate::cache::testing::{Flaky, PODS, labelled, listed, options, watch_all};
    use crate::cache::watcher::Start;
    use crate::model::revision::Revision;

    async fn open(store: &Arc<Flaky>, tasks: &Tasks) -> Cache {
        Cache::open(store.clone(), options(), tasks).await.expect("opens")
    }

    async fn reached(cache: &Cache, revision: Revision) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        cache.at_least(revision, deadline).await.expect("reached");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_store_has_is_there_and_what_it_gets_comes() {
        let (store, tasks) = (Flaky::new(), Tasks::default());
        store.put("a", &labelled("x")).await;
        store.put("b", &labelled("x")).await;
        let cache = open(&store, &tasks).await;
        assert_eq!((listed(&cache, &PODS).as_str(), cache.published()), ("a@2 b@3", Revision(3)));
        store.put("a", &labelled("y")).await;
        store.delete("b").await;
        reached(&cache, Revision(5)).await;
        assert_eq!(listed(&cache, &PODS), "a@4");
        store.advance(Revision(9)).await.expect("answers");
        reached(&cache, Revision(9)).await;
        assert!(cache.is_following());
        tasks.shutdown(Duration::from_secs(1)).await;
        assert!(!cache.is_following());
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_watch_goes_on_where_it_ended() {
        let (store, tasks) = (Flaky::new(), Tasks::default());
        let cache = open(&store, &tasks).await;
        let mut watcher = watch_all(&cache, Start::Now);
        store.put("a", &labelled("x")).await;
        assert_eq!(watcher.next().await.shown(), "ADDED a@2");
        store.memory.break_watches("no quorum");
        store.put("b", &labelled("x")).await;
        store.put("a", &labelled("y")).await;
        assert_eq!(watcher.next().await.shown(), "ADDED b@3");
        assert_eq!(watcher.next().await.shown(), "MODIFIED a@4");
        assert_eq!(store.watched_from(), [1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_compaction_the_differences_come_as_events() {
        let (store, tasks) = (Flaky::new(), Tasks::default());
        for name in ["a", "b", "c", "d"] {
            store.put(name, &labelled("x")).await;
        }
        let cache = open(&store, &tasks).await;
        let mut watcher = watch_all(&cache, Start::Now);
        assert!(watcher.try_next().is_none());
        store.fail(1);
        store.memory.break_watches("connection lost");
        store.delete("a").await;
        store.put("b", &labelled("y")).await;
        store.delete("c").await;
        store.put("c", &labelled("z")).await;
        store.put("e", &labelled("x")).await;
        store.compact(Revision(10)).await.expect("answers");
        for wanted in ["DELETED c@6", "MODIFIED b@7", "DELETED a@8", "ADDED c@9", "ADDED e@10"] {
            assert_eq!(watcher.next().await.shown(), wanted);
        }
        assert_eq!(listed(&cache, &PODS), "b@7 c@9 d@5 e@10");
        store.put("f", &labelled("x")).await;
        assert_eq!(watcher.next().await.shown(), "ADDED f@11");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_for_a_while_is_tried_again() {
        let (store, tasks) = (Flaky::new(), Tasks::default());
        let cache = open(&store, &tasks).await;
        store.fail(5);
        store.memory.break_watches("connection lost");
        store.put("a", &labelled("x")).await;
        reached(&cache, Revision(2)).await;
        assert!(cache.is_following());
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_read_at_the_start_is_an_error() {
        let store = Flaky::new();
        store.fail(1);
        let opened = Cache::open(store.clone(), options(), &Tasks::default()).await;
        assert_eq!(opened.err(), Some(StoreError::Unavailable("on purpose".into())));
    }
}
