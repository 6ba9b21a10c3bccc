//! VolumeBinding: nodes on which the pod's claims have, or can get, their volumes; and binds them before the pod.
//!
//! A claim of a class that waits for its first consumer gets a free volume that the node reaches, or its provisioner is
//! told the node. The pod is bound when all its claims are.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::cache::subscription::Update;
use crate::model::names::GroupResource;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};
use crate::registry::client::{Client, Target};
use crate::scheduler::cluster::Cluster;
use crate::scheduler::lookup::Lookup;
use crate::scheduler::node::Node;
use crate::scheduler::plugin::{Filter, Happening, NODE, NONE, Plugin, Prepared, Reasons, STORAGE, Verdict};
use crate::scheduler::pod::Pod;
use crate::scheduler::terms::Labels;
use crate::scheduler::volumes::{
    NO_PROVISIONER, SELECTED_NODE, State, Wanted, class_of, is_bound, is_reachable, matching, storage, wanted,
};

pub const PLUGIN: Plugin = Plugin {
    name: "VolumeBinding",
    filter: Some(prepare),
    wants: NODE | STORAGE,
    helps: |_, happening| match happening {
        Happening::Storage | Happening::NodeAdded(_) => true,
        Happening::NodeChanged { old, new } => old.labels != *new.labels(),
        _ => false,
    },
    ..NONE
};

const NODE_CONFLICT: &str = "node(s) didn't match PersistentVolume's node affinity";
const NO_VOLUME: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
const NO_MATCH: &str = "node(s) didn't find available persistent volumes to bind";
const NO_SPACE: &str = "node(s) did not have enough free storage";

#[derive(Clone)]
struct Volumes(Arc<Parts>);

struct Parts {
    /// (claim, its volume if it is there)
    bound: Vec<(Wanted, Option<Value>)>,
    delayed: Vec<(Wanted, Value)>,
    /// Those that delayed claims may get.
    free: Vec<Value>,
    /// What provisioners have left.
    capacities: Vec<Value>,
    /// Provisioners that tell it.
    telling: Vec<String>,
}

fn prepare(cluster: &mut Cluster, pod: &Arc<Pod>) -> Prepared {
    if pod.claims.is_empty() {
        return Prepared::Skip;
    }
    let lookup = &cluster.lookup;
    let all = match wanted(lookup, pod) {
        Ok(all) => all,
        Err(why) => return Prepared::Refused(Verdict::hopeless(why)),
    };
    if all.iter().any(|wanted| wanted.state == State::Immediate) {
        return Prepared::Refused(Verdict::hopeless("pod has unbound immediate PersistentVolumeClaims"));
    }
    Prepared::ready(Volumes(Arc::new(Parts::new(lookup, all))))
}

impl Parts {
    fn new(lookup: &Lookup, all: Vec<Wanted>) -> Self {
        let (mut bound, mut delayed) = (Vec::new(), Vec::new());
        for wanted in all {
            match wanted.state.clone() {
                State::Bound(name) => {
                    let volume = lookup.get("", "persistentvolumes", "", &name);
                    bound.push((wanted, volume));
                }
                State::Delayed(class) => delayed.push((wanted, class)),
                State::Immediate => {}
            }
        }
        let list = |group, resource| if delayed.is_empty() { Vec::new() } else { lookup.list(group, resource, "") };
        let drivers = list("storage.k8s.io", "csidrivers");
        let telling = drivers.iter().filter(|driver| driver["spec"]["storageCapacity"] == true);
        Self {
            telling: telling.filter_map(|driver| driver["metadata"]["name"].as_str()).map(str::to_owned).collect(),
            free: list("", "persistentvolumes"),
            capacities: list("storage.k8s.io", "csistoragecapacities"),
            bound,
            delayed,
        }
    }

    /// What each delayed claim gets on this node: a volume, or `None` for one that is made. The error: why it gets none.
    fn choose(&self, node: &str, labels: &Labels) -> std::result::Result<Vec<(&Wanted, Option<&Value>)>, &'static str> {
        let (mut chosen, mut taken) = (Vec::new(), Vec::new());
        for (wanted, class) in &self.delayed {
            // A provisioner that was told another node works there.
            let told = wanted.claim["metadata"]["annotations"][SELECTED_NODE].as_str();
            if told.is_some_and(|told| told != node) {
                return Err(NO_MATCH);
            }
            let found = if told.is_some() { None } else { matching(&self.free, wanted, node, labels, &taken) };
            match found {
                Some(volume) => taken.extend(volume["metadata"]["name"].as_str()),
                None => self.can_be_made(wanted, class, labels)?,
            }
            chosen.push((wanted, found));
        }
        Ok(chosen)
    }

    fn can_be_made(&self, wanted: &Wanted, class: &Value, labels: &Labels) -> std::result::Result<(), &'static str> {
        let provisioner = class["provisioner"].as_str().unwrap_or("");
        if provisioner.is_empty() || provisioner == NO_PROVISIONER || !allows(class, labels) {
            return Err(NO_MATCH);
        }
        if !self.telling.iter().any(|known| known == provisioner) {
            return Ok(());
        }
        let asked = storage(&wanted.claim["spec"]["resources"]["requests"]).unwrap_or(0);
        let enough = |capacity: &&Value| {
            let most = capacity.get("maximumVolumeSize").or(capacity.get("capacity"));
            let has = most.map(|most| json!({"storage": most})).and_then(|amounts| storage(&amounts));
            let topology = crate::scheduler::terms::selector(&capacity["nodeTopology"]);
            capacity["storageClassName"] == class["metadata"]["name"]
                && has.is_some_and(|has| has >= asked)
                && labels.match_by(&topology)
        };
        self.capacities.iter().find(enough).map(drop).ok_or(NO_SPACE)
    }
}

