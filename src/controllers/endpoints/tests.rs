//! Conversations with the controllers of endpoints.

use super::plan::list;
use super::since::SINCE;
use crate::controllers::resources::{ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES};
use crate::controllers::testing::{World, pod_spec};
use crate::model::object;
use crate::model::value::{Value, json};

async fn world() -> World {
    let world = World::with(&["endpointslice", "endpoint", "endpointslicemirroring"]).await;
    let labels = json!({"topology.kubernetes.io/zone": "z"});
    world.create(&NODES, json!({"metadata": {"name": "n", "labels": labels}})).await;
    world
}

fn service(spec: Value) -> Value {
    let mut spec = spec;
    if spec["selector"].is_null() {
        spec["selector"] = json!({"app": "web"});
    }
    json!({"metadata": {"name": "s", "namespace": "d", "labels": {"of": "x"}}, "spec": spec})
}

fn web() -> Value {
    service(json!({"ports": [{"port": 80, "targetPort": "http"}]}))
}

async fn pod(world: &World, name: &str, node: &str, ips: &[&str]) {
    let mut spec = pod_spec("a:1");
    spec["nodeName"] = node.into();
    spec["containers"][0]["ports"] = json!([{"name": "http", "containerPort": 8080, "protocol": "TCP"}]);
    let metadata = json!({"name": name, "namespace": "d", "labels": {"app": "web"}});
    world.create(&PODS, json!({"metadata": metadata, "spec": spec})).await;
    let ips: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
    let status = json!({"phase": "Running", "podIP": ips[0]["ip"], "podIPs": ips});
    world.merge(PODS.at("d", name).part("status"), json!({"status": status})).await;
}

async fn ready(world: &World, name: &str, status: &str) {
    let now = world.client.registry().now().to_text();
    let condition = json!({"type": "Ready", "status": status, "lastTransitionTime": now.as_str()});
    world.merge(PODS.at("d", name).part("status"), json!({"status": {"conditions": [condition]}})).await;
}

/// `family ports: address ready/serving/terminating zone, ...` of each slice, and that the names are as they should be.
fn slices(world: &World) -> Vec<String> {
    let text = |value: &Value| value.to_string().replace('"', "");
    let endpoint = |endpoint: &Value| {
        let is = |condition: &str| endpoint["conditions"][condition] == true;
        let conditions = ["ready", "serving", "terminating"].map(|c| if is(c) { &c[..1] } else { "-" }).concat();
        format!("{} {conditions} {}", text(&endpoint["addresses"][0]), text(&endpoint["zone"]))
    };
    let slice = |slice: &Value| {
        assert!(object::name(slice).starts_with("s-"), "{slice}");
        assert_eq!(object::label(slice, "kubernetes.io/service-name"), Some("s"));
        let ports: Vec<String> = list(&slice["ports"]).iter().map(|port| text(&port["port"])).collect();
        let endpoints: Vec<String> = list(&slice["endpoints"]).iter().map(endpoint).collect();
        format!("{} {}: {}", text(&slice["addressType"]), ports.join(","), endpoints.join(", "))
    };
    let mut lines: Vec<String> = world.list(&ENDPOINT_SLICES).iter().map(slice).collect();
    lines.sort();
    lines
}

