//! etcd itself: compaction, restarts, lost leases, failover, TLS, and an etcd that others use too.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::model::revision::Revision;
use monokube::pki::authority::{Authority, Usage, Wanted};
use monokube::store::contract::{Commit, Expect, Outcome, Store, StoreError, WatchItem};
use monokube::store::etcd::{Etcd, Options};

use tokio::sync::mpsc;

use super::subjects::{self, Server, Subject, ready};
use super::suite::{Watched, done, loaded, put, put_for, within};

/// Compaction is etcd-wide, so this part of the suite needs an etcd alone.
async fn compacts(subject: &Subject) {
    let store = &*subject.store;
    let first = store.current().await.expect("answers");
    for turn in 0..10 {
        put(store, "/registry/pods/a", &turn.to_string()).await;
    }
    let current = store.current().await.expect("answers");
    let mut running = Watched::new(store, Revision(current.0 - 2)).await;
    let upto = Revision(current.0 - 1);
    store.compact(upto).await.expect("compacts");
    store.compact(upto).await.expect("again");
    store.compact(first).await.expect("or less");
    let mut old = store.watch(first).await.expect("opens");
    let Some(WatchItem::Compacted(from)) = within(old.recv()).await else { panic!("compacted") };
    assert!(from >= upto && from <= current);
    assert_eq!(within(old.recv()).await, None);
    assert_eq!(Watched::new(store, upto).await.next().await.revision, current);
    assert_eq!(running.until(current).await.len(), 2);
    let next = put(store, "/registry/pods/a", "x").await;
    assert_eq!(running.next().await.revision, next);
    assert_eq!(loaded(store, "/registry/").await.1.len(), 1);
}

#[tokio::test]
async fn memory_compacts() {
    compacts(&subjects::memory()).await;
}

#[tokio::test]
async fn embedded_compacts() {
    compacts(&subjects::embedded().await).await;
}

#[tokio::test]
async fn etcd_compacts() {
    let Some(server) = Server::start() else { return };
    server.ready().await;
    compacts(&subjects::of_etcd(&server, "/registry")).await;
}

#[tokio::test]
async fn a_restart_of_etcd_breaks_watches_and_nothing_else() {
    let Some(mut server) = Server::start() else { return };
    server.ready().await;
    let store = server.store("/registry");
    let before = put(&*store, "/registry/pods/a", "1").await;
    let mut watch = store.watch(before).await.expect("opens");
    server.kill();
    assert!(matches!(within(watch.recv()).await, Some(WatchItem::Broken(_))));
    let refused = store.commit(Commit::put("/registry/pods/a", Expect::At(before), "2")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(store.get("/registry/pods/a").await, Err(StoreError::Unavailable(_))));
    server.run();
    ready(&store).await;
    let after = done(&*store, Commit::put("/registry/pods/a", Expect::At(before), "3")).await;
    assert_eq!(Watched::new(&*store, before).await.next().await.revision, after);
}

