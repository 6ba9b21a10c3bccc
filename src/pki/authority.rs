//! A certificate authority: its certificate, perhaps its key, and what it signs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::der::asn1::{Ia5String, OctetString};
use x509_cert::der::oid::db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};

use super::certificate::Certificate;
use super::error::{PkiError, Result};
use super::key::{Key, PublicKey, make};
use super::signing::{BACKDATE, COMMON_NAME, ORGANIZATION, Template, sign, subject};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;

/// As long as kubeadm's: ten years for an authority, one year for what it signs.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
const LEAF_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Signs certificates when it has its key; verifies them in any case. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authority {
    /// At least one; the first is the one that signs.
    certificates: Arc<[Certificate]>,
    key: Option<Arc<Key>>,
}

/// A certificate with its key, for a server or a client.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// At least one; the leaf first, then what leads to its authority.
    pub certificates: Vec<Certificate>,
    pub key: Arc<Key>,
}

/// What an authority is asked to certify.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    pub common_name: &'a str,
    pub organizations: &'a [&'a str],
    pub hostnames: &'a [String],
    pub addresses: &'a [IpAddr],
    pub usage: Usage,
    /// A year by default; in any case not longer than the authority lives.
    pub life: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    #[default]
    Client,
    Server,
}

impl Authority {
    /// A new authority that certifies itself. `key` is made when not given.
    pub fn create(common_name: &str, key: Option<Key>, clock: &Clock, entropy: &Entropy) -> Result<Self> {
        let key = match key {
            Some(key) => key,
            None => Key::generate()?,
        };
        let now = clock.now();
        let template = Template {
            subject: subject(&[(COMMON_NAME, vec![common_name.to_owned()])])?,
            names: vec![hostname(common_name)?],
            key_usage: Some(KeyUsage(
                KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment | KeyUsages::KeyCertSign,
            )),
            purposes: Vec::new(),
            is_authority: true,
            not_before: now - BACKDATE,
            not_after: now + AUTHORITY_LIFE,
            public_key: key.public().clone(),
        };
        let certificate = sign(&template, None, &key, entropy)?;
        Ok(Self { certificates: Arc::from([certificate]), key: Some(Arc::new(key)) })
    }

    /// From PEM. The first certificate is the one that `key` must belong to.
    pub fn from_pem(certificates: &[u8], key: Option<&[u8]>) -> Result<Self> {
        let certificates = Certificate::all_from_pem(certificates)?;
        let key = key.map(Key::from_pem).transpose()?;
        if let Some(key) = &key {
            belongs(key, &certificates[0])?;
        }
        Ok(Self { certificates: certificates.into(), key: key.map(Arc::new) })
    }

    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The certificate that signs.
    pub fn certificate(&self) -> &Certificate {
        &self.certificates[0]
    }

    pub fn can_sign(&self) -> bool {
        self.key.is_some()
    }

    pub fn key(&self) -> Option<&Key> {
        self.key.as_deref()
    }

    /// All its certificates: what clients get as the cluster's CA.
    pub fn to_pem(&self) -> Result<String> {
        self.certificates.iter().map(Certificate::to_pem).collect()
    }

    /// A new key and a certificate for it.
    pub fn issue(&self, wanted: &Wanted<'_>, clock: &Clock, entropy: &Entropy) -> Result<Leaf> {
        self.issue_for(wanted, Arc::new(Key::generate()?), clock, entropy)
    }

    /// The same for a key that is there.
    pub fn issue_for(&self, wanted: &Wanted<'_>, key: Arc<Key>, clock: &Clock, entropy: &Entropy) -> Result<Leaf> {
        let organizations = wanted.organizations.iter().map(|o| (*o).to_owned()).collect();
        let mut names = Vec::with_capacity(wanted.hostnames.len() + wanted.addresses.len());
        for name in wanted.hostnames {
            names.push(hostname(name)?);
        }
        for address in wanted.addresses {
            names.push(ip_address(*address)?);
        }
        let (not_before, not_after) = self.span(clock.now(), wanted.life.unwrap_or(LEAF_LIFE));
        let template = Template {
            subject: subject(&[(ORGANIZATION, organizations), (COMMON_NAME, vec![wanted.common_name.to_owned()])])?,
            names,
            key_usage: Some(KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment)),
            purposes: vec![match wanted.usage {
                Usage::Client => ID_KP_CLIENT_AUTH,
                Usage::Server => ID_KP_SERVER_AUTH,
            }],
            is_authority: false,
            not_before,
            not_after,
            public_key: key.public().clone(),
        };
        let certificate = self.sign(&template, wanted.common_name, entropy)?;
        Ok(Leaf { certificates: vec![certificate], key })
    }

    /// So long from now, within the authority's own life.
    fn span(&self, now: Timestamp, life: Duration) -> (Timestamp, Timestamp) {
        let authority = self.certificate();
        let end = now.checked_add(life).map_or(authority.not_after, |end| end.min(authority.not_after));
        ((now - BACKDATE).max(authority.not_before), end)
    }

    /// Signs `template`; `what` names it in an error.
    pub(super) fn sign(&self, template: &Template, what: &str, entropy: &Entropy) -> Result<Certificate> {
        let Some(key) = &self.key else {
            let authority = format!("the authority {:?}", self.certificate().subject.common_name);
            return Err(PkiError::NoKey { what: what.to_owned(), authority });
        };
        sign(template, Some(self.certificate()), key, entropy)
    }
}

