//! Cells of nodes, their leases and devices.

use super::row::Row;
use crate::codec::protobuf::view::View;

pub fn node(row: &mut Row<'_>, object: View<'_>) {
    let (status, about) = (object.at("status"), object.at("status").at("nodeInfo"));
    row.name(object);
    let ready = status.items("conditions").filter(|c| c.text("type") == "Ready").last();
    let state = match ready.map(|c| c.text("status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    if object.at("spec").flag("unschedulable") {
        row.print(format_args!("{state},SchedulingDisabled"));
    } else {
        row.text(state);
    }
    row.text_or(&roles(object).join(","), "<none>");
    row.created(object);
    row.text(about.text("kubeletVersion"));
    for kind in ["InternalIP", "ExternalIP"] {
        let address = status.items("addresses").find(|a| a.text("type") == kind);
        row.text(address.map_or("<none>", |a| a.text("address")));
    }
    row.text_or(about.text("osImage"), "<unknown>");
    let kernel = Some(about.text("kernelVersion")).filter(|k| !k.is_empty()).unwrap_or("<unknown>");
    match about.text("architecture") {
        "" => row.text(kernel),
        architecture => row.print(format_args!("{kernel} ({architecture})")),
    }
    row.text_or(about.text("containerRuntimeVersion"), "<unknown>");
}

/// What labels `node-role.kubernetes.io/<role>` and `kubernetes.io/role: <role>` say, sorted.
fn roles<'a>(object: View<'a>) -> Vec<&'a str> {
    let role = |(key, value): (&'a str, &'a str)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role),
        None => (key == "kubernetes.io/role").then_some(value),
    };
    let mut roles: Vec<&str> =
        object.at("metadata").labels("labels").into_iter().filter_map(role).filter(|role| !role.is_empty()).collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

pub fn lease(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.text(object.at("spec").text("holderIdentity"));
    row.created(object);
}

pub fn runtime_class(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.text(object.text("handler"));
    row.created(object);
}

pub fn resource_claim(row: &mut Row<'_>, object: View<'_>) {
    let status = object.at("status");
    let deleted = object.at("metadata").has("deletionTimestamp");
    let mut states = Vec::new();
    if deleted {
        states.push("deleted");
    }
    if status.has("allocation") {
        states.push("allocated");
        if status.count("reservedFor") > 0 {
            states.push("reserved");
        }
    } else if !deleted {
        states.push("pending");
    }
    row.name(object);
    row.text(&states.join(","));
    row.created(object);
}

pub fn resource_slice(row: &mut Row<'_>, object: View<'_>) {
    let spec = object.at("spec");
    row.name(object);
    row.text(spec.text("nodeName"));
    row.text(spec.text("driver"));
    row.text(spec.at("pool").text("name"));
    row.created(object);
}
