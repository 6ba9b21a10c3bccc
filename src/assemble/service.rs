//! The plane as its own clients see it: the Service `kubernetes`, its endpoints, the range that services live in.

use std::net::{IpAddr, SocketAddr};

use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};
use crate::registry::client::{Client, Target};
use crate::registry::hooks::services::addresses::default_range;
use crate::registry::hooks::services::ranges::Ranges;

const CIDRS: Target = Target::new("networking.k8s.io", "servicecidrs", "", "kubernetes");
const SERVICE: Target = Target::new("", "services", "default", "kubernetes");
const ENDPOINTS: Target = Target::new("", "endpoints", "default", "kubernetes");
const SLICE: Target = Target::new("discovery.k8s.io", "endpointslices", "default", "kubernetes");
const TRACKING: Target =
    Target::new("", "configmaps", "kube-system", "kube-apiserver-legacy-service-account-token-tracking");

/// Makes or corrects them. `advertised` is where other machines reach this server.
pub async fn run(client: &Client, advertised: SocketAddr, ranges: &Ranges) -> Result<()> {
    if make(client, CIDRS, default_range(ranges)).await? {
        let ready = json!({"type": "Ready", "status": "True", "reason": "",
            "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": client.registry().now().to_text().as_str()});
        client.merge(CIDRS.part("status"), &json!({"status": {"conditions": [ready]}})).await?;
    }
    make(client, SERVICE, service(advertised.port(), ranges.addresses[0].address(0))).await?;
    // An address of this machine alone is no endpoint.
    if !advertised.ip().is_loopback() {
        converge(client, ENDPOINTS, endpoints(advertised)).await?;
        converge(client, SLICE, slice(advertised)).await?;
    }
    let today: String = client.registry().now().to_text().chars().take(10).collect();
    make(client, TRACKING, json!({"metadata": {"name": TRACKING.name}, "data": {"since": today}})).await?;
    Ok(())
}

/// Creates what is not there. True when it was made.
async fn make(client: &Client, target: Target<'_>, wanted: Value) -> Result<bool> {
    // Asked first: a service that is there would be told that its own address is taken.
    if client.get(target).await.is_ok() {
        return Ok(false);
    }
    match client.create(target, &wanted).await {
        Ok(_) => Ok(true),
        Err(status) if status.is_already_exists() => Ok(false),
        Err(status) => Err(Status::internal(format!("{} {}: {status}", target.resource, target.name))),
    }
}

/// Creates what is not there, and brings what is to the wanted state.
async fn converge(client: &Client, target: Target<'_>, wanted: Value) -> Result<()> {
    if make(client, target, wanted.clone()).await? {
        return Ok(());
    }
    let mut patch = wanted;
    if let Some(meta) = object::metadata_mut(&mut patch) {
        meta.remove("name");
    }
    client.merge(target, &patch).await.map(|_| ())
}

fn service(port: u16, address: IpAddr) -> Value {
    let mut service = json!({
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"type": "ClusterIP", "sessionAffinity": "None", "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}]}
    });
    service["spec"]["clusterIP"] = address.to_string().into();
    service["spec"]["clusterIPs"] = json!([address.to_string()]);
    service["spec"]["ipFamilies"] = json!([family(address)]);
    service
}

fn endpoints(advertised: SocketAddr) -> Value {
    json!({
        "metadata": {"name": "kubernetes", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": advertised.ip().to_string()}],
            "ports": [{"name": "https", "port": advertised.port(), "protocol": "TCP"}]}]
    })
}

fn slice(advertised: SocketAddr) -> Value {
    json!({
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": family(advertised.ip()),
        "endpoints": [{"addresses": [advertised.ip().to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "protocol": "TCP", "port": advertised.port()}]
    })
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}
