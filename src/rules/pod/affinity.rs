//! Where a pod wants to run: node selectors, and affinity to nodes and to other pods.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::field::{FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::labels::{SelectorLeniency, is_counted, label_name, label_selector};
use crate::rules::checks::names::{dns1123_label, dns1123_subdomain, label_value};

use super::options::Options;

pub const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
pub const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const WEIGHTS: std::ops::RangeInclusive<i64> = 1..=100;

/// `spec.affinity`.
pub fn affinity(at: &At, options: &Options, errs: &mut FieldErrors) {
    let node = at.at("nodeAffinity");
    if node.has(REQUIRED) {
        node_selector(&node.at(REQUIRED), options.bad_node_affinity_values, errs);
    }
    preferred_terms(&node.at(PREFERRED), errs);
    for list in ["podAffinity", "podAntiAffinity"] {
        let affinity = at.at(list);
        for term in affinity.at(REQUIRED).items() {
            pod_term(&term, options.bad_selector_values, errs);
        }
        for weighted in affinity.at(PREFERRED).items() {
            weight(&weighted, errs);
            pod_term(&weighted.at("podAffinityTerm"), options.bad_selector_values, errs);
        }
    }
}

/// Terms by which nodes are chosen: `{nodeSelectorTerms}`. `bad_values`: of labels that no node can have.
pub fn node_selector(at: &At, bad_values: bool, errs: &mut FieldErrors) {
    let terms = at.at("nodeSelectorTerms");
    if terms.is_empty() {
        terms.required(errs, "must have at least one node selector term");
    }
    for term in terms.items() {
        node_term(&term, bad_values, errs);
    }
}

/// Weighted terms. Values of labels that no node can have are right.
pub fn preferred_terms(at: &At, errs: &mut FieldErrors) {
    for term in at.items() {
        weight(&term, errs);
        node_term(&term.at("preference"), true, errs);
    }
}

fn weight(at: &At, errs: &mut FieldErrors) {
    if !WEIGHTS.contains(&at.at("weight").i64()) {
        at.at("weight").invalid(errs, "must be in the range 1-100");
    }
}

pub fn node_term(at: &At, bad_values: bool, errs: &mut FieldErrors) {
    for requirement in at.at("matchExpressions").items() {
        node_requirement(&requirement, bad_values, errs);
    }
    for requirement in at.at("matchFields").items() {
        node_field(&requirement, errs);
    }
}