impl Leaf {
    /// From PEM; the key must belong to the first certificate.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self> {
        let certificates = Certificate::all_from_pem(certificates)?;
        let key = Key::from_pem(key)?;
        belongs(&key, &certificates[0])?;
        Ok(Self { certificates, key: Arc::new(key) })
    }

    pub fn certificate(&self) -> &Certificate {
        &self.certificates[0]
    }

    pub fn certificate_pem(&self) -> Result<String> {
        self.certificates.iter().map(Certificate::to_pem).collect()
    }

    /// For rustls: the chain and the key.
    pub fn to_der(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        Ok((self.certificates.iter().map(|c| c.der().clone()).collect(), self.key.to_der()?))
    }
}

fn belongs(key: &Key, certificate: &Certificate) -> Result<()> {
    let certified: PublicKey = certificate.public_key()?;
    if *key.public() == certified {
        return Ok(());
    }
    let what = format!("key of {:?}", certificate.subject.common_name);
    Err(PkiError::malformed(what, "does not belong to the certificate"))
}

pub(super) fn hostname(name: &str) -> Result<GeneralName> {
    Ok(GeneralName::DnsName(Ia5String::new(name).map_err(|e| make("a host name", format!("{name:?}: {e}")))?))
}

pub(super) fn ip_address(address: IpAddr) -> Result<GeneralName> {
    let bytes = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    Ok(GeneralName::IpAddress(OctetString::new(bytes).map_err(|e| make("an address", e))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Clock {
        Clock::starting_at(time.parse().expect("a time"))
    }

    #[tokio::test(start_paused = true)]
    async fn an_authority_certifies_clients_and_servers() {
        let (clock, entropy) = (at("2026-01-01T00:00:00Z"), Entropy::seeded(1));
        let authority = Authority::create("kubernetes", None, &clock, &entropy).expect("an authority");
        let own = authority.certificate();
        assert!(own.is_authority);
        assert_eq!(own.not_before.to_string(), "2025-12-31T23:55:00Z");
        assert_eq!(own.not_after.to_string(), "2035-12-30T00:00:00Z");

        let hostnames = ["kubernetes".to_owned(), "kubernetes.default".to_owned()];
        let wanted = Wanted {
            common_name: "kube-apiserver",
            organizations: &["b", "a"],
            hostnames: &hostnames,
            addresses: &["10.96.0.1".parse().expect("an address"), "::1".parse().expect("an address")],
            usage: Usage::Server,
            life: None,
        };
        let leaf = authority.issue(&wanted, &clock, &entropy).expect("a leaf");
        let certificate = leaf.certificate();
        assert_eq!(
            (certificate.subject.common_name.as_str(), certificate.issuer.as_str()),
            ("kube-apiserver", "kubernetes")
        );
        assert_eq!(certificate.subject.organizations, ["a", "b"]);
        assert_eq!(certificate.hostnames, hostnames);
        assert_eq!(certificate.addresses.len(), 2);
        assert_eq!(certificate.not_after.to_string(), "2027-01-01T00:00:00Z");
        assert!(!certificate.is_authority);

        let again =
            Leaf::from_pem(leaf.certificate_pem().expect("pem").as_bytes(), leaf.key.to_pem().expect("pem").as_bytes());
        assert_eq!(again.expect("a leaf").certificate().der(), certificate.der());
    }

    #[tokio::test(start_paused = true)]
    async fn without_its_key_it_cannot_sign_and_says_so() {
        let (clock, entropy) = (at("2026-01-01T00:00:00Z"), Entropy::seeded(1));
        let whole = Authority::create("kubernetes", None, &clock, &entropy).expect("an authority");
        let authority = Authority::from_pem(whole.to_pem().expect("pem").as_bytes(), None).expect("an authority");
        let error =
            authority.issue(&Wanted { common_name: "x", ..Wanted::default() }, &clock, &entropy).expect_err("no key");
        assert_eq!(error.to_string(), "cannot sign x: the authority \"kubernetes\" has a certificate but no key here");
    }

    #[tokio::test(start_paused = true)]
    async fn a_foreign_key_is_refused() {
        let (clock, entropy) = (at("2026-01-01T00:00:00Z"), Entropy::seeded(1));
        let one = Authority::create("one", None, &clock, &entropy).expect("an authority");
        let other = Key::generate().expect("a key").to_pem().expect("pem");
        let error =
            Authority::from_pem(one.to_pem().expect("pem").as_bytes(), Some(other.as_bytes())).expect_err("foreign");
        assert_eq!(error.to_string(), "key of \"one\": does not belong to the certificate");
    }

    #[tokio::test(start_paused = true)]
    async fn a_leaf_does_not_outlive_its_authority() {
        let (clock, entropy) = (at("2026-01-01T00:00:00Z"), Entropy::seeded(1));
        let authority = Authority::create("kubernetes", None, &clock, &entropy).expect("an authority");
        let later = at("2035-06-01T00:00:00Z");
        let leaf =
            authority.issue(&Wanted { common_name: "x", ..Wanted::default() }, &later, &entropy).expect("a leaf");
        assert_eq!(leaf.certificate().not_after, authority.certificate().not_after);
    }
}
