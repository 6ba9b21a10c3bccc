//! `exec` and `attach` for clients that speak WebSocket (`v5.channel.k8s.io`), with kubelets that speak SPDY.
//!
//! A message's first byte says which channel it is of: stdin, stdout, stderr, error, resize. Each is a stream of SPDY.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::codec::Framed;

use super::pipe::silent;
use super::spdy::frame::{Codec, Frame};
use crate::codec::json::parse;
use crate::model::pod::{items, text};
use crate::model::status::Status;
use crate::model::value::{Value, json};

/// The client's protocol.
pub const PROTOCOL: &str = "v5.channel.k8s.io";
/// What a kubelet may be spoken to in; both are the same on SPDY.
pub const BACKEND_PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const STDIN: usize = 0;
const STDOUT: usize = 1;
const STDERR: usize = 2;
const ERROR: usize = 3;
const RESIZE: usize = 4;
const CHANNELS: usize = 5;
const STREAM_TYPES: [&str; CHANNELS] = ["stdin", "stdout", "stderr", "error", "resize"];
/// Streams are opened in this order: the error stream is there before anything can fail.
const OPENED: [usize; CHANNELS] = [ERROR, STDIN, STDOUT, STDERR, RESIZE];
/// Before a channel's number: that channel is closed.
const CLOSE: u8 = 255;
/// Bytes of what the error stream says.
const MOST_ERROR: usize = 64 << 10;
/// Answers to the kubelet that wait to be sent.
const ANSWERS: usize = 16;
/// How long the client may take to be told how it ended.
const PATIENCE: Duration = Duration::from_secs(10);
const REFUSED_STREAM: u32 = 3;

/// Which channels a command has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
}

/// The client's side.
pub struct Client<S> {
    socket: WebSocketStream<S>,
    channels: Channels,
}

/// How it ended, as the client is told: a Status without what says that it is one.
type Ended = Value;

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Tells the client that there is a connection, by an empty message.
    pub async fn greet(mut socket: WebSocketStream<S>, channels: Channels) -> Option<Self> {
        let first = match channels {
            Channels { stdout: true, .. } => STDOUT,
            Channels { stderr: true, .. } => STDERR,
            _ => ERROR,
        };
        socket.send(Message::Binary(vec![first as u8].into())).await.ok()?;
        Some(Self { socket, channels })
    }

    /// It never came to a command.
    pub async fn fail(self, why: Status) {
        let (sink, _) = self.socket.split();
        conclude(sink, failed(&why)).await;
    }

    /// Translates until the command has ended, the client is gone, or nothing has been said for so long.
    pub async fn run<B>(self, backend: B, silence: Duration)
    where
        B: AsyncRead + AsyncWrite + Unpin,
    {
        let (to_client, from_client) = self.socket.split();
        let (to_backend, from_backend) = Framed::new(backend, Codec::default()).split();
        let (answers, waiting) = mpsc::channel(ANSWERS);
        let streams = Streams::of(self.channels);
        let moved = AtomicU64::new(0);
        let inward = Inward { from_client, to_backend, waiting, streams, moved: &moved };
        let mut outward = Outward {
            to_client,
            from_backend,
            answers,
            open: streams.output(),
            streams,
            said: Vec::new(),
            moved: &moved,
        };
        let ended = tokio::select! {
            // Whoever is gone needs no end.
            result = inward.run() => result.err().map(failed_by),
            ended = outward.run() => ended,
            () = silent(&moved, silence) => Some(failed_by("idle for too long")),
        };
        if let Some(ended) = ended {
            conclude(outward.to_client, ended).await;
        }
    }
}

/// The last message, and the end of the conversation.
async fn conclude<S>(mut to_client: SplitSink<WebSocketStream<S>, Message>, ended: Ended)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let last = message(ERROR, ended.to_string().as_bytes());
    let close = Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }));
    let telling = async {
        to_client.send(last).await?;
        to_client.send(close).await
    };
    if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, telling).await {
        tracing::debug!(%error, "a client is gone before its command");
    }
}

fn succeeded() -> Ended {
    json!({"metadata": {}, "status": "Success"})
}

fn failed(status: &Status) -> Ended {
    let mut value = status.to_value();
    if let Some(status) = value.as_object_mut() {
        ["kind", "apiVersion"].iter().for_each(|name| drop(status.remove(name)));
    }
    value
}

fn failed_by(why: impl std::fmt::Display) -> Ended {
    failed(&Status::internal(why))
}

fn exited(code: u8) -> Ended {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: command terminated with exit code {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}
    })
}

fn message(channel: usize, data: &[u8]) -> Message {
    let mut bytes = Vec::with_capacity(data.len() + 1);
    bytes.push(channel as u8);
    bytes.extend_from_slice(data);
    Message::Binary(bytes.into())
}

