//! The contract of a store, as tests over any store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use monokube::base::entropy::Entropy;
use monokube::model::revision::Revision;
use monokube::store::contract::{
    Change, Changed, Commit, Entry, Expect, LARGEST, Outcome, Store, StoreError, WatchItem,
};
use tokio::sync::mpsc;

use super::subjects::Subject;

/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens before patience ends")
}

/// Commits and expects to succeed.
pub async fn done(store: &dyn Store, commit: Commit) -> Revision {
    match store.commit(commit).await {
        Ok(Outcome::Committed(revision)) => revision,
        other => panic!("{other:?}"),
    }
}

pub async fn put(store: &dyn Store, key: &str, value: &str) -> Revision {
    done(store, Commit::put(key, Expect::Any, value.to_owned())).await
}

pub fn put_for(key: &str, value: &str, ttl: Duration) -> Commit {
    let change = Change::Put { value: Bytes::from(value.to_owned()), ttl: Some(ttl) };
    Commit { key: key.to_owned(), expect: Expect::Any, change }
}

/// A load, whole.
pub async fn loaded(store: &dyn Store, prefix: &str) -> (Revision, Vec<Entry>) {
    let mut load = store.load(prefix).await.expect("answers");
    let mut entries = Vec::new();
    while let Some(chunk) = load.chunks.recv().await {
        entries.extend(chunk.expect("readable"));
    }
    (load.revision, entries)
}

/// A watch, one change after another.
pub struct Watched {
    items: mpsc::Receiver<WatchItem>,
    ready: std::collections::VecDeque<Changed>,
    /// Everything up to here was delivered.
    pub seen: Revision,
}

impl Watched {
    pub async fn new(store: &dyn Store, from: Revision) -> Self {
        Self { items: store.watch(from).await.expect("opens"), ready: Default::default(), seen: from }
    }

    pub async fn next(&mut self) -> Changed {
        while self.ready.is_empty() {
            self.item().await;
        }
        self.ready.pop_front().expect("one is ready")
    }

    /// Takes items until everything up to `revision` was delivered; its changes.
    pub async fn until(&mut self, revision: Revision) -> Vec<Changed> {
        while self.seen < revision {
            self.item().await;
        }
        self.ready.drain(..).collect()
    }

    async fn item(&mut self) {
        match within(self.items.recv()).await {
            Some(WatchItem::Changes(changes)) => {
                for change in changes {
                    assert!(change.revision > self.seen, "{} after {}", change.revision, self.seen);
                    self.seen = change.revision;
                    self.ready.push_back(change);
                }
            }
            Some(WatchItem::Progress(revision)) => {
                assert!(revision > self.seen, "progress {revision} after {}", self.seen);
                self.seen = revision;
            }
            other => panic!("{other:?}"),
        }
    }
}

pub async fn commits_have_one_order(subject: &Subject) {
    let store = &*subject.store;
    let before = store.current().await.expect("answers");
    let a = put(store, "/registry/pods/a", "1").await;
    let b = put(store, "/registry/pods/b", "1").await;
    let gone = done(store, Commit::delete("/registry/pods/b", Expect::At(b))).await;
    let again = put(store, "/registry/pods/a", "2").await;
    assert!(Revision::ZERO < before && before < a && a < b && b < gone && gone < again);
    assert!(store.current().await.expect("answers") >= again);
    let entry = Entry { key: "/registry/pods/a".to_owned(), value: Bytes::from_static(b"2"), revision: again };
    assert_eq!(store.get("/registry/pods/a").await, Ok(Some(entry)));
    assert_eq!(store.get("/registry/pods/b").await, Ok(None));
}

