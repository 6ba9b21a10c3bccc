//! The indexes, in one table: where to find objects other than by name.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};

use super::object::{Key, Object};
use crate::codec::protobuf::view::View;
use crate::model::names::GroupResource;
use crate::model::volume;
use crate::schema::resource::Shape;

/// One way to find objects.
#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    pub name: &'static str,
    /// (group, resource) of the one shelf that has it; `None`: all have it.
    shelf: Option<(&'static str, &'static str)>,
    source: Source,
}

#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// Its own UID.
    Uid,
    /// The UIDs of its owners.
    Owners,
    /// Its namespace, while no owner controls it.
    Orphan,
    /// A scalar field, empty when unset.
    Field(&'static [&'static str]),
    /// `namespace/name` of every secret that is read to mount a volume.
    Secrets,
    /// `namespace/name` of every claim that a pod's volumes name.
    Claims,
    /// `namespace/name` of every ResourceClaim that a pod uses.
    ResourceClaims,
    /// `namespace/name` of every ResourceClaimTemplate that a pod names.
    ClaimTemplates,
    /// `namespace/name` of the claim that a volume is bound to, or kept for.
    ClaimReference,
}

pub static UID: Index = Index { name: "uid", shelf: None, source: Source::Uid };
pub static OWNER: Index = Index { name: "owner", shelf: None, source: Source::Owners };
/// Pods that nobody controls, by namespace: what a new controller may adopt.
pub static ORPHAN_POD: Index = Index { name: "orphan-pod", shelf: Some(("", "pods")), source: Source::Orphan };
pub static POD_NODE: Index =
    Index { name: "pod-node", shelf: Some(("", "pods")), source: Source::Field(&["spec", "nodeName"]) };
/// Pods by the PersistentVolumeClaims that they use, those made for them too.
pub static POD_CLAIM: Index = Index { name: "pod-claim", shelf: Some(("", "pods")), source: Source::Claims };
pub static SLICE_NODE: Index = Index {
    name: "slice-node",
    shelf: Some(("resource.k8s.io", "resourceslices")),
    source: Source::Field(&["spec", "nodeName"]),
};
/// Volumes by the secrets that kubelets read for them.
pub static VOLUME_SECRET: Index =
    Index { name: "volume-secret", shelf: Some(("", "persistentvolumes")), source: Source::Secrets };

/// Pods by the ResourceClaims that they use, those made for them too.
pub static POD_RESOURCE_CLAIM: Index =
    Index { name: "pod-resource-claim", shelf: Some(("", "pods")), source: Source::ResourceClaims };
pub static POD_CLAIM_TEMPLATE: Index =
    Index { name: "pod-claim-template", shelf: Some(("", "pods")), source: Source::ClaimTemplates };
/// Volumes by the claim that they name.
pub static VOLUME_CLAIM: Index =
    Index { name: "volume-claim", shelf: Some(("", "persistentvolumes")), source: Source::ClaimReference };
/// Claims by the volume that they name.
pub static CLAIM_VOLUME: Index = Index {
    name: "claim-volume",
    shelf: Some(("", "persistentvolumeclaims")),
    source: Source::Field(&["spec", "volumeName"]),
};

/// Every index.
pub static INDEXES: &[&Index] = &[
    &UID,
    &OWNER,
    &ORPHAN_POD,
    &POD_NODE,
    &POD_CLAIM,
    &SLICE_NODE,
    &VOLUME_SECRET,
    &VOLUME_CLAIM,
    &CLAIM_VOLUME,
    &POD_RESOURCE_CLAIM,
    &POD_CLAIM_TEMPLATE,
];

