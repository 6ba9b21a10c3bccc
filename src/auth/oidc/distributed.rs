//! Claims that do not stand in the token but lie elsewhere (OpenID Connect Core 1.0, 5.6.2): groups too many for a header.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::key_set::KeySet;
use super::provider::{BOUNDS, discover, status_text};
use super::token::{Demands, untrusted_issuer};
use crate::auth::outward::client::Client;
use crate::base::clock::Clock;
use crate::model::gotext;
use crate::model::value::Value;

/// Issuers of such claims whose keys are kept; a token cannot make the server know more.
const ISSUERS: usize = 64;
/// Bytes of what lies elsewhere; a token is no longer.
const LONGEST: usize = 64 * 1024;

/// Fetches one claim for the tokens that say where it lies.
pub(super) struct Distributed {
    claim: String,
    client: Arc<Client>,
    demands: Arc<Demands>,
    clock: Clock,
    keys: Mutex<HashMap<String, Arc<KeySet>>>,
}

impl Distributed {
    pub(super) fn new(claim: &str, client: &Arc<Client>, demands: &Arc<Demands>, clock: &Clock) -> Self {
        Self {
            claim: claim.to_owned(),
            client: client.clone(),
            demands: demands.clone(),
            clock: clock.clone(),
            keys: Mutex::default(),
        }
    }

    /// Adds the claim, where it is missing and the token says from where to get it. The token has been verified: where it
    /// points to is where its issuer wants us to go.
    pub(super) async fn expand(&self, claims: &mut Value) -> Result<(), String> {
        let claim = self.claim.as_str();
        if claims.get(claim).is_some() || claims.get("_claim_names").is_none() {
            return Ok(());
        }
        let sources = claims.get("_claim_sources").ok_or("oidc: no claim sources")?;
        let Some(source) = claims["_claim_names"][claim].as_str() else { return Ok(()) };
        let Some(place) = sources.get(source) else {
            return Err(format!("id token _claim_names contained a source {source} missing in _claims_sources"));
        };
        let (endpoint, bearer) = (&place["endpoint"], place["access_token"].as_str().unwrap_or(""));
        let Some(endpoint) = endpoint.as_str().filter(|endpoint| !endpoint.is_empty()) else { return Ok(()) };
        let value = self.resolve(endpoint, bearer).await?;
        if let Some(map) = claims.as_object_mut() {
            map.insert(claim.into(), value);
        }
        Ok(())
    }

    async fn resolve(&self, endpoint: &str, bearer: &str) -> Result<Value, String> {
        let claim = gotext::quote(&self.claim);
        let failed = |why: &str| format!("while getting distributed claim {claim}: {why}");
        let answer = self.client.get(endpoint, bearer, BOUNDS).await.map_err(|why| failed(&why.text))?;
        if !answer.status.is_success() {
            let status = status_text(answer.status);
            return Err(failed(&format!("error while getting distributed claim JWT: {status}")));
        }
        let token = std::str::from_utf8(&answer.body).ok().filter(|token| token.len() <= LONGEST);
        let token = token.ok_or_else(|| failed("could not decode distributed claim response"))?;
        let issuer = untrusted_issuer(token).ok_or_else(|| {
            format!("getting untrusted issuer from endpoint {endpoint} failed for claim {claim}: malformed token")
        })?;
        let keys = self.keys(&issuer).await;
        let keys = keys.map_err(|why| format!("verifying untrusted issuer {issuer} failed: {why}"))?;
        let demands =
            Demands { issuer, audiences: self.demands.audiences.clone(), algorithms: self.demands.algorithms.clone() };
        let verified = demands.verify(token, &keys, self.clock.now()).await;
        let (mut claims, _) = verified.map_err(|why| format!("verify distributed claim token: {why}"))?;
        let found = claims.as_object_mut().and_then(|map| map.remove(self.claim.as_str()));
        found.ok_or_else(|| {
            format!(
                "jwt returned by distributed claim endpoint {} did not contain claim: {}",
                gotext::quote(endpoint),
                self.claim
            )
        })
    }

    async fn keys(&self, issuer: &str) -> Result<Arc<KeySet>, String> {
        if let Some(keys) = self.keys.lock().await.get(issuer) {
            return Ok(keys.clone());
        }
        let keys = Arc::new(discover(issuer, "", &self.client, &self.clock).await?);
        let mut known = self.keys.lock().await;
        if known.len() >= ISSUERS {
            known.clear();
        }
        known.insert(issuer.to_owned(), keys.clone());
        Ok(keys)
    }
}
