//! A Service's defaults, what an update drops, and warnings.

use super::{change, spec, status, validate};
use crate::model::value::{Map, Value, json};
use crate::rules::at::At;
use crate::rules::checks::network::{cidr_warnings, ip_warning};
use crate::rules::fill::{self as filling, default, items, remove};
use crate::rules::kind::{Cx, NONE, Part, Rules, STATUS, Status};

pub const RULES: Rules = Rules {
    group: "",
    kind: "Service",
    status: Status::Separate,
    create_on_update: true,
    returns_deleted: true,
    prepare_update,
    validate: validate::create,
    validate_update: change::validate,
    canonicalize,
    warn,
    parts: &[Part { validate: status::validate, warn: status::warn, ..STATUS }],
    ..NONE
};

/// How long a client stays with its endpoint.
const AFFINITY_SECONDS: i64 = 10_800;
pub const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
pub const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";

/// The defaults of v1.
pub fn fill(object: &mut Value) {
    if let Some(spec) = filling::made(object, &["spec"]) {
        default(spec, "sessionAffinity", "None");
        fill_affinity(spec);
        default(spec, "type", spec::CLUSTER_IP);
    }
    for port in items(object, &["spec", "ports"]) {
        default(port, "protocol", "TCP");
        let target = port.get("targetPort").unwrap_or(&Value::Null);
        if target.is_null() || target == 0 || target == "" {
            let number = port.get("port").cloned().unwrap_or(0.into());
            port.insert("targetPort".into(), number);
        }
    }
    let accessible = spec::is_externally_accessible(&object["spec"]);
    if let Some(spec) = filling::fields(object, &["spec"]) {
        if accessible {
            default(spec, "externalTrafficPolicy", "Cluster");
        }
        let kind = filling::text(spec, "type").to_owned();
        if matches!(kind.as_str(), spec::CLUSTER_IP | spec::NODE_PORT | spec::LOAD_BALANCER) {
            default(spec, "internalTrafficPolicy", "Cluster");
        }
        if kind == spec::LOAD_BALANCER {
            default(spec, "allocateLoadBalancerNodePorts", true);
        }
    }
    fill_ip_mode(object);
}

fn fill_ip_mode(object: &mut Value) {
    if spec::kind(&object["spec"]) != spec::LOAD_BALANCER {
        return;
    }
    for ingress in items(object, &["status", "loadBalancer", "ingress"]) {
        if !filling::text(ingress, "ip").is_empty() {
            default(ingress, "ipMode", "VIP");
        }
    }
}

