//! The keys of an issuer: fetched when they are first needed, kept as long as the issuer says, and fetched anew when a token
//! names one that is not among them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::keys::{Jwk, key_set};
use super::provider::{BOUNDS, status_text};
use crate::auth::metrics::Metrics;
use crate::auth::outward::client::Client;
use crate::auth::token::jws::Jws;
use crate::base::clock::Clock;

/// Keys that expire within this time count as expired.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);
/// However many tokens name unknown keys, the issuer is asked no more often.
const PAUSE: Duration = Duration::from_secs(1);
const UNVERIFIED: &str = "failed to verify id token signature";

pub(super) struct KeySet {
    url: String,
    client: Arc<Client>,
    clock: Clock,
    held: ArcSwap<Held>,
    /// Held while the keys are fetched; when that ended last.
    fetching: Mutex<Option<Instant>>,
    /// Where fetches are counted, under this issuer.
    counted: Option<(String, Metrics)>,
}

struct Held {
    keys: Vec<Jwk>,
    expires: Timestamp,
    /// How often they were fetched.
    round: u64,
}

impl KeySet {
    pub(super) fn new(url: &str, client: Arc<Client>, clock: Clock) -> Self {
        let held = ArcSwap::from_pointee(Held { keys: Vec::new(), expires: Timestamp::MIN, round: 0 });
        Self { url: url.to_owned(), client, clock, held, fetching: Mutex::new(None), counted: None }
    }

    pub(super) fn counted(self, issuer: &str, metrics: &Metrics) -> Self {
        Self { counted: Some((issuer.to_owned(), metrics.clone())), ..self }
    }

    /// Whether one of the keys signed this. The keys that are held are tried whether they have expired or not, so that the
    /// issuer may be away for a while.
    pub(super) async fn verify(&self, jws: &Jws<'_>) -> Result<(), String> {
        let held = self.held.load_full();
        if held.verifies(jws) {
            return Ok(());
        }
        if self.clock.now() + MARGIN <= held.expires {
            return Err(UNVERIFIED.into());
        }
        let fresh = self.fetch(held.round).await.map_err(|why| format!("fetching keys {why}"))?;
        if fresh.verifies(jws) { Ok(()) } else { Err(UNVERIFIED.into()) }
    }

    /// Keys that are newer than those of `round`. Who comes while others fetch gets what they got.
    async fn fetch(&self, round: u64) -> Result<Arc<Held>, String> {
        let mut last = self.fetching.lock().await;
        let held = self.held.load_full();
        let rests = last.is_some_and(|ended| self.clock.instant() - ended < PAUSE);
        if held.round > round || (rests && held.round > 0) {
            return Ok(held);
        }
        let fetched = self.ask(held.round).await;
        *last = Some(self.clock.instant());
        if let Some((issuer, metrics)) = &self.counted {
            metrics.keys_fetched(issuer, fetched.is_ok(), self.clock.now());
        }
        let held = Arc::new(fetched?);
        self.held.store(held.clone());
        Ok(held)
    }

    async fn ask(&self, round: u64) -> Result<Held, String> {
        let answer = self.client.get(&self.url, "", BOUNDS).await;
        let answer = answer.map_err(|why| format!("oidc: get keys failed {}", why.text))?;
        let body = String::from_utf8_lossy(&answer.body);
        if answer.status != http::StatusCode::OK {
            return Err(format!("oidc: get keys failed: {} {body}", status_text(answer.status)));
        }
        let keys = key_set(&answer.body).map_err(|why| format!("oidc: failed to decode keys: {why} {body}"))?;
        let expires = expiry(&answer.headers, self.clock.now());
        Ok(Held { keys, expires, round: round + 1 })
    }
}

impl Held {
    fn verifies(&self, jws: &Jws<'_>) -> bool {
        let id = jws.key_id();
        self.keys.iter().filter(|key| id.is_empty() || key.id == id).any(|key| key.signed(jws))
    }
}

/// Until when a shared cache may keep the answer (RFC 9111); `now` when it may not, or when that is not said.
fn expiry(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok()).unwrap_or("");
    let (mut shared, mut own) = (None, None);
    for directive in text(CACHE_CONTROL).split(',').map(|directive| directive.trim().to_ascii_lowercase()) {
        let (name, value) = directive.split_once('=').unwrap_or((&directive, ""));
        let seconds = || value.trim_matches('"').parse::<u32>().ok();
        match name {
            "no-store" | "no-cache" | "private" => return now,
            "s-maxage" => shared = seconds(),
            "max-age" => own = seconds(),
            _ => {}
        }
    }
    let after = |seconds: i64| now.checked_add(SignedDuration::from_secs(seconds.max(0))).unwrap_or(now);
    if let Some(seconds) = shared.or(own) {
        let age: u32 = text(AGE).parse().unwrap_or(0);
        return after(i64::from(seconds) - i64::from(age));
    }
    let time = |name| jiff::fmt::rfc2822::parse(text(name)).ok().map(|time| time.timestamp());
    match time(EXPIRES) {
        Some(expires) => {
            after(expires.as_second().saturating_sub(time(DATE).map_or(now.as_second(), |date| date.as_second())))
        }
        None => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_as_long_as_the_issuer_says() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let kept = |headers: &[(&'static str, &'static str)]| {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            };
            expiry(&headers.iter().map(pair).collect(), now).as_second() - now.as_second()
        };
        assert_eq!(kept(&[]), 0);
        assert_eq!(kept(&[("cache-control", "public, max-age=3600")]), 3600);
        assert_eq!(kept(&[("cache-control", "max-age=3600, s-maxage=60"), ("age", "20")]), 40);
        assert_eq!(kept(&[("cache-control", "max-age=10"), ("age", "20")]), 0);
        assert_eq!(kept(&[("cache-control", "no-store, max-age=3600")]), 0);
        assert_eq!(kept(&[("cache-control", "private, max-age=3600")]), 0);
        assert_eq!(kept(&[("cache-control", "max-age=99999999999999")]), 0);
        assert_eq!(kept(&[("expires", "Thu, 01 Jan 2026 00:05:00 GMT")]), 300);
        let dated = [("expires", "Thu, 01 Jan 2026 01:05:00 GMT"), ("date", "Thu, 01 Jan 2026 01:00:00 GMT")];
        assert_eq!(kept(&dated), 300);
        assert_eq!(kept(&[("expires", "0")]), 0);
    }
}
