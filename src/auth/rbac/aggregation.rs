//! Cluster roles that are made of others, chosen by labels.

use super::rule::Rule;
use crate::model::object;
use crate::model::value::Value;

/// Whether the rules of this cluster role are made of others'.
pub fn is_aggregated(role: &Value) -> bool {
    role.get("aggregationRule").is_some_and(Value::is_object)
}

/// The rules that an aggregated cluster role shall have: for each of its selectors those of every role selected, by
/// name, each rule once. `matches` tells whether a label selector (of the API's form) selects an object.
pub fn aggregated_rules<'a>(
    role: &Value,
    cluster_roles: impl IntoIterator<Item = &'a Value>,
    matches: impl Fn(&Value, &Value) -> bool,
) -> Vec<Rule> {
    let mut others: Vec<_> = cluster_roles.into_iter().filter(|o| object::name(o) != object::name(role)).collect();
    others.sort_by_key(|other| object::name(other));
    let selectors = role.pointer("/aggregationRule/clusterRoleSelectors").and_then(Value::as_array);
    let mut rules: Vec<Rule> = Vec::new();
    for selector in selectors.into_iter().flatten() {
        for other in others.iter().filter(|other| matches(selector, other)) {
            for rule in Rule::all_of(other) {
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn role(name: &str, label: &str, resources: &[&str]) -> Value {
        let rules: Vec<_> =
            resources.iter().map(|r| json!({"verbs": ["get"], "apiGroups": [""], "resources": [r]})).collect();
        json!({"metadata": {"name": name, "labels": {"to": label}}, "rules": rules})
    }

    #[test]
    fn selected_roles_are_put_together_by_name_each_rule_once() {
        let mut whole = role("whole", "a", &["ignored"]);
        whole["aggregationRule"] =
            json!({"clusterRoleSelectors": [{"matchLabels": {"to": "b"}}, {"matchLabels": {"to": "a"}}]});
        let roles = [
            role("z", "a", &["pods", "secrets"]),
            role("y", "a", &["pods"]),
            role("x", "b", &["nodes"]),
            role("w", "c", &["no"]),
            whole.clone(),
        ];
        let selects =
            |selector: &Value, role: &Value| selector["matchLabels"]["to"] == role["metadata"]["labels"]["to"];
        let rules = aggregated_rules(&whole, &roles, selects);
        let resources: Vec<_> = rules.iter().map(|rule| rule.resources[0].as_str()).collect();
        assert_eq!(resources, ["nodes", "pods", "secrets"]);
        assert!(is_aggregated(&whole) && !is_aggregated(&roles[0]));
    }
}
