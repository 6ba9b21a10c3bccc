//! What Kubernetes' own signers ask of a request. The errors are stock's.

use crate::model::gotext;
use crate::pki::request::SigningRequest;

pub const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
pub const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
pub const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";
pub const LEGACY: &str = "kubernetes.io/legacy-unknown";

const NODES: &str = "system:nodes";
const NODE: &str = "system:node:";
/// Keys other than RSA ones do without it.
const ENCIPHERMENT: &str = "key encipherment";

/// `None`: the signer is none of these. Otherwise whether the request is of its form, and why not.
pub fn check(signer: &str, request: &SigningRequest, usages: &[&str]) -> Option<Result<(), String>> {
    Some(match signer {
        CLIENT => client(usages),
        KUBELET_CLIENT => kubelet_client(request, usages),
        KUBELET_SERVING => kubelet_serving(request, usages),
        LEGACY => Ok(()),
        _ => return None,
    })
}

fn client(usages: &[&str]) -> Result<(), String> {
    if let Some(other) = usages.iter().find(|usage| !["digital signature", ENCIPHERMENT, "client auth"].contains(usage))
    {
        return Err(format!("invalid usage for client certificate: {other}"));
    }
    match usages.contains(&"client auth") {
        true => Ok(()),
        false => Err("missing required usage for client certificate: client auth".into()),
    }
}

/// A node's certificate for going to the API server.
pub fn kubelet_client(request: &SigningRequest, usages: &[&str]) -> Result<(), String> {
    let asks = request.asks;
    of_nodes(request)?;
    no(asks.hostnames, "DNS")?;
    no(asks.mails, "Email")?;
    no(asks.addresses, "IP")?;
    no(asks.uris, "URI")?;
    of_node(request)?;
    exactly(usages, ["client auth", "digital signature", ENCIPHERMENT])
}

fn kubelet_serving(request: &SigningRequest, usages: &[&str]) -> Result<(), String> {
    let asks = request.asks;
    of_nodes(request)?;
    if asks.hostnames + asks.addresses == 0 {
        return Err("DNS or IP subjectAltName is required".into());
    }
    no(asks.mails, "Email")?;
    no(asks.uris, "URI")?;
    exactly(usages, ["digital signature", ENCIPHERMENT, "server auth"])?;
    of_node(request)
}

fn of_nodes(request: &SigningRequest) -> Result<(), String> {
    if request.holder.organizations == [NODES] { Ok(()) } else { Err(format!("subject organization is not {NODES}")) }
}

fn of_node(request: &SigningRequest) -> Result<(), String> {
    match request.holder.common_name.starts_with(NODE) {
        true => Ok(()),
        false => Err(format!("subject common name does not begin with {NODE}")),
    }
}

fn no(count: usize, sort: &str) -> Result<(), String> {
    if count == 0 { Ok(()) } else { Err(format!("{sort} subjectAltNames are not allowed")) }
}

/// `wanted` is sorted.
fn exactly(usages: &[&str], wanted: [&str; 3]) -> Result<(), String> {
    let has_all = wanted.iter().all(|usage| *usage == ENCIPHERMENT || usages.contains(usage));
    if has_all && usages.iter().all(|usage| wanted.contains(usage)) {
        return Ok(());
    }
    let wanted = wanted.map(str::to_owned);
    Err(format!("usages did not match {}", gotext::list(&wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(signer: &str, pem: &[u8], usages: &[&str]) -> String {
        let request = SigningRequest::from_pem(pem).expect("a request");
        match check(signer, &request, usages) {
            None => "not ours".into(),
            Some(Ok(())) => "fits".into(),
            Some(Err(why)) => why,
        }
    }

    #[test]
    fn signers_have_their_forms() {
        let serving = include_bytes!("../../../tests/data/pki/kubelet.csr");
        let node = include_bytes!("../../../tests/data/pki/kubelet-client.csr");
        let jane = include_bytes!("../../../tests/data/pki/rsa.csr");
        let (signature, client, server) = ("digital signature", "client auth", "server auth");
        for (signer, pem, usages, expected) in [
            (KUBELET_CLIENT, &node[..], vec![client, signature], "fits"),
            (KUBELET_CLIENT, node, vec![client, ENCIPHERMENT, signature], "fits"),
            (
                KUBELET_CLIENT,
                node,
                vec![client],
                "usages did not match [client auth digital signature key encipherment]",
            ),
            (KUBELET_CLIENT, serving, vec![client, signature], "DNS subjectAltNames are not allowed"),
            (KUBELET_CLIENT, jane, vec![client, signature], "subject organization is not system:nodes"),
            (KUBELET_SERVING, serving, vec![signature, server], "fits"),
            (KUBELET_SERVING, node, vec![signature, server], "DNS or IP subjectAltName is required"),
            (
                KUBELET_SERVING,
                serving,
                vec![server],
                "usages did not match [digital signature key encipherment server auth]",
            ),
            (CLIENT, jane, vec![client], "fits"),
            (CLIENT, jane, vec![signature], "missing required usage for client certificate: client auth"),
            (CLIENT, jane, vec![client, server], "invalid usage for client certificate: server auth"),
            (LEGACY, jane, vec![], "fits"),
            ("example.com/own", jane, vec![], "not ours"),
        ] {
            assert_eq!(checked(signer, pem, &usages), expected, "{signer} {usages:?}");
        }
    }
}
