//! FlowSchemas: the condition `Dangling` says whether the level that one names is there (KEP-1040).

use async_trait::async_trait;

use crate::controllers::conditions;
use crate::controllers::harness::{Change, Controller, Cx, Follows, Keys, Next};
use crate::controllers::item::Item;
use crate::controllers::resources::{FLOW_SCHEMAS, PRIORITY_LEVELS};
use crate::model::status::{Outcome, Result};
use crate::model::value::json;
use crate::model::{condition, gotext};

const CONDITION: &str = "Dangling";
/// Under which stock applies the condition.
const MANAGER: &str = "api-priority-and-fairness-config-consumer-v1";

/// Key: a FlowSchema.
pub struct FlowSchemas;

#[async_trait]
impl Controller for FlowSchemas {
    fn follows(&self) -> Follows {
        Follows::these(&[&FLOW_SCHEMAS, &PRIORITY_LEVELS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&FLOW_SCHEMAS) {
            keys.add(change.name());
            return;
        }
        // A level that comes or goes may concern any; there are few.
        if (change.previous.is_none() || change.is_deleted())
            && let Ok(snapshot) = change.registry.cache.snapshot(&[&FLOW_SCHEMAS.full])
        {
            snapshot.shelves[0].iter(None).for_each(|schema| keys.add(schema.name()));
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&FLOW_SCHEMAS, &PRIORITY_LEVELS])?;
        let Some(schema) = Item::find(cut.shelf(&FLOW_SCHEMAS), "", key)? else { return Ok(Next::Done) };
        let level = schema.spec()["priorityLevelConfiguration"]["name"].as_str().unwrap_or("");
        let (status, reason, rest) = match cut.get(&PRIORITY_LEVELS, "", level) {
            Some(_) => ("False", "Found", "and it exists"),
            None => ("True", "NotFound", "but there is no such object"),
        };
        let message = format!(
            "This FlowSchema references the PriorityLevelConfiguration object named {} {rest}",
            gotext::quote(level)
        );
        let mut told = schema.status().clone();
        let condition = json!({"type": CONDITION, "status": status, "reason": reason, "message": message});
        if !condition::set(&mut told, condition, cx.now()) {
            return Ok(Next::Done);
        }
        let condition = conditions::find(&told, CONDITION);
        let wanted = json!({
            "apiVersion": schema.storage.kind.group_version().to_string(), "kind": "FlowSchema",
            "metadata": {"name": key}, "status": {"conditions": [condition]},
        });
        cx.apply(schema.target().part("status"), wanted, MANAGER).await.unless_gone().map(|_| Next::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::World;
    use crate::controllers::{events, serving};
    use crate::model::value::Value;

    fn told(world: &World, name: &str) -> String {
        let schema = world.get(&FLOW_SCHEMAS, "", name);
        let condition = conditions::find(&schema["status"], CONDITION).cloned().unwrap_or_default();
        let text = |field: &str| condition[field].as_str().unwrap_or("").to_owned();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    fn level() -> Value {
        json!({"metadata": {"name": "own"}, "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}})
    }

    #[tokio::test(start_paused = true)]
    async fn a_schema_dangles_while_its_level_is_not_there() {
        let world = World::with(&[]).await;
        let events = events::start(world.client.registry(), &world.tasks);
        serving::start(world.client.registry(), &world.tasks, &events).expect("they start");
        let spec = json!({"priorityLevelConfiguration": {"name": "own"}, "matchingPrecedence": 9000});
        world.create(&FLOW_SCHEMAS, json!({"metadata": {"name": "s"}, "spec": spec})).await;
        world.settle().await;
        let subject = "This FlowSchema references the PriorityLevelConfiguration object named \"own\"";
        assert_eq!(told(&world, "s"), format!("True NotFound: {subject} but there is no such object"));
        world.create(&PRIORITY_LEVELS, level()).await;
        world.settle().await;
        assert_eq!(told(&world, "s"), format!("False Found: {subject} and it exists"));
        let owner = &world.get(&FLOW_SCHEMAS, "", "s")["metadata"]["managedFields"];
        let owner = owner.as_array().into_iter().flatten().find(|entry| entry["operation"] == "Apply");
        assert_eq!(owner.map(|entry| &entry["manager"]), Some(&json!(MANAGER)));
        world.delete(PRIORITY_LEVELS.at("", "own")).await;
        world.settle().await;
        assert_eq!(told(&world, "s"), format!("True NotFound: {subject} but there is no such object"));
    }
}
