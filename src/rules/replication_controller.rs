//! ReplicationController: what was there before ReplicaSets.

use super::at::At;
use super::checks::meta::{object_meta, object_meta_update};
use super::checks::numbers::non_negative;
use super::fill::{default, made};
use super::kind::{self, Cx, Generation, NONE, Part, Rules, STATUS};
use super::pod::options::Options;
use super::pod::template;
use super::replica_set::replicas_status;
use super::workload::{
    META, fill_template, is_new_generation, lenient, prepare_template, runs_forever, selected, warn_name,
};
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::object;
use crate::model::selector::label::Selector;
use crate::model::value::{Map, Value};

pub const RULES: Rules = Rules {
    group: "",
    kind: "ReplicationController",
    generation: Generation::Fields(&["spec"]),
    status: kind::Status::Separate,
    orphan_by_default: true,
    prepare_create: |_, object| prepare_template(object, None, TEMPLATE),
    prepare_update: |_, new, old| prepare_template(new, Some(old), TEMPLATE),
    validate: |cx, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(cx, at, &Options::default(), errs);
    },
    validate_update,
    warn,
    parts: &[Part {
        validate: |_, new, old, errs| {
            object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
            replicas_status(&new.at("status"), &[], errs);
        },
        ..STATUS
    }],
    ..NONE
};

const TEMPLATE: &[&str] = &["spec", "template"];
/// Annotations that begin so tell of fields that another version could not say.
const NOT_CONVERTED: &str = "non-convertible.kubernetes.io/";

/// Defaults. Labels of the template become those of the object and its selector.
pub fn fill(object: &mut Value) {
    if object["spec"]["template"].is_object() {
        fill_template(object, TEMPLATE);
    }
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    let Some(spec) = made(object, &["spec"]) else { return };
    default(spec, "replicas", 1);
    if spec.get("template").is_some_and(Value::is_null) {
        spec.remove("template");
    }
    if labels.is_null() {
        return;
    }
    let is_empty = |value: Option<&Value>| value.and_then(Value::as_object).is_none_or(Map::is_empty);
    if is_empty(spec.get("selector")) {
        spec.insert("selector".into(), labels.clone());
    }
    if is_empty(object::metadata(object).and_then(|meta| meta.get("labels"))) {
        object::set_meta(object, "labels", labels);
    }
}

fn validate_update(cx: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    let options = if old.at("spec").has("template") { lenient(old) } else { Options::default() };
    spec(cx, new, &options, errs);
    let meta = old.at("metadata");
    for (key, value) in meta.at("annotations").entries() {
        let Some(field) = key.strip_prefix(NOT_CONVERTED).filter(|field| !field.contains('/')) else { continue };
        if field.contains("selector") {
            let spec = new.at("spec");
            let selector = spec.at("selector");
            if !selector.same_as(&old.at("spec").at("selector")) {
                selector.invalid(errs, "cannot update non-convertible selector");
            }
        } else {
            errs.push(FieldError::not_found(&Path::Root.name(field), value.str()));
        }
    }
}

fn spec(cx: &Cx, object: &At, options: &Options, errs: &mut FieldErrors) {
    let spec = object.at("spec");
    non_negative(&spec.at("minReadySeconds"), errs);
    let selector = spec.at("selector");
    if selector.is_empty() {
        selector.required(errs, "");
    }
    let replicas = spec.at("replicas");
    if replicas.is_null() {
        replicas.required(errs, "");
    }
    non_negative(&replicas, errs);
    let template = spec.at("template");
    if template.is_null() {
        template.required(errs, "");
        return;
    }
    let labels = selector.value().as_object().map(Selector::of_labels).unwrap_or_default();
    selected(&template, &labels, errs);
    template::validate(cx, &template, options, errs);
    runs_forever(&template, "ReplicationController", errs);
}

fn warn(_: &Cx, new: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    if old.is_none() {
        warn_name(new, warnings);
    }
    if is_new_generation(new, old) {
        // Of a changed object stock warns about what was there before.
        let object = old.unwrap_or(new).at("spec");
        template::warn(&object.at("template"), warnings);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;
    use crate::rules::workload::tests::template;

    #[test]
    fn labels_of_the_template_are_its_own() {
        let kind = Kind::new("v1", "ReplicationController");
        let kept = kind.create(json!({"spec": {"template": template(json!({}))}})).unwrap();
        assert_eq!(kept["spec"]["selector"], json!({"a": "b"}));
        assert_eq!(kept["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(kept["spec"]["replicas"], 1);
    }

    #[test]
    fn it_needs_a_selector_and_a_template() {
        let kind = Kind::new("v1", "ReplicationController");
        assert_eq!(
            kind.refused(json!({"spec": {"replicas": -1}})),
            [
                "spec.selector: Required value",
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.template: Required value",
            ]
        );
        let spec = json!({"selector": {"a": "c"}, "template": template(json!({"restartPolicy": "OnFailure"}))});
        assert_eq!(
            kind.refused(json!({"spec": spec})),
            [
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
                "spec.template.spec.restartPolicy: Unsupported value: \"OnFailure\": supported values: \"Always\"",
            ]
        );
    }
}
