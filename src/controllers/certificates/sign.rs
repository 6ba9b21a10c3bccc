//! Signs approved requests for Kubernetes' own signers with the cluster's authority.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::form::check;
use super::request::{APPROVED, DENIED, FAILED, certificate, has, parse, signer, usages};
use crate::controllers::conditions;
use crate::controllers::config::Config;
use crate::controllers::harness::{Change, Controller, Cx, Follows, Keys, Next};
use crate::controllers::item::Item;
use crate::controllers::resources::SIGNING_REQUESTS;
use crate::model::status::{Outcome, Result, Status};
use crate::model::value::json;
use crate::pki::authority::Authority;

/// Twice the time by which certificates are dated back.
const SHORTEST: Duration = Duration::from_secs(600);

/// Key: a request.
pub struct Signer {
    authority: Authority,
    longest: Duration,
}

impl Signer {
    /// `None`: there is nothing to sign with.
    pub fn new(config: &Config) -> Option<Self> {
        Some(Self { authority: config.signer.clone()?, longest: config.signing_duration })
    }

    /// How long a certificate shall live.
    fn duration(&self, csr: &Item) -> Duration {
        let asked = csr.spec()["expirationSeconds"].as_i64().and_then(|seconds| u64::try_from(seconds).ok());
        asked.map_or(self.longest, |seconds| Duration::from_secs(seconds).max(SHORTEST).min(self.longest))
    }
}

#[async_trait]
impl Controller for Signer {
    fn follows(&self) -> Follows {
        Follows::these(&[&SIGNING_REQUESTS])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        if !change.is_deleted() {
            keys.add(change.name());
        }
    }

    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next> {
        let cut = cx.cut(&[&SIGNING_REQUESTS])?;
        let Some(mut csr) = Item::find(cut.shelf(&SIGNING_REQUESTS), "", key)? else { return Ok(Next::Done) };
        let is_approved = has(&csr, APPROVED) && !has(&csr, DENIED);
        if !is_approved
            || has(&csr, FAILED)
            || certificate(&csr).is_some()
            || !signer(&csr).starts_with("kubernetes.io/")
        {
            return Ok(Next::Done);
        }
        let (request, now) = (parse(&csr)?, cx.plane.registry.clock.now());
        let Some(form) = check(signer(&csr), &request, &usages(&csr)) else { return Ok(Next::Done) };
        match form {
            Err(why) => {
                let mut list = conditions::all(csr.status());
                let at = cx.now().to_text();
                list.push(json!({
                    "type": FAILED, "status": "True", "reason": "SignerValidationFailure", "message": why,
                    "lastUpdateTime": at.as_str(),
                }));
                csr.value["status"]["conditions"] = list.into();
            }
            Ok(()) => {
                let (life, entropy) = (self.duration(&csr), &cx.plane.registry.entropy);
                let signed = self.authority.sign_request(&request, &usages(&csr), life, now, entropy);
                let pem = signed.map_err(|error| Status::internal(format!("error auto signing csr: {error}")))?;
                csr.value["status"]["certificate"] = STANDARD.encode(pem).into();
            }
        }
        cx.update(csr.target().part("status"), &csr.value).await.unless_gone().map(|_| Next::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::controllers::testing::World;
    use crate::model::value::Value;
    use crate::pki::certificate::Certificate;

    async fn world() -> World {
        let clock = Clock::starting_at("2025-12-01T00:00:00Z".parse().expect("a time"));
        let authority = Authority::create("kubernetes", None, &clock, &Entropy::seeded(1)).expect("an authority");
        let enabled = vec!["csrsigning".into(), "csrcleaner".into()];
        World::configured(&Config { enabled, signer: Some(authority), ..Config::default() }).await
    }

    async fn approved(world: &World, name: &str, pem: &[u8], signer: &str, seconds: Value) {
        let spec = json!({
            "request": STANDARD.encode(pem), "signerName": signer, "usages": ["client auth", "digital signature"],
            "expirationSeconds": seconds,
        });
        let mut csr = world.create(&SIGNING_REQUESTS, json!({"metadata": {"name": name}, "spec": spec})).await;
        csr["status"]["conditions"] = json!([{"type": APPROVED, "status": "True", "reason": "x"}]);
        world.client.update(SIGNING_REQUESTS.at("", name).part("approval"), &csr).await.expect("approved");
    }

    fn issued(world: &World, name: &str) -> Certificate {
        let coded = world.get(&SIGNING_REQUESTS, "", name)["status"]["certificate"].clone();
        let pem = STANDARD.decode(coded.as_str().expect("a certificate")).expect("base64");
        Certificate::all_from_pem(&pem).expect("certificates").remove(0)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_approved_is_signed_and_goes_after_an_hour() {
        let (node, jane) = (
            include_bytes!("../../../tests/data/pki/kubelet-client.csr"),
            include_bytes!("../../../tests/data/pki/rsa.csr"),
        );
        let world = world().await;
        approved(&world, "node", node, "kubernetes.io/kube-apiserver-client-kubelet", Value::Null).await;
        approved(&world, "jane", jane, "kubernetes.io/kube-apiserver-client", json!(1800)).await;
        approved(&world, "no-node", jane, "kubernetes.io/kube-apiserver-client-kubelet", Value::Null).await;
        approved(&world, "others", jane, "example.com/own", Value::Null).await;
        world.settle().await;
        let certificate = issued(&world, "node");
        assert_eq!(certificate.subject.common_name, "system:node:n1");
        assert_eq!(certificate.not_after.to_string(), "2026-12-31T23:55:00Z");
        assert_eq!(issued(&world, "jane").not_after.to_string(), "2026-01-01T00:30:00Z");
        let failed = world.get(&SIGNING_REQUESTS, "", "no-node");
        let condition = conditions::find(&failed["status"], FAILED).expect("failed");
        assert_eq!(condition["message"], "subject organization is not system:nodes");
        assert_eq!(world.get(&SIGNING_REQUESTS, "", "others")["status"]["certificate"], Value::Null);
        world.pass(Duration::from_secs(1801)).await;
        assert_eq!(world.names(&SIGNING_REQUESTS), ["no-node", "node", "others"], "jane's has expired");
        world.pass(Duration::from_secs(1800)).await;
        assert_eq!(world.names(&SIGNING_REQUESTS), ["others"], "nobody has answered it yet");
        world.pass(Duration::from_secs(23 * 3600)).await;
        assert_eq!(world.names(&SIGNING_REQUESTS), [""; 0]);
    }
}
