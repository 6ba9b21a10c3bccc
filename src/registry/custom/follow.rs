//! From definitions to the catalog: whoever is accepted is served before its status says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::{client, shelf, target};
use crate::cache::error::CacheError;
use crate::cache::object::Object;
use crate::cache::subscription::{Subscription, Update};
use crate::model::object;
use crate::model::status::Outcome;
use crate::model::value::{Value, json};
use crate::registry::client::Client;
use crate::registry::core::Registry;
use crate::rules::custom::definition::Source;
use crate::rules::custom::served;
use crate::rules::custom_resource_definition::is_true;
use crate::rules::custom_resource_definition::names::Taken;
use crate::rules::custom_resource_definition::status;
use crate::schema::catalog::Catalog;
use crate::schema::resource::{Resource, Shape, Storage};
use crate::schema::table::APIEXTENSIONS_APISERVER_PKG_APIS_APIEXTENSIONS_V1_CUSTOMRESOURCEDEFINITION;

/// The type of the definitions.
static SHAPE: Shape = Shape::Builtin(&APIEXTENSIONS_APISERVER_PKG_APIS_APIEXTENSIONS_V1_CUSTOMRESOURCEDEFINITION);
/// Changes of definitions that take effect in one step.
const BATCH: usize = 256;
/// After which a status is written again that could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the definitions in the cache.
pub struct Follower {
    registry: Registry,
    client: Client,
    subscription: Subscription,
    /// What is served without any definition.
    builtin: Vec<Arc<Resource>>,
    known: BTreeMap<String, Known>,
}

/// A definition that has taken effect.
struct Known {
    group: String,
    accepted: Value,
    /// All its names are accepted.
    settled: bool,
    /// What the resources are made of, beside the spec, whose generation it names.
    mark: Value,
    resources: Vec<Arc<Resource>>,
    /// Of which the resources read what they need: its newest state with the spec that they are made of.
    kept: Arc<ArcSwap<Object>>,
}

impl Follower {
    /// Serves what the cache has definitions of; then [`Follower::follow`] keeps it so.
    pub async fn open(registry: &Registry) -> std::result::Result<Self, CacheError> {
        let mut follower = Self {
            registry: registry.clone(),
            client: client(registry),
            subscription: registry.cache.subscribe(&[&shelf()])?,
            builtin: registry.catalog.load().resources().to_vec(),
            known: BTreeMap::new(),
        };
        let mut changed = BTreeSet::new();
        while let Some(update) = follower.subscription.try_next() {
            follower.take(update, &mut changed);
        }
        follower.settle(changed).await;
        Ok(follower)
    }

    /// Until `stop`.
    pub async fn follow(mut self, stop: CancellationToken) {
        let mut late = BTreeSet::new();
        loop {
            let mut changed = BTreeSet::new();
            tokio::select! {
                () = stop.cancelled() => return,
                update = self.subscription.next() => self.take(update, &mut changed),
                () = self.registry.clock.sleep(RETRY), if !late.is_empty() => changed.append(&mut late),
            }
            while changed.len() < BATCH
                && let Some(update) = self.subscription.try_next()
            {
                self.take(update, &mut changed);
            }
            late.append(&mut self.settle(changed).await);
        }
    }

    /// Notes whom an update is about.
    fn take(&self, update: Update, changed: &mut BTreeSet<String>) {
        match update {
            Update::Resync(snapshot) => {
                let all = snapshot.shelves.iter().flat_map(|shelf| shelf.iter(None));
                changed.extend(all.map(|object| object.name().to_owned()));
                changed.extend(self.known.keys().cloned());
            }
            Update::Event(event) => drop(changed.insert(event.key().name().to_owned())),
        }
    }

    /// Lets these definitions take effect, as they are now. Those whose status could not be written.
    async fn settle(&mut self, mut changed: BTreeSet<String>) -> BTreeSet<String> {
        let (mut told, mut gone) = (Vec::new(), Vec::new());
        while let Some(name) = changed.pop_first() {
            match self.current(&name) {
                Some((object, crd)) => told.extend(self.accept(&name, object, crd)),
                None => gone.extend(self.forget(&name, &mut changed)),
            }
        }
        self.serve(gone).await;
        let mut late = BTreeSet::new();
        for crd in told {
            let name = object::name(&crd);
            let written = self.client.update(target(name).part("status"), &crd).await;
            if let Err(status) = written.unless_late() {
                tracing::warn!(definition = name, error = %status.message, "its status is not written");
                late.insert(name.to_owned());
            }
        }
        late
    }

