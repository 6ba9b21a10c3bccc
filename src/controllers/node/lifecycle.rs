//! Nodes that fall silent: their conditions become unknown, taints say so, and their pods are no longer ready.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::fleet::{Fleet, Seen};
use super::pods;
use super::taints::{self, Evict, NO_EXECUTE, NOT_READY, UNREACHABLE};
use super::zones::{Permit, Rates};
use crate::cache::object::Object;
use crate::controllers::conditions;
use crate::controllers::config::Config;
use crate::controllers::events::{Kind, Regarding};
use crate::controllers::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use crate::controllers::item::Item;
use crate::controllers::resources::{LEASES, NODES, PODS};
use crate::model::object;
use crate::model::status::Result;
use crate::model::value::{Map, Value, json};

/// Where nodes keep their leases.
const LEASE_NAMESPACE: &str = "kube-node-lease";
/// Conditions that a node reports.
const REPORTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// (label, the older label that says the same)
const LABELS: [(&str, &str); 2] =
    [("kubernetes.io/os", "beta.kubernetes.io/os"), ("kubernetes.io/arch", "beta.kubernetes.io/arch")];

/// Keys: a node, and a pod that has come to a node that is not ready.
const NODE: &str = "node/";
const POD: &str = "pod/";

pub struct NodeLifecycle {
    /// How long a node may be silent; and one that never said anything.
    grace: Duration,
    startup: Duration,
    fleet: Mutex<Fleet>,
}

impl NodeLifecycle {
    pub fn new(config: &Config) -> Self {
        Self {
            grace: config.node_monitor_grace,
            startup: config.node_startup_grace,
            fleet: Mutex::new(Fleet::new(Rates::new(config))),
        }
    }

    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node_triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        let (clock, now) = (&change.registry.clock, change.registry.now());
        let others = match change.current.and_then(|node| Some((node, change.view(node)?))) {
            Some((node, view)) => {
                let created = view.at("metadata").time("creationTimestamp").unwrap_or(now);
                let age = Duration::from_secs(u64::try_from(now.seconds - created.seconds).unwrap_or(0));
                self.fleet().hear(change.name(), Seen::new(node, view), age, clock.instant())
            }
            None => self.fleet().hear_end(change.name(), clock.instant()),
        };
        keys.add(&format!("{NODE}{}", change.name()));
        others.iter().for_each(|other| keys.add(&format!("{NODE}{other}")));
    }

    fn pod_triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        let node = |pod: &Object| change.view(pod).map(|pod| pod.at("spec").text("nodeName").to_owned());
        let Some(current) = change.current.and_then(|pod| node(pod)).filter(|node| !node.is_empty()) else { return };
        let is_new = change.previous.is_none_or(|pod| node(pod).as_ref() != Some(&current));
        if is_new && self.fleet().is_unready(&current) {
            keys.add(&format!("{POD}{}", change.key().as_str()));
        }
    }

    async fn node(&self, cx: &Cx, cut: &Cut, name: &str) -> Result<Next> {
        let Some(node) = Item::find(cut.shelf(&NODES), "", name)? else {
            if let Some(uid) = self.fleet().take_gone(name) {
                tell(cx, name, &uid, "RemovingNode", &format!("Removing Node {name} from Controller"));
            }
            return Ok(Next::Done);
        };
        if self.fleet().register(name) {
            tell(cx, name, node.uid(), "RegisteredNode", &format!("Registered Node {name} in Controller"));
        }
        let status = conditions::find(node.status(), "Ready").map(|ready| ready["status"].clone());
        let grace = if status.is_some() { self.grace } else { self.startup };
        let left = grace.saturating_sub(self.fleet().silence(name, cx.plane.registry.clock.instant()));
        let mut next = Next::Done;
        if status.as_ref().is_none_or(|status| status != "Unknown") {
            if left == Duration::ZERO {
                return self.give_up(cx, cut, node, status.is_some_and(|status| status == "True")).await;
            }
            next = Next::After(left);
        }
        self.mark_pods(cx, cut, &node).await?;
        Ok(next.sooner(self.mend(cx, &node).await?))
    }

    /// Says that nothing is known of a node any more. Its change brings it back here for the rest.
    async fn give_up(&self, cx: &Cx, cut: &Cut, mut node: Item, was_ready: bool) -> Result<Next> {
        node.value["status"]["conditions"] = unknown(&node, cx.now().to_text().as_str()).into();
        self.fleet().set_unmarked_pods(node.name(), was_ready);
        cx.update(node.target().part("status"), &node.value).await?;
        if was_ready {
            let message = format!("Node {} status is now: NodeNotReady", node.name());
            cx.event(regarding(node.name(), node.uid()), Kind::Normal, "NodeNotReady", message);
        }
        self.mark_pods(cx, cut, &node).await.map(|()| Next::Done)
    }

    async fn mark_pods(&self, cx: &Cx, cut: &Cut, node: &Item) -> Result<()> {
        if !self.fleet().has_unmarked_pods(node.name()) {
            return Ok(());
        }
        if taints::key_of_readiness(&node.value).is_some() {
            pods::mark_all(cx, cut, node.name()).await?;
        }
        self.fleet().set_unmarked_pods(node.name(), false);
        Ok(())
    }

    /// Brings taints and labels to what the conditions and newer labels say.
    async fn mend(&self, cx: &Cx, node: &Item) -> Result<Next> {
        let (evict, next) = self.evict(cx, node);
        let taints = taints::wanted(&node.value, evict, cx.now().to_text().as_str());
        let labels = labels(&node.value);
        if taints == taints::of(&node.value) && labels.is_empty() {
            return Ok(next);
        }
        let metadata = json!({"resourceVersion": object::resource_version(&node.value), "labels": labels});
        cx.merge(node.target(), &json!({"metadata": metadata, "spec": {"taints": taints}})).await?;
        Ok(next)
    }

    /// Which pods shall go, and when to ask again. Nodes are given up at a limited rate; another reason comes at once.
    fn evict(&self, cx: &Cx, node: &Item) -> (Evict, Next) {
        let Some(ready) = conditions::find(node.status(), "Ready") else { return (Evict::AsBefore, Next::Done) };
        let has_any = [NOT_READY, UNREACHABLE].iter().any(|key| taints::has(&node.value, key, NO_EXECUTE));
        match taints::key_of_readiness(&node.value) {
            None if ready["status"] == "True" => (Evict::Nobody, Next::Done),
            None => (Evict::AsBefore, Next::Done),
            Some(_) if self.fleet().is_paused() => (Evict::Nobody, Next::Done),
            Some(key) if has_any => (Evict::Key(key), Next::Done),
            Some(key) => match self.fleet().permit(node.name(), cx.plane.registry.clock.instant()) {
                Permit::Now => (Evict::Key(key), Next::Done),
                Permit::After(wait) => (Evict::AsBefore, Next::After(wait)),
                Permit::No => (Evict::AsBefore, Next::Done),
            },
        }
    }
}

