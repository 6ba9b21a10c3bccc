//! What a deployment says of itself.

use super::sets::Set;
use super::{Run, condition};
use crate::controllers::conditions;
use crate::controllers::harness::Next;
use crate::controllers::item::{time, until};
use crate::model::status::Result;
use crate::model::time::Time;
use crate::model::value::{Map, Value};

const PROGRESSING: &str = "Progressing";
const FAILURE: &str = "ReplicaFailure";
const AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// The pods of a deployment, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    observed: i64,
    replicas: i64,
    updated: i64,
    ready: i64,
    available: i64,
    unavailable: i64,
    /// `None` when not all of its sets count them.
    terminating: Option<i64>,
}

impl Counts {
    fn of(run: &Run<'_>) -> Self {
        let sum = |field: &str| run.sets.iter().map(|set| set.counted(field)).sum::<i64>();
        let available = sum("availableReplicas");
        Self {
            observed: run.deployment.generation(),
            replicas: sum("replicas"),
            updated: run.newest.map_or(0, |at| run.sets[at].counted("replicas")),
            ready: sum("readyReplicas"),
            available,
            unavailable: (run.sets.iter().map(Set::replicas).sum::<i64>() - available).max(0),
            terminating: run.sets.iter().map(terminating).sum(),
        }
    }

    fn read(status: &Value) -> Self {
        let number = |field: &str| status[field].as_i64().unwrap_or(0);
        Self {
            observed: number("observedGeneration"),
            replicas: number("replicas"),
            updated: number("updatedReplicas"),
            ready: number("readyReplicas"),
            available: number("availableReplicas"),
            unavailable: number("unavailableReplicas"),
            terminating: status["terminatingReplicas"].as_i64(),
        }
    }

    fn write(&self, status: &mut Map) {
        let numbers = [
            ("observedGeneration", Some(self.observed)),
            ("replicas", Some(self.replicas)),
            ("updatedReplicas", Some(self.updated)),
            ("readyReplicas", Some(self.ready)),
            ("availableReplicas", Some(self.available)),
            ("unavailableReplicas", Some(self.unavailable)),
            ("terminatingReplicas", self.terminating),
        ];
        for (field, number) in numbers {
            match number {
                Some(number) => drop(status.insert(field.into(), number.into())),
                None => drop(status.remove(field)),
            }
        }
    }

    /// All pods wanted are of the newest version and available, and no others are left.
    fn is_complete(&self, wanted: i64, generation: i64) -> bool {
        [self.updated, self.replicas, self.available] == [wanted; 3] && self.observed >= generation
    }

    fn has_progressed(&self, before: &Self) -> bool {
        self.updated > before.updated
            || self.replicas - self.updated < before.replicas - before.updated
            || self.ready > before.ready
            || self.available > before.available
    }
}

/// Pods that are going; 0 for a set that nobody has looked at yet, `None` when it does not say.
fn terminating(set: &Set) -> Option<i64> {
    let status = set.0.status();
    match status["terminatingReplicas"].as_i64() {
        None if set.counted("observedGeneration") == 0 => Some(0),
        counted => counted,
    }
}

