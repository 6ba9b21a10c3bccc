//! How requests share the server, as its clients see it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::hostile::ask;
use super::raw::Raw;
use super::rig::{Server, command, eventually, told};

const QUIET: &[&str] = &["--scheduler=false", "--controllers=namespace"];

/// The value of a header of the last answer that kubectl tells of.
fn header(server: &Server, line: &str, name: &str) -> Option<String> {
    let text = String::from_utf8(server.output(&format!("{line} -v=8")).stderr).expect("text");
    let mut values =
        text.lines().filter_map(|line| line.split_once(&format!("{name}: ")).map(|(_, value)| value.trim()));
    values.next_back().map(str::to_owned)
}

fn uid(server: &Server, object: &str) -> Option<String> {
    Some(server.run(&format!("get {object} -o jsonpath={{.metadata.uid}}")))
}

#[test]
fn every_answer_says_how_its_request_was_told_apart() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = Server::start(folder.path(), QUIET);
    let schema = |line: &str| header(&server, line, "X-Kubernetes-Pf-Flowschema-Uid");
    let level = |line: &str| header(&server, line, "X-Kubernetes-Pf-Prioritylevel-Uid");
    assert_eq!(schema("get ns"), uid(&server, "flowschema/exempt"));
    assert_eq!(level("get ns"), uid(&server, "prioritylevelconfiguration/exempt"));
    // Also what is forbidden had its turn.
    assert!(server.refused("get ns --as=ann").contains("forbidden"));
    assert_eq!(schema("get ns --as=ann"), uid(&server, "flowschema/global-default"));
    assert_eq!(level("get ns --as=ann"), uid(&server, "prioritylevelconfiguration/global-default"));
    let metrics = server.run("get --raw /metrics");
    assert!(metrics.contains("apiserver_flowcontrol_nominal_limit_seats{priority_level=\"workload-low\"} 245"));
    assert!(metrics.contains("apiserver_flowcontrol_dispatched_requests_total{priority_level=\"global-default\""));
}

#[test]
fn a_watch_gives_its_seat_back_when_it_has_begun() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = Server::start(folder.path(), QUIET);
    let running = || server.run("get --raw /debug/api_priority_and_fairness/dump_requests").lines().count() - 1;
    let mut watch = server
        .kubectl(&["get", "ns", "-w"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("kubectl runs");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    server.run("create namespace seen");
    let seen = lines.any(|line| line.expect("text").starts_with("seen "));
    assert!(seen, "the watch goes on");
    assert_eq!(running(), 1, "nobody but who looks");
    watch.kill().expect("kubectl ends");
    let _ = watch.wait();
}

#[test]
fn without_priorities_nothing_is_told_apart_and_wrong_limits_are_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let flags = [QUIET, &["--enable-priority-and-fairness=false"]].concat();
    let server = Server::start(folder.path(), &flags);
    assert_eq!(header(&server, "get ns", "X-Kubernetes-Pf-Flowschema-Uid"), None);
    assert!(server.refused("get --raw /debug/api_priority_and_fairness/dump_queues").contains("NotFound"));
    assert!(server.run("get flowschemas").contains("catch-all"), "its objects are kept all the same");
    assert!(server.terminate().success());
    let refused = command(folder.path(), &["--goaway-chance=0.5"]).stderr(Stdio::piped()).output().expect("it runs");
    assert!(!refused.status.success());
    assert!(
        told(&refused).contains("--goaway-chance can not be less than 0 or greater than 0.02"),
        "{}",
        told(&refused)
    );
}

const TOKENS: &str = "joe-token,joe,1,staff\nnode-token,system:node:n,2,\"system:nodes\"\n";

/// Seconds.
const LONGEST_WAIT: u32 = 32;

/// One client takes every seat that it can get: it is told to come again, and nobody else notices.
#[test]
fn a_flood_is_told_to_come_again_while_others_go_on() {
    let folder = tempfile::tempdir().expect("a directory");
    let tokens = folder.path().join("tokens.csv");
    std::fs::write(&tokens, TOKENS).expect("written");
    let flag = format!("--token-auth-file={}", tokens.display());
    let few = ["--max-requests-inflight=20", "--max-mutating-requests-inflight=10", "--request-timeout=30s", &flag];
    let server = Server::start(&folder.path().join("data"), &[QUIET, &few].concat());
    server.run("create clusterrole maps --verb=* --resource=configmaps");
    server.run("create clusterrolebinding joe --clusterrole=maps --user=joe");
    let joe = ["Authorization: Bearer joe-token", "Content-Type: application/json", "Content-Length: 100"];
    let maps = "/api/v1/namespaces/default/configmaps";
    eventually("joe's binding has been seen", || ask(&server, maps, &joe[..1], &[]).0 == 200);
    let mut flood: Vec<Raw> = (0..60).map(|_| Raw::open(&server)).collect();
    for slow in &mut flood {
        slow.begin("POST /api/v1/namespaces/default/configmaps", &joe);
    }
    let mut asking = Raw::open(&server);
    let refused = (0..100).find_map(|_| {
        asking.begin("GET /api/v1/namespaces/default/configmaps", &joe[..1]);
        asking.answer().filter(|(code, ..)| *code != 200)
    });
    let (code, head, body) = refused.expect("no seat was left");
    assert_eq!((code, body.as_str()), (429, "Too many requests, please try again later.\n"), "{head}");
    let head = head.to_ascii_lowercase();
    let wait = head.lines().find_map(|line| line.strip_prefix("retry-after: ")?.trim().parse().ok());
    // The longer the flood goes on, the longer its client is to wait.
    assert!(wait.is_some_and(|seconds: u32| (1..=LONGEST_WAIT).contains(&seconds)), "{head}");
    assert!(head.contains("x-kubernetes-pf-prioritylevel-uid: "), "{head}");
    for health in ["/readyz", "/livez", "/healthz"] {
        assert_eq!(ask(&server, health, &[], &[]).0, 200, "{health}");
    }
    let lease = r#"{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"n"}}"#;
    let node = ["Authorization: Bearer node-token", "Content-Type: application/json"];
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    let (code, body) = ask(&server, leases, &node, &["-X", "POST", "-d", lease]);
    assert_eq!(code, 201, "{body}");
    assert!(server.run("get ns").contains("default"));
    let metrics = server.run("get --raw /metrics");
    let rejected = metrics.lines().find(|line| {
        line.starts_with("apiserver_flowcontrol_rejected_requests_total{") && line.contains("\"global-default\"")
    });
    assert!(rejected.is_some(), "it is counted");
    drop(flood);
    eventually("the seats are free again", || ask(&server, maps, &joe[..1], &[]).0 == 200);
    server.terminate();
}
