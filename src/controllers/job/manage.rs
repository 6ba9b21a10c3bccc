//! Pods made and deleted, until as many run as the job wants.

use std::collections::HashMap;
use std::time::Duration;

use super::claim::{FAILURES, IGNORED, INDEX, JobPod, only_failed, release};
use super::policy::{self, Failure};
use super::tally::{Finish, SUCCESS, Tally};
use super::{FINALIZER, backoff, is_suspended};
use crate::controllers::batch::{self, BURST};
use crate::controllers::conditions;
use crate::controllers::events::Kind;
use crate::controllers::harness::{Cx, Next};
use crate::controllers::item::Item;
use crate::controllers::pods::{self, Pod};
use crate::controllers::replicaset::rank::first_to_go;
use crate::model::object;
use crate::model::status::Result;
use crate::model::time::Time;
use crate::model::value::{Value, json};

/// By which containers know their index.
const ENVIRONMENT: &str = "JOB_COMPLETION_INDEX";
/// The longest prefix of a generated name.
const MOST_PREFIX: usize = 58;

impl<'a> Tally<'a> {
    /// Deletes what runs: the job ends. It does not end as long as that fails.
    pub async fn stop(&mut self, cx: &Cx, job: &Item) -> Result<()> {
        let doomed: Vec<_> = self.active.iter().take(BURST).copied().collect();
        let deleted = batch::all(doomed.iter().map(|pod| pods::delete(cx, job, pod.pod.object.name()))).await;
        if deleted.is_err() || doomed.len() < self.active.len() {
            self.finish = None;
            return deleted;
        }
        self.note_deleted(&doomed);
        Ok(())
    }

    fn note_deleted(&mut self, doomed: &[&JobPod<'_>]) {
        self.active_count -= doomed.len() as i64;
        self.terminating += doomed.len() as i64;
        self.ready -= doomed.iter().filter(|pod| pod.pod.ready).count() as i64;
    }

    /// Makes or deletes pods, and says whether the job is complete or suspended.
    pub async fn manage(&mut self, cx: &Cx, job: &mut Item, now: Time) -> Result<Next> {
        let mut next = Next::Done;
        let managed = if job.is_deleting() { Ok(Next::Done) } else { self.adjust(cx, job, now).await };
        let completions = job.spec()["completions"].as_i64();
        let is_complete = self.succeeded >= completions.unwrap_or(1).max(i64::from(completions.is_none()));
        if is_complete && self.active_count == 0 {
            let message = "Reached expected number of succeeded pods";
            self.finish = Some(Finish::new(SUCCESS, "CompletionsReached", message));
        } else if !job.is_deleting() {
            self.note_suspension(cx, job, now);
        }
        next = next.sooner(managed?);
        Ok(next)
    }

    async fn adjust(&mut self, cx: &Cx, job: &Item, now: Time) -> Result<Next> {
        let spec = job.spec();
        let number = |field: &str| spec[field].as_i64();
        let parallelism = if is_suspended(job) { 0 } else { number("parallelism").unwrap_or(1) };
        let wanted = match number("completions") {
            Some(completions) => (completions - self.succeeded).clamp(0, parallelism.max(0)),
            None if self.succeeded > 0 && !is_suspended(job) => self.active_count,
            None => parallelism,
        };
        let surplus = self.surplus(usize::try_from(self.active_count - wanted).unwrap_or(0), now);
        if !surplus.is_empty() {
            batch::all(surplus.iter().map(|pod| delete(cx, job, pod))).await?;
            self.note_deleted(&surplus);
        }
        if is_suspended(job) {
            return Ok(Next::Done);
        }
        let ending = if only_failed(job) { self.terminating } else { 0 };
        let missing = usize::try_from(wanted - ending - self.active_count).unwrap_or(0).min(BURST);
        if missing == 0 { Ok(Next::Done) } else { self.make(cx, job, missing, now).await }
    }

    /// Pods to delete: all that share an index with a better one, and at least so many.
    fn surplus(&self, least: usize, now: Time) -> Vec<&'a JobPod<'a>> {
        let rank = |pods: &[&'a JobPod<'a>], count: usize| -> Vec<&'a JobPod<'a>> {
            let active: Vec<Pod<'a>> = pods.iter().map(|pod| pod.pod).collect();
            let going = first_to_go(&active, &[], count, now);
            let find = |going: Pod<'a>| {
                pods.iter().copied().find(|pod| pod.pod.object.key.as_str() == going.object.key.as_str())
            };
            going.into_iter().filter_map(find).collect()
        };
        let (mut going, mut left) = (Vec::new(), self.active.clone());
        if let Some(indexed) = &self.indexed {
            let mut by_index: HashMap<i64, Vec<&JobPod<'_>>> = HashMap::new();
            let (placed, unplaced) = left.into_iter().partition::<Vec<_>, _>(|pod| indexed.has_place(pod.index));
            (going, left) = (unplaced, Vec::new());
            for pod in placed {
                by_index.entry(pod.index.unwrap_or(0)).or_default().push(pod);
            }
            for pods in by_index.into_values() {
                let extra = rank(&pods, pods.len() - 1);
                left.extend(pods.iter().filter(|pod| extra.iter().all(|other| other.uid != pod.uid)));
                going.extend(extra);
            }
            left.sort_by_key(|pod| pod.index);
        }
        let more = least.saturating_sub(going.len());
        if more > 0 {
            going.extend(rank(&left, more));
        }
        going.truncate(BURST);
        going
    }

