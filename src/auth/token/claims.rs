//! What a service account's token says.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::auth::identity::{Identity, NODE_NAME, NODE_UID, POD_NAME, POD_UID, User};

/// The issuer of tokens that lie in secrets.
pub(super) const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// The claims that every sort has.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    pub iss: String,
    #[serde(default)]
    pub sub: String,
    /// A text or a list of texts.
    #[serde(default, deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    #[serde(default, deserialize_with = "seconds")]
    pub exp: Option<i64>,
    #[serde(default, deserialize_with = "seconds")]
    pub nbf: Option<i64>,
    #[serde(default, deserialize_with = "seconds")]
    pub iat: Option<i64>,
    #[serde(default)]
    pub jti: String,
    #[serde(default, rename = "kubernetes.io")]
    pub bound: Kubernetes,
    #[serde(flatten)]
    pub legacy: Legacy,
}

/// What a token is bound to. Written in the order of the names.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Kubernetes {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    #[serde(default)]
    pub serviceaccount: Reference,
    /// Seconds since 1970 from which on its use is noted: it should have been renewed.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub warnafter: Option<i64>,
}

/// An object by name and UID.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Reference {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// What a token that lies in a secret says.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Legacy {
    #[serde(default, rename = "kubernetes.io/serviceaccount/namespace")]
    pub namespace: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/secret.name")]
    pub secret: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/service-account.name")]
    pub account: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/service-account.uid")]
    pub account_uid: String,
}

/// Seconds by which clocks may differ, and by which a deleted object still counts.
pub(super) const LEEWAY: i64 = 60;

impl Claims {
    /// Whether it may be used at `now`; the error text that stock has when not.
    pub(super) fn valid_at(&self, now: Timestamp) -> Result<(), String> {
        let now = now.as_second();
        if self.nbf.is_some_and(|nbf| now + LEEWAY < nbf) {
            return Err("service account token is not valid yet".into());
        }
        if self.exp.is_some_and(|exp| now - LEEWAY > exp) {
            return Err("service account token has expired".into());
        }
        if self.iat.is_some_and(|iat| now + LEEWAY < iat) {
            return Err("service account token is issued in the future".into());
        }
        Ok(())
    }

    /// The user whom a bound token names.
    pub(super) fn user(&self) -> User {
        let bound = &self.bound;
        let mut identity =
            User::service_account(&bound.namespace, &bound.serviceaccount.name, &bound.serviceaccount.uid);
        let mut add = |key: &str, value: &str| {
            identity.extra.insert(key.into(), vec![CompactString::from(value)]);
        };
        if let Some(pod) = bound.pod.as_ref().filter(|pod| !pod.name.is_empty() && !pod.uid.is_empty()) {
            add(POD_NAME, &pod.name);
            add(POD_UID, &pod.uid);
        }
        if !self.jti.is_empty() {
            add(crate::auth::identity::CREDENTIAL_ID, &credential_id(&self.jti));
        }
        if let Some(node) = bound.node.as_ref().filter(|node| !node.name.is_empty()) {
            add(NODE_NAME, &node.name);
            if !node.uid.is_empty() {
                add(NODE_UID, &node.uid);
            }
        }
        identity.authenticated().into()
    }
}

impl Legacy {
    pub(super) fn user(&self) -> User {
        let identity: Identity = User::service_account(&self.namespace, &self.account, &self.account_uid);
        identity.authenticated().into()
    }
}

/// How audit names a token.
pub fn credential_id(jti: &str) -> String {
    format!("JTI={jti}")
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        None(()),
        One(String),
        Many(Vec<String>),
    }
    Ok(match Form::deserialize(from)? {
        Form::None(()) => Vec::new(),
        Form::One(one) => vec![one],
        Form::Many(many) => many,
    })
}

/// A number of seconds, perhaps with a fraction (which is cut off).
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.map(|number| number as i64))
}
