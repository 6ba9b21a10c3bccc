//! What a StorageClass says.

use crate::admission::plugins::storage::default_class;
use crate::cache::shelf::Shelf;
use crate::controllers::item::Item;
use crate::model::object;
use crate::model::value::Value;

/// In-tree provisioners, and the drivers that do their work now.
const MIGRATED: [(&str, &str); 7] = [
    ("kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    ("kubernetes.io/azure-disk", "disk.csi.azure.com"),
    ("kubernetes.io/azure-file", "file.csi.azure.com"),
    ("kubernetes.io/cinder", "cinder.csi.openstack.org"),
    ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    ("kubernetes.io/portworx-volume", "pxd.portworx.com"),
    ("kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com"),
];

pub struct Class {
    /// Volumes are chosen when a pod is scheduled.
    pub is_delayed: bool,
    provisioner: String,
}

/// The class of this name.
pub fn find(shelf: &Shelf, name: &str) -> Option<Class> {
    let class = Item::find(shelf, "", name).ok()??;
    Some(Class {
        is_delayed: class.value["volumeBindingMode"] == "WaitForFirstConsumer",
        provisioner: class.value["provisioner"].as_str().unwrap_or("").to_owned(),
    })
}

/// The name of the default class, if there is one.
pub fn default(shelf: &Shelf) -> Option<String> {
    let classes = shelf.iter(None).filter_map(|class| Item::new(shelf, class).ok());
    default_class(classes.map(|class: Item| -> Value { class.value })).map(|class| object::name(&class).to_owned())
}

impl Class {
    /// Who makes volumes of the class, outside; the error says why nobody does.
    pub fn provisioner(&self) -> Result<&str, String> {
        let name = self.provisioner.as_str();
        match MIGRATED.iter().find(|(old, _)| *old == name) {
            Some((_, driver)) => Ok(driver),
            None if name.starts_with("kubernetes.io/") => Err(format!("no volume plugin matched name: {name}")),
            None => Ok(name),
        }
    }
}
