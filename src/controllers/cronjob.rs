//! CronJobs: a Job at each time that their schedule names.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::conditions;
use super::events::Kind;
use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::item::{Item, time};
use super::job::finished;
use super::pods::is_namespace_terminating;
use super::resources::{CRON_JOBS, JOBS};
use crate::cache::index::OWNER;
use crate::cache::shelf::Shelf;
use crate::model::cron::{Schedule, time_zone};
use crate::model::gotext::quote;
use crate::model::object;
use crate::model::status::Result;
use crate::model::time::Time;
use crate::model::value::{Map, Value, json};
use crate::registry::options::DeleteOptions;

/// An annotation of jobs: the time for which one was made.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// Missed times from which on users are told.
const MANY: usize = 100;
/// Missed times that are gone through at most; a schedule that has missed more goes on from there.
const MOST: usize = 100_000;
/// The longest name of a CronJob that leaves room for the number of minutes.
const MOST_NAME: usize = 52;

/// Key: a CronJob.
#[derive(Default)]
pub struct CronJobs {
    /// Those whose schedule has just changed: what the new one would have missed is not made up for. A key leaves with
    /// its next run.
    rescheduled: Mutex<HashSet<String>>,
}

#[async_trait]
impl Controller for CronJobs {
    fn follows(&self) -> Follows {
        Follows::these(&[&CRON_JOBS, &JOBS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&CRON_JOBS) {
            if change.is_deleted() {
                return;
            }
            if schedule_changed(change) {
                let key = change.key().as_str().to_owned();
                self.rescheduled.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            }
            keys.add(change.key().as_str());
            return;
        }
        for state in change.states() {
            if let Some(owner) = state.controller().filter(|owner| owner.kind == "CronJob") {
                keys.add_named(state.namespace(), &owner.name);
            }
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&CRON_JOBS, &JOBS])?;
        let shelf = cut.shelf(&CRON_JOBS);
        let Some(cron) = Item::find_key(shelf, key)? else {
            return Ok(Next::Done);
        };
        let jobs = children(&cron, cut.shelf(&JOBS))?;
        tidy(cx, &cron, &jobs).await?;
        let mut now_told = cron.clone();
        note(cx, &mut now_told, &jobs);
        if now_told.value != cron.value {
            let written = cx.update(cron.target().part("status"), &now_told.value).await?;
            now_told = Item::of(&cron.storage, &written.object)?;
        }
        if now_told.is_deleting() {
            return Ok(Next::Done);
        }
        let is_new = self.rescheduled.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        Run { cx, cron: now_told, jobs }.schedule(is_new).await
    }
}

/// One run for a CronJob.
struct Run<'a> {
    cx: &'a Cx,
    cron: Item,
    jobs: Vec<Item>,
}

