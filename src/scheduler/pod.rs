//! A pod in the scheduler's own compact form.

use compact_str::CompactString;
use smallvec::SmallVec;

use super::resources::{self, Resources};
use super::terms::{Labels, NodeTerm, PodTerm, RequiredNode, selector};
use super::view::{ConditionView, DiskView, PodView, SpreadView, TolerationView, VolumeView};
use crate::cache::object::{Key, Object};
use crate::codec::protobuf::view::View;
use crate::codec::wire::Malformed;
use crate::model::selector::label::{Operator, Requirement, Selector};
use crate::model::time::Time;
use crate::schema::table::Message;

/// The scheduler that pods without a `schedulerName` are for.
pub const DEFAULT_SCHEDULER: &str = "default-scheduler";

#[derive(Clone, Debug)]
pub struct Pod {
    pub key: Key,
    pub uid: CompactString,
    pub resource_version: CompactString,
    pub generation: i64,
    pub labels: Labels,
    /// Empty: not bound yet.
    pub node: CompactString,
    /// Where it shall go once its victims have ended.
    pub nominated: CompactString,
    pub scheduler: CompactString,
    pub priority: i32,
    /// `preemptionPolicy: Never`
    pub is_polite: bool,
    /// Seconds since 1970.
    pub created: i64,
    /// Seconds since 1970.
    pub started: Option<i64>,
    pub is_deleting: bool,
    /// Succeeded or Failed: it needs nothing any more.
    pub is_done: bool,
    /// The scheduler has ended it for another pod.
    pub is_preempted: bool,
    pub gates: SmallVec<[CompactString; 1]>,
    pub requests: Resources,
    /// (cpu, memory) when nodes are compared.
    pub counted: [i64; 2],
    pub ports: SmallVec<[Port; 1]>,
    pub tolerations: Vec<TolerationView>,
    pub required: RequiredNode,
    /// (weight, term)
    pub preferred: Vec<(i64, NodeTerm)>,
    pub affinity: Affinity,
    pub spread: Vec<Spread>,
    pub images: Vec<CompactString>,
    /// Containers of both kinds.
    pub containers: usize,
    pub claims: SmallVec<[Claim; 1]>,
    pub disks: Vec<DiskView>,
    /// It asks for devices through resource claims.
    pub wants_devices: bool,
    /// (kind, name, uid) of its controller.
    pub controller: Option<(CompactString, CompactString, CompactString)>,
    /// Its PodScheduled condition.
    pub scheduled: Option<ConditionView>,
}

/// A port of the node that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub number: i32,
    pub ip: CompactString,
    pub protocol: CompactString,
}

/// What it wants of other pods. `anti` is what it does not want.
#[derive(Clone, Debug, Default)]
pub struct Affinity {
    pub required: Vec<PodTerm>,
    pub preferred: Vec<(i64, PodTerm)>,
    pub anti_required: Vec<PodTerm>,
    pub anti_preferred: Vec<(i64, PodTerm)>,
}

impl Affinity {
    pub fn is_empty(&self) -> bool {
        self.required.is_empty()
            && self.preferred.is_empty()
            && self.anti_required.is_empty()
            && self.anti_preferred.is_empty()
    }
}

/// How it is spread.
#[derive(Clone, Debug)]
pub struct Spread {
    pub topology: CompactString,
    pub max_skew: i64,
    /// `DoNotSchedule`
    pub is_hard: bool,
    pub min_domains: i64,
    pub selector: Selector,
    /// Only nodes that the pod's own selectors match are counted.
    pub honors_affinity: bool,
    /// Only nodes whose taints it tolerates are counted.
    pub honors_taints: bool,
}

/// A claim of storage.
#[derive(Clone, Debug)]
pub struct Claim {
    pub name: CompactString,
    /// The claim is made for the pod, out of a template in it.
    pub is_ephemeral: bool,
}

impl Pod {
    pub fn read(object: &Object, message: &'static Message) -> Result<Self, Malformed> {
        let view: PodView = object.typed(message)?;
        Ok(Self::new(object.key.clone(), &object.revision.to_string(), view))
    }

