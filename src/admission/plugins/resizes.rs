//! Two plugins about pods that are resized where they run: NodeDeclaredFeatureValidator, PodResizeValidator. Their node
//! must be able to do it, and large enough.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{self, Amounts, INIT_CONTAINERS, items, text};
use crate::admission::reads::Reads;
use crate::model::gotext::quote;
use crate::model::object;
use crate::model::quantity::Quantity;
use crate::model::status::Result;
use crate::model::value::Value;

const OS: &str = "kubernetes.io/os";

/// An update may ask only for what the pod's node says that it can do.
pub struct NodeDeclaredFeatureValidator(pub Reads);

#[async_trait]
impl Plugin for NodeDeclaredFeatureValidator {
    fn name(&self) -> &'static str {
        "NodeDeclaredFeatureValidator"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.updates() && a.is_any("", "pods") && matches!(a.subresource, "" | "resize")
    }

    async fn validate(&self, a: &mut Attributes<'_>, pod: Option<&Value>) -> Result<()> {
        let Some((pod, old)) = changed(a, pod) else { return Ok(()) };
        let needed = features(&old["spec"], &pod["spec"]);
        if needed.is_empty() {
            return Ok(());
        }
        let node = node_of(&self.0, a, pod).await?;
        let declared: Vec<_> = items(&node["status"], "declaredFeatures").filter_map(Value::as_str).collect();
        let missing: Vec<_> = needed.into_iter().filter(|feature| !declared.contains(feature)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (missing, name) = (missing.join(", "), quote(object::name(&node)));
        Err(a.forbid(format!("pod update requires features {missing} which are not available on node {name}")))
    }
}

/// What a node must be able to do for this change.
fn features(old: &Value, new: &Value) -> Vec<&'static str> {
    let mut features = Vec::new();
    if old["resources"] != new["resources"] {
        features.push("InPlacePodLevelResourcesVerticalScaling");
    }
    let mut pairs = items(old, INIT_CONTAINERS).zip(items(new, INIT_CONTAINERS));
    if pairs.any(|(old, new)| text(old, "restartPolicy") != "Always" && old["resources"] != new["resources"]) {
        features.push("InPlacePodVerticalScalingInitContainers");
    }
    features
}

/// A pod may not become larger than its node.
pub struct PodResizeValidator(pub Reads);

#[async_trait]
impl Plugin for PodResizeValidator {
    fn name(&self) -> &'static str {
        "PodResizeValidator"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.updates() && a.is_any("", "pods") && a.subresource == "resize"
    }

    async fn validate(&self, a: &mut Attributes<'_>, pod: Option<&Value>) -> Result<()> {
        let Some((pod, _)) = changed(a, pod) else { return Ok(()) };
        let node = node_of(&self.0, a, pod).await?;
        if let Some(os) = object::label(&node, OS).filter(|os| *os != "linux") {
            let name = quote(object::name(&node));
            let why = format!("pod resize is only supported on linux nodes, node {name} is {}", quote(os));
            return Err(a.forbid(why).cause("UnsupportedPlatform", "", ""));
        }
        let mut requests = pod::total(&pod["spec"], "requests");
        pod::add(&mut requests, &pod::of_map(&pod["spec"]["overhead"]));
        let excess = excess(&requests, &pod::of_map(&node["status"]["allocatable"]));
        if excess.is_empty() {
            return Ok(());
        }
        let why = format!("node didn't have enough allocatable resources: {}", excess.join("; "));
        Err(a.forbid(why).cause("NodeCapacity", "", ""))
    }
}

fn excess(requests: &Amounts, allocatable: &Amounts) -> Vec<String> {
    let of = |amounts: &Amounts, name: &str| amounts.get(name).cloned().unwrap_or(Quantity::ZERO);
    let mut excess = Vec::new();
    let (wanted, there) = (of(requests, "cpu"), of(allocatable, "cpu"));
    if wanted > there {
        excess.push(format!("cpu, requested: {}, allocatable: {}", wanted.milli_value(), there.milli_value()));
    }
    let (wanted, there) = (of(requests, "memory"), of(allocatable, "memory"));
    if wanted > there {
        excess.push(format!("memory, requested: {}, allocatable: {}", wanted.value(), there.value()));
    }
    excess
}

/// The pod and what it was, when it has a node and the update changed what is wanted of it.
fn changed<'a>(a: &Attributes<'a>, pod: Option<&'a Value>) -> Option<(&'a Value, &'a Value)> {
    let (pod, old) = (pod?, a.old?);
    let is_changed = object::generation(pod) != object::generation(old);
    (is_changed && !text(&pod["spec"], "nodeName").is_empty()).then_some((pod, old))
}

async fn node_of(reads: &Reads, a: &Attributes<'_>, pod: &Value) -> Result<Value> {
    let name = text(&pod["spec"], "nodeName");
    let node = reads.get_sure("", "nodes", "", name).await?;
    node.ok_or_else(|| a.forbid(format!("node {} not found", quote(name))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn what_a_change_needs_of_a_node() {
        let spec = |cpu: &str, policy: &str, own: &str| {
            let resources = |cpu: &str| json!({"requests": {"cpu": cpu}});
            json!({"initContainers": [{"restartPolicy": policy, "resources": resources(cpu)}], "resources": resources(own)})
        };
        let old = spec("1", "", "4");
        assert!(features(&old, &old).is_empty());
        assert_eq!(features(&old, &spec("2", "", "4")), ["InPlacePodVerticalScalingInitContainers"]);
        assert_eq!(features(&old, &spec("1", "", "5")), ["InPlacePodLevelResourcesVerticalScaling"]);
        assert!(features(&spec("1", "Always", "4"), &spec("2", "Always", "4")).is_empty());
    }

    #[test]
    fn what_is_too_large_is_told_in_whole_numbers() {
        let amounts = |cpu: &str, memory: &str| pod::of_map(&json!({"cpu": cpu, "memory": memory}));
        let told = excess(&amounts("1500m", "2Gi"), &amounts("1", "1Gi"));
        let memory = "memory, requested: 2147483648, allocatable: 1073741824";
        assert_eq!(told, ["cpu, requested: 1500, allocatable: 1000", memory]);
        assert!(excess(&amounts("1", "1Gi"), &amounts("1", "1Gi")).is_empty());
    }
}