/// The SPDY stream of each channel that there is.
#[derive(Clone, Copy, Debug)]
struct Streams([Option<u32>; CHANNELS]);

impl Streams {
    fn of(channels: Channels) -> Self {
        let Channels { stdin, stdout, stderr, tty } = channels;
        let wanted = [stdin, stdout, stderr && !tty, true, tty];
        let mut streams = [None; CHANNELS];
        let mut next = 1;
        for channel in OPENED.into_iter().filter(|channel| wanted[*channel]) {
            streams[channel] = Some(next);
            next += 2;
        }
        Self(streams)
    }

    fn channel(self, stream: u32) -> Option<usize> {
        self.0.iter().position(|known| *known == Some(stream))
    }

    /// Which channels must end before all is said.
    fn output(self) -> [bool; CHANNELS] {
        let mut open = [false; CHANNELS];
        [STDOUT, STDERR, ERROR].iter().for_each(|channel| open[*channel] = self.0[*channel].is_some());
        open
    }
}

/// From the client to the kubelet.
struct Inward<'a, C, B> {
    from_client: SplitStream<WebSocketStream<C>>,
    to_backend: SplitSink<Framed<B, Codec>, Frame>,
    waiting: mpsc::Receiver<Frame>,
    streams: Streams,
    moved: &'a AtomicU64,
}

impl<C, B> Inward<'_, C, B>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    /// Returns when the client is gone; fails when the kubelet is.
    async fn run(mut self) -> io::Result<()> {
        for channel in OPENED {
            if let Some(stream) = self.streams.0[channel] {
                let headers = vec![("streamtype".to_owned(), STREAM_TYPES[channel].to_owned())];
                self.to_backend.send(Frame::Open { stream, fin: false, headers }).await?;
            }
        }
        loop {
            let message = tokio::select! {
                message = self.from_client.next() => message,
                answer = self.waiting.recv() => {
                    if let Some(answer) = answer {
                        self.to_backend.send(answer).await?;
                    }
                    continue;
                }
            };
            self.moved.fetch_add(1, Ordering::Relaxed);
            let bytes = match message {
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Text(text))) => Bytes::from(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                None | Some(Err(_) | Ok(Message::Close(_))) => return Ok(()),
            };
            if !self.take(bytes).await? {
                return Ok(());
            }
        }
    }

    /// False when the client does not keep to the protocol.
    async fn take(&mut self, bytes: Bytes) -> io::Result<bool> {
        let Some((first, data)) = bytes.split_first() else { return Ok(true) };
        let (channel, fin) = match (*first, data) {
            (CLOSE, [channel]) if usize::from(*channel) < CHANNELS => (usize::from(*channel), true),
            (CLOSE, _) => return Ok(false),
            (channel, _) => (usize::from(channel), false),
        };
        if !matches!(channel, STDIN | RESIZE) || data.is_empty() {
            return Ok(true);
        }
        let Some(stream) = self.streams.0[channel] else { return Ok(true) };
        if fin {
            self.streams.0[channel] = None;
        }
        let data = if fin { Bytes::new() } else { bytes.slice(1..) };
        self.to_backend.send(Frame::Data { stream, fin, data }).await?;
        Ok(true)
    }
}

/// From the kubelet to the client.
struct Outward<'a, C, B> {
    to_client: SplitSink<WebSocketStream<C>, Message>,
    from_backend: SplitStream<Framed<B, Codec>>,
    answers: mpsc::Sender<Frame>,
    streams: Streams,
    /// Channels that have not ended.
    open: [bool; CHANNELS],
    /// What has come of the error stream.
    said: Vec<u8>,
    moved: &'a AtomicU64,
}

impl<C, B> Outward<'_, C, B>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    /// How the command ended; `None` when the client is gone.
    async fn run(&mut self) -> Option<Ended> {
        while self.open.contains(&true) {
            let frame = match self.from_backend.next().await {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Some(self.cut_off(&error.to_string())),
                None => return Some(self.cut_off("unexpected EOF")),
            };
            self.moved.fetch_add(1, Ordering::Relaxed);
            match frame {
                Frame::Data { stream, fin, data } => self.pass(stream, fin, &data).await?,
                // Kubelets end their streams so, too.
                Frame::Reset { stream, .. } => self.close(stream),
                Frame::Reply { stream, fin: true, .. } | Frame::Headers { stream, fin: true, .. } => self.close(stream),
                // Its own pings have even numbers; who asks faster than can be answered is not answered.
                Frame::Ping(id) if id % 2 == 0 => drop(self.answers.try_send(Frame::Ping(id))),
                Frame::Open { stream, .. } => {
                    drop(self.answers.try_send(Frame::Reset { stream, status: REFUSED_STREAM }));
                }
                _ => {}
            }
        }
        Some(decide(&self.said))
    }

    async fn pass(&mut self, stream: u32, fin: bool, data: &[u8]) -> Option<()> {
        match self.streams.channel(stream) {
            Some(channel @ (STDOUT | STDERR)) if !data.is_empty() && self.open[channel] => {
                self.to_client.send(message(channel, data)).await.ok()?;
            }
            Some(ERROR) => self.said.extend_from_slice(&data[..data.len().min(MOST_ERROR - self.said.len())]),
            _ => {}
        }
        if fin {
            self.close(stream);
        }
        Some(())
    }

    fn close(&mut self, stream: u32) {
        if let Some(channel) = self.streams.channel(stream) {
            self.open[channel] = false;
        }
    }

    /// The kubelet is gone. What it had said of the end counts.
    fn cut_off(&self, why: &str) -> Ended {
        match self.said.is_empty() {
            true => failed_by(format!("error reading from error stream: {why}")),
            false => decide(&self.said),
        }
    }
}

