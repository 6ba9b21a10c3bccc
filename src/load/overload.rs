//! One client asks for ten times as much as the server can do: how long others wait, and that nobody starves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;

use super::bodies;
use super::child::{Child, Who};
use super::connection::{Ask, Connection, JSON};
use super::error::{LoadError, Result};
use super::report::{Aim, Report};
use crate::base::clock::Clock;

const MAPS: &str = "/api/v1/namespaces/bench/configmaps";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
const MERGE: &str = "application/merge-patch+json";
/// Requests at once of a client that asks for what the server can do, and of one that asks for ten times of it.
const ENOUGH: usize = 64;
const TOO_MUCH: usize = 10 * ENOUGH;
const CONNECTIONS: usize = 8;
/// How long the flood comes before others are looked at.
const RISE: Duration = Duration::from_secs(2);
/// Between two requests of the others.
const PAUSE: Duration = Duration::from_millis(2);

/// One of those who go on as always: what it is called, who it is, and what it asks for.
#[derive(Clone, Copy)]
struct Other {
    name: &'static str,
    who: Who,
    ask: fn(usize) -> Ask,
}

/// An account of the system (another level), a node (one more), and whoever looks whether the server lives (no level).
const OTHERS: [Other; 3] = [
    Other { name: "get of a system account", who: Who::System, ask: |_| Ask::get(format!("{MAPS}/kube-root-ca.crt")) },
    Other { name: "renewal of a node's Lease", who: Who::Node, ask: renewal },
    Other { name: "/livez", who: Who::Administrator, ask: |_| Ask::get("/livez") },
];

/// The flood, and what became of its requests.
struct Flood {
    workers: JoinSet<Result<()>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    over: AtomicBool,
    served: AtomicUsize,
    refused: AtomicUsize,
}

/// `count` requests of each of the others, without the flood and with it. A request of theirs that fails is an error.
pub async fn measure(child: &Child, count: usize, clock: &Clock, report: &mut Report) -> Result<()> {
    prepare(child).await?;
    let enough = Flood::start(child, ENOUGH).await?;
    clock.sleep(RISE).await;
    let (began, before) = (clock.instant(), enough.counts.served.load(Ordering::Relaxed));
    clock.sleep(RISE).await;
    let served = enough.counts.served.load(Ordering::Relaxed) - before;
    let able = served as f64 / (clock.instant() - began).as_secs_f64();
    enough.end().await?;
    let quiet = others(child, count, clock)?;
    let flood = Flood::start(child, TOO_MUCH).await?;
    clock.sleep(RISE).await;
    let (began, counted) = (clock.instant(), flood.counted());
    let loud = others(child, count, clock)?;
    let (wall, now) = ((clock.instant() - began).as_secs_f64(), flood.counted());
    flood.end().await?;
    report.section(&format!("{TOO_MUCH} creates at once of one client"));
    report.row("creates, with a tenth at once", able, "/s", None);
    report.row("creates that were served", (now.0 - counted.0) as f64 / wall, "/s", None);
    report.row("creates that were to come again", (now.1 - counted.1) as f64 / wall, "/s", None);
    for (other, (quiet, loud)) in OTHERS.iter().zip(quiet.into_iter().zip(loud)) {
        let [quiet_half, quiet_most] = [0.5, 0.99].map(|share| at(&quiet, share));
        let note = format!("half {quiet_half:.2} ms");
        report.row_with(&format!("{}, quiet: p99", other.name), quiet_most, "ms", None, &note);
        let note = format!("half {:.2} ms", at(&loud, 0.5));
        let aim = Some(Aim::AtMost(2.0 * quiet_most));
        report.row_with(&format!("{}, beside the flood: p99", other.name), at(&loud, 0.99), "ms", aim, &note);
    }
    Ok(())
}