#[tokio::test(start_paused = true)]
async fn slices_follow_pods() {
    let world = world().await;
    world.create(&SERVICES, web()).await;
    world.settle().await;
    assert_eq!(slices(&world), ["IPv4 : "], "none yet");
    pod(&world, "a", "n", &["10.0.0.1"]).await;
    pod(&world, "b", "n", &["10.0.0.2"]).await;
    pod(&world, "lost", "unknown", &["10.0.0.3"]).await;
    ready(&world, "a", "True").await;
    world.settle().await;
    assert_eq!(slices(&world), ["IPv4 8080: 10.0.0.1 rs- z, 10.0.0.2 --- z"]);
    let slice = world.list(&ENDPOINT_SLICES).remove(0);
    let labels = json!({
        "of": "x", "kubernetes.io/service-name": "s",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    });
    assert_eq!(slice["metadata"]["labels"], labels);
    assert_eq!(slice["metadata"]["generateName"], "s-");
    let owner = &slice["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["controller"]), (&json!("Service"), &json!(true)));
    assert_eq!(slice["endpoints"][0]["targetRef"]["kind"], "Pod");
    world.create(&NODES, json!({"metadata": {"name": "unknown"}})).await;
    world.delete(PODS.at("d", "a")).await;
    world.settle().await;
    let expected = ["IPv4 8080: 10.0.0.1 -st z, 10.0.0.2 --- z, 10.0.0.3 --- null"];
    assert_eq!(slices(&world), expected, "it ends, and the node has come");
    world.merge(PODS.at("d", "b"), json!({"metadata": {"labels": {"app": "other"}}})).await;
    world.merge(NODES.at("", "unknown"), json!({"metadata": {"labels": {"topology.kubernetes.io/zone": "y"}}})).await;
    world.settle().await;
    assert_eq!(slices(&world), ["IPv4 8080: 10.0.0.1 -st z, 10.0.0.3 --- y"]);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_change_is_told() {
    let world = world().await;
    let since = |world: &World| {
        let of = |name| world.list(name).first().and_then(|o| object::annotation(o, SINCE).map(str::to_owned));
        (of(&ENDPOINT_SLICES), of(&ENDPOINTS))
    };
    let both = |text: &str| (Some(text.to_owned()), Some(text.to_owned()));
    world.create(&SERVICES, web()).await;
    world.settle().await;
    assert_eq!(since(&world), both("2026-01-01T00:00:00Z"), "the service's creation");
    world.pass(std::time::Duration::from_secs(60)).await;
    pod(&world, "a", "n", &["10.0.0.1"]).await;
    ready(&world, "a", "True").await;
    world.pass(std::time::Duration::from_secs(60)).await;
    assert_eq!(since(&world), both("2026-01-01T00:01:00Z"), "the pod's readiness");
    world.delete(PODS.at("d", "a")).await;
    world.settle().await;
    assert_eq!(since(&world), (None, None), "the end of a pod has no time of its own");
}

#[tokio::test(start_paused = true)]
async fn both_families_and_headless_services() {
    let world = world().await;
    let spec = json!({"clusterIP": "None", "ipFamilyPolicy": "RequireDualStack", "publishNotReadyAddresses": true});
    world.create(&SERVICES, service(spec)).await;
    pod(&world, "a", "nowhere", &["10.0.0.1", "fd00::1"]).await;
    world.settle().await;
    assert_eq!(slices(&world), ["IPv4 : 10.0.0.1 r-- null", "IPv6 : fd00::1 r-- null"]);
    assert_eq!(object::label(&world.list(&ENDPOINT_SLICES)[0], "service.kubernetes.io/headless"), Some(""));
    let endpoints = world.get(&ENDPOINTS, "d", "s");
    assert_eq!(object::label(&endpoints, "service.kubernetes.io/headless"), Some(""));
    assert_eq!(endpoints["subsets"][0]["addresses"][0]["ip"], "10.0.0.1");
    let hints = |world: &World| world.list(&ENDPOINT_SLICES)[0]["endpoints"][0]["hints"].clone();
    assert_eq!(hints(&world), Value::Null);
    world.merge(SERVICES.at("d", "s"), json!({"spec": {"trafficDistribution": "PreferSameNode"}})).await;
    world.settle().await;
    assert_eq!(hints(&world), json!({"forNodes": [{"name": "nowhere"}]}));
}

#[tokio::test(start_paused = true)]
async fn endpoints_follow_pods_and_go_with_their_service() {
    let world = world().await;
    world.create(&SERVICES, web()).await;
    for (name, ip) in [("a", "10.0.0.1"), ("b", "10.0.0.2")] {
        pod(&world, name, "n", &[ip]).await;
    }
    ready(&world, "b", "True").await;
    world.settle().await;
    let endpoints = world.get(&ENDPOINTS, "d", "s");
    let subset = &endpoints["subsets"][0];
    assert_eq!(subset["ports"], json!([{"port": 8080, "protocol": "TCP"}]));
    assert_eq!((&subset["addresses"][0]["ip"], &subset["addresses"][0]["nodeName"]), (&json!("10.0.0.2"), &json!("n")));
    assert_eq!(subset["notReadyAddresses"][0]["targetRef"]["name"], "a");
    let labels = json!({"of": "x", "endpoints.kubernetes.io/managed-by": "endpoint-controller"});
    assert_eq!(endpoints["metadata"]["labels"], labels);
    world.delete(PODS.at("d", "b")).await;
    world.settle().await;
    assert_eq!(world.get(&ENDPOINTS, "d", "s")["subsets"][0]["addresses"], Value::Null, "it ends");
    let settled = world.get(&ENDPOINTS, "d", "s")["metadata"]["resourceVersion"].clone();
    ready(&world, "a", "False").await;
    world.settle().await;
    assert_eq!(world.get(&ENDPOINTS, "d", "s")["metadata"]["resourceVersion"], settled, "nothing new");
    world.delete(SERVICES.at("d", "s")).await;
    world.settle().await;
    assert_eq!(world.get(&ENDPOINTS, "d", "s"), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_users_are_mirrored() {
    let world = world().await;
    let mut own = service(json!({"ports": [{"port": 80}]}));
    own["spec"].as_object_mut().expect("a spec").remove("selector");
    let ports = json!([{"name": "p", "port": 9376}]);
    let subset = json!({"addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "ports": ports});
    let endpoints = json!({"metadata": {"name": "s", "namespace": "d", "labels": {"mine": "1"}}, "subsets": [subset]});
    world.create(&ENDPOINTS, endpoints).await;
    world.settle().await;
    assert_eq!(slices(&world), [""; 0], "no service yet");
    world.create(&SERVICES, own).await;
    world.settle().await;
    assert_eq!(slices(&world), ["IPv4 9376: 10.0.0.1 r-- null", "IPv6 9376: fd00::1 r-- null"]);
    let slice = world.list(&ENDPOINT_SLICES).remove(0);
    assert_eq!(object::label(&slice, "mine"), Some("1"));
    assert_eq!(slice["metadata"]["ownerReferences"][0]["kind"], "Endpoints");
    let subset = json!({"notReadyAddresses": [{"ip": "10.0.0.2"}], "ports": ports});
    world.merge(ENDPOINTS.at("d", "s"), json!({"subsets": [subset]})).await;
    world.settle().await;
    assert_eq!(slices(&world), ["IPv4 9376: 10.0.0.2 --- null"]);
    let skip = json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}});
    world.merge(ENDPOINTS.at("d", "s"), skip).await;
    world.settle().await;
    assert_eq!(slices(&world), [""; 0]);
}
