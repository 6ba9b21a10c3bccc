//! Reads labels, owners and single fields straight from a message's bytes, and splices a resourceVersion in.
//!
//! Every object's message has its ObjectMeta (or ListMeta) as field 1.

use std::borrow::Cow;

use bytes::Bytes;

use super::decode::numbered;
use crate::codec::wire::{LENGTH_DELIMITED, Malformed, Reader, Wire, put_bytes, put_varint, varint_len};
use crate::schema::table::{Field, Message, Shape, Type};

/// Field numbers of ObjectMeta (facts of meta/v1).
mod meta {
    pub const NAME: u32 = 1;
    pub const NAMESPACE: u32 = 3;
    pub const UID: u32 = 5;
    pub const RESOURCE_VERSION: u32 = 6;
    pub const DELETION_TIMESTAMP: u32 = 9;
    pub const LABELS: u32 = 11;
    pub const ANNOTATIONS: u32 = 12;
    pub const OWNER_REFERENCES: u32 = 13;
    pub const FINALIZERS: u32 = 14;
}

/// The bytes of an object's metadata.
pub fn metadata(raw: &[u8]) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(raw);
    match reader.field()? {
        Some((1, value)) => value.bytes(),
        Some(_) => numbered(raw, 1)?.map_or(Ok(&[][..]), Wire::bytes),
        None => Ok(&[]),
    }
}

pub fn name(raw: &[u8]) -> Result<&str, Malformed> {
    text(metadata(raw)?, meta::NAME)
}

pub fn namespace(raw: &[u8]) -> Result<&str, Malformed> {
    text(metadata(raw)?, meta::NAMESPACE)
}

pub fn uid(raw: &[u8]) -> Result<&str, Malformed> {
    text(metadata(raw)?, meta::UID)
}

pub fn resource_version(raw: &[u8]) -> Result<&str, Malformed> {
    text(metadata(raw)?, meta::RESOURCE_VERSION)
}

pub fn is_deleting(raw: &[u8]) -> Result<bool, Malformed> {
    Ok(numbered(metadata(raw)?, meta::DELETION_TIMESTAMP)?.is_some())
}

/// (key, value) of every label.
pub fn labels(raw: &[u8]) -> Result<impl Iterator<Item = (&str, &str)>, Malformed> {
    let entries = values(metadata(raw)?, meta::LABELS);
    Ok(entries.filter_map(|entry| Some((text(entry, 1).ok()?, text(entry, 2).ok()?))))
}

pub fn finalizers(raw: &[u8]) -> Result<impl Iterator<Item = &str>, Malformed> {
    Ok(values(metadata(raw)?, meta::FINALIZERS).filter_map(|name| std::str::from_utf8(name).ok()))
}

/// The bytes of metadata without these annotations.
pub fn without_annotations<'a>(metadata: &'a [u8], names: &[&str]) -> Result<Cow<'a, [u8]>, Malformed> {
    let hidden = |entry: &[u8]| text(entry, 1).is_ok_and(|key| names.contains(&key));
    if !values(metadata, meta::ANNOTATIONS).any(hidden) {
        return Ok(Cow::Borrowed(metadata));
    }
    let (mut reader, mut start, mut kept) = (Reader::new(metadata), 0, Vec::with_capacity(metadata.len()));
    while let Some((number, value)) = reader.field()? {
        let bytes = &metadata[start..reader.position()];
        start = reader.position();
        if number != meta::ANNOTATIONS || !hidden(value.bytes()?) {
            kept.extend_from_slice(bytes);
        }
    }
    Ok(Cow::Owned(kept))
}

/// One owner reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    pub controller: bool,
    pub block_deletion: bool,
}

pub fn owners(raw: &[u8]) -> Result<impl Iterator<Item = Owner<'_>>, Malformed> {
    let flag = |entry, number| matches!(numbered(entry, number), Ok(Some(Wire::Varint(n))) if n != 0);
    Ok(values(metadata(raw)?, meta::OWNER_REFERENCES).filter_map(move |entry| {
        Some(Owner {
            kind: text(entry, 1).ok()?,
            name: text(entry, 3).ok()?,
            uid: text(entry, 4).ok()?,
            api_version: text(entry, 5).ok()?,
            controller: flag(entry, 6),
            block_deletion: flag(entry, 7),
        })
    }))
}