/// The rights of those who are no administrators, and the node's Lease.
async fn prepare(child: &Child) -> Result<()> {
    let administrator = child.connect(Who::Administrator).await?;
    let subjects = [Who::Flooder, Who::System].map(|who| format!(r#"{{"kind":"User","name":"{}"}}"#, who.name()));
    let binding = format!(
        r#"{{"metadata":{{"name":"bench-overload"}},"roleRef":{{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole",
        "name":"cluster-admin"}},"subjects":[{}]}}"#,
        subjects.join(",")
    );
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    administrator.expect(Ask::new(Method::POST, bindings, JSON, binding.into())).await?;
    let lease = r#"{"metadata":{"name":"bench-overload"},"spec":{"holderIdentity":"bench"}}"#;
    administrator.expect(Ask::new(Method::POST, LEASES, JSON, lease.into())).await?;
    Ok(())
}

fn renewal(round: usize) -> Ask {
    let body = format!(r#"{{"spec":{{"leaseTransitions":{round}}}}}"#);
    Ask::new(Method::PATCH, format!("{LEASES}/bench-overload"), MERGE, body.into())
}

/// How long each of the others waited for its answers, the shortest first. They have a thread of their own, as on another
/// machine: the flood's client keeps nobody waiting who does not come through the server.
fn others(child: &Child, count: usize, clock: &Clock) -> Result<Vec<Vec<Duration>>> {
    let asking = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(LoadError::of("a thread for the others"))?.block_on(ask(child, count, clock))
    };
    let asked = tokio::task::block_in_place(|| std::thread::scope(|scope| scope.spawn(asking).join()));
    asked.unwrap_or_else(|_| Err(LoadError::Failed("the others", "their thread ended".into())))
}

async fn ask(child: &Child, count: usize, clock: &Clock) -> Result<Vec<Vec<Duration>>> {
    let mut asking = JoinSet::new();
    for (at, other) in OTHERS.into_iter().enumerate() {
        let (connection, clock) = (child.connect(other.who).await?, clock.clone());
        asking.spawn(async move {
            let mut took = Vec::with_capacity(count);
            for round in 0..count {
                let sent = clock.instant();
                connection.expect((other.ask)(round)).await?;
                took.push(clock.instant() - sent);
                clock.sleep(PAUSE).await;
            }
            took.sort_unstable();
            Ok::<_, LoadError>((at, took))
        });
    }
    let mut all = vec![Vec::new(); OTHERS.len()];
    while let Some(one) = asking.join_next().await {
        let (at, took) = one.map_err(LoadError::of("a client"))??;
        all[at] = took;
    }
    Ok(all)
}

/// The latency that this share of the requests did not exceed, in milliseconds.
fn at(took: &[Duration], share: f64) -> f64 {
    let at = ((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1));
    took.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e3)
}

impl Flood {
    async fn start(child: &Child, at_once: usize) -> Result<Self> {
        let (mut workers, counts) = (JoinSet::new(), Arc::<Counts>::default());
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(child.connect(Who::Flooder).await?);
        }
        for worker in 0..at_once {
            workers.spawn(flood(connections[worker % CONNECTIONS].clone(), worker, at_once, counts.clone()));
        }
        Ok(Self { workers, counts })
    }

    fn counted(&self) -> (usize, usize) {
        (self.counts.served.load(Ordering::Relaxed), self.counts.refused.load(Ordering::Relaxed))
    }

    async fn end(mut self) -> Result<()> {
        self.counts.over.store(true, Ordering::Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker.map_err(LoadError::of("a worker"))??;
        }
        Ok(())
    }
}

/// Creates without end; whoever is told to come again comes at once.
async fn flood(connection: Connection, worker: usize, at_once: usize, counts: Arc<Counts>) -> Result<()> {
    for round in 0.. {
        if counts.over.load(Ordering::Relaxed) {
            break;
        }
        let body = bodies::config_map(&format!("flood-{at_once}-{worker}-{round}"), 0).to_string();
        let answer = connection.send(Ask::new(Method::POST, MAPS, JSON, body.into())).await?;
        let status = answer.status();
        answer.into_body().collect().await.map_err(LoadError::of("an answer"))?;
        match status {
            StatusCode::CREATED => counts.served.fetch_add(1, Ordering::Relaxed),
            StatusCode::TOO_MANY_REQUESTS => counts.refused.fetch_add(1, Ordering::Relaxed),
            other => return Err(LoadError::Refused(Method::POST, MAPS.into(), other.as_u16(), String::new())),
        };
    }
    Ok(())
}
