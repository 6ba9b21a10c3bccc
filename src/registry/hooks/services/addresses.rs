//! Cluster IPs. That an address is taken stands in an IPAddress of its name, so that replicas agree.

use std::net::IpAddr;

use super::ranges::{Prefix, Ranges};
use crate::cache::shelf::Shelf;
use crate::model::field::{Bad, FieldError, Path};
use crate::model::gotext::quote;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};
use crate::registry::core::{Registry, cache_status};
use crate::registry::hooks::Claim;
use crate::registry::options::{DeleteOptions, WriteOptions};
use crate::registry::request::Address;
use crate::rules::checks::network::sloppy_ip;
use crate::rules::service::spec;

const GROUP: &str = "networking.k8s.io";
const ADDRESSES: &str = "ipaddresses";
const RANGES: &str = "servicecidrs";
const FAMILY_LABEL: &str = "ipaddress.kubernetes.io/ip-family";
const MANAGER_LABEL: &str = "ipaddress.kubernetes.io/managed-by";
const MANAGER: &str = "ipallocator.k8s.io";
/// Addresses that others may take while one is looked for.
const MAX_COLLISIONS: u128 = 64;

/// Why there is no address.
enum Refusal {
    Full,
    Taken,
    Other(String),
}

/// Gives the service the addresses that it lacks, and takes those that it chose, for its families from the `first` on.
pub async fn claim(
    registry: &Registry,
    ranges: &Ranges,
    at: &Address,
    service: &mut Value,
    first: usize,
    dry_run: bool,
    claim: &mut Claim,
) -> Result<()> {
    let families: Vec<String> = spec::texts(&service["spec"], "ipFamilies").map(str::to_owned).collect();
    for (index, family) in families.iter().enumerate().skip(first) {
        let mut given: Vec<String> = spec::texts(&service["spec"], "clusterIPs").map(str::to_owned).collect();
        given.resize(families.len().max(given.len()), String::new());
        let ip = match given[index].as_str() {
            "" => next(registry, ranges, family, at, dry_run)
                .await
                .map_err(|refusal| nothing_left(at, &given, refusal))?,
            ip => {
                chosen(registry, ranges, ip, at, dry_run).await.map_err(|refusal| not_that(at, &given, ip, refusal))?
            }
        };
        if !dry_run {
            let taken = ip.clone();
            claim.when_reverted(Box::new(move |registry| Box::pin(async move { release(registry, &taken).await })));
        }
        if index == 0 {
            service["spec"]["clusterIP"] = ip.as_str().into();
        }
        given[index] = ip;
        given.retain(|ip| !ip.is_empty());
        service["spec"]["clusterIPs"] = given.into();
    }
    Ok(())
}

fn invalid(at: &Address, given: &[String], why: String) -> Status {
    let spec = Path::Name(&Path::Root, "spec");
    let given: Vec<&String> = given.iter().filter(|ip| !ip.is_empty()).collect();
    let error = FieldError::invalid(&spec.name("clusterIPs"), Bad::plain(json!(given).to_string()), why);
    Status::invalid(&at.resource.kind, &at.name, &[error])
}

fn nothing_left(at: &Address, given: &[String], refusal: Refusal) -> Status {
    match refusal {
        Refusal::Other(why) => invalid(at, given, format!("failed to allocate IP: {why}")),
        Refusal::Full | Refusal::Taken => {
            let name = quote(&at.name);
            Status::internal(format!("failed to allocate a serviceIP for Service {name}: range is full"))
        }
    }
}

fn not_that(at: &Address, given: &[String], ip: &str, refusal: Refusal) -> Status {
    let why = match refusal {
        Refusal::Taken | Refusal::Full => "provided IP is already allocated".to_owned(),
        Refusal::Other(why) => why,
    };
    invalid(at, given, format!("failed to allocate IP {ip}: {why}"))
}

/// The address that the client chose.
async fn chosen(
    registry: &Registry,
    ranges: &Ranges,
    ip: &str,
    at: &Address,
    dry_run: bool,
) -> std::result::Result<String, Refusal> {
    let Some(address) = sloppy_ip(ip) else { return Err(Refusal::Other("it is no IP address".into())) };
    let usable = usable(registry, ranges).map_err(other)?;
    if !usable.iter().any(|prefix| prefix.holds(address)) {
        let same = usable.iter().find(|prefix| prefix.network().is_ipv4() == address.is_ipv4());
        return Err(Refusal::Other(match same.filter(|_| dry_run) {
            Some(prefix) => {
                format!("the provided IP ({address}) is not in the valid range. The range of valid IPs is {prefix}")
            }
            None => "the provided network does not match the current range".into(),
        }));
    }
    if !dry_run {
        take(registry, address, at).await?;
    }
    Ok(ip.to_owned())
}

