//! One HTTP/2 connection to a server, made when it is needed and again when it has broken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::access::{Access, Credential};
use super::error::{RemoteError, Result};

/// How long connecting may take, TLS included.
const DIAL: Duration = Duration::from_secs(10);
/// A connection that says nothing is asked whether it still lives after this, and given half as long to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

type Sender = SendRequest<Full<Bytes>>;

/// As one user to one server.
pub struct Connection {
    server: Arc<str>,
    uri: Uri,
    tls: TlsConnector,
    bearer: Option<HeaderValue>,
    agent: HeaderValue,
    sender: Mutex<Option<Sender>>,
}

impl Connection {
    /// Nothing is sent yet.
    pub fn new(access: &Access, agent: &'static str) -> Result<Self> {
        let wrong = |why: &dyn ToString| RemoteError::Access(format!("{}: {}", access.server, why.to_string()));
        let bearer = match access.credential() {
            Credential::Token(token) => {
                let header = [b"Bearer ".as_slice(), token.expose()].concat();
                let mut header = HeaderValue::from_bytes(&header).map_err(|_| wrong(&"a token that is no header"))?;
                header.set_sensitive(true);
                Some(header)
            }
            _ => None,
        };
        Ok(Self {
            server: access.server.clone(),
            uri: access.server.parse().map_err(|why| wrong(&why))?,
            tls: TlsConnector::from(Arc::new(access.tls()?)),
            bearer,
            agent: HeaderValue::from_static(agent),
            sender: Mutex::new(None),
        })
    }

    pub fn server(&self) -> &Arc<str> {
        &self.server
    }

    /// Sends a request to `path` (with its query) and gives the answer when its headers are there.
    pub async fn send(&self, path: &str, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let uri: Uri = format!("{}{path}", self.server).parse().map_err(|why| self.unreachable(&why))?;
        *request.uri_mut() = uri;
        request.headers_mut().insert(USER_AGENT, self.agent.clone());
        if let Some(bearer) = &self.bearer {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        let mut sender = self.sender().await?;
        sender.send_request(request).await.map_err(|why| self.unreachable(&why))
    }

    async fn sender(&self) -> Result<Sender> {
        let mut held = self.sender.lock().await;
        if let Some(sender) = held.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let dialled = tokio::time::timeout(DIAL, self.dial()).await;
        let fresh = dialled.map_err(|_| self.unreachable(&"no connection in time"))??;
        *held = Some(fresh.clone());
        Ok(fresh)
    }

    async fn dial(&self) -> Result<Sender> {
        let host = self.uri.host().unwrap_or("").trim_start_matches('[').trim_end_matches(']');
        let port = self.uri.port_u16().unwrap_or(443);
        let name = ServerName::try_from(host.to_owned()).map_err(|why| self.unreachable(&why))?;
        let tcp = TcpStream::connect((host, port)).await.map_err(|why| self.unreachable(&why))?;
        tcp.set_nodelay(true).map_err(|why| self.unreachable(&why))?;
        let tls = self.tls.connect(name, tcp).await.map_err(|why| self.unreachable(&why))?;
        let handshake = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE / 2)
            .handshake(TokioIo::new(tls));
        let (sender, connection) = handshake.await.map_err(|why| self.unreachable(&why))?;
        // It ends when the last sender is dropped or the server goes away.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a server ended");
            }
        });
        Ok(sender)
    }

    pub(super) fn unreachable(&self, why: &dyn ToString) -> RemoteError {
        RemoteError::Unreachable { server: self.server.to_string(), why: why.to_string() }
    }

    pub(super) fn malformed(&self, why: &dyn ToString) -> RemoteError {
        RemoteError::Malformed { server: self.server.to_string(), why: why.to_string() }
    }
}
