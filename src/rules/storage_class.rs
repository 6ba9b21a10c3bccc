//! StorageClass: how volumes are made for claims.

use std::collections::{BTreeMap, BTreeSet};

use super::at::At;
use super::checks::choices;
use super::checks::labels::label_name;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::{NameRule, label_key};
use super::fill;
use super::kind::{NONE, Rules};
use super::pod::warnings::old_node_label;
use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "storage.k8s.io",
    kind: "StorageClass",
    returns_deleted: true,
    validate: |_, at, errs| class(at, errs),
    validate_update: |_, at, old, errs| {
        class(at, errs);
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
            at.at(field).immutable(errs, &old.at(field));
        }
    },
    warn: |_, at, _, warnings| {
        for term in at.at("allowedTopologies").items() {
            for expression in term.at("matchLabelExpressions").items() {
                let key = expression.at("key");
                if let Some(why) = old_node_label(key.str()) {
                    warnings.push(format!("{}: {why}", key.path()));
                }
            }
        }
    },
    ..NONE
};

pub const META: MetaRules = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: true };
/// Of all keys and values together.
const PARAMETERS_BYTES: usize = 256 * 1024;
const MOST_PARAMETERS: usize = 512;

pub fn fill_class(object: &mut Value) {
    if let Some(class) = object.as_object_mut() {
        fill::default(class, "reclaimPolicy", "Delete");
        fill::default(class, "volumeBindingMode", "Immediate");
    }
}

fn class(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    driver(&at.at("provisioner"), errs);
    parameters(&at.at("parameters"), true, errs);
    let policy = at.at("reclaimPolicy");
    if !policy.is_empty() {
        choices::one_of(&policy, &["Delete", "Retain"], errs);
    }
    let mode = at.at("volumeBindingMode");
    if mode.is_null() {
        mode.required(errs, "");
    } else {
        choices::one_of(&mode, &["Immediate", "WaitForFirstConsumer"], errs);
    }
    topologies(&at.at("allowedTopologies"), errs);
}

/// The driver of a class: a qualified name in any case, shown in lower case.
pub fn driver(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        at.required(errs, "");
        return;
    }
    let lower = at.str().to_lowercase();
    for text in label_key(&lower) {
        at.invalid_as(errs, &lower, text);
    }
}

/// What a class tells its driver.
pub fn parameters(at: &At, allow_none: bool, errs: &mut FieldErrors) {
    if at.len() > MOST_PARAMETERS {
        at.too_long(errs, MOST_PARAMETERS);
        return;
    }
    let mut bytes = 0;
    for (key, value) in at.entries() {
        if key.is_empty() {
            at.invalid_as(errs, key, "field can not be empty.");
        }
        bytes += key.len() + value.len();
    }
    if bytes > PARAMETERS_BYTES {
        at.too_long(errs, PARAMETERS_BYTES);
    }
    if !allow_none && at.is_empty() {
        at.required(errs, "must contain at least one key/value pair");
    }
}

fn topologies(at: &At, errs: &mut FieldErrors) {
    for (index, term) in at.items().enumerate() {
        let list = term.at("matchLabelExpressions");
        for (index, expression) in list.items().enumerate() {
            topology_requirement(&expression, errs);
            let key = expression.at("key");
            if list.items().take(index).any(|earlier| earlier.at("key").str() == key.str()) {
                key.duplicate(errs);
            }
        }
        // Stock compares with as many empty terms as there are terms, then with the earlier ones.
        let same_as_empty = if list.is_empty() { at.len() } else { 0 };
        let this = requirements(term.value());
        let same = at.items().take(index).filter(|earlier| requirements(earlier.value()) == this);
        for _ in 0..same_as_empty + same.count() {
            errs.push(FieldError::duplicate(list.path(), ""));
        }
    }
}

fn topology_requirement(at: &At, errs: &mut FieldErrors) {
    let values = at.at("values");
    if values.is_empty() {
        values.required(errs, "");
    }
    for (index, value) in values.items().enumerate() {
        if values.strs().take(index).any(|earlier| earlier == value.str()) {
            value.duplicate(errs);
        }
    }
    label_name(&at.at("key"), errs);
}

/// What a term says, whatever the order: the values of each key, the last where one stands twice.
fn requirements(term: &Value) -> BTreeMap<&str, BTreeSet<&str>> {
    let expressions = term.get("matchLabelExpressions").and_then(Value::as_array).into_iter().flatten();
    expressions
        .map(|expression| {
            let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
            let key = expression.get("key").and_then(Value::as_str).unwrap_or("");
            (key, values.filter_map(Value::as_str).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("storage.k8s.io/v1", "StorageClass")
    }

    #[test]
    fn a_class_names_its_driver() {
        let kept = kind().create(json!({"provisioner": "Example.com/Disk", "parameters": {"a": ""}})).expect("a class");
        assert_eq!((&kept["reclaimPolicy"], &kept["volumeBindingMode"]), (&json!("Delete"), &json!("Immediate")));
        let bad = json!({"parameters": {"": "x"}, "reclaimPolicy": "Recycle", "volumeBindingMode": "Late"});
        assert_eq!(
            kind().refused(bad),
            [
                "provisioner: Required value",
                "parameters: Invalid value: \"\": field can not be empty.",
                "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
                "volumeBindingMode: Unsupported value: \"Late\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
            ]
        );
    }

    #[test]
    fn topologies_differ_from_each_other() {
        let term = |key: &str, values: &[&str]| json!({"matchLabelExpressions": [{"key": key, "values": values}]});
        let class = |terms: Value| json!({"provisioner": "x", "allowedTopologies": terms});
        assert_eq!(
            kind().refused(class(json!([term("a", &["x", "y"]), term("a", &["y", "x"]), term("b", &[])]))),
            [
                "allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\"",
                "allowedTopologies[2].matchLabelExpressions[0].values: Required value",
            ]
        );
        assert_eq!(
            kind().refused(class(json!([{}]))),
            ["allowedTopologies[0].matchLabelExpressions: Duplicate value: \"\""]
        );
        let old = class(json!([term("beta.kubernetes.io/os", &["x"])]));
        assert_eq!(
            kind().warnings(old),
            [
                "allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.14; use \"kubernetes.io/os\" instead"
            ]
        );
    }

    #[test]
    fn what_volumes_were_made_with_stays() {
        let changed = kind().update(
            "",
            json!({"provisioner": "a", "reclaimPolicy": "Retain"}),
            json!({"provisioner": "b", "parameters": {"x": "y"}, "allowVolumeExpansion": true}),
        );
        assert_eq!(
            changed.unwrap_err(),
            [
                "parameters: Invalid value: {\"x\":\"y\"}: field is immutable",
                "provisioner: Invalid value: \"b\": field is immutable",
                "reclaimPolicy: Invalid value: \"Delete\": field is immutable",
            ]
        );
    }
}
