//! One object at a time: created, read, replaced, patched, applied, renewed, deleted.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Method;

use super::bodies::{self, LEASE, NAMESPACE, POD};
use super::connection::{Ask, JSON, PROTOBUF};
use super::crowd::{Crowd, Taken};
use super::error::{LoadError, Result};
use super::report::{Aim, Report};
use crate::model::value::Value;

const PODS: &str = "/api/v1/namespaces/bench/pods";
const MAPS: &str = "/api/v1/namespaces/bench/configmaps";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
/// Objects that are read and changed in turn.
const OBJECTS: usize = 1_000;
/// Requests of the one client that comes alone.
const ALONE: usize = 500;
/// Stands in a body where the round's number comes.
const ROUND: &str = "@round@";

/// Makes the namespace, and waits for the account that pods run as.
pub async fn prepare(crowd: &Crowd<'_>) -> Result<()> {
    let namespace = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{NAMESPACE}"}}}}"#);
    let connection = &crowd.connections[0];
    connection.expect(Ask::new(Method::POST, "/api/v1/namespaces", JSON, namespace.into())).await?;
    let watch = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default?watch=1&timeoutSeconds=30");
    let mut body = connection.send(Ask::get(watch)).await?.into_body();
    let first = http_body_util::BodyExt::frame(&mut body).await;
    first
        .and_then(std::result::Result::ok)
        .map(drop)
        .ok_or_else(|| LoadError::Failed("the namespace", "no default ServiceAccount came within 30 seconds".into()))
}

/// Each verb by many clients, then a write by one alone. `count` requests of each.
pub async fn measure(crowd: &Crowd<'_>, count: usize, report: &mut Report) -> Result<()> {
    report.section(&format!("{} requests at once", crowd.at_once));
    let pods = pods_of(crowd, "json", count).await?;
    write(report, "create pod 3 KB, JSON", &pods, Some(250.0));
    report.row("durable creates", pods.per_second(), "/s", Some(Aim::AtLeast(8_000.0)));
    write(report, "create pod 3 KB, protobuf", &pods_of(crowd, "proto", count).await?, Some(250.0));
    let path = |n: usize| format!("{PODS}/json-{}", n % OBJECTS);
    write(report, "get pod, JSON", &crowd.run(count, move |n| Ask::get(path(n))).await?, Some(30.0));
    let get = crowd.run(count, move |n| Ask::get(path(n)).accepting(PROTOBUF)).await?;
    write(report, "get pod, protobuf", &get, Some(30.0));
    write(report, "update pod, JSON", &updates(crowd, count).await?, None);
    let patched = crowd.run(count, move |n| status_patch(&path(n), n)).await?;
    write(report, "patch pod status, strategic merge", &patched, Some(200.0));
    let maps = crowd.run(count, |n| {
        Ask::new(Method::POST, MAPS, JSON, bodies::config_map(&format!("made-{n}"), 0).to_string().into())
    });
    write(report, "create ConfigMap 1 KB, JSON", &maps.await?, None);
    write(report, "apply ConfigMap 1 KB", &applies(crowd, count).await?, None);
    write(report, "renew Lease, protobuf", &leases(crowd, count).await?, Some(80.0));
    let delete =
        |n| Ask { body: Bytes::new(), ..Ask::new(Method::DELETE, format!("{PODS}/proto-{n}"), JSON, Bytes::new()) };
    write(report, "delete pod", &crowd.run(count, delete).await?, None);
    report.section("1 request at a time");
    let alone = pods_of(&crowd.alone(), "alone", ALONE).await?;
    report.row("create pod 3 KB, JSON: half within", alone.latency(0.5), "us", None);
    report.row("99 of 100 within", alone.latency(0.99), "us", None);
    Ok(())
}

