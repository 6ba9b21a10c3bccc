//! The data directory: who may use it, what is in it, how full it is.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::store::contract::StoreError;

/// Written over again and again, a file's blocks need no new metadata with every fdatasync; so the log is made this long
/// (bytes) before it is needed.
const LOG_ROOM: u64 = 8 << 20;

/// A data directory. Only who holds its [`Lock`] writes into it.
#[derive(Clone)]
pub struct Directory {
    path: PathBuf,
}

/// While it lives nobody else can open the directory. The system releases it with the process, however that ends.
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing the file would not do: a child between fork and exec has it open too, and the lock would live on with it.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the data directory's lock is not released");
        }
    }
}

impl Directory {
    /// Makes the directory if it is missing, readable by its owner only, and locks it.
    pub fn open(path: &Path) -> Result<(Self, Lock), StoreError> {
        let cannot = |error: io::Error| cannot_write(path, &error);
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(cannot)?;
            path.parent().map_or(Ok(()), sync).map_err(cannot)?;
        }
        let lock = Lock::take(path)?;
        let directory = Self { path: path.to_owned() };
        // SQLite gives its other files this one's mode. One that is there is not opened: to close it again would drop
        // the locks that SQLite may still hold on it in this process.
        match private(OpenOptions::new().create_new(true)).open(directory.database()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(cannot(error)),
            _ => {}
        }
        sync(path).map_err(cannot)?;
        Ok((directory, lock))
    }

    pub fn database(&self) -> PathBuf {
        self.path.join("store.db")
    }

    fn log(&self) -> PathBuf {
        self.path.join("store.db-wal")
    }

    /// Bytes of the database and its log.
    pub fn size(&self) -> u64 {
        [self.database(), self.log()].iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
    }

    /// Names the directory in an error of its disk.
    pub fn locate(&self, error: StoreError) -> StoreError {
        let place = |text: String| format!("data directory {}: {text}", self.path.display());
        match error {
            StoreError::CannotWrite(text) => StoreError::CannotWrite(place(text)),
            StoreError::Damaged(text) => StoreError::Damaged(place(text)),
            StoreError::InUse(text) => StoreError::InUse(place(text)),
            StoreError::Unknown(text) => StoreError::Unknown(place(text)),
            other => other,
        }
    }

    /// Lengthens the log with zeros, which SQLite reads as its end. Only while nobody writes. Without room it stays as
    /// it is: this is for speed.
    pub fn make_room_for_log(&self) {
        if let Err(error) = self.lengthen_log() {
            tracing::warn!(directory = %self.path.display(), %error, "no room made for the log");
        }
    }

    fn lengthen_log(&self) -> io::Result<()> {
        let mut log = private(OpenOptions::new().create(true).truncate(false)).open(self.log())?;
        let length = log.seek(SeekFrom::End(0))?;
        if length < LOG_ROOM {
            io::copy(&mut io::repeat(0).take(LOG_ROOM - length), &mut log)?;
            log.sync_all()?;
        }
        Ok(())
    }
}

impl Lock {
    /// Locks a file with the owner's process id in it.
    fn take(path: &Path) -> Result<Self, StoreError> {
        let mut file = private(OpenOptions::new().read(true).create(true).truncate(false))
            .open(path.join("lock"))
            .map_err(|error| cannot_write(path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = file.take(20).read_to_string(&mut owner);
                let (path, owner) = (path.display(), owner.trim());
                return Err(StoreError::InUse(format!("data directory {path}: process {owner} has it open")));
            }
            Err(TryLockError::Error(error)) => return Err(cannot_write(path, &error)),
        }
        // Only a hint for people: a full disk must not keep the server from starting.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { file })
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.write(true).mode(0o600)
}

/// Makes the directory's entries durable.
fn sync(path: &Path) -> io::Result<()> {
    File::open(if path.as_os_str().is_empty() { Path::new(".") } else { path })?.sync_all()
}

fn cannot_write(path: &Path, error: &io::Error) -> StoreError {
    StoreError::CannotWrite(format!("data directory {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_though_a_child_has_its_file_open() {
        let directory = tempfile::tempdir().expect("a directory");
        let lock = Lock::take(directory.path()).expect("free");
        let _childs = lock.file.try_clone().expect("a copy");
        assert!(matches!(Lock::take(directory.path()), Err(StoreError::InUse(_))));
        drop(lock);
        assert!(Lock::take(directory.path()).is_ok());
    }
}
