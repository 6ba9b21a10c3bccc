//! What a run writes: pods are noted, freed and counted, and the job's end is told when nothing is left to count.

use std::collections::HashSet;

use super::claim::{JobPod, release};
use super::manage::condition;
use super::policy::{self, Failure};
use super::tally::{FAILURE, Finish, SUCCESS, Tally};
use crate::controllers::batch;
use crate::controllers::conditions;
use crate::controllers::events::Kind;
use crate::controllers::harness::Cx;
use crate::controllers::item::Item;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};

/// UIDs in the status at most.
const MOST: usize = 500;

/// Pods that are done with, as they are noted in a status.
struct Noted<'a> {
    pods: Vec<&'a JobPod<'a>>,
    indexes: Vec<i64>,
    succeeded: Vec<String>,
    failed: Vec<String>,
    /// There are more.
    full: bool,
}

/// Writes the status; `before` is the one that the run began with.
pub async fn track(cx: &Cx, mut job: Item, mut tally: Tally<'_>, before: Value) -> Result<()> {
    let mut tracked: HashSet<&str> = tally.pods.iter().filter(|pod| pod.tracked).map(|pod| pod.uid.as_str()).collect();
    let status = &mut job.value["status"];
    let counts = [("active", tally.active_count), ("ready", tally.ready), ("terminating", tally.terminating)];
    let mut needs = tally.suspension_changed || before["ready"].is_null();
    for (field, count) in counts {
        needs |= before[field].as_i64().unwrap_or(0) != count;
        status[field] = count.into();
    }
    needs |= count_freed(status, &tracked);
    let noted = note(&job, &tally);
    needs |= write_down(&mut job, &mut tally, &noted);
    needs |= announce(&mut job, &mut tally, cx);
    if needs {
        job = update(cx, &job, "adding uncounted pods to status").await?;
    }
    let freed = batch::all(noted.pods.iter().map(|pod| release(cx, pod.pod.object))).await;
    if freed.is_ok() {
        tracked.retain(|uid| noted.pods.iter().all(|pod| pod.uid != *uid));
    }
    freed?;
    needs = count_freed(&mut job.value["status"], &tracked);
    let ends = !noted.full && end(&mut job, &tally, cx);
    if needs || ends {
        job = update(cx, &job, "removing uncounted pods from status").await?;
    }
    if let Some(finish) = tally.finish.filter(|_| ends) {
        tell(cx, &job, &finish);
    }
    Ok(())
}

async fn update(cx: &Cx, job: &Item, what: &str) -> Result<Item> {
    let written = cx.update(job.target().part("status"), &job.value).await;
    let failed = |status: Status| Status { message: format!("{what}: {}", status.message), ..status };
    Item::of(&job.storage, &written.map_err(failed)?.object)
}

/// Counts the pods that are written down and have lost their finalizer. Whether there were any.
fn count_freed(status: &mut Value, tracked: &HashSet<&str>) -> bool {
    let mut any = false;
    for list in ["succeeded", "failed"] {
        let uids = status["uncountedTerminatedPods"][list].as_array().cloned().unwrap_or_default();
        let left: Vec<Value> =
            uids.iter().filter(|uid| uid.as_str().is_some_and(|uid| tracked.contains(uid))).cloned().collect();
        let freed = uids.len() - left.len();
        if freed > 0 {
            any = true;
            status[list] = (status[list].as_i64().unwrap_or(0) + freed as i64).into();
        }
        status["uncountedTerminatedPods"][list] = left.into();
    }
    any
}

/// The pods that are done with and were not noted before.
fn note<'a>(job: &Item, tally: &Tally<'a>) -> Noted<'a> {
    let mut noted = Noted { pods: vec![], indexes: vec![], succeeded: vec![], failed: vec![], full: false };
    let mut pods: Vec<&JobPod<'_>> = tally.pods.iter().filter(|pod| pod.tracked).collect();
    if tally.indexed.is_some() {
        pods.sort_by_key(|pod| pod.index);
    }
    let known = |list: &str| job.status()["uncountedTerminatedPods"][list].as_array().map_or(0, Vec::len);
    let known = known("succeeded") + known("failed");
    let has_failed = tally.finish.as_ref().is_some_and(|finish| finish.ty != SUCCESS);
    for pod in pods {
        if !is_done_with(job, tally, pod) {
            continue;
        }
        noted.pods.push(pod);
        let has_place = tally.indexed.as_ref().is_none_or(|indexed| indexed.has_place(pod.index));
        let (is_known_success, is_known_failure) =
            (tally.uncounted.0.contains(&pod.uid), tally.uncounted.1.contains(&pod.uid));
        if pod.succeeded() && !is_known_failure {
            match (&tally.indexed, pod.index) {
                (Some(indexed), Some(index)) if has_place && !indexed.before.has(index) => noted.indexes.push(index),
                (None, _) if !is_known_success => noted.succeeded.push(pod.uid.clone()),
                _ => {}
            }
        } else if (pod.failed || has_failed) && !is_known_failure && has_place {
            let ignored = policy::judge(&job.spec()["podFailurePolicy"], &pod.pod) == Failure::Ignored;
            noted.failed.extend((!ignored).then(|| pod.uid.clone()));
        }
        if known + noted.indexes.len() + noted.succeeded.len() + noted.failed.len() >= MOST {
            noted.full = true;
            break;
        }
    }
    noted
}

