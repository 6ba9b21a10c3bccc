//! A list as an answer, chunk by chunk, so that its size costs time and not memory.

use bytes::Bytes;

pub use super::parts::ListMeta;
use super::pretty::Indenter;
use super::subject::{Item, Rows, Style, Subject};
use crate::codec::cbor;
use crate::codec::json::{parse, write};
use crate::codec::negotiate::Media;
use crate::codec::negotiate::accept::{MetaVersion, Shown};
use crate::codec::protobuf::envelope::{self, Envelope};
use crate::codec::protobuf::view::View;
use crate::codec::wire::{LENGTH_DELIMITED, Malformed, put_bytes, put_varint, varint_len};
use crate::codec::yaml::emit::Emitter;
use crate::model::value::Value;
use crate::schema::resource::Shape;

/// Members of a JSON object in their order.
type Members = Vec<(&'static str, Value)>;

/// Bytes that a chunk has at least, but the last.
pub const CHUNK: usize = 64 << 10;

/// A list being written: an iterator over the chunks of the answer.
///
/// An object in it that is malformed ends it with an error.
pub struct List<T> {
    subject: Subject,
    style: Style,
    meta: ListMeta,
    items: std::vec::IntoIter<T>,
    total: usize,
    stage: Stage,
    form: Form,
    buffer: Vec<u8>,
    /// Of items that are written by way of JSON.
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Head,
    Items,
    Done,
}

/// What is kept between chunks in each form.
enum Form {
    Json(Option<Indenter>),
    Yaml(Box<Emitter>),
    Protobuf,
    Cbor,
}

impl Subject {
    /// The answer that is a list of these objects, in their order.
    pub fn list<T: Item>(self, mut items: Vec<T>, meta: ListMeta, style: Style) -> List<T> {
        if let (Shown::Table(_), Rows::Builtin(kind)) = (style.representation.view, &self.rows)
            && let Some(order) = kind.order
        {
            items.sort_by(|a, b| {
                order(View::new(a.kept(), kind.message)).cmp(&order(View::new(b.kept(), kind.message)))
            });
        }
        let form = match style.representation.media {
            Media::Json => Form::Json(style.representation.pretty.then(Indenter::default)),
            Media::Yaml => Form::Yaml(Box::default()),
            Media::Protobuf => Form::Protobuf,
            Media::Cbor => Form::Cbor,
        };
        let total = items.len();
        let items = items.into_iter();
        let (stage, buffer, scratch) = (Stage::Head, Vec::new(), Vec::new());
        List { subject: self, style, meta, items, total, stage, form, buffer, scratch }
    }
}

impl<T: Item> Iterator for List<T> {
    type Item = Result<Bytes, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stage == Stage::Done {
            return None;
        }
        self.buffer = Vec::with_capacity(CHUNK + CHUNK / 4);
        if let Err(error) = self.fill() {
            self.stage = Stage::Done;
            return Some(Err(error));
        }
        let chunk = std::mem::take(&mut self.buffer);
        Some(Ok(match &mut self.form {
            Form::Json(Some(indenter)) => {
                let mut out = Vec::with_capacity(chunk.len() * 2);
                indenter.indent(&chunk, &mut out);
                out.into()
            }
            _ => chunk.into(),
        }))
    }
}

impl<T: Item> List<T> {
    fn fill(&mut self) -> Result<(), Malformed> {
        if self.stage == Stage::Head {
            self.head()?;
            self.stage = Stage::Items;
        }
        while self.buffer.len() < CHUNK {
            match self.items.next() {
                Some(item) => self.item(&item)?,
                None => {
                    self.stage = Stage::Done;
                    return self.tail();
                }
            }
        }
        Ok(())
    }

    fn head(&mut self) -> Result<(), Malformed> {
        match self.form {
            Form::Json(_) => self.json_head(),
            Form::Yaml(_) => self.yaml_head()?,
            Form::Protobuf => self.protobuf_head()?,
            Form::Cbor => self.cbor_head(),
        }
        Ok(())
    }

