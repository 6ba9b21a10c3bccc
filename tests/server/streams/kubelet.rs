//! A kubelet, as far as an API server sees one: logs, exec, attach and port-forward over SPDY, and a page. Pods and
//! services that speak plain HTTP are played by it, too.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, LOCATION, UPGRADE};
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame as Piece, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use monokube::base::clock::Clock;
use monokube::base::entropy::Entropy;
use monokube::pki::folder::{Pki, Serving};
use monokube::relay::spdy::frame::{Codec, Frame};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_util::codec::Framed;

/// Runs until it is dropped.
pub struct Kubelet {
    /// Of the kubelet, over TLS with a client certificate.
    pub secure: SocketAddr,
    /// Of a pod, over plain HTTP, at every address of the machine.
    pub plain: SocketAddr,
    /// Followed logs and streams that are open.
    open: watch::Sender<usize>,
    /// Requests that came, by their first lines, and the client's common name where there is one.
    pub seen: Arc<Mutex<Vec<String>>>,
    runtime: Runtime,
}

#[derive(Clone)]
struct Shared {
    open: watch::Sender<usize>,
    seen: Arc<Mutex<Vec<String>>>,
    own: SocketAddr,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Counts for as long as it is there.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Kubelet {
    /// Certified by the authority in this folder, and believing whom it certifies.
    pub fn start(pki: &Path) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("starts");
        let (open, seen) = (watch::Sender::new(0), Arc::new(Mutex::new(Vec::new())));
        let config = config(pki);
        let (secure, plain) = runtime.block_on(async {
            let bind = async |address: &str| TcpListener::bind(address).await.expect("a port");
            let (secure, plain) = (bind("127.0.0.1:0").await, bind("0.0.0.0:0").await);
            let addresses = (secure.local_addr().expect("one"), plain.local_addr().expect("one"));
            let shared = |own| Shared { open: open.clone(), seen: seen.clone(), own };
            tokio::spawn(serve(secure, Some(TlsAcceptor::from(config)), shared(addresses.0)));
            tokio::spawn(serve(plain, None, shared(addresses.1)));
            addresses
        });
        Self { secure, plain, open, seen, runtime }
    }

    /// Returns when nothing is open any more.
    pub fn rests(&self) {
        let open = self.wait(|open| *open == 0);
        assert!(open.is_ok(), "{} streams are still open", *self.open.borrow());
    }

    /// Returns when something is.
    pub fn works(&self) {
        assert!(self.wait(|open| *open > 0).is_ok(), "nothing was opened");
    }

    /// Until so many are open, half a minute at most.
    fn wait(&self, wanted: impl FnMut(&usize) -> bool) -> Result<(), Elapsed> {
        let mut open = self.open.subscribe();
        let met = async { open.wait_for(wanted).await.map(drop).expect("the sender is here") };
        self.runtime.block_on(async { timeout(Duration::from_secs(30), met).await })
    }
}

fn config(pki: &Path) -> Arc<ServerConfig> {
    let serving = Serving::new("kubelet", "cluster.local", &["127.0.0.1".parse().expect("an address")], &[]);
    let pki = Pki::open(pki, &serving, &Clock::machine(), &Entropy::machine()).expect("a folder");
    let (chain, key) = pki.serving.to_der().expect("a certificate");
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(pki.authority.certificate().der().clone()).expect("an authority");
    let provider = Arc::new(default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().expect("roots");
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    Arc::new(config.with_client_cert_verifier(clients).with_single_cert(chain, key).expect("a certificate"))
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Shared) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(stream, shared).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        converse(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, shared: Shared) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(request, &shared)) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

fn whole(code: u16, text: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(text.into()).boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(code).expect("a code");
    response
}

fn answer(request: Request<Incoming>, shared: &Shared) -> Answer {
    let target = request.uri().path_and_query().expect("a path").to_string();
    let wanted =
        request.headers().get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or("").to_ascii_lowercase();
    shared.seen.lock().expect("not poisoned").push(format!("{} {target} {wanted}", request.method()));
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let segments: Vec<&str> = path.split('/').collect();
    match segments[1..] {
        ["containerLogs", _, "broken", _] => {
            whole(400, "container \"main\" in pod \"broken\" is waiting to start: ContainerCreating")
        }
        ["containerLogs", ..] if query.contains("follow=true") => followed(shared),
        ["containerLogs", ..] => whole(200, format!("{path} {query}\n")),
        ["exec" | "attach", _, "refusing", _] => whole(404, "container not found (\"main\")"),
        ["exec" | "attach" | "portForward", ..] if wanted == "spdy/3.1" => spdy(request, query.to_owned(), shared),
        ["exec" | "attach" | "portForward", ..] if wanted == "websocket" => raw(request, shared),
        ["exec" | "attach" | "portForward", ..] => whole(400, "Upgrade request required\n"),
        ["away"] => moved("http://192.0.2.1/elsewhere"),
        ["here"] => moved(&format!("http://127.0.0.1:{}/there/?a=b", shared.own.port())),
        ["page"] => {
            let mut page = whole(200, "<a href=\"/next\">next</a>");
            page.headers_mut().insert("content-type", HeaderValue::from_static("text/html"));
            page
        }
        ["cut"] => cut(),
        _ => told(&request),
    }
}

fn moved(to: &str) -> Answer {
    let mut response = whole(302, "");
    response.headers_mut().insert(LOCATION, HeaderValue::from_str(to).expect("a header"));
    response
}

