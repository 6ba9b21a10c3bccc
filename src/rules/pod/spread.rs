//! Topology spread constraints (KEP-895).

use std::collections::BTreeMap;

use crate::model::field::{FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::labels::{SelectorLeniency, label_name, label_selector};
use crate::rules::checks::numbers::positive;

use super::affinity::label_keys;
use super::options::Options;

/// `spec.topologySpreadConstraints`.
pub fn constraints(at: &At, options: &Options, errs: &mut FieldErrors) {
    let pair =
        |item: &At<'_, '_>| (item.at("topologyKey").str().to_owned(), item.at("whenUnsatisfiable").str().to_owned());
    let mut later: BTreeMap<_, usize> = BTreeMap::new();
    at.items().for_each(|item| *later.entry(pair(&item)).or_default() += 1);
    for item in at.items() {
        constraint(&item, errs);
        let left = later.entry(pair(&item)).or_default();
        *left -= 1;
        if *left > 0 {
            let value = format!("{{{}, {}}}", item.at("topologyKey").str(), item.at("whenUnsatisfiable").str());
            errs.push(FieldError::duplicate(&item.path().name("{topologyKey, whenUnsatisfiable}"), &value));
        }
        min_domains(&item, errs);
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            choices::optional(&item.at(policy), &["Honor", "Ignore"], errs);
        }
        if options.spread_keys_twice {
            keys_not_in_selector(&item, errs);
        } else {
            keys_apart_from_selector(&item, errs);
        }
        if !options.bad_spread_selectors {
            label_selector(&item.at("labelSelector"), SelectorLeniency::default(), errs);
        }
    }
}

fn constraint(at: &At, errs: &mut FieldErrors) {
    positive(&at.at("maxSkew"), errs);
    if at.at("topologyKey").is_empty() {
        at.at("topologyKey").required(errs, "can not be empty");
    }
    choices::one_of(&at.at("whenUnsatisfiable"), &["DoNotSchedule", "ScheduleAnyway"], errs);
}

fn min_domains(at: &At, errs: &mut FieldErrors) {
    let (least, action) = (at.at("minDomains"), at.at("whenUnsatisfiable").str());
    if least.is_null() {
        return;
    }
    positive(&least, errs);
    if action != "DoNotSchedule" {
        let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        least.invalid(errs, detail);
    }
}

/// The rule of 1.34: the keys are merged into the selector, which may then have them once.
pub fn keys_apart_from_selector(at: &At, errs: &mut FieldErrors) {
    label_keys(at, &["matchLabelKeys"], errs);
}

/// The rule before that: the selector has none of the keys.
fn keys_not_in_selector(at: &At, errs: &mut FieldErrors) {
    let (keys, selector) = (at.at("matchLabelKeys"), at.at("labelSelector"));
    if keys.is_empty() {
        return;
    }
    if selector.is_null() {
        keys.forbidden(errs, "must not be specified when labelSelector is not set");
    }
    for key in keys.items() {
        label_name(&key, errs);
        let in_labels = selector.at("matchLabels").entry(key.str()).exists();
        if in_labels || selector.at("matchExpressions").items().any(|e| e.at("key").str() == key.str()) {
            key.invalid(errs, "exists in both matchLabelKeys and labelSelector");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn constraints_are_judged_in_stocks_order() {
        let spec = json!({"topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"},
            {"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 0, "matchLabelKeys": ["a"],
             "nodeTaintsPolicy": "No"},
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
             "labelSelector": {"matchLabels": {"-": "b"}}}]});
        let mut errs = FieldErrors::new();
        let root = At::new(&spec, table::message("k8s.io.api.core.v1.PodSpec"));
        constraints(&root.at("topologySpreadConstraints"), &Options::default(), &mut errs);
        let texts: Vec<_> = errs.iter().map(|e| e.to_string().replace("topologySpreadConstraints", "")).collect();
        assert_eq!(
            texts[..6],
            [
                "[1].maxSkew: Invalid value: 0: must be greater than zero",
                "[1].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{zone, ScheduleAnyway}\"",
                "[1].minDomains: Invalid value: 0: must be greater than zero",
                "[1].minDomains: Invalid value: 0: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
                "[1].nodeTaintsPolicy: Unsupported value: \"No\": supported values: \"Honor\", \"Ignore\"",
                "[1].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
            ]
        );
        assert!(texts.len() == 7 && texts[6].starts_with("[2].labelSelector.matchLabels: Invalid value: \"-\""));
    }
}
