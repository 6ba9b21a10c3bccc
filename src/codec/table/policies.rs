//! Cells of admission webhooks and policies.

use super::row::Row;
use super::selector;
use crate::codec::protobuf::view::View;

pub fn webhooks(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.number(object.count("webhooks") as i64);
    row.created(object);
}

pub fn validating(row: &mut Row<'_>, object: View<'_>) {
    policy(row, object, "validations");
}

pub fn mutating(row: &mut Row<'_>, object: View<'_>) {
    policy(row, object, "mutations");
}

fn policy(row: &mut Row<'_>, object: View<'_>, rules: &str) {
    let spec = object.at("spec");
    row.name(object);
    row.number(spec.count(rules) as i64);
    match spec.get("paramKind") {
        Some(kind) => row.print(format_args!("{}/{}", kind.text("apiVersion"), kind.text("kind"))),
        None => row.text("<unset>"),
    }
    row.created(object);
}

pub fn binding(row: &mut Row<'_>, object: View<'_>) {
    let spec = object.at("spec");
    let parameters = spec.at("paramRef");
    row.name(object);
    row.text(spec.text("policyName"));
    // Without a namespace it cannot be told whether the parameters have one.
    match (parameters.text("namespace"), parameters.text("name"), parameters.get("selector")) {
        ("", "", None) | (_, "", None) => row.text("<unset>"),
        (_, "", Some(wanted)) => row.text(&selector::go_struct(wanted)),
        ("", name, _) => row.print(format_args!("*/{name}")),
        (namespace, name, _) => row.print(format_args!("{namespace}/{name}")),
    }
    row.created(object);
}
