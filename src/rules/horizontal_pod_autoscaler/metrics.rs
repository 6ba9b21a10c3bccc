//! What is measured, and what is aimed at.

use crate::model::field::FieldErrors;
use crate::model::syntax::path_segment;
use crate::rules::at::At;
use crate::rules::checks::names::dns1123_label;
use crate::rules::checks::resources::container_resource_name;

use super::rules::{Group, reference};

/// A kind of metric: its `type`, its field, and what that must keep.
struct Kind {
    name: &'static str,
    field: &'static str,
    check: fn(&At, Group, &mut FieldErrors),
}

/// In the order in which they are judged.
const KINDS: [Kind; 5] = [
    Kind { name: "Object", field: "object", check: object },
    Kind { name: "External", field: "external", check: external },
    Kind { name: "Pods", field: "pods", check: pods },
    Kind { name: "Resource", field: "resource", check: resource },
    Kind { name: "ContainerResource", field: "containerResource", check: container_resource },
];
/// Sorted.
const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];

/// All metrics; `least` are the replicas that there must be.
pub fn metrics(at: &At, least: &At, group: Group, errs: &mut FieldErrors) {
    for metric in at.items() {
        self::metric(&metric, group, errs);
    }
    let outside = |metric: At| ["Object", "External"].contains(&metric.at("type").str());
    if least.exists() && least.i64() == 0 && !at.items().any(outside) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        at.forbidden(errs, detail);
    }
}

fn metric(at: &At, group: Group, errs: &mut FieldErrors) {
    let ty = at.at("type");
    if ty.is_empty() {
        ty.required(errs, "must specify a metric source type");
    }
    if !TYPES.contains(&ty.str()) {
        ty.not_supported(errs, &TYPES);
    }
    let present = || KINDS.iter().filter(|kind| at.has(kind.field));
    if let Some(first) = present().next() {
        (first.check)(&at.at(first.field), group, errs);
    }
    let expected = KINDS.iter().find(|kind| kind.name == ty.str());
    match expected {
        None => ty.not_supported(errs, &TYPES),
        Some(kind) if !at.has(kind.field) => {
            at.at(kind.field).required(errs, "must populate information for the given metric source");
        }
        Some(_) => {}
    }
    if present().count() != 1 {
        for kind in present().filter(|kind| kind.name != ty.str()) {
            at.at(kind.field).forbidden(errs, "must populate the given metric source only");
        }
    }
}

fn object(at: &At, group: Group, errs: &mut FieldErrors) {
    reference(&at.at("describedObject"), group, errs);
    identifier(at, errs);
    let target = target(at, errs);
    if !target.has("value") && !target.has("averageValue") {
        target.at("averageValue").required(errs, "must set either a target value or averageValue");
    }
}

fn external(at: &At, _: Group, errs: &mut FieldErrors) {
    identifier(at, errs);
    let target = target(at, errs);
    match (target.has("value"), target.has("averageValue")) {
        (false, false) => {
            let detail = "must set either a target value for metric or a per-pod target";
            target.at("averageValue").required(errs, detail);
        }
        (true, true) => {
            let detail = "may not set both a target value for metric and a per-pod target";
            target.at("value").forbidden(errs, detail);
        }
        _ => {}
    }
}

fn pods(at: &At, _: Group, errs: &mut FieldErrors) {
    identifier(at, errs);
    let target = target(at, errs);
    if !target.has("averageValue") {
        target.at("averageValue").required(errs, "must specify a positive target averageValue");
    }
}

fn resource(at: &At, _: Group, errs: &mut FieldErrors) {
    if at.at("name").is_empty() {
        at.at("name").required(errs, "must specify a resource name");
    }
    value_or_utilization(at, errs);
}

fn container_resource(at: &At, _: Group, errs: &mut FieldErrors) {
    let (name, container) = (at.at("name"), at.at("container"));
    if name.is_empty() {
        name.required(errs, "must specify a resource name");
    } else {
        container_resource_name(&name, name.str(), errs);
    }
    if container.is_empty() {
        container.required(errs, "must specify a container");
    } else {
        container.check(errs, dns1123_label);
    }
    value_or_utilization(at, errs);
}

fn value_or_utilization(at: &At, errs: &mut FieldErrors) {
    let target = target(at, errs);
    match (target.has("averageUtilization"), target.has("averageValue")) {
        (false, false) => {
            let detail = "must set either a target raw value or a target utilization";
            target.at("averageUtilization").required(errs, detail);
        }
        (true, true) => {
            let detail = "may not set both a target raw value and a target utilization";
            target.at("averageValue").forbidden(errs, detail);
        }
        _ => {}
    }
}

fn identifier(at: &At, errs: &mut FieldErrors) {
    let metric = at.at("metric");
    let name = metric.at("name");
    if name.is_empty() {
        name.required(errs, "must specify a metric name");
    } else {
        name.check(errs, path_segment);
    }
}

/// Checks the target, and gives it.
fn target<'s, 'v>(at: &'s At<'_, 'v>, errs: &mut FieldErrors) -> At<'s, 'v> {
    let target = at.at("target");
    let ty = target.at("type");
    if ty.is_empty() {
        ty.required(errs, "must specify a metric target type");
    }
    if !["Utilization", "Value", "AverageValue"].contains(&ty.str()) {
        ty.invalid(errs, "must be either Utilization, Value, or AverageValue");
    }
    for name in ["value", "averageValue"] {
        let amount = target.at(name);
        if amount.exists() && amount.quantity().sign() <= 0 {
            amount.invalid(errs, "must be positive");
        }
    }
    let utilization = target.at("averageUtilization");
    if utilization.exists() && utilization.i64() < 1 {
        utilization.invalid(errs, "must be greater than 0");
    }
    target
}
