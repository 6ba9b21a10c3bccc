//! Many nodes in one process: they join a few at a time, then each goes its own way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::join::{JoinError, certificate};
use super::kubelet::Kubelet;
use super::machine::{Capacity, Machine};
use crate::base::backoff::Backoff;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::remote::access::{Access, Credential};
use crate::remote::api::Api;
use crate::schema::catalog::Catalog;

/// Nodes that join at the same time.
const TOGETHER: usize = 16;
/// Between attempts to join.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
const AGENT: &str = "kubelet";

/// Nodes `PREFIX0`, `PREFIX1`, ...
pub struct Fleet {
    pub count: u32,
    pub prefix: String,
    pub capacity: Capacity,
    /// By what they ask for their certificates.
    pub access: Access,
    pub clock: Clock,
    pub entropy: Entropy,
}

impl Fleet {
    /// Lets all nodes join, calls `joined`, and runs them until `stop`. Fails when one of them is refused.
    pub async fn run(&self, stop: CancellationToken, joined: impl FnOnce()) -> Result<(), JoinError> {
        let catalog = Arc::new(Catalog::builtin());
        let asking = Api::new(&self.access, &catalog, AGENT)?;
        let mut running = JoinSet::new();
        let joining = stream::iter(0..self.count).map(|number| self.join(number, &asking, &catalog));
        let mut joining = joining.buffer_unordered(TOGETHER);
        loop {
            let kubelet = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                kubelet = joining.try_next() => kubelet?,
            };
            let Some(kubelet) = kubelet else { break };
            running.spawn(kubelet.run(stop.clone()));
        }
        joined();
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a node failed");
            }
        }
        Ok(())
    }

    /// A node with its own certificate on its own connection. What may pass is tried again.
    async fn join(&self, number: u32, asking: &Api, catalog: &Arc<Catalog>) -> Result<Kubelet, JoinError> {
        let machine = Machine::new(&self.prefix, number, &self.capacity, &self.entropy);
        let mut failures = 0;
        loop {
            match self.attempt(&machine, asking, catalog).await {
                Err(error) if error.is_passing() => {
                    failures += 1;
                    tracing::warn!(node = machine.name, %error, "a node cannot join yet");
                    self.clock.sleep(self.entropy.jitter(RETRY.after(failures), 0.5)).await;
                }
                other => return other,
            }
        }
    }

    async fn attempt(&self, machine: &Machine, asking: &Api, catalog: &Arc<Catalog>) -> Result<Kubelet, JoinError> {
        let leaf = certificate(asking, &machine.name).await?;
        let api = Api::new(&self.access.with(Credential::Certificate(leaf)), catalog, AGENT)?;
        Ok(Kubelet::register(api, machine.clone(), &self.clock, &self.entropy).await?)
    }
}
