//! A signed token in its compact form: three parts of base64url, the last one a signature over the first two (RFC 7515).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature as sig;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::pki::error::Result;
use crate::pki::key::{Algorithm, Key, PublicKey};

/// Bytes of the longest token that is looked at.
const LONGEST: usize = 64 * 1024;

/// A token taken apart, not yet verified.
pub(in crate::auth) struct Jws<'a> {
    header: Header,
    pub payload: Vec<u8>,
    /// The first two parts.
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
    /// Extensions that a reader must understand: none is understood.
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

impl<'a> Jws<'a> {
    /// `None` when it is no signed token.
    pub(in crate::auth) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= LONGEST)?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let decoded = Self {
            payload: URL_SAFE_NO_PAD.decode(payload).ok()?,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            header,
            signed,
        };
        decoded.header.crit.is_none().then_some(decoded)
    }

    /// Which key it says that it was signed with; empty when it does not say.
    pub(in crate::auth) fn key_id(&self) -> &str {
        &self.header.kid
    }

    /// How it says that it was signed.
    pub(in crate::auth) fn algorithm(&self) -> &str {
        &self.header.alg
    }

    /// What was signed, and the signature.
    pub(in crate::auth) fn signature(&self) -> (&[u8], &[u8]) {
        (self.signed.as_bytes(), &self.signature)
    }

    /// Whether `key` signed it. The key decides which algorithms there can be.
    pub(super) fn is_signed_by(&self, key: &PublicKey) -> bool {
        let message = self.signed.as_bytes();
        match (key.algorithm(), self.header.alg.as_str()) {
            (Algorithm::Rsa, "RS384") => key.verify(&sig::RSA_PKCS1_2048_8192_SHA384, message, &self.signature),
            (Algorithm::Rsa, "RS512") => key.verify(&sig::RSA_PKCS1_2048_8192_SHA512, message, &self.signature),
            (algorithm, alg) if name(algorithm) == Some(alg) => key.verify_token(message, &self.signature),
            _ => false,
        }
    }
}

/// The payload of a token, before its signature is verified: only to see whose it might be.
pub(in crate::auth) fn peek<T: for<'de> Deserialize<'de>>(token: &str) -> Option<T> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || token.len() > LONGEST {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// A token with `claims`, signed by `key`, whose identity is `key_id`.
pub(super) fn sign(key: &Key, key_id: &str, claims: &impl Serialize) -> Result<String> {
    #[derive(Serialize)]
    struct Signed<'a> {
        alg: &'a str,
        kid: &'a str,
    }
    let bad = |e: &dyn ToString| crate::pki::error::PkiError::Make { what: "a token", why: e.to_string() };
    let alg = name(key.public().algorithm()).ok_or_else(|| bad(&"no such algorithm"))?;
    let header = serde_json::to_vec(&Signed { alg, kid: key_id }).map_err(|e| bad(&e))?;
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims).map_err(|e| bad(&e))?, &mut token);
    let signature = key.sign_token(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// The name of the algorithm by which a key signs tokens.
pub(super) fn name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Rsa => Some("RS256"),
        Algorithm::P256 => Some("ES256"),
        Algorithm::P384 => Some("ES384"),
        Algorithm::P521 => Some("ES512"),
        Algorithm::Ed25519 => None,
    }
}

/// How tokens name a key: the digest of its public part.
pub(super) fn key_id(key: &PublicKey) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, key.spki()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};

    #[test]
    fn a_signed_token_is_verified_by_its_key_alone() {
        let (key, other) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
        let token = sign(&key, "k", &json!({"sub": "x"})).expect("a token");
        let parsed = Jws::parse(&token).expect("a token");
        assert_eq!((parsed.key_id(), parsed.payload.as_slice()), ("k", &br#"{"sub":"x"}"#[..]));
        assert!(parsed.is_signed_by(key.public()));
        assert!(!parsed.is_signed_by(other.public()));
    }

    #[test]
    fn the_token_cannot_choose_its_algorithm() {
        let key = Key::generate().expect("a key");
        let token = sign(&key, "k", &json!({})).expect("a token");
        let rest = token.split_once('.').expect("parts").1;
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256"}"#, r#"{"alg":"RS256"}"#, r#"{"alg":"ES384"}"#] {
            let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
            assert!(!Jws::parse(&forged).expect("a token").is_signed_by(key.public()), "{header}");
        }
        let critical = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","crit":["x"]}"#));
        assert!(Jws::parse(&critical).is_none());
    }

    #[test]
    fn an_rsa_key_signs_and_verifies() {
        let key = Key::from_pem(include_bytes!("../../../tests/data/pki/sa.key")).expect("a key");
        let token = sign(&key, &key_id(key.public()), &json!({"a": 1})).expect("a token");
        let parsed = Jws::parse(&token).expect("a token");
        assert!(parsed.is_signed_by(key.public()));
        assert_eq!(parsed.header.alg, "RS256");
        assert_eq!(parsed.key_id().len(), 43);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_token_or_none(text in "[a-zA-Z0-9_.=-]{0,200}") {
            let _ = Jws::parse(&text);
            let _ = peek::<Value>(&text);
        }

        #[test]
        fn a_changed_letter_does_not_verify(at in 0usize..200, letter in "[a-zA-Z0-9_-]") {
            let key = Key::from_pem(include_bytes!("../../../tests/data/pki/sa.key")).expect("a key");
            let mut token = sign(&key, "k", &json!({"sub": "somebody"})).expect("a token");
            let at = at % token.len();
            proptest::prop_assume!(token[at..=at] != letter && token[at..=at] != *".");
            token.replace_range(at..=at, &letter);
            let verified = Jws::parse(&token).is_some_and(|t| t.is_signed_by(key.public()));
            proptest::prop_assert!(!verified, "{}", token);
        }
    }
}
