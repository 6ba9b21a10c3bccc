//! The metrics APIs, and what their answers say.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::value::Value;
use async_trait::async_trait;

use crate::controllers::item::time;
use crate::model::duration;
use crate::model::quantity::Quantity;
use crate::model::status::{self, Status};
use crate::model::time::Time;

/// Who serves the metrics APIs: servers behind APIServices.
#[async_trait]
pub trait Metrics: Send + Sync + std::fmt::Debug {
    /// The answer to a GET, as the one who serves the path gives it. 404 when nobody does.
    async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> status::Result<Value>;
}

/// No server is behind any APIService.
#[derive(Debug)]
pub struct Nobody;

#[async_trait]
impl Metrics for Nobody {
    async fn get(&self, _: &[&str], _: &[(&str, &str)]) -> status::Result<Value> {
        Err(Status::no_such_resource())
    }
}

/// What was measured of one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// In thousandths.
    pub value: i64,
    pub at: Option<Time>,
    pub window: Duration,
}

/// By pod.
pub type Samples = BTreeMap<String, Sample>;

/// The window of custom metrics that name none.
const WINDOW: Duration = Duration::from_secs(60);

/// What pods, or one container of each, use of a resource.
pub async fn of_resource(
    metrics: &dyn Metrics,
    namespace: &str,
    selector: &str,
    resource: &str,
    container: &str,
) -> Result<Samples, String> {
    let path = ["apis", "metrics.k8s.io", "v1beta1", "namespaces", namespace, "pods"];
    let answer = metrics.get(&path, &[("labelSelector", selector)]).await;
    let list = answer.map_err(|status| failed("resource", "pods.metrics.k8s.io", &status))?;
    let items = items(&list, "resource")?;
    Ok(items.iter().filter_map(|pod| Some((name(&pod["metadata"]), usage(pod, resource, container)?))).collect())
}

fn usage(pod: &Value, resource: &str, container: &str) -> Option<Sample> {
    let containers = pod["containers"].as_array()?;
    let mut chosen = containers.iter().filter(|known| container.is_empty() || known["name"] == container).peekable();
    chosen.peek()?;
    let amounts = chosen.map(|container| Some(quantity(container["usage"].get(resource)?)));
    let value = amounts.sum::<Option<i64>>()?;
    let window = pod["window"].as_str().and_then(|text| duration::Duration::parse(text).ok()?.to_std());
    Some(Sample { value, at: time(&pod["timestamp"]), window: window.unwrap_or_default() })
}

/// A custom metric of each pod.
pub async fn of_pods(
    metrics: &dyn Metrics,
    namespace: &str,
    selector: &str,
    metric: &str,
    labels: &str,
) -> Result<Samples, String> {
    let path = ["apis", "custom.metrics.k8s.io", "v1beta2", "namespaces", namespace, "pods", "*", metric];
    let query = [("labelSelector", selector), ("metricLabelSelector", labels)];
    let used = if labels.is_empty() { &query[..1] } else { &query[..] };
    let list = metrics.get(&path, used).await.map_err(|status| custom_failed(&status))?;
    let sample = |item: &Value| {
        let window = item["windowSeconds"].as_u64().map_or(WINDOW, Duration::from_secs);
        let sample = Sample { value: quantity(&item["value"]), at: time(&item["timestamp"]), window };
        (name(&item["describedObject"]), sample)
    };
    Ok(items(&list, "custom")?.iter().map(sample).collect())
}

/// A custom metric of one object, in thousandths. `resource` is its group and plural; empty for the namespace itself.
pub async fn of_object(
    metrics: &dyn Metrics,
    namespace: &str,
    (resource, object): (&str, &str),
    metric: &str,
    labels: &str,
) -> Result<i64, String> {
    let own = ["apis", "custom.metrics.k8s.io", "v1beta2", "namespaces", namespace, "metrics", metric];
    let other = ["apis", "custom.metrics.k8s.io", "v1beta2", "namespaces", namespace, resource, object, metric];
    let path = if resource.is_empty() { &own[..] } else { &other[..] };
    let query = [("metricLabelSelector", labels)];
    let used = if labels.is_empty() { &[][..] } else { &query[..] };
    let list = metrics.get(path, used).await.map_err(|status| custom_failed(&status))?;
    match items(&list, "custom")? {
        [item] => Ok(quantity(&item["value"])),
        _ => Err("unable to fetch metrics from custom metrics API: the custom metrics API server returned more results than were expected".into()),
    }
}

/// The values of an external metric, in thousandths.
pub async fn external(metrics: &dyn Metrics, namespace: &str, metric: &str, labels: &str) -> Result<Vec<i64>, String> {
    let path = ["apis", "external.metrics.k8s.io", "v1beta1", "namespaces", namespace, metric];
    let query = [("labelSelector", labels)];
    let used = if labels.is_empty() { &[][..] } else { &query[..] };
    let asked = format!("{metric}.external.metrics.k8s.io");
    let list = metrics.get(&path, used).await.map_err(|status| failed("external", &asked, &status))?;
    Ok(items(&list, "external")?.iter().map(|item| quantity(&item["value"])).collect())
}

fn items<'a>(list: &'a Value, api: &str) -> Result<&'a [Value], String> {
    let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() { Err(format!("no metrics returned from {api} metrics API")) } else { Ok(items) }
}

/// Where a path is served by nobody, clients say so in their own words.
fn failed(api: &str, asked: &str, status: &Status) -> String {
    let why = match status.is_not_found() {
        true => format!("the server could not find the requested resource (get {asked})"),
        false => status.message.clone(),
    };
    format!("unable to fetch metrics from {api} metrics API: {why}")
}

fn custom_failed(status: &Status) -> String {
    let is_served = !status.is_not_found() || status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    let why = if is_served { &status.message } else { "no custom metrics API (custom.metrics.k8s.io) registered" };
    format!("unable to fetch metrics from custom metrics API: {why}")
}

fn name(object: &Value) -> String {
    object["name"].as_str().unwrap_or("").to_owned()
}

fn quantity(value: &Value) -> i64 {
    Quantity::from_value(value).map_or(0, |quantity| quantity.milli_value())
}
