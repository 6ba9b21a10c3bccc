//! The cluster as the scheduler sees it: nodes, and the pods on them, kept up to date change by change. A pod that is
//! being bound is on its node already: assumed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use compact_str::CompactString;

use super::counters::{Counters, Matcher};
use super::lookup::Lookup;
use super::node::{Facts, Node};
use super::pod::Pod;
use super::terms::Labels;
use super::topology::{Topologies, Topology};
use crate::cache::object::Key;

pub struct Cluster {
    /// By place; a place without facts and pods is free.
    nodes: Vec<Node>,
    by_name: HashMap<CompactString, usize>,
    free: Vec<usize>,
    /// The places of all nodes, zone by zone in turn.
    order: Arc<Vec<usize>>,
    pods: HashMap<Key, Place>,
    counters: Counters,
    topologies: Topologies,
    /// Nodes with pods that want, or do not want, to be near others.
    affine: BTreeSet<usize>,
    /// Nodes with pods that require others to stay away.
    lonely: BTreeSet<usize>,
    /// How many nodes have an image.
    images: HashMap<CompactString, usize>,
    /// Pods that shall go to a node once it has room.
    nominated: BTreeMap<CompactString, Vec<Arc<Pod>>>,
    namespaces: HashMap<CompactString, Arc<Labels>>,
    /// The selectors of services, by namespace and name.
    services: HashMap<CompactString, BTreeMap<CompactString, Labels>>,
    pub lookup: Lookup,
}

/// Where a pod is.
struct Place {
    node: usize,
    pod: Arc<Pod>,
    is_assumed: bool,
}

impl Cluster {
    pub fn new(lookup: Lookup) -> Self {
        Self {
            nodes: Vec::new(),
            by_name: HashMap::new(),
            free: Vec::new(),
            order: Arc::default(),
            pods: HashMap::new(),
            counters: Counters::default(),
            topologies: Topologies::default(),
            affine: BTreeSet::new(),
            lonely: BTreeSet::new(),
            images: HashMap::new(),
            nominated: BTreeMap::new(),
            namespaces: HashMap::new(),
            services: HashMap::new(),
            lookup,
        }
    }

    /// How many Node objects there are.
    pub fn size(&self) -> usize {
        self.order.len()
    }

    /// The places of all nodes, zone by zone in turn.
    pub fn order(&self) -> &Arc<Vec<usize>> {
        &self.order
    }

    pub fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// A Node object's node.
    pub fn find(&self, name: &str) -> Option<&Node> {
        self.by_name.get(name).map(|at| &self.nodes[*at]).filter(|node| node.facts.is_some())
    }

    /// The nodes with pods that want, or do not want, to be near others.
    pub fn affine(&self) -> impl Iterator<Item = &Node> {
        self.affine.iter().map(|at| &self.nodes[*at])
    }

    /// The nodes with pods that require others to stay away.
    pub fn lonely(&self) -> impl Iterator<Item = &Node> {
        self.lonely.iter().map(|at| &self.nodes[*at])
    }

    /// How many nodes have the image.
    pub fn image_spread(&self, name: &str) -> usize {
        self.images.get(name).copied().unwrap_or(0)
    }

    /// How many pods of each node match, by the node's place.
    pub fn count(&mut self, matcher: &Matcher) -> Vec<u32> {
        self.counters.count(matcher, &self.nodes).to_vec()
    }

    pub fn topology(&mut self, key: &str) -> Arc<Topology> {
        self.topologies.of(key, &self.nodes)
    }

    /// A Node object is as it says; the facts as they were.
    pub fn put_node(&mut self, name: &str, facts: Facts) -> Option<Arc<Facts>> {
        let at = self.place(name);
        let facts = Arc::new(facts);
        let old = self.nodes[at].facts.replace(facts.clone());
        self.count_images(old.as_deref(), Some(&facts));
        if old.as_ref().is_none_or(|old| old.labels != facts.labels) {
            self.topologies.placed(&self.nodes[at]);
        }
        if old.as_ref().is_none_or(|old| old.zone() != facts.zone()) {
            self.reorder();
        }
        old
    }

    pub fn remove_node(&mut self, name: &str) -> Option<Arc<Facts>> {
        let at = *self.by_name.get(name)?;
        let old = self.nodes[at].facts.take();
        self.count_images(old.as_deref(), None);
        self.topologies.forget();
        self.release(at);
        self.reorder();
        old
    }

    pub fn node_names(&self) -> Vec<CompactString> {
        self.order.iter().map(|at| self.nodes[*at].name.clone()).collect()
    }

    fn place(&mut self, name: &str) -> usize {
        if let Some(at) = self.by_name.get(name) {
            return *at;
        }
        let at = self.free.pop().unwrap_or(self.nodes.len());
        if at == self.nodes.len() {
            self.nodes.push(Node::new(at, name));
        } else {
            self.nodes[at] = Node::new(at, name);
        }
        self.by_name.insert(name.into(), at);
        at
    }

    /// Frees the place of a node that is gone and has no pods.
    fn release(&mut self, at: usize) {
        let node = &self.nodes[at];
        if node.facts.is_none() && node.pods.is_empty() {
            self.by_name.remove(&node.name);
            self.free.push(at);
        }
    }

