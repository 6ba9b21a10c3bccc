//! Builds the registry that everything else of a plane works on.

use std::sync::Arc;
use std::time::Duration;

use super::audit::audit;
use super::authorization;
use super::plane::StartError;
use crate::admission::chain::Chain;
use crate::admission::charges::Charges;
use crate::admission::configuration::Configurations;
use crate::admission::plugins;
use crate::admission::reads::Reads;
use crate::auth::metrics::Metrics;
use crate::auth::node::NodeAuthorizer;
use crate::auth::rbac::Rbac;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::tasks::Tasks;
use crate::cache::handle::{Cache, Options};
use crate::cache::limits::Limits as CacheLimits;
use crate::config::flags::{Flags, StoreFlags};
use crate::fairness::gate::{Fairness, Limits as Bounds};
use crate::fields::written::Fresh;
use crate::model::duration::Duration as GoDuration;
use crate::registry::core::{Parts, Registry};
use crate::registry::hooks::services::ranges::Ranges;
use crate::registry::hooks::{self, Hooks};
use crate::registry::stored::Versions;
use crate::schema::catalog::{Catalog, Live};
use crate::store::contract::Store;
use crate::store::embedded::Embedded;
use crate::store::etcd::{self, Etcd};

/// The store that the flags name; the embedded one a second time, for it must be closed.
pub async fn open_store(
    flags: &StoreFlags,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<(Arc<dyn Store>, Option<Arc<Embedded>>), StartError> {
    if flags.etcd_servers.is_empty() {
        let embedded = Arc::new(Embedded::open(&flags.embedded(), clock.clone(), entropy).await?);
        return Ok((embedded.clone(), Some(embedded)));
    }
    let options = etcd::Options {
        servers: flags.etcd_servers.clone(),
        prefix: Some(flags.etcd_prefix.clone()),
        cafile: flags.etcd_cafile.clone(),
        certfile: flags.etcd_certfile.clone(),
        keyfile: flags.etcd_keyfile.clone(),
    };
    Ok((Arc::new(Etcd::new(&options, clock.clone())?), None))
}

/// Where services get their addresses and node ports.
pub fn ranges(flags: &Flags) -> Result<Ranges, StartError> {
    Ranges::parse(&flags.service_cluster_ip_range, &flags.service_node_port_range).map_err(StartError::Flag)
}

/// The registry over the store, with its cache, authorizers, admission and hooks.
pub async fn registry(
    flags: &Flags,
    ranges: &Ranges,
    store: Arc<dyn Store>,
    (rbac, metrics): (&Arc<Rbac>, &Metrics),
    clock: &Clock,
    entropy: &Entropy,
    tasks: &Tasks,
) -> Result<Registry, StartError> {
    let audit = audit(&flags.audit, clock, entropy, tasks)?;
    let catalog = Live::new(Catalog::builtin());
    let convert = Arc::new(Versions(catalog.clone()));
    let options = Options {
        prefix: "/registry/".into(),
        storages: catalog.load().storages(),
        convert: convert.clone(),
        limits: CacheLimits::default(),
        clock: clock.clone(),
    };
    let cache = Cache::open(store.clone(), options, tasks).await?;
    let node = Arc::new(NodeAuthorizer::new(cache.clone()));
    let authorizer = authorization::chain(&flags.identity.access, rbac, node, (clock, entropy, metrics), tasks)?;
    let event_ttl = span("--event-ttl", &flags.event_ttl)?;
    let reads = Reads {
        cache: cache.clone(),
        store: store.clone(),
        catalog: catalog.clone(),
        authorizer: authorizer.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        charges: Charges::default(),
        configurations: configurations(flags)?,
    };
    let registry = Registry::new(Parts {
        catalog,
        store,
        cache,
        clock: clock.clone(),
        entropy: entropy.clone(),
        admission: admission(flags, &reads)?,
        authorizer,
        audit,
        hooks: Hooks::new(hooks::all(event_ttl, ranges.clone(), rbac)),
        convert,
        prefix: "/registry".into(),
        allow_privileged: flags.allow_privileged,
        fresh: Fresh::default(),
    });
    registry.take_charges(&reads.charges);
    Ok(registry)
}

fn configurations(flags: &Flags) -> Result<Configurations, StartError> {
    let file = flags.admission_control_config_file.as_ref().filter(|file| !file.as_os_str().is_empty());
    let read = file.map(|file| Configurations::load(file)).transpose();
    Ok(read.map_err(|why| StartError::Flag(format!("failed to read plugin config: {why}")))?.unwrap_or_default())
}

/// How requests share the server.
pub fn fairness(flags: &Flags, registry: &Registry) -> Result<Fairness, StartError> {
    let flags = &flags.fairness;
    flags.check().map_err(StartError::Flag)?;
    let count = |flag: i64| u64::try_from(flag).unwrap_or(0);
    let bounds = Bounds {
        reads: count(flags.max_requests_inflight),
        writes: count(flags.max_mutating_requests_inflight),
        request: flags.request(),
    };
    match flags.enable_priority_and_fairness {
        true => Ok(Fairness::open(&registry.cache, &registry.clock, bounds)?),
        false => Ok(Fairness::without_priorities(&registry.clock, bounds)),
    }
}

fn admission(flags: &Flags, reads: &Reads) -> Result<Chain, StartError> {
    let names = |flag: &[String]| -> Vec<String> { flag.iter().filter(|name| !name.is_empty()).cloned().collect() };
    let (enable, disable) = (names(&flags.enable_admission_plugins), names(&flags.disable_admission_plugins));
    let enable: Vec<&str> = enable.iter().map(String::as_str).collect();
    let disable: Vec<&str> = disable.iter().map(String::as_str).collect();
    plugins::chain(reads, &enable, &disable).map_err(StartError::Flag)
}

/// A flag's duration in Go's form.
pub fn span(flag: &str, text: &str) -> Result<Duration, StartError> {
    let bad = |why: String| StartError::Flag(format!("{flag}: {why}"));
    GoDuration::parse(text).map_err(bad)?.to_std().ok_or_else(|| bad("must not be negative".into()))
}
