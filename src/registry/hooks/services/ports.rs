//! Node ports. Which are taken stands under one key of the store, changed by compare-and-put, so that no two replicas
//! hand out the same one.

use tokio::sync::Mutex;

use super::bitmap::Bitmap;
use super::ranges::PortRange;
use crate::base::entropy::Entropy;
use crate::model::field::{FieldError, Path};
use crate::model::names::GroupResource;
use crate::model::revision::Revision;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::registry::core::{Registry, cache_status, store_status};
use crate::registry::request::Address;
use crate::rules::service::spec;
use crate::store::contract::{Change, Commit, Entry, Expect, Outcome};

/// Under the store's prefix.
const KEY: &str = "ranges/servicenodeports";
/// How often a change starts over because another replica was faster.
const MAX_ROUNDS: usize = 64;
/// A dry run shows ports from here on; it does not look for free ones.
const DRY_RUN_BASE: i64 = 32768;

pub struct Ports {
    range: PortRange,
    /// As the store had it last; `None`: not read yet.
    known: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    /// `None`: the key does not exist.
    revision: Option<Revision>,
    taken: Bitmap,
}

/// What one write of a service does to ports.
pub struct Round<'a> {
    range: PortRange,
    taken: Bitmap,
    entropy: &'a Entropy,
    dry_run: bool,
    /// In order.
    pub allocated: Vec<i64>,
}

impl Ports {
    pub fn new(range: PortRange) -> Self {
        Self { range, known: Mutex::default() }
    }

    /// Runs `plan` on the newest state until what it allocated is stored. Gives its answer and what it allocated.
    pub async fn change<T>(
        &self,
        registry: &Registry,
        dry_run: bool,
        mut plan: impl FnMut(&mut Round<'_>) -> Result<T> + Send,
    ) -> Result<(T, Vec<i64>)> {
        let mut known = self.known.lock().await;
        for _ in 0..MAX_ROUNDS {
            let now = match known.take() {
                Some(now) => now,
                None => self.read(registry).await?,
            };
            let mut round = Round {
                range: self.range,
                taken: now.taken.clone(),
                entropy: &registry.entropy,
                dry_run,
                allocated: Vec::new(),
            };
            let planned = plan(&mut round);
            let (taken, allocated) = (round.taken, round.allocated);
            if let Err(status) = planned {
                // It may rest on a state that another replica has changed.
                let newest = self.read(registry).await?;
                let same = newest.taken == now.taken;
                *known = Some(newest);
                if same {
                    return Err(status);
                }
                continue;
            }
            if dry_run || taken == now.taken {
                *known = Some(now);
                return planned.map(|answer| (answer, allocated));
            }
            if let Some(revision) = self.write(registry, now.revision, &taken).await? {
                *known = Some(Known { revision: Some(revision), taken });
                return planned.map(|answer| (answer, allocated));
            }
        }
        Err(Status::server_timeout(&GroupResource::new("", "services"), "allocate node ports", 1))
    }

    /// Gives ports back.
    pub async fn release(&self, registry: &Registry, ports: &[i64]) {
        if ports.is_empty() {
            return;
        }
        let released = self.change(registry, false, |round| {
            ports.iter().for_each(|port| round.release(*port));
            Ok(())
        });
        if let Err(status) = released.await {
            tracing::warn!(?ports, why = status.message, "node ports are not given back");
        }
    }

    async fn read(&self, registry: &Registry) -> Result<Known> {
        let entry = registry.store.get(&self.key(registry)).await.map_err(store_status)?;
        let Some(Entry { value, revision, .. }) = entry else {
            return Ok(Known { revision: None, taken: self.in_use(registry).await? });
        };
        let taken = match Bitmap::decode(&value, self.range).map_err(Status::internal)? {
            Some(taken) => taken,
            None => self.in_use(registry).await?,
        };
        Ok(Known { revision: Some(revision), taken })
    }

    /// `None`: another replica was faster.
    async fn write(&self, registry: &Registry, seen: Option<Revision>, taken: &Bitmap) -> Result<Option<Revision>> {
        let change = Change::Put { value: taken.encode(self.range), ttl: None };
        let expect = seen.map_or(Expect::Absent, Expect::At);
        let commit = Commit { key: self.key(registry), expect, change };
        match registry.store.commit(commit).await.map_err(store_status)? {
            Outcome::Committed(revision) => Ok(Some(revision)),
            Outcome::Conflict { .. } => Ok(None),
        }
    }

    /// What services say that they have: where the key is missing, or of another range.
    async fn in_use(&self, registry: &Registry) -> Result<Bitmap> {
        registry.fresh().await?;
        let services = GroupResource::new("", "services");
        let snapshot = registry.cache.snapshot(&[&services]).map_err(cache_status)?;
        let mut taken = Bitmap::new(self.range);
        for shelf in &snapshot.shelves {
            for object in shelf.iter(None) {
                let value = object.to_value(&shelf.storage.shape).map_err(Status::internal)?;
                for place in of(&value).filter_map(|port| self.range.place(port)) {
                    taken.set(place, true);
                }
            }
        }
        Ok(taken)
    }

    fn key(&self, registry: &Registry) -> String {
        format!("{}/{KEY}", registry.prefix)
    }
}

impl Round<'_> {
    fn allocate(&mut self, port: i64) -> std::result::Result<(), String> {
        let Some(place) = self.range.place(port) else {
            if self.dry_run && !self.allocated.contains(&port) {
                self.allocated.push(port);
                return Ok(());
            }
            let range = self.range;
            return Err(format!("provided port is not in the valid range. The range of valid ports is {range}"));
        };
        if !self.taken.set(place, true) {
            return Err("provided port is already allocated".into());
        }
        self.allocated.push(port);
        Ok(())
    }

