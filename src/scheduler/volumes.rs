//! Claims of storage and the volumes behind them, as the volumes' plugins read them.

use compact_str::CompactString;

use super::lookup::Lookup;
use super::pod::Pod;
use super::terms::{Labels, NodeTerm, selector};
use super::view::NodeSelectorView;
use crate::model::quantity::Quantity;
use crate::model::value::{Value, from_value};

pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// The provisioner of classes whose volumes are made by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// A claim and how far it is.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: CompactString,
    pub claim: Value,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It has this volume.
    Bound(CompactString),
    /// The controller is about to bind it.
    Immediate,
    /// It is bound once a pod that wants it has a node; its class.
    Delayed(Value),
}

/// The pod's claims; or why it cannot have them.
pub fn wanted(lookup: &Lookup, pod: &Pod) -> Result<Vec<Wanted>, String> {
    let mut all = Vec::new();
    for wanted in &pod.claims {
        let name = wanted.name.as_str();
        let Some(claim) = lookup.get("", "persistentvolumeclaims", pod.namespace(), name) else {
            return Err(match wanted.is_ephemeral {
                true => {
                    format!("waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\"")
                }
                false => format!("persistentvolumeclaim \"{name}\" not found"),
            });
        };
        let volume = claim["spec"]["volumeName"].as_str().unwrap_or("");
        if claim["status"]["phase"] == "Lost" {
            return Err(format!(
                "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{volume}\""
            ));
        }
        if claim["metadata"]["deletionTimestamp"].is_string() {
            return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        if wanted.is_ephemeral && !is_of(&claim, pod) {
            let (namespace, of) = (pod.namespace(), pod.name());
            return Err(format!("PVC {namespace}/{name} was not created for pod {namespace}/{of} (pod is not owner)"));
        }
        let state = state(lookup, &claim, volume);
        all.push(Wanted { name: wanted.name.clone(), claim, state });
    }
    Ok(all)
}

fn is_of(claim: &Value, pod: &Pod) -> bool {
    let owners = claim["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    owners.into_iter().any(|owner| owner["controller"] == true && owner["uid"] == pod.uid.as_str())
}

fn state(lookup: &Lookup, claim: &Value, volume: &str) -> State {
    if !volume.is_empty() {
        return if is_bound(claim) { State::Bound(volume.into()) } else { State::Immediate };
    }
    let class = lookup.get("storage.k8s.io", "storageclasses", "", class_of(claim));
    match class.filter(|class| class["volumeBindingMode"] == "WaitForFirstConsumer") {
        Some(class) => State::Delayed(class),
        None => State::Immediate,
    }
}

pub fn is_bound(claim: &Value) -> bool {
    claim["spec"]["volumeName"].as_str().is_some_and(|name| !name.is_empty())
        && claim["metadata"]["annotations"][BIND_COMPLETED].is_string()
}

/// The class of a claim, or of a volume; empty: none.
pub fn class_of(object: &Value) -> &str {
    let old = object["metadata"]["annotations"][OLD_CLASS].as_str();
    old.or(object["spec"]["storageClassName"].as_str()).unwrap_or("")
}

/// Whether the volume can be used on a node.
pub fn is_reachable(volume: &Value, node: &str, labels: &Labels) -> bool {
    let required = &volume["spec"]["nodeAffinity"]["required"];
    if required.is_null() {
        return true;
    }
    let Ok(view) = from_value::<NodeSelectorView>(required) else { return false };
    view.node_selector_terms.iter().any(|term| NodeTerm::new(term).matches(node, labels))
}

/// The smallest free volume that a claim can have on this node, but for those taken already.
pub fn matching<'a>(
    volumes: &'a [Value],
    wanted: &Wanted,
    node: &str,
    labels: &Labels,
    taken: &[&str],
) -> Option<&'a Value> {
    let claim = &wanted.claim;
    let asked = storage(&claim["spec"]["resources"]["requests"])?;
    let chosen = (!claim["spec"]["selector"].is_null()).then(|| selector(&claim["spec"]["selector"]));
    let fits = |volume: &&Value| {
        let name = volume["metadata"]["name"].as_str().unwrap_or("");
        class_of(volume) == class_of(claim)
            && !taken.contains(&name)
            && is_free_for(volume, claim)
            && !volume["metadata"]["deletionTimestamp"].is_string()
            && mode(volume) == mode(claim)
            && modes(claim).all(|mode| modes(volume).any(|has| has == mode))
            && chosen.as_ref().is_none_or(|chosen| super::lookup::labels(volume).match_by(chosen))
            && storage(&volume["spec"]["capacity"]).is_some_and(|has| has >= asked)
            && is_reachable(volume, node, labels)
    };
    volumes.iter().filter(fits).min_by_key(|volume| {
        let is_promised = !volume["spec"]["claimRef"].is_null();
        (!is_promised, storage(&volume["spec"]["capacity"]))
    })
}

fn is_free_for(volume: &Value, claim: &Value) -> bool {
    let promised = &volume["spec"]["claimRef"];
    if promised.is_null() {
        return matches!(volume["status"]["phase"].as_str(), None | Some("Available" | "Pending"));
    }
    let uid = promised["uid"].as_str().unwrap_or("");
    promised["name"] == claim["metadata"]["name"]
        && promised["namespace"] == claim["metadata"]["namespace"]
        && (uid.is_empty() || claim["metadata"]["uid"] == uid)
}

fn mode(object: &Value) -> &str {
    object["spec"]["volumeMode"].as_str().unwrap_or("Filesystem")
}

pub fn modes(object: &Value) -> impl Iterator<Item = &str> {
    object["spec"]["accessModes"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Bytes.
pub fn storage(amounts: &Value) -> Option<i64> {
    Quantity::from_value(&amounts["storage"]).ok().map(|quantity| quantity.value())
}