    fn count_images(&mut self, old: Option<&Facts>, new: Option<&Facts>) {
        for name in new.into_iter().flat_map(|facts| facts.images.keys()) {
            *self.images.entry(name.clone()).or_default() += 1;
        }
        for name in old.into_iter().flat_map(|facts| facts.images.keys()) {
            if let Some(count) = self.images.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.images.remove(name);
                }
            }
        }
    }

    /// Takes the nodes zone by zone in turn, so that pods spread over zones even when not all nodes are looked at.
    fn reorder(&mut self) {
        let mut zones: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        let mut names: Vec<_> = self.by_name.iter().collect();
        names.sort();
        for (_, at) in names {
            if let Some(facts) = &self.nodes[*at].facts {
                zones.entry(facts.zone()).or_default().push(*at);
            }
        }
        let longest = zones.values().map(Vec::len).max().unwrap_or(0);
        let turn = |round: usize| zones.values().filter_map(move |nodes| nodes.get(round).copied());
        self.order = Arc::new((0..longest).flat_map(turn).collect());
    }

    /// The pod is on the node that it names. `true`: it was not, or not for sure.
    pub fn put_pod(&mut self, pod: Arc<Pod>, is_assumed: bool) -> bool {
        let was = self.remove_pod(&pod.key);
        let at = self.place(&pod.node.clone());
        self.counters.moved(&pod, at, true);
        self.nodes[at].add(pod.clone());
        self.mark(at);
        self.pods.insert(pod.key.clone(), Place { node: at, pod, is_assumed });
        was.is_none()
    }

    pub fn remove_pod(&mut self, key: &Key) -> Option<Arc<Pod>> {
        let place = self.pods.remove(key)?;
        let pod = self.nodes[place.node].remove(&place.pod).expect("each pod is on its node");
        self.counters.moved(&pod, place.node, false);
        self.mark(place.node);
        self.release(place.node);
        Some(pod)
    }

    fn mark(&mut self, at: usize) {
        let node = &self.nodes[at];
        let sets = [(&mut self.affine, node.affine), (&mut self.lonely, node.lonely)];
        for (set, count) in sets {
            if count > 0 {
                set.insert(at)
            } else {
                set.remove(&at)
            };
        }
    }

    pub fn pod(&self, key: &Key) -> Option<&Arc<Pod>> {
        self.pods.get(key).map(|place| &place.pod)
    }

    pub fn is_assumed(&self, key: &Key) -> bool {
        self.pods.get(key).is_some_and(|place| place.is_assumed)
    }

    /// The keys of all pods that are not merely assumed.
    pub fn pod_keys(&self) -> Vec<Key> {
        self.pods.iter().filter(|(_, place)| !place.is_assumed).map(|(key, _)| key.clone()).collect()
    }

    pub fn nominate(&mut self, pod: &Arc<Pod>, node: &str) {
        self.denominate(&pod.key);
        self.nominated.entry(node.into()).or_default().push(pod.clone());
    }

    pub fn denominate(&mut self, key: &Key) {
        self.nominated.retain(|_, pods| {
            pods.retain(|pod| pod.key != *key);
            !pods.is_empty()
        });
    }

    /// The pods that shall go to this node and that a pod of this priority must leave room for.
    pub fn nominated_before(&self, node: &str, pod: &Pod) -> Vec<Arc<Pod>> {
        let counts = |other: &&Arc<Pod>| other.priority >= pod.priority && other.key != pod.key;
        self.nominated.get(node).into_iter().flatten().filter(counts).cloned().collect()
    }

    /// The pods of lower priority that shall go to this node.
    pub fn nominated_below(&self, node: &str, priority: i32) -> Vec<Arc<Pod>> {
        self.nominated.get(node).into_iter().flatten().filter(|pod| pod.priority < priority).cloned().collect()
    }

    pub fn put_namespace(&mut self, name: &str, labels: Labels) {
        self.namespaces.insert(name.into(), Arc::new(labels));
    }

    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// The labels of a namespace; none when there is no such one.
    pub fn namespace(&self, name: &str) -> Arc<Labels> {
        self.namespaces.get(name).cloned().unwrap_or_default()
    }

    /// The namespaces that a term speaks of, in order.
    pub fn namespaces_of(&self, term: &super::terms::PodTerm) -> Vec<CompactString> {
        let mut all: Vec<CompactString> = term.namespaces.to_vec();
        if let Some(selector) = &term.by_labels {
            let chosen = self.namespaces.iter().filter(|(_, labels)| labels.match_by(selector));
            all.extend(chosen.map(|(name, _)| name.clone()));
        }
        all.sort();
        all.dedup();
        all
    }

    /// `None`: the service has no selector, or is gone.
    pub fn put_service(&mut self, key: &Key, selector: Option<Labels>) {
        let services = self.services.entry(key.namespace().into()).or_default();
        match selector.filter(|selector| !selector.is_empty()) {
            Some(selector) => drop(services.insert(key.name().into(), selector)),
            None => drop(services.remove(key.name())),
        }
        if services.is_empty() {
            self.services.remove(key.namespace());
        }
    }

    /// The selectors of the services that the pod belongs to.
    pub fn services_of<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a Labels> {
        let services = self.services.get(pod.namespace()).into_iter().flat_map(BTreeMap::values);
        services.filter(|selector| pod.labels.include(selector))
    }

    /// Forgets services and namespaces: all are about to be told anew.
    pub fn forget_names(&mut self) {
        self.services.clear();
        self.namespaces.clear();
    }
}
