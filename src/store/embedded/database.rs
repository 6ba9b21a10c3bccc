//! One connection to the database: its schema, its statements, its errors.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, ffi, params};

use super::directory::Directory;
use crate::model::revision::Revision;
use crate::store::contract::{Change, Commit, Entry, Expect, StoreError};

/// In the file's header: "mkub".
const APPLICATION: i64 = 0x6d6b_7562;
/// Of the schema. A greater one was written by a newer program.
const FORMAT: i64 = 1;
/// Bytes of a page: a pod is mostly in one, and is not cut into several that are written each for itself.
pub const PAGE: u64 = 8192;
/// Statements kept prepared by each connection.
const STATEMENTS: usize = 16;
/// How long a lock is waited for; only another program that looks into the database ever holds one.
const BUSY: Duration = Duration::from_secs(5);

/// `entry` keeps the small columns first, so that a revision is read without the value. `expiry` is in milliseconds since
/// 1970; `checksum` is over key, revision and value.
const SCHEMA: &str = "
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1), cluster TEXT NOT NULL, revision INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE entry (
        key TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, expiry INTEGER, checksum INTEGER NOT NULL, value BLOB NOT NULL
    ) STRICT;
    CREATE INDEX entry_expiry ON entry (expiry) WHERE expiry IS NOT NULL;
";

const PUT_ABSENT: &str = "INSERT INTO entry (key, revision, expiry, checksum, value) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (key) DO NOTHING";
const PUT_AT: &str = "UPDATE entry SET revision = ?2, expiry = ?3, checksum = ?4, value = ?5
    WHERE key = ?1 AND revision = ?6";
const PUT_ANY: &str = "INSERT INTO entry (key, revision, expiry, checksum, value) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (key) DO UPDATE SET revision = ?2, expiry = ?3, checksum = ?4, value = ?5";
const DELETE_AT: &str = "DELETE FROM entry WHERE key = ?1 AND revision = ?2";
const DELETE_ANY: &str = "DELETE FROM entry WHERE key = ?1";
const GET: &str = "SELECT key, revision, checksum, value FROM entry WHERE key = ?1";
const SCAN: &str = "SELECT key, revision, checksum, value FROM entry WHERE key >= ?1 ORDER BY key";
const EXPIRED: &str = "SELECT key, revision FROM entry WHERE expiry <= ?1 ORDER BY expiry LIMIT ?2";
const NEXT_EXPIRY: &str = "SELECT min(expiry) FROM entry WHERE expiry IS NOT NULL";
const META: &str = "SELECT cluster, revision FROM meta";
const SET_REVISION: &str = "UPDATE meta SET revision = ?1";

/// One connection.
pub struct Database {
    connection: Connection,
}

/// Whether a checkpoint waits for readers of an old state to end, for a while.
#[derive(Clone, Copy)]
pub enum Wait {
    No,
    ForReaders,
}

/// What the store knows of itself.
pub struct Meta {
    pub cluster: String,
    /// Of the newest commit, or greater.
    pub revision: Revision,
}

impl Database {
    /// The writing connection; makes the store if the file is empty.
    pub fn create(directory: &Directory, cluster: &str) -> Result<Self, StoreError> {
        let database = Self::helper(directory)?;
        database.prepare(cluster)?;
        Ok(database)
    }

