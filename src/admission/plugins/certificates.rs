//! Three plugins about CertificateSigningRequests: CertificateApproval, CertificateSigning,
//! CertificateSubjectRestriction.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::text;
use crate::admission::reads::Reads;
use crate::auth::authorizer::{Attributes as Question, Chain, Resource};
use crate::auth::identity::{MASTERS, User};
use crate::model::gotext::quote;
use crate::model::status::Result;
use crate::model::value::Value;
use crate::pki::request::SigningRequest;

const GROUP: &str = "certificates.k8s.io";
const REQUESTS: &str = "certificatesigningrequests";
/// Its certificates are trusted by the API server itself.
const APISERVER_CLIENT: &str = "kubernetes.io/kube-apiserver-client";

/// Who approves or denies must be allowed to for the request's signer.
pub struct CertificateApproval(pub Reads);

#[async_trait]
impl Plugin for CertificateApproval {
    fn name(&self) -> &'static str {
        "CertificateApproval"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is_any(GROUP, REQUESTS) && a.subresource == "approval" && a.updates()
    }

    async fn validate(&self, a: &mut Attributes<'_>, _: Option<&Value>) -> Result<()> {
        // The old object counts: who asks must not choose the signer that is checked.
        let signer = a.old.map_or("", |old| text(&old["spec"], "signerName"));
        if may(&self.0.authorizer, a.user, "approve", signer).await {
            return Ok(());
        }
        Err(a.forbid(format!("user not permitted to approve requests with signerName {}", quote(signer))))
    }
}

/// Who writes a certificate or a condition must be allowed to sign for the request's signer.
pub struct CertificateSigning(pub Reads);

#[async_trait]
impl Plugin for CertificateSigning {
    fn name(&self) -> &'static str {
        "CertificateSigning"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is_any(GROUP, REQUESTS) && a.subresource == "status" && a.updates()
    }

    async fn validate(&self, a: &mut Attributes<'_>, request: Option<&Value>) -> Result<()> {
        let (Some(request), Some(old)) = (request, a.old) else { return Ok(()) };
        let same = |field: &str| request["status"][field] == old["status"][field];
        let signer = text(&old["spec"], "signerName");
        if (same("certificate") && same("conditions")) || may(&self.0.authorizer, a.user, "sign", signer).await {
            return Ok(());
        }
        Err(a.forbid(format!("user not permitted to sign requests with signerName {}", quote(signer))))
    }
}

/// Nobody becomes a member of `system:masters` by a certificate for clients of the API server.
pub struct CertificateSubjectRestriction;

#[async_trait]
impl Plugin for CertificateSubjectRestriction {
    fn name(&self) -> &'static str {
        "CertificateSubjectRestriction"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is(GROUP, REQUESTS) && a.creates()
    }

    async fn validate(&self, a: &mut Attributes<'_>, request: Option<&Value>) -> Result<()> {
        let Some(spec) = request.map(|request| &request["spec"]) else { return Ok(()) };
        if text(spec, "signerName") != APISERVER_CLIENT {
            return Ok(());
        }
        let pem = STANDARD.decode(text(spec, "request")).unwrap_or_default();
        let parsed = SigningRequest::from_pem(&pem).map_err(|why| a.forbid(format!("failed to parse CSR: {why}")))?;
        if parsed.holder.organizations.iter().any(|group| group == MASTERS) {
            return Err(a.forbid(format!("use of {APISERVER_CLIENT} signer with system:masters group is not allowed")));
        }
        Ok(())
    }
}

/// Whether the user may do this for the signer, or for all signers of its domain.
async fn may(authorizer: &Chain, user: &User, verb: &str, signer: &str) -> bool {
    let domain = format!("{}/*", signer.split('/').next().unwrap_or(""));
    for name in [signer, &domain] {
        let asked = Resource { group: GROUP, version: "*", resource: "signers", name, ..Resource::default() };
        if authorizer.authorize(&Question::resource(user, verb, asked)).await.is_allowed() {
            return true;
        }
    }
    false
}
