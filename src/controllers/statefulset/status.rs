//! What users are told of a set.

use super::replicas::{Replicas, revision};
use crate::controllers::harness::Cx;
use crate::controllers::item::Item;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Value, json};

/// Writes the status, if it says something new.
pub async fn write(cx: &Cx, set: &Item, replicas: &Replicas<'_>, current: &Item, update: &Item) -> Result<()> {
    let count = |is: &dyn Fn(&crate::controllers::pods::Pod<'_>) -> bool| replicas.all().filter(|pod| is(pod)).count();
    let all = count(&|pod| !pod.phase.is_empty());
    let ready = count(&|pod| pod.phase == "Running" && pod.ready);
    let available = count(&|pod| pod.phase == "Running" && pod.ready && replicas.is_available(pod));
    let of = |name: &str| count(&|pod| !pod.phase.is_empty() && !pod.deleting && revision(pod) == name);
    let (mut of_current, of_update) = (of(current.name()), of(update.name()));
    let mut name = current.name();
    let wanted = set.spec()["replicas"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1);
    let is_rolling = set.spec()["updateStrategy"]["type"] == "RollingUpdate";
    if is_rolling && [of_update, ready, all].iter().all(|count| *count == wanted) {
        (of_current, name) = (of_update, update.name());
    }
    let fields = [
        ("observedGeneration", json!(set.generation())),
        ("replicas", json!(all)),
        ("readyReplicas", json!(ready)),
        ("availableReplicas", json!(available)),
        ("currentReplicas", json!(of_current)),
        ("updatedReplicas", json!(of_update)),
        ("currentRevision", json!(name)),
        ("updateRevision", json!(update.name())),
    ];
    let told = set.status();
    let is_told = |(field, value): &(&str, Value)| match &told[*field] {
        Value::Null => *value == 0,
        known => known == value,
    };
    if fields.iter().all(is_told) {
        return Ok(());
    }
    let mut set = set.clone();
    for (field, value) in fields {
        set.value["status"][field] = value;
    }
    if set.status()["collisionCount"].is_null() {
        set.value["status"]["collisionCount"] = 0.into();
    }
    cx.update(set.target().part("status"), &set.value).await.unless_gone().map(drop)
}
