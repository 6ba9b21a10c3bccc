//! Whether a certificate and a private key belong together, in the words of Go's `tls.X509KeyPair`.

use tokio_rustls::rustls::crypto::aws_lc_rs::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

use crate::rules::checks::pem::blocks;

const NO_KEY: &str = "tls: failed to parse private key";
const MALFORMED: &str = "x509: malformed certificate";

/// Why the two, in PEM, are no pair.
pub fn wrong(certificate: &[u8], key: &[u8]) -> Option<String> {
    let pair = certificate_of(certificate).and_then(|certificate| Ok((certificate, key_of(key)?)));
    match pair {
        Ok((certificate, key)) => mismatch(&certificate, &key).map(str::to_owned),
        Err(why) => Some(why),
    }
}

fn certificate_of(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut skipped = Vec::new();
    for block in blocks(text) {
        if block.kind == "CERTIFICATE" {
            return Ok(block.bytes);
        }
        skipped.push(block.kind);
    }
    Err(match skipped.as_slice() {
        [] => "tls: failed to find any PEM data in certificate input".to_owned(),
        [one] if one.ends_with("PRIVATE KEY") => {
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched"
                .to_owned()
        }
        many => format!(
            "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [{}]",
            many.join(" ")
        ),
    })
}

fn key_of(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut skipped = Vec::new();
    for block in blocks(text) {
        if block.kind == "PRIVATE KEY" || block.kind.ends_with(" PRIVATE KEY") {
            return Ok(block.bytes);
        }
        skipped.push(block.kind);
    }
    Err(match skipped.as_slice() {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [one] if one == "CERTIFICATE" => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        many => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{}]",
            many.join(" ")
        ),
    })
}

/// Compares what the certificate says is its key with the private key's own public half.
fn mismatch(certificate: &[u8], key: &[u8]) -> Option<&'static str> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Some(MALFORMED) };
    let own = certificate.public_key();
    let Some(key) = PrivateKeyDer::try_from(key).ok().and_then(|key| any_supported_type(&key).ok()) else {
        return Some(NO_KEY);
    };
    let public = key.public_key();
    let Some(Ok((_, public))) = public.as_ref().map(|key| SubjectPublicKeyInfo::from_der(key.as_ref())) else {
        return Some(NO_KEY);
    };
    if public.algorithm.algorithm != own.algorithm.algorithm {
        return Some("tls: private key type does not match public key type");
    }
    (public.subject_public_key.data != own.subject_public_key.data)
        .then_some("tls: private key does not match public key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::pki::authority::Authority;
    use crate::pki::key::Key;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    fn pem(kind: &str, body: &str) -> String {
        format!("text\n-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(body))
    }

    #[test]
    fn what_is_missing_is_said_first() {
        let (key, certificate) = (pem("RSA PRIVATE KEY", "k"), pem("CERTIFICATE", "c"));
        for (a, b, text) in [
            (String::new(), String::new(), "tls: failed to find any PEM data in certificate input"),
            (
                key.clone(),
                key.clone(),
                "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
            ),
            (
                pem("A", "x") + &pem("B", "y"),
                key.clone(),
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [A B]",
            ),
            (certificate.clone(), String::new(), "tls: failed to find any PEM data in key input"),
            (
                certificate.clone(),
                certificate.clone(),
                "tls: found a certificate rather than a key in the PEM for the private key",
            ),
            (certificate.clone(), key, MALFORMED),
        ] {
            assert_eq!(wrong(a.as_bytes(), b.as_bytes()).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_pair_belongs_together() {
        let (clock, entropy) = (Clock::machine(), Entropy::seeded(1));
        let authority = Authority::create("x", None, &clock, &entropy).expect("an authority");
        let (certificate, key) = (authority.to_pem().unwrap(), authority.key().unwrap().to_pem().unwrap());
        assert_eq!(wrong(certificate.as_bytes(), key.as_bytes()), None);
        let other = Key::generate().unwrap().to_pem().unwrap();
        let found = wrong(certificate.as_bytes(), other.as_bytes());
        assert_eq!(found.as_deref(), Some("tls: private key does not match public key"));
        let found = wrong(certificate.as_bytes(), pem("PRIVATE KEY", "no").as_bytes());
        assert_eq!(found.as_deref(), Some(NO_KEY));
    }
}
