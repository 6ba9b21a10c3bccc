//! A stream of bytes within WebSocket's binary messages: SPDY of clients that come through what knows only WebSocket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

/// The protocol that carries SPDY, before the name of what SPDY carries.
const PREFIX: &str = "SPDY/3.1+";
const SUFFIX: &str = ".k8s.io";

/// The bytes of the messages.
pub struct Tunnel<S> {
    socket: WebSocketStream<S>,
    /// Of a message that has come, what is not yet read.
    left: Bytes,
}

/// What SPDY is to carry, of the protocols that a client offers: `portforward.k8s.io`.
pub fn carried<'a>(protocols: &[&'a str]) -> Vec<&'a str> {
    let of = |protocol: &&'a str| protocol.strip_prefix(PREFIX).filter(|carried| carried.ends_with(SUFFIX));
    protocols.iter().filter_map(of).collect()
}

/// The protocol that says so of what the backend has chosen; empty when it has not.
pub fn protocol(chosen: &str) -> String {
    if chosen.is_empty() { String::new() } else { format!("{PREFIX}{chosen}") }
}

impl<S> Tunnel<S> {
    pub fn new(socket: WebSocketStream<S>) -> Self {
        Self { socket, left: Bytes::new() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.left.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                None | Some(Ok(Message::Close(_))) => return Poll::Ready(Ok(())),
                Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Some(Ok(Message::Binary(bytes))) => self.left = bytes,
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "invalid message type received",
                    )));
                }
                Some(Ok(_)) => {}
            }
        }
        let length = self.left.len().min(buf.remaining());
        buf.put_slice(&self.left[..length]);
        self.left.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let message = Message::Binary(Bytes::copy_from_slice(buf));
        Pin::new(&mut self.socket).start_send(message).map_err(io::Error::other)?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(cx)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(io::Error::other(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::super::websocket;
    use super::*;

    #[test]
    fn what_is_carried_is_named_after_spdy() {
        assert_eq!(carried(&["v4.channel.k8s.io", "SPDY/3.1+portforward.k8s.io"]), ["portforward.k8s.io"]);
        assert_eq!(protocol("portforward.k8s.io"), "SPDY/3.1+portforward.k8s.io");
        assert!(carried(&["SPDY/3.1+other"]).is_empty() && protocol("").is_empty());
    }

    #[tokio::test]
    async fn bytes_pass_whatever_the_messages_are() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut served = Tunnel::new(websocket::serve(far).await);
        let mut client = Tunnel::new(WebSocketStream::from_raw_socket(near, Role::Client, None).await);
        for part in ["ab", "cde", ""] {
            client.write_all(part.as_bytes()).await.expect("sent");
        }
        client.flush().await.expect("sent");
        let mut read = [0; 5];
        served.read_exact(&mut read).await.expect("read");
        assert_eq!(&read, b"abcde");
        served.write_all(b"back").await.expect("sent");
        served.shutdown().await.expect("ended");
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.expect("read");
        assert_eq!(all, b"back");
    }

    #[tokio::test]
    async fn text_is_no_tunnel() {
        use futures_util::SinkExt as _;
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut served = Tunnel::new(websocket::serve(far).await);
        let mut client = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        client.send(Message::Text("x".into())).await.expect("sent");
        assert!(served.read_u8().await.is_err());
    }
}
