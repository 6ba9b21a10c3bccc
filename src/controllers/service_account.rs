//! The ServiceAccount `default` of each namespace: as which pods run that name no other.

use async_trait::async_trait;

use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::pods::is_namespace_terminating;
use super::resources::{NAMESPACES, SERVICE_ACCOUNTS};
use crate::model::status::Result;
use crate::model::value::json;

const DEFAULT: &str = "default";

/// Key: a namespace.
pub struct DefaultAccounts;

#[async_trait]
impl Controller for DefaultAccounts {
    fn follows(&self) -> Follows {
        Follows::these(&[&NAMESPACES, &SERVICE_ACCOUNTS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&NAMESPACES) {
            if change.previous.is_none() {
                keys.add(change.name());
            }
        } else if change.is_deleted() && change.name() == DEFAULT {
            keys.add(change.namespace());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&NAMESPACES, &SERVICE_ACCOUNTS])?;
        let is_wanted = cut.get(&NAMESPACES, "", key).is_some_and(|namespace| !namespace.is_deleting());
        if !is_wanted || cut.get(&SERVICE_ACCOUNTS, key, DEFAULT).is_some() {
            return Ok(Next::Done);
        }
        let account = json!({"metadata": {"name": DEFAULT, "namespace": key}});
        match cx.create(SERVICE_ACCOUNTS.at(key, DEFAULT), &account).await {
            Err(status) if !status.is_already_exists() && !is_namespace_terminating(&status) => Err(status),
            _ => Ok(Next::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::World;
    use crate::registry::client::Target;

    #[tokio::test(start_paused = true)]
    async fn each_namespace_has_a_default_account() {
        let world = World::with(&["serviceaccount"]).await;
        for name in ["a", "b"] {
            world.create(&NAMESPACES, json!({"metadata": {"name": name}})).await;
        }
        world.settle().await;
        assert_eq!(world.names(&SERVICE_ACCOUNTS), ["default", "default"]);
        let before = world.get(&SERVICE_ACCOUNTS, "a", "default")["metadata"]["uid"].clone();
        world.delete(SERVICE_ACCOUNTS.at("a", "default")).await;
        world.settle().await;
        let after = world.get(&SERVICE_ACCOUNTS, "a", "default")["metadata"]["uid"].clone();
        assert!(after.is_string() && after != before, "a new one");
        world.delete(Target::new("", "namespaces", "", "b")).await;
        world.delete(SERVICE_ACCOUNTS.at("b", "default")).await;
        world.settle().await;
        assert_eq!(world.names(&SERVICE_ACCOUNTS), ["default"], "a namespace on its way out gets none");
    }
}