/// Whether the class makes volumes for such nodes.
fn allows(class: &Value, labels: &Labels) -> bool {
    let Some(terms) = class["allowedTopologies"].as_array().filter(|terms| !terms.is_empty()) else { return true };
    terms.iter().any(|term| {
        let mut expressions = term["matchLabelExpressions"].as_array().into_iter().flatten();
        expressions.all(|wanted| {
            let has = wanted["key"].as_str().and_then(|key| labels.get(key));
            has.is_some_and(|has| wanted["values"].as_array().is_some_and(|all| all.iter().any(|one| one == has)))
        })
    })
}

impl Filter for Volumes {
    fn check(&self, node: &Node) -> Verdict {
        let mut reasons = Reasons::new();
        let reaches = |volume: &Value| is_reachable(volume, &node.name, node.labels());
        if self.0.bound.iter().any(|(_, volume)| volume.as_ref().is_some_and(|volume| !reaches(volume))) {
            reasons.push(NODE_CONFLICT.into());
        }
        if let Err(why) = self.0.choose(&node.name, node.labels()) {
            reasons.push(why.into());
        }
        if self.0.bound.iter().any(|(_, volume)| volume.is_none()) {
            reasons.push(NO_VOLUME.into());
        }
        if reasons.is_empty() { Verdict::Fits } else { Verdict::Refused { reasons, is_final: true } }
    }
}

/// Binds the claims of a pod that has been given a node, and waits until they are.
pub async fn bind(client: &Client, clock: &Clock, pod: &Pod, timeout: Duration) -> Result<()> {
    let cache = &client.registry().cache;
    let lookup = Lookup::new(Arc::new(cache.clone()));
    let all = wanted(&lookup, pod).map_err(Status::internal)?;
    if all.iter().all(|wanted| matches!(wanted.state, State::Bound(_))) {
        return Ok(());
    }
    let node = lookup.get("", "nodes", "", &pod.node).unwrap_or_default();
    let parts = Parts::new(&lookup, all);
    let labels = crate::scheduler::lookup::labels(&node);
    for (wanted, volume) in parts.choose(&pod.node, &labels).map_err(Status::internal)? {
        match volume {
            Some(volume) => promise(client, volume, &wanted.claim).await?,
            None => {
                let target = Target::new("", "persistentvolumeclaims", pod.namespace(), &wanted.name);
                let version = &wanted.claim["metadata"]["resourceVersion"];
                let selected = json!({SELECTED_NODE: pod.node.as_str()});
                let patch = json!({"metadata": {"resourceVersion": version, "annotations": selected}});
                client.merge(target, &patch).await?;
            }
        }
    }
    let claims = GroupResource::new("", "persistentvolumeclaims");
    let mut news = cache.subscribe(&[&claims]).map_err(Status::internal)?;
    let deadline = clock.instant() + timeout;
    loop {
        let has = |name: &str| lookup.get("", "persistentvolumeclaims", pod.namespace(), name);
        if pod.claims.iter().all(|claim| has(&claim.name).is_some_and(|claim| is_bound(&claim))) {
            return Ok(());
        }
        if lookup
            .get("", "pods", pod.namespace(), pod.name())
            .is_none_or(|now| now["metadata"]["uid"] != pod.uid.as_str())
        {
            return Err(Status::internal("binding volumes: pod does not exist any more"));
        }
        tokio::select! {
            Update::Resync(_) | Update::Event(_) = news.next() => {}
            () = clock.sleep_until(deadline) => {
                return Err(Status::internal("binding volumes: context deadline exceeded"));
            }
        }
    }
}

/// Promises a volume to a claim; the controller does the rest.
async fn promise(client: &Client, volume: &Value, claim: &Value) -> Result<()> {
    let name = volume["metadata"]["name"].as_str().unwrap_or("");
    let meta = &claim["metadata"];
    let patch = json!({
        "metadata": {
            "resourceVersion": volume["metadata"]["resourceVersion"],
            "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"},
        },
        "spec": {"claimRef": {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
        }},
    });
    debug_assert_eq!(class_of(volume), class_of(claim));
    client.merge(Target::new("", "persistentvolumes", "", name), &patch).await.map(drop)
}
