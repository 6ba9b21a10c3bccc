//! What a certificate says: its subject, names, times and key.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::der_parser::oid;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::time::ASN1Time;

use super::error::{PkiError, Result};
use super::key::{PublicKey, pem};

/// A certificate and what it says. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    facts: Arc<Facts>,
}

/// What this server reads in a certificate.
#[derive(Clone, Debug)]
pub struct Facts {
    pub subject: Subject,
    /// The issuer's common name.
    pub issuer: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub is_authority: bool,
    /// DNS names of the subjectAltName.
    pub hostnames: Vec<String>,
    /// IP addresses of the subjectAltName.
    pub addresses: Vec<IpAddr>,
    spki: Vec<u8>,
    key_id: Option<Vec<u8>>,
}

/// The parts of a subject that name a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The last one, should there be several; empty when there is none.
    pub common_name: String,
    pub organizations: Vec<String>,
    /// Kubernetes' own attribute for a user's UID (1.3.6.1.4.1.57683.2).
    pub uids: Vec<String>,
}

impl Certificate {
    pub fn from_der(der: CertificateDer<'static>) -> Result<Self> {
        let facts = Arc::new(Facts::read(&der)?);
        Ok(Self { der, facts })
    }

    /// Every certificate in `text`, in order; at least one.
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for der in CertificateDer::pem_slice_iter(text) {
            all.push(Self::from_der(der.map_err(|e| PkiError::malformed("certificate", e))?)?);
        }
        if all.is_empty() { Err(PkiError::malformed("certificate", "none found")) } else { Ok(all) }
    }

    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub fn to_pem(&self) -> Result<String> {
        pem("CERTIFICATE", &self.der)
    }
}

impl std::ops::Deref for Certificate {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl Facts {
    pub fn read(der: &[u8]) -> Result<Self> {
        let bad = |e: &dyn ToString| PkiError::malformed("certificate", e.to_string());
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|e| bad(&e))?;
        if !rest.is_empty() {
            return Err(bad(&"trailing bytes"));
        }
        let (mut hostnames, mut addresses, mut key_id) = (Vec::new(), Vec::new(), None);
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    for name in &names.general_names {
                        match name {
                            GeneralName::DNSName(name) => hostnames.push((*name).to_owned()),
                            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
                            _ => {}
                        }
                    }
                }
                ParsedExtension::SubjectKeyIdentifier(id) => key_id = Some(id.0.to_vec()),
                _ => {}
            }
        }
        Ok(Self {
            subject: Subject::read(certificate.subject())?,
            issuer: Subject::read(certificate.issuer()).map(|s| s.common_name).unwrap_or_default(),
            not_before: time(certificate.validity().not_before)?,
            not_after: time(certificate.validity().not_after)?,
            is_authority: certificate.is_ca(),
            hostnames,
            addresses,
            spki: certificate.public_key().raw.to_vec(),
            key_id,
        })
    }

    pub fn public_key(&self) -> Result<PublicKey> {
        PublicKey::from_spki(&self.spki)
    }

    /// The subject key identifier, should it have one.
    pub fn key_id(&self) -> Option<&[u8]> {
        self.key_id.as_deref()
    }

    /// Whether `now` lies within its validity, both ends included.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

impl Subject {
    pub(super) fn read(name: &X509Name<'_>) -> Result<Self> {
        let mut subject = Self::default();
        for attribute in name.iter_attributes() {
            let kind = attribute.attr_type();
            let (common, organization) = (*kind == OID_X509_COMMON_NAME, *kind == OID_X509_ORGANIZATION_NAME);
            if !common && !organization && *kind != oid!(1.3.6.1.4.1.57683.2) {
                continue;
            }
            let text = attribute.as_str().map_err(|e| PkiError::malformed("certificate's subject", e))?.to_owned();
            if common {
                subject.common_name = text;
            } else if organization {
                subject.organizations.push(text);
            } else {
                subject.uids.push(text);
            }
        }
        Ok(subject)
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn time(time: ASN1Time) -> Result<Timestamp> {
    Timestamp::from_second(time.timestamp()).map_err(|e| PkiError::malformed("certificate's validity", e))
}
