//! EndpointSlice: addresses behind a Service.

use super::at::At;
use super::checks::choices;
use super::checks::meta::{MetaRules, object_meta};
use super::checks::names::{NameRule, fully_qualified_domain_name};
use super::checks::network::{Family, endpoint_ip, ip, ip_family, ip_warning, legacy_ip};
use super::fill::{default, items};
use super::kind::{Cx, Generation, NONE, Rules};
use super::same;
use super::service::PROTOCOLS;
use crate::model::field::{FieldError, FieldErrors};
use crate::model::object;
use crate::model::syntax::{Texts, dns1123_label, dns1123_subdomain, label_key, label_value};
use crate::model::value::Value;
use crate::schema::table::API_DISCOVERY_V1_ENDPOINTSLICE as SLICE;

pub const RULES: Rules = Rules {
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    generation: Generation::Own,
    prepare_create,
    prepare_update,
    validate: |_, at, errs| slice(at, None, errs),
    validate_update: |_, at, old, errs| {
        slice(at, Some(old), errs);
        at.at("addressType").immutable(errs, &old.at("addressType"));
    },
    warn,
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
const MOST_ENDPOINTS: usize = 1000;
const MOST_ADDRESSES: usize = 100;
const MOST_PORTS: usize = 20_000;
const MOST_HINTS: usize = 8;
const HOSTNAME: &str = "kubernetes.io/hostname";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLERS: [&str; 2] = ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];

/// The defaults of v1.
pub fn fill(object: &mut Value) {
    for port in items(object, &["ports"]) {
        default(port, "name", "");
        default(port, "protocol", "TCP");
    }
}

fn prepare_create(_: &Cx, new: &mut Value) {
    object::set_meta(new, "generation", 1.into());
    drop_topology(new, &[]);
}

/// The generation grows with everything but metadata other than labels.
fn prepare_update(_: &Cx, new: &mut Value, old: &Value) {
    let same = |name: &str| SLICE.field(name).is_none_or(|field| same::fields(&new[name], &old[name], field));
    let labels = |object: &Value| object["metadata"]["labels"].as_object().filter(|labels| !labels.is_empty()).cloned();
    let unchanged = ["addressType", "endpoints", "ports"].into_iter().all(same) && labels(new) == labels(old);
    if !unchanged {
        object::set_meta(new, "generation", (object::generation(old) + 1).into());
    }
    if !same::fields(&new["endpoints"], &old["endpoints"], SLICE.field("endpoints").expect("a field of the type")) {
        let topologies = old["endpoints"].as_array().into_iter().flatten();
        let nodes: Vec<&str> = topologies.filter_map(|e| e["deprecatedTopology"][HOSTNAME].as_str()).collect();
        drop_topology(new, &nodes);
    }
}

/// v1 only reads `deprecatedTopology`. Where it named a node that the old object named too, `nodeName` says so instead.
fn drop_topology(object: &mut Value, known: &[&str]) {
    for endpoint in items(object, &["endpoints"]) {
        let topology = endpoint.remove("deprecatedTopology").unwrap_or_default();
        if let Some(node) = topology[HOSTNAME].as_str()
            && !node.is_empty()
            && known.contains(&node)
            && dns1123_subdomain(node).is_empty()
        {
            default(endpoint, "nodeName", node);
        }
    }
}

/// Endpoints that an update leaves alone are right: old servers took more.
fn slice(at: &At, old: Option<&At>, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    choices::required(&at.at("addressType"), &["FQDN", "IPv4", "IPv6"], errs);
    ports(&at.at("ports"), errs);
    let (endpoints, found) = (at.at("endpoints"), errs.len());
    if endpoints.len() > MOST_ENDPOINTS {
        endpoints.too_many(errs, MOST_ENDPOINTS);
    } else {
        for endpoint in endpoints.items() {
            self::endpoint(&endpoint, at.at("addressType").str(), errs);
        }
    }
    if errs.len() > found && old.is_some_and(|old| old.at("endpoints").same_as(&endpoints)) {
        errs.truncate(found);
    }
}

fn ports(at: &At, errs: &mut FieldErrors) {
    if at.len() > MOST_PORTS {
        return at.too_many(errs, MOST_PORTS);
    }
    let mut names = std::collections::HashSet::new();
    for port in at.items() {
        let name = port.at("name");
        if !name.is_empty() {
            name.check(errs, dns1123_label);
        }
        if !names.insert(name.str()) {
            name.duplicate(errs);
        }
        let protocol = port.at("protocol");
        if protocol.is_null() {
            protocol.required(errs, "");
        }
        choices::optional(&protocol, &PROTOCOLS, errs);
        if port.has("appProtocol") {
            port.at("appProtocol").check(errs, label_key);
        }
    }
}