impl Run<'_> {
    /// Starts the job that is due, if any. With a new schedule, only what it names from now on.
    async fn schedule(mut self, is_new: bool) -> Result<Next> {
        let spec = self.cron.spec();
        let (text, zone) = (spec["schedule"].as_str().unwrap_or(""), spec["timeZone"].as_str());
        let zone = match zone.map_or(Ok(TimeZone::UTC), time_zone) {
            Ok(zone) => zone,
            Err(error) => {
                let message = format!("invalid timeZone: {}: {error}", quote(zone.unwrap_or("")));
                return Ok(self.warn("UnknownTimeZone", message));
            }
        };
        if spec["suspend"] == true {
            return Ok(Next::Done);
        }
        let schedule = match Schedule::parse(text) {
            Ok(schedule) => schedule,
            Err(error) => {
                let message = format!("unparseable schedule: {} : {error}", quote(text));
                return Ok(self.warn("UnparseableSchedule", message));
            }
        };
        let now = self.cx.plane.registry.clock.now();
        let Some(next) = schedule.next(now, &zone) else {
            let why = "time difference between two schedules is less than 1 second";
            return Ok(self.warn("InvalidSchedule", format!("invalid schedule: {text} : {why}")));
        };
        let next = Next::After(next.duration_since(now).unsigned_abs());
        if is_new {
            return Ok(next);
        }
        let (due, missed) = self.due(&schedule, &zone, now);
        if missed > MANY {
            let message =
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.warn("TooManyMissedTimes", message.into());
        }
        if let Some(due) = due {
            self.start(due, &zone, now).await?;
        }
        Ok(next)
    }

    fn warn(&self, reason: &'static str, message: String) -> Next {
        self.cx.event((&self.cron).into(), Kind::Warning, reason, message);
        Next::Done
    }

    /// The newest time that has passed and was not met, and how many there were.
    fn due(&self, schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> (Option<Timestamp>, usize) {
        let at = |value: &Value| time(value).and_then(|time| Timestamp::from_second(time.seconds).ok());
        let created = at(&self.cron.value["metadata"]["creationTimestamp"]).unwrap_or(now);
        let mut since = at(&self.cron.status()["lastScheduleTime"]).unwrap_or(created);
        if let Some(seconds) = self.cron.spec()["startingDeadlineSeconds"].as_u64() {
            since = since.max(now.checked_sub(Duration::from_secs(seconds)).unwrap_or(Timestamp::MIN));
        }
        let (mut due, mut count) = (None, 0);
        while let Some(at) = schedule.next(since, zone).filter(|at| *at <= now && count < MOST) {
            (due, since, count) = (Some(at), at, count + 1);
        }
        (due, count)
    }

    async fn start(&mut self, due: Timestamp, zone: &TimeZone, now: Timestamp) -> Result<()> {
        let deadline = self.cron.spec()["startingDeadlineSeconds"].as_i64();
        if deadline.is_some_and(|seconds| due.as_second().saturating_add(seconds) < now.as_second()) {
            let at = due.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S %z").to_string();
            self.warn("MissSchedule", format!("Missed scheduled time to start a job: {at}"));
            return Ok(());
        }
        let name = name(&self.cron, due);
        let active: Vec<Value> = active(&self.cron).to_vec();
        let policy = self.cron.spec()["concurrencyPolicy"].as_str().unwrap_or("Allow").to_owned();
        let told = time(&self.cron.status()["lastScheduleTime"]).map(|time| time.seconds);
        if told == Some(due.as_second()) || active.iter().any(|known| known["name"] == name.as_str()) {
            return Ok(());
        }
        if policy == "Forbid" && !active.is_empty() {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            self.cx.event((&self.cron).into(), Kind::Normal, "JobAlreadyActive", message.into());
            return Ok(());
        }
        if policy == "Replace" {
            for job in self.jobs.iter().filter(|job| active.iter().any(|known| known["uid"] == job.uid())) {
                delete(self.cx, &self.cron, job).await?;
            }
            self.cron.value["status"]["active"] = json!([]);
        }
        let Some(reference) = self.create(&name, due, zone).await? else { return Ok(()) };
        let mut active = active_list(&self.cron);
        active.push(reference);
        self.cron.value["status"]["active"] = active.into();
        let at = Time { seconds: due.as_second(), nanos: 0 }.to_text();
        self.cron.value["status"]["lastScheduleTime"] = at.as_str().into();
        self.cx.update(self.cron.target().part("status"), &self.cron.value).await.map(drop)
    }

    /// Makes the job and names it; `None`: there is another one of its name, or the namespace goes.
    async fn create(&self, name: &str, due: Timestamp, zone: &TimeZone) -> Result<Option<Value>> {
        let (cron, template) = (&self.cron, &self.cron.spec()["jobTemplate"]);
        let map = |field: &str| template["metadata"][field].as_object().cloned().unwrap_or_default();
        let mut annotations: Map = map("annotations");
        let at = due.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string().replace("+00:00", "Z");
        annotations.insert(SCHEDULED.into(), at.into());
        let metadata = json!({
            "name": name, "namespace": cron.namespace(), "labels": map("labels"), "annotations": annotations,
            "ownerReferences": [cron.controller_reference()],
        });
        let job = json!({"metadata": metadata, "spec": template["spec"]});
        let (target, reference) = (JOBS.at(cron.namespace(), name), |uid: &str, revision: u64| {
            json!({
                "apiVersion": "batch/v1", "kind": "Job", "namespace": cron.namespace(), "name": name, "uid": uid,
                "resourceVersion": revision.to_string(),
            })
        });
        match self.cx.create(target, &job).await {
            Ok(made) => {
                self.cx.event(cron.into(), Kind::Normal, "SuccessfulCreate", format!("Created job {name}"));
                Ok(Some(reference(&made.object.uid(), made.object.revision.0)))
            }
            Err(status) if is_namespace_terminating(&status) => Ok(None),
            // It was made, and the status not written.
            Err(status) if status.is_already_exists() => {
                let known = self.cx.get(target).await?;
                let is_own = known.controller().is_some_and(|owner| owner.uid == cron.uid());
                Ok(is_own.then(|| reference(&known.uid(), known.revision.0)))
            }
            Err(status) => {
                self.warn("FailedCreate", format!("Error creating job: {}", status.message));
                Err(status)
            }
        }
    }
}

