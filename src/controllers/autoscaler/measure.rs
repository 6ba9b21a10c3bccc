//! What each metric of an autoscaler calls for.

use crate::model::value::{Value, json};

use super::metrics::{self, Metrics};
use super::replicas::{self, Found, Groups, Target, Tolerance};
use super::run::Run;
use crate::controllers::item::Item;
use crate::controllers::pods::Pod;
use crate::model::gotext;
use crate::model::names::GroupVersion;
use crate::model::quantity::{Format, Quantity};
use crate::model::selector::label::Selector;

/// An autoscaler's target as it is.
pub struct Scaled<'a> {
    pub scaler: &'a Item,
    /// `spec.replicas` and `status.replicas` of its scale.
    pub wanted: i64,
    pub there: i64,
    /// Which pods are its own.
    pub selector: &'a str,
    pub pods: &'a [Pod<'a>],
}

/// What a metric calls for.
pub struct Called {
    pub replicas: i64,
    /// As users are told of it.
    pub name: String,
    /// `status.currentMetrics[]`
    pub status: Value,
}

/// Why a metric says nothing.
pub struct Silent {
    pub reason: &'static str,
    /// Told at the metric.
    pub why: String,
    /// Told of the autoscaler.
    pub what: String,
}

impl Run<'_> {
    /// Asks for one metric, `spec.metrics[]`.
    pub async fn measure(&self, scaled: &Scaled<'_>, spec: &Value) -> Result<Called, Silent> {
        let ty = spec["type"].as_str().unwrap_or("");
        let (source, reason) = match ty {
            "Object" => (&spec["object"], "FailedGetObjectMetric"),
            "Pods" => (&spec["pods"], "FailedGetPodsMetric"),
            "Resource" => (&spec["resource"], "FailedGetResourceMetric"),
            "ContainerResource" => (&spec["containerResource"], "FailedGetContainerResourceMetric"),
            "External" => (&spec["external"], "FailedGetExternalMetric"),
            other => {
                let why = format!("unknown metric source type {other:?}");
                return Err(Silent { reason: "InvalidMetricSourceType", what: why.clone(), why });
            }
        };
        let name = text(&source["metric"], "name");
        let (called, what) = match ty {
            "Object" => (self.object(scaled, source).await, "object metric".to_owned()),
            "Pods" => (self.of_pods(scaled, source).await, "pods metric".to_owned()),
            "Resource" => {
                (self.resource(scaled, source, "").await, format!("{} resource metric", text(source, "name")))
            }
            "ContainerResource" => {
                let container = text(source, "container");
                (self.resource(scaled, source, container).await, format!("{container} container metric"))
            }
            _ => (self.external(scaled, source).await, format!("{name} external metric")),
        };
        called.map_err(|why| Silent { reason, what: format!("failed to get {what} value: {why}"), why })
    }

    fn metrics(&self) -> &dyn Metrics {
        self.settings.metrics.as_ref()
    }

    fn tolerance(&self, scaled: &Scaled<'_>) -> Tolerance {
        let behavior = &scaled.scaler.spec()["behavior"];
        let of = |rules: &Value| given(&rules["tolerance"]).map_or(self.settings.tolerance, |t| t.to_f64());
        Tolerance { down: of(&behavior["scaleDown"]), up: of(&behavior["scaleUp"]) }
    }

    fn groups(&self, scaled: &Scaled<'_>, samples: &metrics::Samples, is_cpu: bool) -> Result<Groups, String> {
        match scaled.pods {
            [] => Err("no pods returned by selector while calculating replica count".into()),
            pods => Ok(Groups::of(pods, samples, is_cpu, self.settings, self.cx.now())),
        }
    }

    async fn resource(&self, scaled: &Scaled<'_>, source: &Value, container: &str) -> Result<Called, String> {
        let (name, target) = (text(source, "name"), &source["target"]);
        let average = milli(&target["averageValue"]);
        let kind = if average.is_some() { "usage" } else { "utilization" };
        let failed = |why: String| format!("failed to get {name} {kind}: {why}");
        if average.is_none() && target["averageUtilization"].is_null() {
            return Err("invalid resource metric source: neither an average utilization target nor an average value (usage) target was set".into());
        }
        let asked =
            metrics::of_resource(self.metrics(), scaled.scaler.namespace(), scaled.selector, name, container).await;
        let samples = asked.map_err(|why| failed(format!("unable to get metrics for resource {name}: {why}")))?;
        let groups = self.groups(scaled, &samples, name == "cpu").map_err(failed)?;
        let tolerance = self.tolerance(scaled);
        let found = match average {
            Some(average) => replicas::of_pods(scaled.wanted, samples, &groups, &Target::Average(average), tolerance)
                .map_err(failed)?,
            None => {
                let requests = super::run::requests(self.pods, scaled.pods, container, name).map_err(failed)?;
                let asked = |pod: &str| requests.get(pod).copied().unwrap_or(0);
                let target = Target::Utilization(target["averageUtilization"].as_i64().unwrap_or(0), &asked);
                replicas::of_pods(scaled.wanted, samples, &groups, &target, tolerance).map_err(failed)?
            }
        };
        let is_share = average.is_none();
        let mut current = json!({"averageValue": amount(found.average, name == "memory")});
        if is_share {
            current["averageUtilization"] = found.utilization.into();
        }
        Ok(resource_called(found, is_share, name, container, &current))
    }

    async fn of_pods(&self, scaled: &Scaled<'_>, source: &Value) -> Result<Called, String> {
        let (name, labels) = named(source)?;
        let asked = metrics::of_pods(self.metrics(), scaled.scaler.namespace(), scaled.selector, name, &labels).await;
        let samples = asked.map_err(|why| format!("unable to get metric {name}: {why}"))?;
        let groups = self.groups(scaled, &samples, false)?;
        let target = Target::Average(milli(&source["target"]["averageValue"]).unwrap_or(0));
        let found = replicas::of_pods(scaled.wanted, samples, &groups, &target, self.tolerance(scaled))?;
        let current = json!({"averageValue": amount(found.average, false)});
        let status = json!({"type": "Pods", "pods": {"metric": source["metric"], "current": current}});
        Ok(Called { replicas: found.replicas, name: format!("pods metric {name}"), status })
    }

    async fn object(&self, scaled: &Scaled<'_>, source: &Value) -> Result<Called, String> {
        let (name, labels) = named(source)?;
        let (object, target) = (&source["describedObject"], &source["target"]);
        let namespace = scaled.scaler.namespace();
        let (kind, object_name) = (text(object, "kind"), text(object, "name"));
        let failed = |why: String| format!("unable to get metric {name}: {why} on {kind} {namespace}/{object_name}");
        let resource = self.resource_of(object).map_err(failed)?;
        let asked = metrics::of_object(self.metrics(), namespace, (&resource, object_name), name, &labels).await;
        let status = |current: Value| json!({"type": "Object", "object": {"describedObject": object, "metric": source["metric"], "current": current}});
        let share = milli(&target["averageValue"]).filter(|_| target["type"] == "AverageValue");
        let value = milli(&target["value"]).filter(|_| target["type"] == "Value");
        match (value, share) {
            (Some(target), _) => {
                let usage = asked.map_err(failed)?;
                let replicas = self.of_value(scaled, usage, target)?;
                let status = status(json!({"value": amount(usage, false)}));
                Ok(Called { replicas, name: format!("{kind} metric {name}"), status })
            }
            (None, Some(target)) => {
                let usage =
                    asked.map_err(failed).map_err(|why| format!("failed to get {name} object metric: {why}"))?;
                let (replicas, each) = replicas::of_share(scaled.there, usage, target, self.tolerance(scaled));
                let status = status(json!({"averageValue": amount(each, false)}));
                Ok(Called { replicas, name: external_name(source, name), status })
            }
            (None, None) => {
                Err("invalid object metric source: neither a value target nor an average value target was set".into())
            }
        }
    }

    async fn external(&self, scaled: &Scaled<'_>, source: &Value) -> Result<Called, String> {
        let (name, labels) = named(source)?;
        let (namespace, target) = (scaled.scaler.namespace(), &source["target"]);
        let selector = gotext::label_selector(&source["metric"]["selector"]);
        let asked = metrics::external(self.metrics(), namespace, name, &labels).await;
        let asked = asked.map_err(|why| format!("unable to get external metric {namespace}/{name}/{selector}: {why}"));
        let sum = |values: Vec<i64>| values.into_iter().fold(0i64, i64::saturating_add);
        let (replicas, current) = if let Some(target) = milli(&target["averageValue"]) {
            let usage = asked.map(sum).map_err(|why| format!("failed to get {name} external metric: {why}"))?;
            let (replicas, each) = replicas::of_share(scaled.there, usage, target, self.tolerance(scaled));
            (replicas, json!({"averageValue": amount(each, false)}))
        } else if let Some(target) = milli(&target["value"]) {
            let failed = |why| format!("failed to get external metric {name}: {why}");
            let usage = asked.map(sum).map_err(failed)?;
            (self.of_value(scaled, usage, target).map_err(failed)?, json!({"value": amount(usage, false)}))
        } else {
            return Err(
                "invalid external metric source: neither a value target nor an average value target was set".into()
            );
        };
        let status = json!({"type": "External", "external": {"metric": source["metric"], "current": current}});
        Ok(Called { replicas, name: external_name(source, name), status })
    }

    fn of_value(&self, scaled: &Scaled<'_>, usage: i64, target: i64) -> Result<i64, String> {
        let ready = scaled.pods.iter().filter(|pod| pod.phase == "Running" && pod.ready).count() as i64;
        let (tolerance, ratio) = (self.tolerance(scaled), usage as f64 / target as f64);
        if scaled.pods.is_empty() && scaled.wanted != 0 && !tolerance.covers(ratio) {
            let why = "no pods returned by selector while calculating replica count";
            return Err(format!("unable to calculate ready pods: {why}"));
        }
        Ok(replicas::of_value(scaled.wanted, usage, target, tolerance, ready))
    }

    /// The group and plural of a kind, empty for a namespace.
    fn resource_of(&self, object: &Value) -> Result<String, String> {
        let (version, kind) = (text(object, "apiVersion"), text(object, "kind"));
        if kind == "Namespace" && !version.contains('/') {
            return Ok(String::new());
        }
        let catalog = self.cx.plane.registry.catalog.load();
        let found = GroupVersion::parse(version).and_then(|version| catalog.by_kind(&version.with_kind(kind)));
        let missing = || format!("no matches for kind {kind:?} in version {version:?}");
        found.map(|resource| resource.name.to_string()).ok_or_else(missing)
    }
}

