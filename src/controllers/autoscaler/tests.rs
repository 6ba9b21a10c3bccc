//! Deployments that grow and shrink with what is measured.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::model::value::{Value, json};
use async_trait::async_trait;

use super::Settings;
use super::metrics::Metrics;
use crate::controllers::conditions;
use crate::controllers::config::Config;
use crate::controllers::resources::{AUTOSCALERS, DEPLOYMENTS, PODS};
use crate::controllers::testing::{World, pod_spec, template};
use crate::model::status::{Result, Status};

const PERIOD: Duration = Duration::from_secs(15);

/// A metrics server that says that each pod uses so much CPU.
#[derive(Debug, Default)]
struct Measured(Mutex<Vec<(&'static str, &'static str)>>);

#[async_trait]
impl Metrics for Measured {
    async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value> {
        if path != ["apis", "metrics.k8s.io", "v1beta1", "namespaces", "d", "pods"] {
            return Err(Status::no_such_resource());
        }
        assert_eq!(query, [("labelSelector", "app=web")]);
        let item = |(name, cpu): &(&str, &str)| {
            let usage = json!({"cpu": cpu, "memory": "1Mi"});
            json!({"metadata": {"name": name}, "timestamp": "2026-01-01T01:00:00Z", "window": "15s",
                "containers": [{"name": "c", "usage": usage}]})
        };
        Ok(json!({"items": self.0.lock().expect("no panic").iter().map(item).collect::<Vec<_>>()}))
    }
}

async fn world(metrics: Arc<dyn Metrics>, replicas: i64, more: Value) -> World {
    let autoscaler = Settings { metrics, ..Settings::default() };
    let enabled = vec!["horizontal-pod-autoscaler-controller".to_owned()];
    let world = World::configured(&Config { enabled, autoscaler, ..Config::default() }).await;
    let labels = json!({"matchLabels": {"app": "web"}});
    let spec = json!({"replicas": replicas, "selector": labels, "template": template("web", "a:1")});
    world.create(&DEPLOYMENTS, json!({"metadata": {"name": "w", "namespace": "d"}, "spec": spec})).await;
    for name in ["p", "q"] {
        let mut spec = pod_spec("a:1");
        spec["nodeName"] = "n".into();
        spec["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
        let metadata = json!({"name": name, "namespace": "d", "labels": {"app": "web"}});
        world.create(&PODS, json!({"metadata": metadata, "spec": spec})).await;
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2025-12-31T00:00:00Z"});
        let status = json!({"phase": "Running", "startTime": "2025-12-31T00:00:00Z", "conditions": [ready]});
        world.merge(PODS.at("d", name).part("status"), json!({"status": status})).await;
    }
    let target = json!({"type": "Utilization", "averageUtilization": 50});
    let mut spec = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}, "minReplicas": 1,
        "maxReplicas": 10, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    world.create(&AUTOSCALERS, json!({"metadata": {"name": "h", "namespace": "d"}, "spec": spec})).await;
    world.settle().await;
    world
}

/// `status reason` of a condition.
fn told(world: &World, ty: &str) -> String {
    let status = world.get(&AUTOSCALERS, "d", "h")["status"].clone();
    let condition = conditions::find(&status, ty).cloned().unwrap_or_default();
    format!("{} {}", condition["status"].as_str().unwrap_or("-"), condition["reason"].as_str().unwrap_or("-"))
}

