//! Deployment: pods of one template, rolled from one version of it to the next.

use super::at::At;
use super::checks::meta::{object_meta, object_meta_update};
use super::checks::numbers::{non_negative, not_above_100_percent};
use super::fill::{default, made, text};
use super::kind::{self, Cx, Generation, NONE, Part, Rules, STATUS};
use super::pod::options::Options;
use super::pod::template;
use super::strategy::differs;
use super::workload::{
    META, bound, bound_value, collisions_grow, counts_fit, fill_rolling_update, fill_template, is_new_generation,
    lenient, none_negative, prepare_template, replica_template, warn_name,
};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::object;
use crate::model::value::{Map, Value};

pub const RULES: Rules = Rules {
    group: "apps",
    kind: "Deployment",
    generation: Generation::Fields(&["spec"]),
    status: kind::Status::Separate,
    prepare_create: |_, object| {
        rollback(object);
        prepare_template(object, None, TEMPLATE);
    },
    prepare_update,
    validate: |cx, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(cx, at, &Options::default(), errs);
    },
    validate_update,
    warn,
    parts: &[Part {
        prepare: |_, new, old| {
            object::set_meta(new, "labels", labels_of(old));
            rollback(new);
        },
        validate: validate_status,
        ..STATUS
    }],
    ..NONE
};

const TEMPLATE: &[&str] = &["spec", "template"];
/// Set by clients of versions that are gone: the revision to go back to.
const ROLLBACK: &str = "deprecated.deployment.rollback.to";
const TYPES: [&str; 2] = ["Recreate", "RollingUpdate"];
const SHARE: &str = "25%";

/// Defaults.
pub fn fill(object: &mut Value) {
    fill_template(object, TEMPLATE);
    if let Some(spec) = made(object, &["spec"]) {
        default(spec, "replicas", 1);
        default(spec, "revisionHistoryLimit", 10);
        default(spec, "progressDeadlineSeconds", 600);
    }
    let rolls = made(object, &["spec", "strategy"]).is_some_and(|strategy| {
        default(strategy, "type", "RollingUpdate");
        text(strategy, "type") == "RollingUpdate"
    });
    fill_rolling_update(object, &["spec", "strategy"], rolls.then_some([SHARE.into(), SHARE.into()]));
}

fn prepare_update(_: &Cx, new: &mut Value, old: &Value) {
    rollback(new);
    prepare_template(new, Some(old), TEMPLATE);
    // Annotations are copied to ReplicaSets, so a change of them is one of what is wanted.
    let annotations = |object| object::metadata(object).and_then(|meta: &Map| meta.get("annotations"));
    if differs(annotations(new), annotations(old)) {
        object::set_meta(new, "generation", (object::generation(old) + 1).into());
    }
}

/// An empty revision says nothing.
fn rollback(object: &mut Value) {
    let annotations = object::metadata_mut(object).and_then(|meta| meta.get_mut("annotations"));
    if let Some(annotations) = annotations.and_then(Value::as_object_mut)
        && annotations.get(ROLLBACK).is_some_and(|revision| revision == "")
    {
        annotations.remove(ROLLBACK);
    }
}

fn labels_of(object: &Value) -> Value {
    object::metadata(object).and_then(|meta| meta.get("labels")).cloned().unwrap_or(Value::Null)
}

fn validate_update(cx: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    spec(cx, new, &lenient(old), errs);
    new.at("spec").at("selector").immutable(errs, &old.at("spec").at("selector"));
}

fn spec(cx: &Cx, object: &At, options: &Options, errs: &mut FieldErrors) {
    let spec = object.at("spec");
    non_negative(&spec.at("replicas"), errs);
    replica_template(cx, &spec, options, errs);
    strategy(&spec.at("strategy"), errs);
    non_negative(&spec.at("minReadySeconds"), errs);
    non_negative(&spec.at("revisionHistoryLimit"), errs);
    let annotations = object.at("metadata");
    let annotations = annotations.at("annotations");
    let revision = annotations.entry(ROLLBACK).str().parse::<i64>().unwrap_or(0);
    if revision < 0 {
        let place = spec.path().name("rollback");
        errs.push(FieldError::invalid(&place.name("version"), revision, super::checks::numbers::NOT_NEGATIVE));
    }
    let deadline = spec.at("progressDeadlineSeconds");
    if deadline.exists() {
        non_negative(&deadline, errs);
        if deadline.i64() <= spec.at("minReadySeconds").i64() {
            deadline.invalid(errs, "must be greater than minReadySeconds");
        }
    }
}

