//! A body in messages of a WebSocket, for browsers that read a log: bytes as they are, or base64 as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Bytes of the body in one message.
const MOST: usize = 2048;

/// How bytes are put into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Binary,
    Base64,
}

/// The first of the protocols that is spoken here; whoever names none gets bytes.
pub fn choose<'a>(offered: &[&'a str]) -> Option<(&'a str, Form)> {
    let known = |name: &&'a str| match *name {
        "" | "binary.k8s.io" => Some((*name, Form::Binary)),
        "base64.binary.k8s.io" => Some((*name, Form::Base64)),
        _ => None,
    };
    if offered.is_empty() { Some(("", Form::Binary)) } else { offered.iter().find_map(known) }
}

/// Sends the body to its end, or until the client is gone; what broke off ends. The first message is empty: it tells the
/// client that there is a connection.
pub async fn tell<S, B, E>(socket: WebSocketStream<S>, mut body: B, form: Form)
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let (mut to_client, mut from_client) = socket.split();
    let telling = async {
        to_client.send(form.message(b"")).await?;
        while let Some(Ok(piece)) = body.next().await {
            for part in piece.chunks(MOST) {
                to_client.send(form.message(part)).await?;
            }
        }
        to_client.send(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))).await
    };
    let gone = async { while matches!(from_client.next().await, Some(Ok(message)) if !message.is_close()) {} };
    let told: Result<(), Error> = tokio::select! {
        told = telling => told,
        () = gone => Ok(()),
    };
    if let Err(error) = told {
        tracing::debug!(%error, "a reader is gone before its end");
    }
}

impl Form {
    fn message(self, bytes: &[u8]) -> Message {
        match self {
            Self::Binary => Message::Binary(Bytes::copy_from_slice(bytes)),
            Self::Base64 => Message::Text(STANDARD.encode(bytes).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use tokio::io::DuplexStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;
    use crate::relay::websocket;

    async fn ends() -> (WebSocketStream<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = tokio::io::duplex(1 << 16);
        (websocket::serve(near).await, WebSocketStream::from_raw_socket(far, Role::Client, None).await)
    }

    async fn told(body: Vec<io::Result<Bytes>>, form: Form) -> Vec<Message> {
        let (server, client) = ends().await;
        let ((), messages) = tokio::join!(tell(server, stream::iter(body), form), client.collect::<Vec<_>>());
        messages.into_iter().filter_map(Result::ok).collect()
    }

    #[test]
    fn the_first_protocol_that_is_known_is_spoken() {
        assert_eq!(choose(&[]), Some(("", Form::Binary)));
        assert_eq!(
            choose(&["x", "base64.binary.k8s.io", "binary.k8s.io"]),
            Some(("base64.binary.k8s.io", Form::Base64))
        );
        assert_eq!(choose(&["v5.channel.k8s.io"]), None);
    }

    #[tokio::test]
    async fn a_body_comes_in_messages_and_a_normal_end() {
        let close = Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }));
        let long = vec![b'x'; MOST + 1];
        let body = || vec![Ok(Bytes::from_static(b"alive\n")), Ok(long.clone().into())];
        let binary = |bytes: &[u8]| Message::Binary(Bytes::copy_from_slice(bytes));
        let expected = [binary(b""), binary(b"alive\n"), binary(&long[..MOST]), binary(b"x"), close.clone()];
        assert_eq!(told(body(), Form::Binary).await, expected);
        let broken =
            vec![Ok(Bytes::from_static(b"alive\n")), Err(io::Error::other("gone")), Ok(Bytes::from_static(b"x"))];
        assert_eq!(
            told(broken, Form::Base64).await,
            ["", "YWxpdmUK"].map(Message::from).into_iter().chain([close]).collect::<Vec<_>>()
        );
    }

    #[tokio::test]
    async fn whoever_leaves_is_told_no_more() {
        let (server, mut client) = ends().await;
        let telling = tokio::spawn(tell(server, stream::pending::<io::Result<Bytes>>(), Form::Binary));
        assert_eq!(client.next().await.expect("a message").expect("read"), Message::Binary(Bytes::new()));
        client.close(None).await.expect("sent");
        telling.await.expect("it ends");
    }
}
