//! Answers: bodies that are whole, come in chunks, or go on for as long as the client listens.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};

use crate::relay::pass::Broken;

/// A response's body.
pub enum Body {
    Whole(Option<Bytes>),
    /// Made while it is sent, so that a long list is never held whole.
    Chunks(Box<dyn Iterator<Item = Bytes> + Send>),
    /// Waits for what comes: watches, logs.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    /// A backend's, which may break off: then so does this answer.
    Relayed(Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>),
}

impl Body {
    pub fn empty() -> Self {
        Body::Whole(None)
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        Body::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = match self.get_mut() {
            Body::Whole(bytes) => bytes.take(),
            Body::Chunks(chunks) => chunks.next(),
            Body::Stream(stream) => match stream.as_mut().poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(next) => next,
            },
            Body::Relayed(stream) => match stream.as_mut().poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(next) => return Poll::Ready(next.map(|piece| piece.map(Frame::data))),
            },
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            _ => SizeHint::default(),
        }
    }
}