    fn item(&mut self, item: &T) -> Result<(), Malformed> {
        let (subject, style) = (&self.subject, self.style);
        match &mut self.form {
            Form::Json(_) => {
                if !matches!(self.buffer.last(), Some(b'[')) {
                    self.buffer.push(b',');
                }
                subject.write(&mut self.buffer, item, style, true)
            }
            Form::Yaml(emitter) => {
                let value = via_json(subject, item, style, &mut self.scratch)?;
                emitter.item(&value);
                self.buffer.extend_from_slice(emitter.take().as_bytes());
                Ok(())
            }
            Form::Protobuf => {
                match style.representation.view {
                    Shown::Whole => put_bytes(&mut self.buffer, 2, item.raw()),
                    view => {
                        let number = if view == Shown::MetadataList(MetaVersion::V1beta1) { 1 } else { 2 };
                        put_bytes(&mut self.buffer, number, &subject.metadata_message(item.kept())?);
                    }
                }
                Ok(())
            }
            Form::Cbor => {
                let value = via_json(subject, item, style, &mut self.scratch)?;
                cbor::value(&mut self.buffer, &value);
                Ok(())
            }
        }
    }

    fn tail(&mut self) -> Result<(), Malformed> {
        match &mut self.form {
            Form::Json(indenter) => {
                let line_end: &[u8] = if indenter.is_some() { b"" } else { b"\n" };
                if !self.is_null() {
                    self.buffer.push(b']');
                }
                if self.is_untyped() {
                    self.buffer.extend_from_slice(b",\"kind\":");
                    write::string(&mut self.buffer, &self.subject.list_kind);
                    self.buffer.extend_from_slice(b",\"metadata\":");
                    self.meta.write_untyped(&mut self.buffer);
                }
                self.buffer.push(b'}');
                self.buffer.extend_from_slice(line_end);
            }
            Form::Yaml(_) => self.yaml_tail()?,
            Form::Protobuf => self.protobuf_tail()?,
            Form::Cbor => self.cbor_tail()?,
        }
        Ok(())
    }

    /// (apiVersion, kind) of the list.
    fn kind(&self) -> (&str, &str) {
        self.style.representation.kind().unwrap_or((&self.subject.api_version, &self.subject.list_kind))
    }

    /// Custom resources in lists of their own kind: keys are sorted and `continue` is always there.
    fn is_untyped(&self) -> bool {
        matches!(self.subject.shape, Shape::Custom(_)) && self.style.representation.view == Shown::Whole
    }

    /// Stock's lists of metadata, and tables of kinds without columns of their own, are null when they are empty.
    fn is_null(&self) -> bool {
        self.total == 0
            && match (self.style.representation.view, &self.subject.rows) {
                (Shown::MetadataList(_), _) => true,
                (Shown::Table(_), Rows::Builtin(kind)) => kind.is_plain(),
                _ => false,
            }
    }

    fn json_head(&mut self) {
        let mut out = std::mem::take(&mut self.buffer);
        if let Shown::Table(version) = self.style.representation.view {
            self.subject.table_head(&mut out, version, &self.meta, true);
        } else if self.is_untyped() {
            out.extend_from_slice(b"{\"apiVersion\":");
            write::string(&mut out, &self.subject.api_version);
            out.extend_from_slice(b",\"items\":");
        } else {
            let (api_version, kind) = self.kind();
            out.extend_from_slice(b"{\"kind\":");
            write::string(&mut out, kind);
            out.extend_from_slice(b",\"apiVersion\":");
            write::string(&mut out, api_version);
            out.extend_from_slice(b",\"metadata\":");
            self.meta.write(&mut out);
            out.extend_from_slice(b",\"items\":");
        }
        out.extend_from_slice(if self.is_null() { b"null" } else { b"[" });
        self.buffer = out;
    }

    /// The list's metadata as a value.
    fn meta_value(&self) -> Result<Value, Malformed> {
        let mut json = Vec::new();
        if self.is_untyped() {
            self.meta.write_untyped(&mut json);
        } else {
            self.meta.write(&mut json);
        }
        parse::parse(&json).map_err(|_| Malformed::Form)
    }

