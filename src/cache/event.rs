//! One change of one object, shared by everyone who hears of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use super::object::{Key, Object};
use super::shelf::ShelfId;
use crate::model::revision::Revision;

/// A change. It knows the state before and after, so that everyone can tell what it means to them.
#[derive(Debug)]
pub struct Event {
    /// Its place among all events of this cache: 0, 1, 2, ...
    pub seq: u64,
    pub shelf: ShelfId,
    pub revision: Revision,
    pub change: Change,
    departed: OnceLock<Arc<Object>>,
    renderings: Mutex<Option<Vec<(Slot, Bytes)>>>,
    ledger: Arc<Ledger>,
}

#[derive(Clone, Debug)]
pub enum Change {
    Added(Arc<Object>),
    Modified { previous: Arc<Object>, current: Arc<Object> },
    Deleted(Arc<Object>),
}

/// What a change is, or is to one watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Added,
    Modified,
    Deleted,
}

/// One way to render events; its meaning is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u32);

/// Renderings that one event keeps at most: other ones are made anew each time.
const MAX_RENDERINGS: usize = 6;

impl Event {
    pub(super) fn new(seq: u64, shelf: ShelfId, revision: Revision, change: Change, ledger: Arc<Ledger>) -> Self {
        let renderings = Mutex::new(Some(Vec::new()));
        Self { seq, shelf, revision, change, departed: OnceLock::new(), renderings, ledger }
    }

    pub fn kind(&self) -> Kind {
        match self.change {
            Change::Added(_) => Kind::Added,
            Change::Modified { .. } => Kind::Modified,
            Change::Deleted(_) => Kind::Deleted,
        }
    }

    pub fn key(&self) -> &Key {
        match &self.change {
            Change::Added(object) | Change::Modified { current: object, .. } | Change::Deleted(object) => &object.key,
        }
    }

    /// The state after the change; `None` after a delete.
    pub fn current(&self) -> Option<&Arc<Object>> {
        match &self.change {
            Change::Added(current) | Change::Modified { current, .. } => Some(current),
            Change::Deleted(_) => None,
        }
    }

    /// The state before the change, under its own revision; `None` before a create.
    pub fn previous(&self) -> Option<&Arc<Object>> {
        match &self.change {
            Change::Added(_) => None,
            Change::Modified { previous, .. } | Change::Deleted(previous) => Some(previous),
        }
    }

    /// The state before the change under the change's revision: what those see from whom the object has gone.
    pub fn departed(&self) -> Option<&Arc<Object>> {
        let previous = self.previous()?;
        Some(self.departed.get_or_init(|| Arc::new(previous.at(self.revision))))
    }

    /// What to show of the object: its state after the change, the last one when it is deleted.
    pub fn object(&self) -> &Arc<Object> {
        match &self.change {
            Change::Added(current) | Change::Modified { current, .. } => current,
            Change::Deleted(previous) => self.departed().unwrap_or(previous),
        }
    }

    /// The event as one of its watchers sends it: made by the first who asks, the same bytes for all others. Not kept
    /// for long after the event.
    pub fn rendered<E>(&self, slot: Slot, render: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        let mut renderings = self.renderings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = renderings.iter().flatten().find(|(known, _)| *known == slot) {
            return Ok(bytes.clone());
        }
        let bytes = render()?;
        if let Some(kept) = renderings.as_mut().filter(|kept| kept.len() < MAX_RENDERINGS)
            && self.ledger.enter(bytes.len())
        {
            kept.push((slot, bytes.clone()));
        }
        Ok(bytes)
    }

    /// Forgets the renderings, for good.
    pub(super) fn forget_renderings(&self) {
        let kept = self.renderings.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.ledger.leave(kept.iter().flatten().map(|(_, bytes)| bytes.len()).sum());
    }

    /// Bytes that only history keeps alive: a state is counted with the event that ended it.
    pub(super) fn weight(&self) -> usize {
        const OWN: usize = size_of::<Event>() + 64;
        OWN + self.previous().map_or(0, |previous| previous.bytes.len() * if self.current().is_none() { 2 } else { 1 })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.forget_renderings();
    }
}

/// Counts the bytes of renderings of all events of a cache.
#[derive(Debug)]
pub struct Ledger {
    bytes: AtomicUsize,
    limit: usize,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), limit }
    }

    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether it is so full that the oldest renderings must go to leave room for new ones.
    pub(super) fn is_crowded(&self) -> bool {
        self.bytes() > self.limit / 2
    }

    fn enter(&self, bytes: usize) -> bool {
        let fits = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.limit;
        if !fits {
            self.leave(bytes);
        }
        fits
    }

    fn leave(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::pod;
    use std::convert::Infallible;

    fn event(change: Change, limit: usize) -> Event {
        Event::new(0, ShelfId(0), Revision(9), change, Arc::new(Ledger::new(limit)))
    }

    fn render(event: &Event, slot: u32, text: &'static str) -> Bytes {
        let made: Result<_, Infallible> = event.rendered(Slot(slot), || Ok(Bytes::from_static(text.as_bytes())));
        made.unwrap_or_default()
    }

    #[test]
    fn an_event_is_rendered_once_a_slot() {
        let event = event(Change::Added(pod("a", 9, "n1")), 100);
        assert_eq!(render(&event, 0, "first"), "first");
        assert_eq!(render(&event, 0, "second"), "first");
        assert_eq!(render(&event, 1, "other"), "other");
        assert_eq!(event.ledger.bytes(), 10);
        event.forget_renderings();
        assert_eq!(render(&event, 0, "third"), "third");
        assert_eq!(render(&event, 0, "fourth"), "fourth");
        assert_eq!(event.ledger.bytes(), 0);
        let failed = event.rendered(Slot(2), || Err("no"));
        assert_eq!(failed, Err("no"));
    }

    #[test]
    fn renderings_are_bounded() {
        let event = event(Change::Added(pod("a", 9, "n1")), 8);
        assert_eq!((render(&event, 0, "12345"), render(&event, 1, "6789")), ("12345".into(), "6789".into()));
        assert_eq!(render(&event, 1, "made anew"), "made anew");
        assert_eq!(event.ledger.bytes(), 5);
    }

    #[test]
    fn the_deleted_show_their_last_state_under_the_new_revision() {
        let event = event(Change::Deleted(pod("a", 3, "n1")), 0);
        assert_eq!((event.kind(), event.object().revision), (Kind::Deleted, Revision(9)));
        assert_eq!(event.previous().map(|object| object.revision), Some(Revision(3)));
        assert!(event.current().is_none());
    }
}
