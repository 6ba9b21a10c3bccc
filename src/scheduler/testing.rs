//! Builders for the scheduler's own tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cluster::Cluster;
use super::config::Profile;
use super::cycle::{Cycle, Decision};
use super::lookup::{Lookup, Objects};
use super::node::Facts;
use super::plugins::{Mask, PLUGINS};
use super::pod::Pod;
use super::preempt::Preemption;
use crate::base::entropy::Entropy;
use crate::cache::object::Key;
use crate::model::value::{Value, from_value, json};

/// Objects in memory, by `resource/namespace/name`.
#[derive(Default)]
pub struct Fixed(pub BTreeMap<String, Value>);

impl Fixed {
    pub fn with(mut self, resource: &str, object: Value) -> Self {
        let meta = |field: &str| object["metadata"][field].as_str().unwrap_or("").to_owned();
        self.0.insert(format!("{resource}/{}/{}", meta("namespace"), meta("name")), object);
        self
    }
}

impl Objects for Fixed {
    fn get(&self, _: &str, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.0.get(&format!("{resource}/{namespace}/{name}")).cloned()
    }

    fn list(&self, _: &str, resource: &str, namespace: &str) -> Vec<Value> {
        let start = if namespace.is_empty() { format!("{resource}/") } else { format!("{resource}/{namespace}/") };
        self.0.iter().filter(|(key, _)| key.starts_with(&start)).map(|(_, object)| object.clone()).collect()
    }
}

/// A pod in `default`.
pub fn pod(name: &str, fields: Value) -> Arc<Pod> {
    let mut fields = fields;
    if fields["metadata"]["uid"].is_null() {
        fields["metadata"]["uid"] = format!("uid-{name}").into();
    }
    let view = from_value(&fields).expect("a pod");
    Arc::new(Pod::new(Key::new("default", name), "1", view))
}

/// The spec of a pod that asks for so much.
pub fn asking(cpu: &str, memory: &str) -> Value {
    json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]})
}

pub fn mask_of(name: &str) -> Mask {
    1 << PLUGINS.iter().position(|plugin| plugin.name == name).expect("a plugin")
}

/// A cluster, and one who decides.
pub struct World {
    pub cluster: Cluster,
    pub cycle: Cycle,
    pub profile: Profile,
}

impl World {
    pub fn new(objects: Fixed) -> Self {
        Self {
            cluster: Cluster::new(Lookup::new(Arc::new(objects))),
            cycle: Cycle::new(Entropy::seeded(1)),
            profile: Profile::default(),
        }
    }

    /// A node with 4 cores, 8 GiB and room for 10 pods, and these fields.
    pub fn node(mut self, name: &str, fields: Value) -> Self {
        let mut node = json!({
            "metadata": {"labels": {"kubernetes.io/hostname": name}},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}},
        });
        merge(&mut node, fields);
        self.cluster.put_node(name, Facts::new(&from_value(&node).expect("a node")));
        self
    }

    /// A pod on a node.
    pub fn on(mut self, node: &str, name: &str, mut fields: Value) -> Self {
        fields["spec"]["nodeName"] = node.into();
        self.cluster.put_pod(pod(name, fields), false);
        self
    }

    /// The node that a pod gets, or why it waits.
    pub fn decide(&mut self, fields: Value) -> String {
        match self.decide_on(&pod("new", fields)) {
            Ok(node) => node,
            Err((why, _)) => why,
        }
    }

    /// The error: why it waits, and what came of preemption.
    pub fn decide_on(&mut self, pod: &Arc<Pod>) -> Result<String, (String, Preemption)> {
        match self.cycle.decide(&mut self.cluster, pod, &self.profile) {
            Decision::Bind(at) => Ok(self.cluster.node(at).name.to_string()),
            Decision::Wait(refusal) => Err((refusal.message, refusal.preemption)),
        }
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