    /// A connection that only reads.
    pub fn reader(directory: &Directory) -> Result<Self, StoreError> {
        Self::connect(&directory.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// A second connection that may write: for checkpoints.
    pub fn helper(directory: &Directory) -> Result<Self, StoreError> {
        Self::connect(&directory.database(), OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn connect(path: &Path, access: OpenFlags) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // The log stays when the last connection closes: its blocks are used again.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -4096; PRAGMA mmap_size = 0;",
        )?;
        Ok(Self { connection })
    }

    /// Checks whose file this is; writes the schema into an empty one, all or nothing.
    fn prepare(&self, cluster: &str) -> Result<(), StoreError> {
        let number = |sql: &str| self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let tables = number("SELECT count(*) FROM sqlite_schema")?;
        if tables == 0 {
            self.connection.execute_batch(&format!("PRAGMA page_size = {PAGE};"))?;
        } else if number("PRAGMA application_id")? != APPLICATION {
            return Err(StoreError::Damaged("not a store of monokube".to_owned()));
        } else if number("PRAGMA user_version")? != FORMAT {
            let format = number("PRAGMA user_version")?;
            return Err(StoreError::Damaged(format!("written in format {format}, this program knows {FORMAT}")));
        }
        let mode: String = self.connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        assert_eq!(mode, "wal", "a file on a local disk can have a log");
        if tables == 0 {
            self.connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; {SCHEMA}"
            ))?;
            self.connection.execute("INSERT INTO meta VALUES (1, ?1, 1)", [cluster])?;
            self.connection.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    pub fn meta(&self) -> Result<Meta, StoreError> {
        let meta = self
            .connection
            .prepare_cached(META)?
            .query_row([], |row| Ok(Meta { cluster: row.get(0)?, revision: revision(row, 1)? }))?;
        Ok(meta)
    }

    pub fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.connection.prepare_cached(GET)?.query_row([key], |row| Ok(entry(row))).optional()?.transpose()
    }

    /// From here on this connection reads one state: the one of this revision.
    pub fn begin_read(&self) -> Result<Revision, StoreError> {
        self.connection.execute_batch("BEGIN")?;
        Ok(self.meta()?.revision)
    }

    /// Every entry under `prefix` in order, until `take` says that it wants no more.
    pub fn scan(&self, prefix: &str, mut take: impl FnMut(Entry) -> bool) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(SCAN)?;
        let mut rows = statement.query([prefix])?;
        while let Some(row) = rows.next()? {
            let entry = entry(row)?;
            if !entry.key.starts_with(prefix) || !take(entry) {
                break;
            }
        }
        Ok(())
    }

