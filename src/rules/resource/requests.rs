//! What a claim asks for: requests, constraints between them, and what drivers are told.

use std::collections::BTreeMap;

use super::parts::{bounded, by_name, fully_qualified_name, label, set, toleration};
use super::selector::{self, Devices};
use super::settings::{MOST_SETTINGS, settings};
use crate::model::field::{FieldErrors, Path};
use crate::model::gotext::quote;
use crate::model::value::{Map, Value};
use crate::rules::at::At;
use crate::rules::checks::names::{dns1123_label, dns1123_subdomain};
use crate::rules::fill;
use crate::rules::kind::Cx;

pub const MOST_REQUESTS: usize = 32;
const MOST_CONSTRAINTS: usize = 32;
const MOST_SELECTORS: usize = 32;
/// Of one request.
const MOST_ALTERNATIVES: usize = 8;
/// The label of a namespace whose claims may have devices that others use.
const ADMIN_LABEL: &str = "resource.kubernetes.io/admin-access";
const REFERENCE: &str =
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
const ONE_OF: &str = "exactly one of `exactly` or `firstAvailable` is required";

/// Defaults of requests.
pub fn fill_requests(object: &mut Value, path: &[&str]) {
    for request in fill::items(object, path) {
        if let Some(exactly) = request.get_mut("exactly").and_then(Value::as_object_mut) {
            fill_request(exactly);
        }
        let alternatives = request.get_mut("firstAvailable").and_then(Value::as_array_mut);
        alternatives.into_iter().flatten().filter_map(Value::as_object_mut).for_each(fill_request);
    }
}

fn fill_request(request: &mut Map) {
    fill::default(request, "allocationMode", "ExactCount");
    if fill::text(request, "allocationMode") == "ExactCount" {
        fill::default(request, "count", 1);
    }
    fill_tolerations(request);
}

pub fn fill_tolerations(request: &mut Map) {
    let tolerations = request.get_mut("tolerations").and_then(Value::as_array_mut);
    for toleration in tolerations.into_iter().flatten().filter_map(Value::as_object_mut) {
        fill::default(toleration, "operator", "Equal");
    }
}

/// Devices that others use may be had in namespaces for that only; `at` is the spec of a claim.
pub fn admin_access(cx: &Cx, at: &At, errs: &mut FieldErrors) {
    let asks = |request: &At| request.at("exactly").at("adminAccess").bool();
    let devices = at.at("devices");
    let Some(index) = devices.at("requests").items().position(|request| asks(&request)) else { return };
    if !is_for_admins(cx) {
        // Also of a template, stock tells the place in a claim.
        let place = Path::Root.name("spec");
        let place = place.name("devices");
        let place = place.name("requests");
        let place = place.index(index);
        admin_forbidden(&devices.placed(place.name("adminAccess")), errs);
    }
}

/// Whether the object's namespace is for claims of devices that others use.
pub fn is_for_admins(cx: &Cx) -> bool {
    cx.namespace_labels.get(ADMIN_LABEL).and_then(Value::as_str) == Some("true")
}

pub fn admin_forbidden(at: &At, errs: &mut FieldErrors) {
    let detail =
        format!("admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace");
    at.forbidden(errs, detail);
}

/// The spec of a claim, in a claim or a template.
pub fn claim_spec(at: &At, errs: &mut FieldErrors) {
    let devices = at.at("devices");
    let names = Names::of(&devices);
    set(&devices.at("requests"), MOST_REQUESTS, errs, request, by_name);
    bounded(&devices.at("constraints"), MOST_CONSTRAINTS, errs, |at, errs| constraint(at, &names, errs));
    bounded(&devices.at("config"), MOST_SETTINGS, errs, |at, errs| {
        names.references(&at.at("requests"), errs);
        settings(at, false, errs);
    });
}

/// The names of a claim's requests, each with those of its alternatives.
pub struct Names<'v>(BTreeMap<&'v str, Vec<&'v str>>);

impl<'v> Names<'v> {
    /// Of what a claim asks for: `spec.devices`.
    pub fn of(at: &At<'_, 'v>) -> Self {
        let requests = at.at("requests");
        let names = requests.items().map(|request| {
            let alternatives = request.at("firstAvailable");
            let names = alternatives.items().map(|alternative| alternative.at("name").str()).collect();
            (request.at("name").str(), names)
        });
        Self(names.collect())
    }

    /// Names of requests, each once.
    pub fn references(&self, at: &At, errs: &mut FieldErrors) {
        set(at, MOST_REQUESTS, errs, |name, errs| self.reference(name, errs), |name| quote(name.str()));
    }

    /// `request` or `request/alternative`.
    pub fn reference(&self, at: &At, errs: &mut FieldErrors) {
        let parts: Vec<_> = at.str().split('/').collect();
        if parts.len() > 2 {
            return at.invalid(errs, REFERENCE);
        }
        for part in &parts {
            for text in dns1123_label(part) {
                at.invalid_as(errs, *part, text);
            }
        }
        let known = self.0.get(parts[0]).is_some_and(|names| parts.get(1).is_none_or(|part| names.contains(part)));
        if !known {
            at.invalid(errs, REFERENCE);
        }
    }
}

