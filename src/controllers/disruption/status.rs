//! What users, and evictions, are told of a budget.

use super::Counts;
use crate::controllers::harness::Cx;
use crate::controllers::item::Item;
use crate::model::condition;
use crate::model::status::Result;
use crate::model::value::json;
use crate::registry::eviction::{CONDITION, tell};

/// Writes the status, if it says something new.
pub async fn write(cx: &Cx, budget: &mut Item, counts: Counts) -> Result<()> {
    let left = counts.healthy - counts.desired;
    let allowed = if counts.expected <= 0 { 0 } else { left.max(0) };
    let generation = budget.generation();
    let before = budget.status().clone();
    let mut status = json!({"conditions": before["conditions"]});
    let numbers = [
        ("currentHealthy", counts.healthy),
        ("desiredHealthy", counts.desired),
        ("expectedPods", counts.expected),
        ("disruptionsAllowed", allowed),
        ("observedGeneration", generation),
    ];
    let is_told = numbers.iter().all(|(field, number)| before[*field].as_i64().unwrap_or(0) == *number);
    for (field, number) in numbers {
        status[field] = number.into();
    }
    let known = before["disruptedPods"].as_object().cloned().unwrap_or_default();
    let is_told = is_told && known == counts.disrupted;
    if !counts.disrupted.is_empty() {
        status["disruptedPods"] = counts.disrupted.into();
    }
    let is_news = tell(&mut status, cx.now());
    if is_told && !is_news {
        return Ok(());
    }
    budget.value["status"] = status;
    cx.update(budget.target().part("status"), &budget.value).await.map(drop)
}

/// Allows nothing, for what is not understood must not be disrupted.
pub async fn fail(cx: &Cx, budget: &mut Item, why: &str) -> Result<()> {
    let before = budget.status().clone();
    let status = &mut budget.value["status"];
    if !status.is_object() {
        *status = json!({});
    }
    let mut failed = json!({"type": CONDITION, "status": "False", "reason": "SyncFailed", "message": why});
    if let Some(generation) = before["observedGeneration"].as_i64() {
        failed["observedGeneration"] = generation.into();
    }
    let is_news = condition::set(status, failed, cx.now());
    if before["disruptionsAllowed"].as_i64().unwrap_or(0) == 0 && !is_news {
        return Ok(());
    }
    status["disruptionsAllowed"] = 0.into();
    cx.update(budget.target().part("status"), &budget.value).await.map(drop)
}
