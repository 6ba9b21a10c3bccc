//! Cells of core's small kinds.

use super::row::Row;
use crate::codec::protobuf::view::View;

/// The name and, when one of the annotations says so, that it is the default.
pub fn name_with_default(row: &mut Row<'_>, object: View<'_>, annotations: &[&str]) {
    let metadata = object.at("metadata");
    let set = metadata.labels("annotations");
    if set.iter().any(|(key, value)| annotations.contains(key) && *value == "true") {
        row.print(format_args!("{} (default)", metadata.text("name")));
    } else {
        row.name(object);
    }
}

/// Of kinds that have no cells of their own.
pub fn created_at(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    let time = object.at("metadata").time("creationTimestamp");
    row.text(&time.unwrap_or(crate::model::time::Time::ZERO).to_text());
}

pub fn name_and_age(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.created(object);
}

pub fn config_map(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.number((object.count("data") + object.count("binaryData")) as i64);
    row.created(object);
}

pub fn secret(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.text(object.text("type"));
    row.number(object.count("data") as i64);
    row.created(object);
}

pub fn namespace(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.text(object.at("status").text("phase"));
    row.created(object);
}

pub fn component_status(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    match object.items("conditions").find(|c| c.text("type") == "Healthy") {
        Some(healthy) => {
            row.text(if healthy.text("status") == "True" { "Healthy" } else { "Unhealthy" });
            row.text(healthy.text("message"));
            row.text(healthy.text("error"));
        }
        None => ["Unknown", "", ""].into_iter().for_each(|text| row.text(text)),
    }
}

pub fn resource_quota(row: &mut Row<'_>, object: View<'_>) {
    let status = object.at("status");
    let used = status.quantities("used");
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (name, hard) in status.quantities("hard") {
        let used = used.iter().find(|(known, _)| *known == name).map_or("0", |(_, quantity)| quantity);
        let column = if name.starts_with("limits.") { &mut limits } else { &mut requests };
        column.push(format!("{name}: {used}/{hard}"));
    }
    row.name(object);
    row.text(&requests.join(", "));
    row.text(&limits.join(", "));
    row.created(object);
}

/// Of an event in core/v1.
pub fn event(row: &mut Row<'_>, object: View<'_>) {
    let (about, series) = (object.at("involvedObject"), object.get("series"));
    let first = object.time("firstTimestamp").or_else(|| object.time("eventTime"));
    let last = match series {
        Some(series) => series.time("lastObservedTime"),
        None => object.time("lastTimestamp").or(first),
    };
    row.age(last);
    row.text(object.text("type"));
    row.text(object.text("reason"));
    let kind = about.text("kind").to_lowercase();
    match about.text("name") {
        "" => row.text(&kind),
        name => row.print(format_args!("{kind}/{name}")),
    }
    row.text(about.text("fieldPath"));
    let source = object.at("source");
    let either = |old: &'static str, new| match source.text(old) {
        "" => object.text(new),
        text => text,
    };
    let reporter = either("component", "reportingComponent");
    match either("host", "reportingInstance") {
        "" => row.text(reporter),
        instance => row.print(format_args!("{reporter}, {instance}")),
    }
    row.text(object.text("message").trim());
    row.age(first);
    row.number(match (series, object.number("count")) {
        (Some(series), _) => series.number("count"),
        (None, 0) => 1,
        (None, count) => count,
    });
    row.name(object);
}
