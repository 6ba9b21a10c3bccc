//! The kind: defaults, the target, how fast it is scaled.

use crate::model::field::FieldErrors;
use crate::model::names::GroupVersion;
use crate::model::syntax::path_segment;
use crate::model::value::{Value, json};
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::meta::{object_meta, object_meta_update};
use crate::rules::checks::numbers::{non_negative_quantity, positive};
use crate::rules::fill::{default, made};
use crate::rules::kind::{self, Cx, NONE, Part, Rules, STATUS};
use crate::rules::workload::{META, none_negative};
use crate::schema::convert::autoscaler::drop_annotations;

use super::metrics;

pub const RULES: Rules = Rules {
    group: "autoscaling",
    kind: "HorizontalPodAutoscaler",
    status: kind::Status::Separate,
    prepare_create: |_, object| drop_annotations(object),
    prepare_update: |_, new, _| drop_annotations(new),
    validate: |_, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(&at.at("spec"), None, errs);
    },
    validate_update: |_, new, old, errs| {
        object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
        spec(&new.at("spec"), Some(&old.at("spec")), errs);
    },
    // What came as autoscaling/v1 is filled when it is read as what it is kept as.
    canonicalize: fill_v2,
    parts: &[Part { prepare: |_, new, _| drop_annotations(new), validate: validate_status, ..STATUS }],
    ..NONE
};

const PERIOD_SECONDS: i64 = 1800;
const WINDOW_SECONDS: i64 = 3600;
/// Sorted.
const SELECT_POLICIES: [&str; 3] = ["Disabled", "Max", "Min"];
const POLICIES: [&str; 2] = ["Percent", "Pods"];
/// Of the defaults.
const DEFAULT_PERIOD_SECONDS: i64 = 15;
const CPU_TARGET: i64 = 80;

/// What is allowed of the `apiVersion` of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// It must have a group.
    Required,
    Optional,
    /// It may be anything.
    Unchecked,
}

/// Defaults of autoscaling/v1; its target for the CPU is filled when it becomes v2.
pub fn fill_v1(object: &mut Value) {
    if let Some(spec) = made(object, &["spec"]) {
        default(spec, "minReplicas", 1);
    }
}

/// Defaults of autoscaling/v2.
pub fn fill_v2(object: &mut Value) {
    fill_v1(object);
    let Some(spec) = made(object, &["spec"]) else { return };
    if spec.get("metrics").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let target = json!({"type": "Utilization", "averageUtilization": CPU_TARGET});
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        spec.insert("metrics".into(), json!([metric]));
    }
    if spec.get("behavior").is_none_or(Value::is_null) {
        return;
    }
    let policy = |ty: &str, value: i64| json!({"type": ty, "value": value, "periodSeconds": DEFAULT_PERIOD_SECONDS});
    let all = policy("Percent", 100);
    for (name, window, policies) in
        [("scaleUp", Some(0), json!([policy("Pods", 4), all])), ("scaleDown", None, json!([all]))]
    {
        let Some(rules) = made(object, &["spec", "behavior"]) else { return };
        default(rules, name, json!({}));
        let Some(rules) = rules.get_mut(name).and_then(Value::as_object_mut) else { continue };
        if let Some(window) = window {
            default(rules, "stabilizationWindowSeconds", window);
        }
        default(rules, "selectPolicy", "Max");
        default(rules, "policies", policies);
    }
}

fn spec(spec: &At, old: Option<&At>, errs: &mut FieldErrors) {
    let (least, most) = (spec.at("minReplicas"), spec.at("maxReplicas"));
    let was_zero = old.is_some_and(|old| old.at("minReplicas").value().as_i64() == Some(0));
    let bound = i64::from(!was_zero);
    if least.exists() && least.i64() < bound {
        least.invalid(errs, format!("must be greater than or equal to {bound}"));
    }
    match most.i64() {
        0 => most.required(errs, "must be set and greater than 0"),
        ..0 => most.invalid(errs, "must be greater than or equal to 1"),
        _ => {}
    }
    if least.exists() && most.i64() < least.i64() {
        most.invalid(errs, "must be greater than or equal to `minReplicas`");
    }
    let target = spec.at("scaleTargetRef");
    reference(&target, target_group(&target, old), errs);
    let bad_before = |old: &At| {
        let all = old.at("metrics");
        all.items().any(|metric| {
            let object = metric.at("object");
            let named = object.at("describedObject");
            metric.at("type").str() == "Object" && object.exists() && version(&named, Group::Optional).is_err()
        })
    };
    let group = if old.is_some_and(bad_before) { Group::Unchecked } else { Group::Optional };
    metrics::metrics(&spec.at("metrics"), &least, group, errs);
    let behavior = spec.at("behavior");
    for direction in ["scaleUp", "scaleDown"] {
        let rules = behavior.at(direction);
        if rules.exists() {
            scaling_rules(&rules, errs);
        }
    }
}

fn target_group(target: &At, old: Option<&At>) -> Group {
    let same = |old: &At| {
        let before = old.at("scaleTargetRef");
        ["apiVersion", "kind"].iter().all(|name| target.at(name).str() == before.at(name).str())
    };
    match target.at("kind").str() {
        _ if old.is_some_and(same) => Group::Unchecked,
        "ReplicationController" => Group::Optional,
        _ => Group::Required,
    }
}

/// What names an object of any version.
pub fn reference(at: &At, group: Group, errs: &mut FieldErrors) {
    for name in ["kind", "name"] {
        let part = at.at(name);
        if part.is_empty() {
            part.required(errs, "");
        } else {
            part.check(errs, path_segment);
        }
    }
    if let Err(why) = version(at, group) {
        at.at("apiVersion").invalid(errs, why);
    }
}