/// Any address of the family.
async fn next(
    registry: &Registry,
    ranges: &Ranges,
    family: &str,
    at: &Address,
    dry_run: bool,
) -> std::result::Result<String, Refusal> {
    for prefix in usable(registry, ranges).map_err(other)? {
        if prefix.family().name() != family {
            continue;
        }
        if dry_run {
            // Nothing is looked for: what a dry run shows is gone anyway.
            return Ok(prefix.network().to_string());
        }
        match free(registry, prefix, at).await {
            Err(Refusal::Full) => {}
            found => return found.map(|address| address.to_string()),
        }
    }
    Err(Refusal::Full)
}

async fn free(registry: &Registry, prefix: Prefix, at: &Address) -> std::result::Result<IpAddr, Refusal> {
    for band in prefix.bands() {
        let count = band.end - band.start;
        let start = u128::from(registry.entropy.below(u64::try_from(count).unwrap_or(u64::MAX)));
        let shelf = shelf(registry, ADDRESSES).map_err(other)?;
        let steps = count.min(shelf.len() as u128 + MAX_COLLISIONS);
        for step in 0..steps {
            let address = prefix.address(band.start + (start + step) % count);
            if shelf.get("", &address.to_string()).is_some() {
                continue;
            }
            match take(registry, address, at).await {
                Err(Refusal::Taken) => {}
                taken => return taken.map(|()| address),
            }
        }
    }
    Err(Refusal::Full)
}

/// The flags' ranges, then those of ServiceCIDRs that are ready and not going away.
fn usable(registry: &Registry, ranges: &Ranges) -> Result<Vec<Prefix>> {
    let mut usable = ranges.addresses.clone();
    let shelf = shelf(registry, RANGES)?;
    for object in shelf.iter(None).filter(|object| !object.is_deleting()) {
        let value = object.to_value(&shelf.storage.shape).map_err(Status::internal)?;
        let conditions = value["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
        let more = spec::texts(&value["spec"], "cidrs").filter(|_| ready).filter_map(|cidr| Prefix::parse(cidr).ok());
        usable.extend(more);
    }
    usable.dedup();
    Ok(usable)
}

/// Takes the address for the service at this address.
async fn take(registry: &Registry, address: IpAddr, at: &Address) -> std::result::Result<(), Refusal> {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let body = json!({
        "metadata": {"name": address.to_string(), "labels": {FAMILY_LABEL: family, MANAGER_LABEL: MANAGER}},
        "spec": {"parentRef": {"resource": "services", "namespace": at.namespace.as_str(), "name": at.name.as_str()}},
    });
    let entry = entry(registry, address).map_err(other)?;
    match registry.create(&mut super::apiserver(), &entry, body, &WriteOptions::default()).await {
        Ok(_) => Ok(()),
        Err(status) if status.is_already_exists() => Err(Refusal::Taken),
        Err(status) => Err(other(status)),
    }
}

/// Gives an address back.
pub async fn release(registry: &Registry, ip: &str) {
    let Some(address) = sloppy_ip(ip) else { return };
    let Ok(entry) = entry(registry, address) else { return };
    match registry.delete(&mut super::apiserver(), &entry, &DeleteOptions::default()).await {
        Err(status) if !status.is_not_found() => {
            tracing::warn!(ip, why = status.message, "cluster IP is not given back")
        }
        _ => {}
    }
}

fn entry(registry: &Registry, address: IpAddr) -> Result<Address> {
    super::address(registry, GROUP, ADDRESSES, "", &address.to_string())
}

fn shelf(registry: &Registry, resource: &str) -> Result<std::sync::Arc<Shelf>> {
    let mut snapshot = registry.cache.snapshot(&[&GroupResource::new(GROUP, resource)]).map_err(cache_status)?;
    snapshot.shelves.pop().ok_or_else(|| Status::internal("no such shelf"))
}

fn other(status: Status) -> Refusal {
    Refusal::Other(status.message)
}

/// The ServiceCIDR that stands for the flags' ranges: as it is created, without a status.
pub fn default_range(ranges: &Ranges) -> Value {
    let cidrs: Vec<String> = ranges.addresses.iter().map(ToString::to_string).collect();
    let mut range = json!({"spec": {"cidrs": cidrs}});
    object::set_meta(&mut range, "name", "kubernetes".into());
    range
}
