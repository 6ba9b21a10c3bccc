//! The embedded store on a real disk: durable commits a second, their latency, reads.
//!
//! `cargo bench --bench store`. The data directory is made in `MONOKUBE_BENCH_DIR`, by default in `target/tmp`; its
//! fdatasync is printed first, because every figure follows from it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::model::revision::Revision;
use monokube::store::contract::{Commit, Expect, Outcome, Store};
use monokube::store::embedded::Embedded;
use tokio::runtime::Runtime;

/// Bytes of a value: a pod.
const VALUE: usize = 3 << 10;
/// Objects that each writer updates in turn.
const OBJECTS: usize = 100;
/// Objects that a load reads.
const LOADED: usize = 20_000;

criterion_group!(benches, commits, reads);
criterion_main!(benches);

fn commits(criterion: &mut Criterion) {
    let place = place();
    println!("fdatasync of 8 KiB: {:?} written over, {:?} appended", fdatasync(&place, true), fdatasync(&place, false));
    let runtime = runtime();
    let directory = tempfile::tempdir_in(&place).expect("a directory");
    let store = open(&runtime, directory.path());
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(10));
    for writers in [1, 8, 64] {
        let latencies = Arc::new(Latencies::default());
        group.bench_function(format!("update by {writers}"), |bench| {
            bench.iter_custom(|count| {
                let each = count.div_ceil(writers as u64);
                let took = runtime.block_on(update(&store, writers, each, &latencies));
                took.mul_f64(count as f64 / (each * writers as u64) as f64)
            });
        });
        println!("latency with {writers} writers: {}", latencies.summary());
    }
    let made = AtomicU64::new(0);
    group.bench_function("create by 64", |bench| {
        bench.iter_custom(|count| {
            let each = count.div_ceil(64);
            let first = made.fetch_add(each * 64, Ordering::Relaxed);
            runtime.block_on(create(&store, first, each)).mul_f64(count as f64 / (each * 64) as f64)
        });
    });
    group.finish();
    runtime.block_on(store.close());
}

fn reads(criterion: &mut Criterion) {
    let runtime = runtime();
    let directory = tempfile::tempdir_in(place()).expect("a directory");
    let store = open(&runtime, directory.path());
    runtime.block_on(create(&store, 0, LOADED as u64 / 64 + 1));
    let mut group = criterion.benchmark_group("read");
    group.sample_size(20);
    group.bench_function("get", |bench| {
        bench.iter(|| runtime.block_on(store.get("/registry/pods/new/7")).expect("answers").expect("is there"));
    });
    group.throughput(Throughput::Elements(LOADED as u64 / 64 * 64 + 64));
    group.bench_function("load", |bench| bench.iter(|| runtime.block_on(load(&store))));
    group.finish();
    runtime.block_on(store.close());
    let opening = Instant::now();
    let store = open(&runtime, directory.path());
    let size = runtime.block_on(store.size()).expect("answers");
    println!("opened {} MiB in {:?}", size >> 20, opening.elapsed());
}

/// Each writer updates its own objects, one after another.
async fn update(store: &Arc<Embedded>, writers: usize, each: u64, latencies: &Arc<Latencies>) -> Duration {
    let value = value();
    let (store, latencies) = (store.clone(), latencies.clone());
    let write = move |writer: usize| {
        let (store, value, latencies) = (store.clone(), value.clone(), latencies.clone());
        async move {
            let mut known = vec![Expect::Any; OBJECTS];
            for turn in 0..each as usize {
                let key = format!("/registry/pods/ns-{writer}/pod-{}", turn % OBJECTS);
                let began = Instant::now();
                let done = store.commit(Commit::put(key, known[turn % OBJECTS], value.clone())).await;
                latencies.note(began.elapsed());
                known[turn % OBJECTS] = Expect::At(revision(done.expect("answers")));
            }
        }
    };
    all(writers, write).await
}

async fn create(store: &Arc<Embedded>, first: u64, each: u64) -> Duration {
    let (store, value) = (store.clone(), value());
    let write = move |writer: usize| {
        let (store, value) = (store.clone(), value.clone());
        async move {
            for turn in 0..each {
                let key = format!("/registry/pods/new/{}", first + writer as u64 * each + turn);
                let done = store.commit(Commit::put(key, Expect::Absent, value.clone())).await;
                revision(done.expect("answers"));
            }
        }
    };
    all(64, write).await
}

async fn load(store: &Arc<Embedded>) -> usize {
    let mut load = store.load("/registry/").await.expect("answers");
    let mut count = 0;
    while let Some(chunk) = load.chunks.recv().await {
        count += chunk.expect("readable").len();
    }
    count
}

async fn all<F: Future<Output = ()> + Send + 'static>(writers: usize, write: impl Fn(usize) -> F) -> Duration {
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers).map(|writer| tokio::spawn(write(writer))).collect();
    for task in tasks {
        task.await.expect("a writer ends");
    }
    began.elapsed()
}

fn revision(outcome: Outcome) -> Revision {
    let Outcome::Committed(revision) = outcome else { panic!("{outcome:?}") };
    revision
}

/// Bytes that no file system compresses.
fn value() -> Bytes {
    let mut value = vec![0; VALUE];
    Entropy::seeded(1).fill(&mut value);
    value.into()
}

fn open(runtime: &Runtime, directory: &Path) -> Arc<Embedded> {
    let opened = runtime.block_on(Embedded::open(directory, Clock::machine(), &Entropy::seeded(1)));
    Arc::new(opened.expect("a new store"))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

fn place() -> PathBuf {
    std::env::var_os("MONOKUBE_BENCH_DIR").unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into()).into()
}

/// The median of 200.
fn fdatasync(place: &Path, over: bool) -> Duration {
    let file = tempfile::NamedTempFile::new_in(place).expect("a file");
    let file: &File = file.as_file();
    let page = [7; 8192];
    let write = |at: u64| {
        file.write_all_at(&page, at * 8192).expect("room");
        let began = Instant::now();
        file.sync_data().expect("a disk");
        began.elapsed()
    };
    if over {
        (0..200).map(write).for_each(|_| {});
    }
    let mut took: Vec<_> = (0..200).map(write).collect();
    took.sort();
    took[100]
}

/// Counts of latencies in steps of a microsecond, up to a tenth of a second.
struct Latencies(Vec<AtomicU64>);

impl Default for Latencies {
    fn default() -> Self {
        Self((0..100_000).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Latencies {
    fn note(&self, took: Duration) {
        let step = (took.as_micros() as usize).min(self.0.len() - 1);
        self.0[step].fetch_add(1, Ordering::Relaxed);
    }

    fn summary(&self) -> String {
        let counts: Vec<_> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let percentile = |part: f64| {
            let mut left = (all as f64 * part) as u64;
            counts.iter().position(|count| {
                let found = *count > left;
                left = left.saturating_sub(*count);
                found
            })
        };
        let show = |part| percentile(part).map_or("-".to_owned(), |step| format!("{step} us"));
        format!("median {}, 99% {}, 99.9% {}", show(0.5), show(0.99), show(0.999))
    }
}
