//! Starts the parts of a control plane in order, and ends them in the reverse order.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;

use super::authentication::{self, Grounds};
use super::identity::Certified;
use super::{bootstrap, core, flow_control, identity, outlet, roles, service};
use crate::apiserver::documents::Documents;
use crate::apiserver::health::{Check, Health};
use crate::apiserver::listen::{self, Bounds};
use crate::apiserver::metrics::Metrics;
use crate::apiserver::server::{Limits, Parts as ServerParts, Server};
use crate::auth;
use crate::auth::identity::User;
use crate::auth::rbac::Rbac;
use crate::auth::token::issue::Issuer;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::tasks::Tasks;
use crate::config::flags::Flags;
use crate::config::limits;
use crate::controllers;
use crate::fairness::gate::Fairness;
use crate::model::value::{Value, json};
use crate::pki::authority::Authority;
use crate::pki::folder::{Pki, TokenKeys};
use crate::pki::key::Key;
use crate::registry::client::Client;
use crate::registry::core::Registry;
use crate::registry::custom::cleanup::Cleanup;
use crate::registry::custom::follow::Follower;
use crate::relay::outlet::Outlet;
use crate::scheduler;
use crate::store::contract::StoreError;
use crate::store::embedded::Embedded;

/// Why a plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Flag(String),
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    File(PathBuf, std::io::Error),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    #[error("store: {0}")]
    Store(#[from] StoreError),
    #[error("pki: {0}")]
    Pki(#[from] crate::pki::error::PkiError),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("{0}")]
    Cache(#[from] crate::cache::error::CacheError),
    #[error("bootstrap: {0}")]
    Bootstrap(crate::model::status::Status),
}

/// A running control plane.
pub struct Plane {
    /// Where it listens.
    pub address: SocketAddr,
    pub kubeconfig: PathBuf,
    pub registry: Registry,
    pub server: Server,
    tasks: Tasks,
    embedded: Option<Arc<Embedded>>,
    stopping: Arc<AtomicBool>,
}

impl Plane {
    /// Starts everything that the flags ask for; when this returns, `/readyz` says ok.
    pub async fn start(flags: &Flags) -> Result<Self, StartError> {
        let (clock, entropy, tasks) = (Clock::machine(), Entropy::machine(), Tasks::default());
        std::fs::create_dir_all(&flags.store.data_dir)
            .map_err(|error| StartError::File(flags.store.data_dir.clone(), error))?;
        let wanted = SocketAddr::new(flags.bind_address, flags.secure_port);
        let listener = TcpListener::bind(wanted).await.map_err(|error| StartError::Listen(wanted, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(wanted, error))?;
        let advertised = SocketAddr::new(advertise(flags), address.port());
        let ranges = core::ranges(flags)?;
        let pki = identity::pki(flags, advertised.ip(), &ranges, &clock, &entropy)?;
        let certified = Certified::open(flags)?;
        let keys = identity::token_keys(&flags.identity.accounts, &pki.tokens)?;
        let (store, embedded) = core::open_store(&flags.store, &clock, &entropy).await?;
        let (rbac, metrics) = (Arc::new(Rbac::default()), auth::metrics::Metrics::of_host(&identity::hostname()));
        let registry = core::registry(flags, &ranges, store, (&rbac, &metrics), &clock, &entropy, &tasks).await?;
        let roles = roles::Roles::open(&registry.cache, rbac)?;
        tasks.start("roles", |stop| roles.follow(stop));
        let client = Client::new(&registry, User::new("system:apiserver", &["system:masters"]), "kube-apiserver");
        bootstrap::run(&client).await.map_err(StartError::Bootstrap)?;
        let flow_control = flow_control::FlowControl::new(&registry).map_err(StartError::Bootstrap)?;
        flow_control.ensure().await.map_err(StartError::Bootstrap)?;
        tasks.start("flow-control", |stop| flow_control.follow(stop));
        service::run(&client, advertised, &ranges).await.map_err(StartError::Bootstrap)?;
        let follower = Follower::open(&registry).await?;
        tasks.start("custom-resources", |stop| follower.follow(stop));
        let cleanup = Cleanup::open(&registry);
        tasks.start("custom-resource-cleanup", |stop| cleanup.follow(stop));
        let stopping = Arc::new(AtomicBool::new(false));
        let fairness = core::fairness(flags, &registry)?;
        let follower = fairness.clone();
        tasks.start("fairness", |stop| follower.follow(stop));
        let grounds = Grounds {
            flags,
            keys: &keys,
            clients: &certified.clients,
            proxies: &certified.proxies,
            cache: &registry.cache,
            clock: &clock,
            entropy: &entropy,
            metrics: &metrics,
        };
        let outlet = outlet::outlet(flags, address, advertised, &ranges)?;
        let server = server(&grounds, &registry, advertised, (&stopping, &tasks), (fairness, outlet))?;
        let events = controllers::events::start(&registry, &tasks);
        controllers::serving::start(&registry, &tasks, &events)?;
        controllers::start(&registry, &tasks, &controllers(flags, &pki, &keys)?, &events)
            .map_err(|error| StartError::Flag(error.to_string()))?;
        if flags.scheduler {
            let config = scheduler::config::Config { host: identity::hostname(), ..Default::default() };
            scheduler::start(&registry, &tasks, &config)?;
        }
        let kubeconfig = identity::admin_kubeconfig(flags, &pki, address.port(), &clock, &entropy)?;
        let tls = certified.tls.clone();
        tasks.start("certificates", |stop| certified.follow(stop));
        let serving = server.clone();
        tasks.start("api", move |stop| listen::serve(listener, tls, serving, bounds(), stop));
        Ok(Self { address, kubeconfig, registry, server, tasks, embedded, stopping })
    }

    /// Lets requests under way come to their end, stops every task, and closes the store.
    pub async fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        self.tasks.shutdown(limits::DRAIN + Duration::from_secs(1)).await;
        if let Some(embedded) = self.embedded {
            embedded.close().await;
        }
    }
}

fn controllers(flags: &Flags, pki: &Pki, keys: &TokenKeys) -> Result<controllers::config::Config, StartError> {
    let issuer = |key: &Arc<Key>| Issuer::new(key.clone(), flags.identity.accounts.issuer());
    Ok(controllers::config::Config {
        enabled: flags.controllers.clone(),
        root_ca: pki.authority.to_pem()?,
        tokens: keys.signing.as_ref().map(issuer),
        signer: Some(pki.authority.clone()).filter(Authority::can_sign),
        signing_duration: core::span("--cluster-signing-duration", &flags.cluster_signing_duration)?,
        node_monitor_grace: core::span("--node-monitor-grace-period", &flags.node_monitor_grace_period)?,
        cluster_cidrs: if flags.allocate_node_cidrs { flags.cluster_cidr.clone() } else { Vec::new() },
        // They were found right when the registry was made.
        service_cidrs: flags.service_cluster_ip_range.split(',').filter_map(|range| range.parse().ok()).collect(),
        node_mask_ipv4: flags.node_cidr_mask_size,
        ..Default::default()
    })
}

fn server(
    grounds: &Grounds<'_>,
    registry: &Registry,
    advertised: SocketAddr,
    (stopping, tasks): (&Arc<AtomicBool>, &Tasks),
    (fairness, outlet): (Fairness, Outlet),
) -> Result<Server, StartError> {
    let authenticator = authentication::authenticator(grounds, tasks)?;
    let tokens = identity::tokens(&grounds.flags.identity.accounts, grounds.keys)?;
    Ok(Server::new(ServerParts {
        registry: registry.clone(),
        authenticator,
        impersonation: Default::default(),
        tokens,
        documents: Documents::new(advertised.to_string(), version()),
        health: health(registry, stopping),
        metrics: Metrics::with(|metrics| {
            grounds.metrics.register(metrics);
            if let Some(audit) = registry.audit.metrics() {
                audit.register(metrics);
            }
            fairness.register(metrics);
        }),
        fairness,
        outlet,
        limits: Limits {
            body: limits::BODY,
            gzip: limits::GZIP_FROM,
            request: grounds.flags.fairness.request(),
            watch: grounds.flags.fairness.watch(),
            goaway: grounds.flags.fairness.goaway_chance,
        },
    }))
}

fn health(registry: &Registry, stopping: &Arc<AtomicBool>) -> Health {
    let (cache, stopping) = (registry.cache.clone(), stopping.clone());
    let follows = cache.clone();
    let check = |name, vital, probe| Check { name, vital, probe };
    Health::new(vec![
        check("ping", true, Box::new(|| Ok(()))),
        check("log", true, Box::new(|| Ok(()))),
        check(
            "etcd",
            true,
            Box::new(move || if cache.is_following() { Ok(()) } else { Err("the store is out of reach".into()) }),
        ),
        check(
            "informer-sync",
            false,
            Box::new(move || if follows.is_following() { Ok(()) } else { Err("the cache does not follow".into()) }),
        ),
        check(
            "shutdown",
            false,
            Box::new(
                move || if stopping.load(Ordering::Acquire) { Err("process is shutting down".into()) } else { Ok(()) },
            ),
        ),
    ])
}

/// `/version`.
fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "gitVersion": concat!("v1.36.3+monokube-", env!("CARGO_PKG_VERSION")),
        "gitCommit": option_env!("MONOKUBE_COMMIT").unwrap_or(""), "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none", "compiler": "rustc",
        "platform": format!("linux/{}", if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" })
    })
}

