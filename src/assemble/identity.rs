//! Certificates and keys: by which the server is known, and by which it knows others.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_util::sync::CancellationToken;

use super::core::span;
use super::plane::StartError;
use crate::apiserver::reviews::{Policy, Tokens};
use crate::auth::certificate::{Authorities, PossessionVerifier, Trust};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::files::Files;
use crate::config::flags::Flags;
use crate::config::identity::AccountFlags;
use crate::pki::authority::Leaf;
use crate::pki::certificate::Certificate;
use crate::pki::folder::{Pki, Serving, TokenKeys};
use crate::pki::key::{Key, PublicKey};
use crate::pki::kubeconfig::Kubeconfig;
use crate::registry::hooks::services::ranges::Ranges;

/// Versions of TLS from the oldest on that may be spoken.
static FROM_12: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
static FROM_13: [&SupportedProtocolVersion; 1] = [&TLS13];

/// This machine's name.
pub fn hostname() -> String {
    std::fs::read_to_string("/etc/hostname").unwrap_or_default().trim().to_owned()
}

/// The folder of keys and certificates, with a serving certificate for where this server is reached.
pub fn pki(
    flags: &Flags,
    advertised: IpAddr,
    ranges: &Ranges,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Pki, StartError> {
    let mut addresses = vec![advertised];
    addresses.extend(ranges.addresses.iter().map(|range| range.address(0)));
    if !flags.bind_address.is_unspecified() {
        addresses.push(flags.bind_address);
    }
    let serving = Serving::new(&hostname(), "cluster.local", &addresses, &flags.tls_san);
    let folder = flags.store.pki();
    Ok(Pki::open(&folder, &serving, clock, entropy)?)
}

/// Who certifies clients and proxies, and what the listener shows them: each from files that may change.
pub struct Certified {
    pub clients: Authorities,
    pub proxies: Authorities,
    pub tls: Arc<ArcSwap<ServerConfig>>,
    paths: Paths,
}

/// Where they are read from.
struct Paths {
    clients: PathBuf,
    proxies: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    oldest: &'static [&'static SupportedProtocolVersion],
}

impl Certified {
    /// The pki folder holds what no flag names.
    pub fn open(flags: &Flags) -> Result<Self, StartError> {
        let folder = flags.store.pki();
        let or = |flag: &Option<PathBuf>, own: &str| flag.clone().unwrap_or_else(|| folder.join(own));
        let oldest: &[_] = match flags.tls_min_version.as_str() {
            "VersionTLS12" => &FROM_12,
            "VersionTLS13" => &FROM_13,
            other => {
                let why = format!("--tls-min-version: {other} is none of VersionTLS12, VersionTLS13");
                return Err(StartError::Flag(why));
            }
        };
        let paths = Paths {
            clients: or(&flags.identity.client_ca_file, "ca.crt"),
            proxies: or(&flags.identity.proxies.requestheader_client_ca_file, "front-proxy-ca.crt"),
            certificate: or(&flags.tls_cert_file, "apiserver.crt"),
            key: or(&flags.tls_private_key_file, "apiserver.key"),
            oldest,
        };
        let (clients, proxies, tls) = paths.read()?;
        Ok(Self {
            clients: Arc::new(clients).into(),
            proxies: Arc::new(proxies).into(),
            tls: Arc::new(ArcSwap::from_pointee(tls)),
            paths,
        })
    }

    /// Takes over what the files say whenever they change. Connections that are open keep their certificate; whether a
    /// client's is believed is asked anew.
    pub async fn follow(self, stop: CancellationToken) {
        let Paths { clients, proxies, certificate, key, .. } = &self.paths;
        let mut files = Files::new([clients, proxies, certificate, key].map(PathBuf::clone));
        while files.changed(&stop).await {
            match self.paths.read() {
                Ok((clients, proxies, tls)) => {
                    self.clients.replace(clients);
                    self.proxies.replace(proxies);
                    self.tls.store(Arc::new(tls));
                    tracing::info!("certificates are read again");
                }
                Err(why) => tracing::error!(%why, "certificates cannot be read; the ones before stay"),
            }
        }
    }
}

