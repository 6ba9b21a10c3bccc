//! Sockets, TLS and HTTP: from a port to requests with a peer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::respond::Body;
use super::strangers::{Stranger, Strangers};
use crate::auth::certificate::Peer;
use crate::relay::pass::Broken;

/// What the listener must know of bounds; see `config::limits`.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub headers: usize,
    pub header_count: usize,
    pub streams: u32,
    pub stream_window: u32,
    pub connection_window: u32,
    pub connections: usize,
    /// Those of them over which no request has come yet.
    pub strangers: usize,
    pub handshake: Duration,
    pub header_read: Duration,
    pub idle: Duration,
    pub keep_alive: Duration,
    pub drain: Duration,
}

/// One connection, as its requests see it.
pub struct Connection {
    pub remote: SocketAddr,
    pub peer: Peer,
    /// Fires when the server wants to end: long answers should come to their end.
    pub draining: CancellationToken,
    /// Fires when no more requests should come over this connection.
    parting: CancellationToken,
    /// Until its first request has come.
    stranger: Mutex<Option<Stranger>>,
    /// Requests that have come, and those of them that are not yet answered whole.
    come: AtomicUsize,
    open: AtomicUsize,
}

/// A request that is not yet answered whole.
struct Open(Arc<Connection>);

/// A body, until whose end its request is open.
struct Sent {
    body: Body,
    _open: Open,
}

impl Connection {
    fn new(remote: SocketAddr, peer: Peer, draining: CancellationToken, stranger: Option<Stranger>) -> Arc<Self> {
        let parting = draining.child_token();
        let (stranger, come, open) = (Mutex::new(stranger), AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { remote, peer, draining, parting, stranger, come, open })
    }

    /// Has the client open a new connection for what comes next; what is under way goes on here.
    pub fn part(&self) {
        self.parting.cancel();
    }

    fn begin(self: &Arc<Self>) -> Open {
        if self.come.fetch_add(1, Ordering::AcqRel) == 0 {
            drop(self.stranger.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(self.clone())
    }

    fn come(&self) -> usize {
        self.come.load(Ordering::Acquire)
    }

    /// Whether nothing is under way and nothing has been since only `come` requests had come.
    fn rests_since(&self, come: usize) -> bool {
        self.come() == come && self.open.load(Ordering::Acquire) == 0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
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

/// Serves until `stop`, with what `tls` is when a connection comes; then lets requests under way come to their end.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    tls: Arc<ArcSwap<ServerConfig>>,
    handler: H,
    bounds: Bounds,
    stop: CancellationToken,
) {
    let (room, open) = (Arc::new(Semaphore::new(bounds.connections)), TaskTracker::new());
    let strangers = Strangers::new(bounds.strangers);
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
        let (handler, stop) = (handler.clone(), stop.clone());
        let acceptor = TlsAcceptor::from(tls.load_full());
        let stranger = strangers.come();
        open.spawn(async move {
            let (_permit, sent_away) = (permit, stranger.sent_away());
            tokio::select! {
                () = sent_away.cancelled() => tracing::debug!(%remote, "too many connections without a request"),
                () = connection(stream, (remote, stranger), acceptor, handler, bounds, stop) => {}
            }
        });
    }
    drop(listener); // who comes now is told so, and asks again
    open.close();
    if tokio::time::timeout(bounds.drain, open.wait()).await.is_err() {
        tracing::warn!(connections = open.len(), "connections are cut off");
    }
}

async fn connection<H: Handler>(
    stream: TcpStream,
    (remote, stranger): (SocketAddr, Stranger),
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
    let session = stream.get_ref().1;
    let chain = session.peer_certificates().unwrap_or_default();
    let peer = Peer::new(chain.iter().map(|c| c.clone().into_owned()).collect());
    let speaks_http2 = session.alpn_protocol() == Some(b"h2");
    let connection = Connection::new(remote, peer, stop, Some(stranger));
    converse(stream, speaks_http2, &connection, handler, bounds).await;
}

/// Speaks HTTP/1.1 over a stream without TLS, with somebody who proves nothing by it, to its end.
pub async fn plainly<S, H>(stream: S, remote: SocketAddr, handler: H, bounds: Bounds, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let connection = Connection::new(remote, Peer::default(), stop, None);
    converse(stream, false, &connection, handler, bounds).await;
}

/// Serves one connection to its end: the client's, the server's, or that of patience with a client that says nothing.
async fn converse<S, H>(stream: S, speaks_http2: bool, connection: &Arc<Connection>, handler: H, bounds: Bounds)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let of = connection.clone();
    let service = service_fn(move |request| {
        let (handler, connection, open) = (handler.clone(), of.clone(), of.begin());
        async move {
            let response = handler.handle(connection, request).await;
            Ok::<_, Infallible>(response.map(|body| Sent { body, _open: open }))
        }
    });
    // What was agreed on is spoken: nobody is waited for to say which it is.
    let builder = if speaks_http2 { http(bounds).http2_only() } else { http(bounds).http1_only() };
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let mut parted = false;
    loop {
        let come = connection.come();
        let patience = if come == 0 { bounds.header_read } else { bounds.idle };
        tokio::select! {
            result = serving.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(remote = %connection.remote, error = %error, "connection ended");
                }
                return;
            }
            () = connection.parting.cancelled(), if !parted => {
                parted = true;
                serving.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(patience) => if connection.rests_since(come) {
                // Over HTTP/1.1 a stranger has nothing to finish.
                if come == 0 && !speaks_http2 {
                    return;
                }
                serving.as_mut().graceful_shutdown();
                let _ = tokio::time::timeout(bounds.handshake, serving).await;
                return;
            }
        }
    }
}

