//! NodeRestriction: what a kubelet writes must be about its own node and the pods on it.
//!
//! The authorizer lets nodes write by resource and name; this looks into what they write. Nobody else is looked at.
//!
//! In reading order: this page (who is asked about what, leases, CSI nodes, slices, certificates), `nodes` (its own
//! object), `pods`, `tokens` (of service accounts).

mod nodes;
mod pods;
mod tokens;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::admission::chain::{Attributes, Operation, Plugin};
use crate::admission::pod::text;
use crate::admission::reads::Reads;
use crate::model::gotext::quote;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::pki::request::SigningRequest;
use crate::rules::{diff, same};

const LEASES: &str = "kube-node-lease";
/// Signers of what a kubelet shows as a server and as a client.
const SIGNERS: [&str; 2] = ["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"];
/// What a node may change in the status of a claim.
const OF_CLAIM: [&str; 4] = ["capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"];

pub struct NodeRestriction {
    reads: Reads,
}

impl NodeRestriction {
    pub fn new(reads: &Reads) -> Self {
        Self { reads: reads.clone() }
    }

    /// An object that must be there for a node to write what it writes.
    async fn needed(&self, (resource, singular): (&str, &str), namespace: &str, name: &str) -> Result<Value> {
        let found = self.reads.get_sure("", resource, namespace, name).await?;
        found.ok_or_else(|| Status::not_found(&GroupResource::new("", singular), name))
    }
}

#[async_trait]
impl Plugin for NodeRestriction {
    fn name(&self) -> &'static str {
        "NodeRestriction"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.operation != Operation::Connect && a.user.node().is_some()
    }

    async fn admit(&self, a: &mut Attributes<'_>, object: Option<&mut Value>) -> Result<()> {
        let Some(node) = a.user.node() else { return Ok(()) };
        if node.is_empty() {
            return Err(a.forbid(format!("could not determine node from user {}", quote(&a.user.name))));
        }
        let object = object.as_deref().unwrap_or(&Value::Null);
        match (&*a.resource.name.group, &*a.resource.name.resource) {
            ("", "pods") => self.pod(node, a, object).await,
            ("", "nodes") => nodes::check(node, a, object),
            ("", "persistentvolumeclaims") => claim(node, a, object),
            ("", "serviceaccounts") if a.creates() && a.subresource == "token" => self.token(node, a, object).await,
            ("coordination.k8s.io", "leases") => lease(node, a, object),
            ("storage.k8s.io", "csinodes") => same_name(node, a, object, "CSINode"),
            ("resource.k8s.io", "resourceslices") if a.creates() => slice(node, a, object, "create"),
            ("certificates.k8s.io", "certificatesigningrequests") if a.creates() => signing_request(node, a, object),
            ("certificates.k8s.io", "podcertificaterequests") => {
                Err(a.forbid("PodCertificateRequest feature gate is disabled"))
            }
            _ => Ok(()),
        }
    }

    /// Deletes are judged by the object that is stored.
    async fn validate(&self, a: &mut Attributes<'_>, _: Option<&Value>) -> Result<()> {
        let (Some(node), Some(old), Operation::Delete) = (a.user.node(), a.old, a.operation) else { return Ok(()) };
        if a.is("", "pods") && text(&old["spec"], "nodeName") != node {
            let why = format!("node {} can only delete pods with spec.nodeName set to itself", quote(node));
            return Err(a.forbid(why));
        }
        if a.is("resource.k8s.io", "resourceslices") {
            return slice(node, a, old, "delete");
        }
        Ok(())
    }
}

fn claim(node: &str, a: &Attributes<'_>, claim: &Value) -> Result<()> {
    if a.subresource != "status" {
        return Err(a.forbid("may only update PVC status"));
    }
    let (true, Some(old)) = (a.updates(), a.old) else {
        return Err(a.forbid(format!("unexpected operation {}", quote(a.operation.word()))));
    };
    let rest = |claim: &Value| {
        let mut rest = claim.clone();
        for (part, fields) in [("status", &OF_CLAIM[..]), ("metadata", &["resourceVersion", "managedFields"])] {
            if let Some(part) = rest.get_mut(part).and_then(Value::as_object_mut) {
                part.retain(|field, _| !fields.contains(&field.as_str()));
            }
        }
        rest
    };
    let (before, after) = (rest(old), rest(claim));
    let message = a.resource.shape.message();
    if message.map_or(before == after, |message| same::messages(&before, &after, message)) {
        return Ok(());
    }
    let changes = message.map_or(String::new(), |message| diff::changes(&before, &after, message));
    Err(a.forbid(format!(
        "node {} is not allowed to update fields other than status.quantity and status.conditions: {changes}",
        quote(node)
    )))
}

fn lease(node: &str, a: &Attributes<'_>, lease: &Value) -> Result<()> {
    if a.namespace != LEASES {
        return Err(a.forbid(format!("can only access leases in the {} system namespace", quote(LEASES))));
    }
    same_name(node, a, lease, "node lease")
}

fn same_name(node: &str, a: &Attributes<'_>, object: &Value, what: &str) -> Result<()> {
    let name = if a.creates() { object::name(object) } else { a.name };
    if name == node {
        return Ok(());
    }
    Err(a.forbid(format!("can only access {what} with the same name as the requesting node")))
}

fn slice(node: &str, a: &Attributes<'_>, slice: &Value, verb: &str) -> Result<()> {
    if slice["spec"]["nodeName"].as_str() == Some(node) {
        return Ok(());
    }
    Err(a.forbid(format!("can only {verb} ResourceSlice with the same NodeName as the requesting node")))
}

/// A certificate for a kubelet must be for this one. The signer checks the rest.
fn signing_request(node: &str, a: &Attributes<'_>, request: &Value) -> Result<()> {
    if !a.subresource.is_empty() || !SIGNERS.contains(&text(&request["spec"], "signerName")) {
        return Ok(());
    }
    let pem = STANDARD.decode(text(&request["spec"], "request")).unwrap_or_default();
    let parsed = SigningRequest::from_pem(&pem).map_err(|why| a.forbid(format!("unable to parse csr: {why}")))?;
    let expected = format!("system:node:{node}");
    if parsed.holder.common_name == expected {
        return Ok(());
    }
    Err(a.forbid(format!("can only create a node CSR with CN={expected}")))
}
