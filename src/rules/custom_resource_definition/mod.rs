//! CustomResourceDefinition: what a definition must keep so that its schema can be relied on.
//!
//! It owns the kind's own rules, and what its conditions say. What a schema means for values it takes from `custom`;
//! serving a definition belongs to others.
//!
//! In reading order: `validate` (all in stock's order), `spec` (what versions share), `options` (what an old
//! definition excuses), `names`, `columns` (and subresources, fields for selectors), `schema` with `structural`,
//! `defaults`, `lists` and `expressions`; `status` (names that are accepted, conditions).

mod columns;
mod defaults;
mod expressions;
mod lists;
pub mod names;
mod options;
mod schema;
mod spec;
pub mod status;
mod structural;
mod validate;

use self::options::Options;
use self::spec::Spec;
use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::custom::formats;
use super::custom::schema::Schema;
use super::kind::{Cx, Generation, NONE, Part, Rules, STATUS, Status};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::gotext;
use crate::model::value::{Value, json};

pub const RULES: Rules = Rules {
    group: "apiextensions.k8s.io",
    kind: "CustomResourceDefinition",
    generation: Generation::Fields(&["spec"]),
    status: Status::Separate,
    unconditional_update: false,
    returns_deleted: true,
    prepare_create: |_, crd| store_version(crd),
    prepare_update,
    validate,
    validate_update,
    warn,
    parts: &[Part { validate: validate_status, ..STATUS }],
    ..NONE
};

/// SetDefaults of apiextensions.k8s.io/v1.
pub fn fill(crd: &mut Value) {
    let Some(spec) = crd.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let names = spec.entry("names").or_insert_with(|| json!({}));
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    let is_empty = |names: &Value, field: &str| names[field].as_str().unwrap_or_default().is_empty();
    if is_empty(names, "singular") && !kind.is_empty() {
        names["singular"] = kind.to_lowercase().into();
    }
    if is_empty(names, "listKind") && !kind.is_empty() {
        names["listKind"] = format!("{kind}List").into();
    }
    let conversion = spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    if let Some(service) = conversion.pointer_mut("/webhook/clientConfig/service").and_then(Value::as_object_mut) {
        service.entry("port").or_insert_with(|| 443.into());
    }
    let is_stored = crd["status"]["storedVersions"].as_array().is_some_and(|stored| !stored.is_empty());
    if !is_stored {
        store_version(crd);
    }
}

/// The version in which objects are stored from now on.
fn store_version(crd: &mut Value) {
    let versions = crd["spec"]["versions"].as_array().into_iter().flatten();
    let Some(name) = versions.into_iter().find(|version| version["storage"] == true).map(|v| v["name"].clone()) else {
        return;
    };
    let Some(fields) = crd.as_object_mut() else { return };
    let status = fields.entry("status").or_insert_with(|| json!({}));
    match status["storedVersions"].as_array_mut() {
        Some(stored) if stored.contains(&name) => {}
        Some(stored) => stored.push(name),
        None => status["storedVersions"] = json!([name]),
    }
}

fn prepare_update(_: &Cx, new: &mut Value, _: &Value) {
    store_version(new);
}

fn validate(_: &Cx, at: &At, errs: &mut FieldErrors) {
    let own = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: false };
    let metadata = at.at("metadata");
    let spec = at.at("spec");
    let (mut of_meta, names) = (FieldErrors::new(), spec.at("names"));
    object_meta(&metadata, own, &mut of_meta);
    let expected = format!("{}.{}", names.at("plural").str(), spec.at("group").str());
    for field in ["generateName", "name"] {
        let name = metadata.at(field);
        if !name.is_empty() && name.str() != expected {
            let mut wrong = FieldErrors::new();
            name.invalid(&mut wrong, "must be spec.names.plural+\".\"+spec.group");
            // After what else is wrong with it, before the rest of the metadata.
            let of_names =
                |error: &FieldError| ["metadata.name", "metadata.generateName"].contains(&error.field.as_str());
            let is_own =
                |error: &FieldError| of_names(error) && (field == "name" || error.field.ends_with("generateName"));
            let place = of_meta.iter().rposition(is_own).map_or(0, |place| place + 1);
            of_meta.splice(place..place, wrong);
        }
    }
    errs.append(&mut of_meta);
    validate::spec(&spec, &Options::create(), errs);
    validate_rest(at, None, errs);
}

fn validate_update(_: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), false, errs);
    let options = Options::update(new.value(), old.value());
    let (spec, before) = (new.at("spec"), old.at("spec"));
    validate::spec(&spec, &options, errs);
    if options.fixed_names {
        spec.at("scope").immutable(errs, &before.at("scope"));
        spec.at("names").at("kind").immutable(errs, &before.at("names").at("kind"));
    }
    spec.at("group").immutable(errs, &before.at("group"));
    spec.at("names").at("plural").immutable(errs, &before.at("names").at("plural"));
    validate_rest(new, Some(old), errs);
}

/// Status, approval and pruning.
fn validate_rest(at: &At, old: Option<&At>, errs: &mut FieldErrors) {
    let status = at.at("status");
    names::validate(&status.at("acceptedNames"), errs);
    validate::stored_versions(&status.at("storedVersions"), &at.at("spec"), errs);
    validate::approval(at, old, errs);
    validate::keeps_unknown(at, old, errs);
}

fn validate_status(_: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), false, errs);
    names::validate(&new.at("status").at("acceptedNames"), errs);
}

/// Formats that mean nothing.
fn warn(_: &Cx, new: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    let before = old.map(|old| unknown_formats(&old.value()["spec"])).unwrap_or_default();
    let found = unknown_formats(&new.value()["spec"]).into_iter().filter(|format| !before.contains(format));
    warnings.extend(found.map(|format| format!("unrecognized format {}", gotext::quote(&format))));
}

fn unknown_formats(spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for raw in Spec::new(spec).schemas() {
        Schema::read(raw).any(&mut |schema| {
            if !schema.format.is_empty() && !formats::is_supported(&schema.kind, &schema.format) {
                found.push(schema.format.clone());
            }
            false
        });
    }
    found
}

/// Whether a condition of the definition is true: `Established`, `NamesAccepted`, `Terminating`, ...
pub fn is_true(crd: &Value, condition: &str) -> bool {
    let conditions = crd["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|of| of["type"] == condition && of["status"] == "True")
}

#[cfg(test)]
mod tests;
