//! One request to a backend over a connection of its own, and the answer as it comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::dial::Wire;

/// Bytes of an answer's headers, and how many they may be.
const HEADERS: usize = 256 << 10;
const MOST_HEADERS: usize = 256;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The answer's connection. It ends with this.
pub struct Link {
    _driver: AbortOnDropHandle<()>,
}

/// A body on its way. Whoever drops it ends the connection that it comes over.
pub struct Arriving {
    body: Incoming,
    _link: Link,
}

/// A body that broke off: what came of it must not look whole.
#[derive(Debug, thiserror::Error)]
#[error("the backend's answer broke off: {0}")]
pub struct Broken(String);

/// Sends a request. The path is all that its URI has. The error is plain text.
pub async fn send<B>(wire: Wire, request: Request<B>) -> Result<(Response<Incoming>, Link), String>
where
    B: Body<Data = Bytes, Error: Into<Cause>> + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEADERS).max_headers(MOST_HEADERS);
    let (mut sender, connection) = builder.handshake(TokioIo::new(wire)).await.map_err(said)?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a backend ended");
        }
    });
    let link = Link { _driver: AbortOnDropHandle::new(driver) };
    let asked = request.headers().contains_key(http::header::UPGRADE);
    let response = sender.send_request(request).await.map_err(said)?;
    // A stream that nobody asked for would be read as further answers.
    if response.status().is_informational() && !(asked && response.status() == StatusCode::SWITCHING_PROTOCOLS) {
        return Err(format!("unexpected status {}", response.status().as_u16()));
    }
    Ok((response, link))
}

fn said(error: hyper::Error) -> String {
    // Go's word for a connection that ended without a word.
    if error.is_incomplete_message() { "EOF".to_owned() } else { error.to_string() }
}

impl Arriving {
    pub fn new(body: Incoming, link: Link) -> Self {
        Self { body, _link: link }
    }

    /// No more than `most` bytes of it; what is beyond is not read.
    pub async fn beginning(mut self, most: usize) -> Result<Vec<u8>, Broken> {
        use futures_util::StreamExt as _;
        let mut read = Vec::new();
        while let Some(piece) = self.next().await {
            let piece = piece?;
            read.extend_from_slice(&piece[..piece.len().min(most - read.len())]);
            if read.len() == most {
                break;
            }
        }
        Ok(read)
    }
}

impl Stream for Arriving {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
            match frame {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(Broken(said(error))))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}
