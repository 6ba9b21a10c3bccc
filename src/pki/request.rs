//! Certificate signing requests: what they ask for, whether they are signed by their own key, and the certificate that
//! answers one.

use std::time::Duration;

use aws_lc_rs::signature as sig;
use aws_lc_rs::signature::VerificationAlgorithm;
use jiff::Timestamp;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5912::ID_EXTENSION_REQ;
use x509_cert::der::{Decode, Encode, Tag, Tagged};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, ExtensionReq};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::authority::Authority;
use super::certificate::Subject;
use super::error::{PkiError, Result};
use super::key::{Algorithm, PublicKey};
use super::signing::{BACKDATE, Template, subject};
use crate::base::entropy::Entropy;
use crate::model::gotext;

/// A certificate asked for at most this long is not shortened by the time it is dated back.
const SHORT: Duration = Duration::from_secs(8 * 3600);

/// The attributes of a subject that a certificate keeps, in the order in which it names them.
const SUBJECT: [&str; 9] =
    ["2.5.4.6", "2.5.4.10", "2.5.4.11", "2.5.4.7", "2.5.4.8", "2.5.4.9", "2.5.4.17", "2.5.4.3", "2.5.4.5"];

const KEY_USAGES: [(&str, KeyUsages); 10] = [
    ("signing", KeyUsages::DigitalSignature),
    ("digital signature", KeyUsages::DigitalSignature),
    ("content commitment", KeyUsages::NonRepudiation),
    ("key encipherment", KeyUsages::KeyEncipherment),
    ("key agreement", KeyUsages::KeyAgreement),
    ("data encipherment", KeyUsages::DataEncipherment),
    ("cert sign", KeyUsages::KeyCertSign),
    ("crl sign", KeyUsages::CRLSign),
    ("encipher only", KeyUsages::EncipherOnly),
    ("decipher only", KeyUsages::DecipherOnly),
];

/// In the order in which a certificate names them.
const PURPOSES: [(&str, &str); 13] = [
    ("any", "2.5.29.37.0"),
    ("server auth", "1.3.6.1.5.5.7.3.1"),
    ("client auth", "1.3.6.1.5.5.7.3.2"),
    ("code signing", "1.3.6.1.5.5.7.3.3"),
    ("email protection", "1.3.6.1.5.5.7.3.4"),
    ("s/mime", "1.3.6.1.5.5.7.3.4"),
    ("ipsec end system", "1.3.6.1.5.5.7.3.5"),
    ("ipsec tunnel", "1.3.6.1.5.5.7.3.6"),
    ("ipsec user", "1.3.6.1.5.5.7.3.7"),
    ("timestamping", "1.3.6.1.5.5.7.3.8"),
    ("ocsp signing", "1.3.6.1.5.5.7.3.9"),
    ("microsoft sgc", "1.3.6.1.4.1.311.10.3.3"),
    ("netscape sgc", "2.16.840.1.113730.4.1"),
];

/// A request whose signature has been checked: who sent it holds the key.
#[derive(Clone, Debug)]
pub struct SigningRequest {
    /// Who it is for, as a certificate would say it.
    pub holder: Subject,
    /// How many alternative names of each sort it asks for.
    pub asks: Asks,
    subject: Name,
    names: Vec<GeneralName>,
    public_key: PublicKey,
}

/// Counts of alternative names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    pub hostnames: usize,
    pub addresses: usize,
    pub mails: usize,
    pub uris: usize,
}

impl SigningRequest {
    /// The first `CERTIFICATE REQUEST` of `pem`.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let der = CertificateSigningRequestDer::from_pem_slice(pem)
            .map_err(|_| PkiError::Request("PEM block type must be CERTIFICATE REQUEST".into()))?;
        Self::from_der(&der)
    }

    pub fn from_der(der: &[u8]) -> Result<Self> {
        let bad =
            |e: &dyn ToString| PkiError::Request(format!("unable to parse certificate request: {}", e.to_string()));
        let (_, outer) = X509CertificationRequest::from_der(der).map_err(|e| bad(&e))?;
        let signed = &outer.certification_request_info;
        let public_key = PublicKey::from_spki(signed.subject_pki.raw).map_err(|e| bad(&e))?;
        let algorithm = outer.signature_algorithm.algorithm.to_id_string();
        let verified = verifier(&algorithm, public_key.algorithm())
            .is_some_and(|algorithm| public_key.verify(algorithm, signed.raw, &outer.signature_value.data));
        if !verified {
            return Err(PkiError::Request("unable to verify certificate request signature".into()));
        }
        let request = CertReq::from_der(der).map_err(|e| bad(&e))?;
        let holder = Subject::read(&signed.subject)?;
        let names = names(&request).map_err(|e| bad(&e))?;
        Ok(Self { holder, asks: Asks::of(&names), subject: kept(&request.info.subject)?, names, public_key })
    }
}

impl Asks {
    fn of(names: &[GeneralName]) -> Self {
        let mut asks = Self::default();
        for name in names {
            match name {
                GeneralName::DnsName(_) => asks.hostnames += 1,
                GeneralName::IpAddress(_) => asks.addresses += 1,
                GeneralName::Rfc822Name(_) => asks.mails += 1,
                GeneralName::UniformResourceIdentifier(_) => asks.uris += 1,
                _ => {}
            }
        }
        asks
    }
}

