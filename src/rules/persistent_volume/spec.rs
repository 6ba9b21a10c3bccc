//! What a volume says: of itself, or inside a VolumeAttachment.

use super::sources::sources;
use crate::model::field::FieldErrors;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::names::dns1123_subdomain;
use crate::rules::checks::numbers::positive_quantity;
use crate::rules::fill;
use crate::rules::pod::affinity::node_selector;
use crate::rules::pod::defaults::volume_source;
use crate::rules::pod::volumes::claim::access_modes;

const RECYCLE: &str = "Recycle";

/// The defaults of a volume anywhere.
pub fn fill_spec(spec: &mut Value) {
    volume_source(spec);
    if let Some(spec) = spec.as_object_mut() {
        fill::round_up(spec, "capacity");
    }
}

/// The spec of a volume of this name.
pub fn volume_spec(at: &At, name: &str, bad_affinity: bool, errs: &mut FieldErrors) {
    modes(at, errs);
    capacity(&at.at("capacity"), errs);
    let policy = at.at("persistentVolumeReclaimPolicy");
    if !policy.is_empty() {
        choices::one_of(&policy, &["Delete", RECYCLE, "Retain"], errs);
    }
    let affinity = at.at("nodeAffinity");
    let required = affinity.at("required");
    if affinity.exists() && required.is_null() {
        required.required(errs, "must specify required node constraints");
    } else if affinity.exists() {
        node_selector(&required, bad_affinity, errs);
    }
    sources(at, name, errs);
    no_recycled_root(at, errs);
    let class = at.at("storageClassName");
    if !class.is_empty() {
        class.check(errs, dns1123_subdomain);
    }
    choices::optional(&at.at("volumeMode"), &["Block", "Filesystem"], errs);
    attributes_class(at, errs);
}

/// The spec of a volume inside a VolumeAttachment: of a CSI driver, and little else.
pub fn inline_spec(at: &At, errs: &mut FieldErrors) {
    const NONE_INLINE: &str = "may not be specified in the context of inline volumes";
    if at.has("claimRef") {
        at.at("claimRef").forbidden(errs, NONE_INLINE);
    }
    if !at.at("capacity").is_empty() {
        at.at("capacity").forbidden(errs, NONE_INLINE);
    }
    if !at.has("csi") {
        at.at("csi").required(errs, "has to be specified in the context of inline volumes");
    }
    modes(at, errs);
    let policy = at.at("persistentVolumeReclaimPolicy");
    if !policy.is_empty() && policy.str() != "Retain" {
        policy.forbidden(errs, "may only be Retain in the context of inline volumes");
    }
    if at.has("nodeAffinity") {
        at.at("nodeAffinity").forbidden(errs, NONE_INLINE);
    }
    sources(at, "", errs);
    no_recycled_root(at, errs);
    if !at.at("storageClassName").is_empty() {
        at.at("storageClassName").forbidden(errs, NONE_INLINE);
    }
    let mode = at.at("volumeMode");
    if mode.exists() && mode.str() != "Filesystem" {
        let detail = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        mode.forbidden(errs, detail);
    }
}

fn modes(at: &At, errs: &mut FieldErrors) {
    let modes = at.at("accessModes");
    if modes.is_empty() {
        modes.required(errs, "");
    }
    access_modes(&modes, errs);
}

/// Of storage, and of nothing else.
fn capacity(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        at.required(errs, "");
    }
    if at.len() != 1 || !at.entry("storage").exists() {
        at.not_supported(errs, &["storage"]);
    }
    for (_, amount) in at.entries() {
        basic_amount(&amount, errs);
        positive_quantity(&amount, errs);
    }
}

/// An amount of a resource that is not negative, told as a number.
pub fn basic_amount(at: &At, errs: &mut FieldErrors) -> bool {
    let value = at.quantity().value();
    if value < 0 {
        at.invalid_as(errs, value, "must be a valid resource quantity");
    }
    value >= 0
}

/// Nobody may have the host's whole disk emptied.
fn no_recycled_root(at: &At, errs: &mut FieldErrors) {
    let policy = at.at("persistentVolumeReclaimPolicy");
    if is_root(at.at("hostPath").at("path").str()) && policy.str() == RECYCLE {
        policy.forbidden(errs, "may not be 'recycle' for a hostPath mount of '/'");
    }
}

/// Whether the path leads to `/`.
fn is_root(path: &str) -> bool {
    let depth = path.split('/').fold(0u32, |depth, part| match part {
        "" | "." => depth,
        ".." => depth.saturating_sub(1),
        _ => depth + 1,
    });
    path.starts_with('/') && depth == 0
}

fn attributes_class(at: &At, errs: &mut FieldErrors) {
    let class = at.at("volumeAttributesClassName");
    if class.is_null() {
        return;
    }
    if class.is_empty() {
        class.required(errs, "an empty string is disallowed");
    } else {
        class.check(errs, dns1123_subdomain);
    }
    if !at.has("csi") {
        at.at("csi").required(errs, "has to be specified when using volumeAttributesClassName");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    fn found(check: impl Fn(&At, &mut FieldErrors), spec: Value) -> Vec<String> {
        let mut errs = FieldErrors::new();
        check(&At::new(&spec, table::message("k8s.io.api.core.v1.PersistentVolumeSpec")), &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn volumes_are_judged_in_stocks_order() {
        let spec = json!({"accessModes": ["Any"], "capacity": {"storage": "-1", "x": "1"}, "nodeAffinity": {},
            "persistentVolumeReclaimPolicy": "Keep", "volumeMode": "Tape", "storageClassName": "A_",
            "volumeAttributesClassName": "", "hostPath": {"path": "/a"}});
        let errors = found(|at, errs| volume_spec(at, "v", false, errs), spec);
        let errors: Vec<_> = errors.iter().map(|e| e.chars().take(74).collect::<String>()).collect();
        assert_eq!(
            errors,
            [
                "accessModes: Unsupported value: \"Any\": supported values: \"ReadOnlyMany\", \"",
                "capacity: Unsupported value: {\"storage\":\"-1\",\"x\":\"1\"}: supported values: \"",
                "capacity[storage]: Invalid value: -1: must be a valid resource quantity",
                "capacity[storage]: Invalid value: \"-1\": must be greater than zero",
                "persistentVolumeReclaimPolicy: Unsupported value: \"Keep\": supported values",
                "nodeAffinity.required: Required value: must specify required node constrai",
                "storageClassName: Invalid value: \"A_\": a lowercase RFC 1123 subdomain must",
                "volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesys",
                "volumeAttributesClassName: Required value: an empty string is disallowed",
                "csi: Required value: has to be specified when using volumeAttributesClassN",
            ]
        );
    }

    #[test]
    fn inline_volumes_say_little() {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1"}, "storageClassName": "a",
            "persistentVolumeReclaimPolicy": "Recycle", "hostPath": {"path": "/a/.."}, "volumeMode": "Block"});
        assert_eq!(
            found(inline_spec, spec),
            [
                "capacity: Forbidden: may not be specified in the context of inline volumes",
                "csi: Required value: has to be specified in the context of inline volumes",
                "persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context of inline volumes",
                "hostPath.path: Invalid value: \"/a/..\": must not contain '..'",
                "persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'",
                "storageClassName: Forbidden: may not be specified in the context of inline volumes",
                "volumeMode: Forbidden: may not specify volumeMode other than Filesystem in the context of inline volumes",
            ]
        );
    }
}
