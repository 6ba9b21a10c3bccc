//! A registry over a store in memory, with every built-in resource and nobody refused: what tests write through.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::core::{Parts, Registry};
use super::hooks::{self, Hooks};
use super::stored::Versions;
use crate::admission::chain::Chain;
use crate::auth::authorizer::{self, AlwaysAllow};
use crate::auth::identity::User;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::tasks::Tasks;
use crate::cache::handle::{Cache, Options};
use crate::cache::limits::Limits;
use crate::model::time::Time;
use crate::schema::catalog::{Catalog, Live};
use crate::store::contract::Store;
use crate::store::memory::Memory;

/// A registry whose clock starts at 2026-01-01 and moves with tokio's.
pub async fn registry(admission: Chain) -> Registry {
    let start = jiff::Timestamp::from_second(Time::parse("2026-01-01T00:00:00Z").expect("a time").seconds);
    let clock = Clock::starting_at(start.expect("in range"));
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
    Registry::new(Parts {
        catalog,
        store,
        cache,
        clock,
        entropy: Entropy::seeded(1),
        admission,
        authorizer: authorizer::Chain::new(vec![Arc::new(AlwaysAllow)]),
        hooks: Hooks::new(hooks::all(Duration::from_secs(3600))),
        convert,
        prefix: "/registry".into(),
        allow_privileged: true,
    })
}

/// A client of a new registry without admission.
pub async fn client() -> Client {
    let registry = registry(Chain::default()).await;
    Client::new(&registry, User::new("tester", &["system:masters", "system:authenticated"]), "tester")
}

/// The object as the API shows it, sparse.
pub fn value(registry: &Registry, group: &str, resource: &str, object: &crate::cache::object::Object) -> Value {
    let name = crate::model::names::GroupResource::new(group, resource);
    let catalog = registry.catalog.load();
    let storage = catalog.preferred(&name).and_then(|r| r.storage.clone()).expect("a stored resource");
    object.to_value(&storage.shape).expect("decodable")
}
