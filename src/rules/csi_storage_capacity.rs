//! CSIStorageCapacity: how much of a class is left where.

use super::at::At;
use super::checks::labels::{SelectorLeniency, label_selector};
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::{NameRule, dns1123_subdomain};
use super::checks::numbers::non_negative_quantity;
use super::kind::{NONE, Rules};
use super::pod::warnings::{node_term, old_node_label};
use crate::model::field::FieldErrors;

pub const RULES: Rules = Rules {
    group: "storage.k8s.io",
    kind: "CSIStorageCapacity",
    unconditional_update: false,
    validate: |_, at, errs| capacity(at, false, errs),
    validate_update: |_, at, old, errs| {
        let mut wrong = FieldErrors::new();
        label_selector(&old.at("nodeTopology"), SelectorLeniency::default(), &mut wrong);
        capacity(at, !wrong.is_empty(), errs);
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        for field in ["nodeTopology", "storageClassName"] {
            at.at(field).immutable(errs, &old.at(field));
        }
    },
    warn: |_, at, _, warnings| warn_topology(&at.at("nodeTopology"), warnings),
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };

fn capacity(at: &At, bad_values: bool, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let leniency = SelectorLeniency { bad_values, ..SelectorLeniency::default() };
    label_selector(&at.at("nodeTopology"), leniency, errs);
    at.at("storageClassName").check(errs, dns1123_subdomain);
    non_negative_quantity(&at.at("capacity"), errs);
}

/// Of selecting nodes by labels that went out of use.
fn warn_topology(at: &At, warnings: &mut Vec<String>) {
    node_term(at, false, warnings);
    let labels = at.at("matchLabels");
    for (key, why) in labels.entries().filter_map(|(key, _)| Some((key, old_node_label(key)?))) {
        warnings.push(format!("{}: {why}", labels.path().name(key)));
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn a_capacity_belongs_to_a_class_and_a_topology() {
        let kind = Kind::new("storage.k8s.io/v1", "CSIStorageCapacity");
        let zone = json!({"matchLabels": {"failure-domain.beta.kubernetes.io/zone": "a"}});
        let good = json!({"storageClassName": "fast", "capacity": "1Gi", "nodeTopology": zone});
        assert_eq!(
            kind.warnings(good.clone()),
            ["nodeTopology.matchLabels.failure-domain.beta.kubernetes.io/zone: deprecated since v1.17; use \
              \"topology.kubernetes.io/zone\" instead"]
        );
        assert_eq!(
            kind.update("", good, json!({"storageClassName": "slow", "capacity": "-1"})).unwrap_err(),
            [
                "capacity: Invalid value: \"-1\": must be greater than or equal to 0",
                "nodeTopology: Invalid value: null: field is immutable",
                "storageClassName: Invalid value: \"slow\": field is immutable",
            ]
        );
    }
}
