//! What the API server has of all this: how to get to a backend, and room for streams.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::dial::Dialer;

/// The way out. Cheap to clone.
#[derive(Clone)]
pub struct Outlet(Arc<Parts>);

pub struct Parts {
    pub dialer: Dialer,
    /// Types of node addresses, the most preferred first.
    pub preferred: Vec<String>,
    room: Arc<Semaphore>,
}

/// Room for one stream, given back when it is dropped.
pub struct Room {
    _permit: OwnedSemaphorePermit,
}

impl std::ops::Deref for Outlet {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Outlet {
    /// `streams` may be under way at once.
    pub fn new(dialer: Dialer, preferred: Vec<String>, streams: usize) -> Self {
        Self(Arc::new(Parts { dialer, preferred, room: Arc::new(Semaphore::new(streams)) }))
    }

    /// `None` when there are too many already.
    pub fn room(&self) -> Option<Room> {
        self.room.clone().try_acquire_owned().ok().map(|permit| Room { _permit: permit })
    }
}
