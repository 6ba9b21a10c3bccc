//! A pod as an endpoint of a Service.

use super::service::{Family, Service};
use crate::codec::protobuf::view::View;
use crate::controllers::pods::Pod;
use crate::model::value::{Map, Value, json};

/// Whether a pod has addresses that it may be found at. One that is being deleted only `even_if_deleting`.
pub fn is_reachable(pod: &Pod<'_>, even_if_deleting: bool) -> bool {
    let status = pod.view.at("status");
    let has_address = !status.text("podIP").is_empty() || status.count("podIPs") > 0;
    !pod.is_done() && has_address && (even_if_deleting || !pod.deleting)
}

/// Its addresses of a family.
pub fn addresses(pod: &Pod<'_>, family: Family) -> Vec<String> {
    pod.view.at("status").items("podIPs").filter_map(|ip| family.address(ip.text("ip"))).collect()
}

/// The name under which DNS knows it within the service.
pub fn hostname<'a>(pod: &Pod<'a>, service: &Service<'_>) -> Option<&'a str> {
    let spec = pod.view.at("spec");
    let hostname = spec.text("hostname");
    (!hostname.is_empty() && spec.text("subdomain") == service.item.name()).then_some(hostname)
}

/// How endpoints name it.
pub fn target(pod: &Pod<'_>) -> Value {
    json!({
        "kind": "Pod",
        "namespace": pod.object.namespace(),
        "name": pod.object.name(),
        "uid": pod.object.uid(),
    })
}

/// It as an endpoint of a slice; `None` without an address of the family. `zone` is its node's.
pub fn endpoint(pod: &Pod<'_>, zone: Option<&str>, service: &Service<'_>, family: Family) -> Option<Value> {
    let addresses = addresses(pod, family);
    if addresses.is_empty() {
        return None;
    }
    let ready = service.unready_too || (pod.ready && !pod.deleting);
    let mut endpoint = json!({
        "addresses": addresses,
        "conditions": {"ready": ready, "serving": pod.ready, "terminating": pod.deleting},
        "targetRef": target(pod),
    });
    let node = Some(pod.node()).filter(|node| !node.is_empty());
    for (field, value) in [("nodeName", node), ("zone", zone), ("hostname", hostname(pod, service))] {
        if let Some(value) = value {
            endpoint[field] = value.into();
        }
    }
    let (in_zone, on_node) = service.stays();
    let hints: Map = [("forZones", zone.filter(|_| in_zone)), ("forNodes", node.filter(|_| on_node))]
        .into_iter()
        .filter_map(|(field, name)| Some((field.to_owned(), json!([{"name": name?}]))))
        .collect();
    if ready && !hints.is_empty() {
        endpoint["hints"] = hints.into();
    }
    Some(endpoint)
}

/// The service's ports on this pod. A named target port that the pod does not have is left out.
pub fn ports(pod: &Pod<'_>, service: &Service<'_>) -> Vec<Value> {
    let found = |port: &Value| {
        let number = number(pod, port)?;
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let mut found = json!({"name": port["name"].as_str().unwrap_or(""), "port": number, "protocol": protocol});
        if let Some(application) = port["appProtocol"].as_str() {
            found["appProtocol"] = application.into();
        }
        Some(found)
    };
    service.ports.iter().filter_map(found).collect()
}

fn number(pod: &Pod<'_>, port: &Value) -> Option<i64> {
    let name = match &port["targetPort"] {
        Value::String(name) => name,
        Value::Number(number) => return number.as_i64(),
        _ => return port["port"].as_i64(),
    };
    let (spec, protocol) = (pod.view.at("spec"), port["protocol"].as_str().unwrap_or("TCP"));
    let sidecars = spec.items("initContainers").filter(|container| container.text("restartPolicy") == "Always");
    let mut ports = spec.items("containers").chain(sidecars).flat_map(|container: View<'_>| container.items("ports"));
    let port = ports.find(|port| port.text("name") == name && protocol_of(*port) == protocol)?;
    Some(port.number("containerPort"))
}

fn protocol_of(port: View<'_>) -> &str {
    match port.text("protocol") {
        "" => "TCP",
        protocol => protocol,
    }
}
