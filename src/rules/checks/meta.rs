//! `metadata`, of a new object and of a changed one.

use crate::model::field::{FieldError, FieldErrors};
use crate::model::names::GroupVersion;
use crate::model::syntax::label_key;
use crate::model::value::Value;
use crate::model::{gotext, syntax};
use crate::rules::at::{At, Schema};
use crate::rules::show;
use crate::schema::table::{Message, Shape};

use super::labels::{annotations, labels};
use super::names::NameRule;
use super::numbers::non_negative;

/// Of a field manager's name.
pub const FIELD_MANAGER_BYTES: usize = 128;
/// Of a subresource's name in `managedFields`.
const SUBRESOURCE_BYTES: usize = 256;
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What a kind demands of its metadata.
#[derive(Clone, Copy, Debug)]
pub struct MetaRules {
    pub namespaced: bool,
    pub name: NameRule,
    /// Finalizers without a domain must be Kubernetes' own: so in the kinds of core and those that follow it.
    pub kube_finalizers: bool,
}

/// The metadata of an object, new or changed; `at` is `metadata`.
pub fn object_meta(at: &At, rules: MetaRules, errs: &mut FieldErrors) {
    let generate = at.at("generateName");
    if !generate.is_empty() {
        generate.check(errs, |prefix| rules.name.prefix(prefix));
    }
    let name = at.at("name");
    if name.is_empty() {
        name.required(errs, "name or generateName is required");
    } else {
        name.check(errs, |name| rules.name.name(name));
    }
    let namespace = at.at("namespace");
    match (rules.namespaced, namespace.is_empty()) {
        (true, true) => namespace.required(errs, ""),
        (true, false) => drop(namespace.check(errs, syntax::dns1123_label)),
        (false, true) => {}
        (false, false) => namespace.forbidden(errs, "not allowed on this type"),
    }
    non_negative(&at.at("generation"), errs);
    labels(&at.at("labels"), errs);
    annotations(&at.at("annotations"), errs);
    owner_references(&at.at("ownerReferences"), errs);
    finalizers(&at.at("finalizers"), errs);
    managed_fields(&at.at("managedFields"), errs);
    if rules.kube_finalizers {
        kube_finalizers(&at.at("finalizers"), errs);
    }
}

/// What a change may not do to the metadata.
pub fn object_meta_update(at: &At, before: &At, with_kube_finalizers: bool, errs: &mut FieldErrors) {
    if before.has("deletionTimestamp") {
        no_new_finalizers(&at.at("finalizers"), &before.at("finalizers"), errs);
    }
    if at.at("resourceVersion").is_empty() {
        at.at("resourceVersion").invalid(errs, "must be specified for an update");
    }
    if at.at("generation").i64() < before.at("generation").i64() {
        at.at("generation").invalid(errs, "must not be decremented");
    }
    for name in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        at.at(name).immutable(errs, &before.at(name));
    }
    labels(&at.at("labels"), errs);
    annotations(&at.at("annotations"), errs);
    owner_references(&at.at("ownerReferences"), errs);
    managed_fields(&at.at("managedFields"), errs);
    if with_kube_finalizers {
        kube_finalizers(&at.at("finalizers"), errs);
    }
}

/// The metadata of a template inside an object, which has labels and annotations only.
pub fn template_meta(at: &At, errs: &mut FieldErrors) {
    annotations(&at.at("annotations"), errs);
    labels(&at.at("labels"), errs);
    only_allowed(at, &["annotations", "labels"], "cannot be set", errs);
}

/// Forbids the object's other fields. Their places have Go's names with a small first letter, as in stock: `uID`.
pub fn only_allowed(at: &At, allowed: &[&str], detail: &'static str, errs: &mut FieldErrors) {
    if let Some(message) = at.schema().message() {
        only_allowed_of(at, message, allowed, detail, errs);
    }
}

fn only_allowed_of(at: &At, message: &Message, allowed: &[&str], detail: &'static str, errs: &mut FieldErrors) {
    for field in message.fields.iter().filter(|field| !allowed.contains(&field.name)) {
        if let Some(inner) = field.message().filter(|_| field.inline) {
            only_allowed_of(at, inner, allowed, detail, errs);
            continue;
        }
        let child = at.at(field.name);
        let plain = matches!(child.schema(), Schema::Field(field) if !field.pointer);
        let is_one = field.shape == Shape::One;
        let zero = match child.value() {
            Value::Null => true,
            Value::String(text) => plain && text.is_empty(),
            Value::Number(number) => plain && number.as_i64() == Some(0),
            Value::Bool(flag) => plain && !flag,
            // An empty list or map is set too; an empty object is not, where Go has no pointer to it.
            Value::Object(fields) => plain && is_one && fields.is_empty(),
            Value::Array(_) | Value::Written(_) => false,
        };
        if !zero {
            let name = show::go_name(message, field.name);
            let name = name[..1].to_ascii_lowercase() + &name[1..];
            errs.push(FieldError::forbidden(&at.path().name(&name), detail));
        }
    }
}

