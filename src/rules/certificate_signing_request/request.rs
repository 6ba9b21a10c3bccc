//! The signed request (PKCS #10) and the certificate, in PEM inside base64. Errors are Go's.

use aws_lc_rs::signature::{self as sig, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

use crate::model::gotext::quote;
use crate::rules::checks::pem::blocks;

/// Why this is no request that its own key signed.
pub fn wrong_request(coded: &str) -> Option<&'static str> {
    let block = blocks(&STANDARD.decode(coded).unwrap_or_default()).next();
    let Some(block) = block.filter(|block| block.kind == "CERTIFICATE REQUEST") else {
        return Some("PEM block type must be CERTIFICATE REQUEST");
    };
    let request = match X509CertificationRequest::from_der(&block.bytes) {
        Ok(([], request)) => request,
        Ok(_) => return Some("asn1: syntax error: trailing data"),
        Err(_) => return Some("asn1: structure error: malformed certificate request"),
    };
    let signed = &request.certification_request_info;
    let key = &signed.subject_pki;
    let algorithm = request.signature_algorithm.algorithm.to_id_string();
    let (verifier, failure) = match verifier(&algorithm, key) {
        Ok(found) => found,
        Err(why) => return Some(why),
    };
    let key = UnparsedPublicKey::new(verifier, &key.subject_public_key.data);
    key.verify(signed.raw, &request.signature_value.data).err().map(|_| failure)
}

type Verifier = (&'static dyn VerificationAlgorithm, &'static str);

/// How a signature of this algorithm by this key is verified, and what is told when it is wrong.
fn verifier(algorithm: &str, key: &SubjectPublicKeyInfo<'_>) -> Result<Verifier, &'static str> {
    const RSA: &str = "crypto/rsa: verification error";
    const ECDSA: &str = "x509: ECDSA verification failure";
    let curve = key.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).map(|oid| oid.to_id_string());
    let curve = curve.as_deref().unwrap_or("");
    let verifier: Verifier = match (key.algorithm.algorithm.to_id_string().as_str(), curve, algorithm) {
        ("1.2.840.113549.1.1.1", _, hash) => match hash {
            "1.2.840.113549.1.1.5" => (&sig::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA),
            "1.2.840.113549.1.1.11" => (&sig::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA),
            "1.2.840.113549.1.1.12" => (&sig::RSA_PKCS1_2048_8192_SHA384, RSA),
            "1.2.840.113549.1.1.13" => (&sig::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RSA),
            _ => return Err(UNKNOWN),
        },
        ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7", hash) => match hash {
            SHA256 => (&sig::ECDSA_P256_SHA256_ASN1, ECDSA),
            SHA384 => (&sig::ECDSA_P256_SHA384_ASN1, ECDSA),
            _ => return Err(UNKNOWN),
        },
        ("1.2.840.10045.2.1", "1.3.132.0.34", hash) => match hash {
            SHA256 => (&sig::ECDSA_P384_SHA256_ASN1, ECDSA),
            SHA384 => (&sig::ECDSA_P384_SHA384_ASN1, ECDSA),
            _ => return Err(UNKNOWN),
        },
        ("1.2.840.10045.2.1", "1.3.132.0.35", hash) => match hash {
            SHA256 => (&sig::ECDSA_P521_SHA256_ASN1, ECDSA),
            SHA384 => (&sig::ECDSA_P521_SHA384_ASN1, ECDSA),
            SHA512 => (&sig::ECDSA_P521_SHA512_ASN1, ECDSA),
            _ => return Err(UNKNOWN),
        },
        ("1.2.840.10045.2.1", _, _) => return Err("x509: unsupported elliptic curve"),
        ("1.3.101.112", _, "1.3.101.112") => (&sig::ED25519, "x509: Ed25519 verification failure"),
        _ => return Err(UNKNOWN),
    };
    Ok(verifier)
}

