//! What a kubelet may write to pods: the mirrors of its own ones, and the status of those on its node.

use super::NodeRestriction;
use crate::admission::chain::{Attributes, Operation};
use crate::admission::pod::{items, text};
use crate::model::gotext::quote;
use crate::model::object;
use crate::model::pod::{self, MIRROR};
use crate::model::status::Result;
use crate::model::value::Value;

/// Volumes for which a kubelet asks the API for nothing.
const LOCAL: [&str; 22] = [
    "awsElasticBlockStore",
    "azureDisk",
    "cephfs",
    "cinder",
    "downwardAPI",
    "emptyDir",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];
/// (volume source, what of the API it refers to)
const REFERRING: [(&str, &str); 7] = [
    ("configMap", "configmaps (via configmap volumes)"),
    ("secret", "secrets (via secret volumes)"),
    ("csi", "csidrivers (via CSI volumes)"),
    ("glusterfs", "endpoints (via glusterFS volumes)"),
    ("persistentVolumeClaim", "persistentvolumeclaims"),
    ("ephemeral", "persistentvolumeclaims (via ephemeral volumes)"),
    ("azureFile", "secrets (via azureFile volumes)"),
];
/// The same of the sources of projected volumes.
const PROJECTED: [(&str, &str); 5] = [
    ("configMap", "configmaps (via projected volumes)"),
    ("secret", "secrets (via projected volumes)"),
    ("serviceAccountToken", "serviceaccounts (via projected volumes)"),
    ("clusterTrustBundle", "clustertrustbundles"),
    ("podCertificate", "podcertificates"),
];

impl NodeRestriction {
    pub(super) async fn pod(&self, node: &str, a: &Attributes<'_>, object: &Value) -> Result<()> {
        let own = quote(node);
        match (a.subresource, a.operation) {
            ("", Operation::Create) => self.mirror(node, a, object).await,
            // The stored pod decides, when it is known.
            ("", Operation::Delete) => Ok(()),
            ("", operation) => Err(a.forbid(format!(
                "unexpected operation {}, node {own} can only create and delete mirror pods",
                quote(operation.word())
            ))),
            ("status", Operation::Update) => status(node, a, object),
            ("status", operation) => Err(a.forbid(format!("unexpected operation {}", quote(operation.word())))),
            ("eviction", Operation::Create) => {
                let name = if a.name.is_empty() { object::name(object) } else { a.name };
                if name.is_empty() {
                    return Err(a.forbid("could not determine pod from request data"));
                }
                let pod = self.needed(("pods", "pod"), a.namespace, name).await?;
                if text(&pod["spec"], "nodeName") == node {
                    return Ok(());
                }
                Err(a.forbid(format!("node {node} can only evict pods with spec.nodeName set to itself")))
            }
            ("eviction", operation) => Err(a.forbid(format!("unexpected operation {}", operation.word()))),
            (other, _) => Err(a.forbid(format!(
                "unexpected pod subresource {}, only 'status' and 'eviction' are allowed",
                quote(other)
            ))),
        }
    }

    async fn mirror(&self, node: &str, a: &Attributes<'_>, pod: &Value) -> Result<()> {
        let own = quote(node);
        if !pod::is_mirror(pod) {
            let mirror = quote(MIRROR);
            let why = format!("pod does not have {mirror} annotation, node {own} can only create mirror pods");
            return Err(a.forbid(why));
        }
        if text(&pod["spec"], "nodeName") != node {
            return Err(a.forbid(format!("node {own} can only create pods with spec.nodeName set to itself")));
        }
        let owner = owner(node, pod).map_err(|why| a.forbid(why))?;
        let found = self.needed(("nodes", "node"), "", node).await?;
        let (named, uid) = (text(owner, "uid"), object::uid(&found));
        if named != uid {
            return Err(a.forbid(format!("node {node} UID mismatch: expected {named} got {uid}")));
        }
        match referred(pod) {
            Ok(None) => Ok(()),
            Ok(Some(what)) => Err(a.forbid(format!("node {own} can not create pods that reference {what}"))),
            Err(why) => Err(a.forbid(format!("error checking mirror pod for API references: {why}"))),
        }
    }
}

/// The one owner, which must be the node.
fn owner<'a>(node: &str, pod: &'a Value) -> std::result::Result<&'a Value, String> {
    let own = quote(node);
    let mut owners = items(&pod["metadata"], "ownerReferences");
    let owner = match (owners.next(), owners.next()) {
        (Some(_), Some(_)) => {
            return Err(format!("node {own} can only create pods with a single owner reference set to itself"));
        }
        (Some(owner), None) => owner,
        (None, _) => return Err(format!("node {own} can only create pods with an owner reference set to itself")),
    };
    if text(owner, "apiVersion") != "v1" || text(owner, "kind") != "Node" || text(owner, "name") != node {
        return Err(format!("node {own} can only create pods with an owner reference set to itself"));
    }
    if owner["controller"] != true {
        return Err(format!("node {own} can only create pods with a controller owner reference set to itself"));
    }
    if owner["blockOwnerDeletion"] == true {
        return Err(format!("node {own} must not set blockOwnerDeletion on an owner reference"));
    }
    Ok(owner)
}

