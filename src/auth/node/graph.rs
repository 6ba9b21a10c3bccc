//! What leads from an object to a node. Nothing is kept: the pods of a node are found by index, and only those whose
//! bytes have the object's name in them are decoded.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memmem;

use crate::cache::handle::Cache;
use crate::cache::index::{POD_NODE, VOLUME_SECRET};
use crate::cache::object::{Key, Object};
use crate::cache::shelf::Shelf;
use crate::model::names::GroupResource;
use crate::model::value::Value;
use crate::model::{pod, volume};

/// What a path may begin at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Attachment,
    Claim,
    ConfigMap,
    Pod,
    ResourceClaim,
    Secret,
    ServiceAccount,
    Slice,
    Volume,
}

/// The relations of one node as the cache shows them now.
pub struct Graph<'a> {
    pub cache: &'a Cache,
    pub node: &'a str,
}

impl Graph<'_> {
    /// Whether a path leads from the object to the node.
    pub fn is_reached_from(&self, start: Start, namespace: &str, name: &str) -> bool {
        let reached = match start {
            Start::Attachment => self.is_bound("storage.k8s.io", "volumeattachments", "", name),
            Start::Pod => self.is_bound("", "pods", namespace, name),
            Start::Slice => self.is_bound("resource.k8s.io", "resourceslices", "", name),
            Start::Claim => self.pods().map(|pods| pods.mount(namespace, name)),
            Start::ConfigMap => {
                self.pods().map(|pods| pods.name(namespace, name, |pod| all(pod::config_maps(&pod["spec"]))))
            }
            Start::ResourceClaim => {
                self.pods().map(|pods| pods.name(namespace, name, |pod| all(pod::resource_claims(pod))))
            }
            Start::ServiceAccount => self.pods().map(|pods| {
                pods.name(namespace, name, |pod| all(pod["spec"]["serviceAccountName"].as_str().into_iter().collect()))
            }),
            Start::Secret => self.is_secret_needed(namespace, name),
            Start::Volume => self.is_volume_needed(name),
        };
        reached.unwrap_or(false)
    }

    /// By the object's own `spec.nodeName`.
    fn is_bound(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<bool> {
        let shelf = self.shelf(group, resource)?;
        let object = shelf.get(namespace, name)?;
        let node = object.field(&shelf.storage.shape, &["spec", "nodeName"])?;
        Some(node.to_string() == self.node)
    }

    /// By a pod, or by a volume that a pod mounts.
    fn is_secret_needed(&self, namespace: &str, name: &str) -> Option<bool> {
        let pods = self.pods()?;
        if pods.name(namespace, name, |pod| all(pod::secrets(&pod["spec"]))) {
            return Some(true);
        }
        let volumes = self.shelf("", "persistentvolumes")?;
        let secret = Key::text(namespace, name);
        Some(volumes.by_index(&VOLUME_SECRET, &secret).any(|volume| pods.mount_volume(&volumes, volume)))
    }

    fn is_volume_needed(&self, name: &str) -> Option<bool> {
        let volumes = self.shelf("", "persistentvolumes")?;
        let volume = volumes.get("", name)?;
        Some(self.pods()?.mount_volume(&volumes, volume))
    }

    fn pods(&self) -> Option<Pods<'_>> {
        Some(Pods { shelf: self.shelf("", "pods")?, node: self.node })
    }

    fn shelf(&self, group: &str, resource: &str) -> Option<Arc<Shelf>> {
        let name = GroupResource::new(group, resource);
        self.cache.snapshot(&[&name]).ok()?.shelves.pop()
    }
}

/// The pods of the node.
struct Pods<'a> {
    shelf: Arc<Shelf>,
    node: &'a str,
}

impl Pods<'_> {
    /// Whether one of them in the namespace has `name` among the names read from it.
    fn name(&self, namespace: &str, name: &str, names: impl Fn(&Value) -> Vec<Cow<'_, str>>) -> bool {
        let finder = memmem::Finder::new(name.as_bytes());
        self.any(namespace, |pod| finder.find(&pod.bytes).is_some(), |pod| names(pod).iter().any(|known| known == name))
    }

    /// Whether one of them mounts the claim. The name of a claim made for a pod begins with that of the pod.
    fn mount(&self, namespace: &str, claim: &str) -> bool {
        let finder = memmem::Finder::new(claim.as_bytes());
        let may = |pod: &Object| finder.find(&pod.bytes).is_some() || claim.starts_with(pod.name());
        self.any(namespace, may, |pod| pod::claims(pod).iter().any(|known| known == claim))
    }

    /// Whether one of them mounts the claim that the volume is bound to.
    fn mount_volume(&self, shelf: &Shelf, object: &Object) -> bool {
        let Ok(volume) = object.to_value(&shelf.storage.shape) else { return false };
        volume::claim(&volume).is_some_and(|(namespace, name)| self.mount(namespace, name))
    }

    /// Mirror pods are the node's own work: nothing follows from what they name.
    fn any(&self, namespace: &str, may: impl Fn(&Object) -> bool, is: impl Fn(&Value) -> bool) -> bool {
        self.shelf
            .by_index(&POD_NODE, self.node)
            .filter(|pod| pod.namespace() == namespace && may(pod))
            .filter_map(|pod| pod.to_value(&self.shelf.storage.shape).ok())
            .any(|pod| !pod::is_mirror(&pod) && is(&pod))
    }
}

fn all(names: Vec<&str>) -> Vec<Cow<'_, str>> {
    names.into_iter().map(Cow::Borrowed).collect()
}
