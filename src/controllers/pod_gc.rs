//! Pods that nobody will end: done ones beyond a number, those of nodes that are gone, dying ones without a node.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::batch;
use super::config::Config;
use super::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use super::item::view;
use super::pods::Pod;
use super::resources::{NODES, PODS};
use crate::cache::index::POD_NODE;
use crate::cache::object::Object;
use crate::model::status::{Outcome, Result};
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::registry::options::DeleteOptions;

/// How long a node must be missing before its pods are taken for lost.
const QUARANTINE: Duration = Duration::from_secs(40);
/// How often done pods are counted at most.
const COUNTING: Duration = Duration::from_secs(20);
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Key: all done pods.
const DONE: &str = "done";
/// Keys: the pods of a node, and one pod.
const NODE: &str = "node/";
const POD: &str = "pod/";

pub struct PodGc {
    /// Done pods that are kept; 0: all.
    threshold: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Nodes that pods name and nobody knows, and since when. An entry leaves when its node comes or its pods go.
    missing: HashMap<String, Instant>,
    counted: Option<Instant>,
}

impl PodGc {
    pub fn new(config: &Config) -> Self {
        Self { threshold: config.terminated_pods, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pod_triggers(&self, change: &Change<'_>, pod: &Object, keys: &mut Keys) {
        let Some(view) = change.view(pod) else { return };
        let (node, phase) = (view.at("spec").text("nodeName"), view.at("status").text("phase"));
        if self.threshold > 0 && is_done(phase) {
            let was_done = |old: &Object| change.view(old).is_some_and(|old| is_done(old.at("status").text("phase")));
            if !change.previous.is_some_and(|old| was_done(old)) {
                keys.add(DONE);
            }
        }
        let is_there = !node.is_empty() && matches!(change.registry.cache.get(&NODES.full, "", node), Ok(Some(_)));
        if node.is_empty() && pod.is_deleting() {
            keys.add(&format!("{POD}{}", pod.key.as_str()));
        } else if !node.is_empty() && (!is_there || pod.is_deleting()) {
            keys.add(&format!("{NODE}{node}"));
        }
    }

    /// Deletes the oldest done pods beyond the threshold, evicted ones first.
    async fn done(&self, cx: &Cx, cut: &Cut) -> Result<Next> {
        let now = cx.plane.registry.clock.instant();
        let due = self.state().counted.map(|counted| counted + COUNTING).filter(|due| *due > now);
        if let Some(due) = due {
            return Ok(Next::After(due - now));
        }
        self.state().counted = Some(now);
        let shelf = cut.shelf(&PODS);
        let pods = shelf.iter(None).filter_map(|object| Pod::new(shelf, object));
        let mut done: Vec<Pod<'_>> = pods.filter(|pod| is_done(pod.phase)).collect();
        let many = done.len().saturating_sub(self.threshold);
        if many == 0 {
            return Ok(Next::Done);
        }
        done.sort_by_cached_key(|pod| {
            let is_evicted = pod.phase == "Failed" && pod.view.at("status").text("reason") == "Evicted";
            (!is_evicted, pod.view.at("metadata").time("creationTimestamp"), pod.object.name())
        });
        batch::all(done.iter().take(many).map(|pod| end(cx, pod, None))).await?;
        Ok(if many > batch::BURST { Next::After(COUNTING) } else { Next::Done })
    }

    /// The pods of a node: lost with it when it stays away, ended when it is out of service.
    async fn node(&self, cx: &Cx, cut: &Cut, name: &str) -> Result<Next> {
        let shelf = cut.shelf(&PODS);
        let pods: Vec<Pod<'_>> = shelf.by_index(&POD_NODE, name).filter_map(|object| Pod::new(shelf, object)).collect();
        if let Some(node) = cut.get(&NODES, "", name) {
            self.state().missing.remove(name);
            if is_out_of_service(cut, node) {
                let dying = pods.iter().filter(|pod| pod.deleting);
                batch::all(dying.map(|pod| end(cx, pod, None))).await?;
            }
            return Ok(Next::Done);
        }
        if pods.is_empty() {
            self.state().missing.remove(name);
            return Ok(Next::Done);
        }
        let now = cx.plane.registry.clock.instant();
        let since = *self.state().missing.entry(name.to_owned()).or_insert(now);
        if now < since + QUARANTINE {
            return Ok(Next::After(since + QUARANTINE - now));
        }
        if !cx.get(NODES.at("", name)).await.is_err_and(|status| status.is_not_found()) {
            return Ok(Next::After(QUARANTINE));
        }
        batch::all(pods.iter().map(|pod| end(cx, pod, Some("PodGC: node no longer exists")))).await?;
        Ok(if pods.len() > batch::BURST { Next::After(Duration::ZERO) } else { Next::Done })
    }
}

#[async_trait]
impl Controller for PodGc {
    fn follows(&self) -> Follows {
        Follows::these(&[&PODS, &NODES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if change.is_of(&NODES) {
            keys.add(&format!("{NODE}{}", change.name()));
        } else if let Some(pod) = change.current {
            self.pod_triggers(change, pod, keys);
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&PODS, &NODES])?;
        if let Some(name) = key.strip_prefix(NODE) {
            return self.node(cx, &cut, name).await;
        }
        let Some(key) = key.strip_prefix(POD) else { return self.done(cx, &cut).await };
        let shelf = cut.shelf(&PODS);
        let pod = shelf.get_key(key).and_then(|object| Pod::new(shelf, object));
        if let Some(pod) = pod.filter(|pod| pod.deleting && pod.node().is_empty()) {
            end(cx, &pod, None).await?;
        }
        Ok(Next::Done)
    }
}

fn is_done(phase: &str) -> bool {
    !matches!(phase, "Pending" | "Running" | "Unknown")
}

/// Its operator has said that it is switched off, and it does not say otherwise.
fn is_out_of_service(cut: &Cut, node: &Object) -> bool {
    let Some(node) = view(cut.shelf(&NODES), node) else { return false };
    let is_ready = |condition: crate::codec::protobuf::view::View<'_>| {
        condition.text("type") == "Ready" && condition.text("status") == "True"
    };
    !node.at("status").items("conditions").any(is_ready)
        && node.at("spec").items("taints").any(|taint| taint.text("key") == OUT_OF_SERVICE)
}

/// Deletes a pod at once. One that nobody has ended fails before, so that its owner sees how it went.
async fn end(cx: &Cx, pod: &Pod<'_>, disruption: Option<&str>) -> Result<()> {
    let target = PODS.at(pod.object.namespace(), pod.object.name());
    if !pod.is_done() {
        let written = cx.strategic(target.part("status"), &failed(pod, disruption, cx.now())).await;
        let Some(_) = written.unless_gone()? else { return Ok(()) };
    }
    cx.delete(target, &DeleteOptions { grace_period: Some(0), ..DeleteOptions::default() })
        .await
        .unless_gone()
        .map(drop)
}

fn failed(pod: &Pod<'_>, disruption: Option<&str>, now: Time) -> Value {
    let generation = pod.view.at("metadata").number("generation");
    let mut status = json!({"phase": "Failed", "observedGeneration": generation});
    if let Some(message) = disruption {
        status["conditions"] = json!([{
            "type": "DisruptionTarget",
            "status": "True",
            "observedGeneration": generation,
            "lastTransitionTime": now.to_text().as_str(),
            "reason": "DeletionByPodGC",
            "message": message,
        }]);
    }
    json!({"metadata": {"uid": pod.object.uid()}, "status": status})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{World, pod_spec};

    async fn world(threshold: usize) -> World {
        let enabled = vec!["podgc".to_owned()];
        World::configured(&Config { enabled, terminated_pods: threshold, ..Config::default() }).await
    }

    impl World {
        async fn pod(&self, name: &str, node: &str, finalizers: Value) {
            let mut spec = pod_spec("a:1");
            spec["nodeName"] = node.into();
            let metadata = json!({"name": name, "namespace": "d", "finalizers": finalizers});
            self.create(&PODS, json!({"metadata": metadata, "spec": spec})).await;
        }

        async fn phase(&self, name: &str, status: Value) {
            self.merge(PODS.at("d", name).part("status"), json!({"status": status})).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn done_pods_are_kept_up_to_a_number() {
        let world = world(2).await;
        for name in ["a", "b", "c", "d", "runs"] {
            world.pod(name, "", Value::Null).await;
            world.pass(Duration::from_secs(1)).await;
        }
        world.phase("runs", json!({"phase": "Running"})).await;
        for name in ["a", "b"] {
            world.phase(name, json!({"phase": "Succeeded"})).await;
        }
        world.settle().await;
        assert_eq!(world.names(&PODS).len(), 5);
        world.phase("d", json!({"phase": "Failed", "reason": "Evicted"})).await;
        world.phase("c", json!({"phase": "Failed"})).await;
        world.pass(COUNTING).await;
        assert_eq!(world.names(&PODS), ["b", "c", "runs"], "evicted ones first, then the oldest");
    }

    #[tokio::test(start_paused = true)]
    async fn pods_of_a_node_that_stays_away_are_lost() {
        let world = world(0).await;
        world.create(&NODES, json!({"metadata": {"name": "n"}})).await;
        world.pod("a", "n", json!(["x.io/wait"])).await;
        world.pod("b", "never", Value::Null).await;
        world.pass(Duration::from_secs(30)).await;
        world.delete(NODES.at("", "n")).await;
        world.pass(Duration::from_secs(39)).await;
        assert_eq!(world.names(&PODS), ["a"]);
        assert_eq!(world.get(&PODS, "d", "a")["metadata"]["deletionTimestamp"], Value::Null);
        world.pass(Duration::from_secs(2)).await;
        let lost = world.get(&PODS, "d", "a");
        assert_eq!(
            (&lost["status"]["phase"], lost["metadata"]["deletionTimestamp"].is_null()),
            (&json!("Failed"), false)
        );
        let condition = crate::controllers::conditions::find(&lost["status"], "DisruptionTarget").expect("a condition");
        assert_eq!(condition["message"], "PodGC: node no longer exists");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_comes_back_keeps_its_pods() {
        let world = world(0).await;
        world.pod("a", "n", Value::Null).await;
        world.pass(Duration::from_secs(30)).await;
        world.create(&NODES, json!({"metadata": {"name": "n"}})).await;
        world.pass(Duration::from_secs(60)).await;
        assert_eq!(world.names(&PODS), ["a"]);
        let taint = json!([{"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"}]);
        world.merge(NODES.at("", "n"), json!({"spec": {"taints": taint}})).await;
        world.settle().await;
        assert_eq!(world.names(&PODS), ["a"], "it is not dying");
        world.delete(PODS.at("d", "a")).await;
        world.settle().await;
        assert_eq!(world.names(&PODS), [""; 0]);
    }
}