/// The places of their errors have no index.
pub fn owner_references(at: &At, errs: &mut FieldErrors) {
    let mut controller = None;
    for owner in at.items() {
        owner_reference(at, &owner, errs);
        if !owner.at("controller").bool() {
            continue;
        }
        let this = (owner.at("kind").str(), owner.at("name").str());
        match controller {
            None => controller = Some(this),
            Some((kind, name)) => at.invalid(
                errs,
                format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {kind}/{name} and {}/{}",
                    this.0, this.1
                ),
            ),
        }
    }
}

fn owner_reference(at: &At, owner: &At, errs: &mut FieldErrors) {
    let version = GroupVersion::parse(owner.at("apiVersion").str()).unwrap_or_default();
    let mut invalid = |field: &str, detail: &'static str| {
        errs.push(FieldError::invalid(&at.path().name(field), owner.at(field).str(), detail));
    };
    if version.version.is_empty() {
        invalid("apiVersion", "version must not be empty");
    }
    for field in ["kind", "name", "uid"] {
        if owner.at(field).is_empty() {
            invalid(field, "must not be empty");
        }
    }
    if version == GroupVersion::new("", "v1") && owner.at("kind").str() == "Event" {
        at.invalid_as(errs, owner.bad(), "/v1, Kind=Event is disallowed from being an owner");
    }
}

/// The places of their errors have no index.
pub fn finalizers(at: &At, errs: &mut FieldErrors) {
    let (mut orphan, mut foreground) = (false, false);
    for name in at.strs() {
        for text in label_key(name) {
            at.invalid_as(errs, name, text);
        }
        orphan |= name == ORPHAN;
        foreground |= name == FOREGROUND;
    }
    if orphan && foreground {
        at.invalid(errs, "finalizer orphan and foregroundDeletion cannot be both set");
    }
}

/// A finalizer without a domain must be one of Kubernetes' own.
pub fn kube_finalizers(at: &At, errs: &mut FieldErrors) {
    for finalizer in at.items() {
        let name = finalizer.str();
        if !name.contains('/') && !["kubernetes", ORPHAN, FOREGROUND].contains(&name) {
            finalizer.invalid(errs, "name is neither a standard finalizer name nor is it fully qualified");
        }
    }
}

fn no_new_finalizers(at: &At, before: &At, errs: &mut FieldErrors) {
    let mut new: Vec<_> = at.strs().filter(|name| before.strs().all(|old| old != *name)).collect();
    if new.is_empty() {
        return;
    }
    new.sort_unstable();
    new.dedup();
    let quoted: Vec<_> = new.into_iter().map(gotext::quote).collect();
    let list = quoted.join(", ");
    at.forbidden(
        errs,
        format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}"
        ),
    );
}

pub fn managed_fields(at: &At, errs: &mut FieldErrors) {
    for entry in at.items() {
        let operation = entry.at("operation");
        if !["Apply", "Update"].contains(&operation.str()) {
            operation.invalid(errs, "must be `Apply` or `Update`");
        }
        let fields_type = entry.at("fieldsType");
        if !["", "FieldsV1"].contains(&fields_type.str()) {
            fields_type.invalid(errs, "must be `FieldsV1`");
        }
        field_manager(&entry.at("manager"), errs);
        if entry.at("subresource").len() > SUBRESOURCE_BYTES {
            entry.at("subresource").too_long(errs, SUBRESOURCE_BYTES);
        }
    }
}