fn resource_called(found: Found, is_share: bool, name: &str, container: &str, current: &Value) -> Called {
    let (status, of) = match container {
        "" => (json!({"type": "Resource", "resource": {"name": name, "current": current}}), ""),
        container => {
            let inner = json!({"name": name, "container": container, "current": current});
            (json!({"type": "ContainerResource", "containerResource": inner}), "container ")
        }
    };
    let name = match is_share {
        true => format!("{name} {of}resource utilization (percentage of request)"),
        false => format!("{name} resource"),
    };
    Called { replicas: found.replicas, name, status }
}

/// The name of a metric, and the selector of its labels as text.
fn named(source: &Value) -> Result<(&str, String), String> {
    let selector = &source["metric"]["selector"];
    let labels = match selector {
        Value::Null => String::new(),
        selector => Selector::of_object(selector)?.to_string(),
    };
    Ok((text(&source["metric"], "name"), labels))
}

fn external_name(source: &Value, name: &str) -> String {
    format!("external metric {name}({})", gotext::label_selector(&source["metric"]["selector"]))
}

fn given(quantity: &Value) -> Option<Quantity> {
    // Nothing would read as none.
    if quantity.is_null() { None } else { Quantity::from_value(quantity).ok() }
}

fn milli(quantity: &Value) -> Option<i64> {
    given(quantity).map(|quantity| quantity.milli_value())
}

fn amount(milli: i64, is_memory: bool) -> String {
    Quantity::from_milli(milli, if is_memory { Format::BinarySi } else { Format::DecimalSi }).to_string()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or("")
}
