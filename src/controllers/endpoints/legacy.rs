//! The Endpoints of services with a selector: the older form, of one family, for clients that know no slices.

use async_trait::async_trait;

use super::endpoint::{addresses, hostname, is_reachable, ports, target};
use super::plan::list;
use super::service::Service;
use super::since::{SINCE, Since};
use super::subsets::{Entry, pack, truncate};
use super::triggers;
use crate::controllers::events::{Kind, Regarding};
use crate::controllers::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use crate::controllers::item::Item;
use crate::controllers::pods::{Pod, is_namespace_terminating};
use crate::controllers::resources::{ENDPOINTS, PODS, SERVICES};
use crate::model::object;
use crate::model::status::{Outcome, Result, Status};
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::registry::options::DeleteOptions;

/// Addresses in an object at most.
const MOST: usize = 1000;
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// An annotation: the object is a lock, and nobody's endpoints.
pub const LOCK: &str = "control-plane.alpha.kubernetes.io/leader";

/// Key at the start: whatever lost its service while nobody looked.
const LEFT: &str = "*";

/// Key: a service.
#[derive(Default)]
pub struct Endpoints {
    since: Since,
}

#[async_trait]
impl Controller for Endpoints {
    fn follows(&self) -> Follows {
        Follows::these(&[&SERVICES, &PODS, &ENDPOINTS])
    }

    fn begin(&self, keys: &mut Keys) {
        keys.add(LEFT);
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&PODS) {
            triggers::of_pod(change, keys);
        } else if change.is_of(&SERVICES) || change.is_deleted() {
            keys.add(change.key().as_str());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&SERVICES, &PODS, &ENDPOINTS])?;
        if key == LEFT {
            return delete_left(cx, &cut).await.map(|()| Next::Done);
        }
        let shelf = cut.shelf(&SERVICES);
        let Some(item) = Item::find_key(shelf, key)? else {
            self.since.forget(key);
            let (namespace, name) = key.split_once('/').unwrap_or_default();
            return if cut.get(&ENDPOINTS, namespace, name).is_some() {
                delete(cx, namespace, name).await
            } else {
                Ok(())
            }
            .map(|()| Next::Done);
        };
        let Some(service) = Service::new(&item) else { return Ok(Next::Done) };
        let pods = triggers::selected(cut.shelf(&PODS), item.namespace(), &service.selector);
        let since = self.since.note(&item, &pods);
        write(cx, &cut, &service, subsets(&service, &pods), since).await?;
        Ok(Next::Done)
    }
}

async fn delete(cx: &Cx, namespace: &str, name: &str) -> Result<()> {
    cx.delete(ENDPOINTS.at(namespace, name), &DeleteOptions::default()).await.unless_gone().map(drop)
}

async fn delete_left(cx: &Cx, cut: &Cut) -> Result<()> {
    let shelf = cut.shelf(&ENDPOINTS);
    for object in shelf.iter(None) {
        let (namespace, name) = (object.namespace(), object.name());
        if cut.get(&SERVICES, namespace, name).is_some() {
            continue;
        }
        if object::annotation(&Item::new(shelf, object)?.value, LOCK).is_none() {
            delete(cx, namespace, name).await?;
        }
    }
    Ok(())
}

/// The subsets of a service's pods.
fn subsets(service: &Service<'_>, pods: &[Pod<'_>]) -> Vec<Value> {
    let Some(family) = service.families().into_iter().next() else { return Vec::new() };
    let mut entries = Vec::new();
    for pod in pods.iter().filter(|pod| is_reachable(pod, service.unready_too)) {
        let Some(ip) = addresses(pod, family).into_iter().next() else { continue };
        let mut address = json!({"ip": ip, "targetRef": target(pod)});
        for (field, value) in [("nodeName", Some(pod.node())), ("hostname", hostname(pod, service))] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                address[field] = value.into();
            }
        }
        let ready = service.unready_too || pod.ready;
        let entry = |port| Entry { address: address.clone(), ready, port };
        match service.needs_no_ports() {
            true => entries.push(entry(None)),
            false => entries.extend(ports(pod, service).into_iter().map(without_empty_name).map(Some).map(entry)),
        }
    }
    pack(entries)
}

fn without_empty_name(mut port: Value) -> Value {
    if port["name"] == "" {
        port.as_object_mut().and_then(|port| port.remove("name"));
    }
    port
}

/// Writes the Endpoints of a service, if they say something new.
async fn write(cx: &Cx, cut: &Cut, service: &Service<'_>, mut subsets: Vec<Value>, since: Option<Time>) -> Result<()> {
    let (namespace, name) = (service.item.namespace(), service.item.name());
    let is_cut = truncate(&mut subsets, MOST);
    let current = Item::find(cut.shelf(&ENDPOINTS), namespace, name)?.map(|item| item.value);
    let mut labels = service.labels(&[MANAGED_BY]);
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    if let Some(current) = &current {
        let says_cut = object::annotation(current, OVER_CAPACITY) == Some("truncated");
        let has_labels = current["metadata"]["labels"].as_object() == Some(&labels);
        if is_same(list(&current["subsets"]), &subsets) && has_labels && says_cut == is_cut {
            return Ok(());
        }
    }
    let is_new = current.is_none();
    let mut wanted = current.unwrap_or_else(|| json!({"metadata": {"name": name, "namespace": namespace}}));
    wanted["subsets"] = subsets.into();
    wanted["metadata"]["labels"] = labels.into();
    let mut annotations = wanted["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.retain(|key, _| key != SINCE && key != OVER_CAPACITY);
    annotations.extend(since.map(|since| (SINCE, since.to_text())));
    annotations.extend(is_cut.then_some((OVER_CAPACITY, "truncated")));
    wanted["metadata"]["annotations"] = annotations.into();
    let target = ENDPOINTS.at(namespace, name);
    let written = if is_new { cx.create(target, &wanted).await } else { cx.update(target, &wanted).await };
    match written {
        // The service goes too.
        Err(status) if is_new && is_namespace_terminating(&status) => Ok(()),
        Err(status) => {
            tell(cx, &wanted, is_new, &status);
            Err(status)
        }
        Ok(_) => Ok(()),
    }
}

fn tell(cx: &Cx, endpoints: &Value, is_new: bool, status: &Status) {
    let (namespace, name) = (object::namespace(endpoints), object::name(endpoints));
    let regarding = Regarding {
        api_version: "v1".into(),
        kind: "Endpoints".into(),
        namespace: namespace.into(),
        name: name.into(),
        uid: object::uid(endpoints).into(),
        resource_version: object::resource_version(endpoints).into(),
    };
    let (reason, message) = match is_new {
        true => (
            "FailedToCreateEndpoint",
            format!("Failed to create endpoint for service {namespace}/{name}: {}", status.message),
        ),
        false => {
            ("FailedToUpdateEndpoint", format!("Failed to update endpoint {namespace}/{name}: {}", status.message))
        }
    };
    cx.event(regarding, Kind::Warning, reason, message);
}

/// Whether subsets say the same, a pod's newer resourceVersion aside.
fn is_same(stored: &[Value], wanted: &[Value]) -> bool {
    let mut stored = stored.to_vec();
    for subset in &mut stored {
        for field in ["addresses", "notReadyAddresses"] {
            let addresses = subset.get_mut(field).and_then(Value::as_array_mut);
            for address in addresses.into_iter().flatten() {
                let target = address.get_mut("targetRef").and_then(Value::as_object_mut);
                target.and_then(|target| target.remove("resourceVersion"));
            }
        }
    }
    stored == wanted
}
