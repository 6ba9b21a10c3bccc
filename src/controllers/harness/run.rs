//! One controller's loop: changes become keys, keys become runs, runs end behind the barrier.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Cx;
use super::controller::{Change, Controller, Follows, Keys, Next};
use super::queue::{Key, Outcome, Queue};
use crate::base::clock::Clock;
use crate::cache::error::CacheError;
use crate::cache::event::Event;
use crate::cache::handle::Snapshot;
use crate::cache::shelf::ShelfId;
use crate::cache::subscription::{Subscription, Update};
use crate::model::revision::Revision;
use crate::model::status::Status;
use crate::schema::resource::Storage;

/// How long a key waits for the cache to show what its run wrote before that is worth a line in the log.
const BARRIER: Duration = Duration::from_secs(30);
/// Changes taken in before runs are started.
const CHANGES: usize = 1_000;

/// A controller that is about to run.
pub struct Runner {
    name: &'static str,
    controller: Arc<dyn Controller>,
    cx: Cx,
    workers: usize,
    subscription: Subscription,
    storages: HashMap<ShelfId, Arc<Storage>>,
    queue: Queue,
    runs: JoinSet<Ended>,
    /// Which key a run is of, for one that panics.
    running: HashMap<Id, Key>,
    /// Keys whose runs are over, behind the barrier.
    parked: FuturesUnordered<BoxFuture<'static, (Key, Outcome)>>,
}

/// A run's end.
struct Ended {
    result: Result<Next, Status>,
    wrote: Revision,
}

impl Runner {
    /// It hears of everything from here on. `workers` keys are worked on at a time.
    pub fn new(
        name: &'static str,
        controller: Arc<dyn Controller>,
        cx: Cx,
        workers: usize,
    ) -> Result<Self, CacheError> {
        let subscription = match controller.follows() {
            Follows::All => cx.cache().subscribe_all(),
            Follows::These(names) => cx.cache().subscribe(&names.iter().collect::<Vec<_>>())?,
        };
        let mut runner = Self {
            name,
            controller,
            cx,
            workers,
            subscription,
            storages: HashMap::new(),
            queue: Queue::default(),
            runs: JoinSet::new(),
            running: HashMap::new(),
            parked: FuturesUnordered::new(),
        };
        runner.ask(|controller, keys| controller.begin(keys));
        Ok(runner)
    }

    /// Runs until it is told to stop; runs under way end first.
    pub async fn run(mut self, stop: CancellationToken) {
        let clock = self.cx.plane.registry.clock.clone();
        loop {
            self.start_runs();
            let due = self.queue.next_due();
            tokio::select! {
                () = stop.cancelled() => break,
                update = self.subscription.next() => self.hear_all(update),
                Some(ended) = self.runs.join_next_with_id() => self.park(ended),
                Some((key, outcome)) = self.parked.next() => self.queue.finish(&key, outcome, self.instant()),
                () = sleep(&clock, due) => self.queue.wake(self.instant()),
            }
        }
        while self.runs.join_next().await.is_some() {}
    }

    fn instant(&self) -> Instant {
        self.cx.plane.registry.clock.instant()
    }

    fn start_runs(&mut self) {
        while self.runs.len() < self.workers {
            let Some(key) = self.queue.take() else { return };
            let (controller, cx, name) = (self.controller.clone(), self.cx.again(), key.clone());
            let run = self.runs.spawn(async move {
                let result = controller.reconcile(&cx, &name).await;
                Ended { result, wrote: cx.wrote() }
            });
            self.running.insert(run.id(), key);
        }
    }

    /// This change and those that are there already.
    fn hear_all(&mut self, update: Update) {
        self.hear(update);
        for _ in 1..CHANGES {
            let Some(update) = self.subscription.try_next() else { return };
            self.hear(update);
        }
    }

    fn hear(&mut self, update: Update) {
        match update {
            Update::Resync(snapshot) => self.hear_state(&snapshot),
            Update::Event(event) => self.hear_event(&event),
        }
    }

    fn hear_state(&mut self, snapshot: &Snapshot) {
        self.storages = snapshot.shelves.iter().map(|shelf| (shelf.id, shelf.storage.clone())).collect();
        let registry = self.cx.plane.registry.clone();
        for shelf in &snapshot.shelves {
            for object in shelf.iter(None) {
                let change =
                    Change { registry: &registry, storage: &shelf.storage, previous: None, current: Some(object) };
                self.ask(|controller, keys| controller.triggers(&change, keys));
            }
        }
    }

    fn hear_event(&mut self, event: &Event) {
        let Some(storage) = self.storages.get(&event.shelf).cloned() else { return };
        let registry = self.cx.plane.registry.clone();
        let change =
            Change { registry: &registry, storage: &storage, previous: event.previous(), current: event.current() };
        self.ask(|controller, keys| controller.triggers(&change, keys));
    }

    fn ask(&mut self, whom: impl FnOnce(&dyn Controller, &mut Keys)) {
        let mut keys = Keys::default();
        whom(self.controller.as_ref(), &mut keys);
        keys.0.iter().for_each(|key| self.queue.add(key));
    }

    /// A run is over: its key is free again when the cache shows what it wrote.
    fn park(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, ended),
            Err(error) => {
                let result = Err(Status::internal(format!("the run panicked: {error}")));
                (error.id(), Ended { result, wrote: Revision::ZERO })
            }
        };
        let Some(key) = self.running.remove(&id) else { return };
        let outcome = self.judge(&key, ended.result);
        if self.cx.cache().published() >= ended.wrote {
            return self.queue.finish(&key, outcome, self.instant());
        }
        let (registry, name, wrote) = (self.cx.plane.registry.clone(), self.name, ended.wrote);
        self.parked.push(Box::pin(async move {
            while let Err(error) = registry.cache.at_least(wrote, registry.clock.instant() + BARRIER).await {
                tracing::warn!(controller = name, key = key.as_str(), %error, "the cache is behind");
            }
            (key, outcome)
        }));
    }

    fn judge(&self, key: &Key, result: Result<Next, Status>) -> Outcome {
        match result {
            Ok(Next::Done) => Outcome::Done,
            Ok(Next::After(wait)) => Outcome::After(wait),
            Err(status) => {
                let failures = self.queue.failures(key) + 1;
                // Someone else was faster, as happens; the newer state is on its way.
                if status.is_conflict() && failures == 1 {
                    tracing::debug!(controller = self.name, key = key.as_str(), "{}", status.message);
                } else {
                    tracing::warn!(controller = self.name, key = key.as_str(), failures, "{}", status.message);
                }
                let wait = status.details.as_ref().map_or(0, |details| details.retry_after);
                Outcome::Failed(Duration::from_secs(wait.into()))
            }
        }
    }
}

/// Until then; for ever when there is nothing to wait for.
async fn sleep(clock: &Clock, until: Option<Instant>) {
    match until {
        Some(until) => clock.sleep_until(until).await,
        None => std::future::pending().await,
    }
}