/// Creates pods `series-0` and on: from JSON, or in protobuf where the series is called so.
async fn pods_of(crowd: &Crowd<'_>, series: &'static str, count: usize) -> Result<Taken> {
    let make = move |n| {
        let pod = bodies::pod(&format!("{series}-{n}"));
        match series {
            "proto" => Ask::new(Method::POST, PODS, PROTOBUF, bodies::protobuf(&pod, POD)).accepting(PROTOBUF),
            _ => Ask::new(Method::POST, PODS, JSON, pod.to_string().into()),
        }
    };
    crowd.run(count, make).await
}

/// Makes pods until there are so many, the fastest way.
pub async fn fill(crowd: &Crowd<'_>, count: usize) -> Result<Taken> {
    let make = |n| {
        let pod = bodies::protobuf(&bodies::pod(&format!("many-{n}")), POD);
        Ask::new(Method::POST, PODS, PROTOBUF, pod).accepting(PROTOBUF)
    };
    crowd.run(count, make).await
}

/// Replaces pods by themselves with another label.
async fn updates(crowd: &Crowd<'_>, count: usize) -> Result<Taken> {
    let mut bodies = Vec::with_capacity(OBJECTS);
    for n in 0..OBJECTS.min(count) {
        let body = crowd.connections[0].expect(Ask::get(format!("{PODS}/json-{n}"))).await?;
        let mut pod: Value = serde_json::from_slice(&body).map_err(LoadError::of("a pod"))?;
        pod["metadata"]["labels"]["round"] = ROUND.into();
        pod["metadata"]["resourceVersion"] = Value::Null;
        bodies.push(pod.to_string());
    }
    let bodies = Arc::new(bodies);
    let make = move |n: usize| {
        let body = bodies[n % bodies.len()].replace(ROUND, &format!("{}", n + 1));
        Ask::new(Method::PUT, format!("{PODS}/json-{}", n % bodies.len()), JSON, body.into())
    };
    crowd.run(count, make).await
}

/// What a kubelet sends of a pod.
pub fn status_patch(pod: &str, round: usize) -> Ask {
    let content = "application/strategic-merge-patch+json";
    Ask::new(Method::PATCH, format!("{pod}/status"), content, bodies::pod_status(round))
}

async fn applies(crowd: &Crowd<'_>, count: usize) -> Result<Taken> {
    let make = |n: usize| {
        let name = format!("applied-{}", n % OBJECTS);
        let path = format!("{MAPS}/{name}?fieldManager=bench&force=true");
        let body = bodies::config_map(&name, n).to_string().into();
        Ask::new(Method::PATCH, path, "application/apply-patch+yaml", body)
    };
    crowd.run(OBJECTS, make).await?;
    crowd.run(count, move |n| make(n + OBJECTS)).await
}

/// Renews leases as nodes do: each renewal is of the version that the last one made.
async fn leases(crowd: &Crowd<'_>, count: usize) -> Result<Taken> {
    let versions: Arc<Vec<Mutex<String>>> = Arc::new((0..OBJECTS).map(|_| Mutex::default()).collect());
    let heard = versions.clone();
    let hear = move |n: usize, answer: &[u8]| {
        *heard[n % OBJECTS].lock().unwrap_or_else(PoisonError::into_inner) = bodies::version(answer);
    };
    let renew = move |n: usize| {
        let name = format!("node-{}", n % OBJECTS);
        let version = versions[n % OBJECTS].lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lease = bodies::protobuf(&bodies::lease(&name, n, &version), LEASE);
        let (method, path) = match version.as_str() {
            "" => (Method::POST, LEASES.to_owned()),
            _ => (Method::PUT, format!("{LEASES}/{name}")),
        };
        Ask::new(method, path, PROTOBUF, lease).accepting(PROTOBUF)
    };
    crowd.converse(OBJECTS, renew.clone(), hear.clone()).await?;
    crowd.converse(count, move |n| renew(n + OBJECTS), hear).await
}

fn write(report: &mut Report, what: &str, taken: &Taken, aim: Option<f64>) {
    let note = format!("{:.0}/s, half within {:.1} ms", taken.per_second(), taken.latency(0.5) / 1000.0);
    report.row_with(what, taken.cpu_each(), "us of the server", aim.map(Aim::AtMost), &note);
}
