//! What some kinds do beyond their pure rules: allocate, hold a deletion, end by themselves. Most kinds have none.
//!
//! One file a kind. In reading order: this page (the contract and the table), `fields` (values of field selectors),
//! `custom_resource_definitions`, `events`, `namespaces`, `param_kinds` (who may let policies read what), `pods`,
//! `priority_classes`, `resource_claims`, `roles` (who may grant what), `services` (addresses and node ports).

pub mod custom_resource_definitions;
pub mod events;
pub mod fields;
pub mod namespaces;
pub mod param_kinds;
pub mod pods;
pub mod priority_classes;
pub mod resource_claims;
pub mod roles;
pub mod services;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::core::Registry;
use super::request::Address;
use crate::auth::identity::User;
use crate::auth::rbac::Rbac;
use crate::cache::object::Object;
use crate::model::field::FieldErrors;
use crate::model::names::GroupResource;
use crate::model::status::Result;
use crate::model::time::Time;
use crate::model::value::Value;
use crate::schema::resource::Resource;

/// How long a deletion waits before the object ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// The kind knows no grace.
    None,
    /// From now; 0 ends it at once.
    Seconds(i64),
}

/// What a user wants to write.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    pub registry: &'a Registry,
    pub user: &'a User,
    pub at: &'a Address,
    pub new: &'a Value,
    /// Of an update.
    pub old: Option<&'a Value>,
}

/// What a kind does. Objects are sparse values of the storage version.
#[async_trait]
pub trait KindHooks: Send + Sync {
    /// (group, plural)
    fn resource(&self) -> (&'static str, &'static str);

    /// Whether the user may give away what the object gives, before it is prepared and validated. Of a create the name may
    /// not be there yet.
    async fn confirm(&self, _: &Wish<'_>) -> Result<()> {
        Ok(())
    }

    /// Before a create is prepared and validated: may fill the object and claim something for it.
    async fn begin_create(&self, _: &Registry, _: &Address, _: &mut Value, _dry_run: bool) -> Result<Claim> {
        Ok(Claim::default())
    }

    /// The same of an update: (new, old).
    async fn begin_update(&self, _: &Registry, _: &Address, _: &mut Value, _: &Value, _dry_run: bool) -> Result<Claim> {
        Ok(Claim::default())
    }

    /// Before a delete: may refuse it.
    fn begin_delete(&self, _: &Address) -> Result<()> {
        Ok(())
    }

    /// What this user may not change, for reasons beyond the request's own permission: (new, old). `verb` is the request's.
    fn denied(&self, _: &Registry, _: &User, _: &Address, _verb: &str, _: (&Value, &Value)) -> FieldErrors {
        FieldErrors::new()
    }

    /// What the user may not write of an object that is right otherwise, nor of a new one.
    fn unauthorized(&self, _: &Wish<'_>) -> FieldErrors {
        FieldErrors::new()
    }

    /// The object is gone.
    async fn after_delete(&self, _: &Registry, _: &Address, _: &Object) {}

    /// The grace of a delete that asks for `wanted` seconds.
    fn grace(&self, _: &Value, _wanted: Option<i64>) -> Grace {
        Grace::None
    }

    /// A deletion that takes another way than finalizers: the object as it is held, `None` when nothing holds it.
    fn judge_delete(&self, _: &Value, _now: Time) -> Option<Value> {
        None
    }

    /// Whether a dying object without finalizers may end.
    fn may_end(&self, _: &Value) -> bool {
        true
    }

    /// How long an object lives.
    fn ttl(&self) -> Option<Duration> {
        None
    }

    /// Whether the garbage collector knows its dependents, so that propagation policies mean something.
    fn has_dependents(&self) -> bool {
        true
    }
}

/// All of them. `event_ttl` is how long events live, `ranges` what services may be given, `rbac` who holds which rights.
pub fn all(event_ttl: Duration, ranges: services::ranges::Ranges, rbac: &Arc<Rbac>) -> Vec<Box<dyn KindHooks>> {
    let mut all: Vec<Box<dyn KindHooks>> = vec![
        Box::new(custom_resource_definitions::CustomResourceDefinitions),
        Box::new(events::Events { ttl: event_ttl }),
        Box::new(namespaces::Namespaces),
        Box::new(pods::Pods),
        Box::new(priority_classes::PriorityClasses),
        Box::new(resource_claims::ResourceClaims),
        Box::new(services::Services::new(ranges)),
    ];
    all.extend(param_kinds::ALL.map(|kind| Box::new(kind) as Box<dyn KindHooks>));
    all.extend(roles::all(rbac).map(|kind| Box::new(kind) as Box<dyn KindHooks>));
    all
}

