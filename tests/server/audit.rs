//! The audit log of a server that is worked with.

use std::path::{Path, PathBuf};
use std::process::Command;

use monokube::model::value::{Value, json};

use super::raw::Raw;
use super::rig::{Server, ends};

const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ['system:kube-scheduler', 'system:kube-controller-manager', 'system:apiserver']}
- {level: None, userGroups: ['system:serviceaccounts']}
- {level: Metadata, resources: [{group: '', resources: [secrets, serviceaccounts/token]}]}
- {level: RequestResponse, omitManagedFields: true, resources: [{group: '', resources: [configmaps, pods]}]}
- {level: Metadata, nonResourceURLs: [/version]}
- {level: Metadata, resources: [{group: '', resources: [namespaces]}, {group: authorization.k8s.io}], omitStages: [Panic]}
";

/// A server that writes its audit log beside its data.
fn start(folder: &Path, flags: &[&str]) -> (Server, PathBuf) {
    let log = folder.join("audit.log");
    let path = format!("--audit-log-path={}", log.display());
    (start_by(folder, POLICY, &[&[path.as_str()], flags].concat()), log)
}

fn start_by(folder: &Path, policy: &str, flags: &[&str]) -> Server {
    let path = folder.join("policy.yaml");
    std::fs::write(&path, policy).expect("written");
    let flag = format!("--audit-policy-file={}", path.display());
    Server::start(&folder.join("data"), &[&[flag.as_str()], flags].concat())
}

fn events(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).expect("a log");
    text.lines().map(|line| line.parse().unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The last event of this verb on this resource.
fn last(log: &Path, verb: &str, resource: &str) -> Value {
    let is_it = |event: &&Value| event["verb"] == verb && event["objectRef"]["resource"] == resource;
    let all = events(log);
    all.iter().rfind(is_it).unwrap_or_else(|| panic!("no {verb} of {resource}")).clone()
}

#[test]
fn what_is_done_is_in_the_log_when_the_answer_is_there() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, log) = start(folder.path(), &[]);
    server.run("create configmap noted --from-literal=a=b");
    let event = last(&log, "create", "configmaps");
    for (path, expected) in [
        ("/kind", json!("Event")),
        ("/apiVersion", json!("audit.k8s.io/v1")),
        ("/level", json!("RequestResponse")),
        ("/stage", json!("ResponseComplete")),
        ("/user/username", json!("kubernetes-admin")),
        ("/sourceIPs", json!(["127.0.0.1"])),
        ("/responseStatus", json!({"metadata": {}, "code": 201})),
        ("/requestObject/kind", json!("ConfigMap")),
        ("/requestObject/data", json!({"a": "b"})),
        ("/responseObject/metadata/name", json!("noted")),
        ("/annotations/authorization.k8s.io~1decision", json!("allow")),
    ] {
        assert_eq!(event.pointer(path), Some(&expected), "{path}: {event}");
    }
    let reference = json!({"resource": "configmaps", "namespace": "default", "name": "noted", "apiVersion": "v1"});
    assert_eq!(event["objectRef"], reference);
    assert_eq!(event.pointer("/responseObject/metadata/managedFields"), None);

    server.run("get configmap noted -o yaml");
    assert_eq!(last(&log, "get", "configmaps")["responseObject"]["data"], json!({"a": "b"}));
    server.run("get configmaps");
    let table = last(&log, "list", "configmaps")["responseObject"].clone();
    assert_eq!(table["kind"], "Table");
    server.refused("get configmap missing");
    let status = &last(&log, "get", "configmaps")["responseStatus"];
    let expected = json!({"metadata": {}, "status": "Failure", "message": "configmaps \"missing\" not found",
        "reason": "NotFound", "details": {"name": "missing", "kind": "configmaps"}, "code": 404});
    assert_eq!(*status, expected);
    server.run("patch configmap noted --type merge -p {\"data\":{\"a\":\"c\"}}");
    assert_eq!(last(&log, "patch", "configmaps")["requestObject"], json!({"data": {"a": "c"}}));
    server.run("delete configmap noted");
    let event = last(&log, "delete", "configmaps");
    assert_eq!(event["requestObject"]["kind"], "DeleteOptions");
    assert_eq!(event["responseStatus"]["status"], "Success");
}

#[test]
fn secrets_stay_out_of_the_log_at_metadata() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, log) = start(folder.path(), &[]);
    server.run("create secret generic hidden --from-literal=password=correct-horse");
    let token = server.run("create token default");
    let issued = last(&log, "create", "serviceaccounts");
    assert!(issued["annotations"]["authentication.kubernetes.io/issued-credential-id"].is_string(), "{issued}");
    let text = std::fs::read_to_string(&log).expect("a log");
    for secret in ["correct-horse", "Y29ycmVjdC1ob3JzZQ", token.trim()] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert_eq!(last(&log, "create", "secrets")["objectRef"]["name"], "hidden");
}

