//! A definition that is deleted goes after its objects: they are deleted like by anyone, and its finalizer waits for them.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{client, shelf, target};
use crate::cache::shelf::ShelfId;
use crate::cache::subscription::{Subscription, Update};
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Value, json};
use crate::registry::client::{Client, Target};
use crate::registry::core::{Registry, cache_status};
use crate::registry::options::DeleteOptions;
use crate::registry::request::Address;
use crate::rules::custom_resource_definition::is_true;
use crate::rules::custom_resource_definition::status::{self, FINALIZER};

/// Objects that are deleted at the same time.
const BURST: usize = 32;
/// After which a cleanup that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Ends definitions that are deleted.
pub struct Cleanup {
    registry: Registry,
    client: Client,
    subscription: Subscription,
    /// Definitions whose objects are not all gone, by the objects' shelf.
    waiting: HashMap<ShelfId, String>,
}

impl Cleanup {
    pub fn open(registry: &Registry) -> Self {
        let subscription = registry.cache.subscribe_all();
        Self { registry: registry.clone(), client: client(registry), subscription, waiting: HashMap::new() }
    }

    /// Until `stop`.
    pub async fn follow(mut self, stop: CancellationToken) {
        let mut late = BTreeSet::new();
        loop {
            let mut due = BTreeSet::new();
            tokio::select! {
                () = stop.cancelled() => return,
                update = self.subscription.next() => self.take(update, &mut due),
                () = self.registry.clock.sleep(RETRY), if !late.is_empty() => due.append(&mut late),
            }
            for name in due {
                if let Err(status) = self.clean(&name).await {
                    tracing::warn!(definition = name, error = %status.message, "its objects are not deleted");
                    late.insert(name);
                }
            }
        }
    }

    /// Notes whom an update is about.
    fn take(&self, update: Update, due: &mut BTreeSet<String>) {
        match update {
            Update::Resync(snapshot) => {
                let all = snapshot.find(&shelf()).into_iter().flat_map(|shelf| shelf.iter(None));
                due.extend(all.filter(|object| object.is_deleting()).map(|object| object.name().to_owned()));
            }
            Update::Event(event) => {
                due.extend(self.waiting.get(&event.shelf).cloned());
                let of_definition = || self.definitions().is_some_and(|shelf| shelf == event.shelf);
                if let Some(object) = event.current().filter(|_| of_definition())
                    && object.is_deleting()
                {
                    due.insert(object.name().to_owned());
                }
            }
        }
    }

    fn definitions(&self) -> Option<ShelfId> {
        self.registry.cache.snapshot(&[&shelf()]).ok()?.shelves.first().map(|shelf| shelf.id)
    }

    /// Deletes the objects of a definition that goes, and lets it go when there are none.
    async fn clean(&mut self, name: &str) -> Result<()> {
        self.waiting.retain(|_, waits| waits != name);
        let Some(crd) = self.doomed(name)? else { return Ok(()) };
        if is_true(&crd, "Established") {
            self.say(&crd).await?;
            let left = self.sweep(&crd).await?;
            if let Some(shelf) = left {
                self.waiting.insert(shelf, name.to_owned());
                return Ok(());
            }
        }
        let Some(crd) = self.doomed(name)? else { return Ok(()) };
        let rest: Vec<_> = object::finalizers(&crd).filter(|finalizer| *finalizer != FINALIZER).collect();
        let version = object::resource_version(&crd);
        let patch = json!({"metadata": {"finalizers": rest, "resourceVersion": version}});
        self.client.merge(target(name), &patch).await.unless_late().map(drop)
    }

    /// The definition, if it is on its way out and this is what holds it.
    fn doomed(&self, name: &str) -> Result<Option<Value>> {
        let Some(resource) = self.registry.catalog.load().preferred(&shelf()).cloned() else { return Ok(None) };
        let found = self.registry.cached(&Address::new(&resource, "", name))?.map(|found| found.value);
        Ok(found.filter(|crd| object::is_deleting(crd) && object::finalizers(crd).any(|known| known == FINALIZER)))
    }

    async fn say(&self, crd: &Value) -> Result<()> {
        let mut told = crd.clone();
        status::set(&mut told, status::ENDING, self.registry.now());
        if told["status"] == crd["status"] {
            return Ok(());
        }
        self.client.update(target(object::name(crd)).part("status"), &told).await.unless_late()?;
        self.registry.fresh().await.map(drop)
    }

    /// Deletes every object once; the shelf, if some are left on it.
    async fn sweep(&self, crd: &Value) -> Result<Option<ShelfId>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (group, plural) = (text(&crd["spec"]["group"]), text(&crd["status"]["acceptedNames"]["plural"]));
        let name = GroupResource::new(&group, &plural);
        if self.registry.catalog.load().preferred(&name).is_none() {
            return Ok(None);
        }
        let options = DeleteOptions::default();
        let cut = self.registry.cache.snapshot(&[&name]).map_err(cache_status)?;
        let doomed: Vec<_> = cut.shelves.iter().flat_map(|shelf| shelf.iter(None)).cloned().collect();
        for some in doomed.chunks(BURST) {
            let target = |namespace, object| Target::new(&group, &plural, namespace, object);
            let acts =
                some.iter().map(|object| self.client.delete(target(object.namespace(), object.name()), &options));
            for outcome in join_all(acts).await {
                outcome.unless_late()?;
            }
        }
        self.registry.fresh().await?;
        let cut = self.registry.cache.snapshot(&[&name]).map_err(cache_status)?;
        Ok(cut.shelves.iter().find(|shelf| !shelf.is_empty()).map(|shelf| shelf.id))
    }
}
