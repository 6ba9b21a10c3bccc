//! Services are given addresses and ports before they are prepared and validated, and give them back when they end.
//!
//! In reading order: `ranges`, `addresses` (cluster IPs), `bitmap`, `ports` (node ports), then this page's hooks.

pub mod addresses;
mod bitmap;
mod ports;
pub mod ranges;

use std::sync::Arc;

use async_trait::async_trait;

use self::ports::Ports;
use self::ranges::Ranges;
use super::{Claim, KindHooks};
use crate::auth::identity::{APISERVER, MASTERS, User};
use crate::cache::object::Object;
use crate::model::names::GroupResource;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::registry::core::{Registry, storage};
use crate::registry::options::DeleteOptions;
use crate::registry::request::{Address, Caller};
use crate::registry::write::refuse;
use crate::rules::service::{begin, spec};

pub struct Services {
    ranges: Ranges,
    ports: Arc<Ports>,
}

impl Services {
    pub fn new(ranges: Ranges) -> Self {
        Self { ports: Arc::new(Ports::new(ranges.ports)), ranges }
    }

    async fn claim_create(
        &self,
        registry: &Registry,
        at: &Address,
        service: &mut Value,
        dry_run: bool,
        claim: &mut Claim,
    ) -> Result<()> {
        if spec::needs_cluster_ip(&service["spec"]) && !spec::is_headless(&service["spec"]) {
            addresses::claim(registry, &self.ranges, at, service, 0, dry_run, claim).await?;
        }
        if needs_ports(service) {
            let plan = |round: &mut ports::Round<'_>| {
                let mut planned = service.clone();
                round.create(at, &mut planned).map(|()| planned)
            };
            let (planned, allocated) = self.ports.change(registry, dry_run, plan).await?;
            *service = planned;
            self.release_when_reverted(claim, allocated, dry_run);
        }
        Ok(())
    }

    async fn claim_update(
        &self,
        registry: &Registry,
        at: &Address,
        (service, old): (&mut Value, &Value),
        dry_run: bool,
        claim: &mut Claim,
    ) -> Result<()> {
        let unneeded = self.claim_addresses(registry, at, (service, old), dry_run, claim).await?;
        if !dry_run && !unneeded.is_empty() {
            claim.when_kept(Box::new(move |registry| {
                Box::pin(async move {
                    for ip in unneeded {
                        addresses::release(registry, &ip).await;
                    }
                })
            }));
        }
        if !needs_ports(service) && !needs_ports(old) {
            return Ok(());
        }
        let plan = |round: &mut ports::Round<'_>| {
            let mut planned = service.clone();
            round.update(at, &mut planned, old).map(|unneeded| (planned, unneeded))
        };
        let ((planned, unneeded), allocated) = self.ports.change(registry, dry_run, plan).await?;
        *service = planned;
        self.release_when_reverted(claim, allocated, dry_run);
        if !dry_run {
            let ports = self.ports.clone();
            claim
                .when_kept(Box::new(move |registry| Box::pin(async move { ports.release(registry, &unneeded).await })));
        }
        Ok(())
    }

    /// The addresses that the change makes unneeded.
    async fn claim_addresses(
        &self,
        registry: &Registry,
        at: &Address,
        (service, old): (&mut Value, &Value),
        dry_run: bool,
        claim: &mut Claim,
    ) -> Result<Vec<String>> {
        let (needed, needs) = (spec::needs_cluster_ip(&old["spec"]), spec::needs_cluster_ip(&service["spec"]));
        let had: Vec<String> = spec::texts(&old["spec"], "clusterIPs").map(str::to_owned).collect();
        if !needed && needs {
            if !spec::is_headless(&service["spec"]) {
                addresses::claim(registry, &self.ranges, at, service, 0, dry_run, claim).await?;
            }
            return Ok(Vec::new());
        }
        if !needed || spec::is_headless(&old["spec"]) {
            return Ok(Vec::new());
        }
        if !needs {
            return Ok(had);
        }
        let count = |service: &Value| spec::texts(&service["spec"], "ipFamilies").len();
        match (count(old), count(service)) {
            (1, 2) => {
                addresses::claim(registry, &self.ranges, at, service, 1, dry_run, claim).await.map(|()| Vec::new())
            }
            (2, 1) => Ok(had.into_iter().skip(1).collect()),
            _ => Ok(Vec::new()),
        }
    }

    fn release_when_reverted(&self, claim: &mut Claim, allocated: Vec<i64>, dry_run: bool) {
        if dry_run || allocated.is_empty() {
            return;
        }
        let ports = self.ports.clone();
        claim.when_reverted(Box::new(move |registry| {
            Box::pin(async move { ports.release(registry, &allocated).await })
        }));
    }
}

