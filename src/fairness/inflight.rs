//! A plain limit on the requests at once, where there are no priority levels.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::identity::{MASTERS, User};

/// Reads and writes, each with its limit, or without.
pub struct InFlight {
    reads: Option<Arc<Semaphore>>,
    writes: Option<Arc<Semaphore>>,
}

/// One of the places, until it is dropped.
pub struct Place(#[allow(dead_code)] OwnedSemaphorePermit);

impl InFlight {
    /// 0 is without limit.
    pub fn new(reads: u64, writes: u64) -> Self {
        let limit = |most: u64| {
            let most = usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
            (most > 0).then(|| Arc::new(Semaphore::new(most)))
        };
        Self { reads: limit(reads), writes: limit(writes) }
    }

    /// `None`: there is no place. Masters need none then, and `Some(None)` is what they get.
    pub fn enter(&self, write: bool, user: &User) -> Option<Option<Place>> {
        let Some(places) = (if write { &self.writes } else { &self.reads }) else { return Some(None) };
        match places.clone().try_acquire_owned() {
            Ok(permit) => Some(Some(Place(permit))),
            Err(_) => user.is_in(MASTERS).then_some(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_place_is_refused_but_masters() {
        let (limits, ann) = (InFlight::new(1, 2), User::new("ann", &["system:authenticated"]));
        let first = limits.enter(false, &ann).expect("a place");
        assert!(first.is_some() && limits.enter(false, &ann).is_none());
        assert!(matches!(limits.enter(false, &User::new("root", &[MASTERS])), Some(None)));
        let writes = [limits.enter(true, &ann), limits.enter(true, &ann)];
        assert!(writes.iter().all(Option::is_some) && limits.enter(true, &ann).is_none());
        drop(first);
        assert!(limits.enter(false, &ann).is_some());
    }

    #[test]
    fn no_limit_lets_everybody_pass() {
        let (limits, ann) = (InFlight::new(0, 0), User::anonymous());
        assert!((0..1000).map(|_| limits.enter(true, &ann)).all(|place| matches!(place, Some(None))));
    }
}
