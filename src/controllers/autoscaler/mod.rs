//! HorizontalPodAutoscalers: as many pods as their metrics call for.
//!
//! What is measured is asked of the metrics APIs, which other servers serve (`metrics::Metrics`).
//!
//! In reading order: this page (whom a change concerns), `run` (one run), `measure` (what each metric calls for), `metrics`
//! (the metrics APIs), `replicas` (from usage to a number), `limits` (how fast that may change).

mod limits;
mod measure;
pub mod metrics;
mod replicas;
mod run;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::value::Value;
use async_trait::async_trait;

use self::limits::Memory;
use self::metrics::Metrics;
use super::config::Config;
use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::item::Item;
use super::resources::{AUTOSCALERS, PODS};
use crate::cache::object::Object;
use crate::model::status::Result;

/// Settings of the controller. The default is stock's.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--horizontal-pod-autoscaler-sync-period`: how often what is measured is asked for.
    pub period: Duration,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`: for how long a higher recommendation holds.
    pub downscale_stabilization: Duration,
    /// `--horizontal-pod-autoscaler-tolerance`: the part of the target by which usage may differ from it.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`: how long a pod's CPU is taken for that of its start.
    pub cpu_initialization: Duration,
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`: by when a pod is ready, if it was not ready at once.
    pub initial_readiness: Duration,
    /// Who measures.
    pub metrics: Arc<dyn Metrics>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(15),
            downscale_stabilization: Duration::from_secs(5 * 60),
            tolerance: 0.1,
            cpu_initialization: Duration::from_secs(5 * 60),
            initial_readiness: Duration::from_secs(30),
            metrics: Arc::new(metrics::Nobody),
        }
    }
}

/// Key: an autoscaler.
pub struct Autoscalers {
    settings: Settings,
    /// By autoscaler: what it wanted and did lately. Bounded by the number of autoscalers.
    memory: Mutex<HashMap<String, Memory>>,
}

impl Autoscalers {
    pub fn new(config: &Config) -> Self {
        Self { settings: config.autoscaler.clone(), memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Controller for Autoscalers {
    fn follows(&self) -> Follows {
        Follows::these(&[&AUTOSCALERS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_deleted() {
            self.memory().remove(change.key().as_str());
        } else if spec_changed(change) {
            keys.add(change.key().as_str());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&AUTOSCALERS, &PODS])?;
        let shelf = cut.shelf(&AUTOSCALERS);
        let Some(scaler) = Item::find_key(shelf, key)? else {
            return Ok(Next::Done);
        };
        let run = run::Run { cx, settings: &self.settings, memory: &self.memory, pods: cut.shelf(&PODS), key };
        if let Err(status) = run.reconcile(scaler).await {
            // It is tried again as often as all are, whatever the reason.
            tracing::debug!(autoscaler = key, "{}", status.message);
        }
        Ok(Next::After(self.settings.period))
    }
}

/// A status says only what its own runs have found.
fn spec_changed(change: &Change<'_>) -> bool {
    let spec =
        |object: &Arc<Object>| -> Option<Value> { Some(object.to_value(&change.storage.shape).ok()?["spec"].take()) };
    match (change.previous, change.current) {
        (Some(before), Some(after)) => spec(before) != spec(after),
        _ => true,
    }
}
