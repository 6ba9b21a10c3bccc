//! Namespace, with the subresource that ends it.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::fill::{default, made};
use super::kind::{Cx, NONE, Part, Rules, STATUS, Status};
use super::strategy::keep;
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::object;
use crate::model::syntax::label_key;
use crate::model::value::{Value, json};

pub const RULES: Rules = Rules {
    group: "",
    kind: "Namespace",
    status: Status::Separate,
    returns_deleted: true,
    prepare_create,
    prepare_update: |_, new, old| keep_finalizers(new, old),
    validate: |_, at, errs| namespace(at, errs),
    validate_update: |_, at, old, errs| {
        namespace(at, errs);
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    },
    canonicalize: label_with_name,
    parts: &[
        Part { validate: validate_status, ..STATUS },
        Part { name: "finalize", writes: &["spec"], validate: validate_finalize, ..STATUS },
    ],
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: false, name: NameRule::Label, kube_finalizers: true };
/// While it stands in `spec.finalizers`, the namespace's content is yet to be deleted.
const FINALIZER: &str = "kubernetes";
const FINALIZERS: [&str; 3] = [FINALIZER, "orphan", "foregroundDeletion"];
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The defaults of v1.
pub fn fill(object: &mut Value) {
    if !object::name(object).is_empty() {
        label_with_name(object);
    }
    if let Some(status) = made(object, &["status"]) {
        default(status, "phase", "Active");
    }
}

fn label_with_name(object: &mut Value) {
    let name = object::name(object).to_owned();
    if let Some(labels) = made(object, &["metadata", "labels"]) {
        labels.insert(NAME_LABEL.into(), name.into());
    }
}

fn prepare_create(_: &Cx, new: &mut Value) {
    if let Some(fields) = new.as_object_mut() {
        fields.insert("status".into(), json!({"phase": "Active"}));
    }
    if let Some(spec) = made(new, &["spec"]) {
        let finalizers = spec.entry("finalizers").or_insert_with(|| json!([]));
        if let Some(list) = finalizers.as_array_mut()
            && !list.iter().any(|name| name == FINALIZER)
        {
            list.push(FINALIZER.into());
        }
    }
}

fn keep_finalizers(new: &mut Value, old: &Value) {
    if let Some(spec) = new.get_mut("spec") {
        keep(spec, &old["spec"], "finalizers");
    } else {
        keep(new, old, "spec");
    }
}

fn namespace(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let spec = at.at("spec");
    for name in spec.at("finalizers").strs() {
        finalizer(spec.at("finalizers").path(), name, errs);
    }
}

fn finalizer(place: &Path<'_>, name: &str, errs: &mut FieldErrors) {
    for text in label_key(name) {
        errs.push(FieldError::invalid(place, name, text));
    }
    if !name.contains('/') && !FINALIZERS.contains(&name) {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        errs.push(FieldError::invalid(place, name, detail));
    }
}

fn validate_status(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    let (status, deleting) = (at.at("status"), at.at("metadata").has("deletionTimestamp"));
    let (phase, empty) = if deleting { ("Terminating", "not empty") } else { ("Active", "empty") };
    let found = status.at("phase").str();
    if found != phase {
        let detail = format!("may only be '{phase}' if `deletionTimestamp` is {empty}");
        errs.push(FieldError::invalid(&status.path().name("Phase"), found, detail));
    }
}

fn validate_finalize(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    for name in at.at("spec").at("finalizers").items() {
        finalizer(name.path(), name.str(), errs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("v1", "Namespace")
    }

    #[test]
    fn a_new_one_is_active_named_and_held() {
        let kept =
            kind().create(json!({"metadata": {"name": "n"}, "status": {"phase": "Terminating"}})).expect("right");
        let expected = json!({"metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "n"}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
        assert_eq!(kept, expected);
    }

    #[test]
    fn only_finalize_writes_finalizers() {
        let old = json!({"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
        let kept = kind().update("", old.clone(), json!({"spec": {"finalizers": ["a.b/c"]}})).expect("right");
        assert_eq!(kept["spec"], old["spec"]);
        let kept = kind().update("finalize", old.clone(), json!({"spec": {}})).expect("right");
        assert_eq!((&kept["spec"], &kept["status"]), (&json!({}), &old["status"]));
        let found = kind().update("finalize", old, json!({"spec": {"finalizers": ["other"]}})).unwrap_err();
        let text = "spec.finalizers[0]: Invalid value: \"other\": name is neither a standard finalizer name nor is it fully qualified";
        assert_eq!(found, [text]);
    }

    #[test]
    fn its_phase_says_whether_it_is_deleted() {
        let old = json!({"status": {"phase": "Active"}});
        let found = kind().update("status", old, json!({"status": {"phase": "Terminating"}})).unwrap_err();
        let text = "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty";
        assert_eq!(found, [text]);
    }
}
