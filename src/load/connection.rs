//! One client's connection: TLS and HTTP/2 with the windows that Go's client has.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use super::error::{LoadError, Result};

pub const JSON: &str = "application/json";
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// Bytes of an error's body that are shown.
const SHOWN: usize = 400;
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// One request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub content: &'static str,
    pub accept: &'static str,
    pub gzip: bool,
    pub body: Bytes,
}

impl Ask {
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, JSON, Bytes::new())
    }

    /// A body of this media type; the answer is asked for in JSON.
    pub fn new(method: Method, path: impl Into<String>, content: &'static str, body: Bytes) -> Self {
        Self { method, path: path.into(), content, accept: JSON, gzip: false, body }
    }

    pub fn accepting(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }
}

/// Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    origin: Arc<str>,
    authorization: Arc<str>,
}

impl Connection {
    pub async fn open(address: SocketAddr, tls: Arc<ClientConfig>, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.map_err(LoadError::of("cannot connect"))?;
        stream.set_nodelay(true).map_err(LoadError::of("cannot connect"))?;
        let name = ServerName::IpAddress(address.ip().into());
        let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(LoadError::of("TLS"))?;
        let (sender, driver) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(LoadError::of("HTTP/2"))?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        let (origin, authorization) = (format!("https://{address}"), format!("Bearer {token}"));
        Ok(Self { sender, origin: origin.into(), authorization: authorization.into() })
    }

    /// The answer, whatever it is.
    pub async fn send(&self, ask: Ask) -> Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", self.origin, ask.path))
            .header("authorization", &*self.authorization)
            .header("user-agent", "bench/1")
            .header("accept", ask.accept);
        if ask.gzip {
            request = request.header("accept-encoding", "gzip");
        }
        if !ask.body.is_empty() {
            request = request.header("content-type", ask.content);
        }
        let request = request.body(Full::new(ask.body)).map_err(LoadError::of("a request"))?;
        let mut sender = self.sender.clone();
        sender.ready().await.map_err(LoadError::of("the connection"))?;
        sender.send_request(request).await.map_err(LoadError::of("a request"))
    }

    /// The whole body of a good answer; an error for any other.
    pub async fn expect(&self, ask: Ask) -> Result<Bytes> {
        let (method, path) = (ask.method.clone(), ask.path.clone());
        let response = self.send(ask).await?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(LoadError::of("an answer"))?.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        let said = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned();
        Err(LoadError::Refused(method, path, status.as_u16(), said))
    }

    /// Reads a good answer to its end without keeping it; its bytes.
    pub async fn drain(&self, ask: Ask) -> Result<u64> {
        let (method, path) = (ask.method.clone(), ask.path.clone());
        let response = self.send(ask).await?;
        let status = response.status();
        let (mut body, mut bytes) = (response.into_body(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(LoadError::of("an answer"))?;
            bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        if status.is_success() {
            return Ok(bytes);
        }
        Err(LoadError::Refused(method, path, status.as_u16(), String::new()))
    }
}
