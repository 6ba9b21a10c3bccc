//! DaemonSet: a pod on every node.

use super::at::At;
use super::checks::labels::{SelectorLeniency, has_bad_selector_value, label_selector};
use super::checks::meta::{object_meta, object_meta_update};
use super::checks::numbers::{non_negative, not_above_100_percent};
use super::fill::{default, made, text};
use super::kind::{self, Cx, Generation, NONE, Part, Rules, STATUS};
use super::pod::options::Options;
use super::pod::template;
use super::strategy::differs;
use super::workload::{
    META, bound, bound_value, collisions_grow, fill_rolling_update, fill_template, lenient, none_negative,
    not_empty_selector, prepare_template, runs_forever, selected,
};
use crate::model::field::FieldErrors;
use crate::model::selector::label::Selector;
use crate::model::value::Value;
use crate::schema::convert::{set_template_generation, template_generation};

pub const RULES: Rules = Rules {
    group: "apps",
    kind: "DaemonSet",
    generation: Generation::Fields(&["spec"]),
    status: kind::Status::Separate,
    prepare_create,
    prepare_update,
    validate: |cx, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(cx, &at.at("spec"), &Options::default(), errs);
    },
    validate_update,
    warn,
    parts: &[Part {
        prepare: |_, new, old| set_template_generation(new, template_generation(old)),
        validate: validate_status,
        ..STATUS
    }],
    ..NONE
};

const TEMPLATE: &[&str] = &["spec", "template"];
const TYPES: [&str; 2] = ["RollingUpdate", "OnDelete"];

/// Defaults.
pub fn fill(object: &mut Value) {
    fill_template(object, TEMPLATE);
    if let Some(spec) = made(object, &["spec"]) {
        default(spec, "revisionHistoryLimit", 10);
    }
    let rolls = made(object, &["spec", "updateStrategy"]).is_some_and(|strategy| {
        default(strategy, "type", "RollingUpdate");
        text(strategy, "type") == "RollingUpdate"
    });
    fill_rolling_update(object, &["spec", "updateStrategy"], rolls.then_some([1.into(), 0.into()]));
}

fn prepare_create(_: &Cx, object: &mut Value) {
    set_template_generation(object, template_generation(object).max(1));
    prepare_template(object, None, TEMPLATE);
}

fn prepare_update(_: &Cx, new: &mut Value, old: &Value) {
    prepare_template(new, Some(old), TEMPLATE);
    let template = |object: &Value| object.get("spec").and_then(|spec| spec.get("template")).cloned();
    let changed = differs(template(new).as_ref(), template(old).as_ref());
    set_template_generation(new, template_generation(old) + i64::from(changed));
}

fn validate_update(cx: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    let (selector, before) = (new.at("spec"), old.at("spec"));
    let (selector, before) = (selector.at("selector"), before.at("selector"));
    selector.immutable(errs, &before);
    let mut options = lenient(old);
    options.bad_selector_values |= has_bad_selector_value(&before);
    spec(cx, &new.at("spec"), &options, errs);
}

fn spec(cx: &Cx, spec: &At, options: &Options, errs: &mut FieldErrors) {
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    let leniency = SelectorLeniency { bad_values: options.bad_selector_values, ..SelectorLeniency::default() };
    label_selector(&selector, leniency, errs);
    if let Ok(labels) = Selector::of_object(selector.value()) {
        selected(&template, &labels, errs);
    }
    not_empty_selector(&selector, "daemonset", errs);
    template::validate(cx, &template, options, errs);
    runs_forever(&template, "DaemonSet", errs);
    non_negative(&spec.at("minReadySeconds"), errs);
    update_strategy(&spec.at("updateStrategy"), errs);
    non_negative(&spec.at("revisionHistoryLimit"), errs);
}

fn update_strategy(at: &At, errs: &mut FieldErrors) {
    let update = at.at("rollingUpdate");
    match at.at("type").str() {
        "OnDelete" => {}
        "RollingUpdate" if update.is_null() => update.required(errs, ""),
        "RollingUpdate" => rolling_update(&update, errs),
        _ => at.not_supported(errs, &TYPES),
    }
}

fn rolling_update(at: &At, errs: &mut FieldErrors) {
    let (unavailable, surge) = (at.at("maxUnavailable"), at.at("maxSurge"));
    bound(&unavailable, errs);
    bound(&surge, errs);
    not_above_100_percent(&unavailable, errs);
    not_above_100_percent(&surge, errs);
    match (bound_value(&unavailable) != 0, bound_value(&surge) != 0) {
        (true, true) => surge.invalid(errs, "may not be set when maxUnavailable is non-zero"),
        (false, false) => unavailable.required(errs, "cannot be 0 when maxSurge is 0"),
        _ => {}
    }
}

fn validate_status(_: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    let counts = [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ];
    none_negative(&new.at("status"), &counts, errs);
    collisions_grow(new, old, errs);
}

fn warn(_: &Cx, new: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    let changed = old.is_none_or(|old| template_generation(new.value()) != template_generation(old.value()));
    if changed {
        template::warn(&new.at("spec").at("template"), warnings);
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;
    use crate::rules::workload::tests::{template, workload};

    #[test]
    fn changes_of_its_template_are_counted() {
        let kind = Kind::new("apps/v1", "DaemonSet");
        let old = kind.create(workload(json!({}))).unwrap();
        let count = "deprecated.daemonset.template.generation";
        assert_eq!(old["metadata"]["annotations"][count], "1");
        let new = kind.update("", old.clone(), workload(json!({"minReadySeconds": 1}))).unwrap();
        assert_eq!((&new["metadata"]["annotations"][count], &new["metadata"]["generation"]), (&json!("1"), &json!(2)));
        let hosted = workload(json!({"template": template(json!({"hostNetwork": true}))}));
        let new = kind.update("", old, hosted).unwrap();
        assert_eq!((&new["metadata"]["annotations"][count], &new["metadata"]["generation"]), (&json!("2"), &json!(2)));
    }

    #[test]
    fn either_surge_or_unavailable() {
        let kind = Kind::new("apps/v1", "DaemonSet");
        let found = |update| kind.refused(workload(json!({"updateStrategy": {"rollingUpdate": update}})));
        assert_eq!(found(json!({"maxUnavailable": 0, "maxSurge": "10%"})), [""; 0]);
        assert_eq!(
            found(json!({"maxUnavailable": "101%", "maxSurge": 1})),
            [
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is \
                 non-zero",
            ]
        );
        assert_eq!(
            found(json!({"maxUnavailable": 0})),
            ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"]
        );
    }
}
