//! The newest revision that every reader sees, and those who wait for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::CacheError;
use crate::model::revision::Revision;

/// A revision that only grows. Waiting costs nothing until it is reached, and wakes only those who waited for it.
#[derive(Debug, Default)]
pub struct Published {
    revision: AtomicU64,
    waiting: Mutex<Waiting>,
}

/// One entry a waiting request, which its deadline bounds.
#[derive(Debug, Default)]
struct Waiting {
    by_revision: BTreeMap<(Revision, u64), oneshot::Sender<()>>,
    next: u64,
}

/// Someone's entry; leaves when dropped.
struct Place<'a>(&'a Published, (Revision, u64));

impl Published {
    pub fn get(&self) -> Revision {
        Revision(self.revision.load(Ordering::Acquire))
    }

    /// Wakes whoever waits for this revision or an older one.
    pub(super) fn publish(&self, revision: Revision) {
        self.revision.fetch_max(revision.0, Ordering::Release);
        let mut waiting = self.lock();
        while let Some(first) = waiting.by_revision.first_entry() {
            if first.key().0 > revision {
                break;
            }
            // Who has given up in the meantime does not listen.
            let _ = first.remove().send(());
        }
    }

    /// Returns when the revision is reached; [`CacheError::Future`] at the deadline.
    pub async fn at_least(&self, revision: Revision, deadline: Instant) -> Result<(), CacheError> {
        let Some((reached, _place)) = self.wait(revision) else { return Ok(()) };
        match tokio::time::timeout_at(deadline, reached).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(CacheError::Future { asked: revision, newest: self.get() }),
        }
    }

    /// `None`: it is reached.
    fn wait(&self, revision: Revision) -> Option<(oneshot::Receiver<()>, Place<'_>)> {
        if self.get() >= revision {
            return None;
        }
        let mut waiting = self.lock();
        // Looked at again within the lock, which a publisher takes after it has changed the revision.
        if self.get() >= revision {
            return None;
        }
        let (wake, reached) = oneshot::channel();
        let place = (revision, waiting.next);
        waiting.next += 1;
        waiting.by_revision.insert(place, wake);
        drop(waiting);
        Some((reached, Place(self, place)))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().by_revision.remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(3)
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_revision() {
        let published = Published::default();
        published.publish(Revision(5));
        assert_eq!(published.at_least(Revision(5), Instant::now()).await, Ok(()));
        let (reached, ()) = tokio::join!(published.at_least(Revision(7), soon()), async {
            published.publish(Revision(6));
            assert_eq!(published.lock().by_revision.len(), 1);
            published.publish(Revision(9));
        });
        assert_eq!((reached, published.get()), (Ok(()), Revision(9)));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_the_deadline_and_leaves_nothing() {
        let published = Published::default();
        published.publish(Revision(5));
        let late = published.at_least(Revision(7), soon()).await;
        assert_eq!(late, Err(CacheError::Future { asked: Revision(7), newest: Revision(5) }));
        assert!(published.lock().by_revision.is_empty());
    }
}
