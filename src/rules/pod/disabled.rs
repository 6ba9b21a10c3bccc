//! Fields of features that are off in 1.36: dropped, unless the old object has them already.

use super::visit::{container_values, container_values_mut};
use crate::model::value::Value;

/// Drops them from a spec; `old` is null where there is none.
pub fn drop(spec: &mut Value, old: &Value) {
    for source in ["clusterTrustBundle", "podCertificate"] {
        if !sources(old).any(|s| s.get(source).is_some()) {
            drop_source(spec, source);
        }
    }
    if old.get("schedulingGroup").is_none()
        && let Some(fields) = spec.as_object_mut()
    {
        fields.remove("schedulingGroup");
    }
    if !container_values(old).any(|c| c["lifecycle"].get("stopSignal").is_some()) {
        container_values_mut(spec).for_each(drop_stop_signal);
    }
}

fn sources(spec: &Value) -> impl Iterator<Item = &Value> {
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(|volume| volume["projected"]["sources"].as_array()).flatten()
}

fn drop_source(spec: &mut Value, name: &str) {
    let volumes = spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten();
    let lists = volumes.filter_map(|volume| volume.get_mut("projected")?.get_mut("sources")?.as_array_mut());
    for fields in lists.flatten().filter_map(Value::as_object_mut) {
        fields.remove(name);
    }
}

/// A lifecycle that said nothing else goes with it.
fn drop_stop_signal(container: &mut Value) {
    let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) else { return };
    if lifecycle.remove("stopSignal").is_some()
        && lifecycle.is_empty()
        && let Some(fields) = container.as_object_mut()
    {
        fields.remove("lifecycle");
    }
}

/// Drops them from a status; `old` is null where there is none.
pub fn drop_status(status: &mut Value, old: &Value) {
    if old.get("nodeAllocatableResourceClaimStatuses").is_none()
        && let Some(fields) = status.as_object_mut()
    {
        fields.remove("nodeAllocatableResourceClaimStatuses");
    }
    if !mount_statuses(old).any(|mount| mount.get("volumeStatus").is_some()) {
        drop_volume_statuses(status);
    }
}

const STATUSES: [&str; 3] = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];

fn mount_statuses(status: &Value) -> impl Iterator<Item = &Value> {
    let containers = STATUSES.iter().filter_map(|list| status[*list].as_array()).flatten();
    containers.filter_map(|container| container["volumeMounts"].as_array()).flatten()
}

fn drop_volume_statuses(status: &mut Value) {
    let lists = status.as_object_mut().into_iter().flatten().filter(|(name, _)| STATUSES.contains(&name.as_str()));
    let containers = lists.filter_map(|(_, list)| list.as_array_mut()).flatten();
    let mounts = containers.filter_map(|container| container.get_mut("volumeMounts")?.as_array_mut()).flatten();
    for fields in mounts.filter_map(Value::as_object_mut) {
        fields.remove("volumeStatus");
    }
}
