//! Defaults.

use crate::model::value::{Map, Value, json};
use crate::rules::fill::{default, fields, items, made};

/// Of ValidatingWebhookConfiguration.
pub fn validating_webhooks(object: &mut Value) {
    webhooks(object, false);
}

/// Of MutatingWebhookConfiguration.
pub fn mutating_webhooks(object: &mut Value) {
    webhooks(object, true);
}

/// Of policies.
pub fn policy(object: &mut Value) {
    if let Some(spec) = made(object, &["spec"]) {
        default(spec, "failurePolicy", "Fail");
        matching(spec, "matchConstraints");
    }
}

/// Of bindings.
pub fn binding(object: &mut Value) {
    if let Some(spec) = fields(object, &["spec"]) {
        matching(spec, "matchResources");
    }
}

fn webhooks(object: &mut Value, mutating: bool) {
    for hook in items(object, &["webhooks"]) {
        default(hook, "failurePolicy", "Fail");
        selectors(hook);
        default(hook, "timeoutSeconds", 10);
        if mutating {
            default(hook, "reinvocationPolicy", "Never");
        }
        if let Some(service) = hook.get_mut("clientConfig").and_then(|client| client.get_mut("service"))
            && let Some(service) = service.as_object_mut()
        {
            default(service, "port", 443);
        }
        rules(hook, "rules");
    }
}

fn matching(spec: &mut Map, field: &str) {
    let Some(matching) = spec.get_mut(field).and_then(Value::as_object_mut) else { return };
    selectors(matching);
    rules(matching, "resourceRules");
    rules(matching, "excludeResourceRules");
}

fn selectors(fields: &mut Map) {
    default(fields, "matchPolicy", "Equivalent");
    default(fields, "namespaceSelector", json!({}));
    default(fields, "objectSelector", json!({}));
}

fn rules(fields: &mut Map, name: &str) {
    let rules = fields.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten();
    rules.filter_map(Value::as_object_mut).for_each(|rule| default(rule, "scope", "*"));
}