fn size(world: &World) -> i64 {
    world.get(&DEPLOYMENTS, "d", "w")["spec"]["replicas"].as_i64().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn without_metrics_nothing_is_scaled_and_users_are_told() {
    let world = world(Arc::new(super::metrics::Nobody), 2, Value::Null).await;
    assert_eq!(told(&world, "AbleToScale"), "True SucceededGetScale");
    assert_eq!(told(&world, "ScalingActive"), "False FailedGetResourceMetric");
    let why = "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)";
    let all =
        format!("invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: {why}");
    let expected = [format!("FailedGetResourceMetric: {why}"), format!("FailedComputeMetricsReplicas: {all}")];
    assert_eq!(world.events(), expected);
    let status = world.get(&AUTOSCALERS, "d", "h")["status"].clone();
    assert_eq!((&status["currentReplicas"], &status["currentMetrics"]), (&json!(2), &json!([{}])));
    assert_eq!(size(&world), 2);
}

#[tokio::test(start_paused = true)]
async fn more_use_makes_more_pods_and_less_use_fewer_after_a_while() {
    let measured = Arc::new(Measured::default());
    *measured.0.lock().expect("no panic") = vec![("p", "1"), ("q", "1")];
    let world = world(measured.clone(), 2, Value::Null).await;
    assert_eq!(size(&world), 4);
    assert_eq!(told(&world, "ScalingActive"), "True ValidMetricFound");
    assert_eq!(told(&world, "AbleToScale"), "True SucceededRescale");
    let event = "SuccessfulRescale: New size: 4; reason: cpu resource utilization (percentage of request) above target";
    assert_eq!(world.events(), [event]);
    let status = world.get(&AUTOSCALERS, "d", "h")["status"].clone();
    assert_eq!((&status["currentReplicas"], &status["desiredReplicas"]), (&json!(2), &json!(4)));
    let current = &status["currentMetrics"][0]["resource"]["current"];
    assert_eq!((&current["averageUtilization"], &current["averageValue"]), (&json!(100), &json!("1")));
    *measured.0.lock().expect("no panic") = vec![("p", "100m"), ("q", "100m")];
    world.pass(PERIOD).await;
    assert_eq!((size(&world), told(&world, "AbleToScale")), (4, "True ScaleDownStabilized".into()));
    world.pass(Duration::from_secs(301)).await;
    assert_eq!(size(&world), 1);
    assert!(world.events().contains(&"SuccessfulRescale: New size: 1; reason: All metrics below target".into()));
}

#[tokio::test(start_paused = true)]
async fn bounds_need_no_metrics() {
    let world = world(Arc::new(super::metrics::Nobody), 2, json!({"minReplicas": 3})).await;
    assert_eq!(size(&world), 3);
    world.merge(AUTOSCALERS.at("d", "h"), json!({"spec": {"minReplicas": 1, "maxReplicas": 1}})).await;
    world.settle().await;
    assert_eq!(size(&world), 1);
    let expected = [
        "SuccessfulRescale: New size: 3; reason: Current number of replicas below Spec.MinReplicas",
        "SuccessfulRescale: New size: 1; reason: Current number of replicas above Spec.MaxReplicas",
    ];
    assert_eq!(world.events(), expected);
    world.merge(DEPLOYMENTS.at("d", "w"), json!({"spec": {"replicas": 0}})).await;
    world.pass(PERIOD).await;
    assert_eq!((size(&world), told(&world, "ScalingActive")), (0, "False ScalingDisabled".into()));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_scaled_is_told() {
    let reference = json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"}});
    let world = world(Arc::new(super::metrics::Nobody), 2, reference).await;
    assert_eq!(told(&world, "AbleToScale"), "False FailedGetScale");
    assert_eq!(world.events(), ["FailedGetScale: deployments.apps \"other\" not found"]);
}

#[tokio::test(start_paused = true)]
async fn pods_have_one_autoscaler() {
    let measured = Arc::new(Measured::default());
    *measured.0.lock().expect("no panic") = vec![("p", "500m"), ("q", "500m")];
    let world = world(measured, 2, Value::Null).await;
    let mut second = world.get(&AUTOSCALERS, "d", "h");
    second["metadata"] = json!({"name": "i", "namespace": "d"});
    world.create(&AUTOSCALERS, second).await;
    world.settle().await;
    let why = "pods by selector app=web are controlled by multiple HPAs: [{h d} {i d}]";
    assert!(world.events().contains(&format!("AmbiguousSelector: {why}")));
}
