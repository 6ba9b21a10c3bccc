//! What a Service's type means for its other fields. Every function takes the `spec`.

use crate::model::value::Value;

pub const CLUSTER_IP: &str = "ClusterIP";
pub const NODE_PORT: &str = "NodePort";
pub const LOAD_BALANCER: &str = "LoadBalancer";
pub const EXTERNAL_NAME: &str = "ExternalName";
/// The cluster IP of a headless service.
pub const NONE: &str = "None";

/// A text, empty when it is unset.
pub fn text<'a>(spec: &'a Value, field: &str) -> &'a str {
    spec[field].as_str().unwrap_or("")
}

/// A list of texts.
pub fn texts<'a>(spec: &'a Value, field: &str) -> impl ExactSizeIterator<Item = &'a str> + Clone + use<'a> {
    spec[field].as_array().map_or(&[][..], Vec::as_slice).iter().map(|text| text.as_str().unwrap_or(""))
}

pub fn kind(spec: &Value) -> &str {
    text(spec, "type")
}

/// Whether `None` stands as its only cluster IP.
pub fn is_headless(spec: &Value) -> bool {
    texts(spec, "clusterIPs").eq([NONE])
}

pub fn needs_cluster_ip(spec: &Value) -> bool {
    kind(spec) != EXTERNAL_NAME
}

/// Whether its type has node ports at all.
pub fn has_node_ports(spec: &Value) -> bool {
    matches!(kind(spec), NODE_PORT | LOAD_BALANCER)
}

/// Whether ports without a node port are to get one.
pub fn needs_node_ports(spec: &Value) -> bool {
    match kind(spec) {
        NODE_PORT => true,
        LOAD_BALANCER => spec["allocateLoadBalancerNodePorts"].as_bool().unwrap_or(true),
        _ => false,
    }
}

/// Whether nodes are asked for its health.
pub fn needs_health_check(spec: &Value) -> bool {
    kind(spec) == LOAD_BALANCER && text(spec, "externalTrafficPolicy") == "Local"
}

/// Whether traffic from outside of the cluster can reach it.
pub fn is_externally_accessible(spec: &Value) -> bool {
    has_node_ports(spec) || (kind(spec) == CLUSTER_IP && texts(spec, "externalIPs").len() > 0)
}

/// The node ports in use.
pub fn node_ports(spec: &Value) -> impl Iterator<Item = i64> + Clone {
    let ports = spec["ports"].as_array().map_or(&[][..], Vec::as_slice);
    ports.iter().filter_map(|port| port["nodePort"].as_i64()).filter(|port| *port != 0)
}

/// Whether a list of texts is the same in both.
pub fn same_texts(a: &Value, b: &Value, field: &str) -> bool {
    texts(a, field).eq(texts(b, field))
}

/// Whether a text is the same in both.
pub fn same_text(a: &Value, b: &Value, field: &str) -> bool {
    text(a, field) == text(b, field)
}
