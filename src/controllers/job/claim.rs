//! Which pods are a job's own, and what is read of them.

use super::{FINALIZER, has_finalizer, selector};
use crate::cache::index::{ORPHAN_POD, OWNER};
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::controllers::harness::Cx;
use crate::controllers::item::Item;
use crate::controllers::owner;
use crate::controllers::pods::Pod;
use crate::controllers::resources::PODS;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Value, json};

/// Annotation and label: the completion index of a pod.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Annotations: how often pods of this index have failed before, those that count and those that do not.
pub const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
pub const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// A pod of a job.
#[derive(Clone)]
pub struct JobPod<'a> {
    pub pod: Pod<'a>,
    pub uid: String,
    /// `None`: it has none, or one that is no number.
    pub index: Option<i64>,
    /// It is not counted yet.
    pub tracked: bool,
    /// Counted failures of its index before it, and those that did not count.
    pub failures: (i64, i64),
    /// It has failed, as far as the job's policy for replacing pods sees it.
    pub failed: bool,
}

impl<'a> JobPod<'a> {
    fn new(pod: Pod<'a>, only_failed: bool) -> Self {
        let annotations = pod.view.at("metadata").labels("annotations");
        let number = |key: &str| -> Option<i64> {
            let text = annotations.iter().find(|(known, _)| *known == key)?.1;
            text.parse().ok().filter(|number| (0..=i64::from(i32::MAX)).contains(number))
        };
        Self {
            uid: pod.object.uid().into_owned(),
            index: number(INDEX),
            tracked: has_finalizer(pod.object),
            failures: (number(FAILURES).unwrap_or(0), number(IGNORED).unwrap_or(0)),
            failed: pod.phase == "Failed" || (!only_failed && pod.deleting && pod.phase != "Succeeded"),
            pod,
        }
    }

    pub fn succeeded(&self) -> bool {
        self.pod.phase == "Succeeded"
    }
}

/// Pods are replaced only when they have failed, not when they begin to end.
pub fn only_failed(job: &Item) -> bool {
    job.spec()["podReplacementPolicy"] == "Failed" || !job.spec()["podFailurePolicy"].is_null()
}

/// The job's pods by name. Those that it does not select any more are let go of; selected orphans are taken in.
pub async fn claim<'a>(cx: &Cx, job: &Item, shelf: &'a Shelf) -> Result<Vec<JobPod<'a>>> {
    let (selector, only_failed, mut pods) = (selector(job)?, only_failed(job), Vec::new());
    let owned = shelf.by_index(&OWNER, job.uid()).filter(|pod| pod.controller().is_some_and(|o| o.uid == job.uid()));
    for pod in owned.filter_map(|object| Pod::new(shelf, object)) {
        if owner::selected(&selector, pod.object) {
            pods.push(JobPod::new(pod, only_failed));
        } else if !job.is_deleting() {
            owner::release(cx, job, PODS.at(job.namespace(), pod.object.name()), &pod.object.uid()).await?;
        }
    }
    if job.is_deleting() {
        return Ok(pods);
    }
    let orphans = shelf.by_index(&ORPHAN_POD, job.namespace()).filter(|pod| !pod.is_deleting());
    let orphans: Vec<_> = orphans.filter(|pod| owner::selected(&selector, pod)).collect();
    if !orphans.is_empty() {
        owner::may_adopt(cx, job).await?;
    }
    for object in orphans {
        adopt(cx, job, object).await?;
        if let Some(pod) = Pod::new(shelf, object) {
            pods.push(JobPod { tracked: true, ..JobPod::new(pod, only_failed) });
        }
    }
    Ok(pods)
}

async fn adopt(cx: &Cx, job: &Item, pod: &Object) -> Result<()> {
    let metadata = json!({
        "uid": pod.uid(),
        "ownerReferences": [job.controller_reference()],
        "finalizers": [FINALIZER],
    });
    cx.strategic(PODS.at(pod.namespace(), pod.name()), &json!({"metadata": metadata})).await.map(drop)
}

/// Takes the finalizer off a pod. One that is gone needs nothing.
pub async fn release(cx: &Cx, pod: &Object) -> Result<()> {
    let mut metadata: Value = json!({"uid": pod.uid()});
    metadata["$deleteFromPrimitiveList/finalizers"] = json!([FINALIZER]);
    cx.strategic(PODS.at(pod.namespace(), pod.name()), &json!({"metadata": metadata})).await.unless_late().map(drop)
}