fn strategy(at: &At, errs: &mut FieldErrors) {
    let update = at.at("rollingUpdate");
    match at.at("type").str() {
        "Recreate" => {
            if update.exists() {
                update.forbidden(errs, "may not be specified when strategy `type` is 'Recreate'");
            }
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (update.at("maxUnavailable"), update.at("maxSurge"));
            bound(&unavailable, errs);
            bound(&surge, errs);
            if bound_value(&unavailable) == 0 && bound_value(&surge) == 0 {
                unavailable.invalid(errs, "may not be 0 when `maxSurge` is 0");
            }
            not_above_100_percent(&unavailable, errs);
        }
        _ => at.not_supported(errs, &TYPES),
    }
}

fn validate_status(_: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    let status = new.at("status");
    let counts = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    none_negative(&status, &counts, errs);
    let fitting = ["updatedReplicas", "readyReplicas", "availableReplicas"];
    counts_fit(&status, &fitting, "cannot be greater than readyReplicas", errs);
    collisions_grow(new, old, errs);
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
    use crate::model::value::json;
    use crate::rules::transcript::Kind;
    use crate::rules::workload::tests::{template, workload};

    #[test]
    fn defaults_roll_a_quarter_at_a_time() {
        let kept = Kind::new("apps/v1", "Deployment").create(workload(json!({}))).unwrap();
        assert_eq!(kept["metadata"]["generation"], 1);
        assert_eq!(kept["spec"]["replicas"], 1);
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
        assert_eq!(kept["spec"]["strategy"], strategy);
        assert_eq!(kept["spec"]["template"]["spec"]["restartPolicy"], "Always");
    }

    #[test]
    fn what_is_wrong_is_told_in_stocks_order() {
        let kind = Kind::new("apps/v1", "Deployment");
        let spec = json!({
            "replicas": -1, "selector": {"matchLabels": {"a": "c"}}, "minReadySeconds": 5, "progressDeadlineSeconds": 5,
            "strategy": {"rollingUpdate": {"maxUnavailable": "0%", "maxSurge": 0}},
            "template": template(json!({"restartPolicy": "Never", "activeDeadlineSeconds": 1})),
        });
        assert_eq!(
            kind.refused(workload(spec)),
            [
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
                "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
                "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
            ]
        );
        let spec = json!({"selector": {}, "strategy": {"type": "Recreate", "rollingUpdate": {}}});
        assert_eq!(
            kind.refused(workload(spec)),
            [
                "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ]
        );
    }

    #[test]
    fn annotations_count_as_what_is_wanted() {
        let kind = Kind::new("apps/v1", "Deployment");
        let mut old = workload(json!({}));
        old["metadata"] = json!({"generation": 3});
        let mut new = workload(json!({}));
        assert_eq!(kind.update("", old.clone(), new.clone()).unwrap()["metadata"]["generation"], 3);
        new["metadata"] = json!({"annotations": {"x": "y"}});
        assert_eq!(kind.update("", old.clone(), new).unwrap()["metadata"]["generation"], 4);
        let new = workload(json!({"paused": true}));
        assert_eq!(kind.update("", old, new).unwrap()["metadata"]["generation"], 4);
    }

    #[test]
    fn a_status_counts_and_its_collisions_grow() {
        let kind = Kind::new("apps/v1", "Deployment");
        let mut old = workload(json!({}));
        let mut new = old.clone();
        old["status"] = json!({"collisionCount": 2});
        new["status"] = json!({"replicas": 1, "readyReplicas": 1, "availableReplicas": 2, "unavailableReplicas": -1});
        assert_eq!(
            kind.update("status", old, new).unwrap_err(),
            [
                "status.unavailableReplicas: Invalid value: -1: must be greater than or equal to 0",
                "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
                "status.collisionCount: Invalid value: 0: cannot be decremented",
            ]
        );
    }
}
