//! Who may join: a bootstrap token, and what its users may do. kubeadm makes the same.

use crate::auth::token::bootstrap_secret::BootstrapSecret;
use crate::model::value::{Value, json};
use crate::registry::client::Target;
use crate::remote::api::Api;
use crate::remote::error::Result;

/// The group of tokens by which nodes join.
pub const JOINING: &str = "system:bootstrappers:kubeadm:default-node-token";
pub(super) const NODES: &str = "system:nodes";
const BINDINGS: &str = "clusterrolebindings";
pub(super) const RBAC: &str = "rbac.authorization.k8s.io";

/// (binding, role, group)
const ALLOWED: [(&str, &str, &str); 4] = [
    ("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", JOINING),
    ("kubeadm:node-autoapprove-bootstrap", "system:certificates.k8s.io:certificatesigningrequests:nodeclient", JOINING),
    (
        "kubeadm:node-autoapprove-certificate-rotation",
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        NODES,
    ),
    // As what the server goes to kubelets: they ask it back whether it may.
    ("kubeadm:cluster-admins", "cluster-admin", "kubeadm:cluster-admins"),
];

/// Makes the token valid. If nodes are to join by it, they are allowed to.
pub async fn invite(api: &Api, secret: &BootstrapSecret) -> Result<()> {
    if secret.groups.iter().any(|group| group == JOINING) {
        for (name, role, group) in ALLOWED {
            match api.create(Target::new(RBAC, BINDINGS, "", name), &binding(name, role, group)).await {
                Err(error) if !error.is_already_exists() => return Err(error),
                _ => {}
            }
        }
    }
    let name = secret.name();
    api.create(Target::new("", "secrets", "kube-system", &name), &secret.to_value()).await.map(|_| ())
}

fn binding(name: &str, role: &str, group: &str) -> Value {
    json!({"metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}]})
}