#[tokio::test]
async fn a_lost_lease_is_replaced() {
    let Some(mut server) = Server::start() else { return };
    server.ready().await;
    let store = server.store("/registry");
    let hour = Duration::from_secs(3600);
    done(&*store, put_for("/registry/events/a", "x", hour)).await;
    server.kill();
    server.forget();
    server.run();
    ready(&store).await;
    done(&*store, put_for("/registry/events/b", "x", hour)).await;
    assert_eq!(loaded(&*store, "/registry/").await.1.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_member_takes_over() {
    let Some(mut servers) = Server::cluster(3, &[]) else { return };
    let addresses = servers.iter().map(Server::address).collect();
    let options = Options { servers: addresses, ..Options::default() };
    let store = Arc::new(Etcd::new(&options, Clock::machine()).expect("addresses"));
    ready(&store).await;
    let mut last = put(&*store, "/registry/pods/a", "0").await;
    for (turn, server) in servers.iter_mut().enumerate() {
        let mut watch = store.watch(last).await.expect("opens");
        server.kill();
        // With the leader gone, a new one is elected first.
        ready(&store).await;
        let next = within(committed(&*store, last, &turn.to_string())).await;
        assert_eq!(within(seen(&*store, &mut watch, last)).await, next);
        server.run();
        last = next;
    }
}

/// Commits until an answer comes through.
async fn committed(store: &dyn Store, last: Revision, value: &str) -> Revision {
    loop {
        match store.commit(Commit::put("/registry/pods/a", Expect::At(last), value.to_owned())).await {
            Ok(Outcome::Committed(revision)) => return revision,
            // It was only the answer that got lost.
            Ok(Outcome::Conflict { current }) => return current.expect("never deleted").revision,
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Watches, again if need be, until a change comes.
async fn seen(store: &dyn Store, watch: &mut mpsc::Receiver<WatchItem>, last: Revision) -> Revision {
    loop {
        match watch.recv().await {
            Some(WatchItem::Changes(changes)) => return changes.last().expect("one").revision,
            Some(WatchItem::Progress(_)) => {}
            Some(WatchItem::Broken(_)) | None => *watch = store.watch(last).await.expect("opens"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn no_server_at_all_is_unavailable() {
    let options = Options { servers: vec!["127.0.0.1:1".to_owned()], ..Options::default() };
    let store = Etcd::new(&options, Clock::machine()).expect("an address");
    let refused = store.commit(Commit::put("/registry/pods/a", Expect::Any, "x")).await.expect_err("nobody there");
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.contains("127.0.0.1:1")), "{refused:?}");
    assert!(matches!(store.watch(Revision(1)).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.load("/registry/").await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn clusters_share_an_etcd_by_prefix() {
    let Some(server) = Server::start() else { return };
    server.ready().await;
    let (one, two, inner) = (server.store("/one"), server.store("/two"), server.store("/one/registry"));
    let first = put(&*one, "/registry/pods/a", "1").await;
    let mut watch = Watched::new(&*one, first).await;
    put(&*two, "/registry/pods/a", "2").await;
    let next = put(&*one, "/registry/pods/b", "3").await;
    assert_eq!(watch.next().await.revision, next);
    assert_eq!(loaded(&*one, "/registry/").await.1.len(), 2);
    assert_eq!(loaded(&*two, "/registry/").await.1.len(), 1);
    // The key that one knows as /registry/registry/pods/c.
    put(&*inner, "/registry/pods/c", "4").await;
    assert_eq!(watch.next().await.key, "/registry/registry/pods/c");
    let shown = loaded(&*one, "/registry/").await.1;
    assert!(shown.iter().all(|entry| !entry.key.contains("monokube")), "{shown:?}");
}

/// Certificates of an authority, a server and a client, in files.
fn certificates(directory: &Path) {
    let (clock, entropy) = (Clock::machine(), Entropy::machine());
    let write = |name: &str, text: String| std::fs::write(directory.join(name), text).expect("room");
    let authority = Authority::create("etcd-ca", None, &clock, &entropy).expect("an authority");
    write("ca.crt", authority.to_pem().expect("a certificate"));
    for (name, usage) in [("server", Usage::Server), ("client", Usage::Client)] {
        let addresses = [Ipv4Addr::LOCALHOST.into()];
        let wanted = Wanted { common_name: name, addresses: &addresses, usage, ..Wanted::default() };
        let leaf = authority.issue(&wanted, &clock, &entropy).expect("a certificate");
        write(&format!("{name}.crt"), leaf.certificate_pem().expect("a certificate"));
        write(&format!("{name}.key"), leaf.key.to_pem().expect("a key"));
    }
}

#[tokio::test]
async fn both_sides_show_certificates() {
    let directory = subjects::directory();
    certificates(directory.path());
    let file = |name: &str| directory.path().join(name);
    let flag = |name: &str, of: &str| format!("--{name}={}", file(of).display());
    let mut extra = vec!["--client-cert-auth".to_owned(), flag("trusted-ca-file", "ca.crt")];
    extra.extend([flag("cert-file", "server.crt"), flag("key-file", "server.key")]);
    let Some(servers) = Server::cluster(1, &extra) else { return };
    let options = Options {
        cafile: Some(file("ca.crt")),
        certfile: Some(file("client.crt")),
        keyfile: Some(file("client.key")),
        ..servers[0].options("/registry")
    };
    let store = Etcd::new(&options, Clock::machine()).expect("files");
    ready(&store).await;
    let revision = put(&store, "/registry/pods/a", "1").await;
    assert_eq!(loaded(&store, "/registry/").await.1[0].revision, revision);
    let nobody = Options { certfile: None, keyfile: None, ..options.clone() };
    let nobody = Etcd::new(&nobody, Clock::machine()).expect("files");
    assert!(matches!(nobody.current().await, Err(StoreError::Unavailable(_))));
    // Who does not know the authority does not trust the server.
    let trusting = Options { cafile: None, servers: vec![format!("https://{}", servers[0].address())], ..options };
    let trusting = Etcd::new(&trusting, Clock::machine()).expect("files");
    let refused = trusting.current().await.expect_err("a stranger");
    assert!(refused.to_string().contains("certificate"), "{refused}");
}
