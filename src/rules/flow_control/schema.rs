//! FlowSchema: which requests belong together, and to which priority level.

use super::mandatory::{self, EXEMPT};
use super::{CONDITIONS, GROUP, META, conditions};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::meta::object_meta;
use crate::rules::checks::names::{dns1123_label, dns1123_subdomain};
use crate::rules::fill;
use crate::rules::kind::{Generation, NONE, Rules, Status};

pub const RULES: Rules = Rules {
    group: GROUP,
    kind: "FlowSchema",
    generation: Generation::Fields(&["spec"]),
    status: Status::Separate,
    validate: |_, at, errs| schema(at, errs),
    validate_update: |_, at, _, errs| schema(at, errs),
    parts: &[CONDITIONS],
    ..NONE
};

const DEFAULT_PRECEDENCE: i64 = 1000;
const MOST_PRECEDENCE: i64 = 10_000;
/// Sorted.
const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
/// (kind, the field that says who, what is told when it is missing, what is told when it stands beside another kind)
const SUBJECTS: [(&str, &str, &str, &str); 3] = [
    (
        "ServiceAccount",
        "serviceAccount",
        "serviceAccount is required when subject kind is 'ServiceAccount'",
        "serviceAccount is forbidden when subject kind is not 'ServiceAccount'",
    ),
    (
        "User",
        "user",
        "user is required when subject kind is 'User'",
        "user is forbidden when subject kind is not 'User'",
    ),
    (
        "Group",
        "group",
        "group is required when subject kind is 'Group'",
        "group is forbidden when subject kind is not 'Group'",
    ),
];

pub fn fill_schema(object: &mut Value) {
    if let Some(spec) = fill::made(object, &["spec"]) {
        fill::default(spec, "matchingPrecedence", DEFAULT_PRECEDENCE);
    }
}

fn schema(at: &At, errs: &mut FieldErrors) {
    let metadata = at.at("metadata");
    object_meta(&metadata, META, errs);
    let (name, spec) = (metadata.at("name").str(), at.at("spec"));
    self::spec(name, &spec, errs);
    if let Some(fixed) = mandatory::schema(name)
        && !spec.same_as(&At::new(&fixed, None))
    {
        spec.invalid(errs, format!("spec of '{name}' must equal the fixed value"));
    }
    conditions(at, errs);
}

fn spec(name: &str, at: &At, errs: &mut FieldErrors) {
    let precedence = at.at("matchingPrecedence");
    if precedence.i64() <= 0 {
        precedence.invalid(errs, "must be a positive value");
    }
    if precedence.i64() > MOST_PRECEDENCE {
        precedence.invalid(errs, format!("must not be greater than {MOST_PRECEDENCE}"));
    }
    if precedence.i64() == 1 && name != EXEMPT {
        precedence.invalid(errs, "only the schema named 'exempt' may have matchingPrecedence 1");
    }
    let distinguisher = at.at("distinguisherMethod");
    let methods = ["ByNamespace", "ByUser"];
    if distinguisher.exists() && !methods.contains(&distinguisher.at("type").str()) {
        let place = distinguisher.path().name("type");
        errs.push(FieldError::not_supported(&place, distinguisher.bad(), &methods));
    }
    let level = at.at("priorityLevelConfiguration");
    let level = level.at("name");
    if level.is_empty() {
        level.required(errs, "must reference a priority level");
    } else {
        level.check(errs, dns1123_subdomain);
    }
    for rule in at.at("rules").items() {
        self::rule(&rule, errs);
    }
}

