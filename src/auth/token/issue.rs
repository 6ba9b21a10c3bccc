//! Tokens for service accounts, made and signed.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::claims::{Kubernetes, LEGACY_ISSUER, Legacy, Reference, credential_id};
use super::jws;
use crate::auth::identity::service_account_name;
use crate::base::entropy::Entropy;
use crate::pki::error::Result;
use crate::pki::key::Key;

/// Seconds that the kubelet asks for on behalf of a pod that asked for none.
pub const KUBELET_SECONDS: i64 = 3607;
/// Seconds that such a token lives in truth, so that programs that never read it again go on.
pub const EXTENDED_SECONDS: i64 = 365 * 24 * 60 * 60;

/// Signs tokens in the name of one issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    key: Arc<Key>,
    key_id: String,
    issuer: String,
}

/// What a token shall say.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    pub namespace: &'a str,
    pub account: Reference,
    pub audiences: &'a [String],
    pub lifetime: Lifetime,
    pub bound: Bound,
}

/// What a token's life depends on, besides its account's.
#[derive(Clone, Debug, Default)]
pub enum Bound {
    #[default]
    Nothing,
    /// A pod, and the node that it runs on when it is known (its UID may be empty).
    Pod(Reference, Option<Reference>),
    Node(Reference),
    Secret(Reference),
}

/// How long a token lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Seconds from now.
    pub seconds: i64,
    /// Seconds from now after which its use is noted; `None`: never.
    pub warn_after: Option<i64>,
}

/// A token and how audit names it.
#[derive(Clone)]
pub struct Issued {
    pub token: String,
    pub credential_id: String,
}

/// Written in the order of the names, as stock writes them.
#[derive(Serialize)]
struct Written<'a> {
    aud: &'a [String],
    exp: i64,
    iat: i64,
    iss: &'a str,
    jti: &'a str,
    #[serde(rename = "kubernetes.io")]
    bound: Kubernetes,
    nbf: i64,
    sub: &'a str,
}

#[derive(Serialize)]
struct WrittenLegacy<'a> {
    iss: &'a str,
    #[serde(flatten)]
    legacy: Legacy,
    sub: &'a str,
}

impl Issuer {
    /// `issuer` is the first value of `--service-account-issuer`.
    pub fn new(key: Arc<Key>, issuer: impl Into<String>) -> Self {
        Self { key_id: jws::key_id(key.public()), key, issuer: issuer.into() }
    }

    pub fn issue(&self, wanted: &Wanted<'_>, now: Timestamp, entropy: &Entropy) -> Result<Issued> {
        let now = now.as_second();
        let jti = entropy.uid();
        let (mut node, mut pod, mut secret) = (None, None, None);
        match wanted.bound.clone() {
            Bound::Nothing => {}
            Bound::Pod(own, on) => (pod, node) = (Some(own), on),
            Bound::Node(own) => node = Some(own),
            Bound::Secret(own) => secret = Some(own),
        }
        let claims = Written {
            aud: wanted.audiences,
            exp: now.saturating_add(wanted.lifetime.seconds),
            iat: now,
            iss: &self.issuer,
            jti: &jti,
            bound: Kubernetes {
                namespace: wanted.namespace.to_owned(),
                node,
                pod,
                secret,
                serviceaccount: wanted.account.clone(),
                warnafter: wanted.lifetime.warn_after.map(|seconds| now.saturating_add(seconds)),
            },
            nbf: now,
            sub: &service_account_name(wanted.namespace, &wanted.account.name),
        };
        let token = jws::sign(&self.key, &self.key_id, &claims)?;
        Ok(Issued { token, credential_id: credential_id(&jti) })
    }

    /// A token without an end, to lie in a secret.
    pub fn issue_for_secret(&self, namespace: &str, account: &Reference, secret: &str) -> Result<String> {
        let legacy = Legacy {
            namespace: namespace.to_owned(),
            secret: secret.to_owned(),
            account: account.name.clone(),
            account_uid: account.uid.clone(),
        };
        let sub = service_account_name(namespace, &account.name);
        jws::sign(&self.key, &self.key_id, &WrittenLegacy { iss: LEGACY_ISSUER, legacy, sub: &sub })
    }
}

