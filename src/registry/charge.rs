//! The registry writes what the ResourceQuota plugin charges, as the server itself.

use std::sync::Weak;

use async_trait::async_trait;

use super::core::{Parts, Registry};
use super::options::WriteOptions;
use super::request::{Address, Caller};
use super::write::Change;
use crate::admission::charges::{Charge, Charges};
use crate::auth::identity::{APISERVER, MASTERS, User};
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::Value;

/// Weak, for the registry holds the plugins.
struct Charger(Weak<Parts>);

impl Registry {
    /// From now on quotas are charged here.
    pub fn take_charges(&self, charges: &Charges) {
        charges.set(Box::new(Charger(self.downgrade())));
    }
}

#[async_trait]
impl Charge for Charger {
    async fn charge(&self, quota: Value) -> Result<()> {
        let gone = || Status::service_unavailable("the server is shutting down");
        let registry = Registry::upgrade(&self.0).ok_or_else(gone)?;
        let quotas = registry.catalog.load().preferred(&GroupResource::new("", "resourcequotas")).cloned();
        let quotas = quotas.ok_or_else(Status::no_such_resource)?;
        let mut at = Address::new(&quotas, object::namespace(&quota), object::name(&quota));
        at.subresource = "status".into();
        let mut caller = Caller::new(User::new(APISERVER, &[MASTERS]), "kube-apiserver");
        registry.update(&mut caller, &at, Change::Replace(quota), &WriteOptions::default(), false).await.map(drop)
    }
}
