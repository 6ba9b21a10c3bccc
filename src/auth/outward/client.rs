//! One bounded exchange over HTTP, in the words of Go's client where it fails.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{CertificateError, Error as TlsError};
use tonic::codegen::Service;

use super::access::Security;

/// How long connecting may take, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Connections to one place that wait for work.
const IDLE: usize = 25;
const IDLE_TIME: Duration = Duration::from_secs(90);
/// An HTTP/2 connection is asked for a sign of life so often, and is lost if there is none for so long.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(15);

/// Keeps connections to the places where it has been.
pub struct Client {
    inner: legacy::Client<Connector, Full<Bytes>>,
    agent: HeaderValue,
}

/// What an exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From dialling to the last byte of the body.
    pub time: Duration,
    /// Bytes of the answer's body.
    pub body: usize,
}

/// An answer, whatever its status.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub sort: Sort,
    /// `Post "https://h/x": dial tcp ...`
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Timeout,
    /// The connection broke when there was one: another try may go well.
    Reset,
    Other,
}

impl Client {
    pub fn new(security: Arc<Security>, agent: &str) -> Self {
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE)
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PONG)
            .build(Connector { security });
        let agent = HeaderValue::from_str(agent).unwrap_or(HeaderValue::from_static("monokube"));
        Self { inner, agent }
    }

    /// Sends a request and reads the answer. A redirect is an answer like any other.
    pub async fn send(&self, mut request: Request<Full<Bytes>>, bounds: Bounds) -> Result<Answer, Failure> {
        let asked = asked(&request);
        request.headers_mut().insert(USER_AGENT, self.agent.clone());
        let exchange = async {
            let response = self.inner.request(request).await.map_err(|error| failure(&asked, &error))?;
            let (head, mut body) = response.into_parts();
            let mut read = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let broken = |error: hyper::Error| Failure { sort: Sort::Reset, text: format!("{asked}: {error}") };
                let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
                if read.len() + data.len() > bounds.body {
                    let text = format!("{asked}: the body is longer than {} bytes", bounds.body);
                    return Err(Failure { sort: Sort::Other, text });
                }
                read.extend_from_slice(&data);
            }
            Ok(Answer { status: head.status, headers: head.headers, body: read.freeze() })
        };
        match tokio::time::timeout(bounds.time, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure { sort: Sort::Timeout, text: format!("{asked}: context deadline exceeded") }),
        }
    }

    /// GETs `url`, with a bearer token should there be one.
    pub async fn get(&self, url: &str, bearer: &str, bounds: Bounds) -> Result<Answer, Failure> {
        let refused = |why: &dyn fmt::Display| Failure { sort: Sort::Other, text: format!("Get {url:?}: {why}") };
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| refused(&error))?;
        if uri.scheme_str() != Some("https") {
            return Err(refused(&"unsupported protocol scheme: only https is spoken"));
        }
        let mut request = Request::get(uri).body(Full::default()).map_err(|error| refused(&error))?;
        if !bearer.is_empty() {
            let value = HeaderValue::from_str(&format!("Bearer {bearer}"));
            let mut value = value.map_err(|_| refused(&"a token that is no header"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let answer = self.send(request, bounds).await?;
        match answer.headers.get(LOCATION) {
            Some(_) if answer.status.is_redirection() => Err(refused(&"a redirect is not followed")),
            _ => Ok(answer),
        }
    }
}

/// `Post "https://h/x"`.
fn asked(request: &Request<Full<Bytes>>) -> String {
    let method = request.method().as_str();
    let (first, rest) = method.split_at(1.min(method.len()));
    format!("{first}{} {:?}", rest.to_ascii_lowercase(), request.uri().to_string())
}

fn failure(asked: &str, error: &legacy::Error) -> Failure {
    let mut source = error.source();
    let mut last = None;
    while let Some(cause) = source {
        if let Some(dial) = cause.downcast_ref::<Dial>() {
            let sort = if dial.late { Sort::Timeout } else { Sort::Other };
            return Failure { sort, text: format!("{asked}: {}", dial.text) };
        }
        last = Some(cause);
        source = cause.source();
    }
    let why = last.map_or_else(|| error.to_string(), ToString::to_string);
    Failure { sort: if error.is_connect() { Sort::Other } else { Sort::Reset }, text: format!("{asked}: {why}") }
}

/// Opens connections.
#[derive(Clone)]
struct Connector {
    security: Arc<Security>,
}

/// Why there is no connection.
#[derive(Debug)]
struct Dial {
    text: String,
    late: bool,
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Dial {}

impl Dial {
    fn new(text: impl fmt::Display) -> Self {
        Self { text: text.to_string(), late: false }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = Dial;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Dial>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Dial>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let security = self.security.clone();
        Box::pin(async move {
            let connected = tokio::time::timeout(CONNECT, connect(&uri, &security)).await;
            let late = |_| Dial { text: "dial tcp: i/o timeout".into(), late: true };
            connected.map_err(late)?.map(TokioIo::new)
        })
    }
}

/// A connection, with TLS or without.
struct Wire {
    stream: Box<dyn Stream>,
    is_h2: bool,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(uri: &Uri, security: &Security) -> Result<Wire, Dial> {
    let host = uri.host().unwrap_or("").trim_start_matches('[').trim_end_matches(']');
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let connected = TcpStream::connect((host, port)).await;
    let stream = connected.map_err(|error| Dial::new(undialled(host, port, &error)))?;
    stream.set_nodelay(true).map_err(Dial::new)?;
    if !secure {
        return Ok(Wire { stream: Box::new(stream), is_h2: false });
    }
    let stream = shake_hands(security, host, stream, &[b"h2", b"http/1.1"]).await.map_err(Dial::new)?;
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Wire { stream: Box::new(stream), is_h2 })
}

/// TLS over a connection that is there, for HTTP/1.1. The error is in Go's words.
pub async fn secure(security: &Security, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    shake_hands(security, host, stream, &[b"http/1.1"]).await
}

async fn shake_hands(
    security: &Security,
    host: &str,
    stream: TcpStream,
    protocols: &[&[u8]],
) -> Result<TlsStream<TcpStream>, String> {
    let name = security.server_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name).map_err(|why| why.to_string())?;
    let mut config = security.tls()?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.map_err(|error| unsecured(host, &error))
}

/// Why there is no connection, in Go's words.
pub fn undialled(host: &str, port: u16, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".into(),
        io::ErrorKind::TimedOut => "i/o timeout".into(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".into(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".into(),
        // A name that cannot be resolved has no kind of its own.
        _ if error.raw_os_error().is_none() => return format!("dial tcp: lookup {host}: no such host"),
        _ => error.to_string(),
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("dial tcp {host}:{port}: {why}")
}

fn unsecured(host: &str, error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let why = match tls {
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            "x509: certificate signed by unknown authority".to_owned()
        }
        Some(TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!("x509: certificate is not valid for {host}"),
        Some(TlsError::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::NotValidYet
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYetContext { .. },
        )) => "x509: certificate has expired or is not yet valid".to_owned(),
        Some(TlsError::InvalidCertificate(other)) => format!("x509: {other}"),
        _ => return error.to_string(),
    };
    format!("tls: failed to verify certificate: {why}")
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        if self.is_h2 { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