impl Authority {
    /// Answers a request: the certificate in PEM, for `usages` (the API's names), valid for `duration` but not longer
    /// than the authority. Whether the request deserves it has been decided before.
    pub fn sign_request(
        &self,
        request: &SigningRequest,
        usages: &[&str],
        duration: Duration,
        now: Timestamp,
        entropy: &Entropy,
    ) -> Result<String> {
        let (key_usage, purposes) = usages_from(usages)?;
        let end = self.certificate().not_after;
        if now - BACKDATE >= end || now >= end {
            return Err(PkiError::Request(format!("the signer has expired: NotAfter={end}")));
        }
        let life = if duration < SHORT { duration } else { duration.saturating_sub(BACKDATE) };
        let template = Template {
            subject: request.subject.clone(),
            names: request.names.clone(),
            key_usage,
            purposes,
            is_authority: false,
            not_before: now - BACKDATE,
            not_after: now.checked_add(life).map_or(end, |t| t.min(end)),
            public_key: request.public_key.clone(),
        };
        self.sign(&template, "a certificate signing request", entropy)?.to_pem()
    }
}

/// The API's names of usages as a certificate has them.
fn usages_from(usages: &[&str]) -> Result<(Option<KeyUsage>, Vec<ObjectIdentifier>)> {
    let (mut flags, mut wanted, mut unknown) = (None, Vec::new(), Vec::new());
    for usage in usages {
        if let Some((_, flag)) = KEY_USAGES.iter().find(|(name, _)| name == usage) {
            flags = Some(flags.map_or((*flag).into(), |all| all | *flag));
        } else if let Some(at) = PURPOSES.iter().position(|(name, _)| name == usage) {
            wanted.push(at);
        } else {
            unknown.push(gotext::quote(usage));
        }
    }
    if !unknown.is_empty() {
        return Err(PkiError::Request(format!("unrecognized usage values: {}", gotext::list(&unknown))));
    }
    wanted.sort_unstable();
    let mut purposes: Vec<_> = wanted.iter().map(|at| ObjectIdentifier::new_unwrap(PURPOSES[*at].1)).collect();
    purposes.dedup();
    Ok((flags.map(KeyUsage), purposes))
}

/// The subject with its well-known attributes only, so that nobody gets an attribute certified that nobody looked at.
fn kept(asked: &Name) -> Result<Name> {
    let mut attributes: Vec<(ObjectIdentifier, Vec<String>)> =
        SUBJECT.iter().map(|oid| (ObjectIdentifier::new_unwrap(oid), Vec::new())).collect();
    for attribute in asked.iter() {
        let Some((_, values)) = attributes.iter_mut().find(|(oid, _)| *oid == attribute.oid) else { continue };
        let text = match attribute.value.tag() {
            Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
                std::str::from_utf8(attribute.value.value()).ok()
            }
            _ => None,
        };
        let unreadable = || PkiError::Request("unable to parse certificate request: a subject that is no UTF-8".into());
        values.push(text.ok_or_else(unreadable)?.to_owned());
    }
    for (oid, values) in &mut attributes {
        // Only these may have several values; of the others the last one counts.
        if ["2.5.4.3", "2.5.4.5"].iter().any(|single| *oid == ObjectIdentifier::new_unwrap(single)) {
            values.drain(..values.len().saturating_sub(1));
        }
    }
    subject(&attributes)
}

/// The alternative names that a certificate takes over: DNS names, addresses, mail addresses and URIs.
fn names(request: &CertReq) -> x509_cert::der::Result<Vec<GeneralName>> {
    let mut names = Vec::new();
    for attribute in request.info.attributes.iter().filter(|a| a.oid == ID_EXTENSION_REQ) {
        for value in attribute.values.iter() {
            let ExtensionReq(extensions) = ExtensionReq::from_der(&value.to_der()?)?;
            for extension in extensions {
                if extension.extn_id == x509_cert::der::oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME {
                    names.extend(SubjectAltName::from_der(extension.extn_value.as_bytes())?.0);
                }
            }
        }
    }
    names.retain(|name| {
        use GeneralName::{DnsName, IpAddress, Rfc822Name, UniformResourceIdentifier};
        matches!(name, DnsName(_) | IpAddress(_) | Rfc822Name(_) | UniformResourceIdentifier(_))
    });
    Ok(names)
}

