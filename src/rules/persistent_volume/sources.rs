//! Where a volume's storage is: exactly one of these sources.

use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::names::{csi_driver_name, dns1123_label, dns1123_subdomain};
use crate::rules::checks::numbers::range_of;
use crate::rules::checks::web::no_backsteps;
use crate::rules::pod::volumes::remote::{self, PORTAL_BYTES, PORTAL_TOO_LONG, require};
use crate::rules::{diff, same};
use crate::schema::table::{self, Message};

/// What is wrong with a source; the text is the volume's name.
type Check = fn(&At, &str, &mut FieldErrors);

/// In stock's order: (name, name where it stands beside another, check).
const SOURCES: [(&str, &str, Check); 22] = [
    ("hostPath", "hostPath", |at, _, errs| remote::host_path(at, errs)),
    (GCE, GCE, |at, _, errs| remote::gce_disk(at, errs)),
    ("awsElasticBlockStore", "awsElasticBlockStore", |at, _, errs| remote::aws_disk(at, errs)),
    ("glusterfs", "glusterfs", |at, _, errs| glusterfs(at, errs)),
    ("flocker", "flocker", |at, _, errs| remote::flocker(at, errs)),
    ("nfs", "nfs", |at, _, errs| remote::nfs(at, errs)),
    ("rbd", "rbd", |at, _, errs| remote::rbd(at, errs)),
    ("quobyte", "quobyte", |at, _, errs| remote::quobyte(at, errs)),
    ("cephfs", "cephFS", |at, _, errs| remote::cephfs(at, errs)),
    ("iscsi", "iscsi", iscsi),
    ("cinder", "cinder", |at, _, errs| cinder(at, errs)),
    ("fc", "fc", |at, _, errs| remote::fibre_channel(at, errs)),
    (FLEX, FLEX, |at, _, errs| remote::flex(at, errs)),
    ("azureFile", "azureFile", |at, _, errs| azure_file(at, errs)),
    ("vsphereVolume", "vsphereVolume", |at, _, errs| require(at, &["volumePath"], errs)),
    ("photonPersistentDisk", "photonPersistentDisk", |at, _, errs| require(at, &["pdID"], errs)),
    ("portworxVolume", "portworxVolume", |at, _, errs| require(at, &["volumeID"], errs)),
    ("azureDisk", "azureDisk", |at, _, errs| remote::azure_disk(at, errs)),
    ("scaleIO", "scaleIO", |at, _, errs| remote::scale_io(at, errs)),
    (LOCAL, LOCAL, |at, _, errs| local(at, errs)),
    ("storageos", "storageos", |at, _, errs| storage_os(at, errs)),
    ("csi", "csi", |at, _, errs| csi(at, errs)),
];
const GCE: &str = "gcePersistentDisk";
const LOCAL: &str = "local";
/// The one source that stock never counts as one too many.
const FLEX: &str = "flexVolume";

/// Exactly one source, and a right one; `at` is the spec. A local one needs the nodes to be told.
pub fn sources(at: &At, volume: &str, errs: &mut FieldErrors) {
    let mut count = 0;
    for (name, shown, check) in &SOURCES {
        let source = at.at(name);
        if source.is_null() {
            continue;
        }
        count += 1;
        if count > 1 && *name != FLEX {
            errs.push(FieldError::forbidden(&at.path().name(shown), "may not specify more than 1 volume type"));
            continue;
        }
        if *name == GCE {
            check(&source.placed(at.path().name("persistentDisk")), volume, errs);
        } else {
            check(&source, volume, errs);
        }
        if *name == LOCAL && !at.has("nodeAffinity") {
            at.at("nodeAffinity").required(errs, "Local volume requires node affinity");
        }
    }
    if count == 0 {
        at.required(errs, "must specify a volume type");
    }
}

fn of_sources() -> Option<&'static Message> {
    table::message("k8s.io.api.core.v1.PersistentVolumeSource")
}

/// Whether both specs have the same source.
pub fn is_same_source(a: &Value, b: &Value) -> bool {
    of_sources().is_some_and(|message| same::messages(a, b, message))
}

/// What changed of a spec's source, as stock prints it.
pub fn source_changes(before: &Value, after: &Value) -> String {
    of_sources().map_or_else(String::new, |message| diff::changes(before, after, message))
}

fn glusterfs(at: &At, errs: &mut FieldErrors) {
    remote::glusterfs(at, errs);
    let namespace = at.at("endpointsNamespace");
    if namespace.exists() && namespace.is_empty() {
        namespace.invalid(errs, "if the endpointnamespace is set, it must be a valid namespace name");
    } else if namespace.exists() {
        namespace.check(errs, dns1123_label);
    }
}