impl Index {
    /// Those of a shelf.
    pub fn of_shelf(shelf: &GroupResource) -> impl Iterator<Item = &'static Index> {
        INDEXES.iter().copied().filter(|index| {
            index.shelf.is_none_or(|(group, resource)| shelf.group == group && shelf.resource == resource)
        })
    }

    /// The index that answers a field selector (`spec.nodeName`) on a shelf.
    pub fn of_field(shelf: &GroupResource, path: &str) -> Option<&'static Index> {
        Self::of_shelf(shelf).find(|index| match index.source {
            Source::Field(names) => path.split('.').eq(names.iter().copied()),
            _ => false,
        })
    }

    /// Calls `each` with every value under which the object is found.
    pub fn values(&self, object: &Object, shape: &Shape, mut each: impl FnMut(&str)) {
        match self.source {
            Source::Uid => {
                let uid = object.uid();
                if !uid.is_empty() {
                    each(&uid);
                }
            }
            Source::Owners => object.owners().iter().for_each(|owner| each(&owner.uid)),
            Source::Orphan if object.controller().is_none() => each(object.namespace()),
            Source::Orphan => {}
            Source::Field(path) => match object.field(shape, path) {
                Some(super::object::Scalar::Str(text)) => each(&text),
                Some(scalar) => each(&scalar.to_string()),
                None => each(""),
            },
            Source::Secrets => {
                let Ok(volume) = object.to_value(shape) else { return };
                volume::secrets(&volume).iter().for_each(|(namespace, name)| each(&Key::text(namespace, name)));
            }
            Source::ResourceClaims => {
                let Some(pod) = shape.message().map(|message| View::new(&object.bytes, message)) else { return };
                let (named, made) = (pod.at("spec").items("resourceClaims"), pod.at("status"));
                let names =
                    named.chain(made.items("resourceClaimStatuses")).map(|entry| entry.text("resourceClaimName"));
                names.filter(|name| !name.is_empty()).for_each(|name| each(&Key::text(object.namespace(), name)));
            }
            Source::ClaimTemplates => {
                let Some(pod) = shape.message().map(|message| View::new(&object.bytes, message)) else { return };
                let named = pod.at("spec").items("resourceClaims").map(|entry| entry.text("resourceClaimTemplateName"));
                named.filter(|name| !name.is_empty()).for_each(|name| each(&Key::text(object.namespace(), name)));
            }
            Source::ClaimReference => {
                let Some(message) = shape.message() else { return };
                if let Some(claim) = View::new(&object.bytes, message).at("spec").get("claimRef") {
                    each(&Key::text(claim.text("namespace"), claim.text("name")));
                }
            }
            Source::Claims => {
                let Some(message) = shape.message() else { return };
                for volume in View::new(&object.bytes, message).at("spec").items("volumes") {
                    if let Some(claim) = claim_of(object.name(), volume) {
                        each(&Key::text(object.namespace(), &claim));
                    }
                }
            }
        }
    }

    /// Whether the object is found under this value.
    pub fn has(&self, object: &Object, shape: &Shape, wanted: &str) -> bool {
        let mut found = false;
        self.values(object, shape, |value| found |= value == wanted);
        found
    }
}

/// The claim that a pod's volume names. One that is made for the pod has the names of both.
pub fn claim_of<'a>(pod: &str, volume: View<'a>) -> Option<Cow<'a, str>> {
    match volume.get("persistentVolumeClaim") {
        Some(claim) => Some(claim.text("claimName").into()),
        None => volume.has("ephemeral").then(|| format!("{pod}-{}", volume.text("name")).into()),
    }
}

/// A value's place in an index. Equal on every run, so that nothing depends on chance.
pub(super) fn hash(value: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(value.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shelves_have_their_indexes() {
        let names = |group, resource| {
            Index::of_shelf(&GroupResource::new(group, resource)).map(|index| index.name).collect::<Vec<_>>()
        };
        assert_eq!(
            names("", "pods"),
            ["uid", "owner", "orphan-pod", "pod-node", "pod-claim", "pod-resource-claim", "pod-claim-template"]
        );
        assert_eq!(names("apps", "deployments"), ["uid", "owner"]);
        let pods = GroupResource::new("", "pods");
        assert_eq!(Index::of_field(&pods, "spec.nodeName"), Some(&POD_NODE));
        assert_eq!(Index::of_field(&pods, "spec.nodeNames"), None);
    }
}
