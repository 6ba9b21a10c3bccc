//! The newest changes, and the watches they feed: what `memory` and `embedded` share.
//!
//! A watch that keeps up gets its changes in the call that publishes them. One that does not is fed from the ring as
//! its reader makes room; it never holds up the writer. If it falls behind more than the ring holds, it is told that its
//! revision is compacted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::contract::{Changed, WatchItem};
use crate::model::revision::Revision;

/// What stays in the ring when every watch has seen it, for a watch that starts again.
const KEPT: Room = Room { changes: 1024, bytes: 2 << 20 };
/// How far a watch may fall behind.
const MOST: Room = Room { changes: 262_144, bytes: 64 << 20 };
/// Changes in one item of a watch.
const BATCH: usize = 256;
/// Items under way to one watch.
const AHEAD: usize = 64;

/// The recent changes of one store.
pub struct History {
    state: Mutex<State>,
    /// Where waiting for a slow watch happens; publishing may come from a thread outside the runtime.
    runtime: Handle,
}

struct Room {
    changes: usize,
    bytes: usize,
}

struct State {
    /// In order of revisions; everything after `floor`.
    changes: VecDeque<Changed>,
    bytes: usize,
    floor: Revision,
    head: Revision,
    watches: Vec<Watch>,
    started: u64,
    closed: bool,
}

struct Watch {
    id: u64,
    sender: mpsc::Sender<WatchItem>,
    seen: Revision,
    /// A task waits for room in `sender`.
    waiting: bool,
}

/// How feeding a watch ended.
#[derive(PartialEq, Eq)]
enum Fed {
    /// It has seen everything.
    All,
    /// Its channel is full.
    Full,
    /// It is over: dropped by its reader, or compacted.
    Over,
}

impl History {
    /// An empty history at `head`. Must be called within a runtime.
    pub fn new(head: Revision) -> Arc<Self> {
        let state = State {
            changes: VecDeque::new(),
            bytes: 0,
            floor: head,
            head,
            watches: Vec::new(),
            started: 0,
            closed: false,
        };
        Arc::new(Self { state: Mutex::new(state), runtime: Handle::current() })
    }

    /// The newest revision that is durable and published.
    pub fn head(&self) -> Revision {
        self.lock().head
    }

    /// Appends changes and feeds the watches; `head` is the revision of the last change, or greater.
    pub fn publish(self: &Arc<Self>, changes: Vec<Changed>, head: Revision) {
        let mut state = self.lock();
        for change in changes {
            assert!(change.revision > state.head, "revision {} after {}", change.revision, state.head);
            state.head = change.revision;
            state.bytes += weight(&change);
            state.changes.push_back(change);
        }
        state.head = state.head.max(head);
        self.feed_all(&mut state);
        state.trim();
    }

