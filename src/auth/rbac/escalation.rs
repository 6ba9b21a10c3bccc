//! May one grant what one wants to grant: only rights that one holds oneself.

use std::collections::BTreeSet;

use compact_str::CompactString;

use super::rule::{Rule, has, has_or_all, path_covers, quoted};
use crate::auth::identity::User;
use crate::model::gotext;

/// Most single rights that a rule is taken apart into; one with more must be held as a whole.
const SINGLE_RIGHTS: usize = 100_000;

/// Which rights in `wanted` no rule in `held` gives, taken apart to one verb, group, resource and name each.
pub fn covers(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let mut missing = Vec::new();
    for rule in wanted {
        if held.iter().any(|own| rule_covers(own, rule)) {
            continue;
        }
        let singles = if singles_in(rule) > SINGLE_RIGHTS { vec![rule.clone()] } else { take_apart(rule) };
        missing.extend(singles.into_iter().filter(|single| !held.iter().any(|own| rule_covers(own, single))));
    }
    missing
}

/// The text of the refusal. `errors` tells of roles that could not be found, empty when all were.
pub fn refusal(user: &User, missing: Vec<Rule>, errors: &str) -> String {
    let shown: BTreeSet<String> = compact(missing).iter().map(ToString::to_string).collect();
    let shown: Vec<String> = shown.into_iter().collect();
    let mut text = format!(
        "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        gotext::quote(&user.name),
        quoted(&user.groups),
        shown.join("\n")
    );
    if !errors.is_empty() {
        text += &format!("; resolution errors: [{errors}]");
    }
    text
}

/// Whether one rule alone gives all that the other does.
fn rule_covers(own: &Rule, wanted: &Rule) -> bool {
    let all = |own: &[CompactString], wanted: &[CompactString]| has(own, "*") || wanted.iter().all(|w| has(own, w));
    let names = own.resource_names.is_empty()
        || (!wanted.resource_names.is_empty()
            && wanted.resource_names.iter().all(|name| has(&own.resource_names, name)));
    all(&own.verbs, &wanted.verbs)
        && all(&own.api_groups, &wanted.api_groups)
        && wanted.resources.iter().all(|resource| covers_resource(&own.resources, resource))
        && wanted.non_resource_urls.iter().all(|url| own.non_resource_urls.iter().any(|o| path_covers(o, url)))
        && names
}

fn covers_resource(own: &[CompactString], resource: &str) -> bool {
    has_or_all(own, resource)
        || resource
            .split_once('/')
            .is_some_and(|(_, subresource)| own.iter().any(|own| own.strip_prefix("*/") == Some(subresource)))
}

fn singles_in(rule: &Rule) -> usize {
    let resources =
        [&rule.api_groups, &rule.resources, &rule.verbs].iter().map(|f| f.len()).fold(1, usize::saturating_mul);
    let paths = rule.non_resource_urls.len().saturating_mul(rule.verbs.len());
    resources.saturating_mul(rule.resource_names.len().max(1)).saturating_add(paths)
}

fn take_apart(rule: &Rule) -> Vec<Rule> {
    let one = |text: &CompactString| vec![text.clone()];
    let mut singles = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let single =
                    Rule { api_groups: one(group), resources: one(resource), verbs: one(verb), ..Rule::default() };
                if rule.resource_names.is_empty() {
                    singles.push(single);
                    continue;
                }
                for name in &rule.resource_names {
                    singles.push(Rule { resource_names: one(name), ..single.clone() });
                }
            }
        }
    }
    for url in &rule.non_resource_urls {
        for verb in &rule.verbs {
            singles.push(Rule { non_resource_urls: one(url), verbs: one(verb), ..Rule::default() });
        }
    }
    singles
}

