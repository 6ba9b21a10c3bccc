//! Jobs: pods until enough of them have succeeded.
//!
//! Pods carry a finalizer until they are counted in the job's status, so that none is lost or counted twice: their UIDs
//! are written down, the finalizers are taken off, and then the counters take the UIDs' place.
//!
//! In reading order: this page (whom a change concerns, and one run), `claim` (which pods are its own), `indexes` (sets
//! of completion indexes), `policy` (what failures and successes mean), `backoff`, `tally` (how the job stands), `manage`
//! (pods made and deleted), `track` (what is written), `ttl`.

mod backoff;
mod claim;
mod indexes;
mod manage;
mod policy;
mod tally;
#[cfg(test)]
mod tests;
mod track;
pub mod ttl;

use async_trait::async_trait;

use self::claim::release;
use self::tally::Tally;
use super::batch;
use super::conditions;
use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::item::Item;
use super::owner;
use super::resources::{JOBS, PODS};
use crate::cache::index::OWNER;
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};
use crate::model::value::Value;

/// On pods that are not counted yet.
pub const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
const CONTROLLER: &str = "kubernetes.io/job-controller";

/// Keys: a job, and a pod with the finalizer whose job is gone.
const JOB: &str = "job/";
const ORPHAN: &str = "orphan/";

pub struct Jobs;

#[async_trait]
impl Controller for Jobs {
    fn follows(&self) -> Follows {
        Follows::these(&[&JOBS, &PODS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&PODS) {
            pod_triggers(change, keys);
        } else if !change.is_deleted() {
            keys.add(&format!("{JOB}{}", change.key().as_str()));
        } else if let Ok(snapshot) = change.registry.cache.snapshot(&[&PODS.full]) {
            for pod in snapshot.shelves[0].by_index(&OWNER, &change.object().uid()) {
                keys.add(&format!("{ORPHAN}{}", pod.key.as_str()));
            }
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&JOBS, &PODS])?;
        if let Some(key) = key.strip_prefix(ORPHAN) {
            return orphan(cx, &cut, key).await.map(|()| Next::Done);
        }
        let shelf = cut.shelf(&JOBS);
        let key = key.strip_prefix(JOB).unwrap_or("");
        let Some(object) = shelf.get_key(key) else { return Ok(Next::Done) };
        let job = Item::new(shelf, object)?;
        if is_of_others(&job) {
            return Ok(Next::Done);
        }
        if finished(&job).is_some() {
            return let_go(cx, &cut, &job).await.map(|()| Next::Done);
        }
        sync(cx, &cut, job).await
    }
}

/// One run for a job that is not finished.
async fn sync(cx: &Cx, cut: &Cut, mut job: Item) -> Result<Next> {
    let pods = claim::claim(cx, &job, cut.shelf(&PODS)).await?;
    let now = cx.now();
    if job.status()["startTime"].is_null() && !is_suspended(&job) {
        job.value["status"]["startTime"] = now.to_text().as_str().into();
    }
    let mut tally = Tally::new(&job, &pods);
    let mut next = tally.judge(&job, now);
    let before = job.status().clone();
    let managed = match tally.finish {
        Some(_) => tally.stop(cx, &job).await,
        None => match tally.manage(cx, &mut job, now).await {
            Ok(due) => {
                next = next.sooner(due);
                Ok(())
            }
            Err(status) => Err(status),
        },
    };
    track::track(cx, job, tally, before).await?;
    managed.map(|()| next)
}

/// The condition with which a job has ended, `Complete` or `Failed`.
pub fn finished(job: &Item) -> Option<&Value> {
    let ends = ["Complete", "Failed"].into_iter().filter_map(|ty| conditions::find(job.status(), ty));
    ends.into_iter().find(|condition| condition["status"] == "True")
}

fn is_suspended(job: &Item) -> bool {
    job.spec()["suspend"] == true
}

/// Another controller keeps it.
fn is_of_others(job: &Item) -> bool {
    job.spec()["managedBy"].as_str().is_some_and(|by| by != CONTROLLER)
}

fn has_finalizer(pod: &Object) -> bool {
    pod.finalizers().any(|finalizer| finalizer == FINALIZER)
}

/// Frees the pods of a job that has ended.
async fn let_go(cx: &Cx, cut: &Cut, job: &Item) -> Result<()> {
    let pods = cut.shelf(&PODS).by_index(&OWNER, job.uid()).filter(|pod| has_finalizer(pod));
    batch::all(pods.map(|pod| release(cx, pod))).await
}

/// Frees a pod whose job is gone.
async fn orphan(cx: &Cx, cut: &Cut, key: &str) -> Result<()> {
    let Some(pod) = cut.shelf(&PODS).get_key(key).filter(|pod| has_finalizer(pod)) else { return Ok(()) };
    let jobs = cut.shelf(&JOBS);
    if let Some(object) = pod.controller().and_then(|owner| named(jobs, pod.namespace(), &owner.name, &owner.uid)) {
        let job = Item::new(jobs, object)?;
        if is_of_others(&job) || finished(&job).is_none() {
            return Ok(());
        }
    }
    release(cx, pod).await
}

fn named<'a>(jobs: &'a Shelf, namespace: &str, name: &str, uid: &str) -> Option<&'a Object> {
    jobs.get(namespace, name).map(AsRef::as_ref).filter(|job: &&Object| job.uid() == uid)
}

fn pod_triggers(change: &Change<'_>, keys: &mut Keys) {
    let Ok(snapshot) = change.registry.cache.snapshot(&[&JOBS.full]) else { return };
    let jobs = &snapshot.shelves[0];
    let mut has_job = false;
    for state in change.states() {
        let owner = state.controller().filter(|owner| owner.kind == "Job");
        if let Some(job) = owner.and_then(|owner| named(jobs, state.namespace(), &owner.name, &owner.uid)) {
            keys.add(&format!("{JOB}{}", job.key.as_str()));
            has_job = true;
        }
    }
    let Some(pod) = change.current.filter(|_| !has_job) else { return };
    if has_finalizer(pod) {
        keys.add(&format!("{ORPHAN}{}", pod.key.as_str()));
    }
    if pod.controller().is_none() && !pod.is_deleting() {
        for job in jobs.iter(Some(pod.namespace())) {
            let selector = Item::new(jobs, job).ok().and_then(|job| selector(&job).ok());
            if selector.is_some_and(|selector| owner::selected(&selector, pod)) {
                keys.add(&format!("{JOB}{}", job.key.as_str()));
            }
        }
    }
}

/// What the job selects; nothing, if it says nothing.
fn selector(job: &Item) -> Result<Selector> {
    let selector = Selector::of_object(&job.spec()["selector"]).map_err(Status::internal)?;
    Ok(if selector.is_everything() { Selector::nothing() } else { selector })
}
