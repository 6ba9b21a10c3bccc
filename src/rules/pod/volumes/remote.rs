//! Volumes that others keep: the host, clouds, networks. PersistentVolumes have most of them too.

use crate::model::field::{FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::names::dns1123_label;
use crate::rules::checks::numbers::range_of;
use crate::rules::checks::web::{absolute_path, local_descending_path, no_backsteps};

/// Of an iSCSI volume's name, a colon and its portal, where the initiator is named.
pub const PORTAL_BYTES: usize = 64;
pub const PORTAL_TOO_LONG: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if \
    iscsi.initiatorName is specified.";
const HOST_PORTS: &str = "must be a host:port pair or multiple pairs separated by commas";
const TENANT_BYTES: usize = 64;
/// Sorted.
const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
const MANAGED_DISK: &str =
    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
const BLOB_DISK: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";

/// Required texts or lists.
pub fn require(at: &At, fields: &[&str], errs: &mut FieldErrors) {
    for field in fields {
        if at.at(field).is_empty() {
            at.at(field).required(errs, "");
        }
    }
}

pub fn host_path(at: &At, errs: &mut FieldErrors) {
    let path = at.at("path");
    if path.is_empty() {
        return path.required(errs, "");
    }
    no_backsteps(&path, errs);
    choices::optional(&at.at("type"), &HOST_PATH_TYPES, errs);
}

pub fn git_repo(at: &At, errs: &mut FieldErrors) {
    require(at, &["repository"], errs);
    local_descending_path(&at.at("directory"), errs);
}

/// Its place ends in `persistentDisk`, as in stock.
pub fn gce_disk(at: &At, errs: &mut FieldErrors) {
    require(at, &["pdName"], errs);
    partition(&at.at("partition"), errs);
}

pub fn aws_disk(at: &At, errs: &mut FieldErrors) {
    require(at, &["volumeID"], errs);
    partition(&at.at("partition"), errs);
}

/// 0 is right too, though stock's text does not say so.
fn partition(at: &At, errs: &mut FieldErrors) {
    if !(0..=255).contains(&at.i64()) {
        at.invalid(errs, "must be between 1 and 255, inclusive");
    }
}

pub fn nfs(at: &At, errs: &mut FieldErrors) {
    require(at, &["server", "path"], errs);
    absolute_path(&at.at("path"), errs);
}

/// A pod's; a PersistentVolume's differs in its texts.
pub fn iscsi(at: &At, errs: &mut FieldErrors) {
    require(at, &["targetPortal"], errs);
    let name = at.at("iqn");
    if name.is_empty() {
        name.required(errs, "");
    } else if !initiator_kind(name.str()) {
        name.invalid(errs, "must be valid format starting with iqn, eui, or naa");
    } else if !is_initiator(name.str()) {
        name.invalid(errs, "must be valid format");
    }
    at.at("lun").invalid_each(errs, range_of(at.at("lun").i64(), 0, 255));
    if (at.at("chapAuthDiscovery").bool() || at.at("chapAuthSession").bool()) && !at.has("secretRef") {
        at.at("secretRef").required(errs, "");
    }
    let initiator = at.at("initiatorName").placed(at.path().name("initiatorname"));
    if initiator.exists() && !initiator_kind(initiator.str()) {
        initiator.invalid(errs, "must be valid format starting with iqn, eui, or naa");
    } else if initiator.exists() && !is_initiator(initiator.str()) {
        initiator.invalid(errs, "must be valid format");
    }
}

/// Whether the name of an initiator or a target says of which kind it is.
pub fn initiator_kind(name: &str) -> bool {
    ["iqn", "eui", "naa"].iter().any(|kind| name.starts_with(kind))
}

/// The form of its kind (RFC 3720): `iqn.2024-01.com.example:a`, `eui.` and 16, `naa.` and 32 letters or digits.
pub fn is_initiator(name: &str) -> bool {
    let identifier = |rest: &str, count: usize| {
        let mut letters = rest.chars();
        letters.next().is_some() && letters.as_str().len() == count && letters.all(|c| c.is_ascii_alphanumeric())
    };
    match name.get(..3) {
        Some("eui") => identifier(&name[3..], 16),
        Some("naa") => identifier(&name[3..], 32),
        // Stock looks for the form anywhere in the name.
        _ => name.match_indices("iqn.").any(|(at, start)| is_qualified_name(&name[at + start.len()..])),
    }
}

/// `2024-01.com.example:anything`, to the end.
fn is_qualified_name(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    let date = bytes.len() > 8
        && bytes[..8].iter().enumerate().all(|(at, b)| match at {
            4 => *b == b'-',
            7 => *b == b'.',
            _ => b.is_ascii_digit(),
        });
    if !date {
        return false;
    }
    let authority = bytes[8..].iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')).count();
    let name = rest.get(8 + authority..).and_then(|rest| rest.strip_prefix(':')).unwrap_or("");
    authority > 0 && !name.is_empty() && !name.contains([',', ';', '*', '&', '$', '|', ' ', '\t', '\n', '\x0c', '\r'])
}

pub fn glusterfs(at: &At, errs: &mut FieldErrors) {
    require(at, &["endpoints", "path"], errs);
}

pub fn flocker(at: &At, errs: &mut FieldErrors) {
    let (name, id) = (at.at("datasetName"), at.at("datasetUUID"));
    if name.is_empty() && id.is_empty() {
        at.required(errs, "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !id.is_empty() {
        at.invalid_as(errs, "resource", "datasetName and datasetUUID can not be specified simultaneously");
    }
    if name.str().contains('/') {
        name.invalid(errs, "must not contain '/'");
    }
}

pub fn rbd(at: &At, errs: &mut FieldErrors) {
    require(at, &["monitors", "image"], errs);
}

/// A pod's; a PersistentVolume's secret has a namespace.
pub fn cinder(at: &At, errs: &mut FieldErrors) {
    require(at, &["volumeID"], errs);
    secret_name(&at.at("secretRef"), errs);
}

pub fn cephfs(at: &At, errs: &mut FieldErrors) {
    require(at, &["monitors"], errs);
}

pub fn quobyte(at: &At, errs: &mut FieldErrors) {
    let (registry, tenant) = (at.at("registry"), at.at("tenant"));
    if registry.is_empty() {
        registry.required(errs, HOST_PORTS);
    } else if tenant.len() > TENANT_BYTES {
        tenant.required(errs, "must be a UUID and may not exceed a length of 64 characters");
    } else {
        for _ in registry.str().split(',').filter(|pair| !is_host_port(pair)) {
            registry.invalid(errs, HOST_PORTS);
        }
    }
    require(at, &["volume"], errs);
}

/// As Go splits it: a host without colons, or one in brackets, then a colon.
fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host = match host.strip_prefix('[') {
        Some(rest) => match rest.strip_suffix(']') {
            Some(host) if !host.contains(']') => host,
            _ => return false,
        },
        None if host.contains(':') => return false,
        None => host,
    };
    !host.contains(['[', ']']) && !port.contains(['[', ']'])
}

pub fn fibre_channel(at: &At, errs: &mut FieldErrors) {
    let (names, ids, lun) = (at.at("targetWWNs"), at.at("wwids"), at.at("lun"));
    if names.is_empty() && ids.is_empty() {
        names.required(errs, "must specify either targetWWNs or wwids, but not both");
    }
    if !names.is_empty() && !ids.is_empty() {
        names.invalid(errs, "targetWWNs and wwids can not be specified simultaneously");
    }
    if !names.is_empty() && lun.is_null() {
        lun.required(errs, "lun is required if targetWWNs is specified");
    } else if !names.is_empty() {
        lun.invalid_each(errs, range_of(lun.i64(), 0, 255));
    }
}

pub fn flex(at: &At, errs: &mut FieldErrors) {
    require(at, &["driver"], errs);
    for (key, option) in at.at("options").entries() {
        let domain = format!(".{}", key.split('/').next().unwrap_or("").to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            option.invalid_as(errs, key, "kubernetes.io and k8s.io namespaces are reserved");
        }
    }
}

pub fn azure_disk(at: &At, errs: &mut FieldErrors) {
    require(at, &["diskName", "diskURI"], errs);
    choices::optional(&at.at("cachingMode"), &["None", "ReadOnly", "ReadWrite"], errs);
    let (kind, uri) = (at.at("kind"), at.at("diskURI"));
    choices::optional(&kind, &["Dedicated", "Managed", "Shared"], errs);
    if kind.is_null() {
        return;
    }
    let managed = kind.str() == "Managed";
    let (start, form) = if managed { ("/subscriptions/", MANAGED_DISK) } else { ("https://", BLOB_DISK) };
    if !uri.str().starts_with(start) {
        errs.push(FieldError::not_supported(uri.path(), uri.str(), &[form]));
    }
}

/// A pod's; a PersistentVolume's secret has a namespace.
pub fn storage_os(at: &At, errs: &mut FieldErrors) {
    let (name, namespace) = (at.at("volumeName"), at.at("volumeNamespace"));
    if name.is_empty() {
        name.required(errs, "");
    } else {
        name.check(errs, dns1123_label);
    }
    if !namespace.is_empty() {
        namespace.check(errs, dns1123_label);
    }
    secret_name(&at.at("secretRef"), errs);
}

pub fn scale_io(at: &At, errs: &mut FieldErrors) {
    require(at, &["gateway", "system", "volumeName"], errs);
}

fn secret_name(at: &At, errs: &mut FieldErrors) {
    if at.exists() {
        require(at, &["name"], errs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};
    use crate::schema::table;

    fn found(check: fn(&At, &mut FieldErrors), message: &str, value: &Value) -> Vec<String> {
        let mut errs = FieldErrors::new();
        check(&At::new(value, table::message(&format!("k8s.io.api.core.v1.{message}"))), &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_of_initiators() {
        for (name, right) in [
            ("iqn.2015-02.example.com:test", true),
            ("iqn.2015-02.example.com", false),
            ("iqn.2015-02.a_b:test", false),
            ("iqn.2015-02.a:te st", false),
            ("eui.0123456789ABCDEF", true),
            ("eui.0123456789ABCDE", false),
            ("naa.62004567BA64678D0123456789ABCDEF", true),
        ] {
            assert_eq!(is_initiator(name), right, "{name}");
        }
    }

    #[test]
    fn volumes_of_clouds_and_networks() {
        let iscsi_volume =
            json!({"targetPortal": "p", "iqn": "abc", "lun": 256, "chapAuthSession": true, "initiatorName": "eui.1"});
        assert_eq!(
            found(iscsi, "ISCSIVolumeSource", &iscsi_volume),
            [
                "iqn: Invalid value: \"abc\": must be valid format starting with iqn, eui, or naa",
                "lun: Invalid value: 256: must be between 0 and 255, inclusive",
                "secretRef: Required value",
                "initiatorname: Invalid value: \"eui.1\": must be valid format",
            ]
        );
        assert_eq!(
            found(azure_disk, "AzureDiskVolumeSource", &json!({"diskName": "d", "diskURI": "x", "kind": "Managed"})),
            [format!("diskURI: Unsupported value: \"x\": supported values: \"{MANAGED_DISK}\"")]
        );
        assert_eq!(
            found(quobyte, "QuobyteVolumeSource", &json!({"registry": "a:1,b,[::1]:2,c:d:3", "volume": "v"})),
            vec![format!("registry: Invalid value: \"a:1,b,[::1]:2,c:d:3\": {HOST_PORTS}"); 2]
        );
        assert_eq!(
            found(flex, "FlexVolumeSource", &json!({"options": {"A.K8s.io/x": "1", "k8s.iox": "2"}})),
            [
                "driver: Required value",
                "options[A.K8s.io/x]: Invalid value: \"A.K8s.io/x\": kubernetes.io and k8s.io namespaces are reserved",
            ]
        );
        assert_eq!(
            found(fibre_channel, "FCVolumeSource", &json!({"targetWWNs": ["a"], "wwids": ["b"], "lun": -1})),
            [
                "targetWWNs: Invalid value: [\"a\"]: targetWWNs and wwids can not be specified simultaneously",
                "lun: Invalid value: -1: must be between 0 and 255, inclusive",
            ]
        );
    }
}
