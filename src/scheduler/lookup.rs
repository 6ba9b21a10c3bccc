//! Objects that few pods need, read when they are needed: claims, volumes, classes, controllers, disruption budgets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use compact_str::CompactString;

use super::pod::Pod;
use super::terms::{Labels, selector};
use crate::cache::handle::Cache;
use crate::model::names::GroupResource;
use crate::model::selector::label::Selector;
use crate::model::value::Value;

/// Selectors of controllers that are remembered at most.
const MAX_SELECTORS: usize = 4096;

/// Where objects are read: as sparse values. What cannot be read is not there.
pub trait Objects: Send + Sync {
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Value>;
    /// Of one namespace, or of all when it is empty.
    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Value>;
}

impl Objects for Cache {
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let snapshot = self.snapshot(&[&GroupResource::new(group, resource)]).ok()?;
        let shelf = snapshot.shelves.first()?;
        shelf.get(namespace, name)?.to_value(&shelf.storage.shape).ok()
    }

    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Value> {
        let Ok(snapshot) = self.snapshot(&[&GroupResource::new(group, resource)]) else { return Vec::new() };
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        let all = snapshot
            .shelves
            .iter()
            .flat_map(|shelf| shelf.iter(namespace).filter_map(|object| object.to_value(&shelf.storage.shape).ok()));
        all.collect()
    }
}

/// Reads them, and remembers what does not change.
#[derive(Clone)]
pub struct Lookup {
    objects: Arc<dyn Objects>,
    /// By the controller's uid: its selector never changes.
    selectors: Arc<Mutex<HashMap<CompactString, Selector>>>,
}

impl Lookup {
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Self { objects, selectors: Arc::default() }
    }

    pub fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.objects.get(group, resource, namespace, name)
    }

    pub fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Value> {
        self.objects.list(group, resource, namespace)
    }

    /// The selector of the controller that the pod is of, if it is one that spreads its pods.
    pub fn controller_selector(&self, pod: &Pod) -> Option<Selector> {
        let (kind, name, uid) = pod.controller.as_ref()?;
        let (group, resource) = match kind.as_str() {
            "ReplicationController" => ("", "replicationcontrollers"),
            "ReplicaSet" => ("apps", "replicasets"),
            "StatefulSet" => ("apps", "statefulsets"),
            _ => return None,
        };
        let mut known = self.selectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(selector) = known.get(uid) {
            return Some(selector.clone());
        }
        let object = self.objects.get(group, resource, pod.namespace(), name)?;
        let found = if group.is_empty() {
            Selector::of_labels(object["spec"]["selector"].as_object()?)
        } else {
            selector(&object["spec"]["selector"])
        };
        // A ReplicationController's selector may change: it is read each time.
        if !group.is_empty() {
            if known.len() >= MAX_SELECTORS {
                known.clear();
            }
            known.insert(uid.clone(), found.clone());
        }
        Some(found)
    }
}

/// The labels of an object.
pub fn labels(object: &Value) -> Labels {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    Labels::new(labels.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or(""))))
}
