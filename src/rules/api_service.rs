//! APIService: which server answers for a version of a group.

use super::at::At;
use super::checks::choices;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::{NameRule, dns1035_label, dns1123_subdomain, path_segment};
use super::checks::numbers::port_number;
use super::kind::{Cx, NONE, Part, Rules, STATUS, Status};
use super::{fill, strategy};
use crate::model::field::FieldErrors;
use crate::model::gotext;
use crate::model::syntax::Texts;
use crate::model::value::{Value, json};

pub const RULES: Rules = Rules {
    group: "apiregistration.k8s.io",
    kind: "APIService",
    status: Status::Separate,
    unconditional_update: false,
    prepare_create,
    validate: |_, at, errs| service(at, errs),
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), false, errs);
        service(at, errs);
    },
    parts: &[Part { prepare: |_, new, old| strategy::keep_metadata(new, old), validate: validate_status, ..STATUS }],
    ..NONE
};

const MOST_GROUP_PRIORITY: i64 = 20_000;
const MOST_VERSION_PRIORITY: i64 = 1000;

pub fn fill_service(object: &mut Value) {
    if let Some(service) = fill::fields(object, &["spec", "service"]) {
        fill::default(service, "port", 443);
    }
}

/// Where this very server answers, it does so at once.
fn prepare_create(cx: &Cx, new: &mut Value) {
    if new["spec"]["service"].is_null() {
        new["status"] = json!({"conditions": [{"type": "Available", "status": "True",
            "lastTransitionTime": cx.now.to_text().as_str(), "reason": "Local",
            "message": "Local APIServices are always available"}]});
    }
}

fn service(at: &At, errs: &mut FieldErrors) {
    let spec = at.at("spec");
    metadata(&at.at("metadata"), &spec, errs);
    let (group, version) = (spec.at("group"), spec.at("version"));
    if group.is_empty() && version.str() != "v1" {
        group.required(errs, "only v1 may have an empty group and it better be legacy kube");
    }
    if !group.is_empty() {
        group.check(errs, dns1123_subdomain);
    }
    version.check(errs, dns1035_label);
    for (priority, most, detail) in [
        ("groupPriorityMinimum", MOST_GROUP_PRIORITY, "must be positive and less than 20000"),
        ("versionPriority", MOST_VERSION_PRIORITY, "must be positive and less than 1000"),
    ] {
        let priority = spec.at(priority);
        if !(1..=most).contains(&priority.i64()) {
            priority.invalid(errs, detail);
        }
    }
    server(&spec, errs);
}

/// The name says the version and the group.
fn metadata(at: &At, spec: &At, errs: &mut FieldErrors) {
    let required = format!("{}.{}", spec.at("version").str(), spec.at("group").str());
    let check = |name: &str| {
        let mut wrong = path_segment(name);
        if wrong.is_empty() && name != required {
            let quoted = gotext::quote(&required);
            wrong.push(format!("must be `spec.version+\".\"+spec.group`: {quoted}").into());
        }
        wrong
    };
    for name in ["generateName", "name"].map(|name| at.at(name)) {
        if !name.is_empty() {
            name.check(errs, check);
        }
    }
    let any = NameRule::Own(|_, _| Texts::new());
    object_meta(at, MetaRules { namespaced: false, name: any, kube_finalizers: false }, errs);
}

fn server(spec: &At, errs: &mut FieldErrors) {
    let (service, bundle, insecure) = (spec.at("service"), spec.at("caBundle"), spec.at("insecureSkipTLSVerify"));
    if service.is_null() {
        if !bundle.is_empty() {
            let shown = format!("{} bytes", decoded_len(bundle.str()));
            bundle.invalid_as(errs, &shown, "local APIServices may not have a caBundle");
        }
        if insecure.bool() {
            insecure.invalid(errs, "local APIServices may not have insecureSkipTLSVerify");
        }
        return;
    }
    for name in ["namespace", "name"] {
        if service.at(name).is_empty() {
            service.at(name).required(errs, "");
        }
    }
    let port = service.at("port");
    for text in port_number(port.i64()) {
        port.invalid(errs, format!("port is not valid: {text}"));
    }
    if insecure.bool() && !bundle.is_empty() {
        insecure.invalid(errs, "may not be true if caBundle is present");
    }
}

/// Bytes of a text in canonical base64.
fn decoded_len(text: &str) -> usize {
    text.len() / 4 * 3 - text.bytes().rev().take_while(|b| *b == b'=').count()
}

fn validate_status(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), false, errs);
    for condition in at.at("status").at("conditions").items() {
        choices::one_of(&condition.at("status"), &["True", "False", "Unknown"], errs);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("apiregistration.k8s.io/v1", "APIService")
    }

    fn service(service: Value) -> Value {
        json!({"metadata": {"name": "v1.g"}, "spec": {"group": "g", "version": "v1", "groupPriorityMinimum": 1,
            "versionPriority": 1, "service": service}})
    }

    #[test]
    fn a_version_without_a_server_is_answered_here() {
        let kept = kind().create(service(Value::Null)).expect("an APIService");
        assert_eq!(
            kept["status"]["conditions"],
            json!([{"type": "Available", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z",
                "reason": "Local", "message": "Local APIServices are always available"}])
        );
        let kept = kind().create(service(json!({"name": "n", "namespace": "s"}))).expect("an APIService");
        assert_eq!((&kept["spec"]["service"]["port"], &kept["status"]), (&json!(443), &Value::Null));
    }

    #[test]
    fn an_api_service_says_what_it_serves() {
        assert_eq!(
            kind().refused(json!({"metadata": {"name": "v2."}, "spec": {"version": "v2", "versionPriority": 1001,
                "caBundle": "YWI=", "insecureSkipTLSVerify": true}})),
            [
                "spec.group: Required value: only v1 may have an empty group and it better be legacy kube",
                "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
                "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
                "spec.caBundle: Invalid value: \"2 bytes\": local APIServices may not have a caBundle",
                "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
            ]
        );
        let mut wrong = service(json!({"port": 65536}));
        wrong["metadata"]["name"] = "g.v1".into();
        assert_eq!(
            kind().refused(wrong),
            [
                "metadata.name: Invalid value: \"g.v1\": must be `spec.version+\".\"+spec.group`: \"v1.g\"",
                "spec.service.namespace: Required value",
                "spec.service.name: Required value",
                "spec.service.port: Invalid value: 65536: port is not valid: must be between 1 and 65535, inclusive",
            ]
        );
    }

    #[test]
    fn conditions_hold_or_do_not_or_nobody_knows() {
        let mut new = service(Value::Null);
        new["status"] = json!({"conditions": [{"type": "Available", "status": "Maybe"}]});
        assert_eq!(
            kind().update("status", service(Value::Null), new).unwrap_err(),
            ["status.conditions[0].status: Unsupported value: \"Maybe\": supported values: \"True\", \"False\", \
              \"Unknown\""]
        );
    }
}
