//! Simulated nodes join a control plane over its API and bring a Deployment's pods up and down.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use monokube::assemble::plane::Plane;
use monokube::auth::identity::User;
use monokube::auth::token::bootstrap_secret::BootstrapSecret;
use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::cache::lister::Query;
use monokube::cache::object::Object;
use monokube::cache::subscription::Update;
use monokube::config::flags::Flags;
use monokube::model::names::GroupResource;
use monokube::model::value::{Value, json};
use monokube::nodes::fleet::Fleet;
use monokube::nodes::invite::{JOINING, invite};
use monokube::nodes::machine::Capacity;
use monokube::registry::client::{Client, Target};
use monokube::registry::options::DeleteOptions;
use monokube::remote::access::{Access, Credential};
use monokube::remote::api::Api;
use monokube::schema::catalog::Catalog;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    flags: Flags,
}

async fn plane(folder: &Path) -> Plane {
    let folder = folder.display().to_string();
    let line = ["monokube", "--data-dir", &folder, "--bind-address", "127.0.0.1", "--secure-port", "0"];
    Plane::start(&Program::parse_from(line).flags).await.expect("a plane")
}

/// Waits until the objects of a resource, as values, are as `done` wants them.
async fn until(client: &Client, resource: &str, done: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let name = GroupResource::new("", resource);
    let shape = client.registry().catalog.load().preferred(&name).expect("served").shape.clone();
    let mut subscription = client.registry().cache.subscribe(&[&name]).expect("a shelf");
    let mut known = BTreeMap::new();
    let waits = tokio::time::timeout(PATIENCE, async {
        loop {
            let value = |object: &Object| object.to_value(&shape).expect("readable");
            match subscription.next().await {
                Update::Resync(snapshot) => {
                    let objects = snapshot.shelves[0].list(Query::default()).objects;
                    known = objects.iter().map(|object| (object.key.clone(), value(object))).collect();
                }
                Update::Event(event) => match event.current() {
                    Some(object) => _ = known.insert(event.key().clone(), value(object)),
                    None => _ = known.remove(event.key()),
                },
            }
            let values: Vec<_> = known.values().cloned().collect();
            if done(&values) {
                return values;
            }
        }
    });
    waits.await.unwrap_or_else(|_| panic!("{resource} never became as they should"))
}

fn has(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| one["type"] == kind && one["status"] == "True")
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_join_and_run_a_deployment() {
    let folder = tempfile::tempdir().expect("a folder");
    let plane = plane(folder.path()).await;
    let (clock, entropy, catalog) = (Clock::machine(), Entropy::machine(), Catalog::builtin().into());

    let administrator = Access::from_kubeconfig(&plane.kubeconfig).expect("a kubeconfig");
    let api = Api::new(&administrator, &catalog, "test").expect("an API");
    let mut secret = BootstrapSecret::generate(&entropy);
    secret.groups = vec![JOINING.to_owned()];
    invite(&api, &secret).await.expect("invited");
    let review = json!({"spec": {"user": "kube-apiserver-kubelet-client", "groups": ["kubeadm:cluster-admins"],
        "resourceAttributes": {"verb": "create", "resource": "nodes", "subresource": "proxy", "name": "node-0"}}});
    let answer = api.create(Target::new("authorization.k8s.io", "subjectaccessreviews", "", ""), &review).await;
    assert_eq!(answer.expect("an answer")["status"]["allowed"], true, "kubelets let the server in");

    let (stop, access) = (CancellationToken::new(), administrator.with(Credential::token(&secret.token())));
    let fleet = Fleet { count: 2, prefix: "node-".into(), capacity: Capacity::default(), access, clock, entropy };
    let (told, joined) = tokio::sync::oneshot::channel();
    let stopped = stop.clone();
    let running = tokio::spawn(async move { fleet.run(stopped, || _ = told.send(())).await });
    tokio::time::timeout(PATIENCE, joined).await.expect("in time").expect("joined");

    let client = Client::new(&plane.registry, User::new("tester", &["system:masters"]), "tester");
    let usable = |node: &Value| has(node, "Ready") && node["spec"]["taints"].is_null();
    let nodes = until(&client, "nodes", |all| all.len() == 2 && all.iter().all(usable)).await;
    assert_eq!(nodes[0]["metadata"]["name"], "node-0");
    assert!(nodes[0]["spec"]["podCIDR"].is_string(), "{}", nodes[0]["spec"]);

    deploy(&client).await;
    ends(&client).await;
    stop.cancel();
    running.await.expect("no panic").expect("ended well");
    plane.stop().await;
}

/// A Deployment's pods come up with addresses and go again.
async fn deploy(client: &Client) {
    let target = Target::new("apps", "deployments", "default", "web");
    let labels = json!({"app": "web"});
    let deployment = json!({"metadata": {"name": "web"}, "spec": {"replicas": 3, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {
            "containers": [{"name": "nginx", "image": "nginx", "resources": {"requests": {"cpu": "100m"}}}]}}}});
    client.create(target, &deployment).await.expect("a deployment");
    let up = |pod: &Value| pod["status"]["phase"] == "Running" && has(pod, "Ready");
    let pods = until(client, "pods", |all| all.len() == 3 && all.iter().all(up)).await;
    let mut addresses: Vec<_> = pods.iter().filter_map(|pod| pod["status"]["podIP"].as_str()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 3, "every pod has its own: {addresses:?}");
    assert!(addresses.iter().all(|address| address.starts_with("10.244.")), "{addresses:?}");
    let status = &pods[0]["status"]["containerStatuses"][0];
    assert_eq!((&status["ready"], &status["allocatedResources"]["cpu"]), (&json!(true), &json!("100m")));

    let options = DeleteOptions { propagation: Some("Background".into()), ..DeleteOptions::default() };
    client.delete(target, &options).await.expect("deleted");
    until(client, "pods", <[Value]>::is_empty).await;
}

/// A pod that comes to its end stays, with its containers' codes.
async fn ends(client: &Client) {
    let pod = json!({"metadata": {"name": "once"}, "spec": {"restartPolicy": "Never", "nodeName": "node-1",
        "containers": [{"name": "a", "image": "busybox", "command": ["sh", "-c", "exit 3"]}]}});
    client.create(Target::new("", "pods", "default", "once"), &pod).await.expect("a pod");
    let pods = until(client, "pods", |all| all.iter().any(|pod| pod["status"]["phase"] == "Failed")).await;
    assert_eq!(pods[0]["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 3);
    assert_eq!(pods[0]["status"]["startTime"].as_str().map(str::len), Some(20));
}
