//! All that is wrong with a Service as it stands.

use super::rules::{TOPOLOGY_HINTS, TOPOLOGY_MODE};
use super::{addresses, spec};
use crate::model::field::{Bad, FieldError, FieldErrors, Path};
use crate::model::syntax::{dns1123_label, dns1123_subdomain, label_key};
use crate::model::value::json;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::labels::labels;
use crate::rules::checks::meta::{MetaRules, object_meta};
use crate::rules::checks::names::NameRule;
use crate::rules::checks::network::{endpoint_ip, legacy_ip, new_legacy_cidr};
use crate::rules::checks::numbers::{port_number, port_number_or_name};
use crate::rules::kind::Cx;
use crate::rules::show;

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Label, kube_finalizers: true };
/// As they are printed.
const TYPES: [&str; 4] = [spec::CLUSTER_IP, spec::EXTERNAL_NAME, spec::LOAD_BALANCER, spec::NODE_PORT];
pub const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const BALANCED_ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
/// A day.
const MOST_AFFINITY_SECONDS: i64 = 86_400;

pub fn create(_: &Cx, at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    service(at, None, errs);
}

/// Without its metadata's own rules.
pub fn service(at: &At, old: Option<&At>, errs: &mut FieldErrors) {
    topology(at, errs);
    let (spec, was) = (at.at("spec"), old.map(|old| old.at("spec")));
    let headless = spec::is_headless(spec.value());
    if spec.at("ports").is_empty() && !headless && spec.at("type").str() != spec::EXTERNAL_NAME {
        spec.at("ports").required(errs, "");
    }
    by_type(&spec, headless, errs);
    ports(&spec.at("ports"), errs);
    labels(&spec.at("selector"), errs);
    affinity(&spec, errs);
    addresses::validate(&spec, was.as_ref(), errs);
    external_ips(&spec, was.as_ref(), errs);
    choices::required(&spec.at("type"), &TYPES, errs);
    duplicate_ports(&spec, errs);
    source_ranges(at, old, errs);
    load_balancer(&spec, errs);
    external_traffic(&spec, errs);
    internal_traffic(&spec, errs);
    choices::optional(&spec.at("trafficDistribution"), &["PreferClose", "PreferSameZone", "PreferSameNode"], errs);
}

/// Two annotations of one meaning must agree.
fn topology(at: &At, errs: &mut FieldErrors) {
    let metadata = at.at("metadata");
    let annotations = metadata.at("annotations");
    let (mode, hints) = (annotations.entry(TOPOLOGY_MODE), annotations.entry(TOPOLOGY_HINTS));
    if mode.exists() && hints.exists() && mode.str() != hints.str() {
        mode.invalid(errs, format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified"));
    }
}

fn by_type(spec: &At, headless: bool, errs: &mut FieldErrors) {
    let kind = spec.at("type").str();
    match kind {
        spec::LOAD_BALANCER | spec::NODE_PORT if headless => {
            let detail = format!("may not be set to 'None' for {kind} services");
            spec.at("clusterIPs").item(0).invalid(errs, detail);
        }
        spec::EXTERNAL_NAME => {
            for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if !spec.at(field).is_null() && (field == "ipFamilyPolicy" || !spec.at(field).is_empty()) {
                    spec.at(field).forbidden(errs, "may not be set for ExternalName services");
                }
            }
            let name = spec.at("externalName");
            match name.str().strip_suffix('.').unwrap_or(name.str()) {
                "" => name.required(errs, ""),
                cname => {
                    for text in dns1123_subdomain(cname) {
                        name.invalid_as(errs, cname, text);
                    }
                }
            }
        }
        _ => {}
    }
}

fn ports(at: &At, errs: &mut FieldErrors) {
    for (index, port) in at.items().enumerate() {
        let name = port.at("name");
        if !name.is_empty() {
            name.check(errs, dns1123_label);
            if at.items().take(index).any(|earlier| earlier.at("name").str() == name.str()) {
                name.duplicate(errs);
            }
        } else if at.len() > 1 {
            name.required(errs, "");
        }
        let number = port.at("port");
        number.invalid_each(errs, port_number(number.i64()));
        choices::required(&port.at("protocol"), &PROTOCOLS, errs);
        port_number_or_name(&port.at("targetPort"), errs);
        if port.has("appProtocol") {
            port.at("appProtocol").check(errs, label_key);
        }
    }
}

fn affinity(spec: &At, errs: &mut FieldErrors) {
    let affinity = spec.at("sessionAffinity");
    choices::required(&affinity, &["ClientIP", "None"], errs);
    let config = spec.at("sessionAffinityConfig");
    match affinity.str() {
        "None" if config.exists() => config.forbidden(errs, "must not be set when session affinity is None"),
        "ClientIP" => client_affinity(&config, errs),
        _ => {}
    }
}

