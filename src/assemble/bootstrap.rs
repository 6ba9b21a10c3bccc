//! What a fresh control plane has: namespaces, roles and bindings, priority classes, flow control, its own API services.
//!
//! The objects stand in `bootstrap.jsonl`, one a line. Each start makes those that are missing, and gives roles and
//! bindings back what they lack, unless they say that they are not to be updated. Those of flow control are kept in
//! `flow_control`.

use futures_util::future::join_all;

use super::flow_control;
use crate::auth::rbac::{Rule, covers};
use crate::model::names::{GroupVersion, GroupVersionKind};
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};
use crate::registry::client::{Client, Target};
use crate::registry::options::DeleteOptions;

const OBJECTS: &str = include_str!("bootstrap.jsonl");
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Makes what is missing. Called at each start, before the server is ready.
pub async fn run(client: &Client) -> Result<()> {
    let objects = objects()?.into_iter().filter(|object| !flow_control::keeps(object));
    let (namespaces, others): (Vec<Value>, Vec<Value>) = objects.partition(|object| object["kind"] == "Namespace");
    // Namespaced objects need their namespace; all others go to the store together, in few commits.
    for batch in [namespaces, others] {
        let made = join_all(batch.iter().map(|object| ensure(client, object))).await;
        made.into_iter().collect::<Result<Vec<()>>>()?;
    }
    Ok(())
}

/// All of them.
pub fn objects() -> Result<Vec<Value>> {
    OBJECTS.lines().map(|line| serde_json::from_str(line).map_err(Status::internal)).collect()
}

async fn ensure(client: &Client, wanted: &Value) -> Result<()> {
    let kind = kind(wanted)?;
    let catalog = client.registry().catalog.load();
    let resource = catalog.by_kind(&kind).cloned().ok_or_else(Status::no_such_resource)?;
    let (namespace, name) = (object::namespace(wanted), object::name(wanted));
    let target = Target::new(&resource.name.group, &resource.name.resource, namespace, name);
    let at = crate::registry::request::Address::new(&resource, namespace, name);
    if let Some(current) = client.registry().cached(&at)? {
        return reconcile(client, target, wanted, &current.value).await;
    }
    match client.create(target, wanted).await {
        Ok(_) => set_status(client, target, wanted).await,
        Err(status) if status.is_already_exists() => Ok(()),
        Err(status) => Err(Status::internal(format!("{} {name}: {status}", kind.kind))),
    }
}

fn kind(object: &Value) -> Result<GroupVersionKind> {
    let version = object["apiVersion"].as_str().and_then(GroupVersion::parse);
    let version = version.ok_or_else(|| Status::internal("a bootstrap object without apiVersion"))?;
    Ok(version.with_kind(object["kind"].as_str().unwrap_or("")))
}

/// Conditions that the objects have from the beginning.
pub async fn set_status(client: &Client, target: Target<'_>, wanted: &Value) -> Result<()> {
    let Some(conditions) = wanted["status"]["conditions"].as_array() else { return Ok(()) };
    let now = client.registry().now().to_text();
    let mut conditions = conditions.clone();
    for condition in &mut conditions {
        condition["lastTransitionTime"] = now.as_str().into();
    }
    client.merge(target.part("status"), &json!({"status": {"conditions": conditions}})).await.map(|_| ())
}

/// Roles and bindings get back the rules and subjects that they lack. A binding to another role is made anew, for what it
/// refers to cannot be changed.
async fn reconcile(client: &Client, target: Target<'_>, wanted: &Value, current: &Value) -> Result<()> {
    let list = match wanted["kind"].as_str().unwrap_or("") {
        "ClusterRole" | "Role" if wanted.get("aggregationRule").is_none() => "rules",
        "ClusterRoleBinding" | "RoleBinding" => "subjects",
        _ => return Ok(()),
    };
    if object::annotation(current, AUTOUPDATE) == Some("false") {
        return Ok(());
    }
    if list == "subjects" && wanted["roleRef"] != current["roleRef"] {
        client.delete(target, &DeleteOptions::default()).await?;
        return client.create(target, wanted).await.map(|_| ());
    }
    let have = current[list].as_array().cloned().unwrap_or_default();
    let missing = lacking(list, wanted, current);
    if missing.is_empty() {
        return Ok(());
    }
    let all: Vec<Value> = have.into_iter().chain(missing).collect();
    client.merge(target, &json!({ list: all })).await.map(|_| ())
}

/// Rights that no rule gives, or subjects that are not named.
fn lacking(list: &str, wanted: &Value, current: &Value) -> Vec<Value> {
    if list == "rules" {
        return covers(&Rule::all_of(current), &Rule::all_of(wanted)).iter().map(Rule::to_value).collect();
    }
    let have = current[list].as_array();
    let is_there = |item: &&Value| have.is_some_and(|have| have.contains(item));
    wanted[list].as_array().into_iter().flatten().filter(|item| !is_there(item)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_an_object_of_a_served_kind() {
        let catalog = crate::schema::catalog::Catalog::builtin();
        let mut count = 0;
        for line in OBJECTS.lines() {
            let object: Value = serde_json::from_str(line).expect("JSON");
            assert!(catalog.by_kind(&kind(&object).expect("a kind")).is_some(), "{line}");
            count += 1;
        }
        assert!(count > 150);
    }

    #[test]
    fn the_role_of_nodes_says_what_their_authorizer_knows() {
        let objects = OBJECTS.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let role = objects.into_iter().find(|o| o["kind"] == "ClusterRole" && object::name(o) == "system:node");
        let known = crate::auth::node::rules();
        assert_eq!(crate::auth::rbac::Rule::all_of(&role.expect("a role")), known);
    }
    #[test]
    fn only_what_is_lacking_is_given_back() {
        let wanted = json!({"rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]});
        let of = |verbs: Value| json!({"rules": [{"verbs": verbs, "apiGroups": [""], "resources": ["pods"]}]});
        assert_eq!(lacking("rules", &wanted, &of(json!(["*"]))), Vec::<Value>::new(), "it is there in another form");
        let missing = lacking("rules", &wanted, &of(json!(["get"])));
        assert_eq!(missing, [json!({"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]})]);
        let (a, b) = (json!({"kind": "User", "name": "a"}), json!({"kind": "User", "name": "b"}));
        let wanted = json!({"subjects": [a.clone(), b.clone()]});
        assert_eq!(lacking("subjects", &wanted, &json!({ "subjects": [a] })), [b]);
    }
}
