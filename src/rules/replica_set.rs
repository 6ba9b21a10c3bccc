//! ReplicaSet: so many pods of one template.

use super::at::At;
use super::checks::meta::{object_meta, object_meta_update};
use super::fill::{default, made};
use super::kind::{self, Cx, Generation, NONE, Part, Rules, STATUS};
use super::pod::options::Options;
use super::pod::template;
use super::workload::{
    META, counts_fit, fill_template, is_new_generation, lenient, none_negative, prepare_template, replica_template,
    warn_name,
};
use crate::model::field::FieldErrors;
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "apps",
    kind: "ReplicaSet",
    generation: Generation::Fields(&["spec"]),
    status: kind::Status::Separate,
    prepare_create: |_, object| prepare_template(object, None, TEMPLATE),
    prepare_update: |_, new, old| prepare_template(new, Some(old), TEMPLATE),
    validate: |cx, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(cx, at, &Options::default(), errs);
    },
    validate_update: |cx, new, old, errs| {
        object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
        spec(cx, new, &lenient(old), errs);
        new.at("spec").at("selector").immutable(errs, &old.at("spec").at("selector"));
    },
    warn,
    parts: &[Part { validate: validate_status, ..STATUS }],
    ..NONE
};

const TEMPLATE: &[&str] = &["spec", "template"];

/// Defaults.
pub fn fill(object: &mut Value) {
    fill_template(object, TEMPLATE);
    if let Some(spec) = made(object, &["spec"]) {
        default(spec, "replicas", 1);
    }
}

fn spec(cx: &Cx, object: &At, options: &Options, errs: &mut FieldErrors) {
    let spec = object.at("spec");
    none_negative(&spec, &["replicas", "minReadySeconds"], errs);
    replica_template(cx, &spec, options, errs);
}

fn validate_status(_: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    replicas_status(&new.at("status"), &["terminatingReplicas"], errs);
}

/// The status of a ReplicaSet or ReplicationController; `own` counts are the kind's own.
pub fn replicas_status(status: &At, own: &[&str], errs: &mut FieldErrors) {
    let counts = ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
    none_negative(status, &counts, errs);
    none_negative(status, own, errs);
    let fitting = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
    counts_fit(status, &fitting, "cannot be greater than readyReplicas", errs);
}

fn warn(_: &Cx, new: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    if old.is_none() {
        warn_name(new, warnings);
    }
    if is_new_generation(new, old) {
        template::warn(&new.at("spec").at("template"), warnings);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;
    use crate::rules::workload::tests::workload;

    #[test]
    fn its_selector_stays_and_selects_its_pods() {
        let kind = Kind::new("apps/v1", "ReplicaSet");
        assert_eq!(kind.create(workload(json!({}))).unwrap()["spec"]["replicas"], 1);
        assert_eq!(
            kind.refused(workload(json!({"selector": Value::Null, "minReadySeconds": -1}))),
            [
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
                "spec.selector: Required value",
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ]
        );
        let exists = json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}});
        let found = kind.update("", workload(json!({})), workload(exists)).unwrap_err();
        assert_eq!(
            found,
            [
                "spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}: field is \
              immutable"
            ]
        );
    }
}