fn client_affinity(config: &At, errs: &mut FieldErrors) {
    let client = config.at("clientIP");
    let seconds = client.at("timeoutSeconds");
    for at in [config, &client, &seconds] {
        if at.is_null() {
            return at.required(errs, "when session affinity type is ClientIP");
        }
    }
    if !(1..=MOST_AFFINITY_SECONDS).contains(&seconds.i64()) {
        seconds.invalid(errs, format!("must be greater than 0 and less than {MOST_AFFINITY_SECONDS}"));
    }
}

fn external_ips(spec: &At, old: Option<&At>, errs: &mut FieldErrors) {
    let before = old.map(|old| spec::texts(old.value(), "externalIPs"));
    for ip in spec.at("externalIPs").items() {
        let found = errs.len();
        if !before.clone().is_some_and(|mut before| before.any(|before| before == ip.str())) {
            legacy_ip(&ip, true, errs);
        }
        if errs.len() == found {
            endpoint_ip(&ip, errs);
        }
    }
}

/// Ports and node ports stand once for each protocol.
fn duplicate_ports(spec: &At, errs: &mut FieldErrors) {
    let ports = spec.at("ports");
    if spec.at("type").str() == spec::CLUSTER_IP {
        for port in ports.items().filter(|port| port.at("nodePort").i64() != 0) {
            port.at("nodePort").forbidden(errs, "may not be used when `type` is 'ClusterIP'");
        }
    }
    let seen = |index: usize, port: &At, field: &str| {
        let same = |other: &At, name: &str| other.at(name).value() == port.at(name).value();
        ports.items().take(index).any(|other| same(&other, field) && same(&other, "protocol"))
    };
    for (index, port) in ports.items().enumerate() {
        if port.at("nodePort").i64() != 0 && seen(index, &port, "nodePort") {
            port.at("nodePort").duplicate(errs);
        }
    }
    for (index, port) in ports.items().enumerate() {
        if seen(index, &port, "port") {
            let key = json!({"protocol": port.at("protocol").value(), "port": port.at("port").value()});
            let shown = port.schema().message().map(|message| show::message(&key, message));
            errs.push(FieldError::duplicate(port.path(), Bad::plain(shown.unwrap_or_default())));
        }
    }
}

/// The networks that may use a load balancer: a field, or the annotation that came before it. What the old object
/// had is right.
fn source_ranges(at: &At, old: Option<&At>, errs: &mut FieldErrors) {
    let spec = at.at("spec");
    let balanced = spec.at("type").str() == spec::LOAD_BALANCER;
    let ranges = spec.at("loadBalancerSourceRanges");
    if !ranges.is_empty() {
        // Stock writes this place with Go's name.
        let place = spec.path().name("LoadBalancerSourceRanges");
        if !balanced {
            errs.push(FieldError::forbidden(&place, BALANCED_ONLY));
        }
        let before = old.map(|old| spec::texts(&old.value()["spec"], "loadBalancerSourceRanges"));
        let known = |range: &str| before.clone().is_some_and(|mut all| all.any(|before| before.trim() == range));
        for (index, range) in ranges.strs().map(str::trim).enumerate().filter(|(_, range)| !known(range)) {
            source_range(&place.index(index), range, errs);
        }
        return;
    }
    let metadata = at.at("metadata");
    let annotations = metadata.at("annotations");
    let listed = annotations.entry(SOURCE_RANGES);
    if listed.is_null() {
        return;
    }
    if !balanced {
        listed.forbidden(errs, BALANCED_ONLY);
    }
    let before = old.map(|old| old.value()["metadata"]["annotations"][SOURCE_RANGES].as_str().unwrap_or(""));
    let text = listed.str().trim();
    if before != Some(listed.str()) && !text.is_empty() {
        text.split(',').for_each(|range| source_range(listed.path(), range.trim(), errs));
    }
}

fn source_range(place: &Path<'_>, range: &str, errs: &mut FieldErrors) {
    for text in new_legacy_cidr(range) {
        errs.push(FieldError::invalid(place, range, text));
    }
}

fn load_balancer(spec: &At, errs: &mut FieldErrors) {
    let balanced = spec.at("type").str() == spec::LOAD_BALANCER;
    let allocate = spec.at("allocateLoadBalancerNodePorts");
    if allocate.exists() && !balanced {
        allocate.forbidden(errs, BALANCED_ONLY);
    }
    if allocate.is_null() && balanced {
        errs.push(FieldError::required(&Path::Root.name("allocateLoadBalancerNodePorts"), ""));
    }
    load_balancer_class(spec, errs);
}

