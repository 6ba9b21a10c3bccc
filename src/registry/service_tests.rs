//! What services are given, and what becomes of it.

use super::client::{Client, Target};
use super::fixture::{admitted_client, value};
use super::options::DeleteOptions;
use super::request::{Address, Caller, Written};
use crate::auth::identity::User;
use crate::model::names::GroupResource;
use crate::model::value::{Value, json};

const A: Target = Target::new("", "services", "default", "a");
const ADDRESS: Target = Target::new("networking.k8s.io", "ipaddresses", "", "");

fn service(name: &str, spec: Value) -> Value {
    let mut service = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    for (field, value) in spec.as_object().expect("fields") {
        service["spec"][field] = value.clone();
    }
    service
}

async fn settled(client: &Client, written: Written) -> Value {
    client.registry().fresh().await.expect("in the cache");
    value(client.registry(), "", "services", &written.object)["spec"].clone()
}

async fn made(client: &Client, name: &str, spec: Value) -> Result<Value, String> {
    let target = Target { name, ..A };
    let written = client.create(target, &service(name, spec)).await.map_err(|status| status.message)?;
    Ok(settled(client, written).await)
}

/// The addresses that are taken.
async fn taken(client: &Client) -> Vec<String> {
    client.registry().fresh().await.expect("in the cache");
    let name = GroupResource::new(ADDRESS.group, ADDRESS.resource);
    let snapshot = client.registry().cache.snapshot(&[&name]).expect("a shelf");
    snapshot.shelves[0].iter(None).map(|object| object.name().to_owned()).collect()
}

async fn delete(client: &Client, name: &str) {
    client.delete(Target { name, ..A }, &DeleteOptions::default()).await.expect("deleted");
}

#[tokio::test(start_paused = true)]
async fn an_address_is_taken_and_given_back() {
    let client = admitted_client().await;
    let spec = made(&client, "a", json!({})).await.expect("created");
    let ip = spec["clusterIP"].as_str().expect("an address").to_owned();
    assert!(ip.starts_with("10.96."), "{ip}");
    assert_eq!((&spec["clusterIPs"], &spec["ipFamilies"]), (&json!([ip]), &json!(["IPv4"])));
    assert_eq!(taken(&client).await, [ip.as_str()]);
    let name = GroupResource::new(ADDRESS.group, ADDRESS.resource);
    let entry = client.registry().cache.get(&name, "", &ip).expect("a shelf").expect("there");
    let entry = value(client.registry(), ADDRESS.group, ADDRESS.resource, &entry);
    assert_eq!(entry["spec"]["parentRef"], json!({"resource": "services", "namespace": "default", "name": "a"}));
    assert_eq!(
        entry["metadata"]["labels"],
        json!({"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"})
    );
    let same = made(&client, "b", json!({"clusterIP": ip})).await.expect_err("taken");
    assert_eq!(
        same,
        format!(
            "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"{ip}\"]: failed to allocate IP {ip}: provided IP is already allocated"
        )
    );
    delete(&client, "a").await;
    assert!(taken(&client).await.is_empty());
    made(&client, "b", json!({"clusterIP": ip})).await.expect("free again");
}

#[tokio::test(start_paused = true)]
async fn a_refused_service_keeps_nothing() {
    let client = admitted_client().await;
    let bad = json!({"type": "NodePort", "ports": [{"port": 0, "nodePort": 30001}]});
    made(&client, "a", bad).await.expect_err("an invalid port");
    assert!(taken(&client).await.is_empty());
    let good = json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 30001}]});
    made(&client, "a", good).await.expect("the port is free");
    let outside = made(&client, "b", json!({"clusterIP": "10.97.0.1"})).await.expect_err("outside");
    assert!(
        outside.ends_with("failed to allocate IP 10.97.0.1: the provided network does not match the current range")
    );
}