/// The name of a field manager, in an object or as a parameter of a request.
pub fn field_manager(at: &At, errs: &mut FieldErrors) {
    let name = at.str();
    if name.len() > FIELD_MANAGER_BYTES {
        at.too_long(errs, FIELD_MANAGER_BYTES);
    }
    for (position, letter) in name.char_indices() {
        if !gotext::is_printable(letter) {
            let code = letter as u32;
            at.invalid(errs, format!("invalid character U+{code:04X} (at position {position})"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    const POD: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };

    fn found(check: impl Fn(&At, &mut FieldErrors), metadata: Value) -> Vec<String> {
        let object = json!({"metadata": metadata});
        let root = At::new(&object, table::message("k8s.io.api.core.v1.Pod"));
        let mut errs = FieldErrors::new();
        check(&root.at("metadata"), &mut errs);
        errs.iter().map(|e| e.to_string().chars().take(150).collect()).collect()
    }

    fn changed(metadata: Value, before: Value) -> Vec<String> {
        let before = json!({"metadata": before});
        let before = At::new(&before, table::message("k8s.io.api.core.v1.Pod"));
        found(|at, errs| object_meta_update(at, &before.at("metadata"), true, errs), metadata)
    }

    #[test]
    fn right_metadata() {
        let meta = json!({"name": "a", "namespace": "b", "generation": 1, "labels": {"a": "b"}, "finalizers": ["a.b/c"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u", "controller": true}],
            "managedFields": [{"manager": "m", "operation": "Apply", "fieldsType": "FieldsV1"}]});
        assert!(found(|at, errs| object_meta(at, POD, errs), meta).is_empty());
    }

    #[test]
    fn wrong_metadata_in_stocks_order() {
        let meta = json!({"generation": -1, "annotations": {"a b": ""}, "finalizers": ["x", "orphan", "foregroundDeletion"],
            "ownerReferences": [
                {"controller": true, "kind": "K", "name": "n", "uid": "u"},
                {"controller": true, "apiVersion": "v1", "kind": "Event", "name": "m", "uid": "u"}],
            "managedFields": [{"operation": "Guess", "fieldsType": "V0", "manager": "\u{7}"}]});
        assert_eq!(
            found(|at, errs| object_meta(at, POD, errs), meta),
            [
                "metadata.name: Required value: name or generateName is required",
                "metadata.namespace: Required value",
                "metadata.generation: Invalid value: -1: must be greater than or equal to 0",
                "metadata.annotations: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanu",
                "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty",
                "metadata.ownerReferences: Invalid value: {\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\":\"m\",\"uid\":\"u\",\"controller\":true}: /v1, Kind=Event is disallowed from",
                "metadata.ownerReferences: Invalid value: [{\"apiVersion\":\"\",\"kind\":\"K\",\"name\":\"n\",\"uid\":\"u\",\"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"name\"",
                "metadata.finalizers: Invalid value: [\"x\",\"orphan\",\"foregroundDeletion\"]: finalizer orphan and foregroundDeletion cannot be both set",
                "metadata.managedFields[0].operation: Invalid value: \"Guess\": must be `Apply` or `Update`",
                "metadata.managedFields[0].fieldsType: Invalid value: \"V0\": must be `FieldsV1`",
                "metadata.managedFields[0].manager: Invalid value: \"\\a\": invalid character U+0007 (at position 0)",
                "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified",
            ]
        );
    }

    #[test]
    fn a_cluster_scoped_object_has_no_namespace() {
        let rules = MetaRules { namespaced: false, name: NameRule::PathSegment, kube_finalizers: false };
        assert_eq!(
            found(
                |at, errs| object_meta(at, rules, errs),
                json!({"name": "a:b", "namespace": "x", "finalizers": ["y"]})
            ),
            ["metadata.namespace: Forbidden: not allowed on this type"]
        );
    }

    #[test]
    fn what_may_not_change() {
        let before = json!({"name": "a", "namespace": "n", "uid": "1", "generation": 3, "finalizers": ["a.b/c"],
            "creationTimestamp": "2024-01-01T00:00:00Z", "deletionTimestamp": "2024-01-02T00:00:00Z"});
        let same = json!({"name": "a", "namespace": "n", "uid": "1", "generation": 3, "resourceVersion": "5",
            "creationTimestamp": "2024-01-01T00:00:00Z", "deletionTimestamp": "2024-01-02T00:00:00Z"});
        assert!(changed(same, before.clone()).is_empty());
        let other = json!({"name": "b", "generation": 2, "finalizers": ["z/z", "a.b/d", "a.b/c"],
            "deletionGracePeriodSeconds": 5});
        assert_eq!(
            changed(other, before),
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"a.b/d\", \"z/z\"}",
                "metadata.resourceVersion: Invalid value: \"\": must be specified for an update",
                "metadata.generation: Invalid value: 2: must not be decremented",
                "metadata.name: Invalid value: \"b\": field is immutable",
                "metadata.namespace: Invalid value: \"\": field is immutable",
                "metadata.uid: Invalid value: \"\": field is immutable",
                "metadata.creationTimestamp: Invalid value: null: field is immutable",
                "metadata.deletionTimestamp: Invalid value: null: field is immutable",
                "metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable",
            ]
        );
    }

    #[test]
    fn a_template_has_labels_and_annotations_only() {
        let meta = json!({"labels": {"a": "b"}, "name": "", "uid": "u", "generation": 2, "deletionGracePeriodSeconds": 0,
                "finalizers": []});
        assert_eq!(
            found(template_meta, meta),
            [
                "metadata.uID: Forbidden: cannot be set",
                "metadata.generation: Forbidden: cannot be set",
                "metadata.deletionGracePeriodSeconds: Forbidden: cannot be set",
                "metadata.finalizers: Forbidden: cannot be set",
            ]
        );
    }
}
