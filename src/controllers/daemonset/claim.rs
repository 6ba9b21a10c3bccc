//! Which pods are a set's own, and for which node each is.

use std::collections::{BTreeMap, HashSet};

use crate::cache::index::{ORPHAN_POD, OWNER};
use crate::cache::shelf::Shelf;
use crate::controllers::harness::Cx;
use crate::controllers::history::HASH;
use crate::controllers::item::Item;
use crate::controllers::owner;
use crate::controllers::pods::Pod;
use crate::controllers::resources::PODS;
use crate::model::selector::label::Selector;
use crate::model::status::Result;

/// The pods of a set.
pub struct Claimed<'a> {
    /// By node, those that are there first, then the oldest.
    pub by_node: BTreeMap<String, Vec<Pod<'a>>>,
}

impl Claimed<'_> {
    /// Of all templates that pods were made from.
    pub fn hashes(&self) -> HashSet<String> {
        self.by_node.values().flatten().filter_map(|pod| Some(pod.object.label(HASH)?.into_owned())).collect()
    }
}

/// Lets go of pods that are not selected any more, and takes selected orphans in.
pub async fn claim<'a>(cx: &Cx, set: &Item, selector: &Selector, shelf: &'a Shelf) -> Result<Claimed<'a>> {
    let mut pods = Vec::new();
    let owned = shelf.by_index(&OWNER, set.uid()).filter(|pod| pod.controller().is_some_and(|o| o.uid == set.uid()));
    for pod in owned.filter_map(|object| Pod::new(shelf, object)) {
        if owner::selected(selector, pod.object) {
            pods.push(pod);
        } else {
            owner::release(cx, set, PODS.at(set.namespace(), pod.object.name()), &pod.object.uid()).await?;
        }
    }
    let orphans = shelf.by_index(&ORPHAN_POD, set.namespace()).filter_map(|object| Pod::new(shelf, object));
    let orphans: Vec<_> = orphans.filter(|pod| pod.is_active() && owner::selected(selector, pod.object)).collect();
    if !orphans.is_empty() {
        owner::may_adopt(cx, set).await?;
    }
    for pod in orphans {
        owner::adopt(cx, set, PODS.at(set.namespace(), pod.object.name()), &pod.object.uid()).await?;
        pods.push(pod);
    }
    let mut by_node: BTreeMap<String, Vec<Pod<'_>>> = BTreeMap::new();
    for pod in pods {
        if let Some(node) = target(&pod) {
            by_node.entry(node).or_default().push(pod);
        }
    }
    for pods in by_node.values_mut() {
        let created = |pod: &Pod<'_>| pod.view.at("metadata").time("creationTimestamp");
        pods.sort_by_key(|pod| (pod.node().is_empty(), created(pod), pod.object.name()));
    }
    Ok(Claimed { by_node })
}

/// The node that a pod is on or can only come to.
fn target(pod: &Pod<'_>) -> Option<String> {
    if !pod.node().is_empty() {
        return Some(pod.node().to_owned());
    }
    let affinity = pod.view.at("spec").at("affinity").at("nodeAffinity");
    let terms = affinity.at("requiredDuringSchedulingIgnoredDuringExecution").items("nodeSelectorTerms");
    let mut fields = terms.flat_map(|term| term.items("matchFields"));
    let field = fields.find(|field| field.text("key") == "metadata.name" && field.text("operator") == "In")?;
    field.texts("values").next().map(str::to_owned)
}
