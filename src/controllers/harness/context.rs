//! What a run reads and writes through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::cache::handle::{Cache, Snapshot};
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::controllers::events::{Kind, Recorder, Regarding};
use crate::controllers::resources::Name;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::revision::Revision;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::Value;
use crate::registry::client::{Client, Target};
use crate::registry::core::Registry;
use crate::registry::options::DeleteOptions;
use crate::registry::request::{Deleted, Written};

/// How long a run waits for the cache at most.
const SHOWN: Duration = Duration::from_secs(5);

/// What all controllers of one plane share.
#[derive(Clone)]
pub struct Plane {
    pub registry: Registry,
}

/// A controller's way to the API during one run. It remembers the newest revision that the run has written.
pub struct Cx {
    pub plane: Plane,
    pub client: Client,
    recorder: Recorder,
    wrote: AtomicU64,
}

/// Several resources at one revision, by name.
pub struct Cut(Snapshot);

impl Cx {
    pub fn new(plane: Plane, client: Client, recorder: Recorder) -> Self {
        Self { plane, client, recorder, wrote: AtomicU64::new(0) }
    }

    /// The same way for another run.
    pub fn again(&self) -> Self {
        Self::new(self.plane.clone(), self.client.clone(), self.recorder.clone())
    }

    pub fn cache(&self) -> &Cache {
        &self.plane.registry.cache
    }

    pub fn now(&self) -> Time {
        self.plane.registry.now()
    }

    /// The newest revision that this run has written; zero when it has written nothing.
    pub fn wrote(&self) -> Revision {
        Revision(self.wrote.load(Ordering::Acquire))
    }

    /// Waits until the cache shows what this run has written, for a run that others must not overlook. The run's end waits
    /// for the same.
    pub async fn shown(&self) {
        let deadline = self.plane.registry.clock.instant() + SHOWN;
        // Behind or not, the run is over; its key waits on.
        drop(self.cache().at_least(self.wrote(), deadline).await);
    }

    /// These resources as they are now, all at one revision.
    pub fn cut(&self, names: &[&Name]) -> Result<Cut> {
        let names: Vec<&GroupResource> = names.iter().map(|name| &name.full).collect();
        self.cache().snapshot(&names).map(Cut).map_err(Status::internal)
    }

    /// The object as it is in the store.
    pub async fn get(&self, target: Target<'_>) -> Result<Arc<Object>> {
        self.client.get(target).await
    }

    pub async fn create(&self, target: Target<'_>, object: &impl Serialize) -> Result<Written> {
        self.note(self.client.create(target, object).await)
    }

    /// Replaces an object, or a part of it. With a resourceVersion in it, only that state of it.
    pub async fn update(&self, target: Target<'_>, object: &impl Serialize) -> Result<Written> {
        self.note(self.client.update(target, object).await)
    }

    pub async fn merge(&self, target: Target<'_>, patch: &Value) -> Result<Written> {
        self.note(self.client.merge(target, patch).await)
    }

    pub async fn strategic(&self, target: Target<'_>, patch: &Value) -> Result<Written> {
        self.note(self.client.strategic(target, patch).await)
    }

    /// Applies what `manager` wants of an object, by force.
    pub async fn apply(&self, target: Target<'_>, wanted: Value, manager: &str) -> Result<Written> {
        self.note(self.client.apply(target, wanted, manager).await)
    }

    /// Replaces an object's Scale, which is answered.
    pub async fn set_scale(&self, target: Target<'_>, scale: Value) -> Result<Value> {
        let written = self.client.set_scale(target, scale).await;
        let revision = written.as_ref().ok().and_then(|scale| object::resource_version(scale).parse().ok());
        self.note_revision(revision.map(Revision));
        written
    }

    pub async fn delete(&self, target: Target<'_>, options: &DeleteOptions) -> Result<Deleted> {
        let deleted = self.client.delete(target, options).await;
        self.note_revision(deleted.as_ref().ok().map(|deleted| deleted.object.revision));
        deleted
    }

    /// Tells users what was done to an object, or why not.
    pub fn event(&self, regarding: Regarding, kind: Kind, reason: &'static str, message: String) {
        self.recorder.record(regarding, kind, reason, message, self.now());
    }

    fn note(&self, written: Result<Written>) -> Result<Written> {
        self.note_revision(written.as_ref().ok().map(|written| written.object.revision));
        written
    }

    fn note_revision(&self, revision: Option<Revision>) {
        if let Some(revision) = revision {
            self.wrote.fetch_max(revision.0, Ordering::AcqRel);
        }
    }
}

impl Cut {
    /// The shelf of a resource; it must be one of those the cut was made of.
    pub fn shelf(&self, name: &Name) -> &Arc<Shelf> {
        self.0.find(&name.full).expect("the cut was made of it")
    }

    pub fn get(&self, name: &Name, namespace: &str, object: &str) -> Option<&Arc<Object>> {
        self.shelf(name).get(namespace, object)
    }

    pub fn revision(&self) -> Revision {
        self.0.revision
    }
}
