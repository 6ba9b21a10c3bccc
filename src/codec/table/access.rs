//! Cells of bindings, certificate requests, priorities and API services.

use super::row::{Row, human};
use crate::codec::protobuf::view::View;
use crate::model::duration::Duration;

/// Of a RoleBinding or a ClusterRoleBinding.
pub fn binding(row: &mut Row<'_>, object: View<'_>) {
    let role = object.at("roleRef");
    row.name(object);
    row.print(format_args!("{}/{}", role.text("kind"), role.text("name")));
    row.created(object);
    for kind in ["User", "Group", "ServiceAccount"] {
        let subject = |s: View<'_>| match kind {
            "ServiceAccount" => format!("{}/{}", s.text("namespace"), s.text("name")),
            _ => s.text("name").to_owned(),
        };
        let subjects: Vec<String> = object.items("subjects").filter(|s| s.text("kind") == kind).map(subject).collect();
        row.text(&subjects.join(", "));
    }
}

pub fn signing_request(row: &mut Row<'_>, object: View<'_>) {
    let (spec, status) = (object.at("spec"), object.at("status"));
    row.name(object);
    row.created(object);
    row.text_or(spec.text("signerName"), "<none>");
    row.text(spec.text("username"));
    match spec.maybe_number("expirationSeconds") {
        Some(seconds) => row.text(&human(Duration::from_secs(seconds))),
        None => row.text("<none>"),
    }
    let has = |kind| status.items("conditions").any(|c| c.text("type") == kind);
    let mut state = String::from(match () {
        () if has("Denied") => "Denied",
        () if has("Approved") => "Approved",
        () => "Pending",
    });
    if has("Failed") {
        state.push_str(",Failed");
    }
    if status.size("certificate") > 0 {
        state.push_str(",Issued");
    }
    row.text(&state);
}

pub fn priority_class(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.number(object.number("value"));
    row.flag(object.flag("globalDefault"));
    row.created(object);
    row.text(object.text("preemptionPolicy"));
}

pub fn flow_schema(row: &mut Row<'_>, object: View<'_>) {
    let spec = object.at("spec");
    row.name(object);
    row.text(spec.at("priorityLevelConfiguration").text("name"));
    row.number(spec.number("matchingPrecedence"));
    row.text(spec.get("distinguisherMethod").map_or("<none>", |d| d.text("type")));
    row.created(object);
    let dangling = object.at("status").items("conditions").find(|c| c.text("type") == "Dangling");
    row.text(dangling.map_or("?", |c| c.text("status")));
}

/// FlowSchemas stand in the order in which they are tried.
pub fn flow_schema_order(object: View<'_>) -> (i64, &str) {
    (object.at("spec").number("matchingPrecedence"), object.at("metadata").text("name"))
}

pub fn priority_level(row: &mut Row<'_>, object: View<'_>) {
    let spec = object.at("spec");
    let limited = spec.get("limited");
    let queuing = limited.and_then(|l| l.at("limitResponse").get("queuing"));
    row.name(object);
    row.text(spec.text("type"));
    let mut number = |holder: Option<View<'_>>, field| match holder {
        Some(holder) => row.number(holder.number(field)),
        None => row.text("<none>"),
    };
    number(limited, "nominalConcurrencyShares");
    for field in ["queues", "handSize", "queueLengthLimit"] {
        number(queuing, field);
    }
    row.created(object);
}

pub fn api_service(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    match object.at("spec").get("service") {
        Some(service) => row.print(format_args!("{}/{}", service.text("namespace"), service.text("name"))),
        None => row.text("Local"),
    }
    match object.at("status").items("conditions").find(|c| c.text("type") == "Available") {
        None => row.text("Unknown"),
        Some(available) => match (available.text("status"), available.text("reason")) {
            ("True", _) | (_, "") => row.text(available.text("status")),
            (status, reason) => row.print(format_args!("{status} ({reason})")),
        },
    }
    row.created(object);
}
