//! Endpoints: the addresses behind a Service, in the old form.

use super::at::At;
use super::checks::choices;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::checks::network::{endpoint_ip, ip_warning, legacy_ip};
use super::checks::numbers::port_number;
use super::fill::default;
use super::kind::{Cx, NONE, Rules};
use super::service::PROTOCOLS;
use crate::model::field::FieldErrors;
use crate::model::syntax::{dns1123_label, dns1123_subdomain, label_key};
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "",
    kind: "Endpoints",
    create_on_update: true,
    validate: |_, at, errs| endpoints(at, None, errs),
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        endpoints(at, Some(old), errs);
    },
    warn,
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

/// The defaults of v1.
pub fn fill(object: &mut Value) {
    let subsets = object.get_mut("subsets").and_then(Value::as_array_mut);
    for subset in subsets.into_iter().flatten() {
        for port in super::fill::items(subset, &["ports"]) {
            default(port, "protocol", "TCP");
        }
    }
}

/// Subsets that an update leaves alone are right: old servers took more.
fn endpoints(at: &At, old: Option<&At>, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let (subsets, found) = (at.at("subsets"), errs.len());
    for subset in subsets.items() {
        self::subset(&subset, errs);
    }
    if errs.len() > found && old.is_some_and(|old| old.at("subsets").same_as(&subsets)) {
        errs.truncate(found);
    }
}

fn subset(at: &At, errs: &mut FieldErrors) {
    let (ready, waiting, ports) = (at.at("addresses"), at.at("notReadyAddresses"), at.at("ports"));
    if ready.is_empty() && waiting.is_empty() {
        at.required(errs, "must specify `addresses` or `notReadyAddresses`");
    }
    for address in ready.items().chain(waiting.items()) {
        self::address(&address, errs);
    }
    for port in ports.items() {
        self::port(&port, ports.len() > 1, errs);
    }
}

fn address(at: &At, errs: &mut FieldErrors) {
    let ip = at.at("ip");
    legacy_ip(&ip, true, errs);
    if !at.at("hostname").is_empty() {
        at.at("hostname").check(errs, dns1123_label);
    }
    if at.has("nodeName") {
        at.at("nodeName").check(errs, dns1123_subdomain);
    }
    endpoint_ip(&ip, errs);
}

fn port(at: &At, needs_name: bool, errs: &mut FieldErrors) {
    let (name, number) = (at.at("name"), at.at("port"));
    if !name.is_empty() {
        name.check(errs, dns1123_label);
    } else if needs_name {
        name.required(errs, "");
    }
    number.invalid_each(errs, port_number(number.i64()));
    choices::required(&at.at("protocol"), &PROTOCOLS, errs);
    if at.has("appProtocol") {
        at.at("appProtocol").check(errs, label_key);
    }
}

fn warn(_: &Cx, at: &At, _: Option<&At>, warnings: &mut Vec<String>) {
    if at.at("metadata").at("labels").entry(MANAGED_BY).str() == "endpoint-controller" {
        return;
    }
    for subset in at.at("subsets").items() {
        for list in ["addresses", "notReadyAddresses"] {
            for address in subset.at(list).items() {
                let ip = address.at("ip");
                warnings.extend(ip_warning(ip.path(), ip.str()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::{Kind, assert_begin};

    #[test]
    fn addresses_and_ports_are_judged() {
        let object = json!({"subsets": [
            {},
            {"addresses": [{"ip": "127.0.0.1", "hostname": "A"}, {"ip": "010.0.0.1"}], "ports": [{"port": 80}, {"name": "b", "port": 0}]},
        ]});
        let found = Kind::new("v1", "Endpoints").refused(object);
        assert_begin(
            &found,
            &[
                "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
                "subsets[1].addresses[0].hostname: Invalid value: \"A\": a lowercase RFC 1123 label must con",
                "subsets[1].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range ",
                "subsets[1].addresses[1].ip: Invalid value: \"010.0.0.1\": must not have leading 0s",
                "subsets[1].ports[0].name: Required value",
                "subsets[1].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        );
    }

    #[test]
    fn what_was_taken_once_may_stay() {
        let old = json!({"subsets": [{"addresses": [{"ip": "010.0.0.1"}]}]});
        let kind = Kind::new("v1", "Endpoints");
        assert!(kind.update("", old.clone(), old.clone()).is_ok());
        assert!(kind.update("", old, json!({"subsets": [{"addresses": [{"ip": "010.0.0.2"}]}]})).is_err());
    }

    #[test]
    fn odd_addresses_are_warned_of_unless_a_controller_wrote_them() {
        let mut object = json!({"subsets": [{"notReadyAddresses": [{"ip": "2001:DB8::1"}]}]});
        let kind = Kind::new("v1", "Endpoints");
        let text = "subsets[0].notReadyAddresses[0].ip: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")";
        assert_eq!(kind.warnings(object.clone()), [text]);
        object["metadata"] = json!({"labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}});
        assert!(kind.warnings(object).is_empty());
    }
}