    /// A watch of everything after `from`.
    pub fn watch(self: &Arc<Self>, from: Revision) -> mpsc::Receiver<WatchItem> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let mut state = self.lock();
        state.started += 1;
        if !state.closed {
            let watch = Watch { id: state.started, sender, seen: from, waiting: false };
            state.watches.push(watch);
            self.feed_all(&mut state);
        }
        receiver
    }

    /// Forgets changes up to `revision`, or up to the head.
    pub fn compact(&self, revision: Revision) {
        let mut state = self.lock();
        let revision = revision.min(state.head);
        while state.changes.front().is_some_and(|c| c.revision <= revision) {
            state.forget_oldest();
        }
        state.floor = state.floor.max(revision);
    }

    /// Ends every watch with [`WatchItem::Broken`], those with no room for it without a word.
    pub fn break_watches(&self, reason: &str) {
        for watch in self.lock().watches.drain(..) {
            let _ = watch.sender.try_send(WatchItem::Broken(reason.to_owned()));
        }
    }

    /// Ends every watch, also those to come: the store is closed.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.watches.clear();
    }

    fn feed_all(self: &Arc<Self>, state: &mut State) {
        let mut watches = std::mem::take(&mut state.watches);
        watches.retain_mut(|watch| {
            match state.feed(watch) {
                Fed::All => {}
                Fed::Full if watch.waiting => {}
                Fed::Full => self.wait_for_room(watch),
                Fed::Over => return false,
            }
            true
        });
        state.watches = watches;
    }

    /// Feeds the watch again when its reader has taken something.
    fn wait_for_room(self: &Arc<Self>, watch: &mut Watch) {
        watch.waiting = true;
        let (history, sender, id) = (Arc::downgrade(self), watch.sender.clone(), watch.id);
        self.runtime.spawn(async move {
            let _ = sender.reserve().await;
            let Some(history) = history.upgrade() else { return };
            let mut state = history.lock();
            for watch in state.watches.iter_mut().filter(|w| w.id == id) {
                watch.waiting = false;
            }
            history.feed_all(&mut state);
            state.trim();
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn feed(&self, watch: &mut Watch) -> Fed {
        while watch.seen < self.head {
            let room = match watch.sender.try_reserve() {
                Ok(room) => room,
                Err(TrySendError::Full(())) => return Fed::Full,
                Err(TrySendError::Closed(())) => return Fed::Over,
            };
            if watch.seen < self.floor {
                room.send(WatchItem::Compacted(self.floor));
                return Fed::Over;
            }
            let start = self.changes.partition_point(|c| c.revision <= watch.seen);
            let batch: Vec<_> = self.changes.range(start..).take(BATCH).cloned().collect();
            watch.seen = batch.last().map_or(self.head, |last| last.revision);
            room.send(if batch.is_empty() { WatchItem::Progress(self.head) } else { WatchItem::Changes(batch) });
        }
        Fed::All
    }

    /// Drops the oldest changes: those beyond `KEPT` that every watch has seen, and all beyond `MOST`.
    fn trim(&mut self) {
        let seen = self.watches.iter().map(|w| w.seen).min().unwrap_or(self.head);
        while self.exceeds(&MOST) || (self.exceeds(&KEPT) && self.changes.front().is_some_and(|c| c.revision <= seen)) {
            self.forget_oldest();
        }
    }

    fn exceeds(&self, room: &Room) -> bool {
        self.changes.len() > room.changes || self.bytes > room.bytes
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.changes.pop_front() {
            self.bytes -= weight(&oldest);
            self.floor = oldest.revision;
        }
    }
}

fn weight(change: &Changed) -> usize {
    size_of::<Changed>() + change.key.len() + change.value.as_ref().map_or(0, |v| v.len())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn change(revision: u64, size: usize) -> Changed {
        Changed {
            key: format!("/registry/a/{revision}"),
            value: Some(Bytes::from(vec![0; size])),
            revision: Revision(revision),
        }
    }

    fn revisions(item: WatchItem) -> Vec<u64> {
        let WatchItem::Changes(changes) = item else { panic!("{item:?}") };
        changes.iter().map(|c| c.revision.0).collect()
    }

    fn publish_each(history: &Arc<History>, revisions: std::ops::RangeInclusive<u64>, size: usize) {
        for revision in revisions {
            history.publish(vec![change(revision, size)], Revision(revision));
        }
    }

    #[tokio::test]
    async fn a_watch_gets_what_was_and_what_comes() {
        let history = History::new(Revision(10));
        publish_each(&history, 11..=13, 1);
        let mut watch = history.watch(Revision(11));
        assert_eq!(revisions(watch.recv().await.expect("open")), [12, 13]);
        publish_each(&history, 14..=14, 1);
        assert_eq!(revisions(watch.recv().await.expect("open")), [14]);
    }

    #[tokio::test]
    async fn a_future_revision_waits() {
        let history = History::new(Revision(1));
        let mut watch = history.watch(Revision(3));
        publish_each(&history, 2..=4, 1);
        assert_eq!(revisions(watch.recv().await.expect("open")), [4]);
    }

    #[tokio::test]
    async fn a_slow_watch_misses_nothing_and_holds_nobody_up() {
        let history = History::new(Revision(0));
        let mut watch = history.watch(Revision(0));
        publish_each(&history, 1..=5000, 1);
        let mut seen = Vec::new();
        while seen.len() < 5000 {
            seen.extend(revisions(watch.recv().await.expect("open")));
        }
        assert_eq!(seen, (1..=5000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_watch_too_far_behind_is_compacted() {
        let history = History::new(Revision(0));
        let mut slow = history.watch(Revision(0));
        publish_each(&history, 1..=200, 1 << 20);
        let mut seen = 0;
        let floor = loop {
            match slow.recv().await.expect("open") {
                WatchItem::Compacted(floor) => break floor.0,
                item => seen = *revisions(item).last().expect("a change"),
            }
        };
        assert!(seen < floor && floor < 200, "seen {seen}, floor {floor}");
        assert_eq!(slow.recv().await, None);
    }

    #[tokio::test]
    async fn what_every_watch_has_seen_is_soon_forgotten() {
        let history = History::new(Revision(0));
        publish_each(&history, 1..=100, 1 << 20);
        assert!(history.lock().bytes <= KEPT.bytes);
        assert!(matches!(history.watch(Revision(50)).recv().await, Some(WatchItem::Compacted(_))));
        assert_eq!(revisions(history.watch(Revision(99)).recv().await.expect("open")), [100]);
    }

    #[tokio::test]
    async fn a_head_without_a_change_is_progress() {
        let history = History::new(Revision(1));
        let mut watch = history.watch(Revision(1));
        history.publish(Vec::new(), Revision(50));
        assert_eq!(watch.recv().await, Some(WatchItem::Progress(Revision(50))));
        assert_eq!(history.head(), Revision(50));
    }

    #[tokio::test]
    async fn closing_ends_the_watches() {
        let history = History::new(Revision(1));
        let mut watch = history.watch(Revision(1));
        history.close();
        assert_eq!(watch.recv().await, None);
        assert_eq!(history.watch(Revision(1)).recv().await, None);
    }
}
