//! The status of a Service: where its load balancer is reached.

use super::spec;
use crate::model::field::FieldErrors;
use crate::model::syntax::dns1123_subdomain;
use crate::rules::at::At;
use crate::rules::checks::meta::object_meta_update;
use crate::rules::checks::network::{ip_warning, legacy_ip, sloppy_ip};
use crate::rules::kind::Cx;

pub fn validate(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    let status = at.at("status");
    let balancer = status.at("loadBalancer");
    let ingress = balancer.at("ingress");
    if at.at("spec").at("type").str() != spec::LOAD_BALANCER && !ingress.is_empty() {
        ingress.forbidden(errs, "may only be used when `spec.type` is 'LoadBalancer'");
        return;
    }
    let before = &old.at("status").at("loadBalancer").value()["ingress"];
    for entry in ingress.items() {
        let ip = entry.at("ip");
        let known = before.as_array().into_iter().flatten().any(|entry| entry["ip"] == *ip.value());
        if !ip.is_empty() && !known {
            legacy_ip(&ip, true, errs);
        }
        let mode = entry.at("ipMode");
        match (mode.exists(), !ip.is_empty()) {
            (false, true) => mode.required(errs, "must be specified when `ip` is set"),
            (true, false) => mode.forbidden(errs, "may not be specified when `ip` is not set"),
            (true, true) if !["VIP", "Proxy"].contains(&mode.str()) => mode.not_supported(errs, &["Proxy", "VIP"]),
            _ => {}
        }
        hostname(&entry.at("hostname"), errs);
    }
}

/// The name under which a load balancer is reached, of a Service or an Ingress.
pub fn hostname(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        return;
    }
    at.check(errs, dns1123_subdomain);
    if sloppy_ip(at.str()).is_some() {
        at.invalid(errs, "must be a DNS name, not an IP address");
    }
}

/// Also of an Ingress.
pub fn warn(_: &Cx, at: &At, _: &At, warnings: &mut Vec<String>) {
    for entry in at.at("status").at("loadBalancer").at("ingress").items() {
        if !entry.at("ip").is_empty() {
            warnings.extend(ip_warning(entry.path(), entry.at("ip").str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn where_a_load_balancer_is_reached() {
        let kind = Kind::new("v1", "Service");
        let service = |of: &str| json!({"spec": {"type": of, "ports": [{"port": 80}]}});
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "010.0.0.1", "ipMode": "X"}, {"ipMode": "VIP"}, {"hostname": "1.2.3.4"}]}}});
        let found = kind.update("status", service("LoadBalancer"), status.clone()).unwrap_err();
        assert_eq!(
            found,
            [
                "status.loadBalancer.ingress[0].ip: Invalid value: \"010.0.0.1\": must not have leading 0s",
                "status.loadBalancer.ingress[0].ipMode: Unsupported value: \"X\": supported values: \"Proxy\", \"VIP\"",
                "status.loadBalancer.ingress[1].ipMode: Forbidden: may not be specified when `ip` is not set",
                "status.loadBalancer.ingress[2].hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
            ]
        );
        let found = kind.update("status", service("ClusterIP"), status).unwrap_err();
        assert_eq!(
            found,
            ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]
        );
    }
}
