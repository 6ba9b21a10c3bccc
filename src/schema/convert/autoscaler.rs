//! HorizontalPodAutoscalers of autoscaling/v1, which knows one target for the CPU, and of autoscaling/v2.
//!
//! What v1 has no field for stands in annotations, as JSON of the types that v1 once had. An annotation that cannot be
//! read says nothing.

use super::metrics;
use super::text::{self, Type};
use crate::model::object;
use crate::model::value::{Map, Value, json};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
/// Annotations that no version serves as such.
pub const ANNOTATIONS: [&str; 6] = [
    METRICS,
    CURRENT_METRICS,
    CONDITIONS,
    BEHAVIOR,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
];
/// Percent of the CPU that is asked for, when nothing says what to aim at.
const CPU_TARGET: i64 = 80;
/// Fields that both versions have.
const SPEC: [&str; 3] = ["scaleTargetRef", "minReplicas", "maxReplicas"];
const STATUS: [&str; 4] = ["observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas"];
/// Of a condition, in the order of its JSON: (name, type, whether it stands there when it is zero).
const CONDITION: [(&str, Type, bool); 5] = [
    ("type", Type::Text, true),
    ("status", Type::Text, true),
    ("lastTransitionTime", Type::Time, true),
    ("reason", Type::Text, false),
    ("message", Type::Text, false),
];
/// Of a direction's rules, by v2's names; the annotation has Go's, and each of them always.
const RULES: [(&str, Type); 2] = [("stabilizationWindowSeconds", Type::Int), ("selectPolicy", Type::Text)];
const POLICY: [(&str, Type); 3] = [("type", Type::Text), ("value", Type::Int), ("periodSeconds", Type::Int)];

/// From autoscaling/v1.
pub fn to_v2(mut value: Value) -> Value {
    let annotation = |key: &str| object::annotation(&value, key).and_then(|text| serde_json::from_str(text).ok());
    let [metrics, current, conditions, behavior]: [Option<Value>; 4] =
        [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR].map(annotation);
    let mut spec = kept(&value["spec"], &SPEC);
    let mut list = metrics.and_then(|json| metrics::read(&json, false)).unwrap_or_default();
    if let Some(target) = value["spec"]["targetCPUUtilizationPercentage"].as_i64() {
        list.push(metrics::cpu("target", target));
    }
    if list.is_empty() {
        list.push(metrics::cpu("target", CPU_TARGET));
    }
    spec.insert("metrics".into(), list.into());
    if let Some(behavior) = behavior.and_then(|json| read_behavior(&json)) {
        spec.insert("behavior".into(), behavior);
    }
    let mut status = kept(&value["status"], &STATUS);
    let found = value["status"]["currentCPUUtilizationPercentage"].as_i64();
    let list = current.and_then(|json| metrics::read(&json, true));
    let list = list.unwrap_or_else(|| found.map(|found| metrics::cpu("current", found)).into_iter().collect());
    if !list.is_empty() {
        status.insert("currentMetrics".into(), list.into());
    }
    if let Some(list) = conditions.and_then(|json| read_conditions(&json)).filter(|list| !list.is_empty()) {
        status.insert("conditions".into(), list.into());
    }
    drop_annotations(&mut value);
    put(&mut value, "spec", spec);
    put(&mut value, "status", status);
    value
}

