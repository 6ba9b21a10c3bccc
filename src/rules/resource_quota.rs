//! ResourceQuota: what a namespace may use in all.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::checks::resources::{is_of_quotas, quota_resource_name, resource_quantity};
use super::fill::{fields, round_up};
use super::kind::{Cx, NONE, Part, Rules, STATUS, Status};
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "",
    kind: "ResourceQuota",
    status: Status::Separate,
    returns_deleted: true,
    validate: |_, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(&at.at("spec"), errs);
        amounts(&at.at("status").at("hard"), errs);
        amounts(&at.at("status").at("used"), errs);
    },
    validate_update,
    warn,
    parts: &[Part { validate: validate_status, ..STATUS }],
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "VolumeAttributesClass",
    "CrossNamespacePodAffinity",
];
const CONFLICTS: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];
const EXISTS_ONLY: &str = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
const OF_PODS: [&str; 7] = ["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];

/// The defaults of v1.
pub fn fill(object: &mut Value) {
    for (part, lists) in [("spec", &["hard"][..]), ("status", &["hard", "used"])] {
        if let Some(part) = fields(object, &[part]) {
            lists.iter().for_each(|list| round_up(part, list));
        }
    }
}

fn spec(at: &At, errs: &mut FieldErrors) {
    amounts(&at.at("hard"), errs);
    scopes(at, errs);
    if at.has("scopeSelector") {
        selector(at, errs);
    }
}

fn amounts(at: &At, errs: &mut FieldErrors) {
    for (name, amount) in at.entries() {
        quota_resource_name(&amount, name, errs);
        resource_quantity(&amount, name, errs);
    }
}

fn scopes(spec: &At, errs: &mut FieldErrors) {
    let scopes = spec.at("scopes");
    for scope in scopes.strs() {
        if !SCOPES.contains(&scope) {
            scopes.invalid(errs, "unsupported scope");
        }
        for _ in not_of_scope(spec, scope) {
            scopes.invalid(errs, "unsupported scope applied to resource");
        }
    }
    conflicts(scopes.strs(), &scopes, errs);
}

/// As in stock, places have no index and conflicts are shown at the selector with the other list of scopes.
fn selector(spec: &At, errs: &mut FieldErrors) {
    let selector = spec.at("scopeSelector");
    let expressions = selector.at("matchExpressions");
    for expression in expressions.items() {
        let field = |name| (expression.at(name), expressions.path().name(name));
        let (scope, place) = field("scopeName");
        if !SCOPES.contains(&scope.str()) {
            errs.push(FieldError::invalid(&place, scope.str(), "unsupported scope"));
        }
        for _ in not_of_scope(spec, scope.str()) {
            let detail = "unsupported scope applied to resource";
            errs.push(FieldError::invalid(expressions.path(), selector.bad(), detail));
        }
        let (operator, place) = field("operator");
        let exists_only = !["PriorityClass", "VolumeAttributesClass"].contains(&scope.str());
        if exists_only && SCOPES.contains(&scope.str()) && operator.str() != "Exists" {
            errs.push(FieldError::invalid(&place, operator.str(), EXISTS_ONLY));
        }
        values(&operator, &place, &expression.at("values"), &expressions.path().name("values"), errs);
    }
    let named: Vec<&str> = expressions.items().map(|expression| expression.at("scopeName").str()).collect();
    for _ in CONFLICTS.iter().filter(|pair| pair.iter().all(|scope| named.contains(scope))) {
        errs.push(FieldError::invalid(expressions.path(), spec.at("scopes").bad(), "conflicting scopes"));
    }
}

fn values(operator: &At, operator_place: &Path<'_>, values: &At, place: &Path<'_>, errs: &mut FieldErrors) {
    match operator.str() {
        "In" | "NotIn" if values.is_empty() => {
            let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errs.push(FieldError::required(place, detail));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errs.push(FieldError::invalid(place, values.bad(), detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => errs.push(FieldError::invalid(operator_place, other, "not a valid selector operator")),
    }
}

fn conflicts<'a>(scopes: impl Iterator<Item = &'a str> + Clone, at: &At, errs: &mut FieldErrors) {
    for _ in CONFLICTS.iter().filter(|pair| pair.iter().all(|scope| scopes.clone().any(|s| s == *scope))) {
        at.invalid(errs, "conflicting scopes");
    }
}

/// The limited resources about which the scope says nothing.
fn not_of_scope<'v>(spec: &At<'_, 'v>, scope: &'v str) -> impl Iterator<Item = &'v str> + use<'v> {
    let hard = spec.at("hard").value().as_object().into_iter().flatten();
    hard.map(|(name, _)| name.as_str()).filter(move |name| {
        is_of_quotas(name)
            && match scope {
                "BestEffort" => *name != "pods",
                "VolumeAttributesClass" => !["persistentvolumeclaims", "requests.storage"].contains(name),
                scope => SCOPES.contains(&scope) && !OF_PODS.contains(name),
            }
    })
}

fn validate_update(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    spec(&at.at("spec"), errs);
    let (now, was) = (at.at("spec"), old.at("spec"));
    let (scopes, before) = (now.at("scopes"), was.at("scopes"));
    let within = |a: &At, b: &At| a.strs().all(|scope| b.strs().any(|other| other == scope));
    if !(within(&scopes, &before) && within(&before, &scopes)) {
        scopes.invalid(errs, "field is immutable");
    }
}

fn validate_status(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    if at.at("metadata").at("resourceVersion").is_empty() {
        errs.push(FieldError::required(&Path::Root.name("resourceVersion"), ""));
    }
    amounts(&at.at("status").at("hard"), errs);
    amounts(&at.at("status").at("used"), errs);
}

/// Requests should not be above limits; said on create only.
fn warn(_: &Cx, at: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    if old.is_some() {
        return;
    }
    let spec = at.at("spec");
    let hard = spec.at("hard");
    for name in ["cpu", "memory", "storage", "ephemeral-storage"] {
        let (mut request, limit) = (format!("requests.{name}"), format!("limits.{name}"));
        if !hard.entry(&request).exists() && ["cpu", "memory"].contains(&name) {
            request = name.to_owned();
        }
        let (asked, most) = (hard.entry(&request), hard.entry(&limit));
        if asked.exists() && most.exists() && asked.quantity() > most.quantity() {
            let (asked, most) = (asked.quantity(), most.quantity());
            warnings.push(format!("ResourceQuota {request} ({asked}) should be less than {limit} ({most})"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("v1", "ResourceQuota")
    }

    #[test]
    fn scopes_fit_each_other_and_what_is_limited() {
        let quota = json!({"spec": {"hard": {"pods": "1", "cpu": "1", "x.y/z": "1"}, "scopes": ["BestEffort", "NotBestEffort", "No"]}});
        let place = "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"No\"]: ";
        let expected = ["unsupported scope applied to resource", "unsupported scope", "conflicting scopes"];
        assert_eq!(kind().refused(quota), expected.map(|text| format!("{place}{text}")));
    }

    #[test]
    fn a_selectors_operators_are_judged() {
        let expressions = json!([{"scopeName": "Terminating", "operator": "In"}, {"scopeName": "PriorityClass", "operator": "Exists", "values": ["a"]}]);
        let found = kind().refused(json!({"spec": {"scopeSelector": {"matchExpressions": expressions}}}));
        let place = "spec.scopeSelector.matchExpressions";
        assert_eq!(
            found,
            [
                format!("{place}.operator: Invalid value: \"In\": {EXISTS_ONLY}"),
                format!(
                    "{place}.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                ),
                format!(
                    "{place}.values: Invalid value: [\"a\"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                ),
            ]
        );
    }

    #[test]
    fn names_and_amounts_are_a_quotas() {
        let found = kind().refused(json!({"spec": {"hard": {"storage": "1", "pods": "-1500m"}}}));
        assert_eq!(
            found,
            [
                "spec.hard[pods]: Invalid value: \"-1500m\": must be greater than or equal to 0",
                "spec.hard[pods]: Invalid value: \"-1500m\": must be an integer",
                "spec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota",
            ]
        );
        let warned = kind().warnings(json!({"spec": {"hard": {"cpu": "2", "limits.cpu": "1"}}}));
        assert_eq!(warned, ["ResourceQuota cpu (2) should be less than limits.cpu (1)"]);
    }

    #[test]
    fn scopes_stay() {
        let quota = |scopes: &[&str]| json!({"spec": {"hard": {"pods": "1"}, "scopes": scopes}});
        let (a, b) = (quota(&["Terminating", "BestEffort"]), quota(&["BestEffort", "Terminating"]));
        assert!(kind().update("", a.clone(), b).is_ok());
        let found = kind().update("", a, quota(&["BestEffort"])).unwrap_err();
        assert_eq!(found, ["spec.scopes: Invalid value: [\"BestEffort\"]: field is immutable"]);
    }
}