impl Paths {
    fn read(&self) -> Result<(Trust, Trust, ServerConfig), StartError> {
        let clients = Certificate::all_from_pem(&read(&self.clients)?)?;
        let proxies = Certificate::all_from_pem(&read(&self.proxies)?)?;
        let (chain, key) = Leaf::from_pem(&read(&self.certificate)?, &read(&self.key)?)?.to_der()?;
        let verifier = PossessionVerifier::new(clients.iter().chain(&proxies))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(self.oldest)
            .and_then(|builder| builder.with_client_cert_verifier(Arc::new(verifier)).with_single_cert(chain, key))
            .map_err(|error| StartError::Tls(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok((Trust::new(&clients)?, Trust::new(&proxies)?, config))
    }
}

/// The keys of service-account tokens: those of the flags, or the pki folder's.
pub fn token_keys(flags: &AccountFlags, own: &TokenKeys) -> Result<TokenKeys, StartError> {
    let signing = match &flags.service_account_signing_key_file {
        Some(path) => Some(Arc::new(Key::from_pem(&read(path)?)?)),
        None => own.signing.clone(),
    };
    let mut public = Vec::new();
    for path in &flags.service_account_key_file {
        public.extend(PublicKey::all_from_pem(&read(path)?)?);
    }
    if flags.service_account_key_file.is_empty() {
        public.clone_from(&own.public);
    }
    // What is signed here must be believed here.
    if let Some(key) = signing.as_ref().map(|key| key.public()).filter(|key| !public.contains(key)) {
        public.insert(0, key.clone());
    }
    Ok(TokenKeys { signing, public })
}

/// How tokens of service accounts are made and told of.
pub fn tokens(flags: &AccountFlags, keys: &TokenKeys) -> Result<Tokens, StartError> {
    let mut seen = Vec::new();
    for issuer in &flags.service_account_issuer {
        if issuer.is_empty() {
            return Err(StartError::Flag("service-account-issuer should not be an empty string".into()));
        }
        if seen.contains(&issuer) {
            return Err(StartError::Flag(format!("service-account-issuer {issuer:?} is already specified")));
        }
        seen.push(issuer);
    }
    let uri = flags.service_account_jwks_uri.as_deref();
    if let Some(uri) = uri.filter(|uri| !uri.starts_with("https://")) {
        return Err(StartError::Flag(format!("service-account-jwks-uri requires https scheme, parsed as: {uri}")));
    }
    let most = span("--service-account-max-token-expiration", &flags.service_account_max_token_expiration)?;
    if !most.is_zero() && !(3600..=1 << 32).contains(&most.as_secs()) {
        let why = "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds";
        return Err(StartError::Flag(why.into()));
    }
    Ok(Tokens::new(
        keys,
        flags.issuer(),
        flags.audiences().to_vec(),
        Policy {
            keys_uri: uri.map(str::to_owned),
            most_seconds: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
            extend: flags.service_account_extend_token_expiration,
        },
    ))
}

/// Writes a kubeconfig for the administrator, unless there is one that works with this authority.
pub fn admin_kubeconfig(
    flags: &Flags,
    pki: &Pki,
    port: u16,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<PathBuf, StartError> {
    let path = flags.store.kubeconfig();
    let authority = pki.authority.to_pem()?;
    let host = match flags.bind_address {
        IpAddr::V4(address) if address.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(address) if address.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V6(address) => format!("[{address}]"),
        IpAddr::V4(address) => address.to_string(),
    };
    let server = format!("https://{host}:{port}");
    let leaf = pki.issue_admin(clock, entropy)?;
    let text = Kubeconfig { cluster: "monokube", server: &server, authority: &authority, user: "kubernetes-admin" }
        .with_certificate(&leaf)?;
    write_private(&path, &text).map_err(|error| StartError::File(path.clone(), error))?;
    Ok(path)
}

/// Writes a file that nobody else may read; readers see the old or the new one, never a part.
fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = path.with_extension("kubeconfig.new");
    let _ = std::fs::remove_file(&beside);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

pub(super) fn read(path: &std::path::Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|error| StartError::File(path.to_owned(), error))
}