pub fn bounds() -> Bounds {
    Bounds {
        headers: limits::HEADERS,
        header_count: limits::HEADER_COUNT,
        streams: limits::STREAMS,
        stream_window: limits::STREAM_WINDOW,
        connection_window: limits::CONNECTION_WINDOW,
        connections: limits::CONNECTIONS,
        strangers: limits::STRANGERS,
        handshake: limits::HANDSHAKE,
        header_read: limits::HEADER_READ,
        idle: limits::IDLE,
        keep_alive: limits::KEEP_ALIVE,
        drain: limits::DRAIN,
    }
}

/// Where other machines reach this one: as the flag says, or the address of the way out; no packet is sent for it.
fn advertise(flags: &Flags) -> IpAddr {
    if let Some(address) = flags.advertise_address {
        return address;
    }
    if !flags.bind_address.is_unspecified() && !flags.bind_address.is_loopback() {
        return flags.bind_address;
    }
    let outward = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    outward.map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        flags: Flags,
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_start_finds_what_the_first_has_made() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut flags = Program::parse_from(["monokube", "--bind-address=127.0.0.1", "--secure-port=0"]).flags;
        flags.store.data_dir = directory.path().to_path_buf();
        let mut revisions = Vec::new();
        for _ in 0..2 {
            let plane = Plane::start(&flags).await.expect("starts");
            let service = crate::model::names::GroupResource::new("", "services");
            let service = plane.registry.cache.get(&service, "default", "kubernetes").expect("a shelf");
            revisions.push(service.expect("the service").revision);
            plane.stop().await;
        }
        assert_eq!(revisions[0], revisions[1]);
    }
}
