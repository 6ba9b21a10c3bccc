//! Cells of volumes, claims, classes and drivers.

use super::row::Row;
use crate::codec::protobuf::view::View;

pub fn volume(row: &mut Row<'_>, object: View<'_>) {
    let (spec, status) = (object.at("spec"), object.at("status"));
    row.name(object);
    row.text(storage(&spec.quantities("capacity")));
    row.text(&access_modes(spec));
    row.text(spec.text("persistentVolumeReclaimPolicy"));
    row.text(phase(object, status));
    match spec.get("claimRef") {
        Some(claim) => row.print(format_args!("{}/{}", claim.text("namespace"), claim.text("name"))),
        None => row.text(""),
    }
    row.text(class(object, spec));
    row.text(spec.maybe_text("volumeAttributesClassName").unwrap_or("<unset>"));
    row.text(status.text("reason"));
    row.created(object);
    row.text(spec.maybe_text("volumeMode").unwrap_or("<unset>"));
}

pub fn claim(row: &mut Row<'_>, object: View<'_>) {
    let (spec, status) = (object.at("spec"), object.at("status"));
    let volume = spec.text("volumeName");
    row.name(object);
    row.text(phase(object, status));
    row.text(volume);
    if volume.is_empty() {
        row.text("");
        row.text("");
    } else {
        row.text(storage(&status.quantities("capacity")));
        row.text(&access_modes(status));
    }
    row.text(class(object, spec));
    row.text(spec.maybe_text("volumeAttributesClassName").unwrap_or("<unset>"));
    row.created(object);
    row.text(spec.maybe_text("volumeMode").unwrap_or("<unset>"));
}

fn storage<'a>(capacity: &[(&str, &'a str)]) -> &'a str {
    capacity.iter().find(|(name, _)| *name == "storage").map_or("0", |(_, quantity)| quantity)
}

fn phase<'a>(object: View<'_>, status: View<'a>) -> &'a str {
    if object.at("metadata").has("deletionTimestamp") { "Terminating" } else { status.text("phase") }
}

/// The class's name; an old annotation goes before the field.
fn class<'a>(object: View<'a>, spec: View<'a>) -> &'a str {
    let annotations = object.at("metadata").labels("annotations");
    let old = annotations.iter().find(|(key, _)| *key == "volume.beta.kubernetes.io/storage-class");
    old.map_or_else(|| spec.text("storageClassName"), |(_, class)| class)
}

fn access_modes(holder: View<'_>) -> String {
    const SHORT: [(&str, &str); 4] =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let modes: Vec<&str> = holder.texts("accessModes").collect();
    let short: Vec<&str> = SHORT.iter().filter(|(mode, _)| modes.contains(mode)).map(|(_, short)| *short).collect();
    short.join(",")
}

pub fn storage_class(row: &mut Row<'_>, object: View<'_>) {
    let defaults = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    super::plain::name_with_default(row, object, &defaults);
    row.text(object.text("provisioner"));
    row.text(object.maybe_text("reclaimPolicy").unwrap_or("Delete"));
    row.text(object.maybe_text("volumeBindingMode").unwrap_or("Immediate"));
    row.flag(object.flag("allowVolumeExpansion"));
    row.created(object);
}

pub fn attributes_class(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.text(object.text("driverName"));
    row.created(object);
}

pub fn attachment(row: &mut Row<'_>, object: View<'_>) {
    let spec = object.at("spec");
    row.name(object);
    row.text(spec.text("attacher"));
    row.text(spec.at("source").text("persistentVolumeName"));
    row.text(spec.text("nodeName"));
    row.flag(object.at("status").flag("attached"));
    row.created(object);
}

pub fn csi_node(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.number(object.at("spec").count("drivers") as i64);
    row.created(object);
}

pub fn csi_driver(row: &mut Row<'_>, object: View<'_>) {
    let spec = object.at("spec");
    row.name(object);
    row.flag(spec.maybe_flag("attachRequired").unwrap_or(true));
    row.flag(spec.flag("podInfoOnMount"));
    row.flag(spec.flag("storageCapacity"));
    let audiences: Vec<&str> = spec.items("tokenRequests").map(|t| t.text("audience")).collect();
    if audiences.is_empty() {
        row.text("<unset>");
    } else {
        row.text(&audiences.join(","));
    }
    row.flag(spec.flag("requiresRepublish"));
    row.text_or(&spec.texts("volumeLifecycleModes").collect::<Vec<_>>().join(","), "<none>");
    row.created(object);
}
