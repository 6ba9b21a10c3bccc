//! VolumeAttachment: that a volume is attached to a node.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta};
use super::checks::names::{NameRule, csi_driver_name, dns1123_subdomain};
use super::fill;
use super::kind::{NONE, Part, Rules, STATUS, Status};
use super::persistent_volume::{fill_spec, inline_spec};
use super::strategy::keep_metadata;
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "storage.k8s.io",
    kind: "VolumeAttachment",
    status: Status::Separate,
    unconditional_update: false,
    returns_deleted: true,
    validate: |_, at, errs| attachment(at, errs),
    validate_update: |_, at, old, errs| changed(at, old, errs),
    parts: &[Part {
        prepare: |_, new, old| keep_metadata(new, old),
        validate: |_, at, old, errs| changed(at, old, errs),
        ..STATUS
    }],
    ..NONE
};

const ONE_OF: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
/// Of all keys and values together.
const METADATA_BYTES: usize = 256 * 1024;
const MESSAGE_BYTES: usize = 1024;

pub fn fill_attachment(object: &mut Value) {
    if fill::fields(object, &["spec", "source", "inlineVolumeSpec"]).is_some() {
        fill_spec(&mut object["spec"]["source"]["inlineVolumeSpec"]);
    }
}

fn attachment(at: &At, errs: &mut FieldErrors) {
    let meta = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: true };
    object_meta(&at.at("metadata"), meta, errs);
    let spec = at.at("spec");
    csi_driver_name(&spec.at("attacher"), errs);
    source(&spec.at("source"), errs);
    spec.at("nodeName").check(errs, dns1123_subdomain);
    status(&at.at("status"), errs);
    let volume = spec.at("source");
    let volume = volume.at("persistentVolumeName");
    if volume.exists() {
        volume.placed(Path::Root.name("spec.source.persistentVolumeName")).check(errs, dns1123_subdomain);
    }
}

fn changed(at: &At, old: &At, errs: &mut FieldErrors) {
    attachment(at, errs);
    at.at("spec").immutable(errs, &old.at("spec"));
}

fn source(at: &At, errs: &mut FieldErrors) {
    let (inline, name) = (at.at("inlineVolumeSpec"), at.at("persistentVolumeName"));
    match (inline.exists(), name.exists()) {
        (false, false) => at.required(errs, ONE_OF),
        (true, true) => at.forbidden(errs, ONE_OF),
        (false, true) if name.is_empty() => name.required(errs, "must specify non empty persistentVolumeName"),
        (false, true) => {}
        (true, false) => inline_spec(&inline, errs),
    }
}

fn status(at: &At, errs: &mut FieldErrors) {
    let metadata = at.at("attachmentMetadata");
    if metadata.entries().map(|(key, value)| key.len() + value.len()).sum::<usize>() > METADATA_BYTES {
        metadata.too_long(errs, METADATA_BYTES);
    }
    for error in ["attachError", "detachError"].map(|name| at.at(name)) {
        let message = error.at("message");
        if message.len() > MESSAGE_BYTES {
            // Stock tells the other bound.
            errs.push(FieldError::too_long(message.path(), METADATA_BYTES));
        }
        let code = error.at("errorCode");
        if code.i64() < 0 {
            code.invalid(errs, format!("must be between 0 and {}, inclusive", i32::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::{Value, json};
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("storage.k8s.io/v1", "VolumeAttachment")
    }

    fn attachment(source: Value) -> Value {
        json!({"spec": {"attacher": "d", "nodeName": "n", "source": source}})
    }

    #[test]
    fn a_volume_is_attached_to_a_node() {
        assert!(kind().create(attachment(json!({"persistentVolumeName": "v"}))).is_ok());
        let errors = kind().refused(json!({}));
        assert_eq!(
            errors[..2],
            [
                "spec.attacher: Required value",
                "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
            ]
        );
        assert!(
            errors[2].starts_with("spec.nodeName: Invalid value: \"\": a lowercase RFC 1123 subdomain"),
            "{errors:?}"
        );
        let both = json!({"persistentVolumeName": "A", "inlineVolumeSpec": {}});
        let errors = kind().refused(attachment(both));
        assert!(
            errors.len() == 2
                && errors[0].starts_with("spec.source: Forbidden: ")
                && errors[1].starts_with("spec.source.persistentVolumeName: Invalid value: \"A\": "),
            "{errors:?}"
        );
        assert_eq!(
            kind().refused(attachment(json!({"inlineVolumeSpec": {"accessModes": ["ReadWriteOnce"]}}))),
            [
                "spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes",
                "spec.source.inlineVolumeSpec: Required value: must specify a volume type",
            ]
        );
    }

    #[test]
    fn a_writer_of_the_status_changes_nothing_else() {
        let old = attachment(json!({"persistentVolumeName": "v"}));
        let mut new = attachment(json!({"persistentVolumeName": "w"}));
        new["metadata"] = json!({"labels": {"a": "b"}});
        new["status"] = json!({"attached": true});
        let kept = kind().update("status", old.clone(), new.clone()).expect("a status");
        assert_eq!((&kept["spec"], &kept["metadata"]["labels"]), (&old["spec"], &Value::Null));
        new["status"] = json!({"attached": false, "attachError": {"errorCode": -1, "message": "x".repeat(1025)}});
        assert_eq!(
            kind().update("status", old.clone(), new.clone()).unwrap_err(),
            [
                "status.attachError.message: Too long: may not be more than 262144 bytes",
                "status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ]
        );
        let errors = kind().update("", old, new).unwrap_err();
        assert!(errors.len() == 1 && errors[0].starts_with("spec: Invalid value: {\"Attacher\":\"d\","), "{errors:?}");
    }
}
