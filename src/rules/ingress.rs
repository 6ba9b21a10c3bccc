//! Ingress: how requests from outside reach Services.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::{NameRule, port_name};
use super::checks::network::{legacy_ip, sloppy_ip};
use super::checks::numbers::port_number;
use super::kind::{Cx, Generation, NONE, Part, Rules, STATUS, Status};
use super::service::status;
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::syntax::{
    Texts, dns1035_label, dns1123_label, dns1123_subdomain, path_segment, wildcard_dns1123_subdomain,
};
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "networking.k8s.io",
    kind: "Ingress",
    generation: Generation::Fields(&["spec"]),
    status: Status::Separate,
    validate,
    validate_update,
    warn,
    parts: &[Part { validate: validate_status, warn: status::warn, ..STATUS }],
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
const CLASS: &str = "kubernetes.io/ingress.class";
const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];

/// What an old object already had wrong and may keep.
#[derive(Clone, Copy, Default)]
struct Leniency {
    secret_names: bool,
    wildcard_rules: bool,
}

fn validate(_: &Cx, at: &At, errs: &mut FieldErrors) {
    ingress(at, Leniency::default(), errs);
    let metadata = at.at("metadata");
    let (class, annotations) = (at.at("spec"), metadata.at("annotations"));
    let (class, annotation) = (class.at("ingressClassName"), annotations.entry(CLASS));
    if annotation.exists() && class.exists() && annotation.str() != class.str() {
        let detail = "must match `ingressClassName` when both are specified";
        let annotations = Path::Root.name("annotations");
        errs.push(FieldError::invalid(&annotations.name(CLASS), annotation.str(), detail));
    }
}

fn validate_update(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    let spec = old.at("spec");
    let secret_names = spec.at("tls").items().any(|tls| !secret_name(tls.at("secretName").str()).is_empty());
    let mut wrong = FieldErrors::new();
    let wildcards = spec.at("rules");
    let wildcards = wildcards.items().filter(|rule| rule.at("host").str().contains('*'));
    // Old wildcard rules are judged by the narrow names that services once had.
    wildcards.for_each(|rule| http(&rule.at("http"), dns1035_label, &mut wrong));
    ingress(at, Leniency { secret_names, wildcard_rules: !wrong.is_empty() }, errs);
}

fn ingress(at: &At, leniency: Leniency, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let spec = at.at("spec");
    let (rules, fallback) = (spec.at("rules"), spec.at("defaultBackend"));
    if rules.is_empty() && fallback.is_null() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        errs.push(FieldError::invalid(spec.path(), rules.bad(), detail));
    }
    if fallback.exists() {
        backend(&fallback, dns1123_label, errs);
    }
    for rule in rules.items() {
        let host = rule.at("host");
        self::host(&host, errs);
        if !(leniency.wildcard_rules && host.str().contains('*')) {
            http(&rule.at("http"), dns1123_label, errs);
        }
    }
    for tls in spec.at("tls").items() {
        for host in tls.at("hosts").items() {
            host.check(errs, host_name);
        }
        if !leniency.secret_names {
            tls.at("secretName").check(errs, secret_name);
        }
    }
    if spec.has("ingressClassName") {
        spec.at("ingressClassName").check(errs, dns1123_subdomain);
    }
}

fn host(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        return;
    }
    if sloppy_ip(at.str()).is_some() {
        at.invalid(errs, "must be a DNS name, not an IP address");
    }
    at.check(errs, host_name);
}

fn host_name(host: &str) -> Texts {
    if host.contains('*') { wildcard_dns1123_subdomain(host) } else { dns1123_subdomain(host) }
}

fn secret_name(name: &str) -> Texts {
    if name.is_empty() { Texts::new() } else { dns1123_subdomain(name) }
}

/// Absent is right.
fn http(at: &At, service_name: fn(&str) -> Texts, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    let paths = at.at("paths");
    if paths.is_empty() {
        paths.required(errs, "");
    }
    for path in paths.items() {
        if !path.has("pathType") {
            path.at("pathType").required(errs, "pathType must be specified");
            continue;
        }
        self::path(&path.at("path"), &path.at("pathType"), errs);
        backend(&path.at("backend"), service_name, errs);
    }
}

fn path(at: &At, kind: &At, errs: &mut FieldErrors) {
    let exact = match kind.str() {
        "Exact" | "Prefix" => true,
        "ImplementationSpecific" if at.is_empty() => return,
        "ImplementationSpecific" => false,
        _ => return kind.not_supported(errs, &PATH_TYPES),
    };
    if !at.str().starts_with('/') {
        at.invalid(errs, "must be an absolute path");
    }
    if exact {
        for part in ["//", "/./", "/../", "%2f", "%2F"] {
            if at.str().contains(part) {
                at.invalid(errs, format!("must not contain '{part}'"));
            }
        }
        for end in ["/..", "/."] {
            if at.str().ends_with(end) {
                at.invalid(errs, format!("cannot end with '{end}'"));
            }
        }
    }
}