    /// Everything but the items, in the order of keys, split where the items stand.
    fn around(&self) -> Result<(Members, Members), Malformed> {
        let (api_version, kind) = self.kind();
        let mut before = vec![("apiVersion", Value::from(api_version))];
        let mut after = vec![("kind", Value::from(kind)), ("metadata", self.meta_value()?)];
        if let Shown::Table(_) = self.style.representation.view {
            let mut columns = Vec::new();
            self.subject.columns(&mut columns);
            before.push(("columnDefinitions", parse::parse(&columns).map_err(|_| Malformed::Form)?));
            before.append(&mut after);
        }
        Ok((before, after))
    }

    fn items_key(&self) -> &'static str {
        if let Shown::Table(_) = self.style.representation.view { "rows" } else { "items" }
    }

    fn yaml_head(&mut self) -> Result<(), Malformed> {
        let (before, _) = self.around()?;
        let (key, empty, null) = (self.items_key(), self.total == 0, self.is_null());
        let Form::Yaml(emitter) = &mut self.form else { return Ok(()) };
        emitter.open();
        before.iter().for_each(|(key, value)| emitter.entry(key, value));
        match (empty, null) {
            (_, true) => emitter.entry(key, &Value::Null),
            (true, false) => emitter.entry(key, &Value::Array(Vec::new())),
            (false, false) => emitter.open_list(key),
        }
        Ok(())
    }

    fn yaml_tail(&mut self) -> Result<(), Malformed> {
        let (_, after) = self.around()?;
        let Form::Yaml(emitter) = &mut self.form else { return Ok(()) };
        after.iter().for_each(|(key, value)| emitter.entry(key, value));
        self.buffer.extend_from_slice(std::mem::take(emitter).finish().as_bytes());
        Ok(())
    }

    /// The envelope up to the items; all lengths are known before the first byte goes out.
    fn protobuf_head(&mut self) -> Result<(), Malformed> {
        let field = |length: usize| 1 + varint_len(length as u64) + length;
        let mut items = 0;
        for item in self.items.as_slice() {
            items += field(match self.style.representation.view {
                Shown::Whole => item.raw().len(),
                _ => self.subject.metadata_length(item.kept())?,
            });
        }
        let meta = self.meta.message()?;
        let (api_version, kind) = self.kind();
        let prefix = Envelope::prefix(api_version, kind, field(meta.len()) + items);
        self.buffer.extend_from_slice(&prefix);
        if self.style.representation.view != Shown::MetadataList(MetaVersion::V1beta1) {
            put_bytes(&mut self.buffer, 1, &meta);
        }
        Ok(())
    }

    fn protobuf_tail(&mut self) -> Result<(), Malformed> {
        // In v1beta1 the metadata is the second field.
        if self.style.representation.view == Shown::MetadataList(MetaVersion::V1beta1) {
            let meta = self.meta.message()?;
            put_varint(&mut self.buffer, u64::from(2 << 3 | LENGTH_DELIMITED));
            put_varint(&mut self.buffer, meta.len() as u64);
            self.buffer.extend_from_slice(&meta);
        }
        self.buffer.extend_from_slice(envelope::SUFFIX);
        Ok(())
    }

    fn cbor_head(&mut self) {
        let kind = self.kind().1.to_owned();
        let out = &mut self.buffer;
        cbor::open(out, 4);
        cbor::text(out, "kind");
        cbor::text(out, &kind);
        cbor::text(out, "items");
        if self.is_null() {
            cbor::value(&mut self.buffer, &Value::Null);
        } else {
            cbor::array(&mut self.buffer, self.total);
        }
    }

    fn cbor_tail(&mut self) -> Result<(), Malformed> {
        let meta = self.meta_value()?;
        let api_version = self.kind().0.to_owned();
        let out = &mut self.buffer;
        cbor::text(out, "metadata");
        cbor::value(out, &meta);
        cbor::text(out, "apiVersion");
        cbor::text(out, &api_version);
        Ok(())
    }
}

fn via_json(subject: &Subject, item: &impl Item, style: Style, scratch: &mut Vec<u8>) -> Result<Value, Malformed> {
    scratch.clear();
    subject.write(scratch, item, style, true)?;
    parse::parse(scratch).map_err(|_| Malformed::Form)
}
