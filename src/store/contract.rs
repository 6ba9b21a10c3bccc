//! What a store promises. `tests/store` runs every store through the same suite.
//!
//! - One total order: a commit gets a revision greater than all before it, and exactly one key changes in it. Revisions
//!   are positive and never reused, also after a restart or a restore. Only keys that expire together may share one.
//! - An acknowledged commit survives `kill -9` and power loss. One that was not acknowledged may or may not have happened,
//!   but wholly. No reader sees a commit that could still be lost.
//! - A watch from revision `r` delivers every change after `r`, in order, each once, or says that `r` is compacted.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::model::revision::Revision;

/// Key and value together, in bytes: every store takes so much. It is what etcd takes in one request by default, less
/// some room for the request itself.
pub const LARGEST: usize = 1_572_864 - 4096;

/// Keeps keys and values. Keys are Kubernetes' own: `/registry/pods/default/a`.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Everything whose key starts with `prefix` as of one revision, in ascending order of keys, in chunks (so that
    /// neither side holds it twice). It shows every commit acknowledged before the call. Entries come until the channel
    /// ends; an error in it is the last item.
    async fn load(&self, prefix: &str) -> Result<Load, StoreError>;

    /// One key, linearizable: it shows every commit acknowledged before the call.
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// Changes one key if it is in the expected state. Dropping the future does not undo the commit.
    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError>;

    /// All changes after `from`, of every key; a `from` that is still to come waits for it. Dropping the receiver ends
    /// the watch; a channel that ends means that the store is closed.
    async fn watch(&self, from: Revision) -> Result<mpsc::Receiver<WatchItem>, StoreError>;

    /// The newest revision, linearizable. Every watch will reach it, if need be by a [`WatchItem::Progress`] that
    /// this call asks for.
    async fn current(&self) -> Result<Revision, StoreError>;

    /// Forgets the history up to `revision`; the current state stays. No watch can start from an older one then. To
    /// compact what is compacted already changes nothing.
    async fn compact(&self, revision: Revision) -> Result<(), StoreError>;

    /// Raises the newest revision to `revision`, unless it is greater already: every later commit gets a greater one.
    /// Returns the newest revision, durable. It is less than asked for where only changes raise it: in etcd.
    async fn advance(&self, revision: Revision) -> Result<Revision, StoreError>;

    /// Bytes used on disk, as far as the store knows.
    async fn size(&self) -> Result<u64, StoreError>;
}

/// A key's value and the revision of its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: Bytes,
    pub revision: Revision,
}

/// What [`Store::load`] gives: the revision first, then the entries in chunks of bounded size.
#[derive(Debug)]
pub struct Load {
    pub revision: Revision,
    pub chunks: mpsc::Receiver<Result<Vec<Entry>, StoreError>>,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub key: String,
    pub expect: Expect,
    pub change: Change,
}

/// The state in which a commit expects its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It does not exist.
    Absent,
    /// Its last change has this revision.
    At(Revision),
    /// Whatever it is. Deleting an absent key changes nothing and is a conflict.
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `ttl`: the store deletes the key after so long (at least; with its own precision), as a change like any other.
    /// A later put of the key sets it anew, or ends it.
    Put {
        value: Bytes,
        ttl: Option<Duration>,
    },
    Delete,
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Durable, at this revision.
    Committed(Revision),
    /// The key was in another state: this one. Nothing changed.
    Conflict { current: Option<Entry> },
}

/// What a watch delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchItem {
    /// All changes of one or more revisions, in order.
    Changes(Vec<Changed>),
    /// There are no further changes up to this revision.
    Progress(Revision),
    /// `from` is older than what the store remembers; this is a revision it can start from. The watch ends.
    Compacted(Revision),
    /// The watch ends; start it again from the last revision seen.
    Broken(String),
}

/// One change: `value` is `None` for a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub key: String,
    pub value: Option<Bytes>,
    pub revision: Revision,
}

/// Why the store could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Not now, perhaps later: no quorum, no connection, shutting down. Nothing was changed.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// A write cannot be made durable: disk full, read-only, quota. Nothing was changed.
    #[error("store cannot write: {0}")]
    CannotWrite(String),
    /// What is on disk is not what this program wrote.
    #[error("store damaged: {0}")]
    Damaged(String),
    /// Another process uses the data directory.
    #[error("store in use: {0}")]
    InUse(String),
    /// The write may or may not have happened: the answer was lost.
    #[error("store did not answer: {0}")]
    Unknown(String),
    /// The key or value is larger than the store takes.
    #[error("store refuses: {0}")]
    TooLarge(String),
}

impl Commit {
    /// Puts `value` where the key is in the expected state; it stays until it is deleted.
    pub fn put(key: impl Into<String>, expect: Expect, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), expect, change: Change::Put { value: value.into(), ttl: None } }
    }

    /// Deletes the key where it is in the expected state.
    pub fn delete(key: impl Into<String>, expect: Expect) -> Self {
        Self { key: key.into(), expect, change: Change::Delete }
    }

    /// Bytes of key and value.
    pub fn size(&self) -> usize {
        let value = match &self.change {
            Change::Put { value, .. } => value.len(),
            Change::Delete => 0,
        };
        self.key.len() + value
    }

    /// Refuses what is larger than [`LARGEST`].
    pub(super) fn check_size(&self) -> Result<(), StoreError> {
        if self.size() > LARGEST {
            return Err(StoreError::TooLarge(format!("{}: {} bytes, at most {LARGEST}", self.key, self.size())));
        }
        Ok(())
    }
}
