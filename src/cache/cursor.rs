//! One reader's place in the order of events. While it is behind it reads the history; when it has caught up, its inbox.
//! Either way every event that it is interested in comes once and in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::event::Event;
use super::inbox::{Batch, Found, Inbox};
use super::shelf::ShelfId;
use super::state::{Shared, State};
use super::topics::Interest;
use crate::model::revision::Revision;

/// Events of the history that are looked at while the state is locked.
const CATCH_UP: usize = 1024;

pub(super) struct Cursor {
    shared: Arc<Shared>,
    interest: Interest,
    inbox: Arc<Inbox>,
    /// All events before this place have been read.
    next: u64,
    /// The inbox may lack events from `next` on.
    behind: bool,
    /// What was found in the history, and the place up to which it was searched.
    caught: VecDeque<Arc<Event>>,
    searched: u64,
    ready: VecDeque<Batch>,
    /// In the first batch.
    at: usize,
    progress: Revision,
}

/// Why there are no further events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// It was so slow that history has forgotten what comes next.
    Lagged,
    /// The set of shelves has changed.
    Resync,
    /// Its shelf is no more.
    Removed,
}

impl Cursor {
    /// Reads from `next` on, which `state` remembers.
    pub fn new(shared: &Arc<Shared>, state: &State, interest: Interest, next: u64) -> Self {
        let inbox = Arc::new(Inbox::new(shared.limits.inbox_events));
        // Within the state's lock: what comes later will lie in the inbox, what came before is in the history.
        shared.topics().join(&interest, &inbox);
        Self {
            shared: shared.clone(),
            interest,
            inbox,
            next,
            behind: next < state.history.next(),
            caught: VecDeque::new(),
            searched: next,
            ready: VecDeque::new(),
            at: 0,
            progress: Revision::ZERO,
        }
    }

    /// The next event, if there is one now.
    pub fn try_next(&mut self) -> Option<Result<Arc<Event>, Lost>> {
        loop {
            if let Some(event) = self.caught.pop_front().or_else(|| self.read_batch()) {
                self.passed(&event);
                return Some(Ok(event));
            }
            if self.behind {
                match self.catch_up() {
                    Ok(()) => continue,
                    Err(lost) => return Some(Err(lost)),
                }
            }
            // Read before the inbox: an empty inbox has then given out everything up to here.
            let (revision, next) = self.shared.delivered();
            match self.inbox.take(&mut self.ready) {
                Found::Batches => {}
                Found::Overflowed => self.behind = true,
                Found::Resync => return Some(Err(Lost::Resync)),
                Found::Closed => return Some(Err(Lost::Removed)),
                Found::Nothing => {
                    self.next = self.next.max(next);
                    self.progress = self.progress.max(revision);
                    return None;
                }
            }
        }
    }

    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Arc<Event>, Lost>> {
        loop {
            if let Some(next) = self.try_next() {
                return Poll::Ready(next);
            }
            if self.inbox.wait(context.waker()) {
                return Poll::Pending;
            }
        }
    }

    /// Every event up to this revision has been given out.
    pub fn progress(&self) -> Revision {
        self.progress
    }

    fn passed(&mut self, event: &Event) {
        assert!(event.seq >= self.next, "event {} comes once and in order, after {}", event.seq, self.next);
        self.next = event.seq + 1;
        // Another event may have the same revision.
        self.progress = self.progress.max(Revision(event.revision.0.saturating_sub(1)));
    }

    /// The next new event of what was taken out of the inbox.
    fn read_batch(&mut self) -> Option<Arc<Event>> {
        while let Some(batch) = self.ready.front() {
            while let Some(event) = batch.get(self.at) {
                self.at += 1;
                // A topic's list is exact; a stream gets whatever else happened.
                let wanted = matches!(self.interest, Interest::Topic { .. }) || self.interest.covers(event);
                if event.seq >= self.next && wanted {
                    return Some(event.clone());
                }
            }
            self.ready.pop_front();
            self.at = 0;
        }
        None
    }

    /// Takes the next events out of the history.
    fn catch_up(&mut self) -> Result<(), Lost> {
        let state = self.shared.read();
        let from = self.next.max(self.searched);
        let reaches = |shelf: ShelfId| state.history.reaches(shelf, from);
        let whole = match &self.interest {
            Interest::Topic { shelf, .. } => reaches(*shelf),
            Interest::Shelves(shelves) => shelves.iter().copied().all(reaches),
            Interest::All => state.shelves.iter().all(|shelf| reaches(shelf.id)),
        };
        if !whole {
            return Err(Lost::Lagged);
        }
        // What is forgotten is of other shelves.
        let from = from.max(state.history.first());
        let events = state.history.since(from).take(CATCH_UP).filter(|event| self.interest.covers(event));
        self.caught.extend(events.cloned());
        self.searched = state.history.next().min(from + CATCH_UP as u64);
        self.behind = self.searched < state.history.next();
        if self.caught.is_empty() {
            self.next = self.next.max(self.searched);
        }
        Ok(())
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.shared.topics().leave(&self.interest, &self.inbox);
    }
}
