//! Requests told apart by the schemas in force, and let in by their priority levels.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use k8s_openapi::api::flowcontrol::v1 as api;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::counts::{Counts, Numbers};
use super::estimate::{estimate, kept};
use super::gate::{Asked, Refused};
use super::governor::{Configuration, Governor, Schema};
use super::level::{Request, Seated, Told};
use super::queues::Arrival;
use super::shuffle;
use super::spec::{LevelSpec, Response, SchemaSpec};
use super::watches::Watches;
use crate::auth::authorizer::{Attributes, Resource};
use crate::base::clock::Clock;
use crate::cache::error::CacheError;
use crate::cache::handle::{Cache, Snapshot};
use crate::cache::subscription::{Subscription, Update};
use crate::model::names::GroupResource;
use crate::rules::flow_control::GROUP;
use crate::rules::flow_control::mandatory::CATCH_ALL;

/// How often seats are lent and given back.
const ADJUST: Duration = Duration::from_secs(10);

/// Priority levels and schemas at work. Cheap to clone.
#[derive(Clone)]
pub struct Fair(Arc<Parts>);

pub struct Parts {
    pub watches: Watches,
    cache: Cache,
    clock: Clock,
    numbers: Arc<Numbers>,
    configuration: ArcSwap<Configuration>,
    governor: Mutex<Governor>,
    /// Taken by who follows.
    subscription: Mutex<Option<Subscription>>,
}

/// What is configured, as far as it matters here.
#[derive(Default, PartialEq)]
struct Objects {
    levels: Vec<LevelSpec>,
    schemas: Vec<SchemaSpec>,
}

impl std::ops::Deref for Fair {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Fair {
    /// `seats`: of the whole server.
    pub fn open(cache: &Cache, clock: &Clock, seats: u64, numbers: &Arc<Numbers>) -> Result<Self, CacheError> {
        let names = ["flowschemas", "prioritylevelconfigurations"].map(|resource| GroupResource::new(GROUP, resource));
        let fair = Self(Arc::new(Parts {
            watches: Watches::default(),
            cache: cache.clone(),
            clock: clock.clone(),
            numbers: numbers.clone(),
            configuration: ArcSwap::default(),
            governor: Mutex::new(Governor::new(seats, clock)),
            subscription: Mutex::new(Some(cache.subscribe(&names.each_ref())?)),
        }));
        fair.digest(Objects::of(&cache.snapshot(&names.each_ref())?));
        Ok(fair)
    }

    pub fn configuration(&self) -> Arc<Configuration> {
        self.configuration.load_full()
    }

    /// The fraction of what they want that levels got at the last adjustment.
    pub fn fraction(&self) -> f64 {
        self.governor.lock().unwrap_or_else(PoisonError::into_inner).fraction
    }

    /// The schema that a request belongs to.
    pub fn classify(&self, asked: &Attributes<'_>) -> Arc<Schema> {
        let configuration = self.configuration.load();
        let schemas = &configuration.schemas;
        let found = schemas.iter().find(|schema| schema.spec.covers(asked));
        // Everybody is in a group that the last one covers, but for users that some proxy made up.
        let found = found.or_else(|| schemas.iter().rev().find(|schema| schema.spec.name == CATCH_ALL));
        found.expect("the last schema is always there").clone()
    }

    /// Returns when the request may run or must not.
    pub async fn enter(
        &self,
        schema: &Arc<Schema>,
        asked: &Asked<'_>,
        told: impl FnOnce() -> Arc<dyn Told>,
        deadline: Instant,
        write: bool,
    ) -> Result<(Seated, Arc<Counts>), Refused> {
        let attributes = &asked.attributes;
        let level = &schema.level;
        let counts = schema.counts.get_or_init(|| self.numbers.of(&level.name, &schema.spec.name)).clone();
        let watched = |resource: &Resource<'_>| {
            let watches = self.watches.concerned(resource);
            counts.watches.observe(watches as f64);
            watches
        };
        let of = |resource: &Resource<'_>| kept(&self.cache, resource);
        let estimate = estimate(attributes, &asked.listing, level.widest(), of, watched);
        counts.width.observe(estimate.width() as f64);
        let flow = match schema.response {
            Response::Queue { queues, .. } if queues > 1 => schema.spec.flow(attributes),
            _ => "",
        };
        let hash = match schema.response {
            Response::Queue { queues, .. } if queues > 1 => shuffle::hash(&schema.spec.name, flow),
            _ => 0,
        };
        let user = attributes.user.clone();
        let request = Request { counts: counts.clone(), user, flow: flow.into(), told: told() };
        let begun = self.clock.instant();
        let arrival = Arrival { hash, estimate, info: request };
        let entered = level.enter(arrival, deadline, || Queued::begin(self, write)).await;
        let waited = self.clock.instant() - begun;
        if schema.response != Response::Exempt {
            counts.waited[usize::from(entered.is_err())].observe(waited.as_secs_f64());
        }
        match entered {
            Ok(seated) => {
                counts.dispatched.add(1);
                Ok((seated, counts))
            }
            Err(why) => {
                counts.reject(why);
                Err(Refused { retry_after: level.refuse() })
            }
        }
    }