    pub fn begin(&self) -> Result<(), StoreError> {
        Ok(self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)?)
    }

    /// Makes the transaction durable. `Unknown` if it was written but the disk does not say that it is durable, or if
    /// it is durable and readers cannot be shown it: then it is rolled back, and may yet be there after a restart.
    pub fn commit(&self) -> Result<(), StoreError> {
        let done = self.connection.prepare_cached("COMMIT")?.execute([]);
        match done {
            Ok(_) => Ok(()),
            Err(error) if leaves_doubt(&error) => Err(StoreError::Unknown(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the transaction, if there still is one, as if it had not been.
    pub fn rollback(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the store cannot roll back");
        }
    }

    /// Within a transaction: changes the commit's key if it is in the expected state, and says whether it was.
    pub fn apply(&self, commit: &Commit, revision: Revision, expires: Option<Timestamp>) -> Result<bool, StoreError> {
        let key = &commit.key;
        let changed = match (&commit.change, commit.expect) {
            (Change::Put { value, .. }, expect) => {
                let expiry = expires.map(Timestamp::as_millisecond);
                let sum = checksum(key, revision, value);
                let (put, value) = (params![key, number(revision), expiry, sum, &value[..]], &value[..]);
                match expect {
                    Expect::Absent => self.connection.prepare_cached(PUT_ABSENT)?.execute(put)?,
                    Expect::Any => self.connection.prepare_cached(PUT_ANY)?.execute(put)?,
                    Expect::At(before) => self.connection.prepare_cached(PUT_AT)?.execute(params![
                        key,
                        number(revision),
                        expiry,
                        sum,
                        value,
                        number(before)
                    ])?,
                }
            }
            (Change::Delete, Expect::At(before)) => self.delete_at(key, before)?,
            (Change::Delete, Expect::Any) => self.connection.prepare_cached(DELETE_ANY)?.execute([key])?,
            (Change::Delete, Expect::Absent) => 0,
        };
        Ok(changed == 1)
    }

    /// Deletes the key if its last change has this revision; how many that were.
    pub fn delete_at(&self, key: &str, before: Revision) -> Result<usize, StoreError> {
        Ok(self.connection.prepare_cached(DELETE_AT)?.execute(params![key, number(before)])?)
    }

    /// Within a transaction: the newest revision.
    pub fn set_revision(&self, revision: Revision) -> Result<(), StoreError> {
        Ok(self.connection.prepare_cached(SET_REVISION)?.execute([number(revision)]).map(drop)?)
    }

    /// At most `limit` keys that have expired by `now`, the oldest first.
    pub fn expired(&self, now: Timestamp, limit: usize) -> Result<Vec<(String, Revision)>, StoreError> {
        let mut statement = self.connection.prepare_cached(EXPIRED)?;
        let rows = statement
            .query_map(params![now.as_millisecond(), limit as i64], |row| Ok((row.get(0)?, revision(row, 1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// When the next key expires.
    pub fn next_expiry(&self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> = self.connection.prepare_cached(NEXT_EXPIRY)?.query_row([], |row| row.get(0))?;
        Ok(next.map(|at| Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX)))
    }

    /// Copies the log into the database as far as readers let it, and makes that durable. Whether all of it was copied:
    /// then the next commit begins the log anew.
    pub fn checkpoint(&self, wait: Wait) -> Result<bool, StoreError> {
        let mode = match wait {
            Wait::No => "PRAGMA wal_checkpoint(PASSIVE)",
            Wait::ForReaders => "PRAGMA wal_checkpoint(RESTART)",
        };
        let (busy, log, copied) = self
            .connection
            .prepare_cached(mode)?
            .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?;
        Ok(busy == 0 && log == copied)
    }
}

/// The entry in a row of key, revision, checksum, value.
fn entry(row: &Row) -> Result<Entry, StoreError> {
    let key: String = row.get(0)?;
    let revision = revision(row, 1)?;
    let value = Bytes::copy_from_slice(row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?);
    if checksum(&key, revision, &value) != row.get::<_, i64>(2)? {
        return Err(StoreError::Damaged(format!("the value of {key} does not match its checksum")));
    }
    Ok(Entry { key, value, revision })
}

fn revision(row: &Row, column: usize) -> rusqlite::Result<Revision> {
    Ok(Revision(row.get::<_, i64>(column)?.cast_unsigned()))
}

/// What a client expects may be any number; one that SQLite does not have becomes negative, which no revision is.
fn number(revision: Revision) -> i64 {
    revision.0.cast_signed()
}

fn checksum(key: &str, revision: Revision, value: &[u8]) -> i64 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(key.as_bytes());
    sum.update(&revision.0.to_le_bytes());
    sum.update(value);
    i64::from(sum.finalize())
}

fn leaves_doubt(error: &rusqlite::Error) -> bool {
    const CODES: [i32; 5] = [
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_IOERR_SHMSIZE,
        ffi::SQLITE_IOERR_SHMMAP,
        ffi::SQLITE_IOERR_SHMOPEN,
    ];
    matches!(error, rusqlite::Error::SqliteFailure(failure, _) if CODES.contains(&failure.extended_code))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        let rusqlite::Error::SqliteFailure(failure, _) = error else { return Self::Damaged(text) };
        match failure.code {
            _ if [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ].contains(&failure.extended_code) => {
                Self::Damaged(text)
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch => Self::Damaged(text),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OutOfMemory => Self::Unavailable(text),
            ErrorCode::TooBig => Self::TooLarge(text),
            _ => Self::CannotWrite(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn sqlites_errors_say_whose_fault_it_is() {
        let says = |code| StoreError::from(failure(code));
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_READONLY, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_CANTOPEN] {
            assert!(matches!(says(code), StoreError::CannotWrite(_)), "{code}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ] {
            assert!(matches!(says(code), StoreError::Damaged(_)), "{code}");
        }
        assert!(matches!(says(ffi::SQLITE_BUSY), StoreError::Unavailable(_)));
    }

    #[test]
    fn only_a_commit_that_was_written_leaves_doubt() {
        assert!(leaves_doubt(&failure(ffi::SQLITE_IOERR_FSYNC)) && leaves_doubt(&failure(ffi::SQLITE_IOERR_SHMSIZE)));
        assert!(!leaves_doubt(&failure(ffi::SQLITE_FULL)) && !leaves_doubt(&failure(ffi::SQLITE_IOERR_WRITE)));
    }
}
