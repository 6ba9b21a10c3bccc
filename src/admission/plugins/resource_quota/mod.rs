//! ResourceQuota: what a namespace may have altogether. What a request costs is added to the quotas' status before the
//! request is let through, so that no two requests spend the same; the quota controller gives back what was not spent.
//!
//! In reading order: `usage` (what an object costs), `limited` (what must be counted by a quota), then this page (the decision and the charge).

mod limited;
pub mod usage;

use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use tokio::sync::Mutex;

use self::limited::{Covered, Limited};
use self::usage::{Meter, to_map};
use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{self, Amounts};
use crate::admission::reads::Reads;
use crate::model::object;
use crate::model::quantity::{Format, Quantity};
use crate::model::status::Result;
use crate::model::value::Value;

/// Namespaces whose quotas can be charged at once.
const LANES: usize = 32;
/// How often a charge starts over because somebody else wrote the quota meanwhile.
const MAX_ROUNDS: usize = 4;

pub struct ResourceQuota {
    reads: Reads,
    limited: Limited,
    /// One request of a namespace at a time; namespaces share lanes by their hash.
    lanes: [Mutex<()>; LANES],
}

impl ResourceQuota {
    pub fn new(reads: &Reads) -> std::result::Result<Self, String> {
        let limited = Limited::read(reads.configurations.get("ResourceQuota"))?;
        Ok(Self { reads: reads.clone(), limited, lanes: Default::default() })
    }

    /// Refuses what needs a quota and has none.
    fn cover(&self, a: &Attributes<'_>, meter: &Meter, quotas: &[Value], new: &Value) -> Result<()> {
        let mut covered = Covered::default();
        for quota in quotas {
            let hard = pod::of_map(&quota["status"]["hard"]).into_keys();
            let names: Vec<String> = hard.filter(|name| meter.counts(name)).collect();
            covered.add(quota, if meter.is_in_scope(quota, new) { &names } else { &[] }, meter, new);
        }
        self.limited.check(a, meter, &meter.usage(new), &covered, new)
    }

    fn lane(&self, namespace: &str) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        namespace.hash(&mut hasher);
        &self.lanes[(hasher.finish() % LANES as u64) as usize]
    }

    /// Charges every quota that counts the object, or none when one refuses.
    async fn charge(&self, a: &Attributes<'_>, meter: &Meter, new: &Value) -> Result<()> {
        let mut charged: Vec<String> = Vec::new();
        for round in 1..=MAX_ROUNDS {
            self.reads.fresh().await?;
            let mut quotas = self.reads.list("", "resourcequotas", a.namespace)?;
            if round == 1 && self.limited.limits(a) {
                self.cover(a, meter, &quotas, new)?;
            }
            quotas.retain(|quota| !charged.iter().any(|name| name == object::name(quota)));
            let mut changed = Vec::new();
            for quota in quotas {
                changed.extend(spend(a, meter, quota, new)?);
            }
            if a.dry_run {
                return Ok(());
            }
            let mut refused = None;
            for quota in changed {
                let name = object::name(&quota).to_owned();
                match self.reads.charges.charge(quota).await {
                    Ok(()) => charged.push(name),
                    Err(status) if (status.is_conflict() || status.is_not_found()) && round < MAX_ROUNDS => {
                        refused = Some(status);
                    }
                    Err(status) => return Err(status),
                }
            }
            if refused.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Plugin for ResourceQuota {
    fn name(&self) -> &'static str {
        "ResourceQuota"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        !a.namespace.is_empty() && !a.is_any("", "namespaces") && (a.creates() || a.updates())
    }

    async fn validate(&self, a: &mut Attributes<'_>, new: Option<&Value>) -> Result<()> {
        let Some(new) = new else { return Ok(()) };
        let shelf = self.reads.shelf("", "resourcequotas")?;
        if shelf.iter(Some(a.namespace)).next().is_none() && !self.limited.limits(a) {
            return Ok(());
        }
        let Some(meter) = Meter::of(a, new) else { return Ok(()) };
        let _lane = self.lane(a.namespace).lock().await;
        self.charge(a, &meter, new).await
    }
}

/// The quota with the object's cost added; `None` when it costs it nothing.
fn spend(a: &Attributes<'_>, meter: &Meter, mut quota: Value, new: &Value) -> Result<Option<Value>> {
    let (hard, used) = (pod::of_map(&quota["status"]["hard"]), pod::of_map(&quota["status"]["used"]));
    let names: Vec<String> = hard.keys().filter(|name| meter.counts(name)).cloned().collect();
    if names.is_empty() || !meter.is_in_scope(&quota, new) {
        return Ok(None);
    }
    let name = object::name(&quota);
    if let Some(why) = meter.demand(&names, new) {
        return Err(a.forbid(format!("failed quota: {name}: {why}")));
    }
    if names.iter().any(|name| !used.contains_key(name)) {
        return Err(a.forbid(format!("status unknown for quota: {name}, resources: {}", names.join(","))));
    }
    let usage = meter.usage(new);
    let negative: Vec<&str> =
        usage.iter().filter(|(_, amount)| amount.sign() < 0).map(|(name, _)| name.as_str()).collect();
    if !negative.is_empty() {
        return Err(a.forbid(format!("quota usage is negative for resource(s): {}", negative.join(","))));
    }
    let before = a.old.filter(|old| a.updates() && meter.is_in_scope(&quota, old)).map(|old| meter.usage(old));
    let mut cost = more_than(usage, &before.unwrap_or_default());
    cost.retain(|name, _| hard.contains_key(name));
    if cost.is_empty() {
        return Ok(None);
    }
    let mut total = used.clone();
    pod::add(&mut total, &cost);
    if a.subresource != "status" {
        let over: Vec<&String> = cost.keys().filter(|name| total[*name] > hard[*name]).collect();
        if !over.is_empty() {
            let shown = |amounts: &Amounts| {
                let parts = over.iter().filter_map(|name| Some(format!("{name}={}", amounts.get(*name)?)));
                parts.collect::<Vec<_>>().join(",")
            };
            return Err(a.forbid(format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                shown(&cost),
                shown(&used),
                shown(&hard)
            )));
        }
    }
    quota["status"]["used"] = Value::Object(to_map(&total));
    Ok(Some(quota))
}

/// What of `usage` was not there before.
fn more_than(mut usage: Amounts, before: &Amounts) -> Amounts {
    for (name, amount) in &mut usage {
        if let Some(before) = before.get(name) {
            amount.sub(before);
        }
    }
    let zero = Quantity::from_i64(0, Format::DecimalSi);
    usage.retain(|_, amount| *amount > zero);
    usage
}
