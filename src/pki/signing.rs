//! How a certificate is made: a template, an issuer and a key.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use signature::Keypair;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::der::asn1::{BitString, Null, OctetString, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Any, Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    self, AlgorithmIdentifierOwned, Document, DynSignatureAlgorithmIdentifier, EncodePublicKey, SubjectPublicKeyInfo,
    SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time, Validity};

use super::certificate::Certificate;
use super::error::Result;
use super::key::{Algorithm, Key, PublicKey, make};
use crate::base::entropy::Entropy;

/// How far before now a certificate becomes valid, so that a clock that is a little behind takes it too.
pub(super) const BACKDATE: Duration = Duration::from_secs(5 * 60);
/// Bytes of a serial number: 127 random bits.
const SERIAL_BYTES: usize = 16;

pub(super) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
pub(super) const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// What the certificate shall say.
#[derive(Clone)]
pub(super) struct Template {
    pub subject: Name,
    pub names: Vec<GeneralName>,
    pub key_usage: Option<KeyUsage>,
    pub purposes: Vec<ObjectIdentifier>,
    pub is_authority: bool,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub public_key: PublicKey,
}

/// Signs `template` with `key`; `issuer` is `None` when it signs itself.
pub(super) fn sign(
    template: &Template,
    issuer: Option<&Certificate>,
    key: &Key,
    entropy: &Entropy,
) -> Result<Certificate> {
    let failed = |e: &dyn ToString| make("a certificate", e.to_string());
    let issuer_name = match issuer {
        None => template.subject.clone(),
        Some(issuer) => {
            let parsed = x509_cert::Certificate::from_der(issuer.der()).map_err(|e| failed(&e))?;
            parsed.tbs_certificate().subject().clone()
        }
    };
    let profile = Profile { template, issuer_name, issuer_key: issuer.and_then(|c| c.key_id()).map(<[u8]>::to_vec) };
    let validity = Validity::new(time(template.not_before)?, time(template.not_after)?);
    let public = SubjectPublicKeyInfo::from_der(template.public_key.spki()).map_err(|e| failed(&e))?;
    let mut builder = CertificateBuilder::new(profile, serial(entropy)?, validity, public).map_err(|e| failed(&e))?;
    let signer = Signer(key);
    let signed = builder.finalize(&signer).map_err(|e| failed(&e))?;
    let signature = BitString::from_bytes(&key.sign_certificate(&signed)?).map_err(|e| failed(&e))?;
    let certificate = builder.assemble(signature, &signer).map_err(|e| failed(&e))?;
    Certificate::from_der(certificate.to_der().map_err(|e| failed(&e))?.into())
}

/// A subject; the values of each attribute stand together in one set, as Go's library writes them.
pub(super) fn subject(attributes: &[(ObjectIdentifier, Vec<String>)]) -> Result<Name> {
    let failed = |e: x509_cert::der::Error| make("a subject", e);
    let mut sequence = RdnSequence::default();
    for (oid, values) in attributes.iter().filter(|(_, values)| !values.is_empty()) {
        let mut set = Vec::with_capacity(values.len());
        for value in values {
            let value = Any::encode_from(&Utf8StringRef::new(value).map_err(failed)?).map_err(failed)?;
            let attribute = AttributeTypeAndValue { oid: *oid, value };
            if !set.contains(&attribute) {
                set.push(attribute);
            }
        }
        sequence.push(RelativeDistinguishedName::try_from(set).map_err(failed)?);
    }
    Name::from_der(&sequence.to_der().map_err(failed)?).map_err(failed)
}

/// Positive and never zero.
fn serial(entropy: &Entropy) -> Result<SerialNumber> {
    let mut bytes = [0; SERIAL_BYTES];
    entropy.fill(&mut bytes);
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::new(&bytes).map_err(|e| make("a serial number", e))
}

fn time(at: Timestamp) -> Result<Time> {
    let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
    Time::try_from(SystemTime::from(whole)).map_err(|e| make("a certificate's validity", e))
}

struct Profile<'a> {
    template: &'a Template,
    issuer_name: Name,
    issuer_key: Option<Vec<u8>>,
}

impl BuilderProfile for Profile<'_> {
    fn get_issuer(&self, _: &Name) -> Name {
        self.issuer_name.clone()
    }

    fn get_subject(&self) -> Name {
        self.template.subject.clone()
    }

    fn build_extensions(
        &self,
        own: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        _: &x509_cert::TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let template = self.template;
        let subject = &template.subject;
        let mut all = Vec::new();
        if let Some(usage) = &template.key_usage {
            all.push(usage.to_extension(subject, &all)?);
        }
        if !template.purposes.is_empty() {
            all.push((&ExtendedKeyUsage(template.purposes.clone())).to_extension(subject, &all)?);
        }
        let basic = BasicConstraints { ca: template.is_authority, path_len_constraint: None };
        let critical = true;
        all.push((critical, &basic).to_extension(subject, &all)?);
        if template.is_authority {
            all.push((&SubjectKeyIdentifier::try_from(own)?).to_extension(subject, &all)?);
        }
        if let Some(id) = &self.issuer_key {
            let id = AuthorityKeyIdentifier {
                key_identifier: Some(OctetString::new(id.clone())?),
                authority_cert_issuer: None,
                authority_cert_serial_number: None,
            };
            all.push((&id).to_extension(subject, &all)?);
        }
        if !template.names.is_empty() {
            all.push((&SubjectAltName(template.names.clone())).to_extension(subject, &all)?);
        }
        Ok(all)
    }
}

/// Tells the builder how the key signs.
pub(super) struct Signer<'a>(pub &'a Key);

#[derive(Clone)]
pub(super) struct Spki(Vec<u8>);

impl Keypair for Signer<'_> {
    type VerifyingKey = Spki;

    fn verifying_key(&self) -> Spki {
        Spki(self.0.public().spki().to_vec())
    }
}

impl EncodePublicKey for Spki {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(Document::try_from(self.0.as_slice())?)
    }
}

impl DynSignatureAlgorithmIdentifier for Signer<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        let (oid, parameters) = match self.0.public().algorithm() {
            Algorithm::Rsa => ("1.2.840.113549.1.1.11", Some(Any::encode_from(&Null)?)),
            Algorithm::P256 => ("1.2.840.10045.4.3.2", None),
            Algorithm::P384 => ("1.2.840.10045.4.3.3", None),
            Algorithm::P521 => ("1.2.840.10045.4.3.4", None),
            Algorithm::Ed25519 => ("1.3.101.112", None),
        };
        Ok(AlgorithmIdentifierOwned { oid: ObjectIdentifier::new_unwrap(oid), parameters })
    }
}
