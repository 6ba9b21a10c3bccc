//! What waits for one reader of events. The writer puts events in and never waits; when there are too many, all are
//! thrown away and the reader goes on from the history.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::event::Event;

/// Events in order, shared by all inboxes that got them.
pub type Batch = Arc<[Arc<Event>]>;

pub struct Inbox {
    content: Mutex<Content>,
    /// Events.
    limit: usize,
}

#[derive(Default)]
struct Content {
    batches: VecDeque<Batch>,
    events: usize,
    overflowed: bool,
    resync: bool,
    closed: bool,
    reader: Option<Waker>,
}

/// What a reader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Batches,
    Nothing,
    /// There were too many: the history has what is missing.
    Overflowed,
    /// The set of shelves has changed: everything is to be read again.
    Resync,
    /// Nothing will come any more.
    Closed,
}

impl Inbox {
    pub fn new(limit: usize) -> Self {
        Self { content: Mutex::default(), limit }
    }

    /// Returns whom to wake.
    pub fn push(&self, batch: &Batch) -> Option<Waker> {
        let mut content = self.lock();
        if content.overflowed || content.resync || content.closed {
            return None;
        }
        if content.events + batch.len() > self.limit {
            content.overflowed = true;
            content.batches = VecDeque::new();
            content.events = 0;
        } else {
            content.events += batch.len();
            content.batches.push_back(batch.clone());
        }
        content.reader.take()
    }

    /// Returns whom to wake.
    pub fn resync(&self) -> Option<Waker> {
        let mut content = self.lock();
        content.resync = true;
        content.reader.take()
    }

    /// What is there can still be read. Returns whom to wake.
    pub fn close(&self) -> Option<Waker> {
        let mut content = self.lock();
        content.closed = true;
        content.reader.take()
    }

    /// Takes everything.
    pub fn take(&self, into: &mut VecDeque<Batch>) -> Found {
        let mut content = self.lock();
        if std::mem::take(&mut content.resync) {
            content.batches.clear();
            content.events = 0;
            content.overflowed = false;
            return Found::Resync;
        }
        if !content.batches.is_empty() {
            content.events = 0;
            if into.is_empty() {
                std::mem::swap(into, &mut content.batches);
            } else {
                into.append(&mut content.batches);
            }
            return Found::Batches;
        }
        if std::mem::take(&mut content.overflowed) {
            return Found::Overflowed;
        }
        if content.closed { Found::Closed } else { Found::Nothing }
    }

    /// Wakes the reader at the next change. `false`: there is something to read already.
    pub fn wait(&self, reader: &Waker) -> bool {
        let mut content = self.lock();
        if !content.batches.is_empty() || content.overflowed || content.resync || content.closed {
            return false;
        }
        match &mut content.reader {
            Some(known) => known.clone_from(reader),
            None => content.reader = Some(reader.clone()),
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::added;

    fn take(inbox: &Inbox) -> (Found, Vec<u64>) {
        let mut batches = VecDeque::new();
        let found = inbox.take(&mut batches);
        (found, batches.iter().flat_map(|batch| batch.iter().map(|event| event.seq)).collect())
    }

    fn batch(seqs: std::ops::Range<u64>) -> Batch {
        seqs.map(added).collect()
    }

    #[test]
    fn batches_come_out_as_they_went_in() {
        let inbox = Inbox::new(5);
        assert_eq!(take(&inbox), (Found::Nothing, vec![]));
        inbox.push(&batch(0..2));
        inbox.push(&batch(2..5));
        assert_eq!(take(&inbox), (Found::Batches, vec![0, 1, 2, 3, 4]));
        assert_eq!(take(&inbox), (Found::Nothing, vec![]));
    }

    #[test]
    fn too_many_are_thrown_away_at_once() {
        let inbox = Inbox::new(5);
        inbox.push(&batch(0..3));
        inbox.push(&batch(3..6));
        inbox.push(&batch(6..7));
        assert_eq!(take(&inbox), (Found::Overflowed, vec![]));
        inbox.push(&batch(7..8));
        assert_eq!(take(&inbox), (Found::Batches, vec![7]));
    }

    #[test]
    fn what_came_before_the_end_is_read() {
        let inbox = Inbox::new(5);
        inbox.push(&batch(0..1));
        inbox.close();
        inbox.push(&batch(1..2));
        assert_eq!(take(&inbox), (Found::Batches, vec![0]));
        assert_eq!(take(&inbox), (Found::Closed, vec![]));
        inbox.resync();
        assert_eq!(take(&inbox), (Found::Resync, vec![]));
    }

    #[test]
    fn a_reader_waits_only_where_nothing_is() {
        let inbox = Inbox::new(5);
        let waker = Waker::noop();
        assert!(inbox.wait(waker) && inbox.wait(waker));
        assert!(inbox.push(&batch(0..1)).is_some());
        assert!(inbox.push(&batch(1..2)).is_none());
        assert!(!inbox.wait(waker));
    }
}
