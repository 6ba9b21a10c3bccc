//! Roles and bindings: nobody grants what they do not hold, but who may `escalate` (roles) or `bind` (bindings).
//!
//! Writing such an object is a right that says nothing of what stands in it, so this is asked beside it.

use std::sync::Arc;

use async_trait::async_trait;

use super::{KindHooks, Wish};
use crate::auth::authorizer::{Attributes, Resource as Asked};
use crate::auth::identity::MASTERS;
use crate::auth::rbac::{Rbac, Rule};
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::registry::core::{Registry, storage};
use crate::registry::request::Address;

const GROUP: &str = "rbac.authorization.k8s.io";
/// Rights on roles are asked for whatever version they are written in.
const ANY_VERSION: &str = "*";
/// What finalizers and the garbage collector need to change, and what no client writes.
const UPKEEP: [&str; 4] = ["ownerReferences", "finalizers", "selfLink", "managedFields"];

/// One of the four kinds.
pub struct Granting {
    /// Plural.
    resource: &'static str,
    rbac: Arc<Rbac>,
}

/// All four.
pub fn all(rbac: &Arc<Rbac>) -> impl Iterator<Item = Granting> {
    let kinds = ["roles", "clusterroles", "rolebindings", "clusterrolebindings"];
    kinds.into_iter().map(|resource| Granting { resource, rbac: rbac.clone() })
}

#[async_trait]
impl KindHooks for Granting {
    fn resource(&self) -> (&'static str, &'static str) {
        (GROUP, self.resource)
    }

    async fn confirm(&self, wish: &Wish<'_>) -> Result<()> {
        let Wish { registry, user, at, new, old } = *wish;
        if user.is_in(MASTERS) {
            return Ok(());
        }
        let (roles, is_upkeep) = (!self.resource.ends_with("bindings"), old.is_some_and(|old| is_upkeep(new, old)));
        if is_upkeep || (roles && self.may_escalate(wish).await) {
            return Ok(());
        }
        let forbidden = |why: String| Status::forbidden(&at.resource.name, object::name(new), why);
        let wanted = if roles {
            Rule::all_of(new)
        } else {
            let role = &new["roleRef"];
            if self.may_bind(wish, role).await {
                return Ok(());
            }
            rules_of(registry, &at.namespace, role).await?
        };
        self.rbac.confirm_holds(user, &at.namespace, &wanted).map_err(forbidden)?;
        let aggregates = |role: &Value| {
            role["aggregationRule"]["clusterRoleSelectors"].as_array().is_some_and(|selectors| !selectors.is_empty())
        };
        // Such a role gathers anything.
        if self.resource == "clusterroles" && (aggregates(new) || old.is_some_and(aggregates)) {
            let why = "must have cluster-admin privileges to use an aggregationRule";
            self.rbac.confirm_holds(user, "", &everything()).map_err(|_| forbidden(why.into()))?;
        }
        Ok(())
    }
}

impl Granting {
    async fn may_escalate(&self, Wish { registry, user, at, old, .. }: &Wish<'_>) -> bool {
        let asked = Asked {
            group: GROUP,
            version: ANY_VERSION,
            resource: self.resource,
            namespace: &at.namespace,
            // The path of a create has no name.
            name: if old.is_none() { "" } else { &at.name },
            ..Asked::default()
        };
        registry.authorizer.authorize(&Attributes::resource(user, "escalate", asked)).await.is_allowed()
    }

    /// The right is asked for where the binding is, so that it may be given for a namespace.
    async fn may_bind(&self, Wish { registry, user, at, .. }: &Wish<'_>, role: &Value) -> bool {
        let Some(resource) = plural(role) else { return false };
        let asked = Asked {
            group: role["apiGroup"].as_str().unwrap_or(""),
            version: ANY_VERSION,
            resource,
            namespace: &at.namespace,
            name: role["name"].as_str().unwrap_or(""),
            ..Asked::default()
        };
        registry.authorizer.authorize(&Attributes::resource(user, "bind", asked)).await.is_allowed()
    }
}

fn plural(role: &Value) -> Option<&'static str> {
    match role["kind"].as_str() {
        Some("Role") => Some("roles"),
        Some("ClusterRole") => Some("clusterroles"),
        _ => None,
    }
}

/// The rules of the role that a binding in `namespace` refers to, as new as the request.
async fn rules_of(registry: &Registry, namespace: &str, role: &Value) -> Result<Vec<Rule>> {
    let Some(resource) = plural(role) else {
        let kind = crate::model::gotext::quote(role["kind"].as_str().unwrap_or(""));
        return Err(Status::unknown(format!("unsupported role reference kind: {kind}")));
    };
    let found = registry.catalog.load().find(GROUP, "v1", resource).cloned();
    let found = found.ok_or_else(|| Status::internal("roles are not served"))?;
    let name = role["name"].as_str().unwrap_or("");
    let at = Address::new(&found, if found.namespaced { namespace } else { "" }, name);
    match registry.get(&at, "").await {
        Ok(object) => Ok(Rule::all_of(&object.to_value(&storage(&found)?.shape).map_err(Status::internal)?)),
        Err(status) if status.code == 404 => {
            let singular = resource.trim_end_matches('s');
            Err(Status::not_found(&GroupResource::new(GROUP, singular), name))
        }
        Err(status) => Err(status),
    }
}

/// Whether nothing is changed but what an object needs to be let go.
fn is_upkeep(new: &Value, old: &Value) -> bool {
    let [new, old] = [new, old].map(|object| {
        let mut object = object.clone();
        UPKEEP.iter().for_each(|field| object::set_meta(&mut object, field, Value::Null));
        object
    });
    new == old
}

fn everything() -> [Rule; 2] {
    let all = || vec!["*".into()];
    let resources = Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() };
    [resources, Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn upkeep_is_what_changes_no_right() {
        let role = json!({"metadata": {"name": "r", "resourceVersion": "3"}, "rules": [{"verbs": ["get"]}]});
        let with = |path: &str, value: Value| {
            let mut changed = role.clone();
            *changed.pointer_mut(path).expect("there") = value;
            changed
        };
        let held =
            json!({"name": "r", "resourceVersion": "3", "finalizers": ["x/y"], "ownerReferences": [{"uid": "u"}]});
        assert!(is_upkeep(&role, &role) && is_upkeep(&with("/metadata", held), &role));
        let labelled = json!({"name": "r", "resourceVersion": "3", "labels": {"a": "b"}});
        assert!(!is_upkeep(&with("/metadata", labelled), &role));
        assert!(!is_upkeep(&with("/rules", json!([{"verbs": ["*"]}])), &role));
    }
}
