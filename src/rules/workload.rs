//! What kinds that make pods from a template have in common.

use super::at::At;
use super::checks::labels::{SelectorLeniency, label_selector};
use super::checks::meta::MetaRules;
use super::checks::names::NameRule;
use super::checks::numbers::{non_negative, non_negative_int_or_percent};
use super::fill::{default, made};
use super::kind::Cx;
use super::pod::options::Options;
use super::pod::template;
use crate::model::field::FieldErrors;
use crate::model::selector::label::Selector;
use crate::model::syntax::dns1123_label;
use crate::model::value::{Map, Value};
use crate::model::{gotext, intstr};

/// The metadata of most of them.
pub const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
/// Of a status that counts replicas.
pub const NOT_ABOVE_REPLICAS: &str = "cannot be greater than status.replicas";

/// Fills the template that stands at `path`, which is made where it is missing.
pub fn fill_template(object: &mut Value, path: &[&str]) {
    made(object, path);
    let found = path.iter().try_fold(object, |now, name| now.get_mut(*name));
    found.map(template::fill).unwrap_or_default();
}

/// Fills the bounds of the rolling update of the strategy at `path`, which is made when there are `defaults`: what may
/// be unavailable and what may be too many. Without defaults the bounds of one that is there are 0, as stock shows them.
pub fn fill_rolling_update(object: &mut Value, path: &[&str], defaults: Option<[Value; 2]>) {
    let Some(strategy) = made(object, path) else { return };
    if defaults.is_some() {
        default(strategy, "rollingUpdate", Value::Object(Map::new()));
    }
    if let Some(update) = strategy.get_mut("rollingUpdate").and_then(Value::as_object_mut) {
        let [unavailable, surge] = defaults.unwrap_or_else(|| [0.into(), 0.into()]);
        default(update, "maxUnavailable", unavailable);
        default(update, "maxSurge", surge);
    }
}

/// Prepares the template that stands at `path`; `old` is the whole object before.
pub fn prepare_template(new: &mut Value, old: Option<&Value>, path: &[&str]) {
    let before = old.and_then(|old| path.iter().try_fold(old, |now, name| now.get(*name)));
    if let Some(template) = path.iter().try_fold(new, |now, name| now.get_mut(*name)) {
        template::prepare(template, before);
    }
}

/// A selector that is there and selects not everything. `kind` as the error tells it.
pub fn strict_selector(at: &At, kind: &str, errs: &mut FieldErrors) {
    if at.is_null() {
        at.required(errs, "");
        return;
    }
    label_selector(at, SelectorLeniency::default(), errs);
    not_empty_selector(at, kind, errs);
}

/// A selector that selects not everything. Absent is right.
pub fn not_empty_selector(at: &At, kind: &str, errs: &mut FieldErrors) {
    if at.exists() && at.at("matchLabels").is_empty() && at.at("matchExpressions").is_empty() {
        at.invalid(errs, format!("empty selector is invalid for {kind}"));
    }
}

/// The labels of a template must be what the selector selects; a selector of everything demands nothing.
pub fn selected(template: &At, selector: &Selector, errs: &mut FieldErrors) {
    let meta = template.at("metadata");
    let labels = meta.at("labels");
    if !selector.is_everything() && !selector.matches_map(labels.value().as_object()) {
        labels.invalid(errs, "`selector` does not match template `labels`");
    }
}

/// Pods that run until they are deleted. `kind` as the error tells it.
pub fn runs_forever(template: &At, kind: &str, errs: &mut FieldErrors) {
    let spec = template.at("spec");
    let policy = spec.at("restartPolicy");
    if policy.str() != "Always" {
        policy.not_supported(errs, &["Always"]);
    }
    let deadline = spec.at("activeDeadlineSeconds");
    if deadline.exists() {
        deadline.forbidden(errs, format!("activeDeadlineSeconds in {kind} is not Supported"));
    }
}

/// Selector and template of a Deployment or ReplicaSet.
pub fn replica_template(cx: &Cx, spec: &At, options: &Options, errs: &mut FieldErrors) {
    let selector = spec.at("selector");
    strict_selector(&selector, "deployment", errs);
    match Selector::of_object(selector.value()) {
        Err(_) => selector.invalid(errs, "invalid label selector"),
        Ok(labels) => {
            let template = spec.at("template");
            selected(&template, &labels, errs);
            template::validate(cx, &template, options, errs);
            runs_forever(&template, "ReplicaSet", errs);
        }
    }
}

/// A bound of a rolling update: a number or a share, not negative.
pub fn bound(at: &At, errs: &mut FieldErrors) {
    non_negative_int_or_percent(at, errs);
}

/// The number, or the share's; 0 for any other text.
pub fn bound_value(at: &At) -> i64 {
    intstr::percent(at.value()).unwrap_or_else(|| at.i64())
}

/// Fields of an object that must not be negative, in this order.
pub fn none_negative(at: &At, names: &[&str], errs: &mut FieldErrors) {
    for name in names {
        non_negative(&at.at(name), errs);
    }
}

/// Counts in a status that are at most its `replicas`, and `availableReplicas` at most `readyReplicas`.
pub fn counts_fit(status: &At, names: &[&str], ready: &'static str, errs: &mut FieldErrors) {
    let replicas = status.at("replicas").i64();
    for name in names {
        let count = status.at(name);
        if count.i64() > replicas {
            count.invalid(errs, NOT_ABOVE_REPLICAS);
        }
    }
    let available = status.at("availableReplicas");
    if available.i64() > status.at("readyReplicas").i64() {
        available.invalid(errs, ready);
    }
}

/// `status.collisionCount` only grows.
pub fn collisions_grow(new: &At, old: &At, errs: &mut FieldErrors) {
    let (new, old) = (new.at("status"), old.at("status"));
    let (count, before) = (new.at("collisionCount"), old.at("collisionCount"));
    if before.exists() && (count.is_null() || count.i64() < before.i64()) {
        count.invalid_as(errs, count.i64(), "cannot be decremented");
    }
}

/// A name that pods cannot be called after.
pub fn warn_name(at: &At, warnings: &mut Vec<String>) {
    let texts = dns1123_label(at.at("metadata").at("name").str());
    if !texts.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label \
             is recommended: {}",
            gotext::list(&texts)
        ));
    }
}

/// Whether the generation is another than before: true of a new object.
pub fn is_new_generation(new: &At, old: Option<&At>) -> bool {
    let generation = |at: &At| at.at("metadata").at("generation").i64();
    old.is_none_or(|old| generation(old) != generation(new))
}

/// The leniencies that the template in `old`'s spec gives to a changed one.
pub fn lenient(old: &At) -> Options {
    let spec = old.at("spec");
    Options::of_template(Some(&spec.at("template")))
}

#[cfg(test)]
pub mod tests {
    use crate::model::value::{Value, json};

    /// A workload of this spec, with a selector and a template that belong together.
    pub fn workload(spec: Value) -> Value {
        let mut whole = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template(json!({}))});
        for (name, value) in spec.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        json!({"spec": whole})
    }

    /// A template of one container, with these fields in its spec.
    pub fn template(spec: Value) -> Value {
        let mut whole = json!({"containers": [{"name": "c", "image": "i"}]});
        for (name, value) in spec.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        json!({"metadata": {"labels": {"a": "b"}}, "spec": whole})
    }
}
