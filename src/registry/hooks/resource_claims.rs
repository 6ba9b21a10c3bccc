//! Who may say what in a ResourceClaim's status: the scheduler allocates, drivers tell of their own devices.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::KindHooks;
use crate::auth::authorizer::{Attributes, Chain, Resource};
use crate::auth::identity::{NODE_NAME, User, split_service_account};
use crate::model::field::FieldErrors;
use crate::model::value::Value;
use crate::registry::core::Registry;
use crate::registry::request::Address;
use crate::rules::at::At;
use crate::schema::table;

pub struct ResourceClaims;

/// Of a driver on the node of the claim's devices, and of one anywhere.
const ON_ITS_NODE: &str = "associated-node:";
const ANYWHERE: &str = "arbitrary-node:";

#[async_trait]
impl KindHooks for ResourceClaims {
    fn resource(&self) -> (&'static str, &'static str) {
        ("resource.k8s.io", "resourceclaims")
    }

    fn denied(
        &self,
        registry: &Registry,
        user: &User,
        at: &Address,
        verb: &str,
        (new, old): (&Value, &Value),
    ) -> FieldErrors {
        let mut errs = FieldErrors::new();
        if at.subresource == "status" {
            let message = table::message("k8s.io.api.resource.v1.ResourceClaim");
            let (new, old) = (At::new(new, message), At::new(old, message));
            let ask = Ask { authorizer: &registry.authorizer, user, at, verb };
            ask.binding(&new.at("status"), &old.at("status"), &mut errs);
            ask.devices(&new.at("status"), &old.at("status"), &mut errs);
        }
        errs
    }
}

/// A question of what else a writer may do.
struct Ask<'a> {
    authorizer: &'a Chain,
    user: &'a User,
    at: &'a Address,
    verb: &'a str,
}

impl Ask<'_> {
    /// To allocate devices, or to reserve them for pods.
    fn binding(&self, new: &At, old: &At, errs: &mut FieldErrors) {
        if ["allocation", "reservedFor"].iter().all(|field| new.at(field).same_as(&old.at(field))) {
            return;
        }
        if let Some(why) = self.refusal("binding", "", "", self.verb) {
            let verb = self.verb;
            new.at("allocation").forbidden(
                errs,
                format!(
                    "changing status.allocation or status.reservedFor requires resource=\"resourceclaims/binding\", \
                     verb=\"{verb}\" permission: {why}"
                ),
            );
        }
    }

    /// To tell of a driver's devices. What is said of a claim without devices is dropped, whoever said it.
    fn devices(&self, new: &At, old: &At, errs: &mut FieldErrors) {
        let allocation = new.at("allocation");
        if allocation.is_null() {
            return;
        }
        let anywhere = format!("{ANYWHERE}{}", self.verb);
        let verbs = match node_of(allocation.value()) {
            Some(node) if self.is_agent_on(node) => vec![format!("{ON_ITS_NODE}{}", self.verb), anywhere],
            _ => vec![anywhere],
        };
        for driver in drivers(&new.at("devices"), &old.at("devices")) {
            let mut refusals: Vec<_> = Vec::new();
            for verb in &verbs {
                refusals.extend(self.refusal("driver", &self.at.namespace, driver, verb));
            }
            if refusals.len() == verbs.len() {
                let (verbs, why) = (verbs.join(" "), &refusals[0]);
                new.at("devices").forbidden(
                    errs,
                    format!(
                        "changing status.devices requires resource=\"resourceclaims/driver\", verb=\"[{verbs}]\" \
                         permission: {why}"
                    ),
                );
            }
        }
    }

    /// Why the writer may not; `None` when it may.
    fn refusal(&self, subresource: &str, namespace: &str, name: &str, verb: &str) -> Option<String> {
        let kind = &self.at.resource.kind;
        let resource = Resource {
            group: &kind.group,
            version: &kind.version,
            resource: "resourceclaims",
            subresource,
            namespace,
            name,
            ..Resource::default()
        };
        let attributes = Attributes::resource(self.user, verb, resource);
        let refused = self.authorizer.authorize_blocking(&attributes).require(&attributes);
        refused.err().map(|status| status.message)
    }

    /// Whether the writer is a service account of a pod on this node.
    fn is_agent_on(&self, node: &str) -> bool {
        split_service_account(&self.user.name).is_some() && self.user.extra_value(NODE_NAME) == Some(node)
    }
}

