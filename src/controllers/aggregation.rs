//! ClusterRoles whose rules are those of others, chosen by labels.

use async_trait::async_trait;

use super::harness::{Change, Controller, Cx, Follows, Keys, Next};
use super::item::Item;
use super::resources::CLUSTER_ROLES;
use crate::auth::rbac::{Rule, aggregated_rules, is_aggregated};
use crate::model::object;
use crate::model::selector::label::Selector;
use crate::model::status::Result;
use crate::model::value::{Value, json};

/// Under which it applies the rules.
const MANAGER: &str = "clusterrole-aggregation-controller";
/// Key: all of them. There are few, and each change of a role may concern any.
const ALL: &str = "*";

pub struct Aggregation;

#[async_trait]
impl Controller for Aggregation {
    fn follows(&self) -> Follows {
        Follows::these(&[&CLUSTER_ROLES])
    }

    fn triggers(&self, _: &Change<'_>, keys: &mut Keys) {
        keys.add(ALL);
    }

    async fn reconcile(&self, cx: &Cx, _: &str) -> Result<Next> {
        let cut = cx.cut(&[&CLUSTER_ROLES])?;
        let shelf = cut.shelf(&CLUSTER_ROLES);
        let items = shelf.iter(None).map(|object| Item::new(shelf, object)).collect::<Result<Vec<_>>>()?;
        let values: Vec<&Value> = items.iter().map(|item| &item.value).collect();
        for role in items.iter().filter(|item| is_aggregated(&item.value) && !item.is_deleting()) {
            let rules = aggregated_rules(&role.value, values.iter().copied(), matches);
            if rules == Rule::all_of(&role.value) {
                continue;
            }
            let rules: Vec<Value> = rules.iter().map(Rule::to_value).collect();
            let wanted = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": role.name()},
                "rules": rules,
            });
            cx.apply(role.target(), wanted, MANAGER).await?;
        }
        Ok(Next::Done)
    }
}

/// Whether a LabelSelector selects a role. One that nobody could have stored selects nothing.
fn matches(selector: &Value, role: &Value) -> bool {
    let labels = object::metadata(role).and_then(|metadata| metadata.get("labels")).and_then(Value::as_object);
    Selector::of_object(selector).is_ok_and(|selector| selector.matches_map(labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::World;

    fn role(name: &str, label: &str, resource: &str) -> Value {
        let rules = json!([{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}]);
        json!({"metadata": {"name": name, "labels": {"to": label}}, "rules": rules})
    }

    fn resources(world: &World, name: &str) -> Vec<String> {
        let role = world.get(&CLUSTER_ROLES, "", name);
        let rules = role["rules"].as_array().cloned().unwrap_or_default();
        rules.iter().map(|rule| rule["resources"][0].as_str().unwrap_or("").to_owned()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_follows_those_it_is_made_of() {
        let world = World::with(&["clusterrole-aggregation"]).await;
        let selectors = |label: &str| json!({"clusterRoleSelectors": [{"matchLabels": {"to": label}}]});
        let (mut edit, mut admin) = (role("edit", "admin", "none"), role("admin", "", "none"));
        (edit["aggregationRule"], admin["aggregationRule"]) = (selectors("edit"), selectors("admin"));
        world.create(&CLUSTER_ROLES, admin).await;
        world.create(&CLUSTER_ROLES, edit).await;
        world.create(&CLUSTER_ROLES, role("a", "edit", "pods")).await;
        world.create(&CLUSTER_ROLES, role("b", "edit", "services")).await;
        world.settle().await;
        assert_eq!(resources(&world, "edit"), ["pods", "services"]);
        assert_eq!(resources(&world, "admin"), ["pods", "services"], "through the other");
        let owner = &world.get(&CLUSTER_ROLES, "", "edit")["metadata"]["managedFields"][0];
        assert_eq!((&owner["manager"], &owner["operation"]), (&json!(MANAGER), &json!("Apply")));
        world.delete(CLUSTER_ROLES.at("", "a")).await;
        world.settle().await;
        assert_eq!(
            (resources(&world, "edit"), resources(&world, "admin")),
            (vec!["services".into()], vec!["services".into()])
        );
    }
}