pub async fn a_commit_meets_the_state_it_expects(subject: &Subject) {
    let (store, key) = (&*subject.store, "/registry/configmaps/default/a");
    let put = |expect| Commit::put(key, expect, "new");
    let delete = |expect| Commit::delete(key, expect);
    let (never, far) = (Revision::ZERO, Revision(u64::MAX));
    let absent = [Expect::At(never), Expect::At(far), Expect::At(Revision(1))];
    for commit in absent.map(put).into_iter().chain(absent.map(delete)) {
        assert_eq!(store.commit(commit).await, Ok(Outcome::Conflict { current: None }));
    }
    for expect in [Expect::Any, Expect::Absent] {
        assert_eq!(store.commit(delete(expect)).await, Ok(Outcome::Conflict { current: None }));
    }
    let first = done(store, Commit::put(key, Expect::Absent, "old")).await;
    let current = Some(Entry { key: key.to_owned(), value: "old".into(), revision: first });
    let not = [Expect::Absent, Expect::At(never), Expect::At(far), Expect::At(Revision(first.0 - 1))];
    for commit in not.map(put).into_iter().chain(not.map(delete)) {
        assert_eq!(store.commit(commit).await, Ok(Outcome::Conflict { current: current.clone() }));
    }
    assert_eq!(store.get(key).await, Ok(current));
    let second = done(store, put(Expect::At(first))).await;
    done(store, put(Expect::Any)).await;
    assert!(matches!(store.commit(delete(Expect::At(second))).await, Ok(Outcome::Conflict { current: Some(_) })));
    done(store, delete(Expect::Any)).await;
    let last = done(store, put(Expect::Any)).await;
    done(store, delete(Expect::At(last))).await;
    assert_eq!(store.get(key).await, Ok(None));
}

pub async fn keys_and_values_are_any_text_and_bytes(subject: &Subject) {
    let store = &*subject.store;
    let mut bytes = vec![0; 10_000];
    Entropy::seeded(7).fill(&mut bytes);
    let cases: [(&str, Bytes); 4] = [
        ("/registry/clusterroles/system:node'; --", Bytes::from(bytes)),
        ("/registry/clusterroles/\u{e4}\u{1F600}", Bytes::from_static(b"\0\xff\0")),
        ("/registry/clusterroles/empty", Bytes::new()),
        ("/registry/clusterroles/%_*?", Bytes::from_static(b"k8s\0")),
    ];
    let mut watch = Watched::new(store, store.current().await.expect("answers")).await;
    for (key, value) in cases {
        let revision = done(store, Commit::put(key, Expect::Absent, value.clone())).await;
        let entry = Entry { key: key.to_owned(), value: value.clone(), revision };
        assert_eq!(store.get(key).await, Ok(Some(entry.clone())));
        assert_eq!(loaded(store, key).await.1, [entry]);
        assert_eq!(watch.next().await, Changed { key: key.to_owned(), value: Some(value), revision });
    }
}

pub async fn what_is_too_large_is_refused_and_the_largest_is_not(subject: &Subject) {
    let (store, key) = (&*subject.store, "/registry/secrets/large");
    let mut watch = Watched::new(store, store.current().await.expect("answers")).await;
    let large = Bytes::from(vec![7; 2 << 20]);
    let refused = store.commit(Commit::put(key, Expect::Any, large)).await;
    assert!(matches!(refused, Err(StoreError::TooLarge(_))), "{refused:?}");
    assert_eq!(store.get(key).await, Ok(None));
    let largest = Bytes::from(vec![7; LARGEST - key.len()]);
    let revision = done(store, Commit::put(key, Expect::Absent, largest.clone())).await;
    assert_eq!(store.get(key).await.expect("answers").expect("is there").value, largest);
    assert_eq!(watch.next().await.value, Some(largest.clone()));
    for turn in 0..8 {
        done(store, Commit::put(format!("{key}{turn}"), Expect::Any, largest.slice(1..))).await;
    }
    let (_, entries) = loaded(store, "/registry/secrets/").await;
    assert!(entries.len() == 9 && entries.iter().all(|entry| entry.value.len() + 1 >= largest.len()));
    assert!(entries[0].revision == revision);
}

pub async fn a_load_is_everything_under_a_prefix_in_order(subject: &Subject) {
    let store = &subject.store;
    let keys: Vec<_> = (0..1200).map(|n| format!("/registry/pods/ns-{}/pod-{n}", n % 7)).collect();
    let writes = keys.iter().map(|key| async move { put(&**store, key, key).await });
    futures_util::future::join_all(writes).await;
    put(&**store, "/registry/podtemplates/default/a", "another resource").await;
    let (revision, entries) = loaded(&**store, "/registry/pods/").await;
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(entries.iter().map(|entry| &entry.key).collect::<Vec<_>>(), sorted.iter().collect::<Vec<_>>());
    assert!(entries.iter().all(|entry| entry.value == entry.key && entry.revision <= revision));
    assert_eq!(loaded(&**store, "/registry/").await.1.len(), 1201);
    assert_eq!(loaded(&**store, "/registry/nodes/").await.1, []);
}

