//! What writer and readers share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::Waker;

use tokio::time::Instant;

use super::error::CacheError;
use super::event::{Change, Event};
use super::history::History;
use super::limits::Limits;
use super::object::{Key, Object};
use super::published::Published;
use super::shelf::{Shelf, ShelfId};
use super::shelves::Shelves;
use super::topics::Topics;
use super::trees::Trees;
use crate::base::clock::Clock;
use crate::model::names::GroupResource;
use crate::model::revision::Revision;

/// One cache's insides. Locks are taken in the order `state`, `topics`, an inbox, and held for microseconds.
pub struct Shared {
    state: RwLock<State>,
    topics: Mutex<Topics>,
    pub(super) published: Published,
    pub(super) trees: Trees,
    /// Everything up to this revision, and before this place in the order of events, lies in the inboxes.
    delivered: (AtomicU64, AtomicU64),
    pub(super) following: AtomicBool,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
}

/// All resources at one revision, and how they came to it.
pub struct State {
    pub revision: Revision,
    pub shelves: Shelves,
    pub history: History,
}

/// A change that is ready to be made.
#[derive(Debug)]
pub enum Draft {
    Put(ShelfId, Arc<Object>),
    Delete(ShelfId, Key, Revision),
}

impl Draft {
    pub fn revision(&self) -> Revision {
        match self {
            Draft::Put(_, object) => object.revision,
            Draft::Delete(_, _, revision) => *revision,
        }
    }
}

impl State {
    /// Makes a change. `None` when nothing changed: the deleted object was not there.
    pub fn commit(&mut self, draft: Draft, now: Instant) -> Option<Arc<Event>> {
        let revision = draft.revision();
        let (id, change) = match draft {
            Draft::Put(id, object) => {
                let previous = self.shelves.get_mut(id)?.put(object.clone());
                let change = match previous {
                    None => Change::Added(object),
                    Some(previous) => Change::Modified { previous, current: object },
                };
                (id, change)
            }
            Draft::Delete(id, key, _) => (id, Change::Deleted(self.shelves.get_mut(id)?.remove(key.as_str())?)),
        };
        Some(self.history.push(id, revision, change, now))
    }

    pub fn shelf(&self, name: &GroupResource) -> Result<&Arc<Shelf>, CacheError> {
        self.shelves.find(name).ok_or_else(|| CacheError::NoShelf(name.clone()))
    }

    /// The place of the first event of a shelf after a revision, which may be one to come.
    pub fn after(&self, shelf: ShelfId, revision: Revision) -> Result<u64, CacheError> {
        self.history.after(shelf, revision).map_err(|oldest| CacheError::Expired { asked: revision, oldest })
    }
}

impl Shared {
    pub fn new(shelves: Shelves, limits: Limits, clock: Clock) -> Self {
        Self {
            state: RwLock::new(State { revision: Revision::ZERO, shelves, history: History::new(limits) }),
            topics: Mutex::default(),
            published: Published::default(),
            trees: Trees::default(),
            delivered: (AtomicU64::new(0), AtomicU64::new(0)),
            following: AtomicBool::new(false),
            limits,
            clock,
        }
    }

    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only the writer calls this.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everyone of a state that [`Self::write`] has made: first the readers who wait for it, then the watchers.
    pub(super) fn publish(&self, revision: Revision, events: &[Arc<Event>]) {
        self.published.publish(revision);
        let mut woken = Vec::new();
        self.topics().deliver(events, &mut woken);
        if let Some(last) = events.last() {
            self.delivered.1.store(last.seq + 1, Ordering::Release);
        }
        self.delivered.0.store(revision.0, Ordering::Release);
        woken.into_iter().for_each(Waker::wake);
    }

    /// The newest revision of which all events lie in the inboxes, and the place of the event that comes next.
    pub(super) fn delivered(&self) -> (Revision, u64) {
        let revision = Revision(self.delivered.0.load(Ordering::Acquire));
        (revision, self.delivered.1.load(Ordering::Acquire))
    }
}
