//! Cells of what makes pods, and of what scales or guards them.

use super::row::{Row, human};
use super::selector;
use crate::codec::protobuf::view::View;

pub fn pod_template(row: &mut Row<'_>, object: View<'_>) {
    let template = object.at("template");
    row.name(object);
    containers(row, template);
    row.text(&selector::labels(&template.at("metadata").labels("labels")));
}

/// Names and images of a pod template's containers: two cells.
fn containers(row: &mut Row<'_>, template: View<'_>) {
    for field in ["name", "image"] {
        let texts: Vec<&str> = template.at("spec").items("containers").map(|c| c.text(field)).collect();
        row.text(&texts.join(","));
    }
}

pub fn replication_controller(row: &mut Row<'_>, object: View<'_>) {
    replicas(row, object);
    row.text(&selector::labels(&object.at("spec").labels("selector")));
}

pub fn replica_set(row: &mut Row<'_>, object: View<'_>) {
    replicas(row, object);
    row.text(&selector::shown(object.at("spec").get("selector")));
}

fn replicas(row: &mut Row<'_>, object: View<'_>) {
    let (spec, status) = (object.at("spec"), object.at("status"));
    row.name(object);
    row.number(spec.number("replicas"));
    row.number(status.number("replicas"));
    row.number(status.number("readyReplicas"));
    row.created(object);
    containers(row, spec.at("template"));
}

pub fn deployment(row: &mut Row<'_>, object: View<'_>) {
    let (spec, status) = (object.at("spec"), object.at("status"));
    row.name(object);
    row.print(format_args!("{}/{}", status.number("readyReplicas"), spec.number("replicas")));
    row.number(status.number("updatedReplicas"));
    row.number(status.number("availableReplicas"));
    row.created(object);
    containers(row, spec.at("template"));
    row.text(&selector::text(spec.get("selector")).unwrap_or_else(|| "<invalid>".into()));
}

pub fn stateful_set(row: &mut Row<'_>, object: View<'_>) {
    let (spec, status) = (object.at("spec"), object.at("status"));
    row.name(object);
    row.print(format_args!("{}/{}", status.number("readyReplicas"), spec.number("replicas")));
    row.created(object);
    containers(row, spec.at("template"));
}

pub fn daemon_set(row: &mut Row<'_>, object: View<'_>) {
    let (spec, status) = (object.at("spec"), object.at("status"));
    row.name(object);
    for field in
        ["desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable"]
    {
        row.number(status.number(field));
    }
    row.text(&selector::labels(&spec.at("template").at("spec").labels("nodeSelector")));
    row.created(object);
    containers(row, spec.at("template"));
    row.text(&selector::shown(spec.get("selector")));
}

pub fn controller_revision(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    match object.at("metadata").items("ownerReferences").find(|o| o.flag("controller")) {
        Some(owner) => {
            let kind = owner.text("kind").to_lowercase();
            match owner.text("apiVersion").split_once('/') {
                Some((group, _)) => row.print(format_args!("{kind}.{}/{}", group.to_lowercase(), owner.text("name"))),
                None => row.print(format_args!("{kind}/{}", owner.text("name"))),
            }
        }
        None => row.text("<none>"),
    }
    row.number(object.number("revision"));
    row.created(object);
}

pub fn job(row: &mut Row<'_>, object: View<'_>) {
    let (spec, status) = (object.at("spec"), object.at("status"));
    row.name(object);
    row.text(job_state(object, status));
    let succeeded = status.number("succeeded");
    match (spec.maybe_number("completions"), spec.number("parallelism")) {
        (Some(completions), _) => row.print(format_args!("{succeeded}/{completions}")),
        (None, parallelism @ 2..) => row.print(format_args!("{succeeded}/1 of {parallelism}")),
        (None, _) => row.print(format_args!("{succeeded}/1")),
    }
    match (status.time("startTime"), status.time("completionTime")) {
        (None, _) => row.text(""),
        (start, None) => row.age(start),
        (Some(start), Some(end)) => row.text(&human(end.since(start))),
    }
    row.created(object);
    containers(row, spec.at("template"));
    row.text(&selector::shown(spec.get("selector")));
}

