//! What a person does with kubectl on the first day, on a server and three simulated nodes.

use std::process::{Child, Command, Stdio};

use super::rig::{Server, told};

/// Simulated nodes of a server; killed when dropped.
struct Nodes(Child);

impl Nodes {
    fn join(server: &Server, count: usize) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monokube"));
        command.arg("nodes").arg("--data-dir").arg(&server.data_dir).arg(format!("--count={count}"));
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the program starts");
        let nodes = Self(process);
        for node in 0..count {
            server.run(&format!("wait --for=create node/node-{node} --timeout=60s"));
        }
        server.run("wait --for=condition=Ready nodes --all --timeout=60s");
        nodes
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The words of each line.
fn table(text: &str) -> Vec<Vec<&str>> {
    text.lines().filter(|line| !line.is_empty()).map(|line| line.split_whitespace().collect()).collect()
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn a_person_deploys_an_application() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = Server::start(folder.path(), &[]);
    let _nodes = Nodes::join(&server, 3);
    deploys(&server);
    looks(&server);
    changes(&server);
    rolls(&server);
    exposes(&server);
    applies(&server);
    asks(&server);
    runs_and_deletes(&server);
}

fn deploys(server: &Server) {
    has(&server.run("cluster-info"), &["Kubernetes control plane", &server.address]);
    let nodes = server.run("get nodes");
    assert_eq!(table(&nodes)[0], ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]);
    assert!(table(&nodes)[1..].iter().all(|row| row[1] == "Ready"), "{nodes}");
    assert_eq!(server.run("create deployment web --image=nginx:1.25 --replicas=2"), "deployment.apps/web created\n");
    has(&server.run("rollout status deployment/web --timeout=60s"), &["deployment \"web\" successfully rolled out"]);
}

fn looks(server: &Server) {
    let pods = server.run("get pods -l app=web");
    assert_eq!(table(&pods)[0], ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    assert!(table(&pods)[1..].iter().all(|row| row[1..3] == ["1/1", "Running"]), "{pods}");
    has(&server.run("get pods -o wide"), &["NODE", "NOMINATED NODE", "READINESS GATES", "10.244.", "node-"]);
    has(&server.run("get deployment web -o yaml"), &["apiVersion: apps/v1\nkind: Deployment\n", "image: nginx:1.25"]);
    has(&server.run("get deployment web -o json"), &["\"kind\": \"Deployment\""]);
    assert_eq!(server.run("get deployment web -o jsonpath={.status.readyReplicas}"), "2");
    let described = server.run("describe deployment web");
    has(&described, &["2 desired | 2 updated | 2 total | 2 available | 0 unavailable", "ScalingReplicaSet"]);
    has(&server.run("describe pods -l app=web"), &["Successfully assigned default/web-", "Status:           Running"]);
    let all = server.run("get all");
    has(&all, &["pod/web-", "service/kubernetes", "deployment.apps/web", "replicaset.apps/web-"]);
    has(&server.run("get events"), &["ScalingReplicaSet", "SuccessfulCreate", "Scheduled"]);
}

fn changes(server: &Server) {
    assert_eq!(server.run("label deployment web tier=front"), "deployment.apps/web labeled\n");
    assert_eq!(server.run("annotate deployment web note=first"), "deployment.apps/web annotated\n");
    has(&server.run("get deployments -L tier"), &["TIER", "front"]);
    has(&server.refused("label deployment web tier=back"), &["--overwrite"]);
    assert_eq!(server.run("scale deployment web --replicas=3"), "deployment.apps/web scaled\n");
    server.run("rollout status deployment/web --timeout=60s");
    assert_eq!(server.run("get deployment web -o jsonpath={.status.readyReplicas}"), "3");
}

fn rolls(server: &Server) {
    assert_eq!(server.run("set image deployment/web nginx=nginx:1.26"), "deployment.apps/web image updated\n");
    server.run("rollout status deployment/web --timeout=60s");
    assert_eq!(server.run("get pods -l app=web -o jsonpath={.items[0].spec.containers[0].image}"), "nginx:1.26");
    has(&server.run("rollout history deployment/web"), &["REVISION", "1", "2"]);
    assert_eq!(server.run("rollout undo deployment/web"), "deployment.apps/web rolled back\n");
    server.run("rollout status deployment/web --timeout=60s");
    let image = "get deployment web -o jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(server.run(image), "nginx:1.25");
    assert_eq!(server.run("rollout restart deployment/web"), "deployment.apps/web restarted\n");
    server.run("rollout status deployment/web --timeout=60s");
}

fn exposes(server: &Server) {
    assert_eq!(server.run("expose deployment web --port=80 --target-port=8080"), "service/web exposed\n");
    has(&server.run("get service web"), &["ClusterIP", "10.96.", "80/TCP"]);
    server.run("wait --for=jsonpath={.endpoints[2].conditions.ready}=true endpointslices -l kubernetes.io/service-name=web --timeout=60s");
    let slices = server.run("get endpointslices -l kubernetes.io/service-name=web");
    has(&slices, &["ADDRESSTYPE", "IPv4", "8080", "10.244."]);
    has(&server.run("describe service web"), &["Endpoints:", ":8080"]);
}

const MANIFEST: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: api, image: api:1}]}
";