/// To autoscaling/v1.
pub fn to_v1(mut value: Value) -> Value {
    drop_annotations(&mut value);
    let mut spec = kept(&value["spec"], &SPEC);
    let all = value["spec"]["metrics"].as_array().cloned().unwrap_or_default();
    let (cpu, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|metric| metrics::cpu_of(metric, "target").is_some());
    if let Some(target) = cpu.first().and_then(|metric| metrics::cpu_of(metric, "target")) {
        spec.insert("targetCPUUtilizationPercentage".into(), target.into());
    }
    let mut status = kept(&value["status"], &STATUS);
    let current = value["status"]["currentMetrics"].as_array().cloned().unwrap_or_default();
    if let Some(found) = current.iter().filter_map(|metric| metrics::cpu_of(metric, "current")).next_back() {
        status.insert("currentCPUUtilizationPercentage".into(), found.into());
    }
    let conditions = value["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let mut annotations = Vec::new();
    if !others.is_empty() {
        annotations.push((METRICS, metrics::write(&others, false)));
    }
    if !current.is_empty() {
        annotations.push((CURRENT_METRICS, metrics::write(&current, true)));
    }
    if let Some(behavior) = value["spec"].get("behavior").filter(|behavior| !behavior.is_null()) {
        annotations.push((BEHAVIOR, write_behavior(behavior)));
    }
    if !conditions.is_empty() {
        annotations.push((CONDITIONS, text::list(conditions.iter().map(write_condition))));
    }
    for (key, text) in annotations {
        annotate(&mut value, key, text);
    }
    put(&mut value, "spec", spec);
    put(&mut value, "status", status);
    value
}

/// Takes away what only v1 says in annotations.
pub fn drop_annotations(value: &mut Value) {
    let Some(meta) = object::metadata_mut(value) else { return };
    let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    let before = annotations.len();
    annotations.retain(|key, _| !ANNOTATIONS.contains(&key.as_str()));
    if annotations.is_empty() && before > 0 {
        meta.remove("annotations");
    }
}

fn annotate(value: &mut Value, key: &str, text: String) {
    if let Some(meta) = object::metadata_mut(value)
        && let Some(annotations) = meta.entry("annotations").or_insert_with(|| json!({})).as_object_mut()
    {
        annotations.insert(key.into(), text.into());
    }
}

fn kept(fields: &Value, names: &[&str]) -> Map {
    let field = |name: &&str| fields.get(*name).map(|value| ((*name).to_owned(), value.clone()));
    names.iter().filter_map(field).collect()
}

fn put(value: &mut Value, name: &str, fields: Map) {
    if let Some(object) = value.as_object_mut() {
        match fields.is_empty() {
            true => drop(object.remove(name)),
            false => drop(object.insert(name.into(), fields.into())),
        }
    }
}

fn read_conditions(json: &Value) -> Option<Vec<Value>> {
    let condition = |json: &Value| {
        let mut out = Map::new();
        for (name, ty, _) in CONDITION {
            text::take(json, name, ty, &mut out, name)?;
        }
        Some(out.into())
    };
    text::items(json)?.iter().map(condition).collect()
}

fn write_condition(condition: &Value) -> String {
    let fields = CONDITION.iter().filter_map(|(name, ty, always)| {
        let value = condition.get(*name).filter(|value| !value.is_null());
        (*always || value.is_some()).then(|| (*name, ty.write(value)))
    });
    text::object(fields)
}

/// `None` when it cannot be read or says nothing.
fn read_behavior(json: &Value) -> Option<Value> {
    let mut out = Map::new();
    for name in ["scaleUp", "scaleDown"] {
        let Some(rules) = text::field(json, name)? else { continue };
        let mut direction = Map::new();
        for (name, ty) in RULES {
            text::take(rules, name, ty, &mut direction, name)?;
        }
        if let Some(list) = text::field(rules, "policies")? {
            let policy = |json: &Value| {
                let mut out = Map::new();
                for (name, ty) in POLICY {
                    text::take(json, name, ty, &mut out, name)?;
                }
                Some(Value::from(out))
            };
            let list: Option<Vec<_>> = text::items(list)?.iter().map(policy).collect();
            direction.insert("policies".into(), list?.into());
        }
        text::take(rules, "tolerance", Type::Quantity, &mut direction, "tolerance")?;
        out.insert(name.into(), direction.into());
    }
    (!out.is_empty()).then(|| out.into())
}

fn write_behavior(behavior: &Value) -> String {
    let direction = |name: &'static str| {
        let text = match behavior.get(name).filter(|rules| !rules.is_null()) {
            Some(rules) => write_rules(rules),
            None => "null".to_owned(),
        };
        (go_name(name), text)
    };
    text::object(["scaleUp", "scaleDown"].map(direction))
}

fn write_rules(rules: &Value) -> String {
    let set = |name: &str| rules.get(name).filter(|value| !value.is_null());
    let null = || "null".to_owned();
    let mut fields: Vec<_> =
        RULES.iter().map(|(name, ty)| (go_name(name), set(name).map_or_else(null, |v| ty.write(Some(v))))).collect();
    let policy =
        |policy: &Value| text::object(POLICY.iter().map(|(name, ty)| (go_name(name), ty.write(policy.get(*name)))));
    let policies = set("policies").and_then(Value::as_array);
    fields.push((go_name("policies"), policies.map_or_else(null, |list| text::list(list.iter().map(policy)))));
    fields.push((go_name("tolerance"), set("tolerance").map_or_else(null, |v| Type::Quantity.write(Some(v)))));
    text::object(fields)
}

