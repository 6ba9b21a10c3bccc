//! What the objects of a namespace cost one quota: each object's part, and the sums.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::admission::plugins::resource_quota::usage::Meter;
use crate::admission::pod::{Amounts, add};
use crate::cache::handle::Snapshot;
use crate::cache::object::{Key, Object};
use crate::cache::shelf::Shelf;
use crate::controllers::harness::Change;
use crate::controllers::item::{Item, time};
use crate::model::names::GroupResource;
use crate::model::quantity::{Format, Quantity};
use crate::model::revision::Revision;
use crate::model::time::Time;
use crate::model::value::{Value, json};

/// Bounded by the number of objects that the quota counts.
pub struct Ledger {
    /// The quota's.
    pub name: String,
    uid: String,
    spec: Value,
    /// Names that are counted and allowed by the quota.
    hard: Vec<String>,
    /// The state that was counted; older changes are in it.
    revision: Revision,
    pub counted: Instant,
    parts: HashMap<GroupResource, HashMap<Key, Part>>,
    pub sums: Amounts,
}

struct Part {
    revision: Revision,
    cost: Amounts,
}

/// What a change did to the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    No,
    Up,
    /// Some at least.
    Down,
}

impl Ledger {
    /// Counts a namespace.
    pub fn count(quota: &Item, snapshot: &Snapshot, now: Time, at: Instant) -> Self {
        let hard = quota.spec()["hard"].as_object().into_iter().flatten().map(|(name, _)| name.to_string()).collect();
        let mut ledger = Self {
            name: quota.name().to_owned(),
            uid: quota.uid().to_owned(),
            spec: quota.spec().clone(),
            hard,
            revision: snapshot.revision,
            counted: at,
            parts: HashMap::new(),
            sums: Amounts::new(),
        };
        for shelf in &snapshot.shelves {
            let name = &shelf.storage.shelf;
            let meter = Meter::of_resource(&name.group, &name.resource).filter(|meter| ledger.counts(meter));
            if let Some(meter) = meter {
                ledger.count_shelf(quota.namespace(), shelf, &meter, now);
            }
        }
        ledger
    }

    fn count_shelf(&mut self, namespace: &str, shelf: &Shelf, meter: &Meter, now: Time) {
        let zero = Quantity::from_i64(0, Format::DecimalSi);
        for name in self.hard.iter().filter(|name| meter.counts(name)) {
            self.sums.entry(name.clone()).or_insert_with(|| zero.clone());
        }
        let mut parts = HashMap::new();
        for object in shelf.iter(Some(namespace)) {
            let Ok(value) = object.to_value(&shelf.storage.shape) else { continue };
            let cost = self.cost(meter, &value, now);
            add(&mut self.sums, &cost);
            parts.insert(object.key.clone(), Part { revision: object.revision, cost });
        }
        self.parts.insert(shelf.storage.shelf.clone(), parts);
    }

    /// Whether it is of this quota, with this spec.
    pub fn is_of(&self, quota: &Item) -> bool {
        self.uid == quota.uid() && self.spec == *quota.spec()
    }

    pub fn counts(&self, meter: &Meter) -> bool {
        self.hard.iter().any(|name| meter.counts(name))
    }

    /// Takes a change in, unless it is in already.
    pub fn hear(&mut self, meter: &Meter, change: &Change<'_>) -> Moved {
        let known = self.parts.get(&change.storage.shelf).and_then(|parts| parts.get(change.key()));
        let Some(current) = change.current else {
            let is_same = known.zip(change.previous).is_some_and(|(known, last)| known.revision <= last.revision);
            return if is_same { self.put(change, None) } else { Moved::No };
        };
        let is_news = current.revision > known.map_or(self.revision, |known| known.revision);
        if !is_news || known.is_some() && !matters(meter, change, current) {
            return Moved::No;
        }
        let Ok(value) = current.to_value(&change.storage.shape) else { return Moved::No };
        let cost = self.cost(meter, &value, change.registry.now());
        self.put(change, Some(Part { revision: current.revision, cost }))
    }

    fn put(&mut self, change: &Change<'_>, part: Option<Part>) -> Moved {
        let parts = self.parts.entry(change.storage.shelf.clone()).or_default();
        let mut difference = part.as_ref().map(|part| part.cost.clone()).unwrap_or_default();
        let before = match part {
            Some(part) => parts.insert(change.key().clone(), part),
            None => parts.remove(change.key()),
        };
        for (name, amount) in before.map(|part| part.cost).unwrap_or_default() {
            let mut less = amount;
            less.neg();
            add(&mut difference, &Amounts::from([(name, less)]));
        }
        add(&mut self.sums, &difference);
        match difference.values().map(Quantity::sign).min() {
            Some(-1) => Moved::Down,
            _ if difference.values().any(|amount| amount.sign() > 0) => Moved::Up,
            _ => Moved::No,
        }
    }

    /// What an object costs of what the quota names.
    fn cost(&self, meter: &Meter, object: &Value, now: Time) -> Amounts {
        if !meter.is_in_scope(&json!({"spec": self.spec}), object) {
            return Amounts::new();
        }
        let mut cost = match *meter == Meter::Pods && is_stuck(object, now) {
            true => Meter::ended_pod(),
            false => meter.usage(object),
        };
        cost.retain(|name, _| self.hard.iter().any(|known| known == name));
        cost
    }
}

/// A pod whose time to end is over counts no more: its node may be lost.
fn is_stuck(pod: &Value, now: Time) -> bool {
    let meta = &pod["metadata"];
    let (since, grace) = (time(&meta["deletionTimestamp"]), meta["deletionGracePeriodSeconds"].as_i64());
    since.zip(grace).is_some_and(|(since, grace)| now > Time { seconds: since.seconds + grace, ..since })
}

/// Whether another state of an object can cost something else.
fn matters(meter: &Meter, change: &Change<'_>, current: &Object) -> bool {
    let Some(previous) = change.previous else { return true };
    match meter {
        Meter::Count(_) => false,
        // Its spec, or whether it has ended.
        Meter::Pods => {
            let seen = |pod: &Object| {
                let view = change.view(pod)?;
                let has_ended = matches!(view.at("status").text("phase"), "Succeeded" | "Failed");
                Some((view.at("metadata").number("generation"), has_ended))
            };
            seen(previous) != seen(current)
        }
        _ => true,
    }
}