fn job_state(object: View<'_>, status: View<'_>) -> &'static str {
    let holds = |kind| {
        let condition = status.items("conditions").find(|c| c.text("type") == kind);
        condition.is_some_and(|c| c.text("status") == "True")
    };
    if holds("Complete") {
        "Complete"
    } else if holds("Failed") {
        "Failed"
    } else if object.at("metadata").has("deletionTimestamp") {
        "Terminating"
    } else {
        let later = ["Suspended", "FailureTarget", "SuccessCriteriaMet"];
        later.into_iter().find(|kind| holds(kind)).unwrap_or("Running")
    }
}

pub fn cron_job(row: &mut Row<'_>, object: View<'_>) {
    let (spec, status) = (object.at("spec"), object.at("status"));
    let job = spec.at("jobTemplate").at("spec");
    row.name(object);
    row.text(spec.text("schedule"));
    row.text(spec.maybe_text("timeZone").unwrap_or("<none>"));
    row.text(match spec.maybe_flag("suspend") {
        None => "<unset>",
        Some(true) => "True",
        Some(false) => "False",
    });
    row.number(status.count("active") as i64);
    match status.get("lastScheduleTime") {
        Some(_) => row.age(status.time("lastScheduleTime")),
        None => row.text("<none>"),
    }
    row.created(object);
    containers(row, job.at("template"));
    row.text(&selector::shown(job.get("selector")));
}

pub fn disruption_budget(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    for field in ["minAvailable", "maxUnavailable"] {
        row.text(object.at("spec").int_or_string(field).as_deref().unwrap_or("N/A"));
    }
    row.number(object.at("status").number("disruptionsAllowed"));
    row.created(object);
}

pub fn scale(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.number(object.at("spec").number("replicas"));
    row.number(object.at("status").number("replicas"));
    row.created(object);
}

/// Of a HorizontalPodAutoscaler in autoscaling/v2.
pub fn autoscaler(row: &mut Row<'_>, object: View<'_>) {
    let (spec, status) = (object.at("spec"), object.at("status"));
    let target = spec.at("scaleTargetRef");
    row.name(object);
    row.print(format_args!("{}/{}", target.text("kind"), target.text("name")));
    row.text(&targets(spec, status));
    match spec.maybe_number("minReplicas") {
        Some(least) => row.print(format_args!("{least}")),
        None => row.text("<unset>"),
    }
    row.number(spec.number("maxReplicas"));
    row.number(status.number("currentReplicas"));
    row.created(object);
}

/// Metrics shown at most.
const METRICS: usize = 2;

fn targets(spec: View<'_>, status: View<'_>) -> String {
    let current: Vec<View<'_>> = status.items("currentMetrics").collect();
    let metrics: Vec<String> =
        spec.items("metrics").enumerate().map(|(at, metric)| target(metric, current.get(at).copied())).collect();
    if metrics.is_empty() {
        return "<none>".into();
    }
    let shown = metrics[..metrics.len().min(METRICS)].join(", ");
    match metrics.len().saturating_sub(METRICS) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// `current/target` of one metric; the current one stands at the same place of the status.
fn target(metric: View<'_>, current: Option<View<'_>>) -> String {
    const UNKNOWN: &str = "<unknown>";
    let (field, resource) = match metric.text("type") {
        "External" => ("external", false),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        _ => return "<unknown type>".into(),
    };
    let target = metric.at(field).at("target");
    let now = current.and_then(|c| c.get(field)).map(|c| c.at("current"));
    let average = target.quantity("averageValue");
    // What is no pointer in stock's own types shows as nil when it is missing; the rest as unknown.
    let quantity = |name, missing| now.map_or(UNKNOWN, |now| now.quantity(name).unwrap_or(missing));
    if !resource {
        return match average {
            Some(average) if field == "pods" => format!("{}/{average}", quantity("averageValue", "<nil>")),
            Some(average) => format!("{}/{average} (avg)", quantity("averageValue", UNKNOWN)),
            None if field == "pods" => format!("{}/<nil>", quantity("averageValue", "<nil>")),
            None => format!("{}/{}", quantity("value", "<nil>"), target.quantity("value").unwrap_or("<nil>")),
        };
    }
    let name = metric.at(field).text("name");
    if let Some(average) = average {
        return format!("{name}: {}/{average}", quantity("averageValue", "<nil>"));
    }
    let percent = |utilization: Option<i64>, missing: &str| match utilization {
        Some(percent) => format!("{percent}%"),
        None => missing.into(),
    };
    let now = percent(now.and_then(|now| now.maybe_number("averageUtilization")), UNKNOWN);
    format!("{name}: {now}/{}", percent(target.maybe_number("averageUtilization"), "<auto>"))
}
