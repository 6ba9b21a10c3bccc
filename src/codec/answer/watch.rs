//! Events of a watch: lines of JSON, frames of protobuf, items of CBOR.

use bytes::Bytes;

use super::object::{status_message, status_subject};
pub use super::parts::bookmark;
use super::subject::{Include, Item, Style, Subject};
use crate::codec::cbor;
use crate::codec::json::parse::parse;
use crate::codec::negotiate::Media;
use crate::codec::negotiate::accept::{Representation, Shown};
use crate::codec::wire::{LENGTH_DELIMITED, Malformed, put_bytes, put_varint, varint_len};
use crate::model::status::Status;
use crate::model::time::Time;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Added,
    Modified,
    Deleted,
    Bookmark,
}

impl Event {
    pub fn name(self) -> &'static str {
        match self {
            Event::Added => "ADDED",
            Event::Modified => "MODIFIED",
            Event::Deleted => "DELETED",
            Event::Bookmark => "BOOKMARK",
        }
    }
}

impl Subject {
    /// An event, framed. `columns`: a table says what its columns are, which the first of a watch does.
    ///
    /// Fails for a list of metadata, which no object is; stock ends such a watch at its first event.
    pub fn event(&self, event: Event, item: &impl Item, style: Style, columns: bool) -> Result<Bytes, Malformed> {
        if let Shown::MetadataList(_) = style.representation.view {
            return Err(Malformed::Form);
        }
        framed(event.name(), style.representation.media, |media| match media {
            Media::Protobuf => self.enveloped(item, style.representation),
            _ => {
                let mut json = Vec::with_capacity(item.raw().len() * 2);
                self.json(&mut json, item, style, columns)?;
                Ok(json.into())
            }
        })
    }
}

/// What ends a watch that cannot go on, framed.
pub fn error(status: &Status, media: Media) -> Result<Bytes, Malformed> {
    let representation = Representation { media, pretty: false, view: Shown::Whole };
    let style = Style { representation, include: Include::None, now: Time::ZERO };
    let (subject, message) = (status_subject(), status_message(status)?);
    framed("ERROR", media, |media| match media {
        Media::Protobuf => subject.enveloped(&message, representation),
        _ => {
            let mut json = Vec::new();
            subject.json(&mut json, &message, style, false)?;
            Ok(json.into())
        }
    })
}

/// `object` gives an envelope for protobuf and JSON for the others.
fn framed(
    kind: &str,
    media: Media,
    object: impl FnOnce(Media) -> Result<Bytes, Malformed>,
) -> Result<Bytes, Malformed> {
    let object = object(media)?;
    let mut out = Vec::with_capacity(object.len() + 48);
    match media {
        Media::Json => {
            out.extend_from_slice(b"{\"type\":\"");
            out.extend_from_slice(kind.as_bytes());
            out.extend_from_slice(b"\",\"object\":");
            out.extend_from_slice(&object);
            out.extend_from_slice(b"}\n");
        }
        Media::Protobuf => {
            // A WatchEvent {type = 1, object = 2 {raw = 1}} behind its length in four bytes.
            let extension = 1 + varint_len(object.len() as u64) + object.len();
            let length = 2 + kind.len() + 1 + varint_len(extension as u64) + extension;
            let length = u32::try_from(length).map_err(|_| Malformed::Overflow)?;
            out.extend_from_slice(&length.to_be_bytes());
            put_bytes(&mut out, 1, kind.as_bytes());
            put_varint(&mut out, u64::from(2 << 3 | LENGTH_DELIMITED));
            put_varint(&mut out, extension as u64);
            put_bytes(&mut out, 1, &object);
        }
        Media::Cbor => {
            let value = parse(&object).map_err(|_| Malformed::Form)?;
            cbor::event(&mut out, kind, &value);
        }
        Media::Yaml => return Err(Malformed::Form),
    }
    Ok(out.into())
}
