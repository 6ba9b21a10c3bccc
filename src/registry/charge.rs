//! The registry writes what plugins want written, as the server itself.

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
use crate::model::value::{Value, json};

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
        let registry = self.registry()?;
        let quotas = registry.catalog.load().preferred(&GroupResource::new("", "resourcequotas")).cloned();
        let quotas = quotas.ok_or_else(Status::no_such_resource)?;
        let mut at = Address::new(&quotas, object::namespace(&quota), object::name(&quota));
        at.subresource = "status".into();
        registry.update(&mut caller(), &at, Change::Replace(quota), &WriteOptions::default(), false).await.map(drop)
    }

    async fn make_namespace(&self, name: &str) -> Result<()> {
        let registry = self.registry()?;
        let namespaces = registry.catalog.load().preferred(&GroupResource::new("", "namespaces")).cloned();
        let at = Address::new(&namespaces.ok_or_else(Status::no_such_resource)?, "", "");
        let body = json!({"metadata": {"name": name}});
        registry.create(&mut caller(), &at, body, &WriteOptions::default()).await.map(drop)
    }
}

impl Charger {
    fn registry(&self) -> Result<Registry> {
        Registry::upgrade(&self.0).ok_or_else(|| Status::service_unavailable("the server is shutting down"))
    }
}

fn caller() -> Caller {
    Caller::new(User::new(APISERVER, &[MASTERS]), "kube-apiserver")
}