fn iscsi(at: &At, volume: &str, errs: &mut FieldErrors) {
    require(at, &["targetPortal"], errs);
    let (portal, name) = (at.at("targetPortal"), at.at("iqn"));
    let initiator = at.at("initiatorName").placed(at.path().name("initiatorname"));
    if initiator.exists() && volume.len() + 1 + portal.len() > PORTAL_BYTES {
        portal.placed(at.path().name("targetportal")).invalid(errs, PORTAL_TOO_LONG);
    }
    if name.is_empty() {
        name.required(errs, "");
    } else if !is_initiator(name.str()) {
        name.invalid(errs, "must be valid format");
    }
    at.at("lun").invalid_each(errs, range_of(at.at("lun").i64(), 0, 255));
    let secret = at.at("secretRef");
    if secret.is_null() && (at.at("chapAuthDiscovery").bool() || at.at("chapAuthSession").bool()) {
        secret.required(errs, "");
    }
    if secret.exists() {
        require(&secret, &["name"], errs);
    }
    if initiator.exists() && !is_initiator(initiator.str()) {
        initiator.invalid(errs, "must be valid format");
    }
}

fn is_initiator(name: &str) -> bool {
    remote::initiator_kind(name) && remote::is_initiator(name)
}

fn cinder(at: &At, errs: &mut FieldErrors) {
    require(at, &["volumeID"], errs);
    named_secret(&at.at("secretRef"), errs);
}

fn azure_file(at: &At, errs: &mut FieldErrors) {
    require(at, &["secretName", "shareName"], errs);
    let namespace = at.at("secretNamespace");
    if namespace.exists() && namespace.is_empty() {
        namespace.required(errs, "");
    }
}

fn local(at: &At, errs: &mut FieldErrors) {
    let path = at.at("path");
    if path.is_empty() {
        path.required(errs, "");
    } else {
        no_backsteps(&path, errs);
    }
}

fn storage_os(at: &At, errs: &mut FieldErrors) {
    let (name, namespace) = (at.at("volumeName"), at.at("volumeNamespace"));
    if name.is_empty() {
        name.required(errs, "");
    } else {
        name.check(errs, dns1123_label);
    }
    if !namespace.is_empty() {
        namespace.check(errs, dns1123_label);
    }
    named_secret(&at.at("secretRef"), errs);
}

fn named_secret(at: &At, errs: &mut FieldErrors) {
    if at.exists() {
        require(at, &["name", "namespace"], errs);
    }
}

fn csi(at: &At, errs: &mut FieldErrors) {
    csi_driver_name(&at.at("driver"), errs);
    require(at, &["volumeHandle"], errs);
    for secret in
        ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"]
    {
        checked_secret(&at.at(secret), errs);
    }
}

fn checked_secret(at: &At, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    let (name, namespace) = (at.at("name"), at.at("namespace"));
    if name.is_empty() {
        name.required(errs, "");
    } else {
        name.check(errs, dns1123_subdomain);
    }
    if namespace.is_empty() {
        namespace.required(errs, "");
    } else {
        namespace.check(errs, dns1123_label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn found(spec: Value) -> Vec<String> {
        let mut errs = FieldErrors::new();
        let at = At::new(&spec, table::message("k8s.io.api.core.v1.PersistentVolumeSpec"));
        sources(&at, "volume", &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_volume_has_one_source() {
        assert_eq!(found(json!({})), ["<nil>: Required value: must specify a volume type"]);
        let three = json!({"nfs": {"server": "s", "path": "/"}, "cephfs": {}, "flexVolume": {}, "csi": {}});
        assert_eq!(
            found(three),
            [
                "cephFS: Forbidden: may not specify more than 1 volume type",
                "flexVolume.driver: Required value",
                "csi: Forbidden: may not specify more than 1 volume type",
            ]
        );
        assert_eq!(found(json!({"gcePersistentDisk": {}})), ["persistentDisk.pdName: Required value"]);
    }

    #[test]
    fn secrets_of_volumes_have_a_namespace() {
        let csi = json!({"driver": "d", "volumeHandle": "h", "nodePublishSecretRef": {"name": "a"},
            "nodeExpandSecretRef": {"namespace": "b"}});
        assert_eq!(
            found(json!({"csi": csi})),
            ["csi.nodePublishSecretRef.namespace: Required value", "csi.nodeExpandSecretRef.name: Required value"]
        );
        assert_eq!(
            found(json!({"cinder": {"volumeID": "v", "secretRef": {}}})),
            ["cinder.secretRef.name: Required value", "cinder.secretRef.namespace: Required value"]
        );
    }

    #[test]
    fn initiators_have_short_portals() {
        let iscsi = json!({"targetPortal": "p".repeat(58), "iqn": "iqn.x", "lun": 256, "chapAuthSession": true,
            "initiatorName": "abc"});
        assert_eq!(
            found(json!({"iscsi": iscsi})),
            [
                format!("iscsi.targetportal: Invalid value: \"{}\": {PORTAL_TOO_LONG}", "p".repeat(58)),
                "iscsi.iqn: Invalid value: \"iqn.x\": must be valid format".to_owned(),
                "iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive".to_owned(),
                "iscsi.secretRef: Required value".to_owned(),
                "iscsi.initiatorname: Invalid value: \"abc\": must be valid format".to_owned(),
            ]
        );
    }

    #[test]
    fn a_local_volume_is_on_certain_nodes() {
        assert_eq!(
            found(json!({"local": {"path": "/a/../b"}})),
            [
                "local.path: Invalid value: \"/a/../b\": must not contain '..'",
                "nodeAffinity: Required value: Local volume requires node affinity",
            ]
        );
    }
}
