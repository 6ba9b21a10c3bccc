//! Plugins of few lines that are off unless they are asked for: AlwaysAdmit, AlwaysDeny, NamespaceExists,
//! LimitPodHardAntiAffinityTopology, DenyServiceExternalIPs, ExtendedResourceToleration.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Operation, Plugin};
use crate::admission::pod::{CONTAINERS, INIT_CONTAINERS, items, items_mut, push, text};
use crate::admission::reads::Reads;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::{Text, Value, json};
use crate::rules::checks::resources::is_extended;

const HOSTNAME: &str = "kubernetes.io/hostname";

/// Does nothing.
pub struct AlwaysAdmit;

#[async_trait]
impl Plugin for AlwaysAdmit {
    fn name(&self) -> &'static str {
        "AlwaysAdmit"
    }

    fn handles(&self, _: &Attributes<'_>) -> bool {
        false
    }
}

/// Refuses everything.
pub struct AlwaysDeny;

#[async_trait]
impl Plugin for AlwaysDeny {
    fn name(&self) -> &'static str {
        "AlwaysDeny"
    }

    fn handles(&self, _: &Attributes<'_>) -> bool {
        true
    }

    async fn admit(&self, a: &mut Attributes<'_>, _: Option<&mut Value>) -> Result<()> {
        Err(a.forbid("admission control is denying all modifications"))
    }

    async fn validate(&self, a: &mut Attributes<'_>, _: Option<&Value>) -> Result<()> {
        Err(a.forbid("admission control is denying all modifications"))
    }
}

/// Nothing is written in a namespace that is not there.
pub struct NamespaceExists(pub Reads);

#[async_trait]
impl Plugin for NamespaceExists {
    fn name(&self) -> &'static str {
        "NamespaceExists"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.operation != Operation::Connect && !a.namespace.is_empty() && !a.is_any("", "namespaces")
    }

    async fn validate(&self, a: &mut Attributes<'_>, _: Option<&Value>) -> Result<()> {
        match self.0.get_sure("", "namespaces", "", a.namespace).await? {
            Some(_) => Ok(()),
            None => Err(Status::not_found(&GroupResource::new("", "namespaces"), a.namespace)),
        }
    }
}

/// Pods may keep others off their own node only, not off a whole zone.
pub struct LimitPodHardAntiAffinityTopology;

#[async_trait]
impl Plugin for LimitPodHardAntiAffinityTopology {
    fn name(&self) -> &'static str {
        "LimitPodHardAntiAffinityTopology"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", "pods") && (a.creates() || a.updates())
    }

    async fn validate(&self, a: &mut Attributes<'_>, pod: Option<&Value>) -> Result<()> {
        let Some(pod) = pod else { return Ok(()) };
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let mut keys =
            items(&pod["spec"]["affinity"]["podAntiAffinity"], required).map(|term| text(term, "topologyKey"));
        let Some(key) = keys.find(|key| *key != HOSTNAME) else { return Ok(()) };
        let why = format!(
            "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but only key {HOSTNAME} is allowed"
        );
        Err(Status::forbidden(&a.resource.name, object::name(pod), why))
    }
}

/// Services get no addresses of others' choosing, but may keep those that they have.
pub struct DenyServiceExternalIPs;

#[async_trait]
impl Plugin for DenyServiceExternalIPs {
    fn name(&self) -> &'static str {
        "DenyServiceExternalIPs"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", "services") && (a.creates() || a.updates())
    }

    async fn validate(&self, a: &mut Attributes<'_>, service: Option<&Value>) -> Result<()> {
        let Some(service) = service else { return Ok(()) };
        let is_known =
            |ip: &Value| a.old.is_some_and(|old| items(&old["spec"], "externalIPs").any(|known| known == ip));
        if items(&service["spec"], "externalIPs").all(is_known) {
            return Ok(());
        }
        Err(a.forbid("Use of external IPs is denied by admission control"))
    }
}

/// Pods that ask for an extended resource tolerate the taint of nodes that are kept for it.
pub struct ExtendedResourceToleration;

#[async_trait]
impl Plugin for ExtendedResourceToleration {
    fn name(&self) -> &'static str {
        "ExtendedResourceToleration"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", "pods") && (a.creates() || a.updates())
    }

    async fn admit(&self, _: &mut Attributes<'_>, pod: Option<&mut Value>) -> Result<()> {
        let Some(spec) = pod.and_then(|pod| pod.get_mut("spec")) else { return Ok(()) };
        let containers = [CONTAINERS, INIT_CONTAINERS].into_iter().flat_map(|list| items(spec, list));
        let requests = containers.filter_map(|container| container["resources"]["requests"].as_object());
        let names: BTreeSet<Text> =
            requests.flat_map(|requests| requests.keys()).filter(|name| is_extended(name)).cloned().collect();
        for name in names {
            let toleration = json!({"key": name, "operator": "Exists", "effect": "NoSchedule"});
            let is_same = |other: &Value| {
                ["key", "operator", "effect", "value"]
                    .iter()
                    .all(|field| text(other, field) == text(&toleration, field))
            };
            if items(spec, "tolerations").any(is_same) {
                items_mut(spec, "tolerations")
                    .filter(|other| is_same(other))
                    .for_each(|other| *other = toleration.clone());
            } else {
                push(spec, "tolerations", toleration);
            }
        }
        Ok(())
    }
}
