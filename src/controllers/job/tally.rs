//! How a job stands: its pods counted, and whether that ends it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::claim::JobPod;
use super::indexes::Indexes;
use super::is_suspended;
use super::policy::{self, Failure};
use crate::controllers::conditions;
use crate::controllers::harness::Next;
use crate::controllers::item::{Item, time, until};
use crate::model::time::Time;
use crate::model::value::Value;

/// With what a job ends: the type of the condition that says so first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    pub ty: &'static str,
    pub reason: String,
    pub message: String,
}

/// Conditions that come before the job's end, when its pods are still ending.
pub const SUCCESS: &str = "SuccessCriteriaMet";
pub const FAILURE: &str = "FailureTarget";

pub struct Tally<'a> {
    pub pods: &'a [JobPod<'a>],
    pub active: Vec<&'a JobPod<'a>>,
    pub active_count: i64,
    pub ready: i64,
    pub terminating: i64,
    pub succeeded: i64,
    pub failed: i64,
    /// UIDs that the status has written down and not counted: succeeded, failed.
    pub uncounted: (HashSet<String>, HashSet<String>),
    /// `None` for a job without indexes.
    pub indexed: Option<Indexed<'a>>,
    pub finish: Option<Finish>,
    pub suspension_changed: bool,
}

/// A job with completion indexes.
pub struct Indexed<'a> {
    pub completions: i64,
    /// Those that the status has, and with those of pods that are not counted yet.
    pub before: Indexes,
    pub completed: Indexes,
    /// With a limit of failures for each index: those that have failed.
    pub failed: Option<Indexes>,
    /// The last failed pod of each index that is to be tried again.
    pub last_failed: HashMap<i64, &'a JobPod<'a>>,
}

impl Indexed<'_> {
    pub fn has_place(&self, index: Option<i64>) -> bool {
        index.is_some_and(|index| index < self.completions)
    }
}

impl Finish {
    pub fn new(ty: &'static str, reason: &str, message: &str) -> Self {
        Self { ty, reason: reason.to_owned(), message: message.to_owned() }
    }

    fn of(ty: &'static str, condition: &Value) -> Self {
        let text = |field: &str| condition[field].as_str().unwrap_or("").to_owned();
        Self { ty, reason: text("reason"), message: text("message") }
    }
}

