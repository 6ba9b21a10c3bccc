//! How a node comes to its own certificate: it asks for one with a credential that may ask, and waits for the answer.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::pod::condition;
use crate::model::object;
use crate::model::value::{Value, json};
use crate::pki::asking::ask;
use crate::pki::authority::Leaf;
use crate::pki::error::PkiError;
use crate::pki::key::Key;
use crate::registry::client::Target;
use crate::remote::api::Api;
use crate::remote::error::RemoteError;
use crate::remote::watch::Event;

/// How long a certificate may be in coming (a kubelet waits as long).
const PATIENCE: Duration = Duration::from_secs(15 * 60);
const SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const GROUP: &str = "certificates.k8s.io";
const REQUESTS: &str = "certificatesigningrequests";

/// Why a node does not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error("certificate signing request {0}: {1}")]
    Refused(String, String),
    #[error(
        "certificate signing request {0}: no certificate in time; does the server run the controllers \
             csrapproving and csrsigning?"
    )]
    Late(String),
}

impl JoinError {
    /// Whether the same may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Remote(error) if error.is_passing())
    }
}

/// A new key of the node `name`, and a certificate for it.
pub async fn certificate(api: &Api, name: &str) -> Result<Arc<Leaf>, JoinError> {
    let key = Key::generate()?;
    let text = ask(&format!("system:node:{name}"), &["system:nodes"], &key)?;
    let wanted = json!({"metadata": {"generateName": "csr-"}, "spec": {
        "request": STANDARD.encode(text), "signerName": SIGNER, "usages": ["digital signature", "client auth"]}});
    let made = api.create(Target::new(GROUP, REQUESTS, "", ""), &wanted).await?;
    let request = object::name(&made);
    let answer = tokio::time::timeout(PATIENCE, answer(api, request)).await;
    let certificate = answer.map_err(|_| JoinError::Late(request.to_owned()))??;
    Ok(Arc::new(Leaf::from_pem(&certificate, key.to_pem()?.as_bytes())?))
}

/// Waits until the request is answered.
async fn answer(api: &Api, request: &str) -> Result<Vec<u8>, JoinError> {
    loop {
        let target = Target::new(GROUP, REQUESTS, "", request);
        let mut watch = api.watch(target, &format!("metadata.name={request}")).await?;
        while let Some(event) = watch.next().await? {
            match event {
                Event::Present(object) => {
                    if let Some(certificate) = read(request, &object["status"])? {
                        return Ok(certificate);
                    }
                }
                Event::Deleted(_) => return Err(JoinError::Refused(request.to_owned(), "deleted".to_owned())),
                Event::Synced => {}
            }
        }
    }
}

/// The certificate, if it is there already.
fn read(request: &str, status: &Value) -> Result<Option<Vec<u8>>, JoinError> {
    for kind in ["Denied", "Failed"] {
        let refused = condition(status, kind);
        if refused["status"] == "True" {
            let why = format!("{kind}: {}", refused["message"].as_str().unwrap_or(""));
            return Err(JoinError::Refused(request.to_owned(), why));
        }
    }
    let bad = |_| JoinError::Refused(request.to_owned(), "a certificate that is no base64".to_owned());
    status["certificate"].as_str().map(|text| STANDARD.decode(text).map_err(bad)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_open_answered_or_refused() {
        let ask = |status: Value| read("csr-a", &status).map_err(|error| error.to_string());
        let approved = json!({"type": "Approved", "status": "True"});
        assert_eq!(ask(json!({"conditions": [approved]})), Ok(None));
        assert_eq!(ask(json!({"conditions": [approved], "certificate": "eA=="})), Ok(Some(b"x".to_vec())));
        let denied = json!({"type": "Denied", "status": "True", "message": "not you"});
        let error = "certificate signing request csr-a: Denied: not you".to_owned();
        assert_eq!(ask(json!({"conditions": [denied]})), Err(error));
    }
}
