//! One kind in several versions: from the version that is served to the one that is kept, and back.
//!
//! Values are sparse. A version that says less keeps what it cannot say in annotations, as stock does.
//!
//! In reading order: this file, `autoscaler` (HorizontalPodAutoscalers), `metrics` (what those measure), `text` (JSON in
//! annotations).

pub mod autoscaler;
mod metrics;
mod text;

use std::borrow::Cow;

use super::resource::Resource;
use crate::model::object;
use crate::model::value::Value;

/// The object as it is kept.
pub fn to_storage(resource: &Resource, value: Value) -> Value {
    if !resource.converts() { value } else { between(resource, value, true) }
}

/// The object as this resource serves it.
pub fn to_served(resource: &Resource, value: Value) -> Value {
    if !resource.converts() { value } else { between(resource, value, false) }
}

/// The object as stock has read it, before it does anything with it: it has been through the version that is kept.
pub fn settle(resource: &Resource, value: &mut Value) {
    if resource.converts() {
        *value = to_served(resource, to_storage(resource, value.take()));
    } else if resource.kind.kind == "DaemonSet" && resource.kind.group == "apps" {
        set_template_generation(value, template_generation(value));
    }
}

/// How often a DaemonSet's template has changed. Older versions had a field for it.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// A DaemonSet's; 0 when it says none.
pub fn template_generation(daemon_set: &Value) -> i64 {
    object::annotation(daemon_set, TEMPLATE_GENERATION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub fn set_template_generation(daemon_set: &mut Value, generation: i64) {
    let Some(meta) = object::metadata_mut(daemon_set) else { return };
    let annotations = meta.entry("annotations").or_insert_with(|| Value::Object(Default::default()));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(TEMPLATE_GENERATION.into(), generation.to_string().into());
    }
}

/// The same of an object that is needed further; most resources are kept as they are served.
pub fn shown<'v>(resource: &Resource, value: &'v Value) -> Cow<'v, Value> {
    if !resource.converts() { Cow::Borrowed(value) } else { Cow::Owned(between(resource, value.clone(), false)) }
}

fn between(resource: &Resource, value: Value, to_storage: bool) -> Value {
    match (resource.kind.group.as_str(), resource.kind.kind.as_str()) {
        ("events.k8s.io", "Event") => renamed(value, &EVENT, to_storage),
        ("autoscaling", "HorizontalPodAutoscaler") if to_storage => autoscaler::to_v2(value),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler::to_v1(value),
        _ => value,
    }
}

/// Top-level fields with other names: (served, kept).
type Names = [(&'static str, &'static str)];

/// events.k8s.io/v1 and core/v1.
const EVENT: [(&str, &str); 7] = [
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedSource", "source"),
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
];

fn renamed(mut value: Value, names: &Names, to_storage: bool) -> Value {
    let Some(fields) = value.as_object_mut() else { return value };
    for (served, kept) in names {
        let (from, to) = if to_storage { (served, kept) } else { (kept, served) };
        if let Some(field) = fields.remove(from) {
            fields.insert((*to).into(), field);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::catalog::Catalog;

    #[test]
    fn an_event_is_one_object_in_two_forms() {
        let served = json!({"metadata": {"name": "e"}, "regarding": {"kind": "Pod"}, "note": "n", "reason": "r",
            "reportingController": "c", "reportingInstance": "i", "deprecatedCount": 3,
            "deprecatedSource": {"component": "s"}, "deprecatedFirstTimestamp": "2026-01-01T00:00:00Z"});
        let kept = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod"}, "message": "n", "reason": "r",
            "reportingComponent": "c", "reportingInstance": "i", "count": 3,
            "source": {"component": "s"}, "firstTimestamp": "2026-01-01T00:00:00Z"});
        let catalog = Catalog::builtin();
        let resource = catalog.find("events.k8s.io", "v1", "events").expect("a served resource");
        assert_eq!(to_storage(resource, served.clone()), kept);
        assert_eq!(to_served(resource, kept.clone()), served);
        let core = catalog.find("", "v1", "events").expect("a served resource");
        assert_eq!(to_storage(core, kept.clone()), kept);
    }
}
