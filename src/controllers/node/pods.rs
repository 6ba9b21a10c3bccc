//! Pods of nodes that are not ready: nobody can say that they are.

use crate::cache::index::POD_NODE;
use crate::cache::object::Object;
use crate::controllers::batch;
use crate::controllers::events::Kind;
use crate::controllers::harness::{Cut, Cx};
use crate::controllers::item::Item;
use crate::controllers::pods::Pod;
use crate::controllers::resources::{NODES, PODS};
use crate::model::status::{Outcome, Result};
use crate::model::value::json;

use super::taints;

/// Marks all pods of a node as not ready.
pub async fn mark_all(cx: &Cx, cut: &Cut, node: &str) -> Result<()> {
    let pods: Vec<&Object> = cut.shelf(&PODS).by_index(&POD_NODE, node).map(AsRef::as_ref).collect();
    for some in pods.chunks(batch::BURST) {
        batch::all(some.iter().map(|pod| mark(cx, cut, pod))).await?;
    }
    Ok(())
}

/// Marks a pod that came to a node that is not ready.
pub async fn mark_new(cx: &Cx, cut: &Cut, key: &str) -> Result<()> {
    let shelf = cut.shelf(&PODS);
    let Some(object) = shelf.get_key(key) else { return Ok(()) };
    let Some(pod) = Pod::new(shelf, object) else { return Ok(()) };
    match Item::find(cut.shelf(&NODES), "", pod.node())? {
        Some(node) if taints::key_of_readiness(&node.value).is_some() => mark(cx, cut, object).await,
        _ => Ok(()),
    }
}

/// Makes its Ready condition false, if it has one that is not.
async fn mark(cx: &Cx, cut: &Cut, object: &Object) -> Result<()> {
    let shelf = cut.shelf(&PODS);
    let item = Item::new(shelf, object)?;
    let Some(ready) = crate::controllers::conditions::find(item.status(), "Ready") else { return Ok(()) };
    if ready["status"] == "False" {
        return Ok(());
    }
    let condition = json!({"type": "Ready", "status": "False", "lastTransitionTime": cx.now().to_text().as_str()});
    let patch = json!({"metadata": {"uid": item.uid()}, "status": {"conditions": [condition]}});
    let Some(_) = cx.strategic(item.target().part("status"), &patch).await.unless_gone()? else { return Ok(()) };
    cx.event((&item).into(), Kind::Warning, "NodeNotReady", "Node is not ready".into());
    Ok(())
}