/// What the error stream says of the end, as clients are told it.
fn decide(said: &[u8]) -> Ended {
    if said.is_empty() {
        return succeeded();
    }
    let protocol = |why: &str| failed_by(format!("error stream protocol error: {why}"));
    let Ok(status) = parse::parse(said) else { return protocol("no status") };
    match (text(&status, "status"), text(&status, "reason")) {
        ("Success", _) => succeeded(),
        ("Failure", "NonZeroExitCode") => {
            exit_code(&status).map_or_else(|| protocol("no ExitCode cause given"), exited)
        }
        ("Failure", _) => failed_by(text(&status, "message")),
        _ => protocol("unknown error"),
    }
}

fn exit_code(status: &Value) -> Option<u8> {
    let cause = items(&status["details"], "causes").find(|cause| text(cause, "reason") == "ExitCode")?;
    text(cause, "message").parse().ok()
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::io::{AsyncWriteExt as _, DuplexStream};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::super::websocket;
    use super::*;

    const SILENCE: Duration = Duration::from_secs(3600);
    const ALL: Channels = Channels { stdin: true, stdout: true, stderr: true, tty: false };

    type Socket = WebSocketStream<DuplexStream>;
    type Kubelet = Framed<DuplexStream, Codec>;

    /// A client, a kubelet, and the translation between them, which ends with both.
    async fn started(channels: Channels) -> (Socket, Kubelet, impl Future<Output = ()>) {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (here, there) = tokio::io::duplex(1 << 20);
        let client = Client::greet(websocket::serve(far).await, channels).await.expect("there");
        let running = tokio::spawn(client.run(here, SILENCE));
        let mut client = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        let first = if channels.stdout { STDOUT } else { ERROR };
        assert_eq!(next(&mut client).await, Some((first as u8, Bytes::new())));
        let kubelet = Framed::new(there, Codec::default());
        (client, kubelet, async { running.await.expect("a task") })
    }

    /// The next message: its channel, and what it says. `None`: the end.
    async fn next(client: &mut Socket) -> Option<(u8, Bytes)> {
        match client.next().await {
            Some(Ok(Message::Binary(bytes))) => Some((bytes[0], bytes.slice(1..))),
            Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Normal => None,
            other => panic!("{other:?}"),
        }
    }

    async fn last(client: &mut Socket) -> Value {
        let (channel, bytes) = next(client).await.expect("a message");
        assert_eq!(usize::from(channel), ERROR);
        assert_eq!(next(client).await, None);
        parse::parse(&bytes).expect("JSON")
    }

    async fn opened(kubelet: &mut Kubelet, count: usize) -> Vec<(u32, String)> {
        let mut streams = Vec::new();
        for _ in 0..count {
            match kubelet.next().await {
                Some(Ok(Frame::Open { stream, fin: false, headers })) => {
                    streams.push((stream, headers[0].1.clone()));
                    kubelet.send(Frame::Reply { stream, fin: false, headers: Vec::new() }).await.expect("sent");
                }
                other => panic!("{other:?}"),
            }
        }
        streams
    }

    async fn say(kubelet: &mut Kubelet, stream: u32, text: &str, fin: bool) {
        let data = Bytes::copy_from_slice(text.as_bytes());
        kubelet.send(Frame::Data { stream, fin, data }).await.expect("sent");
    }

    async fn send(client: &mut Socket, bytes: &'static [u8]) {
        client.send(Message::Binary(Bytes::from_static(bytes))).await.expect("sent");
    }

    #[tokio::test]
    async fn a_command_has_its_channels_as_streams_and_its_end_as_a_status() {
        let (mut client, mut kubelet, ended) = started(ALL).await;
        let streams = opened(&mut kubelet, 4).await;
        assert_eq!(streams, [(1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")].map(|(n, s)| (n, s.into())));

        send(&mut client, b"\x00in").await;
        send(&mut client, b"\xff\x00").await;
        send(&mut client, b"\x00too late").await;
        let data =
            |stream, text: &'static str, fin| Frame::Data { stream, fin, data: Bytes::from_static(text.as_bytes()) };
        assert_eq!(kubelet.next().await.expect("one").expect("a frame"), data(3, "in", false));
        assert_eq!(kubelet.next().await.expect("one").expect("a frame"), data(3, "", true), "half closed");

        say(&mut kubelet, 5, "out", false).await;
        say(&mut kubelet, 7, "err", true).await;
        say(&mut kubelet, 5, "", true).await;
        assert_eq!(next(&mut client).await, Some((1, "out".into())));
        assert_eq!(next(&mut client).await, Some((2, "err".into())));
        let status = r#"{"status":"Failure","reason":"NonZeroExitCode","message":"m",
            "details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        say(&mut kubelet, 1, status, false).await;
        kubelet.send(Frame::Reset { stream: 1, status: 5 }).await.expect("sent");
        assert_eq!(last(&mut client).await, exited(3));
        drop(client);
        ended.await;
        assert!(kubelet.next().await.is_none(), "the kubelet is let go");
    }

    #[tokio::test]
    async fn a_terminal_has_sizes_and_no_stderr() {
        let (mut client, mut kubelet, _) = started(Channels { tty: true, ..ALL }).await;
        let kinds: Vec<String> = opened(&mut kubelet, 4).await.into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(kinds, ["error", "stdin", "stdout", "resize"]);
        send(&mut client, b"\x04{\"Width\":80,\"Height\":24}").await;
        match kubelet.next().await {
            Some(Ok(Frame::Data { stream: 7, fin: false, data })) => assert_eq!(data, "{\"Width\":80,\"Height\":24}"),
            other => panic!("{other:?}"),
        }
        // Nobody writes to what is there to be read, nor to what is not there.
        send(&mut client, b"\x01x").await;
        send(&mut client, b"\x09x").await;
        send(&mut client, b"\x00y").await;
        match kubelet.next().await {
            Some(Ok(Frame::Data { stream: 3, data, .. })) => assert_eq!(data, "y"),
            other => panic!("{other:?}"),
        }
    }

    /// Nothing is kept open after a failure, and a client that breaks the protocol has no more of the kubelet.
    #[tokio::test]
    async fn either_side_that_fails_takes_the_other_along() {
        let (client, mut kubelet, ended) = started(ALL).await;
        opened(&mut kubelet, 4).await;
        drop(client);
        ended.await;
        assert!(kubelet.next().await.is_none());

        let (mut client, mut kubelet, ended) = started(ALL).await;
        opened(&mut kubelet, 4).await;
        send(&mut client, b"\xff\x00\x00").await;
        ended.await;
        assert!(kubelet.next().await.is_none());

        let (mut client, kubelet, ended) = started(ALL).await;
        drop(kubelet);
        let status = last(&mut client).await;
        assert_eq!((text(&status, "status"), text(&status, "reason")), ("Failure", "InternalError"));
        ended.await;
    }

    #[tokio::test]
    async fn a_malicious_kubelet_ends_the_command_and_no_more() {
        let (mut client, mut kubelet, ended) = started(ALL).await;
        opened(&mut kubelet, 4).await;
        kubelet.get_mut().write_all(&[0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff]).await.expect("sent");
        let status = last(&mut client).await;
        let said = "Internal error occurred: error reading from error stream: SPDY: a frame that is too long";
        assert_eq!(text(&status, "message"), said);
        ended.await;

        // What it says of the end is bounded, its pings and streams are answered or not minded.
        let (mut client, mut kubelet, _) = started(ALL).await;
        opened(&mut kubelet, 4).await;
        for id in 0..1000 {
            kubelet.send(Frame::Ping(2 * id)).await.expect("sent");
            kubelet.send(Frame::Open { stream: 2 * id + 2, fin: false, headers: Vec::new() }).await.expect("sent");
        }
        for _ in 0..100 {
            say(&mut kubelet, 1, &"x".repeat(1000), false).await;
        }
        for stream in [1, 5, 7] {
            say(&mut kubelet, stream, "", true).await;
        }
        let status = last(&mut client).await;
        assert_eq!(text(&status, "message"), "Internal error occurred: error stream protocol error: no status");
    }

    #[test]
    fn what_the_error_stream_says_is_told() {
        assert_eq!(decide(b""), succeeded());
        assert_eq!(decide(br#"{"status":"Success"}"#), succeeded());
        assert_eq!(decide(br#"{"status":"Failure","message":"m"}"#), failed_by("m"));
        let lost = decide(br#"{"status":"Failure","reason":"NonZeroExitCode"}"#);
        assert_eq!(lost, failed_by("error stream protocol error: no ExitCode cause given"));
        assert_eq!(exited(1)["details"]["causes"][0]["message"], "1");
    }
}
