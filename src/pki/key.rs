//! Private and public keys: ECDSA and RSA, made, read from PEM, and used to sign and verify.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature as sig;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair, ParsedPublicKey, RsaKeyPair, VerificationAlgorithm};
use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use x509_cert::der::pem::{LineEnding, encode_string};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use super::error::{PkiError, Result};

/// What a key is, and so how it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

/// A private key that can sign. Never printed.
pub struct Key {
    pair: Pair,
    public: PublicKey,
}

/// ECDSA signatures have two forms: ASN.1 in certificates, two numbers of fixed length in tokens.
enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa { asn1: EcdsaKeyPair, fixed: EcdsaKeyPair },
}

/// A public key in the form of a certificate's `SubjectPublicKeyInfo`.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    spki: Vec<u8>,
    /// Parsed for the signatures of tokens.
    token: ParsedPublicKey,
}

impl Key {
    /// A new ECDSA P-256 key, from the operating system's randomness.
    pub fn generate() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&sig::ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|e| make("a key", e))?;
        let der: EcPrivateKeyRfc5915Der = pair.private_key().as_der().map_err(|e| make("a key", e))?;
        Self::from_der(&PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der.as_ref().to_vec())))
    }

    /// The first private key in `pem`: PKCS#8, PKCS#1 (`RSA PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`).
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|e| PkiError::malformed("private key", e))?;
        Self::from_der(&der)
    }

    pub fn from_der(der: &PrivateKeyDer<'_>) -> Result<Self> {
        let rsa = match der {
            PrivateKeyDer::Pkcs1(pkcs1) => RsaKeyPair::from_der(pkcs1.secret_pkcs1_der()).ok(),
            PrivateKeyDer::Pkcs8(pkcs8) => RsaKeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()).ok(),
            _ => None,
        };
        if let Some(pair) = rsa {
            let spki = public_der(pair.public_key())?;
            return Ok(Self { pair: Pair::Rsa(pair), public: PublicKey::from_spki(&spki)? });
        }
        for (asn1, fixed) in [
            (&sig::ECDSA_P256_SHA256_ASN1_SIGNING, &sig::ECDSA_P256_SHA256_FIXED_SIGNING),
            (&sig::ECDSA_P384_SHA384_ASN1_SIGNING, &sig::ECDSA_P384_SHA384_FIXED_SIGNING),
            (&sig::ECDSA_P521_SHA512_ASN1_SIGNING, &sig::ECDSA_P521_SHA512_FIXED_SIGNING),
        ] {
            let read = |algorithm| EcdsaKeyPair::from_private_key_der(algorithm, der.secret_der());
            if let (Ok(asn1), Ok(fixed)) = (read(asn1), read(fixed)) {
                let spki = public_der(asn1.public_key())?;
                return Ok(Self { pair: Pair::Ecdsa { asn1, fixed }, public: PublicKey::from_spki(&spki)? });
            }
        }
        Err(PkiError::malformed("private key", "neither RSA (2048 to 8192 bits) nor ECDSA on P-256, P-384 or P-521"))
    }

    /// `EC PRIVATE KEY` for ECDSA, `PRIVATE KEY` for RSA. The result is a secret.
    pub fn to_pem(&self) -> Result<String> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der = pair.as_der().map_err(|e| make("PEM of a key", e))?;
                pem("PRIVATE KEY", der.as_ref())
            }
            Pair::Ecdsa { asn1, .. } => {
                let der: EcPrivateKeyRfc5915Der = asn1.private_key().as_der().map_err(|e| make("PEM of a key", e))?;
                pem("EC PRIVATE KEY", der.as_ref())
            }
        }
    }

    /// For rustls.
    pub fn to_der(&self) -> Result<PrivateKeyDer<'static>> {
        Ok(match &self.pair {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der = pair.as_der().map_err(|e| make("DER of a key", e))?;
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.as_ref().to_vec()))
            }
            Pair::Ecdsa { asn1, .. } => {
                let der: EcPrivateKeyRfc5915Der = asn1.private_key().as_der().map_err(|e| make("DER of a key", e))?;
                PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der.as_ref().to_vec()))
            }
        })
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A signature as certificates have it: PKCS#1 v1.5 with SHA-256, or ECDSA in ASN.1 with the curve's own digest.
    pub fn sign_certificate(&self, message: &[u8]) -> Result<Vec<u8>> {
        match &self.pair {
            Pair::Rsa(pair) => sign_rsa(pair, message),
            Pair::Ecdsa { asn1, .. } => sign_ecdsa(asn1, message),
        }
    }

    /// A signature as tokens have it (JWS): RS256, ES256, ES384 or ES512, after the key.
    pub fn sign_token(&self, message: &[u8]) -> Result<Vec<u8>> {
        match &self.pair {
            Pair::Rsa(pair) => sign_rsa(pair, message),
            Pair::Ecdsa { fixed, .. } => sign_ecdsa(fixed, message),
        }
    }
}