fn http(bounds: Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It counts from the last answer on, so it bounds rest as well; who never asked is not waited for so long.
        .header_read_timeout(bounds.idle)
        .max_buf_size(bounds.headers)
        .max_headers(bounds.header_count)
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

#[cfg(test)]
mod tests {
    use http::Version;
    use http_body_util::Empty;
    use hyper::client::conn::http2;
    use tokio::io::DuplexStream;
    use tokio::sync::Notify;
    use tokio_rustls::rustls::crypto::aws_lc_rs;
    use tokio_rustls::rustls::server::ResolvesServerCertUsingSni;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        headers: 64 << 10,
        header_count: 200,
        streams: 100,
        stream_window: 1 << 16,
        connection_window: 1 << 20,
        connections: 10,
        strangers: 10,
        handshake: Duration::from_secs(10),
        header_read: Duration::from_secs(30),
        idle: Duration::from_secs(90),
        keep_alive: Duration::from_secs(30),
        drain: Duration::from_secs(1),
    };

    /// Answers `ok`; `/wait` when it is told to, `/part` after having parted.
    #[derive(Clone, Default)]
    struct Answers(Arc<Notify>);

    impl Handler for Answers {
        async fn handle(&self, connection: Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
            match request.uri().path() {
                "/wait" => self.0.notified().await,
                "/part" => connection.part(),
                _ => {}
            }
            Response::new("ok".into())
        }
    }

    /// The client's end of a connection, and the task that serves it.
    fn open(http2: bool, handler: Answers) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        let (client, serving, _) = open_and_look(http2, handler);
        (client, serving)
    }

    fn open_and_look(http2: bool, handler: Answers) -> (DuplexStream, tokio::task::JoinHandle<()>, Arc<Connection>) {
        let (client, server) = tokio::io::duplex(4 << 20);
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = Connection::new(remote, Peer::new(Vec::new()), CancellationToken::new(), None);
        let of = connection.clone();
        let serving = tokio::spawn(async move { converse(server, http2, &of, handler, BOUNDS).await });
        (client, serving, connection)
    }

    /// What the server says until it ends the connection.
    async fn said(client: &mut DuplexStream) -> String {
        let mut bytes = Vec::new();
        let _ = client.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    type Sender = http2::SendRequest<Empty<Bytes>>;

    async fn speak(client: DuplexStream) -> Sender {
        let shake = http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await;
        let (sender, connection) = shake.expect("HTTP/2");
        tokio::spawn(connection);
        sender
    }

    async fn get(sender: &mut Sender, path: &str, header: &str) -> Result<u16, hyper::Error> {
        let request = Request::get(format!("https://s{path}")).version(Version::HTTP_2).header("x", header);
        let response = sender.send_request(request.body(Empty::new()).expect("a request")).await?;
        Ok(response.status().as_u16())
    }

    #[tokio::test]
    async fn whoever_comes_while_connections_end_is_turned_away() {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let nobody = Arc::new(ResolvesServerCertUsingSni::new());
        let tls = versions.expect("versions of TLS").with_no_client_auth().with_cert_resolver(nobody);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
        let (tls, bounds) =
            (Arc::new(ArcSwap::from_pointee(tls)), Bounds { drain: Duration::from_secs(600), ..BOUNDS });
        let serving = tokio::spawn(serve(listener, tls, Answers::default(), bounds, stop.clone()));

        let _silent = TcpStream::connect(address).await.expect("let in");
        let mut plain = TcpStream::connect(address).await.expect("let in");
        plain.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
        let mut bytes = Vec::new();
        plain.read_to_end(&mut bytes).await.expect("an answer, so both were let in");
        stop.cancel();
        tokio::task::yield_now().await;
        let refused = TcpStream::connect(address).await.expect_err("turned away").kind();
        assert_eq!((refused, serving.is_finished()), (std::io::ErrorKind::ConnectionRefused, false));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_loris_whoever_sends_headers_slowly_is_cut_off() {
        let (client, serving) = open(false, Answers::default());
        let (mut reader, mut writer) = tokio::io::split(client);
        let dripping = tokio::spawn(async move {
            let _ = writer.write_all(b"GET / HTTP/1.1\r\nhost: s\r\n").await;
            while writer.write_all(b"x: y\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        });
        let begun = tokio::time::Instant::now();
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes).await;
        assert!(begun.elapsed() <= BOUNDS.header_read + Duration::from_secs(1), "{:?}", begun.elapsed());
        serving.await.expect("it ends");
        dripping.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn slow_loris_whoever_says_nothing_is_cut_off() {
        for http2 in [false, true] {
            let (mut client, serving) = open(http2, Answers::default());
            let begun = tokio::time::Instant::now();
            said(&mut client).await;
            serving.await.expect("it ends");
            assert!(begun.elapsed() <= BOUNDS.header_read + BOUNDS.handshake, "{http2}: {:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_asked_may_rest_longer_than_a_stranger() {
        let (mut client, serving) = open(false, Answers::default());
        for _ in 0..2 {
            client.write_all(b"GET / HTTP/1.1\r\nhost: s\r\n\r\n").await.expect("open");
            let mut answer = [0; 1024];
            let length = client.read(&mut answer).await.expect("an answer");
            assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
            tokio::time::sleep(BOUNDS.idle - Duration::from_secs(5)).await;
        }
        let begun = tokio::time::Instant::now();
        said(&mut client).await;
        assert!(begun.elapsed() <= BOUNDS.idle + BOUNDS.handshake, "{:?}", begun.elapsed());
        serving.await.expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_ends_and_a_busy_one_does_not() {
        let handler = Answers::default();
        let (client, serving) = open(true, handler.clone());
        let mut sender = speak(client).await;
        let mut waiting = sender.clone();
        let slow = tokio::spawn(async move { get(&mut waiting, "/wait", "").await });
        tokio::time::sleep(3 * BOUNDS.idle).await;
        assert!(!serving.is_finished(), "a request is open");
        handler.0.notify_one();
        assert_eq!(slow.await.expect("a task").expect("an answer"), 200);
        assert_eq!(get(&mut sender, "/", "").await.expect("still open"), 200);
        tokio::time::sleep(3 * BOUNDS.idle).await;
        assert!(serving.is_finished() && get(&mut sender, "/", "").await.is_err());
    }

    #[tokio::test]
    async fn oversized_headers_are_refused_and_nothing_is_kept() {
        let (mut client, _serving) = open(false, Answers::default());
        let long = "y".repeat(BOUNDS.headers);
        client.write_all(format!("GET / HTTP/1.1\r\nhost: s\r\nx: {long}\r\n\r\n").as_bytes()).await.expect("sent");
        assert!(said(&mut client).await.starts_with("HTTP/1.1 431 "));

        let (mut client, _serving) = open(false, Answers::default());
        let many = "x: y\r\n".repeat(BOUNDS.header_count + 1);
        client.write_all(format!("GET / HTTP/1.1\r\nhost: s\r\n{many}\r\n").as_bytes()).await.expect("sent");
        assert!(said(&mut client).await.starts_with("HTTP/1.1 431 "));

        let (client, _serving) = open(true, Answers::default());
        let mut sender = speak(client).await;
        assert_eq!(get(&mut sender, "/", &long).await.expect("an answer"), 431);
        assert_eq!(get(&mut sender, "/", "short").await.expect("an answer"), 200);
    }

    /// CVE-2023-44487.
    #[tokio::test(start_paused = true)]
    async fn rapid_reset_leaves_no_request_behind() {
        let (client, serving, connection) = open_and_look(true, Answers::default());
        let mut sender = speak(client).await;
        let mut most = 0;
        for _ in 0..2_000 {
            // The stream is reset as soon as it was opened.
            let asked = tokio::time::timeout(Duration::from_millis(1), get(&mut sender, "/wait", "")).await;
            most = most.max(connection.open.load(Ordering::Acquire));
            if matches!(asked, Ok(Err(_))) {
                break;
            }
        }
        assert!(most <= BOUNDS.streams as usize, "{most} at once");
        drop(sender);
        serving.await.expect("it ends");
        assert_eq!(connection.open.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn whoever_is_parted_from_gets_the_answer_and_comes_again_elsewhere() {
        let (client, serving) = open(true, Answers::default());
        let mut sender = speak(client).await;
        assert_eq!(get(&mut sender, "/part", "").await.expect("an answer"), 200);
        serving.await.expect("it ends");
        assert!(get(&mut sender, "/", "").await.is_err());
    }
}