    async fn make(&mut self, cx: &Cx, job: &Item, mut count: usize, now: Time) -> Result<Next> {
        let (mut next, per_index) = (Next::Done, !job.spec()["backoffLimitPerIndex"].is_null());
        let wait = if per_index { Duration::ZERO } else { backoff::left(self.pods, now) };
        if wait > Duration::ZERO {
            return Ok(Next::After(wait));
        }
        let mut indexes = Vec::new();
        if self.indexed.is_some() {
            (indexes, next) = self.free_indexes(job, count, now);
            count = indexes.len();
        }
        let pod = template(job);
        let create = |at: usize| {
            let pod = match indexes.get(at) {
                Some(index) => self.of_index(job, pod.clone(), *index),
                None => pod.clone(),
            };
            async move { pods::create(cx, job, &pod).await }
        };
        batch::slow_start(count, create).await?;
        self.active_count += count as i64;
        Ok(next)
    }

    /// Indexes that need a pod now, and when the next one does.
    fn free_indexes(&self, job: &Item, count: usize, now: Time) -> (Vec<i64>, Next) {
        let Some(indexed) = &self.indexed else { return (Vec::new(), Next::Done) };
        let ending = self.pods.iter().filter(|pod| only_failed(job) && pod.pod.is_terminating());
        let busy = self.active.iter().copied().chain(ending).filter_map(|pod| pod.index);
        let mut taken = indexed.completed.and(busy);
        if let Some(failed) = &indexed.failed {
            taken = taken.merge(failed);
        }
        let (mut ready, mut next) = (Vec::new(), Next::Done);
        for index in taken.missing(count, indexed.completions) {
            let last = indexed.last_failed.get(&index);
            match last.map_or(Duration::ZERO, |last| backoff::left_of_index(last, now)) {
                Duration::ZERO => ready.push(index),
                wait => next = next.sooner(Next::After(wait)),
            }
        }
        (ready, next)
    }

    fn of_index(&self, job: &Item, mut pod: Value, index: i64) -> Value {
        let text = index.to_string();
        pod["metadata"]["annotations"][INDEX] = text.as_str().into();
        pod["metadata"]["labels"][INDEX] = text.as_str().into();
        pod["metadata"]["generateName"] = prefix(job.name(), index).into();
        pod["spec"]["hostname"] = format!("{}-{index}", job.name()).into();
        let Some(indexed) = self.indexed.as_ref().filter(|indexed| indexed.failed.is_some()) else { return pod };
        let (mut failures, mut ignored) = (0, 0);
        if let Some(last) = indexed.last_failed.get(&index) {
            (failures, ignored) = last.failures;
            match policy::judge(&job.spec()["podFailurePolicy"], &last.pod) {
                Failure::Ignored => ignored += 1,
                _ => failures += 1,
            }
        }
        pod["metadata"]["annotations"][FAILURES] = failures.to_string().into();
        if ignored > 0 {
            pod["metadata"]["annotations"][IGNORED] = ignored.to_string().into();
        }
        pod
    }

    /// Says that the job was suspended or resumed.
    fn note_suspension(&mut self, cx: &Cx, job: &mut Item, now: Time) {
        let (status, reason, message, event) = match is_suspended(job) {
            true => ("True", "JobSuspended", "Job suspended", "Suspended"),
            false => ("False", "JobResumed", "Job resumed", "Resumed"),
        };
        let known = conditions::find(job.status(), "Suspended");
        if known.map_or("False", |known| known["status"].as_str().unwrap_or("")) == status {
            return;
        }
        let at = now.to_text();
        let mut list = conditions::all(job.status());
        let condition = condition("Suspended", status, reason, message, &at);
        match list.iter_mut().find(|known| known["type"] == "Suspended") {
            Some(known) => *known = condition,
            None => list.push(condition),
        }
        job.value["status"]["conditions"] = list.into();
        job.value["status"]["startTime"] = if status == "True" { Value::Null } else { at.as_str().into() };
        self.suspension_changed = true;
        cx.event((&*job).into(), Kind::Normal, event, message.into());
    }
}

/// A condition of a job.
pub fn condition(ty: &str, status: &str, reason: &str, message: &str, at: &str) -> Value {
    json!({
        "type": ty, "status": status, "reason": reason, "message": message,
        "lastProbeTime": at, "lastTransitionTime": at,
    })
}

async fn delete(cx: &Cx, job: &Item, pod: &JobPod<'_>) -> Result<()> {
    if pod.tracked {
        release(cx, pod.pod.object).await?;
    }
    pods::delete(cx, job, pod.pod.object.name()).await
}

/// A pod of the job, without an index.
fn template(job: &Item) -> Value {
    let mut pod = pods::from_template(job, &job.spec()["template"]);
    let mut finalizers: Vec<Value> =
        object::finalizers(&pod).filter(|name| *name != FINALIZER).map(Value::from).collect();
    finalizers.push(FINALIZER.into());
    pod["metadata"]["finalizers"] = finalizers.into();
    if job.spec()["completionMode"] == "Indexed" {
        let field = json!({"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}});
        for list in ["initContainers", "containers"] {
            for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                let mut environment = container["env"].as_array().cloned().unwrap_or_default();
                if environment.iter().all(|variable| variable["name"] != ENVIRONMENT) {
                    environment.push(json!({"name": ENVIRONMENT, "valueFrom": field}));
                    container["env"] = environment.into();
                }
            }
        }
    }
    pod
}

/// Begins the names of an index's pods.
fn prefix(job: &str, index: i64) -> String {
    let end = format!("-{index}-");
    let room = MOST_PREFIX.saturating_sub(end.len());
    format!("{}{end}", job.get(..room).unwrap_or(job))
}