impl PublicKey {
    /// From the DER of a `SubjectPublicKeyInfo`.
    pub fn from_spki(der: &[u8]) -> Result<Self> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|e| PkiError::malformed("public key", e))?;
        let curve = info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).map(|oid| oid.to_id_string());
        let (algorithm, token): (_, &'static dyn VerificationAlgorithm) =
            match (info.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
                ("1.2.840.113549.1.1.1", _) => (Algorithm::Rsa, &sig::RSA_PKCS1_2048_8192_SHA256),
                ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => (Algorithm::P256, &sig::ECDSA_P256_SHA256_FIXED),
                ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => (Algorithm::P384, &sig::ECDSA_P384_SHA384_FIXED),
                ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => (Algorithm::P521, &sig::ECDSA_P521_SHA512_FIXED),
                ("1.3.101.112", _) => (Algorithm::Ed25519, &sig::ED25519),
                (other, _) => return Err(PkiError::malformed("public key", format!("unsupported algorithm {other}"))),
            };
        let token = ParsedPublicKey::new(token, der).map_err(|e| PkiError::malformed("public key", e))?;
        Ok(Self { algorithm, spki: der.to_vec(), token })
    }

    /// Every key in `pem`, in order: public keys, those of certificates, and those of private keys.
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>> {
        let mut keys = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
            let (kind, der) = section.map_err(|e| PkiError::malformed("public keys", e))?;
            match kind {
                SectionKind::PublicKey => keys.push(Self::from_spki(&der)?),
                SectionKind::Certificate => keys.push(super::certificate::Facts::read(&der)?.public_key()?),
                SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                    if let Some(private) = PrivateKeyDer::from_pem(kind, der) {
                        keys.push(Key::from_der(&private)?.public);
                    }
                }
                _ => {}
            }
        }
        if keys.is_empty() { Err(PkiError::malformed("public keys", "none found")) } else { Ok(keys) }
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// DER of the `SubjectPublicKeyInfo`.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    pub fn to_pem(&self) -> Result<String> {
        pem("PUBLIC KEY", &self.spki)
    }

    /// Whether `signature` is this key's over a token's `message`: RS256, ES256, ES384 or ES512, after the key.
    pub fn verify_token(&self, message: &[u8], signature: &[u8]) -> bool {
        self.token.verify_sig(message, signature).is_ok()
    }

    /// Whether `signature` is this key's over `message` by another algorithm. It must be one for this sort of key:
    /// choose it by `algorithm()`, not by what the signed document says alone.
    pub fn verify(&self, algorithm: &'static dyn VerificationAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        algorithm.verify_sig(&self.spki, message, signature).is_ok()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.public.algorithm)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm)
    }
}

fn sign_rsa(pair: &RsaKeyPair, message: &[u8]) -> Result<Vec<u8>> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&sig::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
        .map_err(|e| make("a signature", e))?;
    Ok(signature)
}

fn sign_ecdsa(pair: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>> {
    let signature = pair.sign(&SystemRandom::new(), message).map_err(|e| make("a signature", e))?;
    Ok(signature.as_ref().to_vec())
}

fn public_der<'a>(key: &impl AsDer<PublicKeyX509Der<'a>>) -> Result<Vec<u8>> {
    Ok(key.as_der().map_err(|e| make("DER of a public key", e))?.as_ref().to_vec())
}

/// PEM with lines of 64 letters.
pub(super) fn pem(label: &'static str, der: &[u8]) -> Result<String> {
    encode_string(label, LineEnding::LF, der).map_err(|e| make("PEM", e))
}

pub(super) fn make(what: &'static str, why: impl ToString) -> PkiError {
    PkiError::Make { what, why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_pem() {
        let key = Key::generate().expect("a key");
        let text = key.to_pem().expect("pem");
        assert!(text.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
        let again = Key::from_pem(text.as_bytes()).expect("a key");
        assert_eq!(again.public(), key.public());
        let public = PublicKey::all_from_pem(key.public().to_pem().expect("pem").as_bytes()).expect("keys");
        assert_eq!(public, [key.public().clone()]);
    }

    #[test]
    fn signatures_verify_only_under_their_key_and_message() {
        let (key, other) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
        let signature = key.sign_token(b"message").expect("a signature");
        assert!(key.public().verify_token(b"message", &signature));
        assert!(!key.public().verify_token(b"massage", &signature));
        assert!(!other.public().verify_token(b"message", &signature));
        let signature = key.sign_certificate(b"message").expect("a signature");
        assert!(key.public().verify(&sig::ECDSA_P256_SHA256_ASN1, b"message", &signature));
        assert!(!key.public().verify_token(b"message", &signature));
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", Key::generate().expect("a key")), "Key(P256)");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(Key::from_pem(text.as_bytes()).is_err(), "{text}");
            assert!(PublicKey::all_from_pem(text.as_bytes()).is_err(), "{text}");
        }
    }
}