impl Run<'_> {
    /// Writes the status, if it says something new. `judge`: also how the rollout goes. Says when to look again.
    pub(super) async fn write_status(mut self, judge: bool) -> Result<Next> {
        let (counts, now) = (Counts::of(&self), self.cx.now());
        let old = self.deployment.status().clone();
        let before = conditions::all(&old);
        let mut list = before.clone();
        conditions::set(&mut list, self.availability(&counts, now));
        if judge {
            self.judge_progress(&counts, &Counts::read(&old), &mut list, now);
            self.copy_failure(&mut list);
        }
        let next = if judge { self.next_look(&counts, &list, now) } else { Next::Done };
        if Counts::read(&old) == counts && before == list {
            return Ok(next);
        }
        let mut status = old.as_object().cloned().unwrap_or_default();
        counts.write(&mut status);
        status.insert("conditions".into(), list.into());
        let mut value = self.deployment.value.clone();
        value["status"] = status.into();
        self.write(value).await?;
        Ok(next)
    }

    fn availability(&self, counts: &Counts, now: Time) -> Value {
        if counts.available >= self.wanted() - self.strategy.unavailable() {
            let message = "Deployment has minimum availability.";
            return condition("Available", "True", "MinimumReplicasAvailable", message, now);
        }
        let message = "Deployment does not have minimum availability.";
        condition("Available", "False", "MinimumReplicasUnavailable", message, now)
    }

    fn judge_progress(&self, counts: &Counts, before: &Counts, list: &mut Vec<Value>, now: Time) {
        let Some(deadline) = self.deadline() else { return conditions::remove(list, PROGRESSING) };
        let current = conditions::of(list, PROGRESSING).cloned();
        let reason = current.as_ref().and_then(|c| c["reason"].as_str()).unwrap_or("");
        if counts.replicas == counts.updated && reason == AVAILABLE {
            return;
        }
        let whom = match self.newest {
            Some(at) => format!("ReplicaSet \"{}\"", self.sets[at].0.name()),
            None => format!("Deployment \"{}\"", self.deployment.name()),
        };
        if counts.is_complete(self.wanted(), self.deployment.generation()) {
            let message = format!("{whom} has successfully progressed.");
            conditions::set(list, condition(PROGRESSING, "True", AVAILABLE, &message, now));
        } else if counts.has_progressed(before) {
            let message = format!("{whom} is progressing.");
            let mut news = condition(PROGRESSING, "True", "ReplicaSetUpdated", &message, now);
            // Each progress counts anew, also while the condition stays.
            if let Some(current) = current.filter(|current| current["status"] == "True") {
                news["lastTransitionTime"] = current["lastTransitionTime"].clone();
            }
            conditions::remove(list, PROGRESSING);
            list.push(news);
        } else if current.is_some_and(|current| has_timed_out(&current, deadline, now)) {
            let message = format!("{whom} has timed out progressing.");
            conditions::set(list, condition(PROGRESSING, "False", TIMED_OUT, &message, now));
        }
    }

    /// A set that cannot make its pods says so, and the deployment with it: the newest before the others.
    fn copy_failure(&self, list: &mut Vec<Value>) {
        let newest = self.newest.map(|at| &self.sets[at]);
        let found = newest.into_iter().chain(&self.sets).find_map(|set| conditions::find(set.0.status(), FAILURE));
        let Some(failure) = found else { return conditions::remove(list, FAILURE) };
        let mut copied = failure.clone();
        copied["lastUpdateTime"] = failure["lastTransitionTime"].clone();
        conditions::set(list, copied);
    }

    /// When a rollout without further progress will have taken too long.
    fn next_look(&self, counts: &Counts, list: &[Value], now: Time) -> Next {
        let (Some(deadline), Some(current)) = (self.deadline(), conditions::of(list, PROGRESSING)) else {
            return Next::Done;
        };
        let is_settled = matches!(current["reason"].as_str(), Some(TIMED_OUT | AVAILABLE));
        if is_settled || counts.is_complete(self.wanted(), self.deployment.generation()) {
            return Next::Done;
        }
        // A second more: the condition's time has no fractions.
        let Some(since) = time(&current["lastUpdateTime"]) else { return Next::Done };
        Next::After(until(Time { seconds: since.seconds + deadline + 1, ..since }, now))
    }
}

fn has_timed_out(current: &Value, deadline: i64, now: Time) -> bool {
    match current["reason"].as_str() {
        Some(AVAILABLE) => false,
        Some(TIMED_OUT) => true,
        _ => time(&current["lastUpdateTime"])
            .is_some_and(|since| Time { seconds: since.seconds + deadline, ..since } < now),
    }
}
