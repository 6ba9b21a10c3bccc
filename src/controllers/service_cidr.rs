//! ServiceCIDRs: ready from the start, and there until no address of theirs is without another range.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;

use super::conditions;
use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::item::{Item, time, until};
use super::resources::{IP_ADDRESSES, SERVICE_CIDRS};
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::model::object;
use crate::model::status::{Outcome, Result};
use crate::model::time::Time;
use crate::model::value::{Value, json};

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
/// The field manager of the status.
const MANAGER: &str = "service-cidr-controller";
/// On addresses: who gave them out. Only those of Services count.
const MANAGED_BY: (&str, &str) = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io");
/// How long a range that is deleted stays at least: by then nobody gives out addresses of it.
const GRACE: Duration = Duration::from_secs(10);

/// Key: a ServiceCIDR.
pub struct ServiceCidrs;

#[async_trait]
impl Controller for ServiceCidrs {
    fn follows(&self) -> Follows {
        Follows::these(&[&SERVICE_CIDRS, &IP_ADDRESSES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        let Ok(snapshot) = change.registry.cache.snapshot(&[&SERVICE_CIDRS.full]) else { return };
        let shelf = &snapshot.shelves[0];
        if change.is_of(&SERVICE_CIDRS) {
            keys.add(change.name());
            let own = ranges(shelf, change.object());
            // It may hold what another one is to leave, or have held it.
            if change.previous.is_none() || change.is_deleted() {
                let overlaps = |range: &IpNet| own.iter().any(|own| own.contains(range) || range.contains(own));
                let others = shelf.iter(None).filter(|other| ranges(shelf, other).iter().any(overlaps));
                others.for_each(|other| keys.add(other.name()));
            }
            return;
        }
        // Only a range that is on its way out cares.
        let Some(address) = address(change.object()).filter(|_| change.previous.is_none() || change.is_deleted())
        else {
            return;
        };
        for range in shelf.iter(None).filter(|range| range.is_deleting()) {
            if ranges(shelf, range).iter().any(|range| holds(range, address)) {
                keys.add(range.name());
            }
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&SERVICE_CIDRS, &IP_ADDRESSES])?;
        let Some(range) = Item::find(cut.shelf(&SERVICE_CIDRS), "", key)? else { return Ok(Next::Done) };
        let has = object::finalizers(&range.value).any(|known| known == FINALIZER);
        if !range.is_deleting() {
            if !has {
                let patch = json!({"metadata": {"finalizers": [FINALIZER]}});
                cx.strategic(range.target(), &patch).await.unless_gone()?;
            }
            return tell(cx, &range, "True", "", "Kubernetes Service CIDR is ready").await;
        }
        if !may_go(&cut, &range) {
            let why = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
            return tell(cx, &range, "False", "Terminating", why).await;
        }
        let since = time(&range.value["metadata"]["deletionTimestamp"]).unwrap_or_else(|| cx.now());
        let end = Time { seconds: since.seconds + GRACE.as_secs() as i64, ..since };
        if end > cx.now() {
            return Ok(Next::After(until(end, cx.now())));
        }
        if has {
            let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}});
            cx.strategic(range.target(), &patch).await.unless_gone()?;
        }
        Ok(Next::Done)
    }
}

/// Whether every address of the range is in another one too.
fn may_go(cut: &Cut, range: &Item) -> bool {
    let shelf = cut.shelf(&SERVICE_CIDRS);
    let others: Vec<Vec<IpNet>> =
        shelf.iter(None).filter(|other| other.name() != range.name()).map(|other| ranges(shelf, other)).collect();
    let own = of_spec(range.spec());
    let is_within = |own: &IpNet| others.iter().flatten().any(|other| other.contains(own));
    if own.iter().all(is_within) {
        return true;
    }
    let mut addresses = cut.shelf(&IP_ADDRESSES).iter(None).filter_map(|object| address(object));
    !addresses.any(|address| {
        own.iter().any(|range| holds(range, address)) && !others.iter().flatten().any(|range| holds(range, address))
    })
}

