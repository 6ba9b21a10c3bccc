//! The thread that writes. All commits that wait go into one transaction: each has its own revision and meets the state
//! that those before it left, and all are answered when it is durable. If it fails, all fail and nothing has changed.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::{Log, Step};
use super::database::{Database, Wait};
use super::directory::{Directory, Lock};
use crate::base::clock::Clock;
use crate::model::revision::Revision;
use crate::store::contract::{Change, Changed, Commit, Outcome, StoreError};
use crate::store::expiry;
use crate::store::history::History;

/// Commits in one transaction, and the bytes of keys and values with which it is full.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 4 << 20;
/// Keys that expire in one transaction.
const EXPIRED: usize = 1024;

pub type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
pub enum Request {
    Commit(Commit, Answer<Outcome>),
    Advance(Revision, Answer<Revision>),
    /// Delete keys that are due. Answered with whether there are more.
    Expire(Answer<bool>),
    /// The log was copied aside; wholly, or not.
    CopiedAside(bool),
    /// Finish what waits, then end.
    Close(oneshot::Sender<()>),
}

/// Everything that writing needs. Dropped in this order: the lock last.
pub struct Writer {
    pub database: Database,
    /// The connection that copies the log aside.
    pub copier: Arc<Mutex<Database>>,
    pub directory: Directory,
    pub clock: Clock,
    pub history: Arc<History>,
    pub next: expiry::Next,
    /// The writer's own queue.
    pub queue: mpsc::WeakSender<Request>,
    pub runtime: Handle,
    pub revision: Revision,
    pub log: Log,
    pub trouble: Trouble,
    pub _lock: Lock,
}

/// What the last transaction ran into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// It could not be written. Copying the log gives its room back, so that at least deletes may fit.
    Full,
    /// The disk did not say that it is durable, or a process before us may have met that. What the disk holds is known
    /// again when all of the log was copied.
    NotDurable,
}

/// Commits of one transaction, and who waits for them.
struct Group {
    commits: Vec<Commit>,
    answers: Vec<Answer<Outcome>>,
}

/// A transaction under way.
struct Transaction<'a> {
    database: &'a Database,
    clock: &'a Clock,
    revision: Revision,
    changes: Vec<Changed>,
    bytes: usize,
    /// The earliest expiry that it sets.
    expires: Option<Timestamp>,
}

impl Writer {
    /// Works until it is closed, or nobody can ask any more.
    pub fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let (mut ahead, mut closed) = (None, Vec::new());
        while let Some(request) = ahead.take().or_else(|| queue.blocking_recv()) {
            match request {
                Request::Commit(commit, answer) => {
                    let group;
                    (group, ahead) = Group::gather(commit, answer, &mut queue);
                    self.commit(group);
                }
                Request::Advance(revision, answer) => {
                    let _ = answer.send(self.advance(revision));
                }
                Request::Expire(answer) => {
                    let _ = answer.send(self.expire());
                }
                Request::CopiedAside(wholly) => {
                    let step = self.log.copied_aside(wholly);
                    self.copy_log(step);
                }
                Request::Close(answer) => {
                    queue.close();
                    closed.push(answer);
                }
            }
            let step = self.log.step();
            self.copy_log(step);
        }
        self.end();
        for answer in closed {
            let _ = answer.send(());
        }
    }

    fn commit(&mut self, Group { commits, answers }: Group) {
        let done = self.transact(|transaction| {
            commits.into_iter().map(|commit| transaction.commit(commit)).collect::<Result<Vec<_>, _>>()
        });
        match done {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    let _ = answer.send(outcome);
                }
            }
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    fn advance(&mut self, revision: Revision) -> Result<Revision, StoreError> {
        self.transact(|transaction| {
            transaction.revision = transaction.revision.max(revision);
            Ok(transaction.revision)
        })
    }

    fn expire(&mut self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let more = self.transact(|transaction| transaction.expire(now))?;
        self.next.send_replace(self.database.next_expiry()?);
        Ok(more)
    }

    /// Runs one transaction; when it is durable, publishes its changes.
    fn transact<T>(&mut self, work: impl FnOnce(&mut Transaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.recover()?;
        let mut transaction = Transaction {
            database: &self.database,
            clock: &self.clock,
            revision: self.revision,
            changes: Vec::new(),
            bytes: 0,
            expires: None,
        };
        let before = self.revision;
        let done = transaction.run(before, work);
        let Transaction { revision, changes, bytes, expires, .. } = transaction;
        match done {
            Ok(done) => {
                if revision > before {
                    self.log.grew(changes.len(), bytes);
                }
                if let Some(at) = expires {
                    expiry::note(&self.next, at);
                }
                self.revision = revision;
                self.history.publish(changes, revision);
                Ok(done)
            }
            Err(error) => {
                self.database.rollback();
                self.trouble = match &error {
                    StoreError::Unknown(_) => Trouble::NotDurable,
                    _ => Trouble::Full,
                };
                Err(self.directory.locate(error))
            }
        }
    }

    /// After trouble: brings the log into a state on which commits can be built.
    fn recover(&mut self) -> Result<(), StoreError> {
        if self.trouble == Trouble::None {
            return Ok(());
        }
        let copied = self.database.checkpoint(Wait::No);
        if let Ok(wholly) = copied.clone() {
            self.log.copied(wholly);
        }
        let why = match (self.trouble, copied) {
            (Trouble::NotDurable, Ok(false)) => "another program reads an old state of store.db".to_owned(),
            (Trouble::NotDurable, Err(error)) => error.to_string(),
            _ => {
                self.trouble = Trouble::None;
                return Ok(());
            }
        };
        let why = format!("what the log holds may not be durable, and cannot be written again: {why}");
        Err(self.directory.locate(StoreError::CannotWrite(why)))
    }

    fn copy_log(&mut self, step: Step) {
        match step {
            Step::Nothing => {}
            Step::CopyNow => {
                let copied = self.database.checkpoint(Wait::No);
                self.log.copied(noted(copied));
            }
            Step::CopyAside => {
                let (copier, queue) = (self.copier.clone(), self.queue.clone());
                self.runtime.spawn_blocking(move || {
                    let copied = copier.lock().unwrap_or_else(PoisonError::into_inner).checkpoint(Wait::No);
                    if let Some(queue) = queue.upgrade() {
                        let _ = queue.blocking_send(Request::CopiedAside(noted(copied)));
                    }
                });
            }
        }
    }

    /// Leaves a log that the next start need not read, then lets go of the directory.
    fn end(self) {
        noted(self.database.checkpoint(Wait::No));
    }
}

