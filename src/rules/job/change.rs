//! What an update of a job may touch.

use crate::model::field::FieldErrors;
use crate::model::value::{Map, Value};
use crate::rules::at::At;
use crate::rules::checks::meta::object_meta_update;
use crate::rules::kind::Cx;
use crate::rules::pod::options::Options;
use crate::rules::same;

use super::{spec, status};

/// All that is wrong with a change, the new job itself aside.
pub fn validate(cx: &Cx, new: &At, old: &At, options: &Options, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    let (spec, before) = (new.at("spec"), old.at("spec"));
    spec::with_selector(cx, &spec, options, errs);
    completions(&spec, &before, errs);
    spec.at("selector").immutable(errs, &before.at("selector"));
    template(&spec, old, errs);
    for name in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        spec.at(name).immutable(errs, &before.at(name));
    }
}

/// An indexed job grows and shrinks by completions and parallelism together.
fn completions(spec: &At, before: &At, errs: &mut FieldErrors) {
    let (completions, before) = (spec.at("completions"), before.at("completions"));
    if spec.at("completionMode").str() != "Indexed" {
        completions.immutable(errs, &before);
    } else if completions.exists() && !completions.same_as(&before) {
        let parallelism = spec.at("parallelism");
        if completions.i64() != parallelism.i64() {
            completions.invalid(errs, "can only be modified in tandem with spec.parallelism");
        }
    }
}

/// While a job is suspended and none of its pods run, where they will run may change, and what they need.
fn template(spec: &At, old: &At, errs: &mut FieldErrors) {
    let (template, before) = (spec.at("template"), old.at("spec"));
    if !may_change(old) {
        template.immutable(errs, &before.at("template"));
        return;
    }
    let pod = template.at("spec");
    let mut expected = before.at("template").at("spec").value().clone();
    take_placement(&mut expected, pod.value());
    take_resources(&mut expected, pod.value());
    if let Some(message) = pod.schema().message()
        && !same::messages(pod.value(), &expected, message)
    {
        pod.invalid(errs, "field is immutable");
    }
}

fn may_change(old: &At) -> bool {
    let (spec, status) = (old.at("spec"), old.at("status"));
    let idle = !status.has("startTime") || status::is(old, "Suspended", "True");
    spec.at("suspend").bool() && idle && status.at("active").i64() == 0
}

fn take_placement(expected: &mut Value, pod: &Value) {
    let Some(fields) = expected.as_object_mut() else { return };
    let affinity = |fields: &Map| fields.get("affinity").filter(|a| !a.is_null()).cloned();
    let (new, old) = (pod.as_object().and_then(affinity), affinity(fields));
    let mut taken = old.clone().unwrap_or_else(|| Value::Object(Map::new()));
    take(&mut taken, new.as_ref().unwrap_or(&Value::Null), "nodeAffinity");
    let is_nothing = taken.as_object().is_none_or(Map::is_empty);
    if (old.is_some() || new.is_some()) && (new.is_some() || !is_nothing) {
        fields.insert("affinity".into(), taken);
    } else {
        fields.remove("affinity");
    }
    for name in ["nodeSelector", "tolerations", "schedulingGates"] {
        take(expected, pod, name);
    }
}

fn take_resources(expected: &mut Value, pod: &Value) {
    for list in ["containers", "initContainers"] {
        let (Some(old), Some(new)) = (expected[list].as_array_mut(), pod[list].as_array()) else { continue };
        if old.len() != new.len() {
            continue;
        }
        for (old, new) in old.iter_mut().zip(new).filter(|(old, new)| old["name"] == new["name"]) {
            take(old, new, "resources");
        }
    }
}

fn take(to: &mut Value, from: &Value, name: &str) {
    if let Some(fields) = to.as_object_mut() {
        match from.get(name).filter(|value| !value.is_null()) {
            Some(value) => drop(fields.insert(name.into(), value.clone())),
            None => drop(fields.remove(name)),
        }
    }
}
