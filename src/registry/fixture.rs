//! A registry over a store in memory, with every built-in resource and nobody refused: what tests write through.

use std::sync::Arc;
use std::time::Duration;

use super::client::{Client, Target};
use super::core::{Parts, Registry};
use super::hooks::services::ranges::Ranges;
use super::hooks::{self, Hooks};
use super::stored::Versions;
use crate::admission::chain::Chain;
use crate::admission::charges::Charges;
use crate::admission::configuration::Configurations;
use crate::admission::plugins;
use crate::admission::reads::Reads;
use crate::audit::recorder::Audit;
use crate::auth::authorizer::{self, AlwaysAllow};
use crate::auth::identity::User;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::tasks::Tasks;
use crate::cache::handle::{Cache, Options};
use crate::cache::limits::Limits;
use crate::fields::written::Fresh;
use crate::model::time::Time;
use crate::model::value::Value;
use crate::model::value::json;
use crate::schema::catalog::{Catalog, Live};
use crate::store::contract::Store;
use crate::store::memory::Memory;

/// A registry whose clock starts at 2026-01-01 and moves with tokio's, with the admission that `admission` makes.
pub async fn registry_with(admission: impl FnOnce(&Reads) -> Chain) -> Registry {
    registry_of(authorizer::Chain::new(vec![Arc::new(AlwaysAllow)]), admission).await
}

/// The same, where not everybody may do everything.
pub async fn registry_of(authorizer: authorizer::Chain, admission: impl FnOnce(&Reads) -> Chain) -> Registry {
    registry_recorded(authorizer, admission, |_| Audit::default()).await
}

async fn registry_recorded(
    authorizer: authorizer::Chain,
    admission: impl FnOnce(&Reads) -> Chain,
    audit: impl FnOnce(&Clock) -> Audit,
) -> Registry {
    let start = jiff::Timestamp::from_second(Time::parse("2026-01-01T00:00:00Z").expect("a time").seconds);
    let clock = Clock::starting_at(start.expect("in range"));
    let audit = audit(&clock);
    let store: Arc<dyn Store> = Arc::new(Memory::new(clock.clone()));
    let catalog = Live::new(Catalog::builtin());
    let convert = Arc::new(Versions(catalog.clone()));
    let options = Options {
        prefix: "/registry/".into(),
        storages: catalog.load().storages(),
        convert: convert.clone(),
        limits: Limits::default(),
        clock: clock.clone(),
    };
    let cache = Cache::open(store.clone(), options, &Tasks::default()).await.expect("a cache");
    let ranges = Ranges::parse("10.96.0.0/16,fd00:96::/112", "30000-32767").expect("ranges");
    let entropy = Entropy::seeded(1);
    let reads = Reads {
        cache: cache.clone(),
        store: store.clone(),
        catalog: catalog.clone(),
        authorizer: authorizer.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        charges: Charges::default(),
        configurations: Configurations::default(),
    };
    let registry = Registry::new(Parts {
        admission: admission(&reads),
        catalog,
        store,
        cache,
        clock,
        entropy,
        authorizer,
        audit,
        hooks: Hooks::new(hooks::all(Duration::from_secs(3600), ranges, &Arc::default())),
        convert,
        prefix: "/registry".into(),
        allow_privileged: true,
        fresh: Fresh::default(),
    });
    registry.take_charges(&reads.charges);
    registry
}

/// A client of a new registry without admission.
pub async fn client() -> Client {
    let registry = registry_with(|_| Chain::default()).await;
    Client::new(&registry, User::new("tester", &["system:masters", "system:authenticated"]), "tester")
}

/// The same as this user, recorded.
pub async fn recorded_client(user: User, audit: impl FnOnce(&Clock) -> Audit) -> Client {
    let everybody = authorizer::Chain::new(vec![Arc::new(AlwaysAllow)]);
    Client::new(&registry_recorded(everybody, |_| Chain::default(), audit).await, user, "tester")
}

/// A client of a new registry with the default plugins; the namespace `default` and its default ServiceAccount are there.
pub async fn admitted_client() -> Client {
    client_with(&[]).await
}

/// The same with further plugins.
pub async fn client_with(plugins: &[&str]) -> Client {
    let registry = registry_with(|reads| plugins::chain(reads, plugins, &[]).expect("plugins")).await;
    let client = Client::new(&registry, User::new("tester", &["system:masters", "system:authenticated"]), "tester");
    for (resource, namespace) in [("namespaces", ""), ("serviceaccounts", "default")] {
        let target = Target::new("", resource, namespace, "default");
        client.create(target, &json!({"metadata": {"name": "default"}})).await.expect("created");
    }
    client
}

/// The object as the API shows it, sparse.
pub fn value(registry: &Registry, group: &str, resource: &str, object: &crate::cache::object::Object) -> Value {
    let name = crate::model::names::GroupResource::new(group, resource);
    let catalog = registry.catalog.load();
    let storage = catalog.preferred(&name).and_then(|r| r.storage.clone()).expect("a stored resource");
    object.to_value(&storage.shape).expect("decodable")
}
