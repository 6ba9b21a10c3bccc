//! How plugins write: through the registry, which is made after them. ResourceQuota and NamespaceAutoProvision do.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use crate::model::status::{Result, Status};
use crate::model::value::Value;

/// Writes the status of quotas, and new namespaces.
#[async_trait]
pub trait Charge: Send + Sync {
    /// Stores the status of this ResourceQuota; a conflict when its resourceVersion is no longer the newest.
    async fn charge(&self, quota: Value) -> Result<()>;

    /// Makes a namespace; a conflict when there is one.
    async fn make_namespace(&self, name: &str) -> Result<()>;
}

/// Who charges, once it is known. Cheap to clone; all clones know the same one.
#[derive(Clone, Default)]
pub struct Charges(Arc<OnceLock<Box<dyn Charge>>>);

impl Charges {
    /// The first one stays.
    pub fn set(&self, charge: Box<dyn Charge>) {
        drop(self.0.set(charge));
    }

    pub async fn charge(&self, quota: Value) -> Result<()> {
        match self.0.get() {
            Some(charge) => charge.charge(quota).await,
            None => Err(Status::internal("nobody writes quotas yet")),
        }
    }

    pub async fn make_namespace(&self, name: &str) -> Result<()> {
        match self.0.get() {
            Some(charge) => charge.make_namespace(name).await,
            None => Err(Status::internal("nobody makes namespaces yet")),
        }
    }
}
