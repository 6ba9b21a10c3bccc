//! The embedded store's data directory: restarts, a second server, full and read-only disks, damage.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::model::revision::Revision;
use monokube::store::contract::{Commit, Expect, Outcome, Store, StoreError, WatchItem};
use monokube::store::embedded::Embedded;

use super::child::{Running, say};
use super::subjects::{self, open, skipped};
use super::suite::{Watched, done, loaded, put, put_for};

async fn refused(directory: &Path) -> StoreError {
    match Embedded::open(directory, Clock::machine(), &Entropy::seeded(1)).await {
        Ok(_) => panic!("{} was opened", directory.display()),
        Err(error) => error,
    }
}

fn sql(directory: &Path, statements: &str) {
    let database = rusqlite::Connection::open(directory.join("store.db")).expect("a database");
    database.execute_batch(statements).expect("a statement");
}

#[tokio::test]
async fn a_restart_keeps_state_revision_and_identity() {
    let directory = subjects::directory();
    let store = open(directory.path()).await;
    let cluster = store.cluster().to_owned();
    put(&store, "/registry/pods/a", "1").await;
    put(&store, "/registry/pods/b", "1").await;
    let last = done(&store, Commit::delete("/registry/pods/b", Expect::Any)).await;
    store.close().await;
    let store = open(directory.path()).await;
    assert_eq!(store.current().await, Ok(last));
    assert_eq!(store.cluster(), cluster);
    let (revision, entries) = loaded(&store, "/registry/").await;
    assert_eq!((revision, entries.len(), entries[0].key.as_str()), (last, 1, "/registry/pods/a"));
    let mut old = store.watch(Revision(last.0 - 1)).await.expect("opens");
    assert_eq!(old.recv().await, Some(WatchItem::Compacted(last)));
    let mut watch = Watched::new(&store, last).await;
    let next = put(&store, "/registry/pods/a", "2").await;
    assert_eq!(next, last.next());
    assert_eq!(watch.next().await.revision, next);
    let advanced = store.advance(Revision(1000)).await.expect("answers");
    store.close().await;
    assert_eq!(open(directory.path()).await.current().await, Ok(advanced));
}

#[tokio::test]
async fn a_ttl_survives_a_restart() {
    let directory = subjects::directory();
    let store = open(directory.path()).await;
    done(&store, put_for("/registry/events/soon", "x", Duration::from_millis(300))).await;
    let last = done(&store, put_for("/registry/events/late", "x", Duration::from_secs(3600))).await;
    store.close().await;
    let store = open(directory.path()).await;
    let gone = Watched::new(&store, last).await.next().await;
    assert_eq!((gone.key.as_str(), gone.value), ("/registry/events/soon", None));
    assert!(gone.revision > last);
    assert_eq!(loaded(&store, "/registry/").await.1.len(), 1);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let directory = subjects::directory();
    let store = open(directory.path()).await;
    let revision = put(&store, "/registry/pods/a", "1").await;
    let mut watch = store.watch(revision).await.expect("opens");
    store.close().await;
    store.close().await;
    assert_eq!(watch.recv().await, None);
    let unavailable = Err(StoreError::Unavailable("the store is closed".to_owned()));
    assert_eq!(store.commit(Commit::put("/registry/pods/a", Expect::Any, "2")).await, unavailable);
    assert!(store.get("/registry/pods/a").await.is_err() && store.load("/registry/").await.is_err());
    assert!(store.current().await.is_err() && store.watch(revision).await.is_err());
}

