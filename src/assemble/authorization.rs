//! The chain of authorizers that the flags ask for, and how it follows its file.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::core::span;
use super::identity::read;
use super::plane::StartError;
use crate::auth::authorizer::{Authorizer, Chain};
use crate::auth::configured::authorization::{Makers, WebhookFlags, check_modes, lasting, load};
use crate::auth::metrics::Metrics;
use crate::auth::rbac::Rbac;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::files::Files;
use crate::base::tasks::Tasks;
use crate::config::identity::AccessFlags;

/// The chain. A configuration file is followed by a task.
pub fn chain(
    flags: &AccessFlags,
    rbac: &Arc<Rbac>,
    node: Arc<dyn Authorizer>,
    (clock, entropy, metrics): (&Clock, &Entropy, &Metrics),
    tasks: &Tasks,
) -> Result<Chain, StartError> {
    let makers = Makers {
        metrics: metrics.clone(),
        rbac: rbac.clone(),
        node: Some(node),
        clock: clock.clone(),
        entropy: entropy.clone(),
    };
    let Some(path) = &flags.authorization_config else {
        let modes = flags.modes();
        check_modes(&modes, flags.authorization_webhook_config_file.is_some()).map_err(StartError::Flag)?;
        let webhook = webhook(flags)?;
        return Ok(Chain::of(makers.of_modes(&modes, webhook.as_ref()).map_err(StartError::Flag)?));
    };
    if flags.are_set() {
        let why = "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* \
                   flags are defined";
        return Err(StartError::Flag(why.into()));
    }
    let content = read(path)?;
    let configuration = load(&content, &[]).map_err(StartError::Flag)?;
    let chain = Chain::of(makers.links(&configuration).map_err(StartError::Flag)?);
    metrics.authorization_read(&content);
    let follower = Follower {
        path: path.clone(),
        current: content,
        required: lasting(&configuration),
        makers,
        chain: chain.clone(),
    };
    tasks.start("authorization-config", |stop| follower.run(stop));
    Ok(chain)
}

fn webhook(flags: &AccessFlags) -> Result<Option<WebhookFlags>, StartError> {
    let Some(kubeconfig) = flags.authorization_webhook_config_file.clone() else { return Ok(None) };
    let ttl = |flag: &str, given: &Option<String>, default: &str| span(flag, given.as_deref().unwrap_or(default));
    let (allowed, refused) =
        (&flags.authorization_webhook_cache_authorized_ttl, &flags.authorization_webhook_cache_unauthorized_ttl);
    Ok(Some(WebhookFlags {
        kubeconfig,
        version: flags.authorization_webhook_version.clone().unwrap_or_else(|| "v1beta1".into()),
        authorized_ttl: ttl("--authorization-webhook-cache-authorized-ttl", allowed, "5m0s")?,
        unauthorized_ttl: ttl("--authorization-webhook-cache-unauthorized-ttl", refused, "30s")?,
    }))
}

/// Makes the chain anew whenever its file says something else.
struct Follower {
    path: PathBuf,
    current: Vec<u8>,
    /// Types of authorizers that may not go.
    required: Vec<String>,
    makers: Makers,
    chain: Chain,
}

impl Follower {
    async fn run(mut self, stop: CancellationToken) {
        let mut files = Files::new([self.path.clone()]);
        loop {
            match read(&self.path) {
                Ok(content) if content != self.current => self.take(content),
                Ok(_) => {}
                Err(why) => tracing::error!(%why, "the authorization configuration cannot be read"),
            }
            if !files.changed(&stop).await {
                return;
            }
        }
    }

    fn take(&mut self, content: Vec<u8>) {
        let links = load(&content, &self.required).and_then(|configuration| self.makers.links(&configuration));
        self.makers.metrics.authorization_reloaded(links.is_ok(), self.makers.clock.now());
        match links {
            Ok(links) => {
                self.chain.replace(links);
                self.makers.metrics.authorization_read(&content);
                tracing::info!("the authorization configuration is read again");
            }
            Err(why) => tracing::error!(why, "the authorization configuration is wrong; the one before stays"),
        }
        self.current = content;
    }
}
