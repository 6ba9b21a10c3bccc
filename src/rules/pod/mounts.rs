//! Where containers mount volumes and see devices.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::field::FieldErrors;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::web::local_descending_path;

/// The volumes that are right, by name.
pub type Volumes<'v> = BTreeMap<&'v str, &'v Value>;

/// A container's `volumeMounts` and `volumeDevices`.
pub fn mounts_and_devices(container: &At, volumes: &Volumes, errs: &mut FieldErrors) {
    let (mounts, devices) = (container.at("volumeMounts"), container.at("volumeDevices"));
    let (mounted, seen) = (Places::of(&mounts, "mountPath", &devices), Places::of(&devices, "devicePath", &mounts));
    let mut paths = BTreeSet::new();
    for mount in mounts.items() {
        let (name, path) = (mount.at("name"), mount.at("mountPath"));
        if name.is_empty() {
            name.required(errs, "");
        }
        if !volumes.contains_key(name.str()) {
            name.not_found(errs);
        }
        if path.is_empty() {
            path.required(errs, "");
        }
        if !paths.insert(path.str()) {
            path.invalid(errs, "must be unique");
        }
        if seen.volumes.contains_key(name.str()) {
            name.invalid(errs, "must not already exist in volumeDevices");
        }
        if seen.paths.contains(path.str()) {
            path.invalid(errs, "must not already exist as a path in volumeDevices");
        }
        mount_within(&mount, &mounts, container, errs);
    }
    self::devices(&devices, volumes, &mounted, errs);
}

/// The places of volumes; of a volume that stands at many, the last one.
struct Places<'v> {
    volumes: BTreeMap<&'v str, &'v str>,
    paths: BTreeSet<&'v str>,
}

impl<'v> Places<'v> {
    /// Empty where there is no `other` list to compare with.
    fn of(list: &At<'_, 'v>, path: &str, other: &At) -> Self {
        let items = list.value().as_array().filter(|_| !other.is_empty()).into_iter().flatten();
        let text = |item: &'v Value, field: &str| item[field].as_str().unwrap_or("");
        let volumes: BTreeMap<_, _> = items.map(|item| (text(item, "name"), text(item, path))).collect();
        let paths = volumes.values().copied().collect();
        Self { volumes, paths }
    }
}

/// What a mount says beyond its volume and place. Errors stand at the list, as in stock.
fn mount_within(mount: &At, list: &At, container: &At, errs: &mut FieldErrors) {
    let (path, expression) = (mount.at("subPath"), mount.at("subPathExpr"));
    if !path.is_empty() {
        local_descending_path(&path.placed(list.path().name("subPath")), errs);
    }
    if !expression.is_empty() {
        if !path.is_empty() {
            expression.invalid(errs, "subPathExpr and subPath are mutually exclusive");
        }
        local_descending_path(&expression.placed(list.path().name("subPathExpr")), errs);
    }
    let propagation = mount.at("mountPropagation");
    let spread = propagation.placed(list.path().name("mountPropagation"));
    choices::optional(&spread, &["Bidirectional", "HostToContainer", "None"], errs);
    let context = container.at("securityContext");
    if propagation.str() == "Bidirectional" && !context.at("privileged").bool() {
        spread.forbidden(errs, "Bidirectional mount propagation is available only to privileged containers");
    }
    let recursive = mount.at("recursiveReadOnly").placed(list.path().name("recursiveReadOnly"));
    match recursive.str() {
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !mount.at("readOnly").bool() {
                recursive.forbidden(errs, "may only be specified when readOnly is true");
            }
            if propagation.exists() && propagation.str() != "None" {
                recursive.forbidden(errs, "may only be specified when mountPropagation is None or not specified");
            }
        }
        _ => choices::optional(&recursive, &["Disabled", "Enabled", "IfPossible"], errs),
    }
}

fn devices(at: &At, volumes: &Volumes, mounted: &Places, errs: &mut FieldErrors) {
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for device in at.items() {
        let (name, path) = (device.at("name"), device.at("devicePath"));
        if name.is_empty() {
            name.required(errs, "");
        }
        if names.contains(name.str()) {
            name.invalid(errs, "must be unique");
        }
        match volumes.get(name.str()) {
            Some(volume) if volume.get("persistentVolumeClaim").or(volume.get("ephemeral")).is_none() => {
                name.invalid(
                    errs,
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                );
            }
            Some(_) => {}
            None => name.not_found(errs),
        }
        if path.is_empty() {
            path.required(errs, "");
        }
        if paths.contains(path.str()) {
            path.invalid(errs, "must be unique");
        }
        if path.str().split('/').any(|part| part == "..") {
            path.invalid(errs, "can not contain backsteps ('..')");
        } else {
            paths.insert(path.str());
        }
        if mounted.volumes.contains_key(name.str()) {
            name.invalid(errs, "must not already exist in volumeMounts");
        }
        if mounted.paths.contains(path.str()) {
            path.invalid(errs, "must not already exist as a path in volumeMounts");
        }
        if !name.is_empty() {
            names.insert(name.str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn mounts_and_devices_are_judged_in_stocks_order() {
        let container = json!({
            "volumeMounts": [
                {"name": "a", "mountPath": "/a", "subPath": "/x", "mountPropagation": "Bidirectional"},
                {"name": "b", "mountPath": "/a", "subPath": "x", "subPathExpr": "..", "recursiveReadOnly": "Enabled"},
                {"name": "c", "mountPath": "/c", "recursiveReadOnly": "Maybe"}],
            "volumeDevices": [{"name": "c", "devicePath": "/c"}, {"name": "a", "devicePath": "../d"}]});
        let (claim, folder) = (json!({"persistentVolumeClaim": {}}), json!({"emptyDir": {}}));
        let volumes = Volumes::from([("a", &folder), ("c", &claim)]);
        let root = At::new(&container, table::message("k8s.io.api.core.v1.Container"));
        let mut errs = FieldErrors::new();
        mounts_and_devices(&root, &volumes, &mut errs);
        let found: Vec<_> = errs.iter().map(|e| e.to_string().replace("volume", "")).collect();
        assert_eq!(
            found,
            [
                "Mounts[0].name: Invalid value: \"a\": must not already exist in Devices",
                "Mounts.subPath: Invalid value: \"/x\": must be a relative path",
                "Mounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged \
                 containers",
                "Mounts[1].name: Not found: \"b\"",
                "Mounts[1].mountPath: Invalid value: \"/a\": must be unique",
                "Mounts[1].subPathExpr: Invalid value: \"..\": subPathExpr and subPath are mutually exclusive",
                "Mounts.subPathExpr: Invalid value: \"..\": must not contain '..'",
                "Mounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
                "Mounts[2].name: Invalid value: \"c\": must not already exist in Devices",
                "Mounts[2].mountPath: Invalid value: \"/c\": must not already exist as a path in Devices",
                "Mounts.recursiveReadOnly: Unsupported value: \"Maybe\": supported values: \"Disabled\", \"Enabled\", \
                 \"IfPossible\"",
                "Devices[0].name: Invalid value: \"c\": must not already exist in Mounts",
                "Devices[0].devicePath: Invalid value: \"/c\": must not already exist as a path in Mounts",
                "Devices[1].name: Invalid value: \"a\": can only use  source type of PersistentVolumeClaim or Ephemeral for \
                 block mode",
                "Devices[1].devicePath: Invalid value: \"../d\": can not contain backsteps ('..')",
                "Devices[1].name: Invalid value: \"a\": must not already exist in Mounts",
            ]
        );
    }
}
