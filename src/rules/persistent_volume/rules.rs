//! The kind PersistentVolume.

use super::sources::{is_same_source, source_changes};
use super::spec::{fill_spec, volume_spec};
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::value::{Value, json};
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta, object_meta_update};
use crate::rules::checks::names::NameRule;
use crate::rules::fill;
use crate::rules::kind::{Cx, NONE, Part, Rules, STATUS, Status};
use crate::rules::pod::affinity::has_bad_value;
use crate::rules::pod::warnings::node_term;
use crate::rules::same;

pub const RULES: Rules = Rules {
    group: "",
    kind: "PersistentVolume",
    status: Status::Separate,
    returns_deleted: true,
    prepare_create: |cx, new| new["status"] = json!({"phase": "Pending", TRANSITION: cx.now.to_text().as_str()}),
    validate: |_, at, errs| {
        volume(at, false, errs);
        mount_options(at, errs);
    },
    validate_update: |_, at, old, errs| changed(at, old, errs),
    warn: |_, at, _, warnings| warn(at, warnings),
    parts: &[Part {
        prepare: prepare_status,
        validate: |_, at, old, errs| {
            object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
            has_version(at, errs);
        },
        ..STATUS
    }],
    ..NONE
};

/// When the phase of the status changed.
const TRANSITION: &str = "lastPhaseTransitionTime";
const OLD_ANNOTATIONS: [(&str, &str); 2] = [
    (OLD_CLASS, "deprecated since v1.8; use \"storageClassName\" attribute instead"),
    (MOUNT_OPTIONS, "deprecated since v1.31; use \"mountOptions\" attribute instead"),
];
pub const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";
/// Sources that know what to do with mount options in an annotation.
const MOUNTED_WITH_OPTIONS: [&str; 13] = [
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
];
/// (the source, the name that warnings show, since when it is old)
const OLD_SOURCES: [(&str, &str, &str); 6] = [
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// Defaults.
pub fn fill(volume: &mut Value) {
    if let Some(status) = fill::made(volume, &["status"]) {
        fill::default(status, "phase", "Pending");
    }
    if let Some(spec) = fill::made(volume, &["spec"]) {
        fill::default(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill::default(spec, "volumeMode", "Filesystem");
    }
    fill_spec(&mut volume["spec"]);
}

fn volume(at: &At, bad_affinity: bool, errs: &mut FieldErrors) {
    let meta = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: true };
    object_meta(&at.at("metadata"), meta, errs);
    volume_spec(&at.at("spec"), at.at("metadata").at("name").str(), bad_affinity, errs);
}

/// An annotation that only some sources heed.
fn mount_options(at: &At, errs: &mut FieldErrors) {
    let (metadata, spec) = (at.at("metadata"), at.at("spec"));
    let annotations = metadata.at("annotations");
    if annotations.entry(MOUNT_OPTIONS).exists() && !MOUNTED_WITH_OPTIONS.iter().any(|source| spec.has(source)) {
        let place = annotations.path().name(MOUNT_OPTIONS);
        errs.push(FieldError::forbidden(&place, "may not specify mount options for this volume type"));
    }
}

fn changed(at: &At, old: &At, errs: &mut FieldErrors) {
    let (now, before) = (at.at("spec"), old.at("spec"));
    let bad_affinity = has_bad_value(&before.at("nodeAffinity").at("required"));
    volume(at, bad_affinity, errs);
    mount_options(at, errs);
    // Stock asks all of it twice.
    volume(at, bad_affinity, errs);
    let shown = without_new_secret(now.value(), before.value());
    if !is_same_source(&shown, before.value()) {
        let changes = source_changes(before.value(), &shown);
        let detail = format!("spec.persistentvolumesource is immutable after creation\n{changes}");
        errs.push(FieldError::forbidden(&Path::Root.name("spec").name("persistentvolumesource"), detail));
    }
    if !now.at("volumeMode").same_as(&before.at("volumeMode")) {
        let bad = now.at("volumeMode").bad();
        errs.push(FieldError::invalid(&Path::Root.name("volumeMode"), bad, "field is immutable"));
    }
    let (affinity, affinity_before) = (now.at("nodeAffinity"), before.at("nodeAffinity"));
    if affinity_before.exists() {
        affinity_stays(&affinity, &affinity_before, errs);
    }
    let class = now.at("volumeAttributesClassName");
    if before.has("volumeAttributesClassName") && class.is_null() {
        class.forbidden(errs, "update from non-nil value to nil is forbidden");
    }
}

/// The volume, without the secret of a CSI volume that had none so far: it may come later.
fn without_new_secret(now: &Value, before: &Value) -> Value {
    const SECRET: &str = "controllerExpandSecretRef";
    let mut shown = now.clone();
    if before["csi"].is_object() && before["csi"][SECRET].is_null() {
        fill::remove(&mut shown, &["csi"], SECRET);
    }
    shown
}

/// Nodes may be chosen by a label's name of today instead of its old one.
fn affinity_stays(at: &At, before: &At, errs: &mut FieldErrors) {
    let mut renamed = before.value().clone();
    let now = &at.value()["required"]["nodeSelectorTerms"];
    for (index, term) in fill::items(&mut renamed, &["required", "nodeSelectorTerms"]).enumerate() {
        for list in ["matchExpressions", "matchFields"] {
            let requirements = term.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
            for (requirement, now) in requirements.zip(now[index][list].as_array().into_iter().flatten()) {
                // Where there is no new name, stock takes none at all for it.
                let today = requirement["key"].as_str().and_then(name_of_today).unwrap_or("");
                if now["key"].as_str().unwrap_or("") == today {
                    requirement["key"] = today.into();
                }
            }
        }
    }
    let message = before.schema().message();
    if at.is_null() || !message.is_some_and(|message| same::messages(at.value(), &renamed, message)) {
        let detail = "field is immutable, except for updating from beta label to GA";
        errs.push(FieldError::invalid(&Path::Root.name("nodeAffinity"), at.bad(), detail));
    }
}

/// The name of a node's label that has an old one.
fn name_of_today(old: &str) -> Option<&'static str> {
    Some(match old {
        "failure-domain.beta.kubernetes.io/zone" => "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region" => "topology.kubernetes.io/region",
        "beta.kubernetes.io/os" => "kubernetes.io/os",
        "beta.kubernetes.io/arch" => "kubernetes.io/arch",
        "beta.kubernetes.io/instance-type" => "node.kubernetes.io/instance-type",
        _ => return None,
    })
}