impl Lifetime {
    /// What was asked for; but where `extend` is on, a pod's token that the kubelet asked for on its own, for nobody but
    /// this server (`ours`), lives a year and is warned about after the time asked for.
    pub fn of(requested: i64, bound: &Bound, audiences: &[String], ours: &[String], extend: bool) -> Self {
        let pod = matches!(bound, Bound::Pod(..));
        if extend && pod && requested == KUBELET_SECONDS && audiences.iter().all(|audience| ours.contains(audience)) {
            return Self { seconds: EXTENDED_SECONDS, warn_after: Some(requested) };
        }
        Self { seconds: requested, warn_after: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};

    fn reference(name: &str) -> Reference {
        Reference { name: name.into(), uid: format!("{name}-uid") }
    }

    fn claims(bound: Bound, warn_after: Option<i64>) -> Value {
        let issuer = Issuer::new(Arc::new(Key::generate().expect("a key")), "https://issuer");
        let audiences = ["a".to_owned()];
        let wanted = Wanted {
            namespace: "n",
            account: reference("sa"),
            audiences: &audiences,
            lifetime: Lifetime { seconds: 600, warn_after },
            bound,
        };
        let now = "2026-01-01T00:00:00Z".parse().expect("a time");
        let issued = issuer.issue(&wanted, now, &Entropy::seeded(1)).expect("a token");
        let claims: Value = jws::peek(&issued.token).expect("claims");
        assert_eq!(issued.credential_id, format!("JTI={}", claims["jti"].as_str().expect("an id")));
        claims
    }

    #[test]
    fn a_token_says_what_stocks_says() {
        let said = claims(Bound::Pod(reference("p"), Some(reference("node"))), Some(300));
        let expected = json!({
            "aud": ["a"],
            "exp": 1_767_226_200,
            "iat": 1_767_225_600,
            "iss": "https://issuer",
            "jti": said["jti"],
            "kubernetes.io": {
                "namespace": "n",
                "node": {"name": "node", "uid": "node-uid"},
                "pod": {"name": "p", "uid": "p-uid"},
                "serviceaccount": {"name": "sa", "uid": "sa-uid"},
                "warnafter": 1_767_225_900
            },
            "nbf": 1_767_225_600,
            "sub": "system:serviceaccount:n:sa"
        });
        assert_eq!(said, expected);
        let bare = json!({"namespace": "n", "serviceaccount": {"name": "sa", "uid": "sa-uid"}});
        assert_eq!(claims(Bound::Nothing, None)["kubernetes.io"], bare);
        assert_eq!(claims(Bound::Secret(reference("s")), None)["kubernetes.io"]["secret"]["uid"], "s-uid");
        assert_eq!(claims(Bound::Node(reference("m")), None)["kubernetes.io"]["node"]["name"], "m");
    }

    #[test]
    fn only_what_the_kubelet_asks_for_by_itself_is_extended() {
        let ours = ["https://issuer".to_owned()];
        let pod = || Bound::Pod(reference("p"), None);
        let of = |seconds, bound: &Bound, audience: &str, extend| {
            let lifetime = Lifetime::of(seconds, bound, &[audience.to_owned()], &ours, extend);
            (lifetime.seconds, lifetime.warn_after)
        };
        assert_eq!(of(3607, &pod(), "https://issuer", true), (31_536_000, Some(3607)));
        assert_eq!(of(3600, &pod(), "https://issuer", true), (3600, None));
        assert_eq!(of(3607, &pod(), "vault", true), (3607, None));
        assert_eq!(of(3607, &Bound::Nothing, "https://issuer", true), (3607, None));
        assert_eq!(of(3607, &pod(), "https://issuer", false), (3607, None));
    }
}
