//! Sockets, TLS and HTTP: from a port to requests with a peer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::respond::Body;
use crate::auth::certificate::Peer;

/// What the listener must know of bounds; see `config::limits`.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub headers: usize,
    pub streams: u32,
    pub stream_window: u32,
    pub connection_window: u32,
    pub connections: usize,
    pub handshake: Duration,
    pub header_read: Duration,
    pub keep_alive: Duration,
    pub drain: Duration,
}

/// One connection, as its requests see it.
pub struct Connection {
    pub remote: SocketAddr,
    pub peer: Peer,
    /// Fires when the server wants to end: long answers should come to their end.
    pub draining: CancellationToken,
}

/// Answers requests. Cloned for each connection.
pub trait Handler: Clone + Send + Sync + 'static {
    fn handle(
        &self,
        connection: Arc<Connection>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// The first bytes of a TLS record; anything else is not TLS.
const TLS_HANDSHAKE: u8 = 0x16;
const PLAIN_HTTP: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Serves until `stop`, then lets requests under way come to their end.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    handler: H,
    bounds: Bounds,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let (room, open) = (Arc::new(Semaphore::new(bounds.connections)), TaskTracker::new());
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = room.clone().acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: wait for connections to end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, handler, stop) = (acceptor.clone(), handler.clone(), stop.clone());
        open.spawn(async move {
            let _permit = permit;
            connection(stream, remote, acceptor, handler, bounds, stop).await;
        });
    }
    open.close();
    if tokio::time::timeout(bounds.drain, open.wait()).await.is_err() {
        tracing::warn!(connections = open.len(), "connections are cut off");
    }
}

async fn connection<H: Handler>(
    stream: TcpStream,
    remote: SocketAddr,
    acceptor: TlsAcceptor,
    handler: H,
    bounds: Bounds,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    let handshake = async {
        if !matches!(stream.peek(&mut first).await, Ok(1)) {
            return None;
        }
        if first[0] != TLS_HANDSHAKE {
            refuse_plain(stream).await;
            return None;
        }
        acceptor.accept(stream).await.ok()
    };
    let Ok(Some(stream)) = tokio::time::timeout(bounds.handshake, handshake).await else { return };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let peer = Peer::new(chain.iter().map(|c| c.clone().into_owned()).collect());
    let connection = Arc::new(Connection { remote, peer, draining: stop.clone() });
    let service = service_fn(move |request| {
        let (handler, connection) = (handler.clone(), connection.clone());
        async move { Ok::<_, Infallible>(handler.handle(connection, request).await) }
    });
    let builder = http(bounds);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        result = serving.as_mut() => {
            if let Err(error) = result {
                tracing::debug!(%remote, error = %error, "connection ended");
            }
            return;
        }
        () = stop.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

fn http(bounds: Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_read)
        .max_buf_size(bounds.headers)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams)
        .initial_stream_window_size(bounds.stream_window)
        .initial_connection_window_size(bounds.connection_window)
        .max_header_list_size(bounds.headers as u32)
        .keep_alive_interval(bounds.keep_alive)
        .keep_alive_timeout(bounds.keep_alive);
    builder
}

/// Tells somebody who speaks plain HTTP that this port does not.
async fn refuse_plain(mut stream: TcpStream) {
    let mut begun = [0; 1024];
    let _ = stream.read(&mut begun).await;
    let _ = stream.write_all(PLAIN_HTTP).await;
}