#[test]
fn refusals_and_strangers_and_others_are_told() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, log) = start(folder.path(), &[]);
    server.refused("get namespaces --as=jane --as-group=dev");
    let event = last(&log, "list", "namespaces");
    assert_eq!(event["user"]["username"], "kubernetes-admin");
    assert_eq!(event["impersonatedUser"]["username"], "jane");
    assert_eq!(event["annotations"]["authorization.k8s.io/decision"], "forbid");
    assert_eq!(event["responseStatus"]["reason"], "Forbidden");
    let curl = |arguments: &[&str]| {
        let url = format!("{}/version", server.address);
        let output = Command::new("curl").args(["-sk", "-o", "/dev/null", "-D", "-"]).args(arguments).arg(url).output();
        String::from_utf8(output.expect("curl runs").stdout).expect("text").to_ascii_lowercase()
    };
    let head = curl(&["-H", "Audit-Id: my-own", "-H", "X-Forwarded-For: 10.1.1.1"]);
    assert!(head.contains("audit-id: my-own"), "{head}");
    let of_path = |stage: &str| {
        let all = events(&log);
        let found = all.iter().rfind(|event| event["requestURI"] == "/version" && event["stage"] == stage);
        found.unwrap_or_else(|| panic!("no {stage}")).clone()
    };
    let event = of_path("ResponseComplete");
    assert_eq!((event["auditID"].as_str(), event["verb"].as_str()), (Some("my-own"), Some("get")));
    assert_eq!(event["sourceIPs"], json!(["10.1.1.1", "127.0.0.1"]));
    assert_eq!(event["user"]["username"], "system:anonymous");
    curl(&["-H", "Authorization: Bearer nonsense"]);
    let event = of_path("ResponseStarted");
    assert_eq!(event["user"], json!({}));
    assert_eq!(event["responseStatus"]["code"], 401);
    assert!(!std::fs::read_to_string(&log).expect("a log").contains("nonsense"));
}

#[test]
fn a_watch_is_told_of_when_it_begins_and_when_it_ends() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, log) = start(folder.path(), &[]);
    server.run("get --raw /api/v1/configmaps?watch=1&timeoutSeconds=1");
    let of = |event: &Value| event["verb"] == "watch" && event["objectRef"]["resource"] == "configmaps";
    let stages: Vec<_> =
        events(&log).iter().filter(|event| of(event)).map(|event| event["stage"].to_string()).collect();
    assert_eq!(stages, ["\"ResponseStarted\"", "\"ResponseComplete\""]);
}

#[test]
fn pod_security_and_batches_and_the_old_format() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, log) = start(folder.path(), &["--audit-log-mode=batch"]);
    server.run("label namespace default pod-security.kubernetes.io/audit=restricted");
    server.run("run --image=i p");
    assert!(server.terminate().success());
    let event = last(&log, "create", "pods");
    assert_eq!(event["annotations"]["pod-security.kubernetes.io/enforce-policy"], "privileged:latest");
    let violations = event["annotations"]["pod-security.kubernetes.io/audit-violations"].as_str().unwrap_or("");
    assert!(violations.starts_with("would violate PodSecurity \"restricted:latest\": "), "{event}");

    let (server, log) = start(folder.path(), &["--audit-log-format=legacy"]);
    server.run("get configmaps");
    let text = std::fs::read_to_string(&log).expect("a log");
    let line = text.lines().last().expect("a line");
    assert!(line.contains(" AUDIT: id=\"") && line.ends_with(" response=\"200\""), "{line}");
}

#[test]
fn a_log_that_cannot_be_written_stops_no_request_but_is_counted() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_by(folder.path(), POLICY, &["--audit-log-path=/dev/full"]);
    server.run("get configmaps");
    let metrics = server.run("get --raw /metrics");
    assert!(metrics.contains("apiserver_audit_error_total{plugin=\"log\"} "), "{metrics}");
    drop(server);

    let strict = ["--audit-log-path=/dev/full", "--audit-log-mode=blocking-strict"];
    let server = start_by(folder.path(), &POLICY.replace("[RequestReceived]", "[]"), &strict);
    let refusal = server.refused("get --raw /api/v1/configmaps");
    assert!(refusal.contains("failed to store audit event"), "{refusal}");
    assert_eq!(server.run("get --raw /livez"), "ok", "what is not recorded goes on");
}

#[test]
fn of_a_slow_request_it_is_told_where_the_time_went() {
    let folder = tempfile::tempdir().expect("a directory");
    let tokens = folder.path().join("tokens.csv");
    std::fs::write(&tokens, "admin-token,admin,1,\"system:masters\"\n").expect("written");
    let (server, log) = start(folder.path(), &[&format!("--token-auth-file={}", tokens.display())]);
    let mut slow = Raw::open(&server);
    let half = ["Authorization: Bearer admin-token", "Content-Type: application/json", "Content-Length: 100"];
    // Its body does not come.
    slow.begin("POST /api/v1/namespaces/default/configmaps?timeout=600ms", &half);
    assert_eq!(slow.answer().expect("an answer").0, 504);
    let event = last(&log, "create", "configmaps");
    for layer in ["total", "authentication", "authorization"] {
        let told = event["annotations"][format!("apiserver.latency.k8s.io/{layer}").as_str()].as_str();
        assert!(told.is_some_and(|told| told.ends_with('s')), "{layer}: {event}");
    }
    server.run("get configmaps");
    assert!(!last(&log, "list", "configmaps").to_string().contains("latency"), "of a fast one it is not");
    server.terminate();
}

#[test]
fn a_policy_that_cannot_be_read_stops_the_start() {
    let folder = tempfile::tempdir().expect("a directory");
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Everything}]")
        .expect("written");
    let (status, complaint) = ends(folder.path(), &[&format!("--audit-policy-file={}", policy.display())]);
    assert!(!status.success());
    assert!(complaint.contains("rules[0].level: Unsupported value: \"Everything\""), "{complaint}");
    let (_, complaint) = ends(folder.path(), &["--audit-log-path=/proc/none/audit.log"]);
    assert!(complaint.contains("ensureLogFile: open /proc/none/audit.log"), "{complaint}");
}