/// The algorithm named `oid` for this sort of key.
fn verifier(oid: &str, key: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (oid, key) {
        ("1.2.840.113549.1.1.11", Algorithm::Rsa) => &sig::RSA_PKCS1_2048_8192_SHA256,
        ("1.2.840.113549.1.1.12", Algorithm::Rsa) => &sig::RSA_PKCS1_2048_8192_SHA384,
        ("1.2.840.113549.1.1.13", Algorithm::Rsa) => &sig::RSA_PKCS1_2048_8192_SHA512,
        ("1.2.840.10045.4.3.2", Algorithm::P256) => &sig::ECDSA_P256_SHA256_ASN1,
        ("1.2.840.10045.4.3.3", Algorithm::P256) => &sig::ECDSA_P256_SHA384_ASN1,
        ("1.2.840.10045.4.3.2", Algorithm::P384) => &sig::ECDSA_P384_SHA256_ASN1,
        ("1.2.840.10045.4.3.3", Algorithm::P384) => &sig::ECDSA_P384_SHA384_ASN1,
        ("1.2.840.10045.4.3.2", Algorithm::P521) => &sig::ECDSA_P521_SHA256_ASN1,
        ("1.2.840.10045.4.3.3", Algorithm::P521) => &sig::ECDSA_P521_SHA384_ASN1,
        ("1.2.840.10045.4.3.4", Algorithm::P521) => &sig::ECDSA_P521_SHA512_ASN1,
        ("1.3.101.112", Algorithm::Ed25519) => &sig::ED25519,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::pki::certificate::Certificate;

    const KUBELET: &[u8] = include_bytes!("../../tests/data/pki/kubelet.csr");
    const RSA: &[u8] = include_bytes!("../../tests/data/pki/rsa.csr");

    fn authority(time: &str) -> (Authority, Clock, Entropy) {
        let (clock, entropy) = (Clock::starting_at(time.parse().expect("a time")), Entropy::seeded(1));
        (Authority::create("kubernetes", None, &clock, &entropy).expect("an authority"), clock, entropy)
    }

    fn signed(pem: &[u8], usages: &[&str], hours: u64) -> Result<Certificate> {
        let (authority, clock, entropy) = authority("2026-01-01T00:00:00Z");
        let request = SigningRequest::from_pem(pem)?;
        let life = Duration::from_secs(hours * 3600);
        let text = authority.sign_request(&request, usages, life, clock.now(), &entropy)?;
        Ok(Certificate::all_from_pem(text.as_bytes())?.remove(0))
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_becomes_a_certificate() {
        let certificate = signed(KUBELET, &["digital signature", "client auth"], 24).expect("a certificate");
        assert_eq!(certificate.subject.common_name, "system:node:n1");
        assert_eq!(certificate.subject.organizations, ["system:nodes"]);
        assert_eq!((certificate.hostnames.as_slice(), certificate.addresses.len()), (&["n1".to_owned()][..], 1));
        assert_eq!(certificate.not_before.to_string(), "2025-12-31T23:55:00Z");
        assert_eq!(certificate.not_after.to_string(), "2026-01-01T23:55:00Z");
        assert!(!certificate.is_authority);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_life_is_not_shortened() {
        let certificate = signed(RSA, &["client auth"], 1).expect("a certificate");
        assert_eq!(certificate.not_after.to_string(), "2026-01-01T01:00:00Z");
    }

    #[tokio::test(start_paused = true)]
    async fn a_life_ends_with_the_signer() {
        let certificate = signed(RSA, &["client auth"], 24 * 365 * 20).expect("a certificate");
        assert_eq!(certificate.not_after.to_string(), "2035-12-30T00:00:00Z");
    }

    #[tokio::test(start_paused = true)]
    async fn only_well_known_attributes_are_certified() {
        let certificate = signed(RSA, &[], 1).expect("a certificate");
        let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate.der()).expect("der");
        assert_eq!(parsed.subject().to_string(), "O=a + O=b, CN=jane");
    }

    #[test]
    fn a_request_that_its_key_did_not_sign_is_refused() {
        let mut der = CertificateSigningRequestDer::from_pem_slice(KUBELET).expect("der").as_ref().to_vec();
        let at = der.windows(2).position(|w| w == b"n1").expect("the name");
        der[at + 1] = b'2';
        let error = SigningRequest::from_der(&der).expect_err("tampered");
        assert_eq!(error.to_string(), "unable to verify certificate request signature");
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_usages_are_named() {
        let error = signed(RSA, &["client auth", "magic", "x"], 1).expect_err("unknown");
        assert_eq!(error.to_string(), "unrecognized usage values: [\"magic\" \"x\"]");
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_signer_signs_nothing() {
        let (authority, _, entropy) = authority("2026-01-01T00:00:00Z");
        let later = "2036-01-01T00:00:00Z".parse().expect("a time");
        let request = SigningRequest::from_pem(RSA).expect("a request");
        let error = authority.sign_request(&request, &[], SHORT, later, &entropy).expect_err("expired");
        assert_eq!(error.to_string(), "the signer has expired: NotAfter=2035-12-30T00:00:00Z");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_request_or_an_error(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = SigningRequest::from_der(&bytes);
            let _ = crate::pki::certificate::Facts::read(&bytes);
        }

        #[test]
        fn a_changed_byte_is_a_request_or_an_error(at in 0usize..400, to: u8) {
            let mut der = CertificateSigningRequestDer::from_pem_slice(KUBELET).expect("der").as_ref().to_vec();
            let at = at % der.len();
            let same = der[at] == to;
            der[at] = to;
            proptest::prop_assert!(same || SigningRequest::from_der(&der).is_err());
        }
    }
}
