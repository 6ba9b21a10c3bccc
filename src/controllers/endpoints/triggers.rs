//! Which services a change of a pod or a node concerns.

use crate::cache::handle::Cache;
use crate::cache::index::POD_NODE;
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::codec::protobuf::view::View;
use crate::controllers::harness::{Change, Keys};
use crate::controllers::item::view;
use crate::controllers::pods::Pod;
use crate::controllers::resources::{PODS, SERVICES};

/// Nodes that are in one zone have the same value of this label.
pub const ZONE: &str = "topology.kubernetes.io/zone";

/// Adds the services that select a pod or did so before, if the change is one that they must know of.
pub fn of_pod(change: &Change<'_>, keys: &mut Keys) {
    if let (Some(previous), Some(current)) = (change.previous, change.current)
        && !matters(change, previous, current)
    {
        return;
    }
    let Some(services) = shelf(&change.registry.cache, &SERVICES.full) else { return };
    for pod in change.states() {
        selecting(&services, pod, keys);
    }
}

/// Adds the services of the pods on a node whose zone has changed, or that has come or gone.
pub fn of_node(change: &Change<'_>, keys: &mut Keys) {
    let zone = |node: &Object| node.label(ZONE).map(|zone| zone.into_owned());
    if let (Some(previous), Some(current)) = (change.previous, change.current)
        && zone(previous) == zone(current)
    {
        return;
    }
    let cache = &change.registry.cache;
    let (Some(services), Some(pods)) = (shelf(cache, &SERVICES.full), shelf(cache, &PODS.full)) else { return };
    for pod in pods.by_index(&POD_NODE, change.name()) {
        selecting(&services, pod, keys);
    }
}

fn shelf(cache: &Cache, name: &crate::model::names::GroupResource) -> Option<std::sync::Arc<Shelf>> {
    cache.snapshot(&[name]).ok()?.shelves.into_iter().next()
}

fn selecting(services: &Shelf, pod: &Object, keys: &mut Keys) {
    for service in services.iter(Some(pod.namespace())) {
        if view(services, service).is_some_and(|service| selects(service, pod)) {
            keys.add(service.key.as_str());
        }
    }
}

/// Whether a service has a selector and it selects the pod.
fn selects(service: View<'_>, pod: &Object) -> bool {
    let spec = service.at("spec");
    let selector = spec.labels("selector");
    let has = |(key, value): &(&str, &str)| pod.label(key).is_some_and(|label| label == *value);
    !selector.is_empty() && spec.text("type") != "ExternalName" && selector.iter().all(has)
}

/// Whether anything has changed that an endpoint says.
fn matters(change: &Change<'_>, previous: &Object, current: &Object) -> bool {
    let (Some(before), Some(after)) = (change.view(previous), change.view(current)) else { return true };
    if previous.is_deleting() != current.is_deleting() || previous.labels() != current.labels() {
        return true;
    }
    let of_spec = |pod: View<'_>| {
        let spec = pod.at("spec");
        ["nodeName", "hostname", "subdomain"].map(|field| spec.text(field).to_owned())
    };
    if !before.agrees(after, "spec") && of_spec(before) != of_spec(after) {
        return true;
    }
    let of_status = |status: View<'_>| {
        let ready = status.items("conditions").find(|condition| condition.text("type") == "Ready");
        let is_ready = ready.is_some_and(|condition| condition.text("status") == "True");
        (is_ready, matches!(status.text("phase"), "Succeeded" | "Failed"))
    };
    let (before, after) = (before.at("status"), after.at("status"));
    ["podIP", "podIPs"].iter().any(|field| !before.agrees(after, field)) || of_status(before) != of_status(after)
}

/// The pods of a namespace that a selector selects, by name.
pub fn selected<'a>(shelf: &'a Shelf, namespace: &str, selector: &[(String, String)]) -> Vec<Pod<'a>> {
    let has =
        |pod: &Object, (key, value): &(String, String)| pod.label(key).is_some_and(|label| label == value.as_str());
    let chosen = shelf.iter(Some(namespace)).filter(|pod| selector.iter().all(|pair| has(pod, pair)));
    chosen.filter_map(|pod| Pod::new(shelf, pod)).collect()
}