/// Writes the condition, if it says something new.
async fn tell(cx: &Cx, range: &Item, status: &str, reason: &str, message: &str) -> Result<Next> {
    let known = conditions::find(range.status(), "Ready");
    let says = |field: &str, text: &str| known.is_some_and(|known| known[field].as_str().unwrap_or("") == text);
    if says("status", status) && says("reason", reason) && says("message", message) {
        return Ok(Next::Done);
    }
    let condition = json!({
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": cx.now().to_text().as_str(),
    });
    let wanted = json!({
        "apiVersion": range.storage.kind.group_version().to_string(), "kind": range.storage.kind.kind.as_str(),
        "metadata": {"name": range.name()}, "status": {"conditions": [condition]},
    });
    cx.apply(range.target().part("status"), wanted, MANAGER).await.unless_gone().map(|_| Next::Done)
}

fn ranges(shelf: &Shelf, range: &Object) -> Vec<IpNet> {
    Item::new(shelf, range).map_or_else(|_| Vec::new(), |range| of_spec(range.spec()))
}

fn of_spec(spec: &Value) -> Vec<IpNet> {
    let cidrs = spec["cidrs"].as_array().into_iter().flatten();
    cidrs.filter_map(|cidr| cidr.as_str()?.parse().ok()).collect()
}

/// The address of an IPAddress that was given to a Service.
fn address(object: &Object) -> Option<IpAddr> {
    let (label, owner) = MANAGED_BY;
    object.label(label).filter(|by| by == owner).and_then(|_| object.name().parse().ok())
}

/// Whether a Service can have the address from the range: not its first one, nor its last one in IPv4.
fn holds(range: &IpNet, address: IpAddr) -> bool {
    let is_last = address.is_ipv4() && range.broadcast() == address;
    range.network() != address && !is_last && range.contains(&address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::World;

    async fn range(world: &World, name: &str, cidr: &str) {
        world.create(&SERVICE_CIDRS, json!({"metadata": {"name": name}, "spec": {"cidrs": [cidr]}})).await;
        world.settle().await;
    }

    async fn address(world: &World, address: &str) {
        let labels = json!({(MANAGED_BY.0): MANAGED_BY.1, "ipaddress.kubernetes.io/ip-family": "IPv4"});
        let parent = json!({"resource": "services", "namespace": "d", "name": "s"});
        let object = json!({"metadata": {"name": address, "labels": labels}, "spec": {"parentRef": parent}});
        world.create(&IP_ADDRESSES, object).await;
    }

    fn told(world: &World, name: &str) -> String {
        let status = world.get(&SERVICE_CIDRS, "", name)["status"].clone();
        let condition = conditions::find(&status, "Ready").cloned().unwrap_or_default();
        let text = |field: &str| condition[field].as_str().unwrap_or("").to_owned();
        format!("{} {}", text("status"), text("reason"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_range_stays_while_an_address_has_no_other() {
        let world = World::with(&["service-cidr-controller"]).await;
        range(&world, "a", "10.1.0.0/24").await;
        assert_eq!(told(&world, "a"), "True ");
        assert_eq!(world.get(&SERVICE_CIDRS, "", "a")["metadata"]["finalizers"], json!([FINALIZER]));
        address(&world, "10.1.0.7").await;
        world.delete(SERVICE_CIDRS.at("", "a")).await;
        world.pass(2 * GRACE).await;
        assert_eq!(told(&world, "a"), "False Terminating");
        range(&world, "b", "10.1.0.0/16").await;
        world.pass(GRACE).await;
        assert_eq!(world.names(&SERVICE_CIDRS), ["b"]);
        world.delete(SERVICE_CIDRS.at("", "b")).await;
        world.pass(2 * GRACE).await;
        assert_eq!(told(&world, "b"), "False Terminating");
        world.delete(IP_ADDRESSES.at("", "10.1.0.7")).await;
        world.settle().await;
        assert_eq!(world.names(&SERVICE_CIDRS), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_range_without_addresses_goes_after_a_while() {
        let world = World::with(&["service-cidr-controller"]).await;
        range(&world, "a", "10.1.0.0/24").await;
        world.delete(SERVICE_CIDRS.at("", "a")).await;
        world.pass(GRACE - Duration::from_secs(1)).await;
        assert_eq!(world.names(&SERVICE_CIDRS), ["a"]);
        world.pass(Duration::from_secs(2)).await;
        assert_eq!(world.names(&SERVICE_CIDRS), [""; 0]);
    }
}
