//! The EndpointSlices of services with a selector.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::endpoint::{endpoint, is_reachable, ports};
use super::plan::{Group, Plan, Template, list, ports_key};
use super::service::{Family, Service};
use super::since::{SINCE, Since};
use super::triggers::{self, ZONE};
use crate::cache::index::OWNER;
use crate::controllers::events::Kind;
use crate::controllers::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use crate::controllers::item::Item;
use crate::controllers::pods::{Pod, is_namespace_terminating};
use crate::controllers::resources::{ENDPOINT_SLICES, NODES, PODS, SERVICES};
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::registry::options::DeleteOptions;

pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";

/// Key: a service.
#[derive(Default)]
pub struct EndpointSlices {
    since: Since,
}

#[async_trait]
impl Controller for EndpointSlices {
    fn follows(&self) -> Follows {
        Follows::these(&[&SERVICES, &PODS, &NODES, &ENDPOINT_SLICES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&SERVICES) {
            keys.add(change.key().as_str());
        } else if change.is_of(&PODS) {
            triggers::of_pod(change, keys);
        } else if change.is_of(&NODES) {
            triggers::of_node(change, keys);
        } else {
            slice_triggers(change, MANAGER, keys);
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&SERVICES, &PODS, &NODES, &ENDPOINT_SLICES])?;
        let shelf = cut.shelf(&SERVICES);
        let Some(item) = Item::find_key(shelf, key)? else {
            self.since.forget(key);
            return Ok(Next::Done);
        };
        let Some(service) = Service::new(&item) else { return Ok(Next::Done) };
        let pods = triggers::selected(cut.shelf(&PODS), item.namespace(), &service.selector);
        let since = self.since.note(&item, &pods);
        let written = write(cx, &item, plan(&cut, &service, &pods)?, since).await;
        if let Err(status) = &written {
            let message = format!("Error updating Endpoint Slices for Service {}: {}", service.shown(), status.message);
            cx.event((&item).into(), Kind::Warning, "FailedToUpdateEndpointSlices", message);
        }
        written.map(|()| Next::Done)
    }
}

/// The service of a slice that `manager` keeps, or kept.
pub fn slice_triggers(change: &Change<'_>, manager: &str, keys: &mut Keys) {
    for slice in change.states() {
        if slice.label(MANAGED_BY).is_some_and(|by| by == manager)
            && let Some(service) = slice.label(SERVICE_NAME)
        {
            keys.add_named(slice.namespace(), &service);
        }
    }
}

/// The slices of an owner that `manager` keeps for it.
pub fn kept(cut: &Cut, owner: &Item, manager: &str) -> Result<Vec<Value>> {
    let shelf = cut.shelf(&ENDPOINT_SLICES);
    let mut slices = Vec::new();
    for slice in shelf.by_index(&OWNER, owner.uid()).filter(|slice| !slice.is_deleting()) {
        let value = Item::new(shelf, slice)?.value;
        let is_label = |key: &str, value: &str| slice.label(key).is_some_and(|label| label == value);
        if is_label(MANAGED_BY, manager) && is_label(SERVICE_NAME, owner.name()) {
            slices.push(value);
        }
    }
    Ok(slices)
}

/// What to write for a service: for each family by itself.
fn plan(cut: &Cut, service: &Service<'_>, pods: &[Pod<'_>]) -> Result<Plan> {
    let families = service.families();
    let (mut whole, mut existing) = (Plan::default(), kept(cut, service.item, MANAGER)?);
    for family in families {
        let (own, others) = existing.into_iter().partition(|slice| slice["addressType"] == family.name());
        existing = others;
        let Plan { create, update, delete } =
            Plan::of(&template(service, family), own, groups(cut, service, pods, family));
        whole.create.extend(create);
        whole.update.extend(update);
        whole.delete.extend(delete);
    }
    // Of families that the service has no more.
    whole.delete.extend(existing);
    Ok(whole)
}

fn template<'a>(service: &Service<'a>, family: Family) -> Template<'a> {
    let mut labels = service.labels(&[SERVICE_NAME, MANAGED_BY]);
    labels.insert(SERVICE_NAME.into(), service.item.name().into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    let (namespace, name) = (service.item.namespace(), service.item.name());
    Template { namespace, name, address_type: family.name(), owner: service.item.controller_reference(), labels }
}

/// The endpoints by their ports. A pod whose node nobody knows is lost, unless even those that are not ready are asked
/// for.
fn groups(cut: &Cut, service: &Service<'_>, pods: &[Pod<'_>], family: Family) -> Vec<Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| is_reachable(pod, true)) {
        let ports = if service.needs_no_ports() { Vec::new() } else { ports(pod, service) };
        let group = groups.entry(ports_key(&ports)).or_insert(Group { ports, endpoints: Vec::new() });
        let node = cut.get(&NODES, "", pod.node());
        if node.is_none() && !service.unready_too {
            continue;
        }
        let zone = node.and_then(|node| node.label(ZONE)).filter(|zone| !zone.is_empty());
        group.endpoints.extend(endpoint(pod, zone.as_deref(), service, family));
    }
    groups.into_values().collect()
}

/// Carries a plan out. `since` goes into every slice that is written.
pub async fn write(cx: &Cx, owner: &Item, plan: Plan, since: Option<Time>) -> Result<()> {
    let namespace = owner.namespace();
    let failed = |what: &str, status: Status| {
        let (kind, name) = (&owner.storage.kind.kind, owner.name());
        let message = format!("failed to {what} EndpointSlice for {kind} {namespace}/{name}: {}", status.message);
        Status { message, ..status }
    };
    for slice in plan.create.into_iter().filter(|_| !owner.is_deleting()) {
        let slice = stamped(slice, since);
        match cx.create(ENDPOINT_SLICES.at(namespace, ""), &slice).await {
            // The service goes too.
            Err(status) if is_namespace_terminating(&status) => return Ok(()),
            created => created.map_err(|status| failed("create", status))?,
        };
    }
    for slice in plan.update {
        let slice = stamped(slice, since);
        let name = object::name(&slice);
        let updated = cx.update(ENDPOINT_SLICES.at(namespace, name), &slice).await;
        updated.map_err(|status| failed(&format!("update {name}"), status))?;
    }
    for slice in &plan.delete {
        let name = object::name(slice);
        match cx.delete(ENDPOINT_SLICES.at(namespace, name), &DeleteOptions::default()).await {
            Err(status) if !status.is_not_found() => return Err(failed(&format!("delete {name}"), status)),
            _ => {}
        }
    }
    Ok(())
}

fn stamped(mut slice: Value, since: Option<Time>) -> Value {
    // Users read lists that are there; the stored form leaves empty ones out.
    if list(&slice["ports"]).is_empty() {
        slice["ports"] = json!([]);
    }
    match since {
        Some(since) => slice["metadata"]["annotations"][SINCE] = since.to_text().as_str().into(),
        None => {
            let annotations = slice["metadata"].get_mut("annotations").and_then(Value::as_object_mut);
            annotations.and_then(|annotations| annotations.remove(SINCE));
        }
    }
    slice
}
