//! What users are told of a set.

use super::placement::Fit;
use crate::controllers::harness::{Cx, Next};
use crate::controllers::item::Item;
use crate::controllers::pods::Pod;
use crate::model::status::{Outcome, Result};

/// Nodes, by what they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    desired: i64,
    current: i64,
    misscheduled: i64,
    ready: i64,
    updated: i64,
    available: i64,
}

impl Counts {
    /// Counts a node; of several pods the first one.
    pub fn add(
        &mut self,
        fit: Fit,
        pods: &[Pod<'_>],
        is_new: impl Fn(&Pod<'_>) -> bool,
        is_available: impl Fn(&Pod<'_>) -> bool,
    ) {
        self.desired += i64::from(fit.may_come);
        let Some(pod) = pods.first() else { return };
        if !fit.may_come {
            self.misscheduled += 1;
            return;
        }
        self.current += 1;
        self.ready += i64::from(pod.ready);
        self.available += i64::from(is_available(pod));
        self.updated += i64::from(is_new(pod));
    }
}

/// Writes the counts, if they say something new.
pub async fn write(cx: &Cx, set: &Item, counts: &Counts) -> Result<Next> {
    let fields = [
        ("desiredNumberScheduled", counts.desired),
        ("currentNumberScheduled", counts.current),
        ("numberMisscheduled", counts.misscheduled),
        ("numberReady", counts.ready),
        ("updatedNumberScheduled", counts.updated),
        ("numberAvailable", counts.available),
        ("numberUnavailable", counts.desired - counts.available),
        ("observedGeneration", set.generation()),
    ];
    let is_told = |(field, count): &(&str, i64)| set.status()[*field].as_i64().unwrap_or(0) == *count;
    if fields.iter().all(is_told) {
        return Ok(Next::Done);
    }
    let mut set = set.clone();
    for (field, count) in fields {
        set.value["status"][field] = count.into();
    }
    cx.update(set.target().part("status"), &set.value).await.unless_gone().map(|_| Next::Done)
}