/// Puts the verbs for one resource (of one name, or of none) together.
fn compact(rules: Vec<Rule>) -> Vec<Rule> {
    let mut compacted: Vec<Rule> = Vec::new();
    for rule in rules {
        let simple = rule.api_groups.len() == 1
            && rule.resources.len() == 1
            && rule.resource_names.len() <= 1
            && rule.non_resource_urls.is_empty();
        let same = |other: &&mut Rule| {
            other.api_groups == rule.api_groups
                && other.resources == rule.resources
                && other.resource_names == rule.resource_names
                && other.non_resource_urls.is_empty()
        };
        match compacted.iter_mut().rev().find(same).filter(|_| simple) {
            Some(other) => other.verbs.extend(rule.verbs),
            None => compacted.push(rule),
        }
    }
    compacted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};

    fn rules(value: &Value) -> Vec<Rule> {
        value.as_array().expect("rules").iter().map(Rule::from_value).collect()
    }

    fn missing(held: &Value, wanted: &Value) -> Vec<String> {
        compact(covers(&rules(held), &rules(wanted))).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rights_are_compared_one_by_one() {
        let held = json!([
            {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]},
            {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]},
            {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*/scale"]},
            {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/logs/*"]},
        ]);
        let none: &[&str] = &[];
        let cases = [
            (json!({"verbs": ["list", "get"], "apiGroups": [""], "resources": ["pods"]}), none),
            (json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["x"]}), none),
            (json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]}), none),
            (json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments/scale"]}), none),
            (json!({"verbs": ["get"], "nonResourceURLs": ["/metrics", "/logs/a", "/logs/*"]}), none),
            (
                json!({"verbs": ["get", "delete", "patch"], "apiGroups": [""], "resources": ["pods"]}),
                &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete" "patch"]}"#],
            ),
            (
                json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "b"]}),
                &[r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}"#],
            ),
            (
                json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}),
                &[r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}"#],
            ),
            (
                json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments", "deployments/status"]}),
                &[
                    r#"{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}"#,
                    r#"{APIGroups:["apps"], Resources:["deployments/status"], Verbs:["get"]}"#,
                ],
            ),
            (
                json!({"verbs": ["get", "post"], "nonResourceURLs": ["/metrics", "/x"]}),
                &[
                    r#"{NonResourceURLs:["/metrics"], Verbs:["post"]}"#,
                    r#"{NonResourceURLs:["/x"], Verbs:["get"]}"#,
                    r#"{NonResourceURLs:["/x"], Verbs:["post"]}"#,
                ],
            ),
            (
                json!({"verbs": ["*"], "apiGroups": [""], "resources": ["pods"]}),
                &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["*"]}"#],
            ),
        ];
        for (wanted, expected) in cases {
            assert_eq!(missing(&held, &json!([wanted])), expected, "{wanted}");
        }
    }

    #[test]
    fn a_rule_of_millions_of_rights_is_not_taken_apart() {
        let many = |prefix: &str| (0..200).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
        let wanted =
            json!([{"verbs": many("v"), "apiGroups": many("g"), "resources": many("r"), "resourceNames": many("n")}]);
        assert_eq!(missing(&json!([]), &wanted).len(), 1);
        assert!(missing(&json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]), &wanted).is_empty());
    }

    #[test]
    fn the_refusal_lists_sorted_rules() {
        let wanted = rules(&json!([
            {"verbs": ["get"], "apiGroups": ["b"], "resources": ["y"]},
            {"verbs": ["get"], "apiGroups": ["a"], "resources": ["x"]},
        ]));
        assert_eq!(
            refusal(&User::new("u", &["g", "h"]), wanted, "lost"),
            "user \"u\" (groups=[\"g\" \"h\"]) is attempting to grant RBAC permissions not currently held:\n\
             {APIGroups:[\"a\"], Resources:[\"x\"], Verbs:[\"get\"]}\n{APIGroups:[\"b\"], Resources:[\"y\"], Verbs:[\"get\"]}; \
             resolution errors: [lost]"
        );
    }
}
