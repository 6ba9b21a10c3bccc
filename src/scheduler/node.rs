//! A node in the scheduler's own compact form, with what its pods take of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use compact_str::CompactString;

use super::pod::{Pod, Port, image_name};
use super::resources::Resources;
use super::terms::Labels;
use super::view::{NodeView, TaintView};

pub const ZONE: &str = "topology.kubernetes.io/zone";
pub const REGION: &str = "topology.kubernetes.io/region";
pub const HOSTNAME: &str = "kubernetes.io/hostname";

/// What a Node object says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub labels: Labels,
    pub taints: Vec<TaintView>,
    pub is_unschedulable: bool,
    pub allocatable: Resources,
    /// Bytes of each image, by its names with tags.
    pub images: BTreeMap<CompactString, i64>,
}

impl Facts {
    pub fn new(view: &NodeView) -> Self {
        let labels = view.metadata.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut images = BTreeMap::new();
        for image in &view.status.images {
            images.extend(image.names.iter().map(|name| (image_name(name), image.size_bytes)));
        }
        Self {
            labels: Labels::new(labels),
            taints: view.spec.taints.clone(),
            is_unschedulable: view.spec.unschedulable,
            allocatable: Resources::of(&view.status.allocatable),
            images,
        }
    }

    /// Nodes of one zone are taken in turn with those of others.
    pub fn zone(&self) -> (CompactString, CompactString) {
        let of = |key| self.labels.get(key).unwrap_or("").into();
        (of(REGION), of(ZONE))
    }
}

/// A node and its pods, assumed ones too.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its place in the cluster.
    pub at: usize,
    pub name: CompactString,
    /// `None`: pods name it, but there is no such Node.
    pub facts: Option<Arc<Facts>>,
    pub pods: Vec<Arc<Pod>>,
    pub requested: Resources,
    /// (cpu, memory) when nodes are compared.
    pub counted: [i64; 2],
    pub ports: Vec<Port>,
    /// Its pods that want, or do not want, to be near others.
    pub affine: usize,
    /// Its pods that require others to stay away.
    pub lonely: usize,
}

static NOTHING: Facts = Facts {
    labels: Labels::EMPTY,
    taints: Vec::new(),
    is_unschedulable: false,
    allocatable: Resources::ZERO,
    images: BTreeMap::new(),
};

impl Node {
    pub fn new(at: usize, name: &str) -> Self {
        Self {
            at,
            name: name.into(),
            facts: None,
            pods: Vec::new(),
            requested: Resources::default(),
            counted: [0; 2],
            ports: Vec::new(),
            affine: 0,
            lonely: 0,
        }
    }

    /// What the Node object says; nothing when there is none.
    pub fn facts(&self) -> &Facts {
        self.facts.as_deref().unwrap_or(&NOTHING)
    }

    pub fn labels(&self) -> &Labels {
        &self.facts().labels
    }

    pub fn add(&mut self, pod: Arc<Pod>) {
        self.requested.add(&pod.requests);
        self.counted[0] += pod.counted[0];
        self.counted[1] += pod.counted[1];
        self.ports.extend(pod.ports.iter().cloned());
        self.affine += usize::from(!pod.affinity.is_empty());
        self.lonely += usize::from(!pod.affinity.anti_required.is_empty());
        self.pods.push(pod);
    }

    /// The pod as it was added; `None`: it is not here.
    pub fn remove(&mut self, pod: &Pod) -> Option<Arc<Pod>> {
        let at = self.pods.iter().position(|known| known.key == pod.key)?;
        let pod = self.pods.swap_remove(at);
        self.requested.sub(&pod.requests);
        self.counted[0] -= pod.counted[0];
        self.counted[1] -= pod.counted[1];
        for port in &pod.ports {
            if let Some(at) = self.ports.iter().position(|known| known == port) {
                self.ports.swap_remove(at);
            }
        }
        self.affine -= usize::from(!pod.affinity.is_empty());
        self.lonely -= usize::from(!pod.affinity.anti_required.is_empty());
        Some(pod)
    }
}
