//! What a request pays for its seat, with the objects that every server has, while there is room.
//!
//! `cargo bench --bench fairness`; each figure is one request from the gate to giving its seat back.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use monokube::auth::authorizer::{Attributes, Resource, Target};
use monokube::auth::identity::{MASTERS, NODES, SERVICE_ACCOUNTS, User};
use monokube::base::clock::Clock;
use monokube::base::tasks::Tasks;
use monokube::cache::handle::{Cache, Options};
use monokube::cache::limits::Limits as CacheLimits;
use monokube::codec::protobuf::encode::encode;
use monokube::codec::protobuf::envelope::wrap;
use monokube::fairness::estimate::Listing;
use monokube::fairness::gate::{Asked, Fairness, Limits};
use monokube::fairness::level::{Details, Told};
use monokube::model::value::Value;
use monokube::registry::stored::Versions;
use monokube::schema::catalog::{Catalog, Live};
use monokube::schema::table::message;
use monokube::store::contract::{Change, Commit, Expect, Store};
use monokube::store::memory::Memory;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OBJECTS: &str = include_str!("../src/assemble/bootstrap.jsonl");

struct Nothing;

impl Told for Nothing {
    fn details(&self) -> Details {
        Details::default()
    }
}

async fn gate(tasks: &Tasks) -> Fairness {
    let clock = Clock::machine();
    let store: Arc<dyn Store> = Arc::new(Memory::new(clock.clone()));
    for line in OBJECTS.lines().filter(|line| line.starts_with("{\"apiVersion\":\"flowcontrol")) {
        let object: Value = serde_json::from_str(line).expect("JSON");
        let kind = object["kind"].as_str().expect("a kind");
        let resource = if kind == "FlowSchema" { "flowschemas" } else { "prioritylevelconfigurations" };
        let shape = message(&format!("k8s.io.api.flowcontrol.v1.{kind}")).expect("a message");
        let raw = encode(&object, shape).expect("encodes");
        let value = wrap("flowcontrol.apiserver.k8s.io/v1", kind, &raw);
        let key = format!("/registry/{resource}/{}", object["metadata"]["name"].as_str().expect("a name"));
        let change = Change::Put { value, ttl: None };
        store.commit(Commit { key, expect: Expect::Absent, change }).await.expect("committed");
    }
    let catalog = Live::new(Catalog::builtin());
    let options = Options {
        prefix: "/registry/".into(),
        storages: catalog.load().storages(),
        convert: Arc::new(Versions(catalog.clone())),
        limits: CacheLimits::default(),
        clock: clock.clone(),
    };
    let cache = Cache::open(store, options, tasks).await.expect("a cache");
    let limits = Limits { reads: 400, writes: 200, request: Duration::from_secs(60) };
    Fairness::open(&cache, &clock, limits).expect("shelves")
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (runtime, tasks, clock) = (Runtime::new().expect("a runtime"), Tasks::default(), Clock::machine());
    let fairness = runtime.block_on(gate(&tasks));
    let known = "system:authenticated";
    let pods = Resource { version: "v1", resource: "pods", namespace: "a", name: "x", ..Resource::default() };
    let all = Resource { namespace: "", name: "", ..pods };
    let users = [
        ("master", User::new("admin", &[MASTERS, known]), "get", pods),
        ("node", User::new("system:node:n1", &[NODES, known]), "get", pods),
        ("account", User::new("system:serviceaccount:a:b", &[SERVICE_ACCOUNTS, known]), "get", pods),
        ("person", User::new("ann", &[known]), "get", pods),
        ("account creates", User::new("system:serviceaccount:a:b", &[SERVICE_ACCOUNTS, known]), "create", pods),
        ("account lists", User::new("system:serviceaccount:a:b", &[SERVICE_ACCOUNTS, known]), "list", all),
    ];
    let told: Arc<dyn Told> = Arc::new(Nothing);
    let _guard = runtime.enter();
    for (name, user, verb, resource) in &users {
        let attributes = Attributes { user, verb, target: Target::Resource(*resource) };
        criterion.bench_function(&format!("seat/{name}"), |bench| {
            bench.iter(|| {
                let asked = Asked {
                    attributes,
                    listing: Listing::default(),
                    arrived: clock.instant(),
                    limit: Duration::from_secs(60),
                };
                let admission = at_once(fairness.enter(&asked, || told.clone()));
                black_box(admission.seat.is_ok());
            });
        });
    }
    criterion.final_summary();
    runtime.block_on(tasks.shutdown(Duration::from_secs(1)));
}

/// What is ready at once.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("there is room"),
    }
}