#[async_trait]
impl Controller for NodeLifecycle {
    fn follows(&self) -> Follows {
        Follows::these(&[&NODES, &LEASES, &PODS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&NODES) {
            self.node_triggers(change, keys);
        } else if change.is_of(&PODS) {
            self.pod_triggers(change, keys);
        } else if change.namespace() == LEASE_NAMESPACE
            && let Some(view) = change.current.and_then(|lease| change.view(lease))
        {
            let renewed = view.at("spec").time("renewTime");
            self.fleet().hear_lease(change.name(), renewed, change.registry.clock.instant());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&NODES, &PODS])?;
        if let Some(name) = key.strip_prefix(NODE) {
            return self.node(cx, &cut, name).await;
        }
        pods::mark_new(cx, &cut, key.strip_prefix(POD).unwrap_or("")).await.map(|()| Next::Done)
    }
}

/// The node's conditions, of which those that it reports are unknown.
fn unknown(node: &Item, now: &str) -> Vec<Value> {
    let mut list = conditions::all(node.status());
    for ty in REPORTED {
        match list.iter_mut().find(|condition| condition["type"] == ty) {
            Some(condition) if condition["status"] == "Unknown" => {}
            Some(condition) => {
                condition["status"] = "Unknown".into();
                condition["reason"] = "NodeStatusUnknown".into();
                condition["message"] = "Kubelet stopped posting node status.".into();
                condition["lastTransitionTime"] = now.into();
            }
            None => list.push(json!({
                "type": ty,
                "status": "Unknown",
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": node.value["metadata"]["creationTimestamp"],
                "lastTransitionTime": now,
            })),
        }
    }
    list
}

/// Older labels that do not say what the newer ones do, as they should be.
fn labels(node: &Value) -> Map {
    let mut labels = Map::new();
    for (label, older) in LABELS {
        if let Some(value) = object::label(node, label)
            && object::label(node, older) != Some(value)
        {
            labels.insert(older.into(), value.into());
        }
    }
    labels
}

fn regarding(name: &str, uid: &str) -> Regarding {
    let (api_version, kind) = ("v1".into(), "Node".into());
    Regarding { api_version, kind, name: name.into(), uid: uid.into(), ..Regarding::default() }
}

fn tell(cx: &Cx, name: &str, uid: &str, reason: &'static str, what: &str) {
    cx.event(regarding(name, uid), Kind::Normal, reason, format!("Node {name} event: {what}"));
}
