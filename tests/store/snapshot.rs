//! Snapshots from one kind of store into another.

use std::time::Duration;

use monokube::model::revision::Revision;
use monokube::store::contract::{Commit, Entry, Expect, Store};
use monokube::store::snapshot::{self, SnapshotError};

use super::subjects::{self, Server, Subject};
use super::suite::{Watched, done, loaded, put};

/// Some objects, and some history.
async fn filled(store: &dyn Store) -> (Revision, Vec<Entry>) {
    for turn in 0..700 {
        done(store, Commit::put(format!("/registry/pods/{turn}"), Expect::Any, vec![turn as u8; 3000])).await;
    }
    done(store, Commit::delete("/registry/pods/3", Expect::Any)).await;
    loaded(store, "/registry/").await
}

fn contents(entries: Vec<Entry>) -> Vec<(String, bytes::Bytes)> {
    entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

async fn moves(from: &Subject, into: &Subject) {
    let (revision, entries) = filled(&*from.store).await;
    let directory = subjects::directory();
    let file = directory.path().join("saved");
    let saved = snapshot::save(&*from.store, &file).await.expect("saves");
    assert_eq!((saved.revision >= revision, saved.entries), (true, 699));
    assert_eq!(std::fs::read_dir(&directory).expect("a directory").count(), 1);
    let restored = snapshot::restore(&file, &*into.store, |_| None).await.expect("restores");
    assert_eq!(restored, saved);
    let (_, again) = loaded(&*into.store, "/registry/").await;
    if into.advances {
        assert!(again.iter().all(|entry| entry.revision > saved.revision));
    }
    assert_eq!(contents(again), contents(entries));
    let twice = snapshot::restore(&file, &*into.store, |_| None).await;
    assert!(matches!(twice, Err(SnapshotError::NotEmpty)), "{twice:?}");
}

#[tokio::test]
async fn from_memory_into_embedded_and_back() {
    moves(&subjects::memory(), &subjects::embedded().await).await;
    moves(&subjects::embedded().await, &subjects::memory()).await;
}

#[tokio::test]
async fn from_embedded_into_etcd_and_back() {
    let Some(server) = Server::start() else { return };
    server.ready().await;
    let etcd = subjects::of_etcd(&server, "/registry");
    moves(&subjects::embedded().await, &etcd).await;
    let from = subjects::of_etcd(&server, "/other");
    moves(&from, &subjects::embedded().await).await;
}

#[tokio::test]
async fn the_restorer_says_what_expires() {
    let (from, into) = (subjects::memory(), subjects::embedded().await);
    put(&*from.store, "/registry/events/a", "x").await;
    put(&*from.store, "/registry/pods/a", "x").await;
    let directory = subjects::directory();
    let file = directory.path().join("saved");
    let saved = snapshot::save(&*from.store, &file).await.expect("saves");
    let ttl = |key: &str| key.starts_with("/registry/events/").then_some(Duration::from_millis(100));
    snapshot::restore(&file, &*into.store, ttl).await.expect("restores");
    let mut watch = Watched::new(&*into.store, saved.revision).await;
    let changes = [watch.next().await, watch.next().await, watch.next().await];
    assert_eq!((changes[2].key.as_str(), &changes[2].value), ("/registry/events/a", &None));
    assert_eq!(loaded(&*into.store, "/registry/").await.1.len(), 1);
}