fn applies(server: &Server) {
    let applied = server.feed("apply -f -", MANIFEST);
    assert_eq!(told(&applied), "configmap/settings created\ndeployment.apps/api created\n");
    let again = server.feed("apply -f -", MANIFEST);
    assert_eq!(told(&again), "configmap/settings unchanged\ndeployment.apps/api unchanged\n");
    let green = MANIFEST.replace("blue", "green");
    has(&told(&server.feed("diff -f -", &green)), &["-  colour: blue", "+  colour: green"]);
    has(&told(&server.feed("apply --server-side --force-conflicts -f -", &green)), &["settings serverside-applied"]);
    assert_eq!(server.run("get configmap settings -o jsonpath={.data.colour}"), "green");
    let patch = ["patch", "deployment", "api", "-p", r#"{"spec":{"replicas":2}}"#];
    let patched = server.kubectl(&patch).output().expect("kubectl runs");
    assert_eq!(told(&patched), "deployment.apps/api patched\n");
    let edited = server.kubectl(&["edit", "configmap", "settings"]).env("KUBE_EDITOR", "sed -i s/green/red/").output();
    has(&told(&edited.expect("kubectl runs")), &["configmap/settings edited"]);
    assert_eq!(server.run("get configmap settings -o jsonpath={.data.colour}"), "red");
    let wrong = told(&server.feed("apply -f -", &MANIFEST.replace("image: api:1", "image: \"\", imag: x")));
    has(&wrong, &["unknown field \"spec.template.spec.containers[0].imag\""]);
}

fn asks(server: &Server) {
    assert_eq!(server.run("auth can-i create pods"), "yes\n");
    assert_eq!(told(&server.output("auth can-i list secrets --as=system:serviceaccount:default:default")), "no\n");
    has(&server.run("explain deployment.spec.replicas"), &["Number of desired pods."]);
    let resources = server.run("api-resources");
    has(&resources, &["deployments", "endpointslices", "clusterroles", "customresourcedefinitions"]);
    has(&server.run("api-versions"), &["apps/v1", "discovery.k8s.io/v1"]);
    has(&server.refused("get nonsense"), &["the server doesn't have a resource type \"nonsense\""]);
    assert_eq!(server.refused("get pod nobody"), "Error from server (NotFound): pods \"nobody\" not found\n");
}

fn runs_and_deletes(server: &Server) {
    assert_eq!(server.run("run one --image=busybox --restart=Always"), "pod/one created\n");
    server.run("wait --for=condition=Ready pod/one --timeout=60s");
    let mut watch = server.kubectl(&["get", "events", "-w", "--field-selector=involvedObject.name=one"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().expect("kubectl runs");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watch.stdout.take().expect("piped")));
    assert!(lines.any(|line| line.expect("text").contains("Successfully assigned default/one to node-")));
    let _ = watch.kill();
    let _ = watch.wait();
    has(&server.run("delete pod one"), &["pod \"one\" deleted"]);
    has(&server.run("delete deployment web api"), &["\"web\" deleted", "\"api\" deleted"]);
    server.run("wait --for=delete pods -l app=web --timeout=60s");
    assert_eq!(server.run("create namespace apart"), "namespace/apart created\n");
    server.run("create configmap -n apart some --from-literal=a=b");
    server.run("delete namespace apart --timeout=60s");
    has(&server.refused("get namespace apart"), &["namespaces \"apart\" not found"]);
}