impl<'a> Tally<'a> {
    pub fn new(job: &Item, pods: &'a [JobPod<'a>]) -> Self {
        let uids = |list: &str| -> HashSet<String> {
            let uids = job.status()["uncountedTerminatedPods"][list].as_array();
            uids.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let active: Vec<_> = pods.iter().filter(|pod| pod.pod.is_active()).collect();
        let mut tally = Self {
            active_count: active.len() as i64,
            ready: active.iter().filter(|pod| pod.pod.ready).count() as i64,
            terminating: pods.iter().filter(|pod| pod.pod.is_terminating()).count() as i64,
            active,
            pods,
            succeeded: 0,
            failed: 0,
            uncounted: (uids("succeeded"), uids("failed")),
            indexed: None,
            finish: None,
            suspension_changed: false,
        };
        tally.indexed = (job.spec()["completionMode"] == "Indexed").then(|| tally.indexed(job));
        let is_new = |pod: &&JobPod<'_>, uncounted: &HashSet<String>| {
            let has_place = tally.indexed.as_ref().is_none_or(|indexed| indexed.has_place(pod.index));
            pod.tracked && has_place && !uncounted.contains(&pod.uid)
        };
        let new_succeeded = pods.iter().filter(|pod| pod.succeeded() && is_new(pod, &tally.uncounted.0)).count();
        let counts = |pod: &&JobPod<'_>| policy::judge(&job.spec()["podFailurePolicy"], &pod.pod) != Failure::Ignored;
        let new_failed = pods.iter().filter(|pod| pod.failed && is_new(pod, &tally.uncounted.1)).filter(counts).count();
        let told = |field: &str| job.status()[field].as_i64().unwrap_or(0);
        let succeeded = told("succeeded") + (new_succeeded + tally.uncounted.0.len()) as i64;
        tally.succeeded = tally.indexed.as_ref().map_or(succeeded, |indexed| indexed.completed.count());
        tally.failed = told("failed") + (new_failed + tally.uncounted.1.len()) as i64;
        tally
    }

    fn indexed(&self, job: &Item) -> Indexed<'a> {
        let (spec, status) = (job.spec(), job.status());
        let completions = spec["completions"].as_i64().unwrap_or(0);
        let text = |field: &str| status[field].as_str().unwrap_or("").to_owned();
        let before = Indexes::parse(&text("completedIndexes"), completions);
        let of = |wanted: &dyn Fn(&JobPod<'_>) -> bool| -> Vec<i64> {
            let pods = self.pods.iter().filter(|pod| pod.tracked && wanted(pod));
            pods.filter_map(|pod| pod.index).filter(|index| *index < completions).collect()
        };
        let completed = before.and(of(&|pod| pod.succeeded()));
        let mut indexed = Indexed { completions, before, completed, failed: None, last_failed: HashMap::new() };
        let Some(limit) = spec["backoffLimitPerIndex"].as_i64() else { return indexed };
        let has_failed = |pod: &JobPod<'_>| match policy::judge(&spec["podFailurePolicy"], &pod.pod) {
            _ if !pod.failed => false,
            Failure::Index => true,
            Failure::Ignored => false,
            Failure::Counts | Failure::Job(_) => pod.failures.0 >= limit,
        };
        let failed = Indexes::parse(&text("failedIndexes"), completions).and(of(&has_failed));
        let active: HashSet<i64> = self.active.iter().filter_map(|pod| pod.index).collect();
        for pod in self.pods.iter().filter(|pod| pod.failed && pod.tracked && !self.uncounted.1.contains(&pod.uid)) {
            let Some(index) = pod.index.filter(|index| *index < completions) else { continue };
            if indexed.completed.has(index) || failed.has(index) || active.contains(&index) {
                continue;
            }
            let order = |pod: &JobPod<'_>| (pod.failures.0 + pod.failures.1, super::backoff::ended(&pod.pod));
            let last = indexed.last_failed.entry(index).or_insert(pod);
            if order(pod) >= order(last) {
                *last = pod;
            }
        }
        indexed.failed = Some(failed);
        indexed
    }

    /// Decides whether the job ends; when to look again.
    pub fn judge(&mut self, job: &Item, now: Time) -> Next {
        let found = |ty: &str| conditions::find(job.status(), ty).filter(|condition| condition["status"] == "True");
        self.finish = match (found(SUCCESS), found(FAILURE)) {
            (Some(condition), _) => Some(Finish::of(SUCCESS, condition)),
            (None, Some(condition)) => Some(Finish::of("Failed", condition)),
            (None, None) => self.failed_by_policy(job).or_else(|| self.past_limits(job, now)),
        };
        if self.finish.is_none() {
            self.finish = self.judge_indexes(job);
        }
        let deadline = deadline(job).filter(|_| self.finish.is_none());
        deadline.map_or(Next::Done, |at| Next::After(until(at, now)))
    }

    fn failed_by_policy(&self, job: &Item) -> Option<Finish> {
        let reason = |pod: &JobPod<'_>| match policy::judge(&job.spec()["podFailurePolicy"], &pod.pod) {
            Failure::Job(why) => Some(Finish::new(FAILURE, "PodFailurePolicy", &why)),
            _ => None,
        };
        self.pods.iter().filter(|pod| pod.failed).find_map(reason)
    }

    fn past_limits(&self, job: &Item, now: Time) -> Option<Finish> {
        let limit = job.spec()["backoffLimit"].as_i64().unwrap_or(6);
        if self.failed > limit || self.restarted_too_often(job, limit) {
            return Some(Finish::new(FAILURE, "BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        }
        let is_over = deadline(job).is_some_and(|at| until(at, now) == Duration::ZERO);
        let message = "Job was active longer than specified deadline";
        is_over.then(|| Finish::new(FAILURE, "DeadlineExceeded", message))
    }

    fn restarted_too_often(&self, job: &Item, limit: i64) -> bool {
        if job.spec()["template"]["spec"]["restartPolicy"] != "OnFailure" {
            return false;
        }
        let running = self.pods.iter().filter(|pod| matches!(pod.pod.phase, "Running" | "Pending"));
        let restarts = running.flat_map(|pod| {
            let status = pod.pod.view.at("status");
            status.items("initContainerStatuses").chain(status.items("containerStatuses"))
        });
        let restarts: i64 = restarts.map(|container| container.number("restartCount")).sum();
        if limit == 0 { restarts > 0 } else { restarts >= limit }
    }

    fn judge_indexes(&self, job: &Item) -> Option<Finish> {
        let indexed = self.indexed.as_ref()?;
        if let Some(failed) = &indexed.failed {
            if job.spec()["maxFailedIndexes"].as_i64().is_some_and(|most| failed.count() > most) {
                let message = "Job has exceeded the specified maximal number of failed indexes";
                return Some(Finish::new(FAILURE, "MaxFailedIndexesExceeded", message));
            }
            if failed.count() > 0 && failed.count() + indexed.completed.count() >= indexed.completions {
                return Some(Finish::new(FAILURE, "FailedIndexes", "Job has failed indexes"));
            }
        }
        let met = policy::succeeded(&job.spec()["successPolicy"], indexed.completions, &indexed.completed)?;
        Some(Finish::new(SUCCESS, "SuccessPolicy", &met))
    }
}

/// When a job's time is over.
fn deadline(job: &Item) -> Option<Time> {
    let seconds = job.spec()["activeDeadlineSeconds"].as_i64().filter(|_| !is_suspended(job))?;
    let start = time(&job.status()["startTime"])?;
    Some(Time { seconds: start.seconds.saturating_add(seconds), ..start })
}
