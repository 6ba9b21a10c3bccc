//! One channel to each of etcd's members. Certificates are read from their files at every connection, so that renewed
//! ones are used without a restart.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint};

use super::Options;
use crate::store::contract::StoreError;

/// How long connecting may take, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection is asked for a sign of life so often, and is lost if there is none for so long. etcd refuses to be asked
/// more often than every 5 s.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(10);
/// Bytes that may be under way to us, on one stream and on all of a connection.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A channel for each server, by its address. They connect when they are first used, and again when a connection is lost.
pub fn channels(options: &Options) -> Result<Vec<(String, Channel)>, StoreError> {
    if options.certfile.is_some() != options.keyfile.is_some() {
        return Err(cannot("a certificate needs its key, and a key its certificate"));
    }
    if options.servers.is_empty() {
        return Err(cannot("no servers"));
    }
    let files =
        Files { authorities: options.cafile.clone(), pair: options.certfile.clone().zip(options.keyfile.clone()) };
    let secure = files.authorities.is_some() || files.pair.is_some();
    // Read once now, so that a mistake shows at the start.
    if secure || options.servers.iter().any(|server| server.starts_with("https://")) {
        files.config().map_err(cannot)?;
    }
    let channel = |server: &String| {
        let uri = address(server, secure)?;
        let endpoint = Endpoint::from(uri.clone())
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let channel = endpoint.connect_with_connector_lazy(Connector { files: Arc::new(files.clone()) });
        Ok((uri.to_string(), channel))
    };
    options.servers.iter().map(channel).collect()
}

/// `host:2379` means what the certificates say.
fn address(server: &str, secure: bool) -> Result<Uri, StoreError> {
    let whole = match server.contains("://") {
        true => server.to_owned(),
        false if secure => format!("https://{server}"),
        false => format!("http://{server}"),
    };
    let uri: Uri = whole.parse().map_err(|error| cannot(format!("server {server:?}: {error}")))?;
    match (uri.scheme_str(), uri.port()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(cannot(format!("server {server:?}: not of the form https://host:port"))),
    }
}

fn cannot(what: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("etcd: {what}"))
}

/// Where the certificates are.
#[derive(Clone)]
struct Files {
    authorities: Option<PathBuf>,
    /// Certificate and key.
    pair: Option<(PathBuf, PathBuf)>,
}

impl Files {
    fn config(&self) -> io::Result<ClientConfig> {
        let wrong = |file: &PathBuf, error: &dyn std::fmt::Display| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", file.display()))
        };
        let read = |file: &PathBuf| -> io::Result<Vec<CertificateDer<'static>>> {
            let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
            match found {
                Ok(found) if found.is_empty() => Err(wrong(file, &"no certificate in it")),
                found => found.map_err(|error| wrong(file, &error)),
            }
        };
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(file) => {
                for authority in read(file)? {
                    roots.add(authority).map_err(|error| wrong(file, &error))?;
                }
            }
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        let mut config = match &self.pair {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
                config.with_client_auth_cert(read(certificate)?, secret).map_err(|error| wrong(certificate, &error))?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// Opens a connection when a channel needs one.
#[derive(Clone)]
struct Connector {
    files: Arc<Files>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let files = self.files.clone();
        Box::pin(async move {
            let connected = tokio::time::timeout(CONNECT, connect(&uri, &files)).await;
            let late = io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {CONNECT:?}"));
            Ok(TokioIo::new(connected.unwrap_or(Err(late))?))
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(uri: &Uri, files: &Files) -> io::Result<Box<dyn Stream>> {
    let no_address = || io::Error::new(io::ErrorKind::InvalidInput, "an address without a host or a port");
    let host = uri.host().ok_or_else(no_address)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = TcpStream::connect((host.as_str(), uri.port_u16().ok_or_else(no_address)?)).await?;
    stream.set_nodelay(true)?;
    if uri.scheme_str() != Some("https") {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::new(files.config()?));
    Ok(Box::new(connector.connect(name, stream).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &Options) -> String {
        channels(options).expect_err("refused").to_string()
    }

    #[tokio::test]
    async fn addresses_are_whole_or_follow_the_certificates() {
        let show = |server, secure| address(server, secure).map(|uri| uri.to_string());
        assert_eq!(show("a:2379", false), Ok("http://a:2379/".to_owned()));
        assert_eq!(show("a:2379", true), Ok("https://a:2379/".to_owned()));
        assert_eq!(show("https://[::1]:2379", false), Ok("https://[::1]:2379/".to_owned()));
        assert!(address("https://a", false).is_err());
        assert!(address("unix:///run/etcd", false).is_err());
    }

    #[tokio::test]
    async fn mistakes_in_the_options_show_at_once() {
        let servers = vec!["https://127.0.0.1:2379".to_owned()];
        let lone = Options { servers: servers.clone(), keyfile: Some("/nowhere".into()), ..Options::default() };
        assert!(refused(&lone).contains("a key its certificate"), "{}", refused(&lone));
        let missing = Options { servers, cafile: Some("/nowhere/ca.crt".into()), ..Options::default() };
        assert!(refused(&missing).contains("/nowhere/ca.crt"), "{}", refused(&missing));
        assert!(refused(&Options::default()).contains("no servers"));
    }
}
