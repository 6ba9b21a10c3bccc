//! The registry for callers in this process: controllers, the scheduler, the bootstrap. The same admission, validation
//! and authorization as everybody else's requests, without the wire.

use std::sync::Arc;

use serde::Serialize;

use super::core::Registry;
use super::decode::decode;
use super::options::{DeleteOptions, WriteOptions};
use super::patch::Patch;
use super::recorded::Act;
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

    /// What is begun here, if the user may do this there.
    async fn begin(&self, verb: &str, target: Target<'_>) -> Result<Act> {
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
        let attributes = Attributes::resource(&self.user, verb, asked);
        let mut at = Address::new(&resource, target.namespace, target.name);
        at.subresource = target.subresource.into();
        let caller = Caller::new(self.user.clone(), self.agent);
        let act = Act::begin(&self.registry, &attributes, at, caller, verb == "create").await?;
        let verdict = self.registry.authorizer.authorize(&attributes).await;
        act.caller.annotations.decided(&verdict);
        match verdict.require(&attributes) {
            Ok(()) => Ok(act),
            Err(refusal) => act.end(Err(refusal)).await,
        }
    }

    /// Creates an object of any type that reads as the API's JSON.
    pub async fn create(&self, target: Target<'_>, object: &impl Serialize) -> Result<Written> {
        let mut act = self.begin("create", target).await?;
        let body = self.body(&act.at, object)?;
        act.sent(&body);
        let outcome = self.registry.create(&mut act.caller, &act.at, body, &WriteOptions::default()).await;
        act.end(outcome).await
    }

    /// Replaces an object, or a part of it.
    pub async fn update(&self, target: Target<'_>, object: &impl Serialize) -> Result<Written> {
        let mut act = self.begin("update", target).await?;
        let body = self.body(&act.at, object)?;
        act.sent(&body);
        let (change, options) = (Change::Replace(body), WriteOptions::default());
        let outcome = self.registry.update(&mut act.caller, &act.at, change, &options, false).await;
        act.end(outcome).await
    }

    /// A merge patch (RFC 7386).
    pub async fn merge(&self, target: Target<'_>, patch: &Value) -> Result<Written> {
        let text = patch.to_string();
        self.patch(target, patch, Patch::Merge(text.as_bytes()), &WriteOptions::default()).await
    }

    /// A strategic merge patch, of a built-in resource.
    pub async fn strategic(&self, target: Target<'_>, patch: &Value) -> Result<Written> {
        let text = patch.to_string();
        self.patch(target, patch, Patch::Strategic(text.as_bytes()), &WriteOptions::default()).await
    }

    /// Applies what `manager` wants of an object, and takes over what others own of it.
    pub async fn apply(&self, target: Target<'_>, wanted: Value, manager: &str) -> Result<Written> {
        let options = WriteOptions { field_manager: manager.into(), force: Some(true), ..WriteOptions::default() };
        let patch = Patch::Apply { wanted: wanted.clone(), repeated: Vec::new() };
        self.patch(target, &wanted, patch, &options).await
    }

    async fn patch(
        &self,
        target: Target<'_>,
        sent: &Value,
        patch: Patch<'_>,
        options: &WriteOptions,
    ) -> Result<Written> {
        let mut act = self.begin("patch", target).await?;
        act.patched(sent);
        let outcome = self.registry.patch(&mut act.caller, &act.at, patch, options).await;
        act.end(outcome).await
    }

    /// The object as it is in the store now, not as the cache has it.
    pub async fn get(&self, target: Target<'_>) -> Result<Arc<Object>> {
        let act = self.begin("get", target).await?;
        let outcome = self.registry.get(&act.at, "").await;
        act.end(outcome).await
    }

    /// The Scale of an object that has one.
    pub async fn scale(&self, target: Target<'_>) -> Result<Value> {
        let act = self.begin("get", target.part("scale")).await?;
        let outcome = self.registry.scale(&act.at, "").await;
        act.end(outcome).await
    }

    /// Replaces the Scale of an object; a conflict when its resourceVersion is no longer the newest.
    pub async fn set_scale(&self, target: Target<'_>, scale: Value) -> Result<Value> {
        let mut act = self.begin("update", target.part("scale")).await?;
        act.patched(&scale);
        let (change, options) = (ScaleChange::Replace(scale), WriteOptions::default());
        let outcome = self.registry.set_scale(&mut act.caller, &act.at, change, &options).await;
        act.end(outcome).await
    }

    /// Gives a pod its node, as a `v1` Binding says.
    pub async fn bind(&self, namespace: &str, name: &str, binding: &Value) -> Result<Written> {
        let mut act = self.begin("create", Target::new("", "pods", namespace, name).part("binding")).await?;
        act.patched(binding);
        let options = WriteOptions::default();
        let outcome = self.registry.bind(&mut act.caller, &act.at, binding.clone(), &options).await;
        act.end(outcome).await
    }

    pub async fn delete(&self, target: Target<'_>, options: &DeleteOptions) -> Result<Deleted> {
        let mut act = self.begin("delete", target).await?;
        let outcome = self.registry.delete(&mut act.caller, &act.at, options).await;
        act.end(outcome).await
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
