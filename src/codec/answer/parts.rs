//! One object as JSON or protobuf in the form that is asked for: all of it, its metadata, a row.

use std::borrow::Cow;

use super::subject::{Include, Item, Rows, Style, Subject};
use crate::codec::json::decode::decode;
use crate::codec::json::{self, parse, write};
use crate::codec::negotiate::accept::{MetaVersion, Shown};
use crate::codec::protobuf::view::View;
use crate::codec::protobuf::{encode, scan};
use crate::codec::table::row::Row;
use crate::codec::wire::{Malformed, put_bytes, varint_len};
use crate::model::object;
use crate::model::value::Value;
use crate::schema::resource::Shape;
use crate::schema::table as t;

impl Subject {
    /// Appends the object as it stands alone, in an event or in a list.
    ///
    /// Items of lists of built-in types have no kind and apiVersion; nothing else is without.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        item: &impl Item,
        style: Style,
        listed: bool,
    ) -> Result<(), Malformed> {
        match style.representation.view {
            Shown::Whole => self.whole(out, item.raw(), listed),
            Shown::Metadata(version) | Shown::MetadataList(version) => self.metadata(out, item.kept(), version),
            Shown::Table(version) => self.row(out, item, style, version),
        }
    }

    fn whole(&self, out: &mut Vec<u8>, raw: &[u8], listed: bool) -> Result<(), Malformed> {
        match &self.shape {
            Shape::Builtin(message) if listed => write::object(out, raw, message, "", ""),
            Shape::Builtin(message) => write::object(out, raw, message, &self.api_version, &self.kind),
            Shape::Custom(_) => {
                out.extend_from_slice(raw);
                Ok(())
            }
        }
    }

    /// A `PartialObjectMetadata` of the object as it is kept; nothing but the metadata is read.
    fn metadata(&self, out: &mut Vec<u8>, raw: &[u8], version: MetaVersion) -> Result<(), Malformed> {
        out.extend_from_slice(b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":");
        write::string(out, version.api_version());
        out.extend_from_slice(b",\"metadata\":");
        match &self.shape {
            Shape::Builtin(_) => {
                write::message(out, &self.shown_metadata(raw)?, &t::APIMACHINERY_PKG_APIS_META_V1_OBJECTMETA)?;
            }
            Shape::Custom(_) => {
                out.extend_from_slice(json::scan::metadata(raw).map_err(|_| Malformed::Form)?);
            }
        }
        out.push(b'}');
        Ok(())
    }

    /// The same as a message: the metadata is its only field.
    pub(super) fn metadata_message(&self, raw: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        match &self.shape {
            Shape::Builtin(_) => put_bytes(&mut out, 1, &self.shown_metadata(raw)?),
            Shape::Custom(_) => {
                let json = json::scan::metadata(raw).map_err(|_| Malformed::Form)?;
                let message = &t::APIMACHINERY_PKG_APIS_META_V1_OBJECTMETA;
                let decoded = decode(json, message).map_err(|_| Malformed::Form)?;
                put_bytes(&mut out, 1, &encode::encode(&decoded.value, message)?);
            }
        }
        Ok(out)
    }

    /// How long that message is. That of a custom resource is made to be measured, and made again to be sent: a list of
    /// many costs time rather than memory.
    pub(super) fn metadata_length(&self, raw: &[u8]) -> Result<usize, Malformed> {
        Ok(match &self.shape {
            Shape::Builtin(_) => {
                let length = self.shown_metadata(raw)?.len();
                1 + varint_len(length as u64) + length
            }
            Shape::Custom(_) => self.metadata_message(raw)?.len(),
        })
    }

    /// The metadata without what is hidden when it is shown alone.
    fn shown_metadata<'a>(&self, raw: &'a [u8]) -> Result<Cow<'a, [u8]>, Malformed> {
        let metadata = scan::metadata(raw)?;
        match &self.rows {
            Rows::Builtin(kind) if !kind.hidden.is_empty() => scan::without_annotations(metadata, kind.hidden),
            _ => Ok(Cow::Borrowed(metadata)),
        }
    }

    fn row(&self, out: &mut Vec<u8>, item: &impl Item, style: Style, version: MetaVersion) -> Result<(), Malformed> {
        let mut row = Row::new(out, style.now);
        match &self.rows {
            Rows::Builtin(kind) => (kind.cells)(&mut row, View::new(item.kept(), kind.message)),
            Rows::Custom(printer) => {
                let value: Value = parse::parse(item.kept()).map_err(|_| Malformed::Form)?;
                printer.cells(&mut row, &value);
            }
        }
        let out = row.end();
        match style.include {
            Include::None => out.extend_from_slice(b"null"),
            Include::Metadata => self.metadata(out, item.kept(), version)?,
            Include::Object => self.whole(out, item.raw(), false)?,
        }
        out.push(b'}');
        Ok(())
    }

    /// The columns' definitions, a JSON list.
    pub(super) fn columns(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        match &self.rows {
            Rows::Custom(printer) => out.extend_from_slice(printer.definitions()),
            Rows::Builtin(kind) => {
                for (at, column) in kind.columns.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    column.write(out);
                }
            }
        }
        out.push(b']');
    }

    pub(super) fn resource_version(&self, raw: &[u8]) -> Result<String, Malformed> {
        match &self.shape {
            Shape::Builtin(_) => scan::resource_version(raw).map(str::to_owned),
            Shape::Custom(_) => {
                json::scan::meta_text(raw, "resourceVersion").map(Cow::into_owned).map_err(|_| Malformed::Form)
            }
        }
    }
}