    /// Keeps up with the objects, and lends seats, until `stop`. Nobody keeps a seat for longer than `longest`.
    pub async fn follow(&self, longest: Duration, stop: CancellationToken) {
        let taken = self.subscription.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut subscription) = taken else { return };
        let mut known = Objects::default();
        let mut next = self.clock.instant() + ADJUST;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                update = subscription.next() => {
                    let mut newest = self.take(update);
                    while let Some(update) = subscription.try_next() {
                        newest = self.take(update).or(newest);
                    }
                    if let Some(objects) = newest.filter(|objects| *objects != known) {
                        known = Objects { levels: objects.levels.clone(), schemas: objects.schemas.clone() };
                        self.digest(objects);
                    }
                }
                () = self.clock.sleep_until(next) => {
                    next = self.clock.instant() + ADJUST;
                    self.tick(longest, &known);
                }
            }
        }
    }

    fn tick(&self, longest: Duration, known: &Objects) {
        self.configuration().levels.values().for_each(|level| level.reclaim(longest));
        let ended = {
            let mut governor = self.governor.lock().unwrap_or_else(PoisonError::into_inner);
            governor.adjust();
            governor.has_ended_levels()
        };
        if ended {
            self.digest(Objects { levels: known.levels.clone(), schemas: known.schemas.clone() });
        }
    }

    /// The objects as they are after an update.
    fn take(&self, update: Update) -> Option<Objects> {
        match update {
            Update::Resync(snapshot) => Some(Objects::of(&snapshot)),
            Update::Event(_) => {
                let names =
                    ["flowschemas", "prioritylevelconfigurations"].map(|resource| GroupResource::new(GROUP, resource));
                self.cache.snapshot(&names.each_ref()).ok().map(|snapshot| Objects::of(&snapshot))
            }
        }
    }

    fn digest(&self, objects: Objects) {
        let mut governor = self.governor.lock().unwrap_or_else(PoisonError::into_inner);
        let configuration = Arc::new(governor.digest(objects.levels, objects.schemas));
        let now = self.clock.instant();
        for at in 0..2 {
            self.numbers.executing[at].set_most(configuration.most_executing, now);
            self.numbers.waiting[at].set_most(configuration.most_waiting, now);
        }
        self.configuration.store(configuration.clone());
        self.numbers.keep(|level, schema| {
            configuration.schemas.iter().any(|known| known.spec.name == schema && known.level.name == level)
        });
    }
}

impl Objects {
    fn of(snapshot: &Snapshot) -> Self {
        let mut objects = Self::default();
        for shelf in &snapshot.shelves {
            for object in shelf.iter(None) {
                // What cannot be read, or contradicts itself, is not there.
                if shelf.storage.shelf.resource == "flowschemas" {
                    let schema = shelf.typed::<api::FlowSchema>(object).ok();
                    objects.schemas.extend(schema.as_ref().and_then(SchemaSpec::of));
                } else {
                    let level = shelf.typed::<api::PriorityLevelConfiguration>(object).ok();
                    objects.levels.extend(level.as_ref().and_then(LevelSpec::of));
                }
            }
        }
        objects
    }
}

/// A request that waits in a queue, until it is dropped.
struct Queued<'a> {
    fair: &'a Fair,
    write: bool,
}

impl<'a> Queued<'a> {
    fn begin(fair: &'a Fair, write: bool) -> Self {
        fair.numbers.waiting[usize::from(write)].change(true, fair.clock.instant());
        Self { fair, write }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.fair.numbers.waiting[usize::from(self.write)].change(false, self.fair.clock.instant());
    }
}
