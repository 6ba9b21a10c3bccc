//! Role and ClusterRole: what may be done.

use super::at::At;
use super::checks::labels::{SelectorLeniency, label_selector};
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::{NameRule, path_segment};
use super::kind::{NONE, Rules};
use crate::model::field::FieldErrors;
use crate::model::selector::label::Selector;
use crate::model::value::Value;

pub const GROUP: &str = "rbac.authorization.k8s.io";
/// Names of roles and bindings are whatever fits into a URL, also where they are made up.
pub const NAME: NameRule = NameRule::Own(|name, _| path_segment(name));

pub const ROLE: Rules = Rules {
    group: GROUP,
    kind: "Role",
    create_on_update: true,
    validate: |_, at, errs| role(at, true, errs),
    validate_update: |_, at, old, errs| {
        role(at, true, errs);
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    },
    ..NONE
};

pub const CLUSTER_ROLE: Rules = Rules {
    group: GROUP,
    kind: "ClusterRole",
    create_on_update: true,
    validate: |_, at, errs| cluster_role(at, SelectorLeniency::default(), errs),
    validate_update: |_, at, old, errs| {
        let mut wrong = FieldErrors::new();
        selectors(old, SelectorLeniency::default(), &mut wrong);
        let leniency = SelectorLeniency { bad_values: !wrong.is_empty(), ..SelectorLeniency::default() };
        cluster_role(at, leniency, errs);
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    },
    ..NONE
};

fn role(at: &At, namespaced: bool, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), MetaRules { namespaced, name: NAME, kube_finalizers: true }, errs);
    for rule in at.at("rules").items() {
        policy_rule(&rule, namespaced, errs);
    }
}

fn cluster_role(at: &At, leniency: SelectorLeniency, errs: &mut FieldErrors) {
    role(at, false, errs);
    let aggregation = at.at("aggregationRule");
    if aggregation.exists() && aggregation.at("clusterRoleSelectors").is_empty() {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        aggregation.at("clusterRoleSelectors").required(errs, detail);
    }
    for selector in aggregation.at("clusterRoleSelectors").items() {
        label_selector(&selector, leniency, errs);
        if Selector::of_object(selector.value()).is_err() {
            selector.invalid_as(errs, &Value::Null, "invalid label selector.");
        }
    }
}

fn selectors(at: &At, leniency: SelectorLeniency, errs: &mut FieldErrors) {
    for selector in at.at("aggregationRule").at("clusterRoleSelectors").items() {
        label_selector(&selector, leniency, errs);
    }
}

fn policy_rule(at: &At, namespaced: bool, errs: &mut FieldErrors) {
    if at.at("verbs").is_empty() {
        at.at("verbs").required(errs, "verbs must contain at least one value");
    }
    let urls = at.at("nonResourceURLs");
    if !urls.is_empty() {
        if namespaced {
            urls.invalid(errs, "namespaced rules cannot apply to non-resource URLs");
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|list| !at.at(list).is_empty()) {
            urls.invalid(errs, "rules cannot apply to both regular resources and non-resource URLs");
        }
        return;
    }
    for (list, detail) in [
        ("apiGroups", "resource rules must supply at least one api group"),
        ("resources", "resource rules must supply at least one resource"),
    ] {
        if at.at(list).is_empty() {
            at.at(list).required(errs, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    #[test]
    fn rules_are_about_resources_or_about_urls() {
        let roles = Kind::new("rbac.authorization.k8s.io/v1", "Role");
        assert_eq!(
            roles.refused(json!({"rules": [{}, {"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": ["pods"]}]})),
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
                "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
                "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and \
                 non-resource URLs",
            ]
        );
        let cluster_roles = Kind::new("rbac.authorization.k8s.io/v1", "ClusterRole");
        let urls = json!({"metadata": {"name": "system:a B"}, "rules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]});
        assert!(cluster_roles.create(urls).is_ok());
    }

    #[test]
    fn an_aggregated_role_selects_others() {
        let kind = Kind::new("rbac.authorization.k8s.io/v1", "ClusterRole");
        let role = |selectors: Value| json!({"aggregationRule": {"clusterRoleSelectors": selectors}});
        assert_eq!(
            kind.refused(role(json!([]))),
            ["aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if \
              aggregationRule is non-nil"]
        );
        let bad = role(json!([{"matchExpressions": [{"key": "a", "operator": "Is"}]}]));
        assert_eq!(
            kind.refused(bad),
            [
                "aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator: Invalid value: \"Is\": not a \
                 valid selector operator",
                "aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.",
            ]
        );
    }
}
