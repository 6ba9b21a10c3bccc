//! ResourceQuotas: what a namespace uses of what it may have. Admission charges what is created; here is counted what
//! there is, and given back what is gone.
//!
//! A namespace is counted once for each state of its quota's spec; then each change moves the sums.
//!
//! In reading order: `ledger` (what the objects of a namespace cost), this page (whom a change concerns, and one run).

mod ledger;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::ledger::{Ledger, Moved};
use super::config::Config;
use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::item::{Item, view};
use super::resources::QUOTAS;
use crate::admission::plugins::resource_quota::usage::{Meter, to_map};
use crate::admission::pod::of_map;
use crate::cache::object::Object;
use crate::model::quantity::Quantity;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Value, json};
use crate::registry::core::Registry;

/// Key: a quota.
pub struct ResourceQuotas {
    /// How long sums are trusted: pods that hang on their way out stop counting without a change.
    resync: Duration,
    /// By namespace, one for each quota that has been counted.
    ledgers: Mutex<HashMap<String, Vec<Ledger>>>,
}

impl ResourceQuotas {
    pub fn new(config: &Config) -> Self {
        Self { resync: config.quota_resync, ledgers: Mutex::default() }
    }

    fn ledgers(&self) -> MutexGuard<'_, HashMap<String, Vec<Ledger>>> {
        self.ledgers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Controller for ResourceQuotas {
    fn follows(&self) -> Follows {
        Follows::All
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&QUOTAS) {
            if change.is_deleted() {
                self.forget(change.namespace(), change.name());
            } else if hard_changed(change) {
                keys.add(change.key().as_str());
            }
        }
        let mut all = self.ledgers();
        let Some(ledgers) = all.get_mut(change.namespace()).filter(|_| !change.namespace().is_empty()) else { return };
        let shelf = &change.storage.shelf;
        let Some(meter) = Meter::of_resource(&shelf.group, &shelf.resource) else { return };
        for ledger in ledgers.iter_mut().filter(|ledger| ledger.counts(&meter)) {
            let is_due = match ledger.hear(&meter, change) {
                Moved::No => false,
                Moved::Down => true,
                // What was created has been charged already, unless it was given back too early.
                Moved::Up => exceeds(change.registry, change.namespace(), ledger),
            };
            if is_due {
                keys.add_named(change.namespace(), &ledger.name);
            }
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&QUOTAS])?;
        let shelf = cut.shelf(&QUOTAS);
        let Some(mut quota) = Item::find_key(shelf, key)? else {
            return Ok(Next::Done);
        };
        let (sums, next) = self.sums(cx, &quota);
        let hard = of_map(&quota.spec()["hard"]);
        let (told_hard, told) = (of_map(&quota.status()["hard"]), of_map(&quota.status()["used"]));
        let mut used = told.clone();
        used.extend(sums);
        used.retain(|name, _| hard.contains_key(name));
        let is_told = quota.status()["hard"].is_object() && quota.status()["used"].is_object();
        if is_told && told_hard == hard && told == used {
            return Ok(next);
        }
        quota.value["status"] = json!({"hard": quota.spec()["hard"], "used": to_map(&used)});
        cx.update(quota.target().part("status"), &quota.value).await.unless_gone().map(|_| next)
    }
}

impl ResourceQuotas {
    /// What the namespace uses now, and when it is to be counted anew. It is counted while no change can be heard, so
    /// that none is lost between.
    fn sums(&self, cx: &Cx, quota: &Item) -> (crate::admission::pod::Amounts, Next) {
        let now = cx.plane.registry.clock.instant();
        let mut all = self.ledgers();
        let ledgers = all.entry(quota.namespace().to_owned()).or_default();
        let known = ledgers.iter().position(|ledger| ledger.is_of(quota));
        let known = known.filter(|at| now.saturating_duration_since(ledgers[*at].counted) < self.resync);
        let at = known.unwrap_or_else(|| {
            ledgers.retain(|ledger| ledger.name != quota.name());
            ledgers.push(Ledger::count(quota, &cx.cache().snapshot_all(), cx.now(), now));
            ledgers.len() - 1
        });
        let age = now.saturating_duration_since(ledgers[at].counted);
        (ledgers[at].sums.clone(), Next::After(self.resync.saturating_sub(age)))
    }

    fn forget(&self, namespace: &str, name: &str) {
        let mut all = self.ledgers();
        if let Some(ledgers) = all.get_mut(namespace) {
            ledgers.retain(|ledger| ledger.name != name);
            if ledgers.is_empty() {
                all.remove(namespace);
            }
        }
    }
}

/// Whether it is new, or what it allows is.
fn hard_changed(change: &Change<'_>) -> bool {
    let (Some(before), Some(after)) = (change.previous, change.current) else { return true };
    let hard = |quota: &Object| -> Option<Vec<(String, String)>> {
        let quantities = change.view(quota)?.at("spec").quantities("hard");
        Some(quantities.into_iter().map(|(name, amount)| (name.to_owned(), amount.to_owned())).collect())
    };
    hard(before) != hard(after)
}

/// Whether there is more than the quota says.
fn exceeds(registry: &Registry, namespace: &str, ledger: &Ledger) -> bool {
    let Ok(snapshot) = registry.cache.snapshot(&[&QUOTAS.full]) else { return false };
    let Some(quota) = snapshot.shelves[0].get(namespace, &ledger.name) else { return false };
    let Some(status) = view(&snapshot.shelves[0], quota).map(|view| view.at("status")) else { return false };
    let used = status.quantities("used");
    let said = |name: &str| {
        let (_, amount) = used.iter().find(|(known, _)| *known == name)?;
        Quantity::from_value(&Value::from(*amount)).ok()
    };
    ledger.sums.iter().any(|(name, sum)| said(name).is_none_or(|said| *sum > said))
}