fn backend(at: &At, service_name: fn(&str) -> Texts, errs: &mut FieldErrors) {
    let (resource, service) = (at.at("resource"), at.at("service"));
    match (resource.exists(), service.exists()) {
        (true, true) => at.invalid_as(errs, "", "cannot set both resource and service backends"),
        (true, false) => reference(&resource, errs),
        (false, false) => at.invalid_as(errs, "", "resource or service backend is required"),
        (false, true) => self::service(at, &service, service_name, errs),
    }
}

fn service(backend: &At, at: &At, service_name: fn(&str) -> Texts, errs: &mut FieldErrors) {
    let name = at.at("name");
    if name.is_empty() {
        name.required(errs, "");
    } else {
        name.check(errs, service_name);
    }
    let port = at.at("port");
    let (name, number) = (port.at("name"), port.at("number"));
    match (!name.is_empty(), number.i64() != 0) {
        (true, true) => backend.invalid_as(errs, "", "cannot set both port name & port number"),
        (true, false) => drop(name.check(errs, port_name)),
        (false, true) => number.invalid_each(errs, port_number(number.i64())),
        (false, false) => backend.required(errs, "port name or number is required"),
    }
}

/// An object in the same namespace, or of an IngressClass.
pub fn reference(at: &At, errs: &mut FieldErrors) {
    if at.has("apiGroup") {
        at.at("apiGroup").check(errs, dns1123_subdomain);
    }
    for field in ["kind", "name"] {
        let name = at.at(field);
        if name.is_empty() {
            name.required(errs, "");
        } else {
            name.check(errs, path_segment);
        }
    }
}

fn warn(_: &Cx, at: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    let annotated = at.at("metadata").at("annotations").entry(CLASS).exists();
    if old.is_none() && annotated && !at.at("spec").has("ingressClassName") {
        warnings.push(format!("annotation \"{CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"));
    }
}

fn validate_status(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    let before = &old.value()["status"]["loadBalancer"]["ingress"];
    for entry in at.at("status").at("loadBalancer").at("ingress").items() {
        let ip = entry.at("ip");
        let known = |ip: &Value| before.as_array().into_iter().flatten().any(|entry| entry["ip"] == *ip);
        if !ip.is_empty() && !known(ip.value()) {
            legacy_ip(&ip, true, errs);
        }
        status::hostname(&entry.at("hostname"), errs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("networking.k8s.io/v1", "Ingress")
    }

    fn ingress(path: Value) -> Value {
        json!({"spec": {"rules": [{"host": "*.example.com", "http": {"paths": [path]}}]}})
    }

    #[test]
    fn paths_and_backends_are_judged() {
        let place = "spec.rules[0].http.paths[0]";
        let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
        for (path, found) in [
            (json!({"pathType": "Prefix", "path": "/", "backend": backend}), vec![]),
            (json!({"path": "/"}), vec![format!("{place}.pathType: Required value: pathType must be specified")]),
            (
                json!({"pathType": "Exact", "path": "a//b/..", "backend": backend}),
                vec![
                    format!("{place}.path: Invalid value: \"a//b/..\": must be an absolute path"),
                    format!("{place}.path: Invalid value: \"a//b/..\": must not contain '//'"),
                    format!("{place}.path: Invalid value: \"a//b/..\": cannot end with '/..'"),
                ],
            ),
            (
                json!({"pathType": "Prefix", "path": "/", "backend": {"service": {"port": {}}}}),
                vec![
                    format!("{place}.backend.service.name: Required value"),
                    format!("{place}.backend: Required value: port name or number is required"),
                ],
            ),
            (
                json!({"pathType": "Prefix", "path": "/"}),
                vec![format!("{place}.backend: Invalid value: \"\": resource or service backend is required")],
            ),
        ] {
            assert_eq!(kind().refused(ingress(path)), found);
        }
        let found = kind().refused(json!({"spec": {"rules": [{"host": "10.0.0.1"}]}}));
        assert_eq!(found, ["spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"]);
        let text = "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified";
        assert_eq!(kind().refused(json!({"spec": {}})), [text]);
    }

    #[test]
    fn what_was_taken_once_may_stay() {
        let bad = ingress(json!({"pathType": "Exact", "path": "x"}));
        assert!(kind().update("", bad.clone(), bad.clone()).is_ok());
        let good = ingress(
            json!({"pathType": "Exact", "path": "/", "backend": {"service": {"name": "s", "port": {"name": "p"}}}}),
        );
        assert_eq!(kind().update("", good, bad).unwrap_err().len(), 2);
    }

    #[test]
    fn the_old_annotation_is_warned_of_and_must_agree() {
        let object = |class: Value| json!({"metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}}, "spec": {"ingressClassName": class, "defaultBackend": {"resource": {"kind": "K", "name": "n"}}}});
        let text =
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead";
        assert_eq!(kind().warnings(object(Value::Null)), [text]);
        let text = "annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are specified";
        assert_eq!(kind().refused(object("b".into())), [text]);
    }
}
