//! Is the other side who it says: by authorities that were given, by those of the system, or not asked at all.

use std::sync::Arc;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::pki::certificate::{Certificate, Facts};

/// Verifies servers.
#[derive(Debug)]
pub(super) struct Verifier {
    /// One of these may also be the server's own: who gives one certificate as its own authority means that.
    given: Vec<Certificate>,
    /// `None`: there is no authority at all.
    chains: Option<Arc<WebPkiServerVerifier>>,
    unchecked: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// `authorities` is PEM; `None` stands for whom the system trusts.
    pub(super) fn new(authorities: Option<&[u8]>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let mut given = Vec::new();
        match authorities {
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
            Some(pem) => {
                given = Certificate::all_from_pem(pem).map_err(|why| why.to_string())?;
                for certificate in &given {
                    roots.add(certificate.der().clone()).map_err(|why| why.to_string())?;
                }
            }
        }
        let provider = Arc::new(default_provider());
        let chains = match roots.is_empty() {
            true => None,
            false => {
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
                Some(verifier.map_err(|why| why.to_string())?)
            }
        };
        Ok(Self { given, chains, unchecked: false, algorithms: algorithms() })
    }

    /// Believes everybody (`insecure-skip-tls-verify`).
    pub(super) fn unchecked() -> Self {
        Self { given: Vec::new(), chains: None, unchecked: true, algorithms: algorithms() }
    }

    fn is_given(&self, leaf: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<bool, Error> {
        if !self.given.iter().any(|known| known.der() == leaf) {
            return Ok(false);
        }
        verify_server_name(&ParsedCertificate::try_from(leaf)?, name)?;
        let now = i64::try_from(now.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let facts = Facts::read(leaf).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        match now.is_some_and(|now| facts.is_valid_at(now)) {
            true => Ok(true),
            false => Err(Error::InvalidCertificate(CertificateError::Expired)),
        }
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    default_provider().signature_verification_algorithms
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.unchecked || self.is_given(leaf, name, now)? {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.chains {
            Some(chains) => chains.verify_server_cert(leaf, intermediates, name, ocsp, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