#[tokio::test(start_paused = true)]
async fn the_type_decides_what_is_needed() {
    let client = admitted_client().await;
    made(&client, "a", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})).await.expect("created");
    let same = made(&client, "b", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})).await;
    assert_eq!(
        same.expect_err("taken"),
        "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"
    );
    let low = made(&client, "b", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]})).await;
    assert!(low.expect_err("too low").ends_with(
        "Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767"
    ));
    assert_eq!(taken(&client).await.len(), 1, "what was refused has no address");
    let plain = client.merge(A, &json!({"spec": {"type": "ClusterIP"}})).await.expect("patched");
    assert_eq!(settled(&client, plain).await["ports"][0]["nodePort"], Value::Null);
    made(&client, "b", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})).await.expect("free");
    let named = json!({"spec": {"type": "ExternalName", "externalName": "x.io", "clusterIP": "", "clusterIPs": null}});
    client.merge(A, &named).await.expect("patched");
    assert_eq!(taken(&client).await.len(), 1);
    let back = client.merge(A, &json!({"spec": {"type": "ClusterIP", "externalName": null}})).await.expect("patched");
    assert!(settled(&client, back).await["clusterIP"].is_string());
}

#[tokio::test(start_paused = true)]
async fn ports_of_one_number_share_a_node_port() {
    let client = admitted_client().await;
    let ports =
        json!([{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "x", "port": 54}]);
    let spec = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": ports});
    let spec = made(&client, "a", spec).await.expect("created");
    let ports: Vec<i64> = (0..3).map(|index| spec["ports"][index]["nodePort"].as_i64().expect("a port")).collect();
    let health = spec["healthCheckNodePort"].as_i64().expect("a port");
    assert!(ports[0] == ports[1] && ports[1] != ports[2] && !ports.contains(&health));
    let busy = json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": health}]});
    made(&client, "b", busy.clone()).await.expect_err("the health check's port is taken");
    delete(&client, "a").await;
    made(&client, "b", busy).await.expect("free again");
}

#[tokio::test(start_paused = true)]
async fn two_families_come_and_go() {
    let client = admitted_client().await;
    made(&client, "a", json!({})).await.expect("created");
    let dual = client.merge(A, &json!({"spec": {"ipFamilyPolicy": "RequireDualStack"}})).await.expect("patched");
    let spec = settled(&client, dual).await;
    assert_eq!(spec["ipFamilies"], json!(["IPv4", "IPv6"]));
    assert!(spec["clusterIPs"][1].as_str().is_some_and(|ip| ip.starts_with("fd00:96::")));
    assert_eq!(taken(&client).await.len(), 2);
    let single = client.merge(A, &json!({"spec": {"ipFamilyPolicy": "SingleStack"}})).await.expect("patched");
    assert_eq!(settled(&client, single).await["clusterIPs"], json!([spec["clusterIP"]]));
    assert_eq!(taken(&client).await.len(), 1);
    let none = made(&client, "h", json!({"clusterIP": "None"})).await.expect("created");
    assert_eq!((&none["clusterIPs"], taken(&client).await.len()), (&json!(["None"]), 1));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_takes_nothing() {
    let client = admitted_client().await;
    let registry = client.registry();
    let resource = registry.catalog.load().find("", "v1", "services").cloned().expect("served");
    let body = service("a", json!({"type": "NodePort"}));
    let body = super::decode::decode(body.to_string().as_bytes(), &resource).expect("a service").value;
    let options = super::options::WriteOptions { dry_run: vec!["All".into()], ..Default::default() };
    let mut caller = Caller::new(User::new("tester", &["system:masters"]), "tester");
    let shown = registry.create(&mut caller, &Address::new(&resource, "default", "a"), body, &options).await;
    let spec = settled(&client, shown.expect("admitted")).await;
    assert_eq!((&spec["clusterIP"], &spec["ports"][0]["nodePort"]), (&json!("10.96.0.0"), &json!(32769)));
    assert!(taken(&client).await.is_empty());
}