fn version(at: &At, group: Group) -> Result<(), String> {
    if group == Group::Unchecked {
        return Ok(());
    }
    let text = at.at("apiVersion").str();
    let version = GroupVersion::parse(text).ok_or_else(|| format!("unexpected GroupVersion string: {text}"))?;
    if group == Group::Required && version.group.is_empty() {
        return Err("apiVersion must specify API group".to_owned());
    }
    Ok(())
}

fn scaling_rules(at: &At, errs: &mut FieldErrors) {
    let window = at.at("stabilizationWindowSeconds");
    if window.i64() < 0 {
        window.invalid(errs, "must be greater than or equal to zero");
    }
    if window.i64() > WINDOW_SECONDS {
        window.invalid(errs, format!("must be less than or equal to {WINDOW_SECONDS}"));
    }
    choices::optional(&at.at("selectPolicy"), &SELECT_POLICIES, errs);
    let policies = at.at("policies");
    if policies.is_empty() {
        policies.required(errs, "must specify at least one Policy");
    }
    for policy in policies.items() {
        choices::one_of(&policy.at("type"), &POLICIES, errs);
        let period = policy.at("periodSeconds");
        positive(&policy.at("value"), errs);
        positive(&period, errs);
        if period.i64() > PERIOD_SECONDS {
            period.invalid(errs, format!("must be less than or equal to {PERIOD_SECONDS}"));
        }
    }
    let tolerance = at.at("tolerance");
    if tolerance.exists() {
        non_negative_quantity(&tolerance, errs);
    }
}

fn validate_status(_: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    none_negative(&new.at("status"), &["currentReplicas", "desiredReplicas"], errs);
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    fn autoscaler(spec: Value) -> Value {
        let target = json!({"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"});
        let mut whole = json!({"maxReplicas": 3, "scaleTargetRef": target});
        for (name, value) in spec.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        json!({"spec": whole})
    }

    #[test]
    fn both_versions_aim_at_the_cpu() {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        let metrics = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
        for version in ["autoscaling/v1", "autoscaling/v2"] {
            let kept = Kind::new(version, "HorizontalPodAutoscaler").create(autoscaler(json!({}))).unwrap();
            assert_eq!((&kept["spec"]["minReplicas"], &kept["spec"]["metrics"]), (&json!(1), &metrics), "{version}");
        }
    }

    #[test]
    fn a_behavior_is_filled_in_both_directions() {
        let behavior = json!({"scaleDown": {"selectPolicy": "Disabled"}});
        let kept =
            Kind::new("autoscaling/v2", "HorizontalPodAutoscaler").create(autoscaler(json!({"behavior": behavior})));
        let all = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        assert_eq!(
            kept.unwrap()["spec"]["behavior"],
            json!({
                "scaleUp": {"selectPolicy": "Max", "stabilizationWindowSeconds": 0, "policies": [four, all]},
                "scaleDown": {"selectPolicy": "Disabled", "policies": [all]},
            })
        );
    }

    #[test]
    fn what_is_wrong_is_told_in_stocks_order() {
        let kind = Kind::new("autoscaling/v2", "HorizontalPodAutoscaler");
        let metrics = json!([
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Value", "value": "0"}}},
            {"type": "Pods", "object": {"describedObject": {"kind": "A"}, "metric": {"name": "a/b"}, "target": {}}},
            {"type": "Bogus"},
        ]);
        let policies = json!([{"type": "Pods", "value": 0, "periodSeconds": 1801}]);
        let spec = json!({"minReplicas": 0, "maxReplicas": -1, "metrics": metrics,
            "scaleTargetRef": {"kind": "Deployment", "name": "d/e", "apiVersion": "v1"},
            "behavior": {"scaleUp": {"stabilizationWindowSeconds": 3601, "policies": policies, "tolerance": "-1"}}});
        let types = "supported values: \"ContainerResource\", \"External\", \"Object\", \"Pods\", \"Resource\"";
        assert_eq!(
            kind.refused(autoscaler(spec)),
            [
                "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
                "spec.maxReplicas: Invalid value: -1: must be greater than or equal to 1",
                "spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`",
                "spec.scaleTargetRef.name: Invalid value: \"d/e\": may not contain '/'",
                "spec.scaleTargetRef.apiVersion: Invalid value: \"v1\": apiVersion must specify API group",
                "spec.metrics[0].resource.target.value: Invalid value: \"0\": must be positive",
                "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or \
                 a target utilization",
                "spec.metrics[1].object.describedObject.name: Required value",
                "spec.metrics[1].object.metric.name: Invalid value: \"a/b\": may not contain '/'",
                "spec.metrics[1].object.target.type: Required value: must specify a metric target type",
                "spec.metrics[1].object.target.type: Invalid value: \"\": must be either Utilization, Value, or AverageValue",
                "spec.metrics[1].object.target.averageValue: Required value: must set either a target value or averageValue",
                "spec.metrics[1].pods: Required value: must populate information for the given metric source",
                &format!("spec.metrics[2].type: Unsupported value: \"Bogus\": {types}"),
                &format!("spec.metrics[2].type: Unsupported value: \"Bogus\": {types}"),
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero \
                 replicas",
                "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
                "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
                "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
                "spec.behavior.scaleUp.tolerance: Invalid value: \"-1\": must be greater than or equal to 0",
            ]
        );
    }

    #[test]
    fn a_target_that_stays_is_not_judged_again() {
        let kind = Kind::new("autoscaling/v2", "HorizontalPodAutoscaler");
        let target =
            |name: &str| autoscaler(json!({"scaleTargetRef": {"kind": "K", "name": name, "apiVersion": "v1"}}));
        assert_eq!(kind.refused(target("a")).len(), 1);
        assert!(kind.update("", target("a"), target("b")).is_ok());
    }
}
