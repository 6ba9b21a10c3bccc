//! The embedded store: SQLite in a data directory, the current state only.
//!
//! It owns the directory (`store.db`, its log `store.db-wal`, `lock`) and lets no second process in. One thread writes:
//! all commits that wait share one transaction and one fdatasync, and are answered after it. Readers see what is durable,
//! never what is under way. It never keeps history on disk: after a restart no watch starts from an older revision.
//!
//! In reading order: `directory` (the lock, creation), `database` (one connection: schema, statements, errors), `writer` (the
//! thread: group commit, expiry), `checkpoint` (when the log is copied into the database).

mod checkpoint;
mod database;
mod directory;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::checkpoint::Log;
use self::database::{Database, Wait};
use self::directory::{Directory, Lock};
use self::writer::{Request, Trouble, Writer};
use super::contract::{Commit, Entry, Load, Outcome, Store, StoreError, WatchItem};
use super::expiry;
use super::history::History;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::model::revision::Revision;

/// Commits that wait for the writer; further ones wait to be let in.
const QUEUE: usize = 1024;
/// Loads at the same time; each holds a connection, and the log back from starting anew.
const LOADS: usize = 4;
/// One chunk of a load: entries, and bytes of keys and values.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks of a load that wait to be taken.
const CHUNKS_AHEAD: usize = 2;
/// A load whose reader takes nothing for so long is broken off.
const LOAD_STALL: Duration = Duration::from_secs(60);

/// The store in one data directory. Closed by [`Embedded::close`], or soon after it was dropped.
pub struct Embedded {
    directory: Directory,
    cluster: String,
    writer: mpsc::Sender<Request>,
    reader: Arc<Mutex<Database>>,
    loads: Arc<Semaphore>,
    history: Arc<History>,
    expiry: JoinHandle<()>,
}

impl Embedded {
    /// Opens the store in `path`; makes the directory and the store if they are not there. Must be called within a
    /// runtime.
    ///
    /// # Errors
    /// `InUse` if another process has it open, `CannotWrite` if the directory can't be written, `Damaged` if what
    /// is in it is not a store of this program, or of a newer version of it.
    pub async fn open(path: &Path, clock: Clock, entropy: &Entropy) -> Result<Self, StoreError> {
        let (path, cluster, runtime) = (path.to_owned(), entropy.uid(), Handle::current());
        blocking(move || {
            let _inside = runtime.enter();
            Self::start(&path, clock, &cluster)
        })
        .await?
    }

    fn start(path: &Path, clock: Clock, cluster: &str) -> Result<Self, StoreError> {
        let (directory, lock) = Directory::open(path)?;
        let place = directory.clone();
        Self::start_in(directory, lock, clock, cluster).map_err(|error| place.locate(error))
    }

    fn start_in(directory: Directory, lock: Lock, clock: Clock, cluster: &str) -> Result<Self, StoreError> {
        let database = Database::create(&directory, cluster)?;
        let meta = database.meta()?;
        // What a lost fdatasync may have left in the log is written again, before anything is built on it. If that cannot
        // be done now, what is there can at least be read.
        let trouble = match database.checkpoint(Wait::ForReaders) {
            Ok(true) => Trouble::None,
            Ok(false) | Err(StoreError::CannotWrite(_)) => Trouble::NotDurable,
            Err(error) => return Err(error),
        };
        directory.make_room_for_log();
        let (next, due) = watch::channel(database.next_expiry()?);
        let (sender, queue) = mpsc::channel(QUEUE);
        let history = History::new(meta.revision);
        let reader = Database::reader(&directory)?;
        let writer = Writer {
            database,
            copier: Arc::new(std::sync::Mutex::new(Database::helper(&directory)?)),
            directory: directory.clone(),
            clock: clock.clone(),
            history: history.clone(),
            next,
            queue: sender.downgrade(),
            runtime: Handle::current(),
            revision: meta.revision,
            log: Log::default(),
            trouble,
            _lock: lock,
        };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|error| StoreError::Unavailable(format!("no thread for the store: {error}")))?;
        let asks = sender.downgrade();
        let expiry = tokio::spawn(expiry::run(clock, due, move || expire(asks.upgrade())));
        Ok(Self {
            directory,
            cluster: meta.cluster,
            writer: sender,
            reader: Arc::new(Mutex::new(reader)),
            loads: Arc::new(Semaphore::new(LOADS)),
            history,
            expiry,
        })
    }

    /// The identity that the store got when it was made; a restart keeps it.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Finishes the commits that wait, ends the watches and lets go of the directory. Later calls fail with
    /// `Unavailable`.
    pub async fn close(&self) {
        self.expiry.abort();
        let _ = self.ask(Request::Close).await;
    }

    fn check_open(&self) -> Result<(), StoreError> {
        if self.writer.is_closed() { Err(closed()) } else { Ok(()) }
    }

    /// Sends a request to the writer and waits for its answer.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.writer.send(request(answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| StoreError::Unknown("the store closed meanwhile".to_owned()))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.expiry.abort();
    }
}

