//! What the scheduler writes: bindings, why a pod waits, and the end of pods that make room. Each is a task of its own, so
//! that many share one commit.

use std::sync::Arc;

use compact_str::CompactString;

use super::plugins::volume_binding;
use super::pod::Pod;
use super::queue::Turn;
use crate::base::clock::Clock;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::registry::client::{Client, Target};
use crate::registry::events::{Happened, Recorder, Regarding};
use crate::registry::options::DeleteOptions;

/// Everything that is needed to write. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    pub client: Client,
    pub recorder: Recorder,
    pub clock: Clock,
    pub volume_timeout: std::time::Duration,
}

/// What has been written.
#[derive(Debug)]
pub enum Done {
    Bound,
    /// The pod did not get its node.
    NotBound {
        turn: Turn,
        status: Box<Status>,
    },
    /// Nothing is to be done about it.
    Told,
}

/// Why a pod has no node.
#[derive(Debug)]
pub struct Failure {
    pub message: String,
    /// It went wrong; otherwise it does not fit.
    pub is_error: bool,
    /// `Some`: its nomination changes to this node; empty: to none.
    pub nominated: Option<CompactString>,
}

impl Writer {
    /// Binds a pod to the node that it is assumed to be on.
    pub async fn bind(self, turn: Turn, assumed: Arc<Pod>) -> Done {
        match self.try_bind(&assumed).await {
            Ok(()) => {
                let note =
                    format!("Successfully assigned {}/{} to {}", assumed.namespace(), assumed.name(), assumed.node);
                let happened = Happened { is_warning: false, reason: "Scheduled", action: "Binding", note: &note };
                self.recorder.record(regarding(&assumed), None, happened).await;
                Done::Bound
            }
            Err(status) => Done::NotBound { turn, status: Box::new(status) },
        }
    }

    async fn try_bind(&self, pod: &Pod) -> Result<()> {
        if !pod.claims.is_empty() {
            volume_binding::bind(&self.client, &self.clock, pod, self.volume_timeout)
                .await
                .map_err(|status| within("running PreBind plugin \"VolumeBinding\"", status))?;
        }
        let binding = json!({
            "metadata": {"name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid.as_str()},
            "target": {"kind": "Node", "name": pod.node.as_str()},
        });
        let bound = self.client.bind(pod.namespace(), pod.name(), &binding).await;
        bound.map(drop).map_err(|status| within("running Bind plugin \"DefaultBinder\"", status))
    }

    /// Tells users why a pod waits: as an event, and in its condition.
    pub async fn tell(self, pod: Arc<Pod>, failure: Failure) -> Done {
        let note = &failure.message;
        let happened = Happened { is_warning: true, reason: "FailedScheduling", action: "Scheduling", note };
        self.recorder.record(regarding(&pod), None, happened).await;
        let reason = if failure.is_error { "SchedulerError" } else { "Unschedulable" };
        if let Some(status) = status_patch(&pod, reason, &failure, self.clock.now().into()) {
            self.patch_status(&pod, status).await;
        }
        Done::Told
    }

    /// A pod that is about to end gets no node.
    pub async fn tell_skipped(self, pod: Arc<Pod>) -> Done {
        let note = format!("skip schedule deleting pod: {}/{}", pod.namespace(), pod.name());
        let happened = Happened { is_warning: true, reason: "FailedScheduling", action: "Scheduling", note: &note };
        self.recorder.record(regarding(&pod), None, happened).await;
        Done::Told
    }

    /// Ends pods for a more important one; `lesser` had been promised the same node.
    pub async fn preempt(
        self,
        pod: Arc<Pod>,
        node: CompactString,
        victims: Vec<Arc<Pod>>,
        lesser: Vec<Arc<Pod>>,
    ) -> Done {
        for other in lesser {
            self.patch_status(&other, json!({"nominatedNodeName": null})).await;
        }
        for victim in victims.iter().filter(|victim| !victim.is_deleting) {
            if let Err(status) = self.end(&pod, victim).await {
                if !status.is_not_found() {
                    tracing::warn!(victim = ?victim.key, pod = ?pod.key, error = %status.message, "not preempted");
                }
                continue;
            }
            let note = format!("Preempted by pod {} on node {node}", pod.uid);
            let happened = Happened { is_warning: false, reason: "Preempted", action: "Preempting", note: &note };
            self.recorder.record(regarding(victim), Some(regarding(&pod)), happened).await;
        }
        Done::Told
    }

    async fn end(&self, pod: &Pod, victim: &Pod) -> Result<()> {
        let now: Time = self.clock.now().into();
        let condition = json!({
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": format!("{}: preempting to accommodate a higher priority pod", pod.scheduler),
            "lastTransitionTime": now.to_text().as_str(),
            "observedGeneration": victim.generation,
        });
        let target = Target::new("", "pods", victim.namespace(), victim.name());
        self.client.strategic(target.part("status"), &patch_of(victim, json!({"conditions": [condition]}))).await?;
        let options = DeleteOptions { uid: Some(victim.uid.to_string()), ..DeleteOptions::default() };
        self.client.delete(target, &options).await.map(drop)
    }

    async fn patch_status(&self, pod: &Pod, status: Value) {
        let target = Target::new("", "pods", pod.namespace(), pod.name()).part("status");
        match self.client.strategic(target, &patch_of(pod, status)).await {
            Err(status) if !status.is_not_found() => {
                tracing::warn!(pod = ?pod.key, error = %status.message, "no status written");
            }
            _ => {}
        }
    }
}

/// A patch of this very pod's status.
fn patch_of(pod: &Pod, status: Value) -> Value {
    json!({"metadata": {"uid": pod.uid.as_str()}, "status": status})
}

/// What changes in the pod's status; `None`: it says so already.
fn status_patch(pod: &Pod, reason: &str, failure: &Failure, now: Time) -> Option<Value> {
    let mut patch = json!({});
    let known = pod.scheduled.as_ref();
    let is_known = known.is_some_and(|c| c.status == "False" && c.reason == reason && c.message == failure.message);
    if !is_known {
        let since = known.filter(|c| c.status == "False").and_then(|c| c.last_transition_time.clone());
        patch["conditions"] = json!([{
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": failure.message,
            "lastTransitionTime": since.unwrap_or_else(|| now.to_text().to_string()),
            "observedGeneration": pod.generation,
        }]);
    }
    if let Some(node) = failure.nominated.as_ref().filter(|node| **node != pod.nominated) {
        patch["nominatedNodeName"] = if node.is_empty() { Value::Null } else { node.as_str().into() };
    }
    patch.as_object().is_some_and(|fields| !fields.is_empty()).then_some(patch)
}

/// The same refusal, and where it happened.
fn within(place: &str, mut status: Status) -> Status {
    status.message = format!("{place}: {}", status.message);
    status
}

fn regarding(pod: &Pod) -> Regarding<'_> {
    Regarding {
        api_version: "v1",
        kind: "Pod",
        namespace: pod.namespace(),
        name: pod.name(),
        uid: &pod.uid,
        resource_version: &pod.resource_version,
    }
}