#[async_trait]
impl KindHooks for Services {
    fn resource(&self) -> (&'static str, &'static str) {
        ("", "services")
    }

    async fn begin_create(&self, registry: &Registry, at: &Address, new: &mut Value, dry_run: bool) -> Result<Claim> {
        let errors = begin::create(new, self.ranges.families());
        refuse(at, new, &errors)?;
        let mut claim = Claim::default();
        let claimed = self.claim_create(registry, at, new, dry_run, &mut claim).await;
        settled(registry, claim, claimed).await
    }

    async fn begin_update(
        &self,
        registry: &Registry,
        at: &Address,
        new: &mut Value,
        old: &Value,
        dry_run: bool,
    ) -> Result<Claim> {
        let families = self.ranges.families();
        let mut old = old.clone();
        begin::complete(&mut old, families);
        let errors = begin::update(new, &old, families);
        refuse(at, new, &errors)?;
        let mut claim = Claim::default();
        let claimed = self.claim_update(registry, at, (new, &old), dry_run, &mut claim).await;
        settled(registry, claim, claimed).await
    }

    async fn after_delete(&self, registry: &Registry, at: &Address, service: &Object) {
        let value = storage(&at.resource).and_then(|s| service.to_value(&s.shape).map_err(Status::internal));
        let Ok(mut value) = value else { return };
        begin::complete(&mut value, self.ranges.families());
        // Lest a new service of the name finds the endpoints of this one.
        if let Ok(endpoints) = address(registry, "", "endpoints", service.namespace(), service.name()) {
            let deleted = registry.delete(&mut apiserver(), &endpoints, &DeleteOptions::default()).await;
            if let Err(status) = deleted.map(drop)
                && !status.is_not_found()
            {
                tracing::warn!(service = service.key.as_str(), why = status.message, "endpoints stay");
            }
        }
        if spec::needs_cluster_ip(&value["spec"]) && !spec::is_headless(&value["spec"]) {
            for ip in spec::texts(&value["spec"], "clusterIPs") {
                addresses::release(registry, ip).await;
            }
        }
        let ports: Vec<i64> = ports::of(&value).collect();
        self.ports.release(registry, &ports).await;
    }
}

fn needs_ports(service: &Value) -> bool {
    spec::has_node_ports(&service["spec"])
}

/// A claim that failed half way is given back.
async fn settled(registry: &Registry, mut claim: Claim, claimed: Result<()>) -> Result<Claim> {
    match claimed {
        Ok(()) => Ok(claim),
        Err(status) => {
            claim.revert(registry).await;
            Err(status)
        }
    }
}

/// The server itself, as it writes on behalf of services.
fn apiserver() -> Caller {
    Caller::new(User::new(APISERVER, &[MASTERS]), "kube-apiserver")
}

fn address(registry: &Registry, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Address> {
    let found = registry.catalog.load().preferred(&GroupResource::new(group, resource)).cloned();
    Ok(Address::new(&found.ok_or_else(Status::no_such_resource)?, namespace, name))
}
