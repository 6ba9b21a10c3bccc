//! What an update of a Service may not change. All of it is free where the type comes from or goes to ExternalName.

use super::{spec, validate};
use crate::model::field::{FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::meta::object_meta_update;
use crate::rules::kind::Cx;

const SET_ONCE: &str = "may not change once set";

pub fn validate(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    let (now, was) = (at.at("spec"), old.at("spec"));
    if spec::needs_cluster_ip(now.value()) && spec::needs_cluster_ip(was.value()) {
        let headless = (spec::is_headless(was.value()), spec::is_headless(now.value()));
        if headless != (true, true) {
            cluster_ips(&now, &was, errs);
        }
        if headless == (false, false) {
            families(&now, &was, errs);
        }
    }
    let (class, balanced) = (now.at("loadBalancerClass"), |spec: &At| spec.at("type").str() == spec::LOAD_BALANCER);
    if balanced(&was) && balanced(&now) && !class.same_as(&was.at("loadBalancerClass")) {
        class.invalid(errs, SET_ONCE);
    }
    validate::load_balancer_class(&now, errs);
    let port = now.at("healthCheckNodePort");
    let checked = spec::needs_health_check(was.value()) && spec::needs_health_check(now.value());
    if checked && port.i64() != was.at("healthCheckNodePort").i64() {
        port.forbidden(errs, "field is immutable");
    }
    validate::service(at, Some(old), errs);
}

/// The first address stays; a second one may come, or go when the policy says so.
fn cluster_ips(now: &At, was: &At, errs: &mut FieldErrors) {
    let (ips, before) = (now.at("clusterIPs"), was.at("clusterIPs"));
    let mut wrong = |at: &At, detail| errs.push(FieldError::invalid(at.path(), ips.bad(), detail));
    let first_changed = !before.is_empty() && ips.item(0).str() != before.item(0).str();
    if ips.len() == before.len() {
        for (ip, before) in ips.items().zip(before.strs()) {
            if ip.str() != before {
                wrong(&ip, SET_ONCE);
            }
        }
    } else if ips.is_empty() {
        wrong(&ips.item(0), "primary clusterIP can not be unset");
    } else if first_changed {
        wrong(&ips.item(0), SET_ONCE);
    }
    if ips.len() < before.len() && ips.len() == 1 {
        released(now, "must be set to 'SingleStack' when releasing the secondary clusterIP", errs);
    }
}

/// The same of families. As in stock, some errors show the addresses.
fn families(now: &At, was: &At, errs: &mut FieldErrors) {
    let (families, before) = (now.at("ipFamilies"), was.at("ipFamilies"));
    let ips = now.at("clusterIPs");
    let place = families.item(0);
    let mut wrong = |shown: &At, detail| errs.push(FieldError::invalid(place.path(), shown.bad(), detail));
    let first_changed = !before.is_empty() && !families.is_empty() && place.str() != before.item(0).str();
    if families.len() == before.len() {
        for _ in families.strs().zip(before.strs()).filter(|(now, was)| now != was) {
            wrong(&families, SET_ONCE);
        }
        return;
    }
    let fewer = families.len() < before.len();
    if fewer && ips.is_empty() {
        wrong(&families, "primary ipFamily can not be unset");
    }
    if first_changed {
        wrong(&ips, SET_ONCE);
    }
    if fewer && families.len() == 1 {
        released(now, "must be set to 'SingleStack' when releasing the secondary ipFamily", errs);
    }
}

fn released(now: &At, detail: &'static str, errs: &mut FieldErrors) {
    let policy = now.at("ipFamilyPolicy");
    if policy.str() != "SingleStack" {
        policy.invalid(errs, detail);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    fn spec(ips: &[&str], families: &[&str], policy: &str) -> Value {
        json!({"spec": {"ports": [{"port": 80}], "clusterIP": ips.first(), "clusterIPs": ips, "ipFamilies": families, "ipFamilyPolicy": policy}})
    }

    #[test]
    fn the_first_address_stays() {
        let (v4, v6, dual) = ("10.96.0.1", "2001:db8::1", "PreferDualStack");
        let (one, two) = (spec(&[v4], &["IPv4"], dual), spec(&[v4, v6], &["IPv4", "IPv6"], dual));
        for (old, new, found) in [
            (&one, &two, ""),
            (&two, &spec(&[v4], &["IPv4"], "SingleStack"), ""),
            (
                &two,
                &one,
                "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary clusterIP; \
                 spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary ipFamily",
            ),
            (
                &one,
                &spec(&["10.96.0.2"], &["IPv4"], dual),
                "spec.clusterIPs[0]: Invalid value: [\"10.96.0.2\"]: may not change once set",
            ),
            (
                &one,
                &spec(&[v6], &["IPv6"], dual),
                "spec.clusterIPs[0]: Invalid value: [\"2001:db8::1\"]: may not change once set; \
                 spec.ipFamilies[0]: Invalid value: [\"IPv6\"]: may not change once set",
            ),
        ] {
            let errors = Kind::new("v1", "Service").update("", old.clone(), new.clone()).err().unwrap_or_default();
            assert_eq!(errors.join("; "), found);
        }
    }

    #[test]
    fn class_and_health_check_stay() {
        let service = |class: &str, port: i64| {
            json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "loadBalancerClass": class,
                "externalTrafficPolicy": "Local", "healthCheckNodePort": port}})
        };
        let found = Kind::new("v1", "Service").update("", service("a", 1), service("b", 2)).unwrap_err();
        assert_eq!(
            found,
            [
                "spec.loadBalancerClass: Invalid value: \"b\": may not change once set",
                "spec.healthCheckNodePort: Forbidden: field is immutable",
            ]
        );
    }
}
