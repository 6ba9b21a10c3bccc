//! How many pods a second get a node, from the queue to the written binding.
//!
//! `cargo bench --bench scheduler`; the store is in memory, admission is the default one. Each row is a cluster of its
//! own: its nodes and waiting pods are there before the scheduler starts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use monokube::admission::charges::Charges;
use monokube::admission::configuration::Configurations;
use monokube::admission::plugins;
use monokube::admission::reads::Reads;
use monokube::audit::recorder::Audit;
use monokube::auth::authorizer::{self, AlwaysAllow};
use monokube::auth::identity::User;
use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::base::tasks::Tasks;
use monokube::cache::event::Event;
use monokube::cache::handle::{Cache, Options};
use monokube::cache::limits::Limits;
use monokube::cache::subscription::{Subscription, Update};
use monokube::model::names::GroupResource;
use monokube::model::value::{Value, json};
use monokube::registry::client::{Client, Target};
use monokube::registry::core::{Parts, Registry};
use monokube::registry::hooks::services::ranges::Ranges;
use monokube::registry::hooks::{self, Hooks};
use monokube::registry::stored::Versions;
use monokube::scheduler::{self, Config};
use monokube::schema::catalog::{Catalog, Live};
use monokube::store::contract::Store;
use monokube::store::memory::Memory;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NODES: usize = 1_000;
const PODS: usize = 10_000;
const ZONES: usize = 3;
/// Objects that are being created at one time.
const CREATING: usize = 64;

/// Puts into a pod what it asks for.
type Ask = fn(&mut Value);

/// What the pods of a row ask for beside cpu and memory.
const ROWS: &[(&str, Ask)] = &[
    ("plain", |_| {}),
    ("of a service", |pod| pod["metadata"]["labels"] = json!({"app": "served"})),
    ("spread over zones", |pod| {
        pod["spec"]["topologySpreadConstraints"] = json!([{
            "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "a"}},
        }]);
    }),
    ("with preferred anti-affinity", |pod| {
        pod["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] = json!([{
            "weight": 100, "podAffinityTerm": {
                "topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "a"}},
            },
        }]);
    }),
];

async fn registry(tasks: &Tasks) -> Registry {
    let (clock, entropy) = (Clock::machine(), Entropy::seeded(1));
    let store: Arc<dyn Store> = Arc::new(Memory::new(clock.clone()));
    let catalog = Live::new(Catalog::builtin());
    let convert = Arc::new(Versions(catalog.clone()));
    let options = Options {
        prefix: "/registry/".into(),
        storages: catalog.load().storages(),
        convert: convert.clone(),
        limits: Limits::default(),
        clock: clock.clone(),
    };
    let cache = Cache::open(store.clone(), options, tasks).await.expect("a cache");
    let authorizer = authorizer::Chain::new(vec![Arc::new(AlwaysAllow)]);
    let reads = Reads {
        cache: cache.clone(),
        store: store.clone(),
        catalog: catalog.clone(),
        authorizer: authorizer.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        charges: Charges::default(),
        configurations: Configurations::default(),
    };
    let ranges = Ranges::parse("10.96.0.0/16", "30000-32767").expect("ranges");
    let registry = Registry::new(Parts {
        catalog,
        store,
        cache,
        clock,
        entropy,
        admission: plugins::chain(&reads, &[], &[]).expect("plugins"),
        authorizer,
        audit: Audit::default(),
        hooks: Hooks::new(hooks::all(Duration::from_secs(3600), ranges, &Arc::default())),
        convert,
        prefix: "/registry".into(),
        allow_privileged: true,
        fresh: Default::default(),
    });
    registry.take_charges(&reads.charges);
    registry
}

fn node(number: usize) -> Value {
    json!({
        "metadata": {"name": format!("node-{number}"), "labels": {
            "kubernetes.io/hostname": format!("node-{number}"),
            "topology.kubernetes.io/zone": format!("zone-{}", number % ZONES),
        }},
        "status": {
            "capacity": {"cpu": "32", "memory": "128Gi", "pods": "110"},
            "allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"},
        },
    })
}

fn pod(number: usize, ask: Ask) -> Value {
    let mut pod = json!({
        "metadata": {"name": format!("pod-{number}"), "namespace": "default", "labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": "registry.example/app:1",
            "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}}}]},
    });
    ask(&mut pod);
    pod
}

/// The namespace, a service, the nodes and the pods that wait for one.
async fn fill(client: &Client, ask: Ask) {
    for (resource, namespace) in [("namespaces", ""), ("serviceaccounts", "default")] {
        let target = Target::new("", resource, namespace, "default");
        client.create(target, &json!({"metadata": {"name": "default"}})).await.expect("created");
    }
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "served"}}});
    client.create(Target::new("", "services", "default", "s"), &service).await.expect("a service");
    for number in 0..NODES {
        let (name, mut node) = (format!("node-{number}"), node(number));
        let target = Target::new("", "nodes", "", &name);
        client.create(target, &node).await.expect("a node");
        client.merge(target, &json!({"spec": {"taints": null}})).await.expect("open");
        client.merge(target.part("status"), &json!({"status": node["status"].take()})).await.expect("its status");
    }
    let made = futures_util::stream::iter(0..PODS).map(async |number| {
        let name = format!("pod-{number}");
        client.create(Target::new("", "pods", "default", &name), &pod(number, ask)).await.expect("a pod");
    });
    made.buffer_unordered(CREATING).collect::<Vec<_>>().await;
    client.registry().fresh().await.expect("in the cache");
}

/// Waits until so many pods have come to have a node.
async fn bound(news: &mut Subscription, client: &Client, mut missing: usize) {
    let name = GroupResource::new("", "pods");
    let catalog = client.registry().catalog.load();
    let shape = catalog.preferred(&name).expect("pods").shape.message().expect("built in");
    let has_node = |object: &monokube::cache::object::Object| {
        !monokube::codec::protobuf::view::View::new(&object.bytes, shape).at("spec").text("nodeName").is_empty()
    };
    while missing > 0 {
        if let Update::Event(event) = news.next().await {
            let event: &Event = &event;
            let had = event.previous().is_some_and(|before| has_node(before));
            missing -= usize::from(!had && event.current().is_some_and(|now| has_node(now)));
        }
    }
}

async fn measure(name: &str, ask: Ask) {
    let tasks = Tasks::default();
    let registry = registry(&tasks).await;
    let client = Client::new(&registry, User::new("bench", &["system:masters"]), "bench");
    let begun = Instant::now();
    fill(&client, ask).await;
    let created = begun.elapsed();
    let mut news = registry.cache.subscribe(&[&GroupResource::new("", "pods")]).expect("pods");
    let begun = Instant::now();
    scheduler::start(&registry, &tasks, &Config::default()).expect("started");
    bound(&mut news, &client, PODS).await;
    let elapsed = begun.elapsed();
    let rate = PODS as f64 / elapsed.as_secs_f64();
    println!("{name:32} {rate:>8.0} pods/s   ({elapsed:.2?}; made in {created:.2?})");
    tasks.shutdown(Duration::from_secs(10)).await;
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    println!("{PODS} pods on {NODES} nodes");
    for (name, ask) in ROWS {
        if only.as_ref().is_none_or(|only| name.contains(only.as_str())) {
            runtime.block_on(measure(name, *ask));
        }
    }
}