impl Drop for Writer {
    /// However it ends, nobody waits for changes that cannot come.
    fn drop(&mut self) {
        self.history.close();
    }
}

impl Transaction<'_> {
    fn run<T>(
        &mut self,
        before: Revision,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.database.begin()?;
        let done = work(self)?;
        if self.revision > before {
            self.database.set_revision(self.revision)?;
        }
        self.database.commit()?;
        Ok(done)
    }

    /// The inner result is this commit's alone; an outer error is the whole transaction's.
    fn commit(&mut self, commit: Commit) -> Result<Result<Outcome, StoreError>, StoreError> {
        let expires = match commit.change {
            Change::Put { ttl: Some(ttl), .. } => Some(expiry::deadline(self.clock, ttl)),
            _ => None,
        };
        let revision = self.revision.next();
        if !self.database.apply(&commit, revision, expires)? {
            let current = self.database.get(&commit.key);
            return Ok(current.map(|current| Outcome::Conflict { current }));
        }
        self.expires = [self.expires, expires].into_iter().flatten().min();
        self.bytes += commit.size();
        let value = match commit.change {
            Change::Put { value, .. } => Some(value),
            Change::Delete => None,
        };
        self.note(Changed { key: commit.key, value, revision });
        Ok(Ok(Outcome::Committed(revision)))
    }

    fn expire(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let expired = self.database.expired(now, EXPIRED)?;
        let more = expired.len() == EXPIRED;
        for (key, before) in expired {
            let deleted = self.database.delete_at(&key, before)?;
            assert_eq!(deleted, 1, "nothing changes between finding {key} and deleting it");
            self.bytes += key.len();
            self.note(Changed { key, value: None, revision: self.revision.next() });
        }
        Ok(more)
    }

    fn note(&mut self, change: Changed) {
        self.revision = change.revision;
        self.changes.push(change);
    }
}

impl Group {
    /// This commit and those that wait behind it, as far as they fit; and the request after them.
    fn gather(commit: Commit, answer: Answer<Outcome>, queue: &mut mpsc::Receiver<Request>) -> (Self, Option<Request>) {
        let mut bytes = commit.size();
        let mut group = Self { commits: vec![commit], answers: vec![answer] };
        while group.commits.len() < GROUP && bytes < GROUP_BYTES {
            match queue.try_recv() {
                Ok(Request::Commit(commit, answer)) => {
                    bytes += commit.size();
                    group.commits.push(commit);
                    group.answers.push(answer);
                }
                Ok(other) => return (group, Some(other)),
                Err(_) => break,
            }
        }
        (group, None)
    }
}

/// A log that could not be copied is copied later.
fn noted(copied: Result<bool, StoreError>) -> bool {
    copied.unwrap_or_else(|error| {
        tracing::warn!(%error, "the store's log is not copied");
        false
    })
}
