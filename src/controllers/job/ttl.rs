//! Deletes jobs some time after they have ended, those that say so.

use std::time::Duration;

use async_trait::async_trait;

use super::finished;
use crate::controllers::harness::{Change, Controller, Cx, Follows, Keys, Next};
use crate::controllers::item::{Item, time, until};
use crate::controllers::resources::JOBS;
use crate::model::object;
use crate::model::status::{Outcome, Result};
use crate::model::time::Time;
use crate::registry::options::DeleteOptions;

/// Key: a job.
pub struct TtlAfterFinished;

#[async_trait]
impl Controller for TtlAfterFinished {
    fn follows(&self) -> Follows {
        Follows::these(&[&JOBS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        let job = change.current.and_then(|job| change.view(job));
        if job.is_some_and(|job| job.at("spec").has("ttlSecondsAfterFinished")) {
            keys.add(change.key().as_str());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&JOBS])?;
        let shelf = cut.shelf(&JOBS);
        let Some(job) = Item::find_key(shelf, key)? else {
            return Ok(Next::Done);
        };
        let ttl = job.spec()["ttlSecondsAfterFinished"].as_i64();
        let ended = finished(&job).and_then(|condition| time(&condition["lastTransitionTime"]));
        let Some((ttl, ended)) = ttl.zip(ended).filter(|_| !job.is_deleting()) else { return Ok(Next::Done) };
        let left = until(Time { seconds: ended.seconds.saturating_add(ttl), ..ended }, cx.now());
        if left > Duration::ZERO {
            return Ok(Next::After(left));
        }
        let options = DeleteOptions {
            uid: Some(job.uid().to_owned()),
            resource_version: Some(object::resource_version(&job.value).to_owned()),
            propagation: Some("Foreground".into()),
            ..DeleteOptions::default()
        };
        cx.delete(job.target(), &options).await.unless_gone().map(|_| Next::Done)
    }
}