fn fill_affinity(spec: &mut Map) {
    match filling::text(spec, "sessionAffinity") {
        "None" => drop(spec.remove("sessionAffinityConfig")),
        "ClientIP" => {
            let config = spec.get("sessionAffinityConfig").unwrap_or(&Value::Null);
            if config["clientIP"]["timeoutSeconds"].is_null() {
                let config = json!({"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}});
                spec.insert("sessionAffinityConfig".into(), config);
            }
        }
        _ => {}
    }
}

/// Drops what the new type has no use for, unless the user changed it too: then validation says so.
fn prepare_update(_: &Cx, new: &mut Value, old: &Value) {
    let (now, was) = (&new["spec"], &old["spec"]);
    let leaves = |has: fn(&Value) -> bool| has(was) && !has(now);
    let mut dropped = Vec::new();
    if leaves(spec::needs_cluster_ip) {
        if spec::same_text(was, now, "clusterIP") && spec::same_texts(was, now, "clusterIPs") {
            dropped.extend(["clusterIP", "clusterIPs"]);
        }
        if spec::same_texts(was, now, "ipFamilies") {
            dropped.push("ipFamilies");
        }
        if spec::same_text(was, now, "ipFamilyPolicy") {
            dropped.push("ipFamilyPolicy");
        }
    }
    let no_node_ports = leaves(spec::has_node_ports)
        && spec::node_ports(now).all(|port| spec::node_ports(was).any(|before| before == port));
    if leaves(spec::needs_health_check) && was["healthCheckNodePort"] == now["healthCheckNodePort"] {
        dropped.push("healthCheckNodePort");
    }
    if leaves(|spec| spec::kind(spec) == spec::LOAD_BALANCER) {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if was[field] == now[field] {
                dropped.push(field);
            }
        }
    }
    if leaves(spec::is_externally_accessible) && spec::same_text(was, now, "externalTrafficPolicy") {
        dropped.push("externalTrafficPolicy");
    }
    let balanced = spec::kind(now) == spec::LOAD_BALANCER;
    for field in dropped {
        remove(new, &["spec"], field);
    }
    if no_node_ports {
        items(new, &["spec", "ports"]).for_each(|port| drop(port.remove("nodePort")));
    }
    if !balanced {
        remove(new, &["status"], "loadBalancer");
    }
}

/// What stock does whenever the object is read. The status kept may be that of another type.
fn canonicalize(object: &mut Value) {
    fill_ip_mode(object);
    if spec::kind(&object["spec"]) == spec::EXTERNAL_NAME {
        remove(object, &["spec"], "internalTrafficPolicy");
    }
}

fn warn(_: &Cx, at: &At, _: Option<&At>, warnings: &mut Vec<String>) {
    let spec = at.at("spec");
    if at.at("metadata").at("annotations").entry(TOPOLOGY_HINTS).exists() {
        warnings.push(format!("annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"));
    }
    let ip = spec.at("clusterIP").str();
    if !ip.is_empty() && ip != spec::NONE {
        for ip in spec.at("clusterIPs").items() {
            warnings.extend(ip_warning(ip.path(), ip.str()));
        }
    }
    let headless = spec.at("type").str() == spec::CLUSTER_IP && ip == spec::NONE;
    if headless {
        warn_headless(&spec, warnings);
    }
    for ip in spec.at("externalIPs").items() {
        warnings.extend(ip_warning(ip.path(), ip.str()));
    }
    let external_name = spec.at("type").str() == spec::EXTERNAL_NAME;
    let external_ips = !spec.at("externalIPs").is_empty();
    if external_ips && !headless && !external_name {
        warnings.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
    let balancer = spec.at("loadBalancerIP");
    if !balancer.is_empty() {
        warnings.extend(ip_warning(balancer.path(), balancer.str()));
    }
    for range in spec.at("loadBalancerSourceRanges").items() {
        warnings.extend(cidr_warnings(range.path(), range.str()));
    }
    if external_ips && external_name {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if !external_name && !spec.at("externalName").is_empty() {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if spec.at("trafficDistribution").str() == "PreferClose" {
        let text = "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"";
        warnings.push(text.to_owned());
    }
}

fn warn_headless(spec: &At, warnings: &mut Vec<String>) {
    let mut ignored = |field: &str| warnings.push(format!("spec.{field} is ignored for headless services"));
    if !spec.at("loadBalancerIP").is_empty() {
        ignored("loadBalancerIP");
    }
    if !spec.at("externalIPs").is_empty() {
        ignored("externalIPs");
    }
    if spec.at("sessionAffinity").str() != "None" {
        ignored("SessionAffinity");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("v1", "Service")
    }

    #[test]
    fn what_is_left_out_is_filled() {
        let kept = kind().create(json!({"spec": {"ports": [{"port": 80}]}})).expect("right");
        let expected = json!({"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "type": "ClusterIP",
            "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"});
        assert_eq!(kept["spec"], expected);
        let kept = kind()
            .create(json!({"spec": {"type": "LoadBalancer", "sessionAffinity": "ClientIP", "ports": [{"port": 80}]}}));
        let spec = &kept.expect("right")["spec"];
        assert_eq!(spec["sessionAffinityConfig"], json!({"clientIP": {"timeoutSeconds": 10_800}}));
        assert!(spec["externalTrafficPolicy"] == "Cluster" && spec["allocateLoadBalancerNodePorts"] == true);
    }

    #[test]
    fn a_new_type_drops_what_it_has_no_use_for() {
        let old = json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}], "clusterIP": "10.96.0.1",
            "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "loadBalancerClass": "a/b",
            "externalTrafficPolicy": "Local", "healthCheckNodePort": 30081}, "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}});
        let mut new = old.clone();
        new["spec"]["type"] = "ExternalName".into();
        new["spec"]["externalName"] = "a.b".into();
        new["spec"]["internalTrafficPolicy"] = "Local".into();
        new["spec"]["allocateLoadBalancerNodePorts"] = true.into();
        let kept = kind().update("", old, new).expect("right");
        let expected = json!({"type": "ExternalName", "externalName": "a.b", "sessionAffinity": "None",
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]});
        assert_eq!((&kept["spec"], &kept["status"]), (&expected, &json!({})));
    }

    #[test]
    fn what_was_changed_too_is_left_to_validation() {
        let old = json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}});
        let new = json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30090}]}});
        let found = kind().update("", old, new).unwrap_err();
        assert_eq!(found, ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]);
    }

    #[test]
    fn warnings() {
        let headless = json!({"spec": {"clusterIP": "None", "clusterIPs": ["None"], "externalIPs": ["192.0.2.1"], "sessionAffinity": "ClientIP"}});
        assert_eq!(
            kind().warnings(headless),
            [
                "spec.externalIPs is ignored for headless services",
                "spec.SessionAffinity is ignored for headless services"
            ]
        );
        let other = json!({"spec": {"externalIPs": ["192.0.2.1"], "externalName": "a", "trafficDistribution": "PreferClose", "loadBalancerSourceRanges": ["10.0.0.1/8"]}});
        assert_eq!(
            kind().warnings(other),
            [
                "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
                "spec.loadBalancerSourceRanges[0]: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)",
                "spec.externalName is ignored when spec.type is not \"ExternalName\"",
                "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
            ]
        );
    }
}