#[async_trait]
impl Store for Embedded {
    async fn load(&self, prefix: &str) -> Result<Load, StoreError> {
        self.check_open()?;
        let permit = self.loads.clone().acquire_owned().await.map_err(|_| closed())?;
        let (directory, prefix) = (self.directory.clone(), prefix.to_owned());
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let (started, revision) = oneshot::channel();
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            load(&directory, &prefix, started, &Chunks { sender, runtime });
        });
        let revision = revision.await.map_err(|_| closed())??;
        Ok(Load { revision, chunks })
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.check_open()?;
        let reader = self.reader.clone().lock_owned().await;
        let key = key.to_owned();
        blocking(move || reader.get(&key)).await?.map_err(|error| self.directory.locate(error))
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        commit.check_size()?;
        self.ask(|answer| Request::Commit(commit, answer)).await?
    }

    async fn watch(&self, from: Revision) -> Result<mpsc::Receiver<WatchItem>, StoreError> {
        self.check_open()?;
        Ok(self.history.watch(from))
    }

    async fn current(&self) -> Result<Revision, StoreError> {
        self.check_open()?;
        Ok(self.history.head())
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.history.compact(revision);
        Ok(())
    }

    async fn advance(&self, revision: Revision) -> Result<Revision, StoreError> {
        self.ask(|answer| Request::Advance(revision, answer)).await?
    }

    async fn size(&self) -> Result<u64, StoreError> {
        let directory = self.directory.clone();
        blocking(move || directory.size()).await
    }
}

/// Has the writer delete what is due. `None` when there is no writer any more.
async fn expire(writer: Option<mpsc::Sender<Request>>) -> Option<bool> {
    let writer = writer?;
    loop {
        let (answer, answered) = oneshot::channel();
        writer.send(Request::Expire(answer)).await.ok()?;
        match answered.await.ok()? {
            Ok(true) => {}
            Ok(false) => return Some(true),
            Err(error) => {
                tracing::warn!(%error, "keys cannot expire");
                return Some(false);
            }
        }
    }
}

/// Where a load's chunks go.
struct Chunks {
    sender: mpsc::Sender<Result<Vec<Entry>, StoreError>>,
    runtime: Handle,
}

impl Chunks {
    /// Whether the reader still takes them.
    fn send(&self, chunk: Result<Vec<Entry>, StoreError>) -> bool {
        let sent = tokio::time::timeout(LOAD_STALL, self.sender.send(chunk));
        matches!(self.runtime.block_on(sent), Ok(Ok(())))
    }
}

/// Reads everything under `prefix` in one read transaction, on a connection of its own.
fn load(directory: &Directory, prefix: &str, started: oneshot::Sender<Result<Revision, StoreError>>, chunks: &Chunks) {
    let opened = Database::reader(directory).and_then(|database| {
        let revision = database.begin_read()?;
        Ok((database, revision))
    });
    let database = match opened {
        Ok((database, revision)) => {
            let _ = started.send(Ok(revision));
            database
        }
        Err(error) => {
            let _ = started.send(Err(directory.locate(error)));
            return;
        }
    };
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    let read = database.scan(prefix, |entry| {
        bytes += entry.key.len() + entry.value.len();
        chunk.push(entry);
        if chunk.len() < CHUNK && bytes < CHUNK_BYTES {
            return true;
        }
        bytes = 0;
        chunks.send(Ok(std::mem::take(&mut chunk)))
    });
    match read {
        Ok(()) if chunk.is_empty() => {}
        Ok(()) => {
            chunks.send(Ok(chunk));
        }
        Err(error) => {
            chunks.send(Err(directory.locate(error)));
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| closed())
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}