    fn next(&mut self) -> std::result::Result<i64, &'static str> {
        if self.dry_run {
            let port = self.allocated.iter().max().unwrap_or(&DRY_RUN_BASE) + 1;
            self.allocated.push(port);
            return Ok(port);
        }
        for band in self.range.bands() {
            let count = band.end - band.start;
            let start = self.entropy.below(count.into());
            for step in 0..count {
                let place = band.start + ((start + u64::from(step)) % u64::from(count)) as u16;
                if self.taken.set(place, true) {
                    let port = i64::from(self.range.base) + i64::from(place);
                    self.allocated.push(port);
                    return Ok(port);
                }
            }
        }
        Err("range is full")
    }

    fn release(&mut self, port: i64) {
        if let Some(place) = self.range.place(port) {
            self.taken.set(place, false);
        }
    }

    /// The ports of a new service.
    pub fn create(&mut self, at: &Address, service: &mut Value) -> Result<()> {
        if spec::has_node_ports(&service["spec"]) {
            self.fill(at, service)?;
        }
        if spec::needs_health_check(&service["spec"]) {
            self.health_check(service)?;
        }
        Ok(())
    }

    /// The ports of a changed service; those that it needs no longer, to be given back when it is stored.
    pub fn update(&mut self, at: &Address, service: &mut Value, old: &Value) -> Result<Vec<i64>> {
        let had: Vec<i64> = spec::node_ports(&old["spec"]).collect();
        let mut unneeded = Vec::new();
        if spec::has_node_ports(&service["spec"]) {
            self.refill(at, service, &had)?;
            let has: Vec<i64> = spec::node_ports(&service["spec"]).collect();
            unneeded.extend(had.iter().filter(|port| !has.contains(port)));
        } else if spec::has_node_ports(&old["spec"]) {
            unneeded.extend(had);
        }
        match (spec::needs_health_check(&old["spec"]), spec::needs_health_check(&service["spec"])) {
            (false, true) => self.health_check(service)?,
            (true, false) => unneeded.extend(health_port(old)),
            _ => {}
        }
        Ok(unneeded)
    }

    /// Ports of one number (over TCP and UDP, say) share a node port.
    fn fill(&mut self, at: &Address, service: &mut Value) -> Result<()> {
        let automatic = spec::needs_node_ports(&service["spec"]);
        let mut shared: Vec<(i64, i64)> = Vec::new();
        for index in 0..count(service) {
            let (number, given) = port(service, index);
            if given == 0 && !automatic {
                continue;
            }
            let before = shared.iter().find(|(known, _)| *known == number).map(|(_, node_port)| *node_port);
            let node_port = match before {
                Some(before) if given == 0 || given == before => before,
                Some(_) => self.chosen(at, index, given)?,
                None => {
                    let mut same = (0..count(service)).map(|other| port(service, other));
                    let wanted = same.find(|(other, wanted)| *other == number && *wanted != 0);
                    let node_port = match wanted {
                        Some((_, wanted)) => self.chosen(at, index, wanted)?,
                        None => self.any()?,
                    };
                    shared.push((number, node_port));
                    node_port
                }
            };
            service["spec"]["ports"][index]["nodePort"] = node_port.into();
        }
        Ok(())
    }

    fn refill(&mut self, at: &Address, service: &mut Value, had: &[i64]) -> Result<()> {
        let automatic = spec::needs_node_ports(&service["spec"]);
        let mut seen: Vec<(String, i64)> = Vec::new();
        for index in 0..count(service) {
            let given = port(service, index).1;
            if given == 0 && !automatic {
                continue;
            }
            let node_port = match given {
                0 => self.any()?,
                given if had.contains(&given) || self.allocated.contains(&given) => given,
                given => self.chosen(at, index, given)?,
            };
            service["spec"]["ports"][index]["nodePort"] = node_port.into();
            let one = (spec::text(&service["spec"]["ports"][index], "protocol").to_owned(), node_port);
            if seen.contains(&one) {
                return Err(Status::unknown(format!("duplicate nodePort: {{{} {}}}", one.0, one.1)));
            }
            seen.push(one);
        }
        Ok(())
    }

    fn chosen(&mut self, at: &Address, index: usize, node_port: i64) -> Result<i64> {
        match self.allocate(node_port) {
            Ok(()) => Ok(node_port),
            Err(why) => {
                let spec = Path::Name(&Path::Root, "spec");
                let ports = spec.name("ports");
                let item = ports.index(index);
                let error = FieldError::invalid(&item.name("nodePort"), node_port, why);
                Err(Status::invalid(&at.resource.kind, &at.name, &[error]))
            }
        }
    }

    fn any(&mut self) -> Result<i64> {
        self.next().map_err(|why| Status::internal(format!("failed to allocate a nodePort: {why}")))
    }

    fn health_check(&mut self, service: &mut Value) -> Result<()> {
        if let Some(given) = health_port(service) {
            return self.allocate(given).map_err(|why| {
                Status::internal(format!("failed to allocate requested HealthCheck NodePort {given}: {why}"))
            });
        }
        let port = self
            .next()
            .map_err(|why| Status::internal(format!("failed to allocate a HealthCheck NodePort 0: {why}")))?;
        service["spec"]["healthCheckNodePort"] = port.into();
        Ok(())
    }
}

fn count(service: &Value) -> usize {
    service["spec"]["ports"].as_array().map_or(0, Vec::len)
}

/// (port, nodePort), 0 where unset.
fn port(service: &Value, index: usize) -> (i64, i64) {
    let port = &service["spec"]["ports"][index];
    (port["port"].as_i64().unwrap_or(0), port["nodePort"].as_i64().unwrap_or(0))
}

fn health_port(service: &Value) -> Option<i64> {
    service["spec"]["healthCheckNodePort"].as_i64().filter(|port| *port != 0)
}

/// Every node port that a service has.
pub fn of(service: &Value) -> impl Iterator<Item = i64> {
    let spec = &service["spec"];
    let health = health_port(service).filter(|_| spec::needs_health_check(spec));
    spec::node_ports(spec).chain(health)
}
