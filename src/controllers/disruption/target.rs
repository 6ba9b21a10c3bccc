//! Pods that were said to be disrupted and are there still: after a while that is said no more.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::codec::protobuf::view::View;
use crate::controllers::harness::{Cx, Next};
use crate::controllers::item::{Item, until, view};
use crate::model::status::{Outcome, Result};
use crate::model::time::Time;
use crate::model::value::json;

const CONDITION: &str = "DisruptionTarget";
/// How long the condition stays on a pod that is not deleted.
const STALE: Duration = Duration::from_secs(120);

/// Whether the condition is on a pod that neither ends nor was told to by its kubelet.
pub fn is_stale(pod: Option<View<'_>>) -> bool {
    pod.is_some_and(|pod| since(pod).is_some())
}

/// Since when the condition is there.
fn since(pod: View<'_>) -> Option<Time> {
    let status = pod.at("status");
    let condition = status.items("conditions").find(|condition| condition.text("type") == CONDITION)?;
    let is_held = condition.text("status") == "True" && condition.text("reason") != "TerminationByKubelet";
    let ends = pod.at("metadata").has("deletionTimestamp") || matches!(status.text("phase"), "Succeeded" | "Failed");
    (is_held && !ends).then(|| condition.time("lastTransitionTime").unwrap_or(Time { seconds: 0, nanos: 0 }))
}

/// Takes the condition back when it is time.
pub async fn reset(cx: &Cx, shelf: &Shelf, object: &Arc<Object>) -> Result<Next> {
    let Some(since) = view(shelf, object).and_then(since) else { return Ok(Next::Done) };
    let (now, end) = (cx.now(), Time { seconds: since.seconds + STALE.as_secs() as i64, ..since });
    if end > now {
        return Ok(Next::After(until(end, now)));
    }
    let mut pod = Item::new(shelf, object)?;
    let generation = pod.generation();
    for condition in pod.value["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if condition["type"] == CONDITION {
            *condition = json!({
                "type": CONDITION, "status": "False", "observedGeneration": generation,
                "lastTransitionTime": now.to_text().as_str(),
            });
        }
    }
    cx.update(pod.target().part("status"), &pod.value).await.unless_gone().map(|_| Next::Done)
}