/// The kinds that do something.
#[derive(Clone, Default)]
pub struct Hooks(Arc<HashMap<GroupResource, Box<dyn KindHooks>>>);

/// What a write has claimed, to be kept when it is committed and given back when it is not.
#[derive(Default)]
pub struct Claim {
    on_keep: Vec<Undo>,
    on_revert: Vec<Undo>,
}

type Undo = Box<dyn for<'a> FnOnce(&'a Registry) -> BoxFuture<'a, ()> + Send>;

impl Hooks {
    pub fn new(kinds: Vec<Box<dyn KindHooks>>) -> Self {
        let key = |kind: &dyn KindHooks| GroupResource::new(kind.resource().0, kind.resource().1);
        Self(Arc::new(kinds.into_iter().map(|kind| (key(kind.as_ref()), kind)).collect()))
    }

    fn of(&self, resource: &Resource) -> Option<&dyn KindHooks> {
        let shelf = resource.storage.as_ref().map_or(&resource.name, |storage| &storage.shelf);
        self.0.get(shelf).map(AsRef::as_ref)
    }

    pub async fn confirm(&self, wish: &Wish<'_>) -> Result<()> {
        match self.of(&wish.at.resource).filter(|_| wish.at.subresource.is_empty()) {
            Some(kind) => kind.confirm(wish).await,
            None => Ok(()),
        }
    }

    pub async fn begin_create(
        &self,
        registry: &Registry,
        at: &Address,
        value: &mut Value,
        dry_run: bool,
    ) -> Result<Claim> {
        match self.of(&at.resource) {
            Some(kind) => kind.begin_create(registry, at, value, dry_run).await,
            None => Ok(Claim::default()),
        }
    }

    pub async fn begin_update(
        &self,
        registry: &Registry,
        at: &Address,
        value: &mut Value,
        old: &Value,
        dry_run: bool,
    ) -> Result<Claim> {
        match self.of(&at.resource) {
            Some(kind) => kind.begin_update(registry, at, value, old, dry_run).await,
            None => Ok(Claim::default()),
        }
    }

    pub fn begin_delete(&self, at: &Address) -> Result<()> {
        self.of(&at.resource).map_or(Ok(()), |kind| kind.begin_delete(at))
    }

    pub fn denied(
        &self,
        registry: &Registry,
        user: &User,
        at: &Address,
        verb: &str,
        both: (&Value, &Value),
    ) -> FieldErrors {
        self.of(&at.resource).map_or_else(FieldErrors::new, |kind| kind.denied(registry, user, at, verb, both))
    }

    pub fn unauthorized(&self, wish: &Wish<'_>) -> FieldErrors {
        self.of(&wish.at.resource).map_or_else(FieldErrors::new, |kind| kind.unauthorized(wish))
    }

    pub async fn after_delete(&self, registry: &Registry, at: &Address, object: &Object) {
        if let Some(kind) = self.of(&at.resource) {
            kind.after_delete(registry, at, object).await;
        }
    }

    pub fn grace(&self, resource: &Resource, value: &Value, wanted: Option<i64>) -> Grace {
        self.of(resource).map_or(Grace::None, |kind| kind.grace(value, wanted))
    }

    pub fn judge_delete(&self, at: &Address, value: &Value, now: Time) -> Option<Value> {
        self.of(&at.resource)?.judge_delete(value, now)
    }

    pub fn may_end(&self, resource: &Resource, value: &Value) -> bool {
        self.of(resource).is_none_or(|kind| kind.may_end(value))
    }

    pub fn ttl(&self, resource: &Resource) -> Option<Duration> {
        self.of(resource)?.ttl()
    }

    pub fn has_dependents(&self, resource: &Resource) -> bool {
        self.of(resource).is_none_or(KindHooks::has_dependents)
    }
}

impl Claim {
    /// What to do when the write is committed.
    pub fn when_kept(&mut self, act: Undo) {
        self.on_keep.push(act);
    }

    /// What to do when it is not.
    pub fn when_reverted(&mut self, act: Undo) {
        self.on_revert.push(act);
    }

    pub async fn keep(&mut self, registry: &Registry) {
        for act in self.on_keep.drain(..) {
            act(registry).await;
        }
    }

    pub async fn revert(&mut self, registry: &Registry) {
        for act in self.on_revert.drain(..).rev() {
            act(registry).await;
        }
    }
}