    fn current(&self, name: &str) -> Option<(Arc<Object>, Value)> {
        let object = self.registry.cache.get(&shelf(), "", name).ok()??;
        let value = object.to_value(&SHAPE);
        let value = value.inspect_err(|error| tracing::warn!(name, %error, "a definition is unreadable")).ok()?;
        Some((object, value))
    }

    /// Works out what a definition has served; the definition with its new status, if that says anything new.
    fn accept(&mut self, name: &str, object: Arc<Object>, crd: Value) -> Option<Value> {
        let mut settled = crd.clone();
        let group = crd["spec"]["group"].as_str().unwrap_or_default().to_owned();
        if !object::is_deleting(&crd) {
            let mut taken = Taken::default();
            let others = self.known.iter().filter(|(other, known)| *other != name && known.group == group);
            others.for_each(|(_, known)| taken.add(&known.accepted));
            status::settle(&mut settled, &taken, self.registry.now());
        }
        let accepted = settled["status"]["acceptedNames"].clone();
        let served = is_true(&settled, "Established") || is_true(&settled, "NamesAccepted");
        let mark = json!([object::uid(&crd), object::generation(&crd), object::is_deleting(&crd), accepted, served]);
        let before = self.known.remove(name);
        let (resources, kept) = match before.filter(|before| before.mark == mark) {
            Some(before) => {
                before.kept.store(object);
                (before.resources, before.kept)
            }
            None => {
                let kept = Arc::new(ArcSwap::new(object));
                let resources = if served { served::resources(&settled, &source(&kept)) } else { Vec::new() };
                (resources, kept)
            }
        };
        let known = Known { group, accepted, settled: is_true(&settled, "NamesAccepted"), mark, resources, kept };
        self.known.insert(name.to_owned(), known);
        (settled["status"] != crd["status"]).then_some(settled)
    }

    /// Forgets a definition that is gone: its names are free for others. What it was kept as.
    fn forget(&mut self, name: &str, changed: &mut BTreeSet<String>) -> Option<Storage> {
        let known = self.known.remove(name)?;
        let waits = self.known.iter().filter(|(_, other)| other.group == known.group && !other.settled);
        changed.extend(waits.map(|(other, _)| other.clone()));
        known.resources.first().and_then(|resource| resource.storage.clone())
    }

    /// Brings shelves and catalog to where the definitions are.
    async fn serve(&self, gone: Vec<Storage>) {
        let custom: Vec<_> = self.known.values().flat_map(|known| known.resources.iter().cloned()).collect();
        let catalog = self.registry.catalog.load();
        let now = catalog.resources().iter().skip(self.builtin.len());
        if now.clone().count() == custom.len() && now.zip(&custom).all(|(a, b)| Arc::ptr_eq(a, b)) {
            return;
        }
        let catalog = Catalog::new(self.builtin.iter().chain(&custom).cloned().collect());
        for storage in catalog.storages() {
            let kept = self.registry.cache.snapshot(&[&storage.shelf]);
            let is_same = kept.is_ok_and(|cut| cut.shelves.iter().any(|shelf| shelf.storage.kind == storage.kind));
            if !is_same {
                self.registry.cache.add_shelf(storage).await;
            }
        }
        let stays: Vec<_> = catalog.storages();
        self.registry.catalog.replace(catalog);
        for storage in gone.iter().filter(|gone| stays.iter().all(|kept| kept.shelf != gone.shelf)) {
            self.registry.cache.remove_shelf(&storage.shelf).await;
        }
    }
}

/// Reads a definition again.
fn source(kept: &Arc<ArcSwap<Object>>) -> Source {
    let kept = kept.clone();
    Arc::new(move || kept.load().to_value(&SHAPE).unwrap_or_default())
}
