//! A node's Lease in `kube-node-lease`: as long as it is renewed, the node counts as alive.

use std::time::Duration;

use crate::model::object;
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::registry::client::Target;
use crate::remote::api::Api;
use crate::remote::error::Result;

/// How long it lasts, and how often it is renewed.
const SECONDS: i64 = 40;
pub const EVERY: Duration = Duration::from_secs(10);
const NAMESPACE: &str = "kube-node-lease";

/// Held by one node.
#[derive(Default)]
pub struct Lease {
    /// As the server has it; `None` when that is not known.
    held: Option<Value>,
}

impl Lease {
    /// Takes or renews the lease of the node with this name and UID.
    pub async fn renew(&mut self, api: &Api, node: &str, uid: &str, now: Time) -> Result<()> {
        let target = Target::new("coordination.k8s.io", "leases", NAMESPACE, node);
        let renewed = self.renewed(node, uid, now);
        let known = self.held.take().is_some();
        let answer = if known { api.update(target, &renewed).await } else { api.create(target, &renewed).await };
        let lease = match answer {
            Ok(lease) => lease,
            // Somebody else has written or made it.
            Err(error) if error.is_conflict() || error.is_already_exists() => {
                self.held = Some(api.get(target).await?);
                api.update(target, &self.renewed(node, uid, now)).await?
            }
            Err(error) if error.is_not_found() && known => api.create(target, &renewed_new(node, uid, now)).await?,
            Err(error) => return Err(error),
        };
        self.held = Some(without_notes(lease));
        Ok(())
    }

    fn renewed(&self, node: &str, uid: &str, now: Time) -> Value {
        let Some(held) = &self.held else { return renewed_new(node, uid, now) };
        let mut lease = held.clone();
        lease["spec"]["holderIdentity"] = node.into();
        lease["spec"]["renewTime"] = now.to_micros_text().as_str().into();
        lease
    }
}

fn renewed_new(node: &str, uid: &str, now: Time) -> Value {
    json!({
        "metadata": {"name": node, "namespace": NAMESPACE,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}]},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": SECONDS,
            "renewTime": now.to_micros_text().as_str()}
    })
}

/// Thousands of nodes keep their leases: what the server keeps for itself is left out.
fn without_notes(mut lease: Value) -> Value {
    if let Some(metadata) = object::metadata_mut(&mut lease) {
        metadata.remove("managedFields");
    }
    lease
}