fn rule(at: &At, errs: &mut FieldErrors) {
    let subjects = at.at("subjects");
    if subjects.is_empty() {
        subjects.required(errs, "subjects must contain at least one value");
    }
    for subject in subjects.items() {
        self::subject(&subject, errs);
    }
    let (resources, urls) = (at.at("resourceRules"), at.at("nonResourceRules"));
    if resources.is_empty() && urls.is_empty() {
        at.required(errs, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
    for rule in resources.items() {
        resource_rule(&rule, errs);
    }
    for rule in urls.items() {
        url_rule(&rule, errs);
    }
}

fn subject(at: &At, errs: &mut FieldErrors) {
    let kind = at.at("kind");
    let Some((own, who, required, _)) = SUBJECTS.iter().find(|(name, ..)| *name == kind.str()) else {
        return kind.not_supported(errs, &["Group", "ServiceAccount", "User"]);
    };
    let who = at.at(who);
    if who.is_null() {
        who.required(errs, *required);
    } else if *own == "ServiceAccount" {
        service_account(&who, errs);
    } else if who.at("name").is_empty() {
        who.at("name").required(errs, "");
    }
    for (_, other, _, forbidden) in SUBJECTS.iter().filter(|(name, ..)| name != own) {
        if at.has(other) {
            at.at(other).forbidden(errs, *forbidden);
        }
    }
}

fn service_account(at: &At, errs: &mut FieldErrors) {
    let (name, namespace) = (at.at("name"), at.at("namespace"));
    if name.is_empty() {
        name.required(errs, "");
    } else if name.str() != "*" {
        name.check(errs, dns1123_subdomain);
    }
    if namespace.is_empty() {
        namespace.required(errs, "must specify namespace for service account");
    } else {
        namespace.check(errs, dns1123_label);
    }
}

fn resource_rule(at: &At, errs: &mut FieldErrors) {
    verbs(&at.at("verbs"), errs);
    for (list, none, beside_all) in [
        (
            "apiGroups",
            "resource rules must supply at least one api group",
            "if '*' is present, must not specify other api groups",
        ),
        (
            "resources",
            "resource rules must supply at least one resource",
            "if '*' is present, must not specify other resources",
        ),
    ] {
        let list = at.at(list);
        if list.is_empty() {
            list.required(errs, none);
        } else {
            only_all(&list, beside_all, errs);
        }
    }
    let namespaces = at.at("namespaces");
    if namespaces.is_empty() && !at.at("clusterScope").bool() {
        let detail = "resource rules that are not cluster scoped must supply at least one namespace";
        namespaces.required(errs, detail);
    } else if !only_all(&namespaces, "if '*' is present, must not specify other namespaces", errs) {
        for namespace in namespaces.items() {
            for text in dns1123_label(namespace.str()) {
                namespace.invalid(errs, format!("each member of this list must be '*' or a DNS-1123 label; {text}"));
            }
        }
    }
}

fn url_rule(at: &At, errs: &mut FieldErrors) {
    verbs(&at.at("verbs"), errs);
    let urls = at.at("nonResourceURLs");
    if urls.is_empty() {
        urls.required(errs, "nonResourceURLs must contain at least one value");
    } else if !only_all(&urls, "if '*' is present, must not specify other non-resource URLs", errs) {
        for url in urls.items() {
            if let Some(wrong) = wrong_path(url.str()) {
                url.invalid(errs, wrong);
            }
        }
    }
}

fn verbs(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        at.required(errs, "verbs must contain at least one value");
    } else if !only_all(at, "if '*' is present, must not specify other verbs", errs)
        && !at.strs().all(|verb| VERBS.contains(&verb))
    {
        at.not_supported(errs, &VERBS);
    }
}

/// Whether the list has a star, which must stand alone.
fn only_all(at: &At, beside_others: &'static str, errs: &mut FieldErrors) -> bool {
    let all = at.strs().any(|item| item == "*");
    if all && at.len() > 1 {
        at.invalid(errs, beside_others);
    }
    all
}

/// Why this is no path; a star may stand for all that follows a slash.
fn wrong_path(path: &str) -> Option<&'static str> {
    let stars = path.matches('*').count();
    Some(match path {
        "" => "must not be empty",
        "/" => return None,
        _ if !path.starts_with('/') => "must start with slash",
        _ if path.contains(' ') => "must not contain white-space",
        _ if path.contains("//") => "must not contain double slash",
        _ if stars > 1 || (stars == 1 && !path.ends_with("/*")) => "wildcard can only do suffix matching",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("flowcontrol.apiserver.k8s.io/v1", "FlowSchema")
    }

    #[test]
    fn paths_of_urls() {
        for (path, right) in [("/", true), ("/a/*", true), ("", false), ("a", false), ("/a b", false), ("//", false)] {
            assert_eq!(wrong_path(path).is_none(), right, "{path}");
        }
        assert_eq!(wrong_path("/a*"), Some("wildcard can only do suffix matching"));
    }

    #[test]
    fn rules_say_who_asks_what() {
        let bad = json!({"spec": {"matchingPrecedence": 1, "distinguisherMethod": {"type": "ByMood"}, "rules": [
            {"subjects": [{"kind": "User", "group": {"name": "g"}, "serviceAccount": {"name": "s"}}]},
            {"subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": "*"}}],
                "resourceRules": [{"verbs": ["*", "get"], "apiGroups": ["*"], "namespaces": ["A"]}],
                "nonResourceRules": [{"verbs": ["look"], "nonResourceURLs": ["x"]}]}]}});
        let found: Vec<_> = kind().refused(bad).iter().map(|e| e.chars().take(110).collect::<String>()).collect();
        assert_eq!(
            found,
            [
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
                "spec.distinguisherMethod.type: Unsupported value: {\"Type\":\"ByMood\"}: supported values: \"ByNamespace\", \"ByUser\"",
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
                "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
                "spec.rules[0].subjects[0].serviceAccount: Forbidden: serviceAccount is forbidden when subject kind is not 'Ser",
                "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
                "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
                "spec.rules[1].subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account",
                "spec.rules[1].resourceRules[0].verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other ve",
                "spec.rules[1].resourceRules[0].resources: Required value: resource rules must supply at least one resource",
                "spec.rules[1].resourceRules[0].namespaces[0]: Invalid value: \"A\": each member of this list must be '*' or a DN",
                "spec.rules[1].nonResourceRules[0].verbs: Unsupported value: [\"look\"]: supported values: \"create\", \"delete\", \"d",
                "spec.rules[1].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"x\": must start with slash",
            ]
        );
    }

    #[test]
    fn the_mandatory_ones_stay() {
        let exempt = json!({"metadata": {"name": "exempt"}, "spec": mandatory::schema("exempt")});
        assert!(kind().create(exempt.clone()).is_ok());
        let mut changed = exempt.clone();
        changed["spec"]["matchingPrecedence"] = 2.into();
        let errors = kind().update("", exempt, changed).unwrap_err();
        assert!(
            errors[0].ends_with(": spec of 'exempt' must equal the fixed value") && errors.len() == 1,
            "{errors:?}"
        );
    }

    #[test]
    fn a_writer_of_the_status_changes_nothing_else() {
        let old = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"matchingPrecedence": 5}});
        let new = json!({"metadata": {"annotations": {"c": "d"}}, "status": {"conditions": [{"type": "A"}]}});
        let kept = kind().update("status", old.clone(), new).expect("a status");
        assert_eq!(kept["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(
            (&kept["metadata"]["annotations"], &kept["spec"]),
            (&Value::Null, &json!({"matchingPrecedence": 5}))
        );
        let twice = json!({"status": {"conditions": [{}, {}]}});
        assert_eq!(
            kind().update("status", old, twice).unwrap_err(),
            [
                "status.conditions[0].type: Required value",
                "status.conditions[1].type: Duplicate value: \"\"",
                "status.conditions[1].type: Required value",
            ]
        );
    }
}
