//! Where a server is, how to know it, and as whom to come: from a kubeconfig or from flags.

use std::path::Path;
use std::sync::Arc;

use http::Uri;
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::error::{RemoteError, Result};
use crate::auth::identity::Secret;
use crate::auth::outward::kubeconfig::{Kubeconfig, bytes};
use crate::pki::authority::Leaf;
use crate::pki::certificate::Certificate;

/// Everything that a connection needs. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    /// `https://host:port`.
    pub server: Arc<str>,
    /// Verifies the server; shared by all who go there.
    verifier: Arc<WebPkiServerVerifier>,
    /// Who certifies the server, PEM.
    authority: Arc<str>,
    credential: Credential,
}

/// As whom to come.
#[derive(Clone)]
pub enum Credential {
    Nobody,
    Token(Arc<Secret>),
    Certificate(Arc<Leaf>),
}

impl Access {
    /// `authority` is PEM; empty means whom the system trusts.
    pub fn new(server: &str, authority: &str, credential: Credential) -> Result<Self> {
        let server = server.trim_end_matches('/');
        let uri: Uri = server.parse().map_err(|why| bad(format!("server {server}: {why}")))?;
        if uri.scheme_str() != Some("https") || uri.host().is_none() || uri.path() != "/" {
            return Err(bad(format!("server {server}: not of the form https://HOST:PORT")));
        }
        let roots = roots(authority)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
            .build()
            .map_err(|why| bad(format!("certificate authority of {server}: {why}")))?;
        Ok(Self { server: server.into(), verifier, authority: authority.into(), credential })
    }

    /// What the current context of the kubeconfig at `path` says.
    pub fn from_kubeconfig(path: &Path) -> Result<Self> {
        let config = Kubeconfig::read(path).map_err(bad)?;
        let (cluster, user) = (&config.cluster, &config.user);
        if cluster["insecure-skip-tls-verify"] == true {
            return Err(bad(format!("{}: insecure-skip-tls-verify is not supported", path.display())));
        }
        let server = cluster["server"].as_str().unwrap_or("");
        let authority = config.content(cluster, "certificate-authority").map_err(bad)?.unwrap_or_default();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| bad(format!("{}: no UTF-8", path.display())));
        let certificate = config.content(user, "client-certificate").map_err(bad)?;
        let key = config.content(user, "client-key").map_err(bad)?;
        let credential = match (certificate, key, user["token"].as_str(), user["tokenFile"].as_str()) {
            (Some(certificate), Some(key), _, _) => {
                let leaf = Leaf::from_pem(&certificate, &key);
                Credential::Certificate(Arc::new(leaf.map_err(|why| bad(format!("{}: {why}", path.display())))?))
            }
            (_, _, Some(token), _) => Credential::token(token),
            (_, _, _, Some(file)) => Credential::token(text(bytes(&config.beside(file)).map_err(bad)?)?.trim()),
            _ => Credential::Nobody,
        };
        Self::new(server, &text(authority)?, credential)
    }

    /// The same server, as somebody else.
    pub fn with(&self, credential: Credential) -> Self {
        Self { credential, ..self.clone() }
    }

    /// Who certifies the server, PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// For rustls: HTTP/2 only, and no session that is kept, since a connection lives long.
    pub(super) fn tls(&self) -> Result<ClientConfig> {
        let tls = |why: tokio_rustls::rustls::Error| bad(format!("TLS to {}: {why}", self.server));
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_webpki_verifier(self.verifier.clone());
        let mut config = match &self.credential {
            Credential::Certificate(leaf) => {
                let (chain, key) = leaf.to_der().map_err(|why| bad(why.to_string()))?;
                builder.with_client_auth_cert(chain, key).map_err(tls)?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl Credential {
    pub fn token(token: &str) -> Self {
        Self::Token(Arc::new(Secret::new(token)))
    }
}

fn bad(what: String) -> RemoteError {
    RemoteError::Access(what)
}

fn roots(authority: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if authority.is_empty() {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    }
    let certificates = Certificate::all_from_pem(authority.as_bytes());
    for certificate in certificates.map_err(|why| bad(format!("certificate authority: {why}")))? {
        roots.add(certificate.der().clone()).map_err(|why| bad(format!("certificate authority: {why}")))?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::pki::authority::{Authority, Wanted};
    use crate::pki::kubeconfig::Kubeconfig as Written;

    #[tokio::test(start_paused = true)]
    async fn what_is_written_is_read() {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a time"));
        let entropy = Entropy::seeded(1);
        let authority = Authority::create("kubernetes", None, &clock, &entropy).expect("an authority");
        let pem = authority.to_pem().expect("PEM");
        let config = Written { cluster: "c", server: "https://127.0.0.1:6443", authority: &pem, user: "jane" };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config");

        std::fs::write(&path, config.with_token("secret")).expect("written");
        let access = Access::from_kubeconfig(&path).expect("an access");
        assert_eq!((&*access.server, access.authority()), ("https://127.0.0.1:6443", pem.as_str()));
        assert!(matches!(access.credential(), Credential::Token(token) if token.expose() == b"secret"));

        let leaf = authority.issue(&Wanted { common_name: "jane", ..Wanted::default() }, &clock, &entropy);
        let leaf = leaf.expect("a leaf");
        std::fs::write(&path, config.with_certificate(&leaf).expect("YAML")).expect("written");
        let Credential::Certificate(read) = Access::from_kubeconfig(&path).expect("an access").credential else {
            panic!("no certificate");
        };
        assert_eq!(read.certificate().der(), leaf.certificate().der());

        let without = config.with_token("t").replace("current-context: jane@c", "current-context: other");
        std::fs::write(&path, without).expect("written");
        let Err(error) = Access::from_kubeconfig(&path) else { panic!("no context") };
        assert_eq!(error.to_string(), format!("{}: no cluster \"\"", path.display()));
    }

    #[test]
    fn a_server_is_named_by_scheme_host_and_port() {
        for server in ["http://a:1", "a:1", "https://a/b", ""] {
            assert!(Access::new(server, "", Credential::Nobody).is_err(), "{server}");
        }
    }
}