/// What of the API the pod refers to; `Err` when that cannot be told.
fn referred(pod: &Value) -> std::result::Result<Option<&'static str>, String> {
    let spec = &pod["spec"];
    let some = |names: Vec<&str>| names.iter().any(|name| !name.is_empty());
    if !text(spec, "serviceAccountName").is_empty() {
        return Ok(Some("serviceaccounts"));
    }
    if some(pod::secrets(spec)) {
        return Ok(Some("secrets"));
    }
    if some(pod::config_maps(spec)) {
        return Ok(Some("configmaps"));
    }
    if items(spec, "resourceClaims").next().is_some() {
        return Ok(Some("resourceclaims"));
    }
    for volume in items(spec, "volumes") {
        if LOCAL.iter().any(|source| volume[*source].is_object()) {
            continue;
        }
        if let Some(what) = first(&REFERRING, volume) {
            return Ok(Some(what));
        }
        if !volume["projected"].is_object() {
            return Err(format!("unknown volume type for volume  {}", quote(text(volume, "name"))));
        }
        for source in items(&volume["projected"], "sources") {
            match first(&PROJECTED, source) {
                Some(what) => return Ok(Some(what)),
                None if source["downwardAPI"].is_object() => {}
                None => return Err(format!("unknown source for projected volume {}", quote(text(volume, "name")))),
            }
        }
    }
    Ok(None)
}

fn first(table: &[(&str, &'static str)], object: &Value) -> Option<&'static str> {
    table.iter().find(|(source, _)| object[*source].is_object()).map(|(_, what)| *what)
}

fn status(node: &str, a: &Attributes<'_>, pod: &Value) -> Result<()> {
    let (own, old) = (quote(node), a.old.unwrap_or(&Value::Null));
    if text(&old["spec"], "nodeName") != node {
        let why = format!("node {own} can only update pod status for pods with spec.nodeName set to itself");
        return Err(a.forbid(why));
    }
    let labels = |pod: &Value| pod["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    if labels(old) != labels(pod) {
        return Err(a.forbid(format!("node {own} cannot update labels through pod status")));
    }
    let claims = |pod: &Value| -> Vec<(Value, Value)> {
        let statuses = items(&pod["status"], "resourceClaimStatuses");
        statuses.map(|status| (status["name"].clone(), status["resourceClaimName"].clone())).collect()
    };
    if claims(old) != claims(pod) {
        return Err(a.forbid(format!("node {own} cannot update resource claim statues")));
    }
    let extended = |pod: &Value| pod["status"]["extendedResourceClaimStatus"].clone();
    if extended(old) != extended(pod) {
        return Err(a.forbid(format!("node {own} cannot update extended resource claim status")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn a_mirror_pod_asks_the_api_for_nothing() {
        let volume = |source: Value| json!({"spec": {"volumes": [source]}});
        let projected = |source: Value| volume(json!({"name": "v", "projected": {"sources": [source]}}));
        let cases = [
            (json!({"spec": {"serviceAccountName": "x"}}), Ok(Some("serviceaccounts"))),
            (json!({"spec": {"imagePullSecrets": [{"name": "x"}]}}), Ok(Some("secrets"))),
            (json!({"spec": {"imagePullSecrets": [{"name": ""}]}}), Ok(None)),
            (volume(json!({"configMap": {"name": "x"}})), Ok(Some("configmaps"))),
            (volume(json!({"configMap": {}})), Ok(Some("configmaps (via configmap volumes)"))),
            (json!({"spec": {"resourceClaims": [{"name": "x"}]}}), Ok(Some("resourceclaims"))),
            (volume(json!({"hostPath": {"path": "/"}})), Ok(None)),
            (volume(json!({"csi": {"driver": "d"}})), Ok(Some("csidrivers (via CSI volumes)"))),
            (projected(json!({"downwardAPI": {}})), Ok(None)),
            (projected(json!({"serviceAccountToken": {}})), Ok(Some("serviceaccounts (via projected volumes)"))),
            (projected(json!({})), Err("unknown source for projected volume \"v\"".to_owned())),
            (volume(json!({"name": "v"})), Err("unknown volume type for volume  \"v\"".to_owned())),
        ];
        for (pod, expected) in cases {
            assert_eq!(referred(&pod), expected, "{pod}");
        }
    }
}