/// At `spec`.
pub fn load_balancer_class(spec: &At, errs: &mut FieldErrors) {
    let class = spec.at("loadBalancerClass");
    if class.is_null() {
        return;
    }
    if spec.at("type").str() == spec::LOAD_BALANCER {
        class.check(errs, label_key);
    } else {
        class.forbidden(errs, BALANCED_ONLY);
    }
}

fn external_traffic(spec: &At, errs: &mut FieldErrors) {
    let policy = spec.at("externalTrafficPolicy");
    if spec::is_externally_accessible(spec.value()) {
        choices::required(&policy, &["Cluster", "Local"], errs);
    } else if !policy.is_empty() {
        policy.invalid(errs, "may only be set for externally-accessible services");
    }
    let port = spec.at("healthCheckNodePort");
    match (spec::needs_health_check(spec.value()), port.i64()) {
        (false, 0) => {}
        (false, _) => {
            port.invalid(errs, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
        }
        (true, 0) => port.required(errs, ""),
        (true, number) => port.invalid_each(errs, port_number(number)),
    }
}

fn internal_traffic(spec: &At, errs: &mut FieldErrors) {
    let policy = spec.at("internalTrafficPolicy");
    let typed = matches!(spec.at("type").str(), spec::CLUSTER_IP | spec::NODE_PORT | spec::LOAD_BALANCER);
    if policy.is_null() && typed {
        policy.required(errs, "");
    }
    choices::optional(&policy, &["Cluster", "Local"], errs);
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::{Kind, assert_begin};

    fn refused(spec: Value) -> Vec<String> {
        Kind::new("v1", "Service").refused(json!({"spec": spec}))
    }

    #[test]
    fn ports_are_named_and_stand_once() {
        assert_begin(
            &refused(
                json!({"ports": [{"port": 80, "name": "a"}, {"port": 80, "protocol": "TCP"}, {"port": 0, "name": "a", "protocol": "X"}]}),
            ),
            &[
                "spec.ports[1].name: Required value",
                "spec.ports[2].name: Duplicate value: \"a\"",
                "spec.ports[2].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[2].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                "spec.ports[2].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPor",
            ],
        );
        assert_begin(&refused(json!({})), &["spec.ports: Required value"]);
    }

    #[test]
    fn types_have_fields_of_their_own() {
        assert_begin(
            &refused(
                json!({"type": "ExternalName", "clusterIP": "None", "clusterIPs": ["None"], "loadBalancerClass": "a", "healthCheckNodePort": 1}),
            ),
            &[
                "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
                "spec.externalName: Required value",
                "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
                "spec.healthCheckNodePort: Invalid value: 1: may only be set when `type` is 'LoadBalancer' and `extern",
            ],
        );
        assert_begin(
            &refused(json!({"type": "NodePort", "clusterIP": "None", "clusterIPs": ["None"]})),
            &["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        );
        assert_begin(
            &refused(
                json!({"ports": [{"port": 80}], "loadBalancerSourceRanges": ["10.0.0.0/8 ", "x"], "externalTrafficPolicy": "Local"}),
            ),
            &[
                "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
                "spec.LoadBalancerSourceRanges[1]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/2",
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible servic",
            ],
        );
    }

    #[test]
    fn addresses_and_families_agree() {
        let of = |ips: &[&str], families: &[&str]| {
            refused(json!({"ports": [{"port": 80}], "clusterIP": ips[0], "clusterIPs": ips, "ipFamilies": families}))
        };
        assert!(of(&["10.96.0.1", "2001:db8::1"], &["IPv4", "IPv6"]).is_empty());
        let text =
            "spec.clusterIPs[0]: Invalid value: \"10.96.0.1\": expected an IPv6 value as indicated by `ipFamilies[0";
        assert_begin(&of(&["10.96.0.1"], &["IPv6"]), &[text]);
        let text =
            "spec.clusterIPs: Invalid value: [\"10.96.0.1\",\"10.96.0.2\"]: may specify no more than one IP for each ";
        assert_begin(&of(&["10.96.0.1", "10.96.0.2"], &[]), &[text]);
        let text = "spec.clusterIPs: Invalid value: [\"None\",\"10.96.0.2\"]: 'None' must be the first and only value";
        assert_begin(&of(&["None", "10.96.0.2"], &[]), &[text]);
    }

    #[test]
    fn the_old_annotation_of_source_ranges_counts() {
        let service = |kind: &str| {
            json!({"metadata": {"annotations": {"service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, x"}},
                "spec": {"type": kind, "ports": [{"port": 80}]}})
        };
        let found = Kind::new("v1", "Service").refused(service("LoadBalancer"));
        let text = "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        assert_eq!(found, [text]);
        let changed = Kind::new("v1", "Service").update("", service("LoadBalancer"), service("LoadBalancer"));
        assert!(changed.is_ok());
    }
}
