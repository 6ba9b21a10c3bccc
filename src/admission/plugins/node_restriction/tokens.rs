//! The tokens that a kubelet may ask for: those of its pods' accounts, for audiences that the pods speak of.

use std::borrow::Cow;

use super::NodeRestriction;
use crate::admission::chain::Attributes;
use crate::admission::pod::{items, text};
use crate::auth::authorizer::{Attributes as Question, Resource};
use crate::model::field::aggregate;
use crate::model::gotext::quote;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::pod;
use crate::model::status::{Result, Status};
use crate::model::value::Value;

/// (volume source of old, the CSI driver that serves it now)
const MIGRATED: [(&str, &str); 7] = [
    ("awsElasticBlockStore", "ebs.csi.aws.com"),
    ("azureDisk", "disk.csi.azure.com"),
    ("azureFile", "file.csi.azure.com"),
    ("cinder", "cinder.csi.openstack.org"),
    ("gcePersistentDisk", "pd.csi.storage.gke.io"),
    ("portworxVolume", "pxd.portworx.com"),
    ("vsphereVolume", "csi.vsphere.vmware.com"),
];

impl NodeRestriction {
    pub(super) async fn token(&self, node: &str, a: &Attributes<'_>, request: &Value) -> Result<()> {
        let bound = &request["spec"]["boundObjectRef"];
        let (name, uid) = (text(bound, "name"), text(bound, "uid"));
        if text(bound, "apiVersion") != "v1" || text(bound, "kind") != "Pod" || name.is_empty() {
            return Err(a.forbid("node requested token not bound to a pod"));
        }
        if uid.is_empty() {
            return Err(a.forbid("node requested token with a pod binding without a uid"));
        }
        let pod = self.needed(("pods", "pod"), a.namespace, name).await?;
        if object::uid(&pod) != uid {
            return Err(a.forbid(format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have \
                 been deleted and then recreated"
            )));
        }
        if text(&pod["spec"], "nodeName") != node {
            return Err(a.forbid("node requested token bound to a pod scheduled on a different node"));
        }
        self.audience(a, request, &pod)
    }

    fn audience(&self, a: &Attributes<'_>, request: &Value, pod: &Value) -> Result<()> {
        let mut audiences = items(&request["spec"], "audiences").filter_map(Value::as_str);
        let audience = match (audiences.next(), audiences.next()) {
            (_, Some(_)) => return Err(a.forbid("node may only request 0 or 1 audiences")),
            (audience, None) => audience.unwrap_or(""),
        };
        let spoken = self.speaks_of(pod, audience);
        if spoken.map_err(|why| a.forbid(format!("error validating audience {}: {why}", quote(audience))))? {
            return Ok(());
        }
        let asked =
            Resource { version: "v1", resource: audience, namespace: a.namespace, name: a.name, ..Resource::default() };
        let question = Question::resource(a.user, "request-serviceaccounts-token-audience", asked);
        if self.reads.authorizer.authorize_blocking(&question).is_allowed() {
            return Ok(());
        }
        Err(a.forbid(format!(
            "audience {} not found in pod spec volume, {} is not authorized to request tokens for this audience",
            quote(audience),
            a.user.name
        )))
    }

    /// Whether a volume of the pod has a token for the audience, or is of a driver that wants one.
    fn speaks_of(&self, pod: &Value, audience: &str) -> std::result::Result<bool, String> {
        let mut errors = Vec::new();
        for volume in items(&pod["spec"], "volumes") {
            let mut tokens = items(&volume["projected"], "sources").map(|source| &source["serviceAccountToken"]);
            if tokens.any(|token| token.is_object() && text(token, "audience") == audience) {
                return Ok(true);
            }
            let driver = self.driver(pod, volume);
            match driver.and_then(|driver| self.wants(driver.as_deref().unwrap_or(""), audience)) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(status) => errors.push(Cow::Owned(status.message)),
            }
        }
        if errors.is_empty() { Ok(false) } else { Err(aggregate(errors)) }
    }

    /// The CSI driver that serves a volume.
    fn driver(&self, pod: &Value, volume: &Value) -> Result<Option<String>> {
        if let Some(claim) = pod::claim_of_volume(pod, volume) {
            let claim =
                self.there("", ("persistentvolumeclaims", "persistentvolumeclaim"), object::namespace(pod), &claim)?;
            let volume = text(&claim["spec"], "volumeName");
            let volume = self.there("", ("persistentvolumes", "persistentvolume"), "", volume)?;
            return Ok(driver_of(&volume["spec"]));
        }
        Ok(driver_of(volume))
    }

    fn wants(&self, driver: &str, audience: &str) -> Result<bool> {
        if driver.is_empty() {
            return Ok(false);
        }
        let driver = self.there("storage.k8s.io", ("csidrivers", "csidriver"), "", driver)?;
        Ok(items(&driver["spec"], "tokenRequests").any(|request| text(request, "audience") == audience))
    }

    fn there(&self, group: &str, (resource, singular): (&str, &str), namespace: &str, name: &str) -> Result<Value> {
        let found = self.reads.get(group, resource, namespace, name)?;
        found.ok_or_else(|| Status::not_found(&GroupResource::new(group, singular), name))
    }
}

fn driver_of(source: &Value) -> Option<String> {
    if source["csi"].is_object() {
        return Some(text(&source["csi"], "driver").to_owned());
    }
    let migrated = MIGRATED.iter().find(|(old, _)| source[*old].is_object());
    migrated.map(|(_, driver)| (*driver).to_owned())
}
