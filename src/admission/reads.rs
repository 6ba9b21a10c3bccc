//! What plugins may read: the cluster as the cache shows it, who may do what, time and chance.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::charges::Charges;
use super::configuration::Configurations;
use crate::auth::authorizer;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::cache::handle::Cache;
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::model::names::GroupResource;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::schema::catalog::Live;
use crate::store::contract::Store;

/// How long a plugin waits for the cache to reach the store's newest revision.
const FRESHNESS: Duration = Duration::from_secs(3);

/// Given to every plugin when it is made. Cheap to clone.
#[derive(Clone)]
pub struct Reads {
    pub cache: Cache,
    pub store: Arc<dyn Store>,
    pub catalog: Live,
    pub authorizer: authorizer::Chain,
    pub clock: Clock,
    pub entropy: Entropy,
    /// The one thing that is not read.
    pub charges: Charges,
    /// What the plugins are told by a file.
    pub configurations: Configurations,
}

impl Reads {
    /// All objects of a resource as they are now.
    pub fn shelf(&self, group: &str, resource: &str) -> Result<Arc<Shelf>> {
        let name = GroupResource::new(group, resource);
        let mut snapshot = self.cache.snapshot(&[&name]).map_err(Status::internal)?;
        snapshot.shelves.pop().ok_or_else(|| Status::internal("no such shelf"))
    }

    /// One object, decoded.
    pub fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Option<Value>> {
        let shelf = self.shelf(group, resource)?;
        shelf.get(namespace, name).map(|object| value(&shelf, object)).transpose()
    }

    /// The same; before it says that there is none it asks how new the cache is.
    pub async fn get_sure(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Option<Value>> {
        if let Some(found) = self.get(group, resource, namespace, name)? {
            return Ok(Some(found));
        }
        self.fresh().await?;
        self.get(group, resource, namespace, name)
    }

    /// The same; waits up to `patience` for somebody to make it.
    pub async fn get_awaited(
        &self,
        (group, resource): (&str, &str),
        namespace: &str,
        name: &str,
        patience: Duration,
    ) -> Result<Option<Value>> {
        let deadline = self.clock.instant() + patience;
        loop {
            let seen = self.cache.published();
            let found = self.get_sure(group, resource, namespace, name).await?;
            if found.is_some() || self.cache.at_least(seen.next(), deadline).await.is_err() {
                return Ok(found);
            }
        }
    }

    /// Every object of a resource in a namespace (empty: in all), decoded.
    pub fn list(&self, group: &str, resource: &str, namespace: &str) -> Result<Vec<Value>> {
        let shelf = self.shelf(group, resource)?;
        let within = (!namespace.is_empty()).then_some(namespace);
        shelf.iter(within).map(|object| value(&shelf, object)).collect()
    }

    /// Waits until the cache shows every write acknowledged before this call.
    pub async fn fresh(&self) -> Result<()> {
        let revision = self.store.current().await.map_err(Status::internal)?;
        self.cache.at_least(revision, self.deadline()).await.map_err(Status::internal)
    }

    fn deadline(&self) -> Instant {
        self.clock.instant() + FRESHNESS
    }
}

/// An object of this shelf, sparse, in the version that is kept.
pub fn value(shelf: &Shelf, object: &Object) -> Result<Value> {
    object.to_value(&shelf.storage.shape).map_err(Status::internal)
}