/// Whether nothing further is learnt from a pod.
fn is_done_with(job: &Item, tally: &Tally<'_>, pod: &JobPod<'_>) -> bool {
    if job.is_deleting() || tally.finish.is_some() || pod.succeeded() {
        return true;
    }
    let last = tally.indexed.as_ref().zip(pod.index).and_then(|(indexed, index)| indexed.last_failed.get(&index));
    pod.failed && last.is_none_or(|last| last.uid != pod.uid)
}

fn write_down(job: &mut Item, tally: &mut Tally<'_>, noted: &Noted<'_>) -> bool {
    let status = &mut job.value["status"];
    let mut needs = !noted.indexes.is_empty() || !noted.succeeded.is_empty() || !noted.failed.is_empty();
    for (list, uids) in [("succeeded", &noted.succeeded), ("failed", &noted.failed)] {
        if let Some(known) = status["uncountedTerminatedPods"][list].as_array_mut() {
            known.extend(uids.iter().map(|uid| json!(uid)));
        }
    }
    let Some(indexed) = &tally.indexed else { return needs };
    let completed = indexed.before.and(noted.indexes.iter().copied());
    status["succeeded"] = completed.count().into();
    let failed = indexed.failed.as_ref().map(|failed| Value::from(failed.to_string()));
    for (field, value) in [("completedIndexes", Some(Value::from(completed.to_string()))), ("failedIndexes", failed)] {
        let value = value.unwrap_or(Value::Null);
        let is_same = status[field] == value || (field == "completedIndexes" && value == "" && status[field].is_null());
        if !is_same {
            status[field] = value;
            needs = true;
        }
    }
    needs
}

/// Says that the job will end, before its pods have. Whether that is news.
fn announce(job: &mut Item, tally: &mut Tally<'_>, cx: &Cx) -> bool {
    let Some(finish) = &mut tally.finish else { return false };
    let (first, last) = match finish.ty {
        FAILURE => (FAILURE, "Failed"),
        SUCCESS => (SUCCESS, "Complete"),
        _ => return false,
    };
    let is_new = conditions::find(job.status(), first).is_none();
    if is_new {
        let mut list = conditions::all(job.status());
        list.push(condition(first, "True", &finish.reason, &finish.message, &cx.now().to_text()));
        job.value["status"]["conditions"] = list.into();
    }
    finish.ty = last;
    is_new
}

/// Ends the job, if all is counted and no pod is left. Whether it did.
fn end(job: &mut Item, tally: &Tally<'_>, cx: &Cx) -> bool {
    let Some(finish) = &tally.finish else { return false };
    let left = |list: &str| job.status()["uncountedTerminatedPods"][list].as_array().map_or(0, Vec::len);
    if left("succeeded") + left("failed") > 0 || tally.terminating > 0 {
        return false;
    }
    let now = cx.now().to_text();
    let mut list = conditions::all(job.status());
    list.push(condition(finish.ty, "True", &finish.reason, &finish.message, &now));
    job.value["status"]["conditions"] = list.into();
    if finish.ty == "Complete" {
        job.value["status"]["completionTime"] = now.as_str().into();
    }
    true
}

fn tell(cx: &Cx, job: &Item, finish: &Finish) {
    if finish.ty == "Failed" {
        let reason: &'static str = REASONS.iter().find(|reason| **reason == finish.reason).copied().unwrap_or("Failed");
        return cx.event(job.into(), Kind::Warning, reason, finish.message.clone());
    }
    let completions = job.spec()["completions"].as_i64();
    if completions.is_some_and(|completions| job.status()["succeeded"].as_i64().unwrap_or(0) > completions) {
        let message = "Too many succeeded pods running after completion count reached";
        cx.event(job.into(), Kind::Warning, "TooManySucceededPods", message.into());
    }
    cx.event(job.into(), Kind::Normal, "Completed", "Job completed".into());
}

/// Why jobs fail.
const REASONS: [&str; 5] =
    ["BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy", "FailedIndexes", "MaxFailedIndexesExceeded"];
