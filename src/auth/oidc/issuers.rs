//! All issuers whose tokens are believed. They may be exchanged while the server runs.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use compact_str::CompactString;

use super::issuer::Issuer;
use crate::auth::authenticator::RemoteTokens;
use crate::auth::metrics::Metrics;
use crate::auth::token::verify::{Accepted, intersect, together};
use crate::base::clock::Clock;
use crate::model::value::Value;

pub use super::keys::ALGORITHMS;

/// New issuers must be ready within this time, or the old ones stay.
const READY: Duration = Duration::from_secs(60);
/// How often they are asked whether they are.
const ASK: Duration = Duration::from_millis(500);

/// The issuers as they are now.
pub struct Issuers {
    current: ArcSwap<Vec<Arc<Issuer>>>,
    algorithms: Vec<String>,
    clock: Clock,
    metrics: Metrics,
}

impl Issuers {
    /// Of a configuration that has been validated. `algorithms`: by which tokens may be signed.
    pub fn start(
        configuration: &Value,
        algorithms: &[String],
        (clock, metrics): (&Clock, &Metrics),
    ) -> Result<Self, String> {
        let current = ArcSwap::from_pointee(started(configuration, algorithms, (clock, metrics))?);
        Ok(Self { current, algorithms: algorithms.to_vec(), clock: clock.clone(), metrics: metrics.clone() })
    }

    /// Takes over another configuration once all of its issuers are ready; an error leaves everything as it is.
    pub async fn replace(&self, configuration: &Value) -> Result<(), String> {
        let fresh = started(configuration, &self.algorithms, (&self.clock, &self.metrics))?;
        let deadline = self.clock.instant() + READY;
        loop {
            let sick: Vec<String> = fresh.iter().filter_map(|issuer| issuer.health().err()).collect();
            if sick.is_empty() {
                self.current.store(Arc::new(fresh));
                return Ok(());
            }
            if self.clock.instant() >= deadline {
                return Err(together(&sick));
            }
            self.clock.sleep(ASK).await;
        }
    }

    /// Why some of them cannot verify tokens yet.
    pub fn health(&self) -> Result<(), String> {
        let sick: Vec<String> = self.current.load().iter().filter_map(|issuer| issuer.health().err()).collect();
        if sick.is_empty() { Ok(()) } else { Err(together(&sick)) }
    }
}

fn started(
    configuration: &Value,
    algorithms: &[String],
    grounds: (&Clock, &Metrics),
) -> Result<Vec<Arc<Issuer>>, String> {
    let all = configuration["jwt"].as_array().into_iter().flatten();
    all.map(|jwt| Issuer::start(jwt, algorithms, grounds)).collect()
}

#[async_trait]
impl RemoteTokens for Issuers {
    /// Such a token knows no audience of ours: it is for this server.
    async fn authenticate(
        &self,
        token: &str,
        wanted: &[CompactString],
        own: &Arc<[CompactString]>,
    ) -> Result<Option<Accepted>, String> {
        let audiences = if wanted == &**own { own.clone() } else { intersect(own, wanted) };
        if audiences.is_empty() && !wanted.is_empty() {
            return Ok(None);
        }
        for issuer in self.current.load_full().iter() {
            if let Some(user) = issuer.authenticate(token).await? {
                return Ok(Some(Accepted { user, audiences, notes: None }));
            }
        }
        Ok(None)
    }
}