fn request(at: &At, errs: &mut FieldErrors) {
    label(&at.at("name"), errs);
    let (exactly, alternatives) = (at.at("exactly"), at.at("firstAvailable"));
    match (exactly.exists(), !alternatives.is_empty()) {
        (false, false) => at.required(errs, ONE_OF),
        (true, true) => {
            at.invalid_as(errs, &Value::Null, format!("{ONE_OF}, but multiple fields are set"));
        }
        (true, false) => asked(&exactly, errs),
        (false, true) => {
            let check = |at: &At, errs: &mut FieldErrors| {
                label(&at.at("name"), errs);
                asked(at, errs);
            };
            set(&alternatives, MOST_ALTERNATIVES, errs, check, by_name);
        }
    }
}

/// Devices of a class, so many of them.
fn asked(at: &At, errs: &mut FieldErrors) {
    let class = at.at("deviceClassName");
    if class.is_empty() {
        class.required(errs, "");
    } else {
        class.check(errs, dns1123_subdomain);
    }
    selectors(&at.at("selectors"), errs);
    let (mode, count) = (at.at("allocationMode"), at.at("count"));
    match mode.str() {
        "All" if count.i64() != 0 => count.invalid(errs, "must not be specified when allocationMode is 'All'"),
        "All" => {}
        "ExactCount" if count.i64() <= 0 => count.invalid(errs, "must be greater than zero"),
        "ExactCount" => {}
        _ => mode.not_supported(errs, &["All", "ExactCount"]),
    }
    for item in at.at("tolerations").items() {
        toleration(&item, errs);
    }
}

/// Expressions that all hold of a chosen device.
pub fn selectors(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        return;
    }
    let devices = Devices::new();
    bounded(at, MOST_SELECTORS, errs, |item, errs| {
        let cel = item.at("cel");
        if cel.is_null() {
            cel.required(errs, "");
        } else {
            selector::expression(&cel.at("expression"), &devices, errs);
        }
    });
}

fn constraint(at: &At, names: &Names, errs: &mut FieldErrors) {
    names.references(&at.at("requests"), errs);
    let (same, distinct) = (at.at("matchAttribute"), at.at("distinctAttribute"));
    if same.exists() {
        fully_qualified_name(&same, errs);
    } else if distinct.exists() {
        fully_qualified_name(&distinct, errs);
    } else {
        // Stock tells of more than one here too.
        let detail =
            "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set";
        at.required(errs, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    fn found(devices: Value) -> Vec<String> {
        let spec = json!({"devices": devices});
        let mut errs = FieldErrors::new();
        claim_spec(&At::new(&spec, table::message("k8s.io.api.resource.v1.ResourceClaimSpec")), &mut errs);
        errs.iter().map(|e| e.to_string().replace("devices.", "")).collect()
    }

    #[test]
    fn a_request_is_for_devices_or_for_alternatives() {
        let exactly = json!({"deviceClassName": "c", "allocationMode": "All", "count": 1});
        let alternative = json!({"name": "s", "deviceClassName": "c", "allocationMode": "Some"});
        assert_eq!(
            found(json!({"requests": [
                {"name": "r", "exactly": exactly, "firstAvailable": [alternative]},
                {"name": "r", "exactly": exactly},
                {"name": "q", "firstAvailable": [alternative, alternative]},
            ]})),
            [
                "requests[0]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but multiple \
                 fields are set",
                "requests[1].exactly.count: Invalid value: 1: must not be specified when allocationMode is 'All'",
                "requests[2].firstAvailable[0].allocationMode: Unsupported value: \"Some\": supported values: \"All\", \
                 \"ExactCount\"",
                "requests[2].firstAvailable[1].allocationMode: Unsupported value: \"Some\": supported values: \"All\", \
                 \"ExactCount\"",
                "requests[2].firstAvailable[1]: Duplicate value: \"s\"",
                "requests[1]: Duplicate value: \"r\"",
            ]
        );
    }

    #[test]
    fn constraints_and_settings_name_requests() {
        let requests = json!([{"name": "r", "firstAvailable": [{"name": "s", "deviceClassName": "c",
            "allocationMode": "All"}]}]);
        assert_eq!(
            found(json!({"requests": requests, "constraints": [{"requests": ["r", "r/s", "r/t", "r/s/t"]}],
                "config": [{"requests": ["r", "r"]}]})),
            [
                format!("constraints[0].requests[2]: Invalid value: \"r/t\": {REFERENCE}"),
                format!("constraints[0].requests[3]: Invalid value: \"r/s/t\": {REFERENCE}"),
                "constraints[0]: Required value: exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, \
                 but multiple fields are set"
                    .to_owned(),
                "config[0].requests[1]: Duplicate value: \"r\"".to_owned(),
                "config[0].opaque: Required value".to_owned(),
            ]
        );
    }

    #[test]
    fn devices_of_others_are_for_admins() {
        let spec = json!({"devices": {"requests": [{}, {"exactly": {"adminAccess": true}}]}});
        let mut cx = Cx::for_tests();
        let mut errs = FieldErrors::new();
        admin_access(&cx, &At::new(&spec, None), &mut errs);
        assert_eq!(
            errs[0].to_string(),
            "spec.devices.requests[1].adminAccess: Forbidden: admin access to devices requires the \
             `resource.kubernetes.io/admin-access: true` label on the containing namespace"
        );
        cx.namespace_labels.insert(ADMIN_LABEL.into(), "true".into());
        errs.clear();
        admin_access(&cx, &At::new(&spec, None), &mut errs);
        assert!(errs.is_empty());
    }
}