#[tokio::test]
async fn closing_answers_every_commit_that_waits() {
    let directory = subjects::directory();
    let store = Arc::new(open(directory.path()).await);
    let commits = (0..500).map(|turn| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(Commit::put(format!("/registry/pods/{turn}"), Expect::Any, "x")).await })
    });
    let commits: Vec<_> = commits.collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut committed = 0;
    for commit in commits {
        match commit.await.expect("ends") {
            Ok(Outcome::Committed(_)) => committed += 1,
            Err(StoreError::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(loaded(&open(directory.path()).await, "/registry/").await.1.len(), committed);
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let directory = subjects::directory();
    let store = open(directory.path()).await;
    let name = directory.path().display().to_string();
    let StoreError::InUse(why) = refused(directory.path()).await else { panic!("in use") };
    assert!(why.contains(&name) && why.contains(&std::process::id().to_string()), "{why}");
    let mut other = Running::start("open", directory.path(), None);
    let said = other.line().expect("it says why");
    assert!(said.contains("InUse") && said.contains(&name), "{said}");
    put(&store, "/registry/pods/a", "1").await;
    store.close().await;
    open(directory.path()).await;
}

#[tokio::test]
async fn only_the_owner_can_read_it() {
    let directory = subjects::directory();
    let inner = directory.path().join("data/store");
    let store = open(&inner).await;
    put(&store, "/registry/secrets/a", "1").await;
    let mode = |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for file in std::fs::read_dir(&inner).expect("a directory") {
        let file = file.expect("a file").path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn what_is_no_store_is_damaged() {
    let (noise, foreign, newer) = (subjects::directory(), subjects::directory(), subjects::directory());
    std::fs::write(noise.path().join("store.db"), [b'?'; 8192]).expect("room");
    let StoreError::Damaged(why) = refused(noise.path()).await else { panic!("damaged") };
    assert!(why.contains(&noise.path().display().to_string()), "{why}");
    sql(foreign.path(), "CREATE TABLE other (a)");
    assert!(matches!(refused(foreign.path()).await, StoreError::Damaged(_)));
    open(newer.path()).await.close().await;
    sql(newer.path(), "PRAGMA user_version = 99");
    let StoreError::Damaged(why) = refused(newer.path()).await else { panic!("damaged") };
    assert!(why.contains("99"), "{why}");
}

#[tokio::test]
async fn a_changed_value_is_damaged_and_others_are_not() {
    let directory = subjects::directory();
    let store = open(directory.path()).await;
    put(&store, "/registry/pods/a", "1").await;
    put(&store, "/registry/pods/b", "1").await;
    store.close().await;
    sql(directory.path(), "UPDATE entry SET value = x'32' WHERE key = '/registry/pods/b'");
    let store = open(directory.path()).await;
    let damaged = |error: StoreError| matches!(error, StoreError::Damaged(why) if why.contains("/registry/pods/b"));
    assert!(damaged(store.get("/registry/pods/b").await.expect_err("damaged")));
    assert!(store.get("/registry/pods/a").await.is_ok());
    let conflict = Commit::put("/registry/pods/b", Expect::Absent, "2");
    let others = Commit::put("/registry/pods/c", Expect::Absent, "2");
    let (conflict, other) = tokio::join!(store.commit(conflict), store.commit(others));
    assert!(damaged(conflict.expect_err("damaged")));
    assert!(matches!(other, Ok(Outcome::Committed(_))));
    let mut load = store.load("/registry/").await.expect("begins");
    let mut last = Ok(Vec::new());
    while let Some(chunk) = load.chunks.recv().await {
        last = chunk;
    }
    assert!(damaged(last.expect_err("damaged")));
}

/// A small file system in memory, gone with the test. `None` if only root may mount, and we are not root.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(size: &str) -> Option<Self> {
        let directory = subjects::directory();
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(directory.path()).output();
        mount.is_ok_and(|done| done.status.success()).then(|| Self(directory))
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.0.path()).status();
        assert!(done.expect("mount runs").success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_read_only_directory_is_refused() {
    let (mounted, plain) = (Mounted::new("32m"), subjects::directory());
    let directory = mounted.as_ref().map_or(plain.path(), |mounted| mounted.0.path());
    open(directory).await.close().await;
    match &mounted {
        Some(mounted) => mounted.remount("ro"),
        None => {
            let mode = std::fs::Permissions::from_mode(0o500);
            std::fs::set_permissions(directory, mode).expect("mine");
            std::fs::set_permissions(directory.join("lock"), std::fs::Permissions::from_mode(0o400)).expect("mine");
        }
    }
    let StoreError::CannotWrite(why) = refused(directory).await else { panic!("cannot write") };
    assert!(why.contains(&directory.display().to_string()), "{why}");
}

/// Writes until it can't: how many were acknowledged, and why no more.
async fn write_until_refused(store: &Embedded) -> (usize, StoreError) {
    let value = Bytes::from(vec![3; 100_000]);
    for turn in 0..10_000 {
        match store.commit(Commit::put(format!("/registry/secrets/{turn}"), Expect::Absent, value.clone())).await {
            Ok(Outcome::Committed(_)) => {}
            Ok(conflict) => panic!("{conflict:?}"),
            Err(error) => return (turn, error),
        }
    }
    panic!("the disk never fills");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room() {
    let Some(mounted) = Mounted::new("32m") else {
        return skipped("a full file system: mounting one needs root");
    };
    let directory = mounted.0.path().join("data");
    let ballast = mounted.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 12 << 20]).expect("room");
    let store = open(&directory).await;
    let (count, why) = write_until_refused(&store).await;
    let StoreError::CannotWrite(why) = why else { panic!("{why:?}") };
    assert!(why.contains(&directory.display().to_string()) && why.contains("full"), "{why}");
    let unchanged = async |store: &Embedded| {
        let (revision, entries) = loaded(store, "/registry/").await;
        assert_eq!((entries.len(), revision), (count, Revision(1 + count as u64)));
        assert_eq!(store.get(&format!("/registry/secrets/{count}")).await, Ok(None));
    };
    unchanged(&store).await;
    store.close().await;
    let store = open(&directory).await;
    unchanged(&store).await;
    let mut watch = Watched::new(&store, Revision(1 + count as u64)).await;
    std::fs::remove_file(&ballast).expect("is there");
    let after = put(&store, "/registry/pods/after", "x").await;
    assert_eq!(after, Revision(2 + count as u64));
    assert_eq!(watch.next().await.revision, after);
    store.close().await;
    let (revision, entries) = loaded(&open(&directory).await, "/registry/").await;
    assert_eq!((entries.len(), revision), (count + 1, after));
}

/// The child: fills what it may, then says how far it came.
pub async fn fill(store: &Embedded) {
    let (count, why) = write_until_refused(store).await;
    let (revision, entries) = loaded(store, "/registry/").await;
    say(&format!("{count} {} {revision} {why}", entries.len()));
}

#[tokio::test]
async fn a_limit_on_file_size_leaves_nothing_half_written() {
    let directory = subjects::directory();
    let mut child = Running::start("fill", directory.path(), Some(12 << 10));
    let said = child.line().expect("it comes to its limit");
    let parts: Vec<_> = said.splitn(4, ' ').collect();
    assert!(parts[3].contains("cannot write") && parts[3].contains(&directory.path().display().to_string()), "{said}");
    child.process.wait().expect("it ends");
    let store = open(directory.path()).await;
    let (revision, entries) = loaded(&store, "/registry/").await;
    let count = entries.len().to_string();
    assert_eq!((parts[0], parts[1], parts[2]), (count.as_str(), count.as_str(), revision.to_string().as_str()));
    assert_eq!(put(&store, "/registry/pods/after", "x").await, revision.next());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_is_not_read_holds_nobody_up() {
    let directory = subjects::directory();
    let store = open(directory.path()).await;
    let value = Bytes::from(vec![5; 100_000]);
    let key = |turn: usize| format!("/registry/secrets/{}", turn % 100);
    for turn in 0..100 {
        done(&store, Commit::put(key(turn), Expect::Any, value.clone())).await;
    }
    let mut load = store.load("/registry/").await.expect("begins");
    for turn in 0..400 {
        done(&store, Commit::put(key(turn), Expect::Any, value.clone())).await;
    }
    let mut entries = Vec::new();
    while let Some(chunk) = load.chunks.recv().await {
        entries.extend(chunk.expect("readable"));
    }
    assert_eq!(entries.len(), 100);
    assert!(entries.iter().all(|entry| entry.revision <= load.revision));
    for turn in 0..400 {
        done(&store, Commit::put(key(turn), Expect::Any, value.clone())).await;
    }
    assert_eq!(store.current().await, Ok(Revision(1 + 900)));
}