/// The drivers whose devices something new is said of, or nothing any more.
fn drivers<'v>(new: &At<'_, 'v>, old: &At<'_, 'v>) -> BTreeSet<&'v str> {
    let key = |device: &At<'_, 'v>| ["driver", "pool", "device", "shareID"].map(|field| device.at(field).str());
    let mut before: BTreeMap<_, _> = old.items().map(|device| (key(&device), device)).collect();
    let mut drivers = BTreeSet::new();
    for device in new.items() {
        if !before.remove(&key(&device)).is_some_and(|before| before.same_as(&device)) {
            drivers.insert(device.at("driver").str());
        }
    }
    drivers.extend(before.values().map(|device| device.at("driver").str()));
    drivers
}

/// The one node that an allocation's devices are on, where it is one.
fn node_of(allocation: &Value) -> Option<&str> {
    let [term] = allocation["nodeSelector"]["nodeSelectorTerms"].as_array()?.as_slice() else { return None };
    let none = term["matchExpressions"].as_array().is_none_or(Vec::is_empty);
    let [field] = term["matchFields"].as_array()?.as_slice() else { return None };
    let [name] = field["values"].as_array()?.as_slice() else { return None };
    if none && field["key"] == "metadata.name" && field["operator"] == "In" { name.as_str() } else { None }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::authorizer::{Authorizer, Rules, Target, Verdict};
    use crate::model::value::json;
    use crate::schema::catalog::Catalog;

    /// Lets a driver's agent tell of the devices of `mine` on its node, and nothing else.
    struct OfMine;

    impl Authorizer for OfMine {
        fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
            match attributes.target {
                Target::Resource(r)
                    if (r.subresource, r.name, attributes.verb) == ("driver", "mine", "associated-node:update") =>
                {
                    Verdict::allow("")
                }
                _ => Verdict::no_opinion(""),
            }
        }

        fn rules(&self, _: &User, _: &str) -> Rules {
            Rules::default()
        }
    }

    fn denied(user: &User, new: Value, old: Value) -> Vec<String> {
        let catalog = Catalog::builtin();
        let resource = catalog.find("resource.k8s.io", "v1", "resourceclaims").expect("a resource");
        let (at, authorizer) = (Address::new(resource, "ns", "c"), Chain::new(vec![Arc::new(OfMine)]));
        let ask = Ask { authorizer: &authorizer, user, at: &at, verb: "update" };
        let message = table::message("k8s.io.api.resource.v1.ResourceClaimStatus");
        let (new, old, mut errs) = (At::new(&new, message), At::new(&old, message), FieldErrors::new());
        ask.binding(&new, &old, &mut errs);
        ask.devices(&new, &old, &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    fn status(driver: &str) -> Value {
        let field = json!({"key": "metadata.name", "operator": "In", "values": ["n1"]});
        json!({"allocation": {"nodeSelector": {"nodeSelectorTerms": [{"matchFields": [field]}]}},
            "devices": [{"driver": driver, "pool": "p", "device": "d"}]})
    }

    fn agent(node: &str) -> User {
        let mut agent = User::service_account("kube-system", "driver", "u");
        agent.extra.insert(NODE_NAME.into(), vec![node.into()]);
        User::from(agent)
    }

    #[test]
    fn drivers_tell_of_their_own_devices() {
        let mut old = status("mine");
        old["devices"] = json!([]);
        assert_eq!(denied(&agent("n1"), status("mine"), old.clone()), [""; 0]);
        assert_eq!(denied(&agent("n2"), status("mine"), status("mine")), [""; 0]);
        assert_eq!(
            denied(&agent("n2"), status("mine"), old.clone()),
            ["devices: Forbidden: changing status.devices requires resource=\"resourceclaims/driver\", \
              verb=\"[arbitrary-node:update]\" permission: resourceclaims.resource.k8s.io \"mine\" is forbidden: User \
              \"system:serviceaccount:kube-system:driver\" cannot arbitrary-node:update resource \
              \"resourceclaims/driver\" in API group \"resource.k8s.io\" in the namespace \"ns\""]
        );
        let errors = denied(&agent("n1"), status("theirs"), status("mine"));
        assert!(
            errors.len() == 1 && errors[0].contains("\"[associated-node:update arbitrary-node:update]\""),
            "{errors:?}"
        );
    }

    #[test]
    fn only_who_may_bind_allocates() {
        assert_eq!(
            denied(&agent("n1"), json!({"reservedFor": [{"uid": "u"}]}), json!({})),
            ["allocation: Forbidden: changing status.allocation or status.reservedFor requires \
              resource=\"resourceclaims/binding\", verb=\"update\" permission: resourceclaims.resource.k8s.io is \
              forbidden: User \"system:serviceaccount:kube-system:driver\" cannot update resource \
              \"resourceclaims/binding\" in API group \"resource.k8s.io\" at the cluster scope"]
        );
    }
}