const UNKNOWN: &str = "x509: cannot verify signature: algorithm unimplemented";
/// With ECDSA.
const SHA256: &str = "1.2.840.10045.4.3.2";
const SHA384: &str = "1.2.840.10045.4.3.3";
const SHA512: &str = "1.2.840.10045.4.3.4";

/// Why these are no certificates; none at all is right.
pub fn wrong_certificates(coded: &str) -> Option<String> {
    if coded.is_empty() {
        return None;
    }
    let text = STANDARD.decode(coded).unwrap_or_default();
    let mut count = 0;
    for block in blocks(&text) {
        if block.kind != "CERTIFICATE" {
            return Some(format!("only CERTIFICATE PEM blocks are allowed, found {}", quote(&block.kind)));
        }
        if block.has_headers {
            return Some("no PEM block headers are permitted".to_owned());
        }
        count += 1;
        if block.bytes.is_empty() {
            return Some("found CERTIFICATE PEM block containing 0 certificates".to_owned());
        }
        let mut rest = block.bytes.as_slice();
        while !rest.is_empty() {
            match X509Certificate::from_der(rest) {
                Ok((after, _)) => rest = after,
                Err(_) => return Some("x509: malformed certificate".to_owned()),
            }
        }
    }
    (count == 0).then(|| "must contain at least one CERTIFICATE PEM block".to_owned())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Signed by a key of its own (ECDSA, P-256).
    pub const REQUEST: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIR01HNENBUUF3RERFS01BZ0dBMVVFQXd3QllUQlpNQk1HQnlx\
        R1NNNDlBZ0VHQ0NxR1NNNDlBd0VIQTBJQQpCSTdoNDFFbG44R1dFN1BTOUZ5WWxYemlicXhpODM1Mm16clVrNHJEZEU5NzQ0RnZy\
        Vk5BMGdLMDg3dzBwUFhwCm1jWFZpMms0TGh6dXVKOEtnWUJraHFPZ0FEQUtCZ2dxaGtqT1BRUURBZ05JQURCRkFpQTRCQ2FEc3hl\
        MXpZQjUKWHIyUnFZMXZxWENWT09VK05iTVdqOHZldFlMY05nSWhBSmVGbFRJU3hpQXRERkkwbkFGU1pINXNCbllTQnR2UgpJUU5y\
        ZWkvTWV5dzUKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";

    #[test]
    fn a_request_is_signed_by_its_own_key() {
        assert_eq!(wrong_request(REQUEST), None);
        let text = String::from_utf8(STANDARD.decode(REQUEST).unwrap()).unwrap();
        let block = blocks(text.as_bytes()).next().unwrap();
        let pem = |der: &[u8]| {
            let der = STANDARD.encode(der);
            STANDARD.encode(format!("-----BEGIN CERTIFICATE REQUEST-----\n{der}\n-----END CERTIFICATE REQUEST-----\n"))
        };
        let mut other = block.bytes.clone();
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(wrong_request(&pem(&other)), Some("x509: ECDSA verification failure"));
        other.push(0);
        assert_eq!(wrong_request(&pem(&other)), Some("asn1: syntax error: trailing data"));
        assert_eq!(wrong_request(""), Some("PEM block type must be CERTIFICATE REQUEST"));
    }

    #[test]
    fn certificates_stand_alone() {
        for (text, wrong) in [
            ("", None),
            ("x", Some("must contain at least one CERTIFICATE PEM block")),
            ("-----BEGIN X-----\n-----END X-----", Some("only CERTIFICATE PEM blocks are allowed, found \"X\"")),
            (
                "-----BEGIN CERTIFICATE-----\na: b\n\neA==\n-----END CERTIFICATE-----",
                Some("no PEM block headers are permitted"),
            ),
            ("-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----", Some("x509: malformed certificate")),
        ] {
            assert_eq!(wrong_certificates(&STANDARD.encode(text)).as_deref(), wrong, "{text}");
        }
    }
}
