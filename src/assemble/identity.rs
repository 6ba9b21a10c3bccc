//! Who is believed: certificates, tokens and what they may do.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use compact_str::CompactString;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::plane::StartError;
use super::subjects::Cached;
use crate::auth::authenticator::{Anonymous, Authenticator};
use crate::auth::certificate::{PossessionVerifier, Trust};
use crate::auth::request_header::{HeaderNames, RequestHeader};
use crate::auth::token::file::FileTokens;
use crate::auth::token::verify::ServiceAccountTokens;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::cache::handle::Cache;
use crate::config::flags::Flags;
use crate::pki::authority::{Authority, Leaf};
use crate::pki::folder::{Pki, Serving};
use crate::pki::kubeconfig::Kubeconfig;
use crate::registry::hooks::services::ranges::Ranges;

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

/// What the listener shows, and whom it asks for certificates.
pub fn tls(flags: &Flags, pki: &Pki) -> Result<ServerConfig, StartError> {
    let own;
    let leaf = match (&flags.tls_cert_file, &flags.tls_private_key_file) {
        (Some(certificate), Some(key)) => {
            own = Leaf::from_pem(&read(certificate)?, &read(key)?)?;
            &own
        }
        _ => &pki.serving,
    };
    let (chain, key) = leaf.to_der()?;
    let clients = client_authority(flags, pki)?;
    let verifier = PossessionVerifier::new(clients.certificates().iter().chain(pki.front_proxy.certificates()))?;
    let versions: &[_] = match flags.tls_min_version.as_str() {
        "VersionTLS12" => &[&TLS12, &TLS13],
        "VersionTLS13" => &[&TLS13],
        other => {
            return Err(StartError::Flag(format!("--tls-min-version: {other} is none of VersionTLS12, VersionTLS13")));
        }
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .and_then(|builder| builder.with_client_cert_verifier(Arc::new(verifier)).with_single_cert(chain, key))
        .map_err(|error| StartError::Tls(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Who may sign client certificates.
fn client_authority(flags: &Flags, pki: &Pki) -> Result<Authority, StartError> {
    match &flags.client_ca_file {
        Some(path) => Ok(Authority::from_pem(&read(path)?, None)?),
        None => Ok(pki.authority.clone()),
    }
}

/// The ways of authentication that the flags ask for.
pub fn authenticator(flags: &Flags, pki: &Pki, cache: &Cache, clock: &Clock) -> Result<Authenticator, StartError> {
    let subjects = Arc::new(Cached(cache.clone()));
    let audiences = audiences(flags);
    let shared: Arc<[CompactString]> = audiences.iter().map(|a| CompactString::from(a.as_str())).collect();
    let issuers = vec![flags.service_account_issuer.clone()];
    let tokens = ServiceAccountTokens::new(issuers, pki.tokens.public.clone(), shared.clone(), subjects.clone());
    let proxies = Arc::new(Trust::new(pki.front_proxy.certificates())?);
    let allowed = vec!["front-proxy-client".to_owned()];
    let request_header = RequestHeader::new(proxies, allowed, &HeaderNames::default()).map_err(StartError::Flag)?;
    let file_tokens = match &flags.token_auth_file {
        Some(path) => {
            let text = String::from_utf8(read(path)?)
                .map_err(|_| StartError::Flag(format!("{}: no UTF-8", path.display())))?;
            Some(FileTokens::parse(&text).map_err(|why| StartError::Flag(format!("{}: {why}", path.display())))?)
        }
        None => None,
    };
    Ok(Authenticator {
        request_header: Some(request_header),
        client_certificates: Some(Arc::new(Trust::new(client_authority(flags, pki)?.certificates())?)),
        file_tokens,
        service_accounts: Some(Arc::new(tokens)),
        bootstrap_tokens: Some(subjects),
        anonymous: if flags.anonymous_auth { Anonymous::Everybody } else { Anonymous::Nobody },
        audiences: shared,
        clock: clock.clone(),
    })
}

/// This server's own audiences.
pub fn audiences(flags: &Flags) -> Vec<String> {
    if flags.api_audiences.is_empty() {
        vec![flags.service_account_issuer.clone()]
    } else {
        flags.api_audiences.clone()
    }
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

fn read(path: &std::path::Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|error| StartError::File(path.to_owned(), error))
}