/// What a list says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListMeta {
    pub resource_version: String,
    /// Where the next part begins; empty at the end.
    pub continue_token: String,
    pub remaining: Option<i64>,
}

impl ListMeta {
    /// As JSON: a typed list's, without what is empty.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut first = true;
        let mut key = |out: &mut Vec<u8>, name: &str| {
            out.extend_from_slice(if std::mem::take(&mut first) { b"\"" } else { b",\"" });
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
        };
        out.push(b'{');
        for (name, text) in [("resourceVersion", &self.resource_version), ("continue", &self.continue_token)] {
            if !text.is_empty() {
                key(out, name);
                write::string(out, text);
            }
        }
        if let Some(remaining) = self.remaining {
            key(out, "remainingItemCount");
            write::integer(out, remaining);
        }
        out.push(b'}');
    }

    /// As JSON: an untyped list's, which always has `continue`.
    pub(super) fn write_untyped(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"continue\":");
        write::string(out, &self.continue_token);
        if let Some(remaining) = self.remaining {
            out.extend_from_slice(b",\"remainingItemCount\":");
            write::integer(out, remaining);
        }
        out.extend_from_slice(b",\"resourceVersion\":");
        write::string(out, &self.resource_version);
        out.push(b'}');
    }

    /// As a message.
    pub(super) fn message(&self) -> Result<Vec<u8>, Malformed> {
        let mut value = crate::json!({"resourceVersion": self.resource_version, "continue": self.continue_token});
        if let Some(remaining) = self.remaining {
            value["remainingItemCount"] = remaining.into();
        }
        encode::encode(&value, &t::APIMACHINERY_PKG_APIS_META_V1_LISTMETA)
    }
}

/// The bytes of an object that a bookmark shows: it has nothing but a revision, and at the end of the initial events the
/// mark that clients wait for.
pub fn bookmark(subject: &Subject, revision: &str, initial_events_end: bool) -> Result<Vec<u8>, Malformed> {
    let mut value = Value::Object(Default::default());
    object::set_meta(&mut value, "resourceVersion", revision.into());
    if initial_events_end {
        object::set_meta(&mut value, "annotations", crate::json!({"k8s.io/initial-events-end": "true"}));
    }
    match &subject.shape {
        Shape::Builtin(message) => encode::encode(&value, message),
        Shape::Custom(_) => {
            value["apiVersion"] = subject.api_version.as_str().into();
            value["kind"] = subject.kind.as_str().into();
            Ok(value.to_string().into_bytes())
        }
    }
}
