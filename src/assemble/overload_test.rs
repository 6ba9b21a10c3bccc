//! A day at the gate, in virtual time: one client asks for ten times of what there is, and nobody else notices.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::flow_control::FlowControl;
use crate::auth::authorizer::{Attributes, Resource, Target};
use crate::auth::identity::{MASTERS, NODES, SERVICE_ACCOUNTS, User};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::tasks::Tasks;
use crate::fairness::estimate::Listing;
use crate::fairness::gate::{Asked, Fairness, Limits};
use crate::fairness::level::{Details, Told};
use crate::registry::fixture;

/// How long every request runs once it may.
const SERVICE: Duration = Duration::from_millis(100);
const SEATS: u64 = 60;

/// Somebody who sends requests of one kind.
#[derive(Clone)]
struct Client {
    name: &'static str,
    user: User,
    verb: &'static str,
    target: Target<'static>,
    /// Between two requests, on the average.
    every: Duration,
}

/// What became of a client's requests.
#[derive(Clone, Debug, Default, PartialEq)]
struct Served {
    /// From the request to its answer.
    times: Vec<Duration>,
    refused: usize,
}

type Report = Arc<Mutex<BTreeMap<&'static str, Served>>>;

struct Nothing;

impl Told for Nothing {
    fn details(&self) -> Details {
        Details::default()
    }
}

impl Served {
    fn percentile(&self, percent: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times[(times.len() - 1) * percent / 100]
    }
}

/// One request from its beginning to its end.
async fn ask(fairness: Fairness, clock: Clock, client: Client, report: Report) {
    let begun = clock.instant();
    let attributes = Attributes { user: &client.user, verb: client.verb, target: client.target };
    let asked = Asked { attributes, listing: Listing::default(), arrived: begun, limit: Duration::from_secs(60) };
    let admission = fairness.enter(&asked, || Arc::new(Nothing)).await;
    let refused = admission.seat.is_err();
    if !refused {
        clock.sleep(SERVICE).await;
    }
    drop(admission);
    let mut report = report.lock().expect("not poisoned");
    let served = report.entry(client.name).or_default();
    if refused { served.refused += 1 } else { served.times.push(clock.instant() - begun) }
}

/// Sends requests for so long, whether they are answered or not.
async fn send(fairness: Fairness, clock: Clock, client: Client, span: Duration, seed: u64, report: Report) {
    let (entropy, end) = (Entropy::seeded(seed), clock.instant() + span);
    let mut next = clock.instant() + client.every / 2;
    let mut open = tokio::task::JoinSet::new();
    while next < end {
        clock.sleep_until(next).await;
        open.spawn(ask(fairness.clone(), clock.clone(), client.clone(), report.clone()));
        next += entropy.jitter(client.every / 2, 2.0);
        while open.try_join_next().is_some() {}
    }
    while open.join_next().await.is_some() {}
}