fn node_requirement(at: &At, bad_values: bool, errs: &mut FieldErrors) {
    let (operator, values) = (at.at("operator"), at.at("values"));
    if matches!(operator.str(), "Gt" | "Lt") {
        if values.len() != 1 {
            values.required(errs, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
    } else if !is_counted(&operator, &values, errs) {
        operator.invalid(errs, "not a valid selector operator");
    }
    label_name(&at.at("key"), errs);
    if !bad_values {
        for value in values.items() {
            value.check(errs, label_value);
        }
    }
}

fn node_field(at: &At, errs: &mut FieldErrors) {
    let values = at.at("values");
    match at.at("operator").str() {
        "In" | "NotIn" if values.len() == 1 => {}
        "In" | "NotIn" => {
            values.required(errs, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
        }
        _ => at.at("operator").invalid(errs, "not a valid selector operator"),
    }
    if at.at("key").str() != "metadata.name" {
        at.at("key").invalid(errs, "not a valid field selector key");
        return;
    }
    for value in values.items() {
        value.check(errs, dns1123_subdomain);
    }
}

fn pod_term(at: &At, bad_values: bool, errs: &mut FieldErrors) {
    let leniency = SelectorLeniency { bad_values, ..SelectorLeniency::default() };
    label_selector(&at.at("labelSelector"), leniency, errs);
    label_selector(&at.at("namespaceSelector"), leniency, errs);
    for name in at.at("namespaces").strs() {
        for text in dns1123_label(name) {
            errs.push(FieldError::invalid(&at.path().name("namespace"), name, text));
        }
    }
    label_keys(at, &["matchLabelKeys", "mismatchLabelKeys"], errs);
    let key = at.at("topologyKey");
    if key.is_empty() {
        key.required(errs, "can not be empty");
    }
    label_name(&key, errs);
}

/// Keys of the pod's own labels that complete a selector; `lists` are the fields that have them (KEP-3633).
pub fn label_keys(at: &At, lists: &[&str], errs: &mut FieldErrors) {
    let selector = at.at("labelSelector");
    for list in lists {
        let keys = at.at(list);
        if keys.is_empty() {
            continue;
        }
        if selector.is_null() {
            keys.forbidden(errs, "must not be specified when labelSelector is not set");
            continue;
        }
        for key in keys.items() {
            label_name(&key, errs);
        }
    }
    let keys = at.at("matchLabelKeys");
    if keys.is_empty() {
        return;
    }
    let positions: BTreeMap<_, _> = keys.strs().enumerate().map(|(position, key)| (key, position)).collect();
    let mut selected: BTreeSet<_> = selector.at("matchLabels").entries().map(|(key, _)| key).collect();
    for expression in selector.at("matchExpressions").items() {
        let key = expression.at("key").str();
        if !selected.insert(key)
            && let Some(position) = positions.get(key)
        {
            let place = at.path().index(*position);
            errs.push(FieldError::invalid(&place, key, "exists in both matchLabelKeys and labelSelector"));
        }
    }
    if lists.contains(&"mismatchLabelKeys") {
        let others: BTreeSet<_> = at.at("mismatchLabelKeys").strs().collect();
        for key in keys.items().filter(|key| others.contains(key.str())) {
            key.invalid(errs, "exists in both matchLabelKeys and mismatchLabelKeys");
        }
    }
}

/// Calls `visit` with every term of affinity to pods.
pub fn terms_of_pods(spec: &At, mut visit: impl FnMut(&At)) {
    let affinity = spec.at("affinity");
    for list in ["podAffinity", "podAntiAffinity"] {
        let affinity = affinity.at(list);
        affinity.at(REQUIRED).items().for_each(|term| visit(&term));
        affinity.at(PREFERRED).items().for_each(|weighted| visit(&weighted.at("podAffinityTerm")));
    }
}

/// Whether the required terms of node affinity have a value that is none of a label.
pub fn has_bad_required_value(spec: &At) -> bool {
    has_bad_value(&spec.at("affinity").at("nodeAffinity").at(REQUIRED))
}

/// Whether a node selector's expressions have such a value.
pub fn has_bad_value(selector: &At) -> bool {
    let terms = selector.value()["nodeSelectorTerms"].as_array();
    let expressions = terms.into_iter().flatten().flat_map(|term| term["matchExpressions"].as_array());
    let mut values = expressions.flatten().flat_map(|e| e["values"].as_array()).flatten();
    values.any(|value| !label_value(value.as_str().unwrap_or("")).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};
    use crate::rules::transcript::assert_begin;
    use crate::schema::table;

    fn found(check: impl Fn(&At, &mut FieldErrors), message: &str, value: &Value) -> Vec<String> {
        let mut errs = FieldErrors::new();
        check(&At::new(value, table::message(&format!("k8s.io.api.core.v1.{message}"))), &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn node_selectors() {
        let selector = json!({"nodeSelectorTerms": [
            {"matchExpressions": [
                {"key": "a", "operator": "In", "values": ["b", "-"]},
                {"key": "a", "operator": "Gt", "values": ["1", "2"]},
                {"key": "a", "operator": "Is"}]},
            {"matchFields": [
                {"key": "metadata.name", "operator": "In", "values": ["a", "B"]},
                {"key": "spec.x", "operator": "Exists"}]}]});
        assert_begin(
            &found(|at, errs| node_selector(at, false, errs), "NodeSelector", &selector),
            &[
                "nodeSelectorTerms[0].matchExpressions[0].values[1]: Invalid value: \"-\": a valid label must be ",
                "nodeSelectorTerms[0].matchExpressions[1].values: Required value: must be specified single value ",
                "nodeSelectorTerms[0].matchExpressions[2].operator: Invalid value: \"Is\": not a valid selector op",
                "nodeSelectorTerms[1].matchFields[0].values: Required value: must be only one value when `operato",
                "nodeSelectorTerms[1].matchFields[0].values[1]: Invalid value: \"B\": a lowercase RFC 1123 subdoma",
                "nodeSelectorTerms[1].matchFields[1].operator: Invalid value: \"Exists\": not a valid selector ope",
                "nodeSelectorTerms[1].matchFields[1].key: Invalid value: \"spec.x\": not a valid field selector ke",
            ],
        );
        let empty = found(|at, errs| node_selector(at, false, errs), "NodeSelector", &json!({}));
        assert_eq!(empty, ["nodeSelectorTerms: Required value: must have at least one node selector term"]);
    }

    #[test]
    fn label_keys_complete_a_selector() {
        let term = json!({"matchLabelKeys": ["a", "b"], "mismatchLabelKeys": ["b"], "topologyKey": "zone",
            "namespaces": ["B"], "labelSelector": {"matchLabels": {"a": "1"},
            "matchExpressions": [{"key": "a", "operator": "Exists"}]}});
        assert_begin(
            &found(|at, errs| pod_term(at, false, errs), "PodAffinityTerm", &term),
            &[
                "namespace: Invalid value: \"B\": a lowercase RFC 1123 label must consist of lower case alphanumer",
                "[0]: Invalid value: \"a\": exists in both matchLabelKeys and labelSelector",
                "matchLabelKeys[1]: Invalid value: \"b\": exists in both matchLabelKeys and mismatchLabelKeys",
            ],
        );
    }
}