/// What came: the first line, then the headers.
fn told(request: &Request<Incoming>) -> Answer {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    let mut response = whole(200, text);
    response.headers_mut().insert("access-control-allow-origin", HeaderValue::from_static("*"));
    response
}

/// One line, then nothing for as long as somebody listens.
fn followed(shared: &Shared) -> Answer {
    let open = Open::new(&shared.open);
    let lines = futures_util::stream::unfold((0, open), |(count, open)| async move {
        if count > 0 {
            std::future::pending::<()>().await;
        }
        Some((Ok(Piece::data(Bytes::from_static(b"first line\n"))), (count + 1, open)))
    });
    Response::new(StreamBody::new(lines).boxed_unsync())
}

/// Promises more than it says, and is gone when the beginning has been sent.
fn cut() -> Answer {
    let pieces = futures_util::stream::unfold(0, |count| async move {
        match count {
            0 => Some((Ok(Piece::data(Bytes::from_static(b"half"))), 1)),
            _ => {
                tokio::task::yield_now().await;
                None
            }
        }
    });
    let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
    response.headers_mut().insert("content-length", HeaderValue::from_static("8"));
    response
}

fn agreed(request: &Request<Incoming>, protocol: &'static str) -> Answer {
    let mut response = whole(101, "");
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(protocol));
    if let Some(offered) = request.headers().get("x-stream-protocol-version") {
        let first = offered.to_str().expect("text").split(',').next().unwrap_or("").trim().to_owned();
        headers.insert("x-stream-protocol-version", HeaderValue::from_str(&first).expect("a header"));
    }
    response
}

/// Says which protocols were offered, and ends.
fn raw(mut request: Request<Incoming>, shared: &Shared) -> Answer {
    let response = agreed(&request, "websocket");
    let offered = request.headers().get("sec-websocket-protocol").cloned();
    let (upgrade, open) = (hyper::upgrade::on(&mut request), Open::new(&shared.open));
    tokio::spawn(async move {
        let _open = open;
        let mut stream = TokioIo::new(upgrade.await.expect("a stream"));
        let offered = offered.map_or(Vec::new(), |value| value.as_bytes().to_vec());
        let _ = stream.write_all(&[b"offered ", offered.as_slice()].concat()).await;
        let _ = stream.shutdown().await;
    });
    response
}

fn spdy(mut request: Request<Incoming>, query: String, shared: &Shared) -> Answer {
    let response = agreed(&request, "SPDY/3.1");
    let (upgrade, open) = (hyper::upgrade::on(&mut request), Open::new(&shared.open));
    tokio::spawn(async move {
        let _open = open;
        let stream = TokioIo::new(upgrade.await.expect("a stream"));
        let _ = echo(Framed::new(stream, Codec::default()), &query).await;
    });
    response
}

/// What is read of stdin is written to stdout; a forwarded port says it back. `command=fail` ends with 3.
async fn echo<S>(mut wire: Framed<S, Codec>, query: &str) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut kinds: HashMap<u32, String> = HashMap::new();
    while let Some(frame) = wire.next().await {
        match frame? {
            Frame::Open { stream, headers, .. } => {
                let kind = headers.into_iter().find(|(name, _)| name == "streamtype").map(|(_, kind)| kind);
                kinds.insert(stream, kind.unwrap_or_default());
                wire.send(Frame::Reply { stream, fin: false, headers: Vec::new() }).await?;
                let has_input = query.contains("input=1");
                let complete = kinds.values().any(|kind| kind == "error")
                    && ["output", "error"].iter().all(|name| {
                        let stream = if *name == "output" { "stdout" } else { "stderr" };
                        !query.contains(&format!("{name}=1")) || kinds.values().any(|kind| kind == stream)
                    });
                if complete && !has_input && query.contains("command=") {
                    finish(&mut wire, &kinds, query).await?;
                }
            }
            Frame::Data { stream, fin, data } => {
                let kind = kinds.get(&stream).cloned().unwrap_or_default();
                if kind == "data" {
                    wire.send(Frame::Data { stream, fin, data }).await?;
                    if fin {
                        let stream = of(&kinds, "error");
                        wire.send(Frame::Data { stream, fin, data: Bytes::new() }).await?;
                    }
                } else if kind == "stdin" {
                    let to = of(&kinds, "stdout");
                    wire.send(Frame::Data { stream: to, fin: false, data }).await?;
                    if fin {
                        finish(&mut wire, &kinds, query).await?;
                    }
                }
            }
            Frame::Ping(id) => wire.send(Frame::Ping(id)).await?,
            _ => {}
        }
    }
    Ok(())
}

fn of(kinds: &HashMap<u32, String>, wanted: &str) -> u32 {
    kinds.iter().find(|(_, kind)| *kind == wanted).map_or(0, |(stream, _)| *stream)
}

async fn finish<S>(wire: &mut Framed<S, Codec>, kinds: &HashMap<u32, String>, query: &str) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = query.contains("command=fail");
    let say = |kind: &str, text: &'static str| Frame::Data {
        stream: of(kinds, kind),
        fin: true,
        data: Bytes::from_static(text.as_bytes()),
    };
    wire.send(say("stdout", if failed { "" } else { "done\n" })).await?;
    if query.contains("error=1") {
        wire.send(say("stderr", if failed { "went wrong\n" } else { "" })).await?;
    }
    let status = match failed {
        true => {
            r#"{"metadata":{},"status":"Failure","message":"m","reason":"NonZeroExitCode",
                "details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#
        }
        false => r#"{"metadata":{},"status":"Success"}"#,
    };
    wire.send(say("error", status)).await
}
