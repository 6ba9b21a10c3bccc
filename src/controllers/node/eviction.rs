//! Pods that do not tolerate a NoExecute taint of their node are deleted, those that do for a time when it is over.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use super::taints::{NO_EXECUTE, of};
use super::tolerations::{Stay, stay};
use crate::cache::index::POD_NODE;
use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::controllers::events::{Kind, Regarding};
use crate::controllers::harness::{Change, Controller, Cx, Follows, Keys, Next};
use crate::controllers::item::{Item, view};
use crate::controllers::resources::{NODES, PODS};
use crate::model::object;
use crate::model::status::{Outcome, Result};
use crate::model::value::{Value, json};
use crate::registry::options::DeleteOptions;

/// Key: a pod.
#[derive(Default)]
pub struct TaintEviction {
    /// Pods that tolerate a taint for a time: whose time is over when. An entry leaves with its pod or its taint.
    due: Mutex<HashMap<String, (String, Instant)>>,
}

impl TaintEviction {
    fn due(&self) -> MutexGuard<'_, HashMap<String, (String, Instant)>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back what was said of a pod.
    fn cancel(&self, cx: &Cx, key: &str) {
        if self.due().remove(key).is_some() {
            tell(cx, key, format!("Cancelling deletion of Pod {key}"));
        }
    }

    /// When the time of a pod is over that tolerates its node's taints as `stay` says. A time once set stays.
    fn deadline(&self, pod: &Item, key: &str, stay: Stay, now: Instant) -> Option<Instant> {
        match stay {
            Stay::Forever => None,
            Stay::No => Some(now),
            Stay::For(time) => {
                let mut due = self.due();
                let known = due.get(key).filter(|(uid, _)| uid == pod.uid()).map(|(_, at)| *at);
                let at = known.unwrap_or(now + time);
                due.insert(key.to_owned(), (pod.uid().to_owned(), at));
                Some(at)
            }
        }
    }
}

#[async_trait]
impl Controller for TaintEviction {
    fn follows(&self) -> Follows {
        Follows::these(&[&NODES, &PODS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&NODES) {
            let before = change.previous.and_then(|node| taints(change, node)).unwrap_or_default();
            let after = change.current.and_then(|node| taints(change, node)).unwrap_or_default();
            if before != after
                && let Ok(snapshot) = change.registry.cache.snapshot(&[&PODS.full])
            {
                snapshot.shelves[0].by_index(&POD_NODE, change.name()).for_each(|pod| keys.add(pod.key.as_str()));
            }
            return;
        }
        if change.keeps_spec() {
            return;
        }
        let read = |pod: &Object| {
            let spec = change.view(pod)?.at("spec");
            let tolerations: Vec<_> = spec
                .items("tolerations")
                .map(|t| {
                    let texts = ["key", "operator", "value", "effect"].map(|field| t.text(field).to_owned());
                    (texts, t.maybe_number("tolerationSeconds"))
                })
                .collect();
            Some((spec.text("nodeName").to_owned(), tolerations))
        };
        let (before, after) = (change.previous.and_then(|pod| read(pod)), change.current.and_then(|pod| read(pod)));
        let node = after.as_ref().or(before.as_ref()).map(|(node, _)| node.as_str()).unwrap_or("");
        if before != after && !node.is_empty() && (change.is_deleted() || is_tainted(change, node)) {
            keys.add(change.key().as_str());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&NODES, &PODS])?;
        let shelf = cut.shelf(&PODS);
        let Some(pod) = Item::find_key(shelf, key)? else {
            self.cancel(cx, key);
            return Ok(Next::Done);
        };
        let node = pod.spec()["nodeName"].as_str().filter(|node| !node.is_empty()).unwrap_or("");
        let node = Item::find(cut.shelf(&NODES), "", node)?.map_or(Value::Null, |node| node.value);
        let taints: Vec<&Value> = of(&node).iter().filter(|taint| taint["effect"] == NO_EXECUTE).collect();
        let tolerations = pod.spec()["tolerations"].as_array().map_or(&[][..], Vec::as_slice);
        let now = cx.plane.registry.clock.instant();
        let stay = if taints.is_empty() { Stay::Forever } else { stay(tolerations, &taints) };
        match self.deadline(&pod, key, stay, now) {
            None => self.cancel(cx, key),
            Some(at) if at > now => return Ok(Next::After(at - now)),
            Some(_) => {
                evict(cx, &pod, key).await?;
                self.due().remove(key);
            }
        }
        Ok(Next::Done)
    }
}

/// The NoExecute taints of a node.
fn taints(change: &Change<'_>, node: &Object) -> Option<Vec<(String, String)>> {
    let all = change.view(node)?.at("spec").items("taints").filter(|taint| taint.text("effect") == NO_EXECUTE);
    Some(all.map(|taint| (taint.text("key").to_owned(), taint.text("value").to_owned())).collect())
}

fn is_tainted(change: &Change<'_>, node: &str) -> bool {
    let Ok(snapshot) = change.registry.cache.snapshot(&[&NODES.full]) else { return false };
    let shelf: &Shelf = &snapshot.shelves[0];
    let view = shelf.get("", node).and_then(|node| view(shelf, node));
    view.is_some_and(|node| node.at("spec").items("taints").any(|taint| taint.text("effect") == NO_EXECUTE))
}

/// Says why and deletes the pod, unless it is on its way out.
async fn evict(cx: &Cx, pod: &Item, key: &str) -> Result<()> {
    if pod.is_deleting() {
        return Ok(());
    }
    tell(cx, key, format!("Marking for deletion Pod {key}"));
    let condition = json!({
        "type": "DisruptionTarget",
        "status": "True",
        "observedGeneration": object::generation(&pod.value),
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": cx.now().to_text().as_str(),
    });
    let patch = json!({"metadata": {"uid": pod.uid()}, "status": {"conditions": [condition]}});
    let Some(_) = cx.strategic(pod.target().part("status"), &patch).await.unless_gone()? else { return Ok(()) };
    let options = DeleteOptions { uid: Some(pod.uid().to_owned()), ..DeleteOptions::default() };
    cx.delete(pod.target(), &options).await.unless_gone().map(drop)
}

fn tell(cx: &Cx, key: &str, message: String) {
    let (namespace, name) = key.split_once('/').unwrap_or_default();
    let regarding = Regarding {
        api_version: "v1".into(),
        kind: "Pod".into(),
        namespace: namespace.into(),
        name: name.into(),
        ..Regarding::default()
    };
    cx.event(regarding, Kind::Normal, "TaintManagerEviction", message);
}