fn schedule_changed(change: &Change<'_>) -> bool {
    let (Some(before), Some(after)) = (change.previous, change.current) else { return false };
    let fields = |cron| {
        let spec = change.view(cron)?.at("spec");
        Some(["schedule", "timeZone"].map(|field| spec.text(field).to_owned()))
    };
    fields(before) != fields(after)
}

fn active(cron: &Item) -> &[Value] {
    cron.status()["active"].as_array().map_or(&[], Vec::as_slice)
}

fn active_list(cron: &Item) -> Vec<Value> {
    active(cron).to_vec()
}

/// The same for the same time: two runs never make two jobs of it.
fn name(cron: &Item, due: Timestamp) -> String {
    let own = cron.name();
    format!("{}-{}", own.get(..MOST_NAME).unwrap_or(own), due.as_second() / 60)
}

fn children(cron: &Item, shelf: &Shelf) -> Result<Vec<Item>> {
    let owned = shelf.by_index(&OWNER, cron.uid()).filter(|job| job.controller().is_some_and(|o| o.uid == cron.uid()));
    let mut jobs = owned.map(|job| Item::new(shelf, job)).collect::<Result<Vec<_>>>()?;
    jobs.sort_by_key(|job| (time(&job.status()["startTime"]), job.name().to_owned()));
    Ok(jobs)
}

/// Deletes the oldest jobs that have ended, beyond what is kept of each sort.
async fn tidy(cx: &Cx, cron: &Item, jobs: &[Item]) -> Result<()> {
    for (end, limit) in [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")] {
        let Some(limit) = cron.spec()[limit].as_u64().and_then(|limit| usize::try_from(limit).ok()) else { continue };
        let ended: Vec<&Item> =
            jobs.iter().filter(|job| finished(job).is_some_and(|condition| condition["type"] == end)).collect();
        for job in ended.iter().take(ended.len().saturating_sub(limit)).filter(|job| !job.is_deleting()) {
            delete(cx, cron, job).await?;
        }
    }
    Ok(())
}

async fn delete(cx: &Cx, cron: &Item, job: &Item) -> Result<()> {
    let options = DeleteOptions { propagation: Some("Background".into()), ..DeleteOptions::default() };
    match cx.delete(job.target(), &options).await {
        Err(status) if !status.is_not_found() => {
            cx.event(cron.into(), Kind::Warning, "FailedDelete", format!("Deleted job: {}", status.message));
            Err(status)
        }
        _ => {
            cx.event(cron.into(), Kind::Normal, "SuccessfulDelete", format!("Deleted job {}", job.name()));
            Ok(())
        }
    }
}