/// The name that Go gives the field: the annotation is of a type that has no other.
fn go_name(name: &str) -> String {
    name[..1].to_ascii_uppercase() + &name[1..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1(annotations: Value, cpu: Value) -> Value {
        let mut object = json!({"metadata": {"name": "a"}, "spec": {"maxReplicas": 3}});
        if annotations != json!({}) {
            object["metadata"]["annotations"] = annotations;
        }
        if !cpu.is_null() {
            object["spec"]["targetCPUUtilizationPercentage"] = cpu;
        }
        object
    }

    #[test]
    fn cpu_is_a_metric_among_others() {
        let metrics = r#"[{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"5"}}]"#;
        let served = v1(json!({METRICS: metrics}), json!(50));
        let kept = to_v2(served.clone());
        assert_eq!(
            kept["spec"]["metrics"],
            json!([
                {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "5"}}},
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
            ])
        );
        assert_eq!(kept["metadata"], json!({"name": "a"}));
        assert_eq!(to_v1(kept), served);
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        let kept = to_v2(v1(json!({METRICS: "not json", BEHAVIOR: "[]", "own": "x"}), Value::Null));
        assert_eq!(metrics::cpu_of(&kept["spec"]["metrics"][0], "target"), Some(CPU_TARGET));
        assert_eq!((&kept["spec"]["behavior"], &kept["metadata"]["annotations"]), (&Value::Null, &json!({"own": "x"})));
        let wrong = r#"[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"x"}}]"#;
        assert_eq!(
            to_v2(v1(json!({METRICS: wrong}), Value::Null))["spec"]["metrics"].as_array().map(Vec::len),
            Some(1)
        );
    }

    #[test]
    fn every_metric_and_status_goes_round() {
        let metric = |name: &str| json!({"name": name, "selector": {"matchLabels": {"a": "b"}}});
        let object = json!({"kind": "Ingress", "name": "i", "apiVersion": "networking.k8s.io/v1"});
        let spec = json!({"maxReplicas": 3, "metrics": [
            {"type": "Object", "object": {"describedObject": object, "metric": metric("o"),
                "target": {"type": "Value", "value": "2k"}}},
            {"type": "External", "external": {"metric": metric("e"), "target": {"type": "AverageValue", "averageValue": "1"}}},
            {"type": "ContainerResource", "containerResource": {"name": "memory", "container": "c",
                "target": {"type": "Utilization", "averageUtilization": 10}}},
        ], "behavior": {"scaleDown": {"selectPolicy": "Min", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}],
            "tolerance": "100m"}}});
        let status = json!({"currentReplicas": 1, "currentMetrics": [
            {"type": "Pods", "pods": {"metric": metric("p"), "current": {"averageValue": "5"}}},
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageValue": "1", "averageUtilization": 7}}},
        ], "conditions": [{"type": "AbleToScale", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        let kept = json!({"metadata": {"name": "a"}, "spec": spec, "status": status});
        let served = to_v1(kept.clone());
        assert_eq!(served["status"], json!({"currentReplicas": 1, "currentCPUUtilizationPercentage": 7}));
        let annotation = |key: &str| served["metadata"]["annotations"][key].as_str().unwrap_or("").to_owned();
        assert_eq!(
            annotation(BEHAVIOR),
            r#"{"ScaleUp":null,"ScaleDown":{"StabilizationWindowSeconds":null,"SelectPolicy":"Min","Policies":[{"Type":"Pods","Value":1,"PeriodSeconds":15}],"Tolerance":"100m"}}"#
        );
        assert_eq!(
            annotation(CONDITIONS),
            r#"[{"type":"AbleToScale","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]"#
        );
        assert!(annotation(METRICS).starts_with(
            r#"[{"type":"Object","object":{"target":{"kind":"Ingress","name":"i","apiVersion":"networking.k8s.io/v1"},"metricName":"o","targetValue":"2k","selector":{"matchLabels":{"a":"b"}}}},"#
        ));
        assert_eq!(to_v2(served), kept);
    }
}
