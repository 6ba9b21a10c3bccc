//! Three plugins about storage: DefaultStorageClass, StorageObjectInUseProtection, PersistentVolumeClaimResize.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::push;
use crate::admission::reads::Reads;
use crate::model::object;
use crate::model::quantity::Quantity;
use crate::model::status::Result;
use crate::model::value::Value;

const GROUP: &str = "storage.k8s.io";
const CLAIMS: &str = "persistentvolumeclaims";
/// How a claim named its class before it had a field for it.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const DEFAULT_ANNOTATIONS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// (group, resource, what holds an object that is in use)
const PROTECTED: [(&str, &str, &str); 3] = [
    ("", "persistentvolumes", "kubernetes.io/pv-protection"),
    ("", CLAIMS, "kubernetes.io/pvc-protection"),
    (GROUP, "volumeattributesclasses", "kubernetes.io/vac-protection"),
];

/// Gives a claim that names no class the newest default one.
pub struct DefaultStorageClass(pub Reads);

#[async_trait]
impl Plugin for DefaultStorageClass {
    fn name(&self) -> &'static str {
        "DefaultStorageClass"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", CLAIMS) && a.creates()
    }

    async fn admit(&self, _: &mut Attributes<'_>, claim: Option<&mut Value>) -> Result<()> {
        let Some(claim) = claim.filter(|claim| class_of(claim).is_none()) else { return Ok(()) };
        if let Some(class) = default_class(self.0.list(GROUP, "storageclasses", "")?.into_iter()) {
            claim["spec"]["storageClassName"] = object::name(&class).into();
        }
        Ok(())
    }
}

/// The class of claims that name none: of those that are marked so, the newest.
pub fn default_class(classes: impl Iterator<Item = Value>) -> Option<Value> {
    let is_default =
        |class: &Value| DEFAULT_ANNOTATIONS.iter().any(|key| object::annotation(class, key) == Some("true"));
    newest(classes.filter(is_default))
}

/// The object made last; of those made at once, the first by name.
pub fn newest(objects: impl Iterator<Item = Value>) -> Option<Value> {
    let made = |object: &Value| object::meta_str(object, "creationTimestamp").to_owned();
    objects.min_by(|a, b| made(b).cmp(&made(a)).then_with(|| object::name(a).cmp(object::name(b))))
}

fn class_of(claim: &Value) -> Option<&str> {
    object::annotation(claim, CLASS_ANNOTATION).or_else(|| claim["spec"]["storageClassName"].as_str())
}

/// Keeps what is in use from ending when it is deleted.
pub struct StorageObjectInUseProtection;

impl StorageObjectInUseProtection {
    fn finalizer(a: &Attributes<'_>) -> Option<&'static str> {
        PROTECTED.iter().find(|(group, resource, _)| a.is(group, resource)).map(|(_, _, finalizer)| *finalizer)
    }
}

#[async_trait]
impl Plugin for StorageObjectInUseProtection {
    fn name(&self) -> &'static str {
        "StorageObjectInUseProtection"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.creates() && Self::finalizer(a).is_some()
    }

    async fn admit(&self, a: &mut Attributes<'_>, object: Option<&mut Value>) -> Result<()> {
        if let (Some(object), Some(finalizer)) = (object, Self::finalizer(a))
            && !object::finalizers(object).any(|known| known == finalizer)
        {
            push(&mut object["metadata"], "finalizers", finalizer.into());
        }
        Ok(())
    }
}

/// Lets a claim grow only where its class says that volumes can.
pub struct PersistentVolumeClaimResize(pub Reads);

#[async_trait]
impl Plugin for PersistentVolumeClaimResize {
    fn name(&self) -> &'static str {
        "PersistentVolumeClaimResize"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", CLAIMS) && a.updates()
    }

    async fn validate(&self, a: &mut Attributes<'_>, claim: Option<&Value>) -> Result<()> {
        let (Some(claim), Some(old)) = (claim, a.old) else { return Ok(()) };
        let size = |claim: &Value| {
            Quantity::from_value(&claim["spec"]["resources"]["requests"]["storage"]).unwrap_or(Quantity::ZERO)
        };
        if size(claim) <= size(old) {
            return Ok(());
        }
        if old["status"]["phase"] != "Bound" {
            return Err(a.forbid("Only bound persistent volume claims can be expanded"));
        }
        let class = class_of(claim).filter(|class| !class.is_empty() && class_of(old) == Some(class));
        let class = class.map(|class| self.0.get(GROUP, "storageclasses", "", class)).transpose()?.flatten();
        if class.is_some_and(|class| class["allowVolumeExpansion"] == true) {
            return Ok(());
        }
        Err(a.forbid(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
        ))
    }
}
