//! Leases for keys with a TTL. Keys that are put with the same TTL within a short time share one: etcd bears few leases
//! better than many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::CALL;
use super::failure::Failure;
use super::members::{Members, Repeat};
use super::wire::{self, LeaseGrantRequest};
use crate::base::clock::Clock;

/// How long a lease takes in keys: a part of their TTL, and not longer than this. Their life is longer by as much, at most.
const SHARED: Duration = Duration::from_secs(60);
const SHARED_PART: u64 = 20;
/// Keys of one lease: etcd deletes them all at once.
const KEYS: u32 = 1000;
/// Leases known at the same time, one for each TTL in use.
const KNOWN: usize = 64;

/// The leases that take in keys. Cheap to clone.
#[derive(Clone)]
pub struct Leases {
    clock: Clock,
    /// By TTL, in seconds.
    open: Arc<Mutex<HashMap<u64, Open>>>,
}

struct Open {
    id: i64,
    until: Instant,
    keys: u32,
}

impl Leases {
    pub fn new(clock: Clock) -> Self {
        Self { clock, open: Arc::default() }
    }

    /// A lease under which a key put soon lives at least `ttl`.
    pub async fn lease(&self, ttl: Duration, members: &Members) -> Result<i64, Failure> {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let now = self.clock.instant();
        let mut open = self.open.lock().await;
        if let Some(lease) = open.get_mut(&seconds).filter(|lease| lease.until > now && lease.keys < KEYS) {
            lease.keys += 1;
            return Ok(lease.id);
        }
        let shared = Duration::from_secs(seconds / SHARED_PART).min(SHARED);
        let request = LeaseGrantRequest { ttl: (seconds + shared.as_secs()).cast_signed() };
        // A lease too many expires by itself.
        let call = members.call(Repeat::Freely, CALL, |channel| async move {
            wire::LeaseClient::new(channel).lease_grant(wire::request(request, CALL)).await
        });
        let id = call.await?.id;
        open.retain(|_, lease| lease.until > now);
        if open.len() < KNOWN {
            open.insert(seconds, Open { id, until: now + shared, keys: 1 });
        }
        Ok(id)
    }

    /// etcd does not know the lease any more.
    pub async fn forget(&self, id: i64) {
        self.open.lock().await.retain(|_, lease| lease.id != id);
    }
}