pub async fn a_load_is_one_state_while_others_write(subject: &Subject) {
    let store = subject.store.clone();
    let first = store.current().await.expect("answers");
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for turn in 0..600_u32 {
                let key = format!("/registry/pods/{}", turn % 50);
                // Some are absent: then this is a conflict, and as good.
                let commit = match turn % 11 {
                    3 => Commit::delete(key, Expect::Any),
                    _ => Commit::put(key, Expect::Any, turn.to_string()),
                };
                store.commit(commit).await.expect("answers");
            }
        }
    });
    let mut loads = Vec::new();
    while !writer.is_finished() {
        loads.push(loaded(&*store, "/registry/").await);
    }
    writer.await.expect("ends");
    let current = store.current().await.expect("answers");
    let changes = Watched::new(&*store, first).await.until(current).await;
    for (revision, entries) in loads {
        let mut state = BTreeMap::new();
        for change in changes.iter().filter(|change| change.revision <= revision) {
            match &change.value {
                Some(value) => drop(state.insert(&change.key, (value, change.revision))),
                None => drop(state.remove(&change.key)),
            }
        }
        let loaded = entries.iter().map(|entry| (&entry.key, (&entry.value, entry.revision))).collect();
        assert_eq!(state, loaded, "at revision {revision}");
    }
}

pub async fn a_watch_delivers_everything_after_its_revision(subject: &Subject) {
    let store = &*subject.store;
    let mut done_before = Vec::new();
    for turn in 0..20 {
        done_before.push(put(store, &format!("/registry/pods/{}", turn % 3), &turn.to_string()).await);
    }
    let mut watch = Watched::new(store, done_before[9]).await;
    let deleted = done(store, Commit::delete("/registry/pods/1", Expect::Any)).await;
    let last = put(store, "/registry/pods/1", "again").await;
    let changes = watch.until(last).await;
    let revisions: Vec<_> = changes.iter().map(|change| change.revision).collect();
    let mut expected = done_before[10..].to_vec();
    expected.extend([deleted, last]);
    assert_eq!(revisions, expected);
    assert_eq!(changes[0].value.as_deref(), Some(&b"10"[..]));
    assert_eq!(changes[10], Changed { key: "/registry/pods/1".to_owned(), value: None, revision: deleted });
}

pub async fn a_watch_from_the_future_waits(subject: &Subject) {
    let store = &*subject.store;
    let from = Revision(store.current().await.expect("answers").0 + 2);
    let mut watch = Watched::new(store, from).await;
    let mut last = Revision::ZERO;
    while last <= from {
        last = put(store, "/registry/pods/a", "x").await;
    }
    assert_eq!(watch.next().await.revision, last);
}

pub async fn a_slow_watch_misses_nothing(subject: &Subject) {
    let store = subject.store.clone();
    let mut watch = Watched::new(&*store, store.current().await.expect("answers")).await;
    let value = Bytes::from(vec![1; 3000]);
    let writes = (0..32).map(|writer| {
        let (store, value) = (store.clone(), value.clone());
        tokio::spawn(async move {
            let mut revisions = Vec::new();
            for turn in 0..64 {
                let key = format!("/registry/pods/{writer}-{turn}");
                revisions.push(done(&*store, Commit::put(key, Expect::Absent, value.clone())).await);
            }
            revisions
        })
    });
    let mut expected = BTreeSet::new();
    for write in writes.collect::<Vec<_>>() {
        expected.extend(write.await.expect("ends"));
    }
    let changes = watch.until(*expected.last().expect("writes")).await;
    assert_eq!(changes.iter().map(|change| change.revision).collect::<BTreeSet<_>>(), expected);
    assert_eq!(changes.len(), expected.len());
}

pub async fn every_watch_reaches_the_current_revision(subject: &Subject) {
    let store = &*subject.store;
    put(store, "/registry/pods/a", "1").await;
    let from = store.current().await.expect("answers");
    let mut watches = [Watched::new(store, from).await, Watched::new(store, Revision(from.0 - 1)).await];
    for turn in 0..20 {
        if let Some(elsewhere) = &subject.elsewhere {
            put(&**elsewhere, "/registry/pods/b", &turn.to_string()).await;
        }
        let current = store.current().await.expect("answers");
        assert!(current >= from);
        for watch in &mut watches {
            watch.until(current).await;
        }
    }
    let last = put(store, "/registry/pods/a", "2").await;
    for watch in &mut watches {
        assert_eq!(watch.next().await.revision, last);
    }
}