/// A change of the phase has a time.
fn prepare_status(cx: &Cx, new: &mut Value, old: &Value) {
    let before = &old["status"];
    let Some(status) = fill::made(new, &["status"]) else { return };
    let time = status.get(TRANSITION).cloned().unwrap_or(Value::Null);
    let same_phase = fill::text(status, "phase") == before["phase"].as_str().unwrap_or("");
    let same_time = time.is_null() || time == before[TRANSITION];
    let time = match (same_phase, same_time) {
        (true, true) => before[TRANSITION].clone(),
        (false, true) => cx.now.to_text().as_str().into(),
        _ => return,
    };
    if !time.is_null() {
        status.insert(TRANSITION.into(), time);
    }
}

/// A writer of a status says which version it saw.
pub fn has_version(at: &At, errs: &mut FieldErrors) {
    if at.at("metadata").at("resourceVersion").is_empty() {
        errs.push(FieldError::required(&Path::Root.name("resourceVersion"), ""));
    }
}

fn warn(at: &At, warnings: &mut Vec<String>) {
    let (metadata, spec) = (at.at("metadata"), at.at("spec"));
    let annotations = metadata.at("annotations");
    for (key, text) in OLD_ANNOTATIONS {
        let annotation = annotations.entry(key);
        if annotation.exists() {
            warnings.push(format!("{}: {text}", annotation.path()));
        }
    }
    let policy = spec.at("persistentVolumeReclaimPolicy");
    if policy.str() == "Recycle" {
        warnings.push(format!(
            "{}: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
            policy.path()
        ));
    }
    for term in spec.at("nodeAffinity").at("required").at("nodeSelectorTerms").items() {
        node_term(&term, false, warnings);
    }
    for (source, name, text) in OLD_SOURCES {
        if spec.has(source) {
            warnings.push(format!("{}: {text}", spec.path().name(name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::transcript::Kind;

    fn kind() -> Kind {
        Kind::new("v1", "PersistentVolume")
    }

    fn volume(more: Value) -> Value {
        let mut spec = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
            "csi": {"driver": "d", "volumeHandle": "h"}});
        for (name, value) in more.as_object().into_iter().flatten() {
            spec[name] = value.clone();
        }
        json!({"spec": spec})
    }

    #[test]
    fn a_new_volume_is_pending() {
        let kept = kind().create(volume(json!({"rbd": null}))).expect("a volume");
        assert_eq!(kept["status"], json!({"phase": "Pending", "lastPhaseTransitionTime": "2026-01-01T00:00:00Z"}));
        assert_eq!(
            (&kept["spec"]["persistentVolumeReclaimPolicy"], &kept["spec"]["volumeMode"]),
            (&json!("Retain"), &json!("Filesystem"))
        );
    }

    #[test]
    fn the_source_stays() {
        let old = volume(json!({"volumeAttributesClassName": "gold"}));
        let secret = json!({"name": "s", "namespace": "n"});
        let mut new = old.clone();
        new["spec"]["csi"]["controllerExpandSecretRef"] = secret;
        assert!(kind().update("", old.clone(), new).is_ok());
        let changed = volume(json!({"csi": {"driver": "d", "volumeHandle": "i"}, "volumeMode": "Block"}));
        let errors = kind().update("", old, changed).unwrap_err();
        assert!(
            errors[0].starts_with(
                "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n@@ "
            ) && errors[0].contains("\n-  \"VolumeHandle\": \"h\",\n+  \"VolumeHandle\": \"i\",\n"),
            "{errors:?}"
        );
        assert_eq!(
            errors[1..],
            [
                "volumeMode: Invalid value: \"Block\": field is immutable",
                "spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden",
            ]
        );
    }

    #[test]
    fn nodes_are_chosen_by_labels_of_today() {
        let on = |key: &str| {
            let term = json!({"matchExpressions": [{"key": key, "operator": "In", "values": ["a"]}]});
            volume(json!({"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}))
        };
        assert!(kind().update("", on("beta.kubernetes.io/os"), on("kubernetes.io/os")).is_ok());
        let errors = kind().update("", on("kubernetes.io/os"), on("beta.kubernetes.io/os")).unwrap_err();
        assert!(errors[0].starts_with("nodeAffinity: Invalid value: {\"Required\":{"), "{errors:?}");
        assert!(kind().update("", volume(json!({})), on("a")).is_ok());
    }

    #[test]
    fn a_change_of_phase_has_a_time() {
        let mut old = volume(json!({}));
        old["status"] = json!({"phase": "Available", "lastPhaseTransitionTime": "2025-01-01T00:00:00Z"});
        let kept = |phase: &str| {
            let mut new = volume(json!({}));
            new["status"] = json!({"phase": phase});
            kind().update("status", old.clone(), new).expect("a status")["status"]["lastPhaseTransitionTime"].clone()
        };
        assert_eq!((kept("Available"), kept("Bound")), (json!("2025-01-01T00:00:00Z"), json!("2026-01-01T00:00:00Z")));
    }

    #[test]
    fn what_went_out_of_use_is_told() {
        let mut old = volume(json!({"persistentVolumeReclaimPolicy": "Recycle", "storageos": {}}));
        old["metadata"] = json!({"annotations": {"volume.beta.kubernetes.io/storage-class": "a"}});
        assert_eq!(
            kind().warnings(old),
            [
                "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \
                 \"storageClassName\" attribute instead",
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
                 approach is to use dynamic provisioning.",
                "spec.storageOS: deprecated in v1.22, non-functional in v1.25+",
            ]
        );
    }
}
