//! Files that may change while the server runs. The system tells when something happens beside them; nothing is asked
//! again and again.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::CancellationToken;

/// Files are looked at this often in any case: there are file systems that tell nothing.
const AT_LEAST: Duration = Duration::from_secs(60);
/// Bytes of notices read at once; what they say does not matter.
const NOTICES: usize = 4096;

/// Some files, as they were when they were looked at last.
#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    seen: Vec<Mark>,
    /// `None` where the system has no such thing.
    notices: Option<Receiver>,
}

/// What differs when a file was written or replaced; `None` when it is not there.
type Mark = Option<[i64; 6]>;

impl Files {
    /// As they are now: what is read after this is no change. It must be called within a runtime.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        // Notices are read as a pipe is.
        let opened: Option<OwnedFd> = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok();
        let notices = opened.and_then(|file| Receiver::from_owned_fd_unchecked(file).ok());
        Self { seen: marks(&paths), paths, notices }
    }

    /// Returns when one of them has changed, or at once if one has since the last call; false when `stop` came first.
    pub async fn changed(&mut self, stop: &CancellationToken) -> bool {
        loop {
            self.watch();
            let now = marks(&self.paths);
            if now != self.seen {
                self.seen = now;
                return true;
            }
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(AT_LEAST) => {}
                () = self.notice() => {}
            }
        }
    }

    /// Folders are watched, not files: a file is most often replaced by another one, or by where a link leads.
    fn watch(&self) {
        let Some(notices) = &self.notices else { return };
        let whole = self.paths.iter().filter_map(|path| path.canonicalize().ok());
        let parent = |path: &PathBuf| path.parent().map(Path::to_owned);
        let folders: BTreeSet<PathBuf> =
            self.paths.iter().filter_map(parent).chain(whole.collect::<Vec<_>>().iter().filter_map(parent)).collect();
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::ATTRIB;
        for folder in folders {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder.as_path() };
            if let Err(error) = inotify::add_watch(notices, folder, flags) {
                tracing::debug!(folder = %folder.display(), %error, "a folder cannot be watched");
            }
        }
    }

    /// Something happened beside one of them.
    async fn notice(&self) {
        let Some(notices) = &self.notices else { return std::future::pending().await };
        if notices.readable().await.is_err() {
            return std::future::pending().await;
        }
        let mut buffer = [0; NOTICES];
        while notices.try_read(&mut buffer).is_ok_and(|length| length > 0) {}
    }
}

fn marks(paths: &[PathBuf]) -> Vec<Mark> {
    paths.iter().map(|path| mark(path)).collect()
}

fn mark(path: &Path) -> Mark {
    let found = std::fs::metadata(path).ok()?;
    let (device, inode) = (found.dev() as i64, found.ino() as i64);
    Some([device, inode, found.len() as i64, found.mtime(), found.mtime_nsec(), found.ctime_nsec()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_written_replaced_or_removed_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        let stop = CancellationToken::new();
        let mut files = Files::new([path.clone()]);
        std::fs::write(&path, "a").expect("written");
        assert!(files.changed(&stop).await);
        let beside = folder.path().join("g");
        std::fs::write(&beside, "a").expect("written");
        std::fs::rename(&beside, &path).expect("replaced");
        assert!(files.changed(&stop).await);
        std::fs::remove_file(&path).expect("removed");
        assert!(files.changed(&stop).await);
        stop.cancel();
        assert!(!files.changed(&stop).await);
    }

    /// As a kubelet mounts a ConfigMap: the file is a link through a link that is exchanged.
    #[tokio::test]
    async fn who_waits_is_told_also_through_links() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for version in ["1", "2"] {
            std::fs::create_dir(at(version)).expect("a folder");
            std::fs::write(at(version).join("f"), version).expect("written");
        }
        std::os::unix::fs::symlink("1", at("data")).expect("a link");
        std::os::unix::fs::symlink("data/f", at("f")).expect("a link");
        let mut files = Files::new([at("f")]);
        let stop = CancellationToken::new();
        let waiting = async { assert!(files.changed(&stop).await) };
        let exchanging = async {
            tokio::task::yield_now().await;
            std::os::unix::fs::symlink("2", at("next")).expect("a link");
            std::fs::rename(at("next"), at("data")).expect("exchanged");
        };
        let soon = tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(waiting, exchanging) });
        soon.await.expect("well before it would be looked at in any case");
    }
}