/// Brings the status to what its jobs say.
fn note(cx: &Cx, cron: &mut Item, jobs: &[Item]) {
    let mut left = Vec::new();
    for known in active_list(cron) {
        let name = known["name"].as_str().unwrap_or("").to_owned();
        match jobs.iter().find(|job| known["uid"] == job.uid()) {
            None => cx.event((&*cron).into(), Kind::Normal, "MissingJob", format!("Active job went missing: {name}")),
            Some(job) => match finished(job).and_then(|condition| condition["type"].as_str()) {
                None => left.push(known),
                Some(end) => {
                    let message = format!("Saw completed job: {name}, condition: {end}");
                    cx.event((&*cron).into(), Kind::Normal, "SawCompletedJob", message);
                }
            },
        }
    }
    let is_strange = |job: &&Item| finished(job).is_none() && !job.is_deleting();
    for job in jobs.iter().filter(is_strange).filter(|job| left.iter().all(|known| known["uid"] != job.uid())) {
        let is_due = object::annotation(&job.value, SCHEDULED).is_some();
        if !is_due {
            let message = format!("Saw a job that the controller did not create or forgot: {}", job.name());
            cx.event((&*cron).into(), Kind::Warning, "UnexpectedJob", message);
        }
    }
    if left.len() != active(cron).len() {
        cron.value["status"]["active"] = left.into();
    }
    let complete =
        jobs.iter().filter(|job| conditions::find(job.status(), "Complete").is_some_and(|c| c["status"] == "True"));
    let newest = complete.filter_map(|job| time(&job.status()["completionTime"])).max();
    if newest > time(&cron.status()["lastSuccessfulTime"])
        && let Some(newest) = newest
    {
        cron.value["status"]["lastSuccessfulTime"] = newest.to_text().as_str().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{World, pod_spec};

    async fn world(more: Value) -> World {
        let world = World::with(&["cronjob"]).await;
        let mut pod = pod_spec("a:1");
        pod["restartPolicy"] = "Never".into();
        let template = json!({"metadata": {"labels": {"of": "c"}}, "spec": {"template": {"spec": pod}}});
        let mut spec = json!({"schedule": "*/10 * * * *", "jobTemplate": template});
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        world.create(&CRON_JOBS, json!({"metadata": {"name": "c", "namespace": "d"}, "spec": spec})).await;
        world
    }

    async fn complete(world: &World, name: &str) {
        let now = world.client.registry().now().to_text();
        let condition = |ty: &str| json!({"type": ty, "status": "True", "lastTransitionTime": now.as_str()});
        let status = json!({
            "startTime": now.as_str(), "completionTime": now.as_str(), "succeeded": 1,
            "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
        });
        world.merge(JOBS.at("d", name).part("status"), json!({"status": status})).await;
        world.settle().await;
    }

    fn status(world: &World) -> (usize, Value) {
        let status = world.get(&CRON_JOBS, "d", "c")["status"].clone();
        (status["active"].as_array().map_or(0, Vec::len), status["lastScheduleTime"].clone())
    }

    const TEN: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn jobs_are_made_when_they_are_due() {
        let world = world(json!({"successfulJobsHistoryLimit": 1})).await;
        world.pass(TEN - Duration::from_secs(1)).await;
        assert_eq!(world.names(&JOBS), [""; 0]);
        world.pass(Duration::from_secs(2)).await;
        // 2026-01-01T00:10:00Z in minutes
        assert_eq!(world.names(&JOBS), ["c-29453770"]);
        let job = world.get(&JOBS, "d", "c-29453770");
        assert_eq!(object::annotation(&job, SCHEDULED), Some("2026-01-01T00:10:00Z"));
        assert_eq!(
            (object::label(&job, "of"), &job["metadata"]["ownerReferences"][0]["kind"]),
            (Some("c"), &json!("CronJob"))
        );
        assert_eq!(status(&world), (1, json!("2026-01-01T00:10:00Z")));
        complete(&world, "c-29453770").await;
        assert_eq!(status(&world).0, 0);
        assert!(world.get(&CRON_JOBS, "d", "c")["status"]["lastSuccessfulTime"].is_string());
        world.pass(TEN).await;
        complete(&world, "c-29453780").await;
        assert_eq!(world.names(&JOBS), ["c-29453780"], "one is kept");
        assert!(world.events().contains(&"SuccessfulDelete: Deleted job c-29453770".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn policies_say_what_becomes_of_jobs_that_still_run() {
        let forbidding = world(json!({"concurrencyPolicy": "Forbid"})).await;
        forbidding.pass(2 * TEN + Duration::from_secs(1)).await;
        assert_eq!(forbidding.names(&JOBS), ["c-29453770"]);
        complete(&forbidding, "c-29453770").await;
        assert_eq!(forbidding.names(&JOBS), ["c-29453770", "c-29453780"], "late, but made");
        let replacing = world(json!({"concurrencyPolicy": "Replace"})).await;
        replacing.pass(2 * TEN + Duration::from_secs(1)).await;
        assert_eq!((replacing.names(&JOBS), status(&replacing).0), (vec!["c-29453780".to_owned()], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missed_is_made_once_unless_it_is_too_late() {
        let world = world(json!({"suspend": true})).await;
        world.pass(5 * TEN + Duration::from_secs(60)).await;
        assert_eq!(world.names(&JOBS), [""; 0]);
        world.merge(CRON_JOBS.at("d", "c"), json!({"spec": {"suspend": false, "startingDeadlineSeconds": 30}})).await;
        world.settle().await;
        assert_eq!(world.names(&JOBS), [""; 0], "too late");
        world.merge(CRON_JOBS.at("d", "c"), json!({"spec": {"startingDeadlineSeconds": null}})).await;
        world.settle().await;
        assert_eq!(world.names(&JOBS), ["c-29453810"], "the newest one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_schedule_makes_up_for_nothing() {
        let world = world(json!({"schedule": "0 0 1 1 *"})).await;
        world.pass(2 * TEN + Duration::from_secs(60)).await;
        world.merge(CRON_JOBS.at("d", "c"), json!({"spec": {"schedule": "*/10 * * * *"}})).await;
        world.settle().await;
        assert_eq!(world.names(&JOBS), [""; 0]);
        world.pass(TEN).await;
        assert_eq!(world.names(&JOBS), ["c-29453790"]);
        world.merge(CRON_JOBS.at("d", "c"), json!({"spec": {"schedule": "0 0 31 2 *"}})).await;
        world.pass(TEN).await;
        let why = "invalid schedule: 0 0 31 2 * : time difference between two schedules is less than 1 second";
        assert!(world.events().contains(&format!("InvalidSchedule: {why}")));
    }
}
