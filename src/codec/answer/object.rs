//! One object as an answer.

use bytes::Bytes;

use super::parts::ListMeta;
use super::pretty::indented;
use super::subject::{Include, Item, Style, Subject};
use crate::codec::json::parse::parse;
use crate::codec::json::write;
use crate::codec::negotiate::Media;
use crate::codec::negotiate::accept::{MetaVersion, Representation, Shown};
use crate::codec::protobuf::{encode, envelope};
use crate::codec::wire::Malformed;
use crate::codec::{cbor, yaml};
use crate::model::status::Status;
use crate::model::time::Time;
use crate::schema::table as t;

impl Subject {
    /// The answer that is this object.
    pub fn object(&self, item: &impl Item, style: Style) -> Result<Bytes, Malformed> {
        let representation = style.representation;
        if representation.media == Media::Protobuf {
            return self.enveloped(item, representation);
        }
        let mut json = Vec::with_capacity(item.raw().len() * 2);
        self.json(&mut json, item, style, true)?;
        in_form(json, representation)
    }

    /// The object in its own envelope: an answer, and what events hold.
    pub(super) fn enveloped(&self, item: &impl Item, representation: Representation) -> Result<Bytes, Malformed> {
        match representation.view {
            Shown::Whole => Ok(envelope::wrap(&self.api_version, &self.kind, item.raw())),
            Shown::Metadata(version) => {
                let message = self.metadata_message(item.kept())?;
                Ok(envelope::wrap(version.api_version(), "PartialObjectMetadata", &message))
            }
            Shown::Table(_) | Shown::MetadataList(_) => Err(Malformed::Form),
        }
    }

    /// Appends its JSON; a table of one row when that is asked for. `columns`: a table says what they are.
    pub(super) fn json(
        &self,
        out: &mut Vec<u8>,
        item: &impl Item,
        style: Style,
        columns: bool,
    ) -> Result<(), Malformed> {
        let Shown::Table(version) = style.representation.view else { return self.write(out, item, style, false) };
        let meta = ListMeta { resource_version: self.resource_version(item.raw())?, ..ListMeta::default() };
        self.table_head(out, version, &meta, columns);
        out.push(b'[');
        self.write(out, item, style, false)?;
        out.extend_from_slice(b"]}");
        Ok(())
    }

    /// A table up to its rows.
    pub(super) fn table_head(&self, out: &mut Vec<u8>, version: MetaVersion, meta: &ListMeta, columns: bool) {
        out.extend_from_slice(b"{\"kind\":\"Table\",\"apiVersion\":");
        write::string(out, version.api_version());
        out.extend_from_slice(b",\"metadata\":");
        meta.write(out);
        out.extend_from_slice(b",\"columnDefinitions\":");
        if columns {
            self.columns(out);
        } else {
            out.extend_from_slice(b"null");
        }
        out.extend_from_slice(b",\"rows\":");
    }
}

/// A whole answer's JSON in the form that is asked for.
fn in_form(mut json: Vec<u8>, representation: Representation) -> Result<Bytes, Malformed> {
    Ok(match representation.media {
        Media::Json if representation.pretty => indented(&json).into(),
        Media::Json => {
            json.push(b'\n');
            json.into()
        }
        Media::Yaml => yaml::emit::text(&parse(&json).map_err(|_| Malformed::Form)?).into(),
        Media::Cbor => cbor::encode(&parse(&json).map_err(|_| Malformed::Form)?).into(),
        Media::Protobuf => return Err(Malformed::Form),
    })
}

/// An error, or the answer to a delete, as an answer.
pub fn status(status: &Status, representation: Representation) -> Result<Bytes, Malformed> {
    let representation = Representation { view: Shown::Whole, ..representation };
    let style = Style { representation, include: Include::None, now: Time::ZERO };
    status_subject().object(&status_message(status)?, style)
}

pub(super) fn status_subject() -> Subject {
    Subject::plain("v1", &t::APIMACHINERY_PKG_APIS_META_V1_STATUS)
}

pub(super) fn status_message(status: &Status) -> Result<Vec<u8>, Malformed> {
    encode::encode(&status.to_value(), &t::APIMACHINERY_PKG_APIS_META_V1_STATUS)
}
