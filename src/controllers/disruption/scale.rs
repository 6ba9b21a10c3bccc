//! How many pods the controllers of a budget's pods want.

use std::collections::HashMap;

use crate::cache::object::{Object, Owner};
use crate::controllers::harness::{Cut, Cx};
use crate::controllers::item::view;
use crate::controllers::pods::Pod;
use crate::controllers::resources::{DEPLOYMENTS, Name, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS};
use crate::model::names::GroupVersion;
use crate::model::object;
use crate::model::status::{Outcome, Result, Status};
use crate::registry::client::Target;

pub struct Expected {
    pub count: i64,
    /// Whether there are pods that nobody controls.
    pub has_unmanaged: bool,
}

/// The sum over all controllers of the pods. An error when one of them does not say how many it wants.
pub async fn expected(cx: &Cx, namespace: &str, pods: &[Pod<'_>]) -> Result<Expected> {
    let cut = cx.cut(&[&DEPLOYMENTS, &REPLICA_SETS, &REPLICATION_CONTROLLERS, &STATEFUL_SETS])?;
    let mut has_unmanaged = false;
    // By the uid of the pods' controller: whose replicas count, and how many.
    let mut known: HashMap<String, (String, i64)> = HashMap::new();
    for pod in pods {
        let Some(owner) = pod.object.controller() else {
            has_unmanaged = true;
            continue;
        };
        if known.contains_key(owner.uid.as_ref()) {
            continue;
        }
        let found = match cached(&cut, namespace, &owner) {
            Some(found) => Some(found),
            None => scaled(cx, namespace, &owner).await?,
        };
        let Some(found) = found else {
            return Err(Status::internal_plain(format!("found no controllers for pod {:?}", pod.object.name())));
        };
        known.insert(owner.uid.into_owned(), found);
    }
    let scales: HashMap<String, i64> = known.into_values().collect();
    Ok(Expected { count: scales.values().sum(), has_unmanaged })
}

/// The workload kinds, as the cache has them. A ReplicaSet's replicas are those of its Deployment.
fn cached(cut: &Cut, namespace: &str, owner: &Owner<'_>) -> Option<(String, i64)> {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    let replicas = |name: &Name, object: &Object| {
        let spec = view(cut.shelf(name), object)?.at("spec");
        Some((object.uid().into_owned(), spec.maybe_number("replicas").unwrap_or(1)))
    };
    let find = |name: &Name, owner: &Owner<'_>| {
        let found = cut.get(name, namespace, &owner.name)?;
        (found.uid() == owner.uid).then(|| found.clone())
    };
    match (group, owner.kind.as_ref()) {
        ("", "ReplicationController") => {
            replicas(&REPLICATION_CONTROLLERS, find(&REPLICATION_CONTROLLERS, owner)?.as_ref())
        }
        ("apps", "StatefulSet") => replicas(&STATEFUL_SETS, find(&STATEFUL_SETS, owner)?.as_ref()),
        ("apps" | "extensions", "ReplicaSet") => {
            let set = find(&REPLICA_SETS, owner)?;
            match set.controller().filter(|owner| owner.kind == "Deployment") {
                Some(owner) => replicas(&DEPLOYMENTS, find(&DEPLOYMENTS, &owner)?.as_ref()),
                None => replicas(&REPLICA_SETS, &set),
            }
        }
        _ => None,
    }
}

/// Any other kind says it by its scale subresource.
async fn scaled(cx: &Cx, namespace: &str, owner: &Owner<'_>) -> Result<Option<(String, i64)>> {
    let no_match =
        || Status::internal_plain(format!("no matches for kind {:?} in version {:?}", owner.kind, owner.api_version));
    let kind = GroupVersion::parse(&owner.api_version).map(|version| version.with_kind(&owner.kind));
    let resource = kind.and_then(|kind| cx.plane.registry.catalog.load().by_kind(&kind).cloned());
    let resource = resource.ok_or_else(no_match)?;
    if resource.subresource("scale").is_none() {
        return Err(Status::internal_plain(format!("{} does not implement the scale subresource", resource.name)));
    }
    let target = Target::new(&resource.name.group, &resource.name.resource, namespace, &owner.name);
    let scale = cx.client.scale(target).await.unless_gone()?.filter(|scale| object::uid(scale) == owner.uid);
    Ok(scale.map(|scale| (owner.uid.to_string(), scale["spec"]["replicas"].as_i64().unwrap_or(0))))
}
