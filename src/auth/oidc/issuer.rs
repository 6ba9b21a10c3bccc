//! One issuer: its keys, what its tokens must say, and the users that come of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};

use super::distributed::Distributed;
use super::key_set::KeySet;
use super::mapping::Mapping;
use super::provider::discover;
use super::token::{Demands, untrusted_issuer};
use crate::auth::identity::User;
use crate::auth::metrics::Metrics;
use crate::auth::outward::access::Security;
use crate::auth::outward::client::Client;
use crate::auth::token::lookups::Lookups;
use crate::auth::token::remembered::{Remembered, digest_of};
use crate::base::clock::Clock;
use crate::model::gotext;
use crate::model::value::Value;

/// How often an issuer is asked for its configuration until it tells it.
const RETRY: Duration = Duration::from_secs(10);
/// How long a token that was accepted is so again without being looked at.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(10);
const AGENT: &str = "kube-apiserver";

/// Verifies the tokens of one issuer. It asks for the issuer's configuration on its own, and is healthy once it has it.
pub struct Issuer {
    url: String,
    discovery: String,
    demands: Arc<Demands>,
    mapping: Mapping,
    distributed: Option<Distributed>,
    client: Arc<Client>,
    clock: Clock,
    keys: ArcSwapOption<KeySet>,
    /// Why there are no keys yet.
    missing: Mutex<String>,
    accepted: Remembered<Accepted>,
    metrics: Metrics,
    lookups: Lookups,
}

/// A token that was accepted.
struct Accepted {
    user: User,
    until: Timestamp,
}

impl Issuer {
    /// Of one `jwt` item, which has been validated. It must be called within a runtime.
    pub fn start(
        jwt: &Value,
        algorithms: &[String],
        (clock, metrics): (&Clock, &Metrics),
    ) -> Result<Arc<Self>, String> {
        let (metrics, lookups) = (metrics.clone(), metrics.lookups(clock));
        let issuer = Arc::new(Self { metrics, lookups, ..Self::new(jwt, algorithms, clock)? });
        let weak = Arc::downgrade(&issuer);
        tokio::spawn(async move {
            loop {
                let Some(issuer) = weak.upgrade() else { return };
                if issuer.prepare().await {
                    return;
                }
                let clock = issuer.clock.clone();
                drop(issuer);
                clock.sleep(RETRY).await;
            }
        });
        Ok(issuer)
    }

    fn new(jwt: &Value, algorithms: &[String], clock: &Clock) -> Result<Self, String> {
        let issuer = &jwt["issuer"];
        let text = |name: &str| issuer[name].as_str().unwrap_or("");
        let authority = Some(text("certificateAuthority")).filter(|pem| !pem.is_empty());
        let security = Security::by_authorities(authority.map(str::as_bytes))?;
        let client = Arc::new(Client::new(Arc::new(security), AGENT));
        let audiences = issuer["audiences"].as_array().into_iter().flatten();
        let demands = Arc::new(Demands {
            issuer: text("url").to_owned(),
            audiences: audiences.filter_map(|audience| audience.as_str().map(str::to_owned)).collect(),
            algorithms: algorithms.to_vec(),
        });
        let mapping = Mapping::new(jwt)?;
        let groups = mapping.groups_claim();
        let distributed = (!groups.is_empty()).then(|| Distributed::new(groups, &client, &demands, clock));
        Ok(Self {
            url: text("url").to_owned(),
            discovery: text("discoveryURL").to_owned(),
            demands,
            mapping,
            distributed,
            client,
            clock: clock.clone(),
            keys: ArcSwapOption::empty(),
            missing: Mutex::new(format!(
                "oidc: authenticator for issuer {} is not initialized",
                gotext::quote(text("url"))
            )),
            accepted: Remembered::default(),
            metrics: Metrics::default(),
            lookups: Metrics::default().lookups(clock),
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Why its tokens cannot be verified yet.
    pub fn health(&self) -> Result<(), String> {
        if self.keys.load().is_some() {
            return Ok(());
        }
        let why = self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err(format!("oidc: authenticator for issuer {} is not healthy: {why}", gotext::quote(&self.url)))
    }

    /// Asks the issuer for its configuration. True when it told it.
    async fn prepare(&self) -> bool {
        match discover(&self.url, &self.discovery, &self.client, &self.clock).await {
            Ok(keys) => {
                self.keys.store(Some(Arc::new(keys.counted(&self.url, &self.metrics))));
                true
            }
            Err(why) => {
                tracing::error!(issuer = self.url, why, "an issuer of tokens does not tell its configuration");
                *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = why;
                false
            }
        }
    }

    /// The user whom a token names; `None` when it is of another issuer. Errors have stock's text.
    pub async fn authenticate(&self, token: &str) -> Result<Option<User>, String> {
        if untrusted_issuer(token).is_none_or(|issuer| issuer != self.url) {
            return Ok(None);
        }
        let (looking, digest, now) = (self.lookups.begin(), digest_of(token), self.clock.now());
        if let Some(known) = self.accepted.get(&digest).filter(|known| now < known.until) {
            looking.hit();
            return Ok(Some(known.user.clone()));
        }
        let (_missed, fetching) = (looking.missed(), self.lookups.fetch());
        let (user, expiry) = self.find_out(token, now).await?;
        fetching.done(true);
        let until = now.checked_add(REMEMBERED).unwrap_or(now).min(expiry);
        self.accepted.put(digest, Arc::new(Accepted { user: user.clone(), until }));
        Ok(Some(user))
    }

    /// The user whom a token of this issuer names, and until when.
    async fn find_out(&self, token: &str, now: Timestamp) -> Result<(User, Timestamp), String> {
        let keys = self.keys.load_full().ok_or("oidc: authenticator not initialized")?;
        let verified = self.demands.verify(token, &keys, now).await;
        let (mut claims, expiry) = verified.map_err(|why| format!("oidc: verify token: {why}"))?;
        if let Some(distributed) = &self.distributed {
            let expanded = distributed.expand(&mut claims).await;
            expanded.map_err(|why| format!("oidc: could not expand distributed claims: {why}"))?;
        }
        Ok((self.mapping.user(&claims)?.authenticated().into(), expiry))
    }
}