pub async fn keys_expire_as_deletes(subject: &Subject) {
    let store = &*subject.store;
    let began = tokio::time::Instant::now();
    let ttl = Duration::from_secs(2);
    let mut expected = BTreeSet::new();
    for name in ["a", "b", "c"] {
        let key = format!("/registry/events/{name}");
        done(store, put_for(&key, "x", ttl)).await;
        expected.insert(key);
    }
    let last = put(store, "/registry/pods/stays", "x").await;
    let mut watch = store.watch(last).await.expect("opens");
    let mut gone = BTreeSet::new();
    while gone.len() < 3 {
        let Some(WatchItem::Changes(changes)) = within(watch.recv()).await else { continue };
        assert!(changes.iter().all(|change| change.value.is_none() && change.revision > last));
        gone.extend(changes.into_iter().map(|change| change.key));
    }
    assert!(began.elapsed() >= ttl);
    assert_eq!(gone, expected);
    assert_eq!(store.get("/registry/events/a").await, Ok(None));
    assert_eq!(loaded(store, "/registry/").await.1.len(), 1);
}

pub async fn a_later_put_ends_or_renews_a_ttl(subject: &Subject) {
    let store = &*subject.store;
    for name in ["kept", "renewed", "gone"] {
        done(store, put_for(&format!("/registry/events/{name}"), "x", Duration::from_secs(2))).await;
    }
    put(store, "/registry/events/kept", "y").await;
    let last = done(store, put_for("/registry/events/renewed", "y", Duration::from_secs(1000))).await;
    let mut watch = Watched::new(store, last).await;
    let gone = watch.next().await;
    assert_eq!((gone.key.as_str(), gone.value), ("/registry/events/gone", None));
    assert!(store.get("/registry/events/kept").await.expect("answers").is_some());
    assert!(store.get("/registry/events/renewed").await.expect("answers").is_some());
}

pub async fn one_of_many_writers_wins_each_revision(subject: &Subject) {
    const WRITERS: u64 = 64;
    const EACH: usize = 3;
    let (store, key) = (subject.store.clone(), "/registry/counters/a");
    let mut watch = Watched::new(&*store, put(&*store, key, "0").await).await;
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(count_up(store.clone(), key, EACH))).collect();
    let mut won = BTreeMap::new();
    for writer in writers {
        for (revision, count) in writer.await.expect("ends") {
            assert_eq!(won.insert(revision, count), None, "revision {revision} was won twice");
        }
    }
    let counts: Vec<_> = won.values().copied().collect();
    assert_eq!(counts, (1..=WRITERS * EACH as u64).collect::<Vec<_>>());
    let changes = watch.until(*won.keys().last().expect("winners")).await;
    let seen: Vec<_> = changes.iter().map(|change| change.revision).collect();
    assert_eq!(seen, won.into_keys().collect::<Vec<_>>());
}

/// Adds one to a number, so many times; what was written, and when.
async fn count_up(store: Arc<dyn Store>, key: &'static str, times: usize) -> Vec<(Revision, u64)> {
    let mut won = Vec::new();
    let mut current = store.get(key).await.expect("answers");
    while won.len() < times {
        let entry = current.take().expect("never deleted");
        let count: u64 = std::str::from_utf8(&entry.value).expect("text").parse().expect("a number");
        let next = Commit::put(key, Expect::At(entry.revision), (count + 1).to_string());
        current = match store.commit(next).await.expect("answers") {
            Outcome::Committed(revision) => {
                won.push((revision, count + 1));
                store.get(key).await.expect("answers")
            }
            Outcome::Conflict { current } => current,
        };
    }
    won
}

pub async fn advancing_never_goes_back(subject: &Subject) {
    let store = &*subject.store;
    let before = put(store, "/registry/pods/a", "1").await;
    let mut watch = Watched::new(store, before).await;
    let asked = Revision(before.0 + 1_000_000);
    let advanced = store.advance(asked).await.expect("answers");
    assert!(advanced >= before && (advanced >= asked || !subject.advances));
    assert!(store.advance(Revision(1)).await.expect("answers") >= advanced);
    assert!(store.current().await.expect("answers") >= advanced);
    watch.until(advanced).await;
    let after = put(store, "/registry/pods/a", "2").await;
    assert!(after > advanced);
    assert_eq!(watch.next().await.revision, after);
}

pub async fn size_is_known(subject: &Subject) {
    let store = &*subject.store;
    done(store, Commit::put("/registry/secrets/a", Expect::Any, vec![1; 100_000])).await;
    assert!(store.size().await.expect("answers") > 0);
}
