//! The registry for callers in this process: controllers, the scheduler, the bootstrap. The same admission, validation
//! and authorization as everybody else's requests, without the wire.

use std::sync::Arc;

use serde::Serialize;

use super::core::Registry;
use super::decode::decode;
use super::options::{DeleteOptions, WriteOptions};
use super::patch::Patch;
use super::request::{Address, Caller, Deleted, Written};
use super::scale::ScaleChange;
use super::write::Change;
use crate::auth::authorizer::{Attributes, Resource as Asked};
use crate::auth::identity::User;
use crate::cache::object::Object;
use crate::model::names::GroupResource;
use crate::model::revision::Revision;
use crate::model::status::{Result, Status};
use crate::model::value::Value;

/// Writes as one user. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    registry: Registry,
    user: User,
    /// The field manager.
    agent: &'static str,
}

/// Which object, in the preferred version of its resource.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub group: &'a str,
    pub resource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    /// Empty for the object itself.
    pub subresource: &'a str,
}

impl<'a> Target<'a> {
    pub const fn new(group: &'a str, resource: &'a str, namespace: &'a str, name: &'a str) -> Self {
        Self { group, resource, namespace, name, subresource: "" }
    }

    pub const fn part(self, subresource: &'a str) -> Self {
        Self { subresource, ..self }
    }
}

impl Client {
    pub fn new(registry: &Registry, user: User, agent: &'static str) -> Self {
        Self { registry: registry.clone(), user, agent }
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    fn caller(&self) -> Caller {
        Caller::new(self.user.clone(), self.agent)
    }

    /// The address, if the user may do this there.
    async fn authorize(&self, verb: &str, target: Target<'_>) -> Result<Address> {
        let name = GroupResource::new(target.group, target.resource);
        let resource = self.registry.catalog.load().preferred(&name).cloned().ok_or_else(Status::no_such_resource)?;
        let asked = Asked {
            group: target.group,
            version: &resource.kind.version,
            resource: target.resource,
            subresource: target.subresource,
            namespace: target.namespace,
            name: target.name,
            ..Asked::default()
        };
        self.registry.authorizer.require(&Attributes::resource(&self.user, verb, asked)).await?;
        let mut at = Address::new(&resource, target.namespace, target.name);
        at.subresource = target.subresource.into();
        Ok(at)
    }

    /// Creates an object of any type that reads as the API's JSON.
    pub async fn create(&self, target: Target<'_>, object: &impl Serialize) -> Result<Written> {
        let at = self.authorize("create", target).await?;
        let body = self.body(&at, object)?;
        self.registry.create(&mut self.caller(), &at, body, &WriteOptions::default()).await
    }

    /// Replaces an object, or a part of it.
    pub async fn update(&self, target: Target<'_>, object: &impl Serialize) -> Result<Written> {
        let at = self.authorize("update", target).await?;
        let body = self.body(&at, object)?;
        let options = WriteOptions::default();
        self.registry.update(&mut self.caller(), &at, Change::Replace(body), &options, false).await
    }

    /// A merge patch (RFC 7386).
    pub async fn merge(&self, target: Target<'_>, patch: &Value) -> Result<Written> {
        let at = self.authorize("patch", target).await?;
        let text = patch.to_string();
        self.registry.patch(&mut self.caller(), &at, Patch::Merge(text.as_bytes()), &WriteOptions::default()).await
    }

    /// A strategic merge patch, of a built-in resource.
    pub async fn strategic(&self, target: Target<'_>, patch: &Value) -> Result<Written> {
        let at = self.authorize("patch", target).await?;
        let text = patch.to_string();
        let patch = Patch::Strategic(text.as_bytes());
        self.registry.patch(&mut self.caller(), &at, patch, &WriteOptions::default()).await
    }

    /// Applies what `manager` wants of an object, and takes over what others own of it.
    pub async fn apply(&self, target: Target<'_>, wanted: Value, manager: &str) -> Result<Written> {
        let at = self.authorize("patch", target).await?;
        let options = WriteOptions { field_manager: manager.into(), force: Some(true), ..WriteOptions::default() };
        let patch = Patch::Apply { wanted, repeated: Vec::new() };
        self.registry.patch(&mut self.caller(), &at, patch, &options).await
    }

    /// The object as it is in the store now, not as the cache has it.
    pub async fn get(&self, target: Target<'_>) -> Result<Arc<Object>> {
        let at = self.authorize("get", target).await?;
        self.registry.get(&at, "").await
    }

    /// The Scale of an object that has one.
    pub async fn scale(&self, target: Target<'_>) -> Result<Value> {
        let at = self.authorize("get", target.part("scale")).await?;
        self.registry.scale(&at, "").await
    }

    /// Replaces the Scale of an object; a conflict when its resourceVersion is no longer the newest.
    pub async fn set_scale(&self, target: Target<'_>, scale: Value) -> Result<Value> {
        let at = self.authorize("update", target.part("scale")).await?;
        let options = WriteOptions::default();
        self.registry.set_scale(&mut self.caller(), &at, ScaleChange::Replace(scale), &options).await
    }

    /// Gives a pod its node, as a `v1` Binding says.
    pub async fn bind(&self, namespace: &str, name: &str, binding: &Value) -> Result<Written> {
        let at = self.authorize("create", Target::new("", "pods", namespace, name).part("binding")).await?;
        self.registry.bind(&mut self.caller(), &at, binding.clone(), &WriteOptions::default()).await
    }

    pub async fn delete(&self, target: Target<'_>, options: &DeleteOptions) -> Result<Deleted> {
        let at = self.authorize("delete", target).await?;
        self.registry.delete(&mut self.caller(), &at, options).await
    }

    /// The newest revision that is acknowledged, for a barrier.
    pub async fn newest(&self) -> Result<Revision> {
        self.registry.store.current().await.map_err(super::core::store_status)
    }

    fn body(&self, at: &Address, object: &impl Serialize) -> Result<Value> {
        let text = serde_json::to_vec(object).map_err(Status::internal)?;
        decode(&text, &at.resource).map(|decoded| decoded.value).map_err(Status::bad_request)
    }
}
