//! Slices of Endpoints that users keep for services without a selector: clients read slices alone.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::legacy::LOCK;
use super::plan::{Plan, identity, list, ports_key, says_same};
use super::service::Family;
use super::since::SINCE;
use super::slices::{MANAGED_BY, SERVICE_NAME, kept, slice_triggers, write};
use crate::controllers::events::Kind;
use crate::controllers::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use crate::controllers::item::Item;
use crate::controllers::resources::{ENDPOINT_SLICES, ENDPOINTS, SERVICES};
use crate::model::object;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Map, Value, json};
use crate::registry::options::DeleteOptions;

/// Addresses of a subset that are mirrored at most.
const MOST: usize = 1000;
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Key: a service and its Endpoints, which have one name.
pub struct Mirror;

/// Endpoints that share a slice.
struct Wanted {
    family: Family,
    ports: Vec<Value>,
    endpoints: BTreeMap<String, Value>,
}

#[async_trait]
impl Controller for Mirror {
    fn follows(&self) -> Follows {
        Follows::these(&[&ENDPOINTS, &SERVICES, &ENDPOINT_SLICES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&ENDPOINT_SLICES) {
            slice_triggers(change, MANAGER, keys);
        } else {
            keys.add(change.key().as_str());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&ENDPOINTS, &SERVICES, &ENDPOINT_SLICES])?;
        let (namespace, name) = key.split_once('/').unwrap_or_default();
        let endpoints = Item::find(cut.shelf(&ENDPOINTS), namespace, name)?;
        let service = Item::find(cut.shelf(&SERVICES), namespace, name)?;
        let (Some(endpoints), Some(service)) = (endpoints.filter(is_mirrored), service) else {
            return delete(cx, &cut, namespace, name).await;
        };
        if service.spec()["selector"].as_object().is_some_and(|selector| !selector.is_empty()) {
            return delete(cx, &cut, namespace, name).await;
        }
        let (wanted, skipped) = wanted(&endpoints);
        if skipped > 0 {
            let message = format!(
                "A max of {MOST} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were skipped"
            );
            cx.event((&endpoints).into(), Kind::Warning, "TooManyAddressesToMirror", message);
        }
        let plan = plan(&endpoints, kept(&cut, &endpoints, MANAGER)?, wanted);
        write(cx, &endpoints, plan, None).await?;
        Ok(Next::Done)
    }
}

fn is_mirrored(endpoints: &Item) -> bool {
    object::label(&endpoints.value, SKIP) != Some("true") && object::annotation(&endpoints.value, LOCK).is_none()
}

/// Deletes the slices that were made for a service.
async fn delete(cx: &Cx, cut: &Cut, namespace: &str, service: &str) -> Result<Next> {
    for slice in cut.shelf(&ENDPOINT_SLICES).iter(Some(namespace)) {
        let is_label = |key: &str, value: &str| slice.label(key).is_some_and(|label| label == value);
        if is_label(MANAGED_BY, MANAGER) && is_label(SERVICE_NAME, service) {
            cx.delete(ENDPOINT_SLICES.at(namespace, slice.name()), &DeleteOptions::default()).await.unless_gone()?;
        }
    }
    Ok(Next::Done)
}

/// What slices there must be, and how many addresses have no place in them.
fn wanted(endpoints: &Item) -> (BTreeMap<String, Wanted>, usize) {
    let (mut all, mut skipped) = (BTreeMap::new(), 0);
    for subset in list(&endpoints.value["subsets"]) {
        let named = |port: &Value| {
            let mut port = port.clone();
            port["name"] = port["name"].as_str().unwrap_or("").into();
            port
        };
        let ports: Vec<Value> = list(&subset["ports"]).iter().map(named).collect();
        let ready = list(&subset["addresses"]).iter().map(|address| (address, true));
        let addresses = ready.chain(list(&subset["notReadyAddresses"]).iter().map(|address| (address, false)));
        for (at, (address, ready)) in addresses.enumerate() {
            let ip = address["ip"].as_str().unwrap_or("");
            let of = |family: Family| family.address(ip).map(|ip| (family, ip));
            match of(Family::V4).or_else(|| of(Family::V6)) {
                Some((family, ip)) if at < MOST => {
                    let key = format!("{} {}", family.name(), ports_key(&ports));
                    let new = || Wanted { family, ports: ports.clone(), endpoints: BTreeMap::new() };
                    let endpoint = endpoint(address, ip, ready);
                    all.entry(key).or_insert_with(new).endpoints.insert(identity(&endpoint), endpoint);
                }
                _ => skipped += 1,
            }
        }
    }
    (all, skipped)
}

fn endpoint(address: &Value, ip: String, ready: bool) -> Value {
    let mut endpoint = json!({"addresses": [ip], "conditions": {"ready": ready}});
    for field in ["targetRef", "nodeName", "hostname"] {
        if !address[field].is_null() {
            endpoint[field] = address[field].clone();
        }
    }
    endpoint
}

/// One slice for each family and set of ports.
fn plan(endpoints: &Item, existing: Vec<Value>, mut wanted: BTreeMap<String, Wanted>) -> Plan {
    let mut plan = Plan::default();
    for slice in existing {
        let family = slice["addressType"].as_str().unwrap_or("");
        match wanted.remove(&format!("{family} {}", ports_key(list(&slice["ports"])))) {
            Some(wanted) => {
                let new = slice_of(endpoints, &wanted, Some(object::name(&slice)));
                if !is_same(&slice, &new) {
                    plan.update.push(new);
                }
            }
            None => plan.delete.push(slice),
        }
    }
    plan.create = wanted.values().map(|wanted| slice_of(endpoints, wanted, None)).collect();
    plan
}

fn is_same(slice: &Value, new: &Value) -> bool {
    let by_identity = |slice: &Value| -> BTreeMap<String, Value> {
        list(&slice["endpoints"]).iter().map(|endpoint| (identity(endpoint), endpoint.clone())).collect()
    };
    let (old, wanted) = (by_identity(slice), by_identity(new));
    let endpoints = old.len() == wanted.len()
        && wanted.iter().all(|(key, endpoint)| old.get(key).is_some_and(|old| says_same(old, endpoint)));
    let map = |slice: &Value, field: &str| slice["metadata"][field].as_object().cloned().unwrap_or_default();
    let meta = ["labels", "annotations"].iter().all(|field| map(slice, field) == map(new, field));
    endpoints && meta
}

fn slice_of(endpoints: &Item, wanted: &Wanted, name: Option<&str>) -> Value {
    let map = |field: &str| endpoints.value["metadata"][field].as_object().cloned().unwrap_or_default();
    let (mut labels, annotations) = (map("labels"), map("annotations"));
    labels.insert(SERVICE_NAME.into(), endpoints.name().into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    let annotations: Map = annotations.into_iter().filter(|(key, _)| key != SINCE && key != LAST_APPLIED).collect();
    let mut metadata = json!({
        "namespace": endpoints.namespace(),
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [endpoints.controller_reference()],
    });
    match name {
        Some(name) => metadata["name"] = name.into(),
        None => metadata["generateName"] = format!("{}-", endpoints.name()).into(),
    }
    json!({
        "metadata": metadata,
        "addressType": wanted.family.name(),
        "endpoints": wanted.endpoints.values().collect::<Vec<_>>(),
        "ports": wanted.ports,
    })
}