fn endpoint(at: &At, address_type: &str, errs: &mut FieldErrors) {
    let addresses = at.at("addresses");
    if addresses.is_empty() {
        addresses.required(errs, "must contain at least 1 address");
    } else if addresses.len() > MOST_ADDRESSES {
        addresses.too_many(errs, MOST_ADDRESSES);
    }
    for address in addresses.items() {
        match address_type {
            "IPv4" => ip_address(&addresses, &address, Family::V4, errs),
            "IPv6" => ip_address(&addresses, &address, Family::V6, errs),
            "FQDN" => fully_qualified_domain_name(&address, errs),
            _ => {}
        }
    }
    if at.has("nodeName") {
        at.at("nodeName").check(errs, dns1123_subdomain);
    }
    if at.has("hostname") {
        at.at("hostname").check(errs, dns1123_label);
    }
    let hints = at.at("hints");
    if hinted(&hints.at("forZones"), label_value, errs) {
        hinted(&hints.at("forNodes"), dns1123_subdomain, errs);
    }
}

fn ip_address(addresses: &At, at: &At, family: Family, errs: &mut FieldErrors) {
    let found = errs.len();
    match family {
        Family::V4 => legacy_ip(at, true, errs),
        Family::V6 => ip(at, errs),
    }
    if errs.len() > found {
        return;
    }
    if ip_family(at.str()) != Some(family) {
        let detail = format!("must be an {} address", family.name());
        errs.push(FieldError::invalid(addresses.path(), at.str(), detail));
    }
    endpoint_ip(at, errs);
}

/// False when there are too many, which ends the hints' check.
fn hinted(at: &At, check: fn(&str) -> Texts, errs: &mut FieldErrors) -> bool {
    if at.len() > MOST_HINTS {
        at.too_many(errs, MOST_HINTS);
        return false;
    }
    for (index, hint) in at.items().enumerate() {
        let name = hint.at("name");
        if at.items().take(index).any(|earlier| earlier.at("name").str() == name.str()) {
            name.duplicate(errs);
        }
        name.check(errs, check);
    }
    true
}

fn warn(_: &Cx, at: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    if old.is_none() && at.at("addressType").str() == "FQDN" {
        warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
    }
    if CONTROLLERS.contains(&at.at("metadata").at("labels").entry(MANAGED_BY).str()) {
        return;
    }
    for endpoint in at.at("endpoints").items() {
        for address in endpoint.at("addresses").items() {
            warnings.extend(ip_warning(address.path(), address.str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("discovery.k8s.io/v1", "EndpointSlice")
    }

    #[test]
    fn addresses_are_of_the_slices_type() {
        let object = |of: &str, address: &str| json!({"addressType": of, "endpoints": [{"addresses": [address]}]});
        for (of, address, found) in [
            ("IPv4", "10.0.0.1", ""),
            ("IPv4", "2001:db8::1", "endpoints[0].addresses: Invalid value: \"2001:db8::1\": must be an IPv4 address"),
            ("IPv6", "10.0.0.1", "endpoints[0].addresses: Invalid value: \"10.0.0.1\": must be an IPv6 address"),
            (
                "IPv6",
                "2001:DB8::1",
                "endpoints[0].addresses[0]: Invalid value: \"2001:DB8::1\": must be in canonical form (\"2001:db8::1\")",
            ),
            ("FQDN", "a.b", ""),
            ("Bogus", "x", "addressType: Unsupported value: \"Bogus\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""),
        ] {
            assert_eq!(kind().refused(object(of, address)).join("; "), found);
        }
    }

    #[test]
    fn ports_are_filled_and_named_apart() {
        let kept = kind().create(json!({"addressType": "IPv4", "ports": [{"port": 80}]})).expect("right");
        assert_eq!(kept["ports"], json!([{"port": 80, "name": "", "protocol": "TCP"}]));
        let found = kind().refused(json!({"addressType": "IPv4", "ports": [{}, {}]}));
        assert_eq!(found, ["ports[1].name: Duplicate value: \"\""]);
    }

    #[test]
    fn the_generation_grows_with_content_and_labels() {
        let slice = |metadata: Value, ready: bool| json!({"metadata": metadata, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}]});
        let old = slice(json!({"generation": 4, "annotations": {"a": "b"}}), true);
        let after = |new| kind().update("", old.clone(), new).expect("right")["metadata"]["generation"].clone();
        assert_eq!(after(slice(json!({}), true)), 4);
        assert_eq!(after(slice(json!({"labels": {"a": "b"}}), true)), 5);
        assert_eq!(after(slice(json!({}), false)), 5);
    }

    #[test]
    fn topology_is_dropped() {
        let endpoint = json!({"addresses": ["10.0.0.1"], "deprecatedTopology": {"kubernetes.io/hostname": "n"}});
        let kept = kind().create(json!({"addressType": "IPv4", "endpoints": [endpoint]})).expect("right");
        assert_eq!(kept["endpoints"], json!([{"addresses": ["10.0.0.1"]}]));
        let old = json!({"addressType": "IPv4", "endpoints": [endpoint]});
        let new = json!({"addressType": "IPv4", "endpoints": [endpoint, {"addresses": ["10.0.0.2"]}]});
        let kept = kind().update("", old.clone(), new).expect("right");
        assert_eq!(
            kept["endpoints"],
            json!([{"addresses": ["10.0.0.1"], "nodeName": "n"}, {"addresses": ["10.0.0.2"]}])
        );
        assert_eq!(kind().update("", old.clone(), old.clone()).expect("right")["endpoints"], old["endpoints"]);
    }
}
