//! Connections to backends: an address that may be gone to, and TLS as the backend's sort asks for it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::guard::{Guard, Refused};
use crate::auth::outward::access::Security;
use crate::auth::outward::client;

/// How the other side is known, and as whom this server comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// No TLS.
    Plain,
    /// By the authorities of kubelets, with the client certificate for them.
    Kubelet,
    /// The same certificate, shown to whoever answers (`insecureSkipTLSVerifyBackend`).
    AnyKubelet,
    /// TLS without looking who it is, as nobody: pods and services are reached by addresses that no certificate has.
    Anyone,
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub trust: Trust,
    /// An address or a name, without brackets.
    pub host: String,
    pub port: u16,
}

/// Makes connections.
pub struct Dialer {
    pub guard: Guard,
    pub kubelet: Security,
    pub any_kubelet: Security,
    pub anyone: Security,
    /// How long connecting may take, TLS included.
    pub patience: Duration,
}

/// A connection that may be secured.
pub struct Wire(Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Wire {
    pub(super) fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl Place {
    pub fn scheme(&self) -> &'static str {
        if self.trust == Trust::Plain { "http" } else { "https" }
    }
}

/// `host:port`, an IPv6 address in brackets.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Dialer {
    /// A new connection. The error is in the words of Go's client.
    pub async fn connect(&self, place: &Place) -> Result<Wire, Refused> {
        let connected = tokio::time::timeout(self.patience, self.try_connect(place)).await;
        connected.unwrap_or_else(|_| Err(Refused::Unknown(format!("dial tcp {place}: i/o timeout"))))
    }

    async fn try_connect(&self, place: &Place) -> Result<Wire, Refused> {
        let mut failed = Refused::NotAllowed;
        for address in self.guard.resolve(&place.host, place.port).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    self.guard.arrived(&stream)?;
                    return self.secure(place, stream).await;
                }
                Err(error) => failed = Refused::Unknown(client::undialled(&place.host, place.port, &error)),
            }
        }
        Err(failed)
    }

    async fn secure(&self, place: &Place, stream: TcpStream) -> Result<Wire, Refused> {
        let security = match place.trust {
            Trust::Plain => return Ok(Wire::new(stream)),
            Trust::Kubelet => &self.kubelet,
            Trust::AnyKubelet => &self.any_kubelet,
            Trust::Anyone => &self.anyone,
        };
        let _ = stream.set_nodelay(true);
        let secured = client::secure(security, &place.host, stream).await;
        secured.map(Wire::new).map_err(Refused::Unknown)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
