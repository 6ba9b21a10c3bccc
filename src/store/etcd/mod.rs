//! The store in etcd (3.4 and later), laid out as Kubernetes does it, so that a stock apiserver may share it.
//!
//! It owns the connections to etcd's members, the leases of keys with a TTL and, for old etcds, one marker key. It
//! never retries a write that may have happened, and keeps nothing in memory beyond what is on its way.
//!
//! In reading order: `wire` (etcd's messages), `connect` (addresses, certificates, one channel a member), `failure` (what an
//! error means for the call), `members` (calls with failover), `pages` (loads), `leases`, `watching`.

mod connect;
mod failure;
mod leases;
mod members;
mod pages;
mod watching;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use self::failure::Failure;
use self::leases::Leases;
use self::members::{Members, Repeat};
use self::pages::Pages;
use self::watching::Watching;
use super::contract::{Change, Commit, Entry, Expect, Load, Outcome, Store, StoreError, WatchItem};
use super::keys::Relocation;
use crate::base::clock::Clock;
use crate::model::revision::Revision;

/// How long one try of a call may take.
const CALL: Duration = Duration::from_secs(10);
/// Written to make every watch see a new revision, where etcd cannot be asked for progress. Never shown.
const MARKER: &str = "/registry/monokube/progress";

/// Where etcd is and how to talk to it; the names are those of the flags `--etcd-...`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `https://host:2379`, `http://...` or `host:2379`; at least one.
    pub servers: Vec<String>,
    /// Under which all keys stand, `/registry` by default.
    pub prefix: Option<String>,
    /// Who signed etcd's certificate; the system's authorities by default.
    pub cafile: Option<PathBuf>,
    /// The client certificate and its key; both or none.
    pub certfile: Option<PathBuf>,
    pub keyfile: Option<PathBuf>,
}

/// A store in etcd.
pub struct Etcd {
    members: Members,
    keys: Relocation,
    leases: Leases,
    /// The newest revision that somebody was told of; watches see to it that they reach it.
    told: watch::Sender<Revision>,
    clock: Clock,
}

impl Etcd {
    /// Prepares to talk to etcd; connects with the first call. Must be called within a runtime.
    ///
    /// # Errors
    /// `Unavailable` if an address or a certificate file can't be used.
    pub fn new(options: &Options, clock: Clock) -> Result<Self, StoreError> {
        Ok(Self {
            members: Members::new(options)?,
            keys: Relocation::new(options.prefix.as_deref().unwrap_or("/registry")),
            leases: Leases::new(clock.clone()),
            told: watch::Sender::new(Revision::ZERO),
            clock,
        })
    }

    /// One try of a commit, with a lease if it has a TTL.
    async fn try_commit(&self, commit: &Commit, lease: i64) -> Result<Outcome, Failure> {
        let request = wire::transaction(self.keys.outside(&commit.key), commit, lease);
        let answer = self.members.transact(request).await?;
        if answer.succeeded {
            return Ok(Outcome::Committed(wire::revision(answer.header.as_ref())));
        }
        let found = wire::range_of(answer).kvs.pop();
        Ok(Outcome::Conflict { current: found.map(|found| wire::entry(commit.key.clone(), found)) })
    }
}

#[async_trait]
impl Store for Etcd {
    async fn load(&self, prefix: &str) -> Result<Load, StoreError> {
        Pages::new(self.members.clone(), self.keys.clone(), prefix).load().await
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let request = wire::RangeRequest { key: self.keys.outside(key), ..Default::default() };
        let mut answer = self.members.range(request, CALL).await?;
        Ok(answer.kvs.pop().map(|found| wire::entry(key.to_owned(), found)))
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        let impossible = match (&commit.change, commit.expect) {
            (Change::Delete, Expect::Absent) => true,
            // To etcd, revision 0 is a key that does not exist.
            (_, Expect::At(revision)) => revision == Revision::ZERO,
            _ => false,
        };
        if impossible {
            return Ok(Outcome::Conflict { current: self.get(&commit.key).await? });
        }
        let Change::Put { ttl: Some(ttl), .. } = commit.change else {
            return Ok(self.try_commit(&commit, wire::NO_LEASE).await?);
        };
        let lease = self.leases.lease(ttl, &self.members).await?;
        match self.try_commit(&commit, lease).await {
            Err(Failure::NoLease) => {
                self.leases.forget(lease).await;
                let lease = self.leases.lease(ttl, &self.members).await?;
                Ok(self.try_commit(&commit, lease).await?)
            }
            done => Ok(done?),
        }
    }

    async fn watch(&self, from: Revision) -> Result<mpsc::Receiver<WatchItem>, StoreError> {
        let watching = Watching {
            members: self.members.clone(),
            keys: self.keys.clone(),
            told: self.told.subscribe(),
            clock: self.clock.clone(),
        };
        watching.start(from).await
    }

    async fn current(&self) -> Result<Revision, StoreError> {
        let request = wire::RangeRequest { key: self.keys.outside(MARKER), count_only: true, ..Default::default() };
        let revision = wire::revision(self.members.range(request, CALL).await?.header.as_ref());
        self.told.send_if_modified(|told| {
            let newer = revision > *told;
            *told = revision.max(*told);
            newer
        });
        Ok(revision)
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let request = wire::CompactionRequest { revision: revision.0.cast_signed() };
        let call = self.members.call(Repeat::Freely, CALL, |channel| async move {
            wire::kv(channel).compact(wire::request(request, CALL)).await
        });
        match call.await {
            Ok(_) | Err(Failure::Compacted) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn advance(&self, _: Revision) -> Result<Revision, StoreError> {
        self.current().await
    }

    async fn size(&self) -> Result<u64, StoreError> {
        Ok(self.members.status().await?.db_size.max(0).cast_unsigned())
    }
}
