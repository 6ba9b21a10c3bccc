//! The events of a watch, as they come.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::api::read;
use super::connection::Connection;
use super::error::{RemoteError, Result};
use crate::codec::wire::Reader;
use crate::model::value::Value;
use crate::schema::table::{APIMACHINERY_PKG_APIS_META_V1_STATUS, Message};

/// Bytes of one event.
const EVENT: usize = 16 << 20;
/// On the bookmark after the objects that were there at the beginning.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// A watch under way; it ends when it is dropped.
pub struct Watch {
    body: Incoming,
    connection: Arc<Connection>,
    message: &'static Message,
    /// What has come of the next events.
    buffer: BytesMut,
}

/// What a watch tells. Objects are sparse.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Added or modified.
    Present(Value),
    Deleted(Value),
    /// All objects that were there at the beginning have been told.
    Synced,
}

impl Watch {
    pub(super) fn new(body: Incoming, connection: Arc<Connection>, message: &'static Message) -> Self {
        Self { body, connection, message, buffer: BytesMut::new() }
    }

    /// The next event; `None` when the server ends the watch, which it does from time to time. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            let frame = take_frame(&mut self.buffer).map_err(|why| self.connection.malformed(&why))?;
            if let Some(frame) = frame {
                match self.event(&frame)? {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(why)) => return Err(self.connection.unreachable(&why)),
                Some(Ok(frame)) => self.buffer.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
            }
        }
    }

    /// `None` for a bookmark that says nothing new.
    fn event(&self, frame: &[u8]) -> Result<Option<Event>> {
        let malformed = |why: String| self.connection.malformed(&why);
        let (kind, object) = split(frame).ok_or_else(|| malformed("an event that is no WatchEvent".to_owned()))?;
        Ok(match kind {
            "ADDED" | "MODIFIED" => Some(Event::Present(read(object, self.message).map_err(malformed)?)),
            "DELETED" => Some(Event::Deleted(read(object, self.message).map_err(malformed)?)),
            "BOOKMARK" => {
                let bookmark = read(object, self.message).map_err(malformed)?;
                (bookmark["metadata"]["annotations"][INITIAL_END] == "true").then_some(Event::Synced)
            }
            "ERROR" => {
                let status = read(object, &APIMACHINERY_PKG_APIS_META_V1_STATUS).map_err(malformed)?;
                return Err(RemoteError::refused(500, &status));
            }
            _ => None,
        })
    }
}

/// A length of four bytes, then so many.
fn take_frame(buffer: &mut BytesMut) -> std::result::Result<Option<Bytes>, String> {
    let Some(length) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > EVENT {
        return Err(format!("an event of {length} bytes, at most {EVENT}"));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    buffer.advance(4);
    let frame = buffer.split_to(length).freeze();
    if buffer.is_empty() {
        // A watch is silent most of the time, and should then hold nothing.
        *buffer = BytesMut::new();
    }
    Ok(Some(frame))
}

/// The type of a WatchEvent, and its object.
fn split(frame: &[u8]) -> Option<(&str, &[u8])> {
    let (mut kind, mut object) = ("", None);
    let mut reader = Reader::new(frame);
    while let Some((number, value)) = reader.field().ok()? {
        match number {
            1 => kind = value.str().ok()?,
            2 => {
                let mut raw = Reader::new(value.bytes().ok()?);
                while let Some((number, value)) = raw.field().ok()? {
                    if number == 1 {
                        object = Some(value.bytes().ok()?);
                    }
                }
            }
            _ => {}
        }
    }
    Some((kind, object?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::wire::put_bytes;

    #[test]
    fn frames_are_taken_whole_or_not_at_all() {
        let mut buffer = BytesMut::from(&b"\0\0\0\x03ab"[..]);
        assert_eq!(take_frame(&mut buffer), Ok(None));
        buffer.extend_from_slice(b"c\0\0\0\0\0");
        assert_eq!(take_frame(&mut buffer), Ok(Some(Bytes::from_static(b"abc"))));
        assert_eq!(take_frame(&mut buffer), Ok(Some(Bytes::new())));
        assert_eq!((take_frame(&mut buffer), buffer.len()), (Ok(None), 1));
        assert!(take_frame(&mut BytesMut::from(&b"\xff\0\0\0"[..])).is_err());
    }

    #[test]
    fn an_event_has_a_type_and_an_object() {
        let (mut raw, mut event) = (Vec::new(), Vec::new());
        put_bytes(&mut raw, 1, b"object");
        put_bytes(&mut event, 1, b"ADDED");
        put_bytes(&mut event, 2, &raw);
        assert_eq!(split(&event), Some(("ADDED", b"object".as_slice())));
        assert_eq!(split(&event[..7]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_an_event_or_not(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
            let _ = split(&bytes);
            let _ = take_frame(&mut BytesMut::from(bytes.as_slice()));
        }
    }
}
