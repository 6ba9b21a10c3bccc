//! What a set says of itself.

use super::claim::Claimed;
use super::manage::wanted;
use crate::controllers::conditions;
use crate::controllers::harness::Cx;
use crate::controllers::item::Item;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::{Text, Value, json};

const FAILURE: &str = "ReplicaFailure";

/// The pods of a set, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub replicas: i64,
    /// Those with all labels of the template.
    pub fully_labeled: i64,
    pub ready: i64,
    pub available: i64,
    /// `None` where the kind does not count them.
    pub terminating: Option<i64>,
}

impl Counts {
    pub fn of(set: &Item, claimed: &Claimed<'_>, now: Time, with_terminating: bool) -> Self {
        let template = set.spec()["template"]["metadata"]["labels"].as_object();
        let min_ready_seconds = set.spec()["minReadySeconds"].as_i64().unwrap_or(0);
        let mut counts = Self { replicas: claimed.active.len() as i64, ..Self::default() };
        for pod in &claimed.active {
            let has = |(key, value): (&Text, &Value)| pod.object.label(key).as_deref() == value.as_str();
            counts.fully_labeled += i64::from(template.into_iter().flatten().all(has));
            counts.ready += i64::from(pod.ready);
            counts.available += i64::from(pod.is_available(min_ready_seconds, now));
        }
        counts.terminating = with_terminating.then_some(claimed.terminating as i64);
        counts
    }

    fn read(status: &Value) -> Self {
        let number = |field: &str| status[field].as_i64().unwrap_or(0);
        Self {
            replicas: number("replicas"),
            fully_labeled: number("fullyLabeledReplicas"),
            ready: number("readyReplicas"),
            available: number("availableReplicas"),
            terminating: status["terminatingReplicas"].as_i64(),
        }
    }
}

/// Writes the status, if it says something new. `failed`: why there are not as many pods as wanted.
pub async fn write(cx: &Cx, set: &Item, counts: &Counts, failed: Option<&Status>) -> Result<()> {
    let (old, generation) = (set.status(), set.generation());
    let was = conditions::all(old);
    let now_are = with_failure(set, counts, failed, cx.now());
    let observed = old["observedGeneration"].as_i64().unwrap_or(0);
    if Counts::read(old) == *counts && observed == generation && was == now_are {
        return Ok(());
    }
    let mut status = json!({
        "replicas": counts.replicas,
        "fullyLabeledReplicas": counts.fully_labeled,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "observedGeneration": generation,
    });
    if let Some(terminating) = counts.terminating {
        status["terminatingReplicas"] = terminating.into();
    }
    if !now_are.is_empty() {
        status["conditions"] = now_are.into();
    }
    let mut value = set.value.clone();
    value["status"] = status;
    debug_assert_eq!(object::uid(&value), set.uid());
    cx.update(set.target().part("status"), &value).await.map(drop)
}

fn with_failure(set: &Item, counts: &Counts, failed: Option<&Status>, now: Time) -> Vec<Value> {
    let mut list = conditions::all(set.status());
    match failed {
        Some(status) if conditions::of(&list, FAILURE).is_none() => {
            let too_few = (counts.replicas as usize) < wanted(set);
            list.push(json!({
                "type": FAILURE,
                "status": "True",
                "lastTransitionTime": now.to_text().as_str(),
                "reason": if too_few { "FailedCreate" } else { "FailedDelete" },
                "message": status.message,
            }));
        }
        Some(_) => {}
        None => conditions::remove(&mut list, FAILURE),
    }
    list
}