/// The values of a repeated field.
pub fn values(bytes: &[u8], wanted: u32) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        while let Ok(Some((number, value))) = reader.field() {
            if let (true, Wire::Bytes(bytes)) = (number == wanted, value) {
                return Some(bytes);
            }
        }
        None
    })
}

fn text(bytes: &[u8], number: u32) -> Result<&str, Malformed> {
    numbered(bytes, number)?.map_or(Ok(""), Wire::str)
}

/// A scalar field at the end of a path of JSON names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    Str(&'a str),
    Int(i64),
    Bool(bool),
}

/// The field at `path` (`["spec", "nodeName"]`): `None` when it is unset or no scalar.
pub fn field<'a>(raw: &'a [u8], message: &'static Message, path: &[&str]) -> Result<Option<Scalar<'a>>, Malformed> {
    let (mut raw, mut message) = (raw, message);
    for (step, name) in path.iter().enumerate() {
        let Some((holder, field)) = through_inline(raw, message, name)? else { return Ok(None) };
        let Some(value) = numbered(holder, field.number)? else { return Ok(None) };
        match (field.shape, field.ty) {
            (Shape::One, Type::Message(inner)) => (raw, message) = (value.bytes()?, inner),
            (Shape::One, ty) if step + 1 == path.len() => return scalar(value, ty),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn scalar(value: Wire<'_>, ty: Type) -> Result<Option<Scalar<'_>>, Malformed> {
    Ok(match ty {
        Type::String => Some(Scalar::Str(value.str()?)),
        Type::Int32 => Some(Scalar::Int(i64::from(value.varint()? as i32))),
        Type::Int64 => Some(Scalar::Int(value.varint()? as i64)),
        Type::Bool => Some(Scalar::Bool(value.varint()? != 0)),
        Type::Double | Type::Bytes | Type::Message(_) => None,
    })
}

/// The bytes and the field for a JSON name, looking into inline messages.
fn through_inline<'a>(
    raw: &'a [u8],
    message: &'static Message,
    name: &str,
) -> Result<Option<(&'a [u8], &'static Field)>, Malformed> {
    for field in message.fields {
        match (field.inline, field.ty) {
            (true, Type::Message(inner)) if inner.field(name).is_some() => {
                let raw = numbered(raw, field.number)?.map_or(Ok(&[][..]), Wire::bytes)?;
                return through_inline(raw, inner, name);
            }
            (false, _) if field.name == name => return Ok(Some((raw, field))),
            _ => {}
        }
    }
    Ok(None)
}

/// The message with `metadata.resourceVersion` set; all other bytes stay.
pub fn splice_resource_version(raw: &[u8], version: &str) -> Result<Bytes, Malformed> {
    let mut reader = Reader::new(raw);
    let (old, rest) = match reader.field()? {
        Some((1, value)) => (value.bytes()?, &raw[reader.position()..]),
        _ => (&[][..], raw),
    };
    let (before, after) = around_version(old)?;
    let field = 1 + varint_len(version.len() as u64) + version.len();
    let length = before.len() + field + after.len();
    let mut out = Vec::with_capacity(1 + varint_len(length as u64) + length + rest.len());
    put_varint(&mut out, u64::from(1 << 3 | LENGTH_DELIMITED));
    put_varint(&mut out, length as u64);
    out.extend_from_slice(before);
    put_bytes(&mut out, meta::RESOURCE_VERSION, version.as_bytes());
    out.extend_from_slice(after);
    out.extend_from_slice(rest);
    Ok(out.into())
}

/// What of the metadata stands before and after the resourceVersion, wherever that is or would be.
fn around_version(metadata: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut reader, mut start) = (Reader::new(metadata), 0);
    while let Some((number, _)) = reader.field()? {
        if number == meta::RESOURCE_VERSION {
            return Ok((&metadata[..start], &metadata[reader.position()..]));
        }
        if number > meta::RESOURCE_VERSION {
            break;
        }
        start = reader.position();
    }
    Ok(metadata.split_at(start))
}