fn resource(group: &'static str, resource: &'static str, namespace: &'static str) -> Target<'static> {
    Target::Resource(Resource { group, version: "v1", resource, namespace, name: "x", ..Resource::default() })
}

fn account(namespace: &'static str, name: &str) -> User {
    User::new(&format!("system:serviceaccount:{namespace}:{name}"), &[SERVICE_ACCOUNTS, "system:authenticated"])
}

/// Everybody who does nothing wrong.
fn everybody() -> Vec<Client> {
    let client = |name, user, verb, target, rate: u32| {
        let every = Duration::from_secs(1) / rate;
        Client { name, user, verb, target, every }
    };
    let known = |name: &str, groups: &[&str]| User::new(name, &[groups, &["system:authenticated"]].concat());
    let scheduler = known("system:kube-scheduler", &[]);
    let manager = known("system:kube-controller-manager", &[]);
    let lease = |namespace| resource("coordination.k8s.io", "leases", namespace);
    vec![
        client("probe", User::anonymous(), "get", Target::Path("/livez"), 20),
        client("master", known("admin", &[MASTERS]), "get", resource("", "pods", "a"), 20),
        client("leader", manager.clone(), "update", lease("kube-system"), 5),
        client("node lease", known("system:node:n1", &[NODES]), "update", lease("kube-node-lease"), 20),
        client("node", known("system:node:n1", &[NODES]), "get", resource("", "pods", "a"), 20),
        client("scheduler", scheduler, "create", resource("", "pods", "a"), 20),
        client("person", known("ann", &[]), "get", resource("", "pods", "a"), 10),
        client("neighbour", account("quiet", "a"), "get", resource("", "pods", "a"), 20),
    ]
}

/// A client that asks for ten times of what its level has, and four times of what the server has.
fn flood() -> Client {
    let rate = 10 * 10 * (SEATS as u32 * 100 / 245);
    let user = account("noisy", "flood");
    Client { name: "flood", user, verb: "get", target: resource("", "pods", "a"), every: Duration::from_secs(1) / rate }
}

struct World {
    fairness: Fairness,
    clock: Clock,
    tasks: Tasks,
}

async fn world() -> World {
    let client = fixture::client().await;
    let registry = client.registry().clone();
    FlowControl::new(&registry).expect("objects").ensure().await.expect("made");
    let clock = registry.clock.clone();
    let limits = Limits { reads: SEATS * 2 / 3, writes: SEATS / 3, request: Duration::from_secs(60) };
    let fairness = Fairness::open(&registry.cache, &clock, limits).expect("shelves");
    let (follower, tasks) = (fairness.clone(), Tasks::default());
    tasks.start("fairness", |stop: CancellationToken| follower.follow(stop));
    World { fairness, clock, tasks }
}

impl World {
    async fn run(&self, clients: Vec<Client>, span: Duration) -> BTreeMap<&'static str, Served> {
        let report = Report::default();
        let mut senders = tokio::task::JoinSet::new();
        for (seed, client) in (1..).zip(clients) {
            let (fairness, clock) = (self.fairness.clone(), self.clock.clone());
            senders.spawn(send(fairness, clock, client, span, seed, report.clone()));
        }
        while let Some(ended) = senders.join_next().await {
            ended.expect("no panic");
        }
        std::mem::take(&mut *report.lock().expect("not poisoned"))
    }

    /// A number of `/metrics`, of one level.
    fn seats(&self, metric: &str, level: &str) -> f64 {
        let mut registry = prometheus_client::registry::Registry::default();
        self.fairness.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        let start = format!("apiserver_flowcontrol_{metric}{{priority_level=\"{level}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start)).expect("a line");
        line.parse().expect("a number")
    }
}

#[tokio::test(start_paused = true)]
async fn one_client_that_floods_the_server_slows_nobody_else() {
    let world = world().await;
    let quiet = world.run(everybody(), Duration::from_secs(12)).await;
    let span = Duration::from_secs(15);
    let busy = world.run([everybody(), vec![flood()]].concat(), span).await;
    for client in everybody() {
        let (before, after) = (&quiet[client.name], &busy[client.name]);
        assert_eq!((before.refused, after.refused), (0, 0), "{}", client.name);
        assert!(before.times.len() > 50 && after.times.len() > 50, "{}", client.name);
        let (before, after) = (before.percentile(99), after.percentile(99));
        // Who is in the flood's own level takes turns with it.
        let most = if client.name == "neighbour" { 4 * before } else { 2 * before };
        assert!(after <= most, "{}: {before:?}, then {after:?}", client.name);
    }
    for exempt in ["probe", "master"] {
        assert_eq!(busy[exempt].percentile(100), quiet[exempt].percentile(100), "{exempt}");
    }
    let flood = &busy["flood"];
    assert!(flood.refused > 3 * flood.times.len(), "{} {}", flood.refused, flood.times.len());
    // It is served all the same: at first by the seats that it had not lent, then by those that others do not need.
    let nominal = world.seats("nominal_limit_seats", "workload-low");
    let own = span.as_secs_f64() / SERVICE.as_secs_f64() * nominal;
    assert!(flood.times.len() as f64 > 0.9 * own, "{} of {own}", flood.times.len());
    world.tasks.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn borrowed_seats_come_back_when_their_owner_needs_them() {
    let world = world().await;
    let current = |level: &str| world.seats("current_limit_seats", level);
    let nominal = |level: &str| world.seats("nominal_limit_seats", level);
    let low = flood();
    world.run(vec![low.clone()], Duration::from_secs(15)).await;
    assert!(current("workload-low") > nominal("workload-low"), "it has borrowed");
    assert!(current("workload-high") < nominal("workload-high"), "it has lent");
    let high = Client { name: "high", user: account("kube-system", "busy"), ..low.clone() };
    let served = world.run(vec![low, high], Duration::from_secs(15)).await;
    let (owned, has) = (nominal("workload-high"), current("workload-high"));
    assert!(has >= owned, "{has} of {owned}");
    // From the first adjustment on it had all that is its own.
    assert!(served["high"].times.len() as f64 > 8.0 * 10.0 * owned, "{}", served["high"].times.len());
    world.tasks.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_seeds_make_the_same_day() {
    let span = Duration::from_secs(3);
    let mut days = Vec::new();
    for _ in 0..2 {
        let world = world().await;
        days.push(world.run([everybody(), vec![flood()]].concat(), span).await);
        world.tasks.shutdown(Duration::from_secs(1)).await;
    }
    assert_eq!(days[0], days[1]);
}
