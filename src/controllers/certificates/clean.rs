//! Deletes requests that are done or that nobody answers.

use std::time::Duration;

use async_trait::async_trait;

use super::request::{APPROVED, DENIED, FAILED, certificate};
use crate::controllers::conditions;
use crate::controllers::harness::{Change, Controller, Cx, Follows, Keys, Next};
use crate::controllers::item::{Item, time, until};
use crate::controllers::resources::SIGNING_REQUESTS;
use crate::model::status::{Outcome, Result};
use crate::model::time::Time;
use crate::pki::certificate::Certificate;
use crate::registry::options::DeleteOptions;

/// How long answers are kept.
const ANSWERED: i64 = 3600;
/// How long is waited for one.
const PENDING: i64 = 24 * 3600;

/// Key: a request.
pub struct Cleaner;

#[async_trait]
impl Controller for Cleaner {
    fn follows(&self) -> Follows {
        Follows::these(&[&SIGNING_REQUESTS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if !change.is_deleted() {
            keys.add(change.name());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&SIGNING_REQUESTS])?;
        let Some(csr) = Item::find(cut.shelf(&SIGNING_REQUESTS), "", key)? else { return Ok(Next::Done) };
        let (Some(end), now) = (end(&csr), cx.now()) else { return Ok(Next::Done) };
        let left = until(end, now);
        if left > Duration::ZERO {
            return Ok(Next::After(left));
        }
        cx.delete(csr.target(), &DeleteOptions::default()).await.unless_gone().map(|_| Next::Done)
    }
}

/// When a request is of no more use.
fn end(csr: &Item) -> Option<Time> {
    let later = |time: Time, seconds: i64| Time { seconds: time.seconds + seconds, ..time };
    let said = conditions::all(csr.status());
    if said.is_empty() {
        return time(&csr.value["metadata"]["creationTimestamp"]).map(|created| later(created, PENDING));
    }
    let certificate = certificate(csr);
    let ends = said.iter().filter_map(|condition| {
        let kept = match condition["type"].as_str()? {
            DENIED | FAILED => ANSWERED,
            APPROVED if certificate.is_some() => ANSWERED,
            APPROVED => PENDING,
            _ => return None,
        };
        time(&condition["lastUpdateTime"]).map(|at| later(at, kept))
    });
    let is_approved = said.iter().any(|condition| condition["type"] == APPROVED);
    let expires = certificate.as_ref().filter(|_| is_approved).and_then(|pem| expiration(pem));
    ends.chain(expires).min()
}

fn expiration(pem: &[u8]) -> Option<Time> {
    let seconds = Certificate::all_from_pem(pem).ok()?.first()?.not_after.as_second();
    Some(Time { seconds, nanos: 0 })
}
