//! What others need to verify tokens of this cluster: the OpenID configuration and the keys (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use super::jws::{key_id, name};
use crate::model::value::{Value, json};
use crate::pki::key::{Algorithm, PublicKey};

pub const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
pub const KEYS_PATH: &str = "/openid/v1/jwks";
/// Seconds for which both may be kept by their readers.
pub const MAX_AGE: u32 = 3600;

/// The document at `CONFIGURATION_PATH`. An error when the issuer is none that OpenID allows: then neither document is
/// served. `keys_uri`: `--service-account-jwks-uri`, or `https://<external address>` + `KEYS_PATH`.
pub fn configuration(issuer: &str, keys_uri: &str, keys: &[PublicKey]) -> Result<Value, String> {
    if !issuer.starts_with("https://") {
        return Err(format!("issuer URL must use https scheme, got: {issuer}"));
    }
    if issuer.contains('?') {
        return Err(format!("issuer URL may not include a query, got: {issuer}"));
    }
    if issuer.contains('#') {
        return Err(format!("issuer URL may not include a fragment, got: {issuer}"));
    }
    if !keys_uri.starts_with("https://") {
        return Err(format!("jwksURI requires https scheme, parsed as: {keys_uri}"));
    }
    let mut algorithms: Vec<_> = keys.iter().filter_map(|key| name(key.algorithm())).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    Ok(json!({
        "issuer": issuer,
        "jwks_uri": keys_uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    }))
}

/// The document at `KEYS_PATH`.
pub fn keys(keys: &[PublicKey]) -> Value {
    let keys: Vec<_> = keys.iter().filter_map(key).collect();
    json!({ "keys": keys })
}

/// `None` for a key that cannot sign tokens.
fn key(key: &PublicKey) -> Option<Value> {
    let algorithm = name(key.algorithm())?;
    let (_, info) = SubjectPublicKeyInfo::from_der(key.spki()).ok()?;
    let mut out = json!({"use": "sig", "kid": key_id(key), "alg": algorithm});
    let number = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
    let curve = match key.algorithm() {
        Algorithm::P256 => "P-256",
        Algorithm::P384 => "P-384",
        Algorithm::P521 => "P-521",
        Algorithm::Ed25519 => return None,
        Algorithm::Rsa => {
            let x509_parser::public_key::PublicKey::RSA(rsa) = info.parsed().ok()? else { return None };
            let significant = |bytes: &[u8]| bytes[bytes.iter().take_while(|b| **b == 0).count()..].to_vec();
            out["kty"] = "RSA".into();
            out["n"] = number(&significant(rsa.modulus));
            out["e"] = number(&significant(rsa.exponent));
            return Some(out);
        }
    };
    // An uncompressed point: 4, then two numbers of equal length.
    let point: &[u8] = info.subject_public_key.data.as_ref();
    let (first, numbers) = point.split_first()?;
    if *first != 4 || numbers.len() % 2 != 0 {
        return None;
    }
    let (x, y) = numbers.split_at(numbers.len() / 2);
    out["kty"] = "EC".into();
    out["crv"] = curve.into();
    out["x"] = number(x);
    out["y"] = number(y);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::Key;

    fn both() -> Vec<PublicKey> {
        let rsa = PublicKey::all_from_pem(include_bytes!("../../../tests/data/pki/sa.pub")).expect("a key");
        let ec = Key::generate().expect("a key").public().clone();
        vec![rsa[0].clone(), ec]
    }

    #[test]
    fn keys_are_shown_with_their_numbers() {
        let shown = keys(&both());
        let (rsa, ec) = (&shown["keys"][0], &shown["keys"][1]);
        assert_eq!((&rsa["kty"], &rsa["alg"], &rsa["e"]), (&json!("RSA"), &json!("RS256"), &json!("AQAB")));
        let bytes = |value: &Value| URL_SAFE_NO_PAD.decode(value.as_str().expect("text")).expect("base64").len();
        assert_eq!((bytes(&rsa["n"]), bytes(&rsa["kid"])), (256, 32));
        assert_eq!((&ec["kty"], &ec["crv"], &ec["alg"]), (&json!("EC"), &json!("P-256"), &json!("ES256")));
        assert_eq!((bytes(&ec["x"]), bytes(&ec["y"])), (32, 32));
    }

    #[test]
    fn the_configuration_or_why_there_is_none() {
        let shown = configuration("https://k", "https://h/openid/v1/jwks", &both()).expect("a document");
        assert_eq!(
            shown,
            json!({
                "issuer": "https://k",
                "jwks_uri": "https://h/openid/v1/jwks",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256", "RS256"]
            })
        );
        for (issuer, uri, error) in [
            ("api", "https://h", "issuer URL must use https scheme, got: api"),
            ("https://k?a", "https://h", "issuer URL may not include a query, got: https://k?a"),
            ("https://k#a", "https://h", "issuer URL may not include a fragment, got: https://k#a"),
            ("https://k", "http://h", "jwksURI requires https scheme, parsed as: http://h"),
        ] {
            assert_eq!(configuration(issuer, uri, &[]), Err(error.to_owned()));
        }
    }
}