    pub fn new(key: Key, resource_version: &str, view: PodView) -> Self {
        let (requests, counted) = resources::of_pod(&view);
        let own = key.namespace().to_owned();
        let labels = Labels::new(view.metadata.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let (spec, status) = (&view.spec, &view.status);
        let seconds = |text: &Option<String>| text.as_deref().and_then(|t| Time::parse(t).ok()).map(|t| t.seconds);
        let node_affinity = &spec.affinity.node_affinity;
        let selector = Labels::new(spec.node_selector.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let condition = |kind: &str| status.conditions.iter().find(|c| c.kind == kind);
        let controller = view.metadata.owner_references.iter().find(|owner| owner.controller);
        Self {
            uid: view.metadata.uid.as_str().into(),
            resource_version: resource_version.into(),
            generation: view.metadata.generation,
            node: spec.node_name.as_str().into(),
            nominated: status.nominated_node_name.as_str().into(),
            scheduler: if spec.scheduler_name.is_empty() { DEFAULT_SCHEDULER } else { &spec.scheduler_name }.into(),
            priority: spec.priority.unwrap_or(0),
            is_polite: spec.preemption_policy == "Never",
            created: seconds(&view.metadata.creation_timestamp).unwrap_or(0),
            started: seconds(&status.start_time),
            is_deleting: view.metadata.deletion_timestamp.is_some(),
            is_done: matches!(status.phase.as_str(), "Succeeded" | "Failed"),
            is_preempted: condition("DisruptionTarget")
                .is_some_and(|c| c.status == "True" && c.reason == "PreemptionByScheduler"),
            gates: spec.scheduling_gates.iter().map(|gate| gate.name.as_str().into()).collect(),
            requests,
            counted,
            ports: ports(&view),
            tolerations: spec.tolerations.clone(),
            required: RequiredNode::new(selector, node_affinity),
            preferred: node_affinity.preferred.iter().map(|p| (p.weight, NodeTerm::new(&p.preference))).collect(),
            affinity: affinity(&view, &own),
            spread: spec.topology_spread_constraints.iter().map(|view| spread(view, &labels)).collect(),
            images: images(&view),
            containers: spec.containers.len() + spec.init_containers.len(),
            claims: spec.volumes.iter().filter_map(|volume| claim(volume, key.name())).collect(),
            disks: disks(&spec.volumes),
            wants_devices: !spec.resource_claims.is_empty(),
            controller: controller
                .map(|owner| (owner.kind.as_str().into(), owner.name.as_str().into(), owner.uid.as_str().into())),
            scheduled: condition("PodScheduled").cloned(),
            labels,
            key,
        }
    }

    /// The pod after a change that left what it is and asks for: of its status there is mostly little to read. `None`: it
    /// is to be read anew.
    pub fn after(&self, previous: &Object, current: &Object, message: &'static Message) -> Option<Self> {
        let (before, now) = (View::new(&previous.bytes, message), View::new(&current.bytes, message));
        let is_this = self.node == now.at("spec").text("nodeName")
            && self.resource_version == previous.revision.to_string()
            && self.uid == now.at("metadata").text("uid");
        if !is_this || !before.agrees(now, "spec") || !leaves_what_counts(before, now) {
            return None;
        }
        let (meta, status) = (now.at("metadata"), now.at("status"));
        let phase = status.text("phase");
        let mut pod = Self {
            resource_version: current.revision.to_string().into(),
            generation: meta.number("generation"),
            nominated: status.text("nominatedNodeName").into(),
            started: status.time("startTime").map(|time| time.seconds),
            is_deleting: meta.has("deletionTimestamp"),
            is_done: matches!(phase, "Succeeded" | "Failed"),
            is_preempted: false,
            scheduled: None,
            ..self.clone()
        };
        for condition in status.items("conditions") {
            match condition.text("type") {
                "DisruptionTarget" => {
                    let is_preempted = condition.text("reason") == "PreemptionByScheduler";
                    pod.is_preempted = is_preempted && condition.text("status") == "True";
                }
                "PodScheduled" => pod.scheduled = Some(ConditionView::of(condition)),
                _ => {}
            }
        }
        Some(pod)
    }

    pub fn namespace(&self) -> &str {
        self.key.namespace()
    }

    pub fn name(&self) -> &str {
        self.key.name()
    }
}

/// Whether a change left the labels and owners of a pod, and what its containers were given.
fn leaves_what_counts(before: View<'_>, now: View<'_>) -> bool {
    let (old, new) = (before.at("metadata"), now.at("metadata"));
    if !old.agrees(new, "labels") || !old.agrees(new, "ownerReferences") {
        return false;
    }
    let (old, new) = (before.at("status"), now.at("status"));
    ["containerStatuses", "initContainerStatuses"].iter().all(|list| {
        let (mut old, mut new) = (old.items(list), new.items(list));
        loop {
            match (old.next(), new.next()) {
                (None, None) => return true,
                (Some(old), Some(new)) if gives_alike(old, new) => {}
                _ => return false,
            }
        }
    })
}

fn gives_alike(old: View<'_>, new: View<'_>) -> bool {
    ["name", "allocatedResources", "resources"].iter().all(|field| old.agrees(new, field))
}

fn ports(view: &PodView) -> SmallVec<[Port; 1]> {
    let sidecars = view.spec.init_containers.iter().filter(|container| container.is_sidecar());
    let all = view.spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
    let taken = all.filter(|port| port.host_port > 0);
    let or = |text: &str, other: &str| if text.is_empty() { other.into() } else { text.into() };
    taken
        .map(|port| Port {
            number: port.host_port,
            ip: or(&port.host_ip, "0.0.0.0"),
            protocol: or(&port.protocol, "TCP"),
        })
        .collect()
}

impl Port {
    /// Whether both cannot be taken on one node.
    pub fn collides(&self, other: &Port) -> bool {
        let any = |port: &Port| port.ip == "0.0.0.0";
        self.number == other.number
            && self.protocol == other.protocol
            && (self.ip == other.ip || any(self) || any(other))
    }
}

fn affinity(view: &PodView, own: &str) -> Affinity {
    let (to, anti) = (&view.spec.affinity.pod_affinity, &view.spec.affinity.pod_anti_affinity);
    Affinity {
        required: to.required.iter().map(|term| PodTerm::new(term, own)).collect(),
        preferred: to.preferred.iter().map(|p| (p.weight, PodTerm::new(&p.pod_affinity_term, own))).collect(),
        anti_required: anti.required.iter().map(|term| PodTerm::new(term, own)).collect(),
        anti_preferred: anti.preferred.iter().map(|p| (p.weight, PodTerm::new(&p.pod_affinity_term, own))).collect(),
    }
}

fn spread(view: &SpreadView, labels: &Labels) -> Spread {
    let mut chosen = selector(&view.label_selector);
    let mut more = Vec::new();
    for key in &view.match_label_keys {
        let is_known = chosen.requirements().iter().any(|known| known.key == key.as_str());
        if let Some(value) = labels.get(key).filter(|_| !is_known) {
            more.extend(Requirement::new(key, Operator::In, SmallVec::from_iter([value.into()])));
        }
    }
    if !more.is_empty() && !chosen.is_nothing() {
        chosen = Selector::new(chosen.requirements().iter().cloned().chain(more).collect());
    }
    Spread {
        topology: view.topology_key.as_str().into(),
        max_skew: view.max_skew,
        is_hard: view.when_unsatisfiable != "ScheduleAnyway",
        min_domains: view.min_domains.unwrap_or(1),
        selector: chosen,
        honors_affinity: view.node_affinity_policy != "Ignore",
        honors_taints: view.node_taints_policy == "Honor",
    }
}

fn images(view: &PodView) -> Vec<CompactString> {
    let containers = view.spec.init_containers.iter().chain(&view.spec.containers).map(|c| c.image.as_str());
    let volumes = view.spec.volumes.iter().filter_map(|volume| volume.image.as_ref()).map(|i| i.reference.as_str());
    containers.chain(volumes).map(image_name).collect()
}

/// An image's name as nodes tell it: with a tag.
pub fn image_name(name: &str) -> CompactString {
    if name.rfind(':') <= name.rfind('/') { format!("{name}:latest").into() } else { name.into() }
}

fn claim(volume: &VolumeView, pod: &str) -> Option<Claim> {
    if let Some(source) = &volume.persistent_volume_claim {
        return Some(Claim { name: source.claim_name.as_str().into(), is_ephemeral: false });
    }
    volume.ephemeral.as_ref()?;
    Some(Claim { name: format!("{pod}-{}", volume.name).into(), is_ephemeral: true })
}

fn disks(volumes: &[VolumeView]) -> Vec<DiskView> {
    let of = |volume: &VolumeView| {
        let sources = [&volume.gce_persistent_disk, &volume.aws_elastic_block_store, &volume.iscsi, &volume.rbd];
        sources.into_iter().flatten().next().cloned()
    };
    volumes.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::object::Form;
    use crate::codec::protobuf::encode::encode;
    use crate::model::revision::Revision;
    use crate::model::value::{Value, json};
    use crate::schema::table::message;

    fn pod_message() -> &'static Message {
        message("k8s.io.api.core.v1.Pod").expect("Pod")
    }

    #[test]
    fn images_have_tags() {
        for (given, wanted) in [
            ("a", "a:latest"),
            ("a:1", "a:1"),
            ("host:5000/a", "host:5000/a:latest"),
            ("host:5000/a:1", "host:5000/a:1"),
        ] {
            assert_eq!(image_name(given), wanted);
        }
    }

    fn object(revision: u64, pod: &Value) -> Object {
        let raw = encode(pod, pod_message()).expect("encodes");
        Object::new(Key::new("d", "p"), Revision(revision), &raw, Form::Protobuf).expect("a pod")
    }

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "namespace": "d", "uid": "u", "labels": {"a": "b"}, "generation": 1},
            "spec": {"nodeName": "n", "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": "Pending", "containerStatuses": [{"name": "c", "allocatedResources": {"cpu": "1"}}]},
        })
    }

    #[test]
    fn after_a_change_of_its_status_it_is_as_if_read_anew() {
        let before = object(3, &pod());
        let known = Pod::read(&before, pod_message()).expect("a pod");
        let mut changed = pod();
        changed["metadata"]["generation"] = 2.into();
        changed["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        changed["status"]["phase"] = "Failed".into();
        changed["status"]["nominatedNodeName"] = "m".into();
        changed["status"]["startTime"] = "2026-01-01T00:00:01Z".into();
        changed["status"]["conditions"] = json!([
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room",
                "lastTransitionTime": "2026-01-01T00:00:02Z"},
            {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"},
        ]);
        let now = object(4, &changed);
        let after = known.after(&before, &now, pod_message()).expect("known");
        assert_eq!(format!("{after:?}"), format!("{:?}", Pod::read(&now, pod_message()).expect("a pod")));
        assert!(after.after(&before, &now, pod_message()).is_none(), "it is of another revision");

        for (pointer, value) in [
            ("/spec/containers/0/image", "i"),
            ("/metadata/labels/a", "c"),
            ("/metadata/uid", "v"),
            ("/status/containerStatuses/0/allocatedResources/cpu", "2"),
        ] {
            let mut other = pod();
            let (at, last) = pointer.rsplit_once('/').expect("a pointer");
            other.pointer_mut(at).expect("a map")[last] = value.into();
            assert!(known.after(&before, &object(4, &other), pod_message()).is_none(), "{pointer}");
        }
    }

    #[test]
    fn ports_collide_on_one_address() {
        let port = |number, ip: &str| Port { number, ip: ip.into(), protocol: "TCP".into() };
        assert!(port(80, "0.0.0.0").collides(&port(80, "10.0.0.1")));
        assert!(!port(80, "10.0.0.2").collides(&port(80, "10.0.0.1")));
        assert!(!port(80, "0.0.0.0").collides(&port(81, "0.0.0.0")));
    }
}
