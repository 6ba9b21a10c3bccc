//! From protobuf bytes to anything that serde can make, as if it were JSON: a view of some fields, a `k8s_openapi` struct.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use smallvec::SmallVec;

use super::MAX_DEPTH;
use crate::codec::wire::{Malformed, Reader, Wire};
use crate::model::duration::Duration;
use crate::model::time::{Precision, Time};
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// The object in a message's bytes, as a type that reads the API's JSON.
pub fn from_slice<T: DeserializeOwned>(raw: &[u8], message: &'static Message) -> Result<T, Malformed> {
    T::deserialize(Content { raw, message, depth: 0 }).map_err(|error| error.0)
}

/// serde's form of [`Malformed`].
#[derive(Debug)]
pub struct Error(Malformed);

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        Self(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(Malformed::Form)
    }
}

/// A message's bytes.
#[derive(Clone, Copy)]
struct Content<'a> {
    raw: &'a [u8],
    message: &'static Message,
    depth: usize,
}

impl<'de> Deserializer<'de> for Content<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.depth > MAX_DEPTH {
            return Err(Malformed::Depth.into());
        }
        match self.message.json {
            Json::Object => visitor.visit_map(Fields::new(self)?),
            Json::Time | Json::MicroTime => match self.time()? {
                Some((time, precision)) => visitor.visit_str(&time.to_text_as(precision)),
                None => visitor.visit_unit(),
            },
            Json::Duration => {
                let nanos = numbered(self.raw, 1)?.map_or(Ok(0), Wire::varint)? as i64;
                visitor.visit_string(Duration(nanos).to_string())
            }
            Json::Quantity => visitor.visit_str(numbered(self.raw, 1)?.map_or(Ok(""), Wire::str)?),
            Json::IntOrString => match numbered(self.raw, 1)?.map_or(Ok(0), Wire::varint)? {
                0 => visitor.visit_i64(numbered(self.raw, 2)?.map_or(Ok(0), Wire::varint)? as i32 as i64),
                _ => visitor.visit_str(numbered(self.raw, 3)?.map_or(Ok(""), Wire::str)?),
            },
            Json::Raw | Json::Written => self.raw_json(visitor),
            Json::Items => visitor.visit_seq(self.sequence(&self.message.fields[0])),
            Json::SchemaOrBool | Json::SchemaOrArray | Json::SchemaOrStringArray => self.schema_or(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }

    /// What nobody wants is not looked at.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

impl<'a> Content<'a> {
    fn time(self) -> Result<Option<(Time, Precision)>, Malformed> {
        let precision = if self.message.json == Json::MicroTime { Precision::Micros } else { Precision::Seconds };
        Ok(time(self.raw)?.map(|time| (time, precision)))
    }

    fn raw_json<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let bytes = numbered(self.raw, 1)?.map_or(Ok(&[][..]), Wire::bytes)?;
        if bytes.is_empty() {
            return visitor.visit_unit();
        }
        // As from a reader: what is read outlives the bytes.
        let mut json = serde_json::Deserializer::from_reader(bytes);
        let value = json.deserialize_any(visitor).map_err(|_| Malformed::Form)?;
        json.end().map_err(|_| Malformed::Form)?;
        Ok(value)
    }

    fn schema_or<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let schema = self.message.fields.iter().find(|f| f.name == "schema").ok_or(Malformed::Form)?;
        if let (Some(value), Type::Message(message)) = (numbered(self.raw, schema.number)?, schema.ty) {
            return Content { raw: value.bytes()?, message, depth: self.depth + 1 }.deserialize_any(visitor);
        }
        match self.message.json {
            Json::SchemaOrBool => visitor.visit_bool(numbered(self.raw, 1)?.map_or(Ok(0), Wire::varint)? != 0),
            _ => visitor.visit_seq(self.sequence(&self.message.fields[1])),
        }
    }

    fn sequence(self, field: &'static Field) -> Items<'a> {
        Items { reader: Reader::new(self.raw), field, depth: self.depth }
    }
}

/// A Time or MicroTime; `None` is the zero time.
pub fn time(raw: &[u8]) -> Result<Option<Time>, Malformed> {
    let Some(seconds) = numbered(raw, 1)?.map(Wire::varint).transpose()? else { return Ok(None) };
    let nanos = numbered(raw, 2)?.map_or(Ok(0), Wire::varint)?;
    Ok(Some(Time { seconds: seconds as i64, nanos: (nanos % 1_000_000_000) as u32 }))
}

/// The last value with this number: protobuf's rule for a field given twice.
pub fn numbered(raw: &[u8], number: u32) -> Result<Option<Wire<'_>>, Malformed> {
    let (mut reader, mut found) = (Reader::new(raw), None);
    while let Some((at, value)) = reader.field()? {
        if at == number {
            found = Some(value);
        }
    }
    Ok(found)
}

/// Where each field of a message is, by position in [`Message::fields`]: its last value, or from the first to the last of a
/// list's items and a map's entries.
pub struct Slots(SmallVec<[(u32, u32); 48]>);

impl Slots {
    pub fn new(raw: &[u8], message: &Message) -> Result<Self, Malformed> {
        let mut slots: SmallVec<[(u32, u32); 48]> = SmallVec::new();
        slots.resize(message.fields.len(), (0, 0));
        let mut reader = Reader::new(raw);
        let mut start = 0;
        while let Some((number, _)) = reader.field()? {
            let end = reader.position() as u32;
            if let Some(at) = message.place(number) {
                let slot = &mut slots[at];
                let one = slot.1 == 0 || message.fields[at].shape == Shape::One;
                *slot = if one { (start, end) } else { (slot.0, end) };
            }
            start = end;
        }
        Ok(Self(slots))
    }

    /// The bytes in which all values of the field are (others may stand between them); `None` when there is none.
    pub fn get<'a>(&self, raw: &'a [u8], at: usize) -> Option<&'a [u8]> {
        let (start, end) = self.0[at];
        (end > 0).then(|| &raw[start as usize..end as usize])
    }
}

/// The fields of a message in JSON's order, those of inline messages in their place.
struct Fields<'a> {
    /// The message and, above it, those whose inline messages are being read.
    stack: SmallVec<[Level<'a>; 2]>,
    next: Option<(&'static Field, &'a [u8])>,
    depth: usize,
}

struct Level<'a> {
    content: Content<'a>,
    slots: Slots,
    at: usize,
}

impl<'a> Level<'a> {
    fn new(content: Content<'a>) -> Result<Self, Malformed> {
        Ok(Self { slots: Slots::new(content.raw, content.message)?, content, at: 0 })
    }
}

impl<'a> Fields<'a> {
    fn new(content: Content<'a>) -> Result<Self, Malformed> {
        let mut stack = SmallVec::new();
        stack.push(Level::new(content)?);
        Ok(Self { stack, next: None, depth: content.depth })
    }

    fn advance(&mut self) -> Result<Option<(&'static Field, &'a [u8])>, Malformed> {
        while let Some(level) = self.stack.last_mut() {
            let Some(field) = level.content.message.fields.get(level.at) else {
                self.stack.pop();
                continue;
            };
            level.at += 1;
            let Some(bytes) = level.slots.get(level.content.raw, level.at - 1) else { continue };
            if let (true, Type::Message(message)) = (field.inline, field.ty) {
                let raw = numbered(bytes, field.number)?.map_or(Ok(&[][..]), Wire::bytes)?;
                self.stack.push(Level::new(Content { raw, message, depth: self.depth })?);
            } else if !is_unset(field, bytes)? {
                return Ok(Some((field, bytes)));
            }
        }
        Ok(None)
    }
}

/// A plain field that holds its zero, or an always-there message that is empty, is unset in a sparse value.
fn is_unset(field: &'static Field, bytes: &[u8]) -> Result<bool, Malformed> {
    if field.pointer || field.shape != Shape::One {
        return Ok(false);
    }
    numbered(bytes, field.number)?.map_or(Ok(true), |value| is_zero_field(value, field))
}

/// Whether an always-there message holds nothing that JSON would show.
pub fn is_zero(raw: &[u8], message: &'static Message) -> Result<bool, Malformed> {
    match message.json {
        Json::Object => {
            let mut reader = Reader::new(raw);
            while let Some((number, value)) = reader.field()? {
                if let Some(at) = message.place(number)
                    && !is_zero_field(value, &message.fields[at])?
                {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Json::Time | Json::MicroTime | Json::Raw | Json::Written | Json::Items => Ok(raw.is_empty()),
        Json::IntOrString => {
            let part = |number| numbered(raw, number)?.map_or(Ok(0), Wire::varint);
            Ok(part(1)? == 0 && part(2)? == 0)
        }
        Json::Quantity => Ok(matches!(numbered(raw, 1)?.map_or(Ok(""), Wire::str)?, "" | "0")),
        _ => Ok(false),
    }
}

/// The same of one field that is on the wire.
pub(super) fn is_zero_field(value: Wire<'_>, field: &'static Field) -> Result<bool, Malformed> {
    if field.pointer || field.shape != Shape::One {
        return Ok(false);
    }
    Ok(match (value, field.ty) {
        (Wire::Bytes(_), Type::Bytes) => false,
        (Wire::Bytes(raw), Type::Message(message)) => is_zero(raw, message)?,
        (Wire::Bytes(text), _) => text.is_empty(),
        (Wire::Varint(number) | Wire::Fixed64(number), _) => number == 0,
        (Wire::Fixed32(number), _) => number == 0,
    })
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next = self.advance()?;
        let Some((field, _)) = self.next else { return Ok(None) };
        let name: StrDeserializer<'_, Error> = field.name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (field, bytes) = self.next.take().ok_or(Malformed::Form)?;
        seed.deserialize(FieldContent { bytes, field, depth: self.depth })
    }
}

/// The bytes in which a field's values are.
struct FieldContent<'a> {
    bytes: &'a [u8],
    field: &'static Field,
    depth: usize,
}

impl<'de> Deserializer<'de> for FieldContent<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let reader = Reader::new(self.bytes);
        match self.field.shape {
            Shape::One => {
                let value = numbered(self.bytes, self.field.number)?.ok_or(Malformed::Form)?;
                Single { value, ty: self.field.ty, depth: self.depth }.deserialize_any(visitor)
            }
            Shape::List => visitor.visit_seq(Items { reader, field: self.field, depth: self.depth }),
            Shape::Map => visitor.visit_map(Entries { reader, field: self.field, value: None, depth: self.depth }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }

    /// What nobody wants is not looked at.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

/// One value on the wire.
struct Single<'a> {
    value: Wire<'a>,
    ty: Type,
    depth: usize,
}

impl<'de> Deserializer<'de> for Single<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.ty {
            Type::String => visitor.visit_str(self.value.str()?),
            Type::Bool => visitor.visit_bool(self.value.varint()? != 0),
            Type::Int32 => visitor.visit_i64(i64::from(self.value.varint()? as i32)),
            Type::Int64 => visitor.visit_i64(self.value.varint()? as i64),
            Type::Double => match self.value {
                Wire::Fixed64(bits) => visitor.visit_f64(f64::from_bits(bits)),
                _ => Err(Malformed::WireType.into()),
            },
            Type::Bytes => visitor.visit_string(STANDARD.encode(self.value.bytes()?)),
            Type::Message(message) => {
                Content { raw: self.value.bytes()?, message, depth: self.depth + 1 }.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }

    /// What nobody wants is not looked at.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

/// The items of a list.
struct Items<'a> {
    reader: Reader<'a>,
    field: &'static Field,
    depth: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        while let Some((number, value)) = self.reader.field()? {
            if number == self.field.number {
                return seed.deserialize(Single { value, ty: self.field.ty, depth: self.depth }).map(Some);
            }
        }
        Ok(None)
    }
}

/// The entries of a map.
struct Entries<'a> {
    reader: Reader<'a>,
    field: &'static Field,
    value: Option<Wire<'a>>,
    depth: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        while let Some((number, value)) = self.reader.field()? {
            if number == self.field.number {
                let entry = value.bytes()?;
                let key = numbered(entry, 1)?.map_or(Ok(""), Wire::str)?;
                self.value = numbered(entry, 2)?;
                let key: StrDeserializer<'_, Error> = key.into_deserializer();
                return seed.deserialize(key).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().unwrap_or(match self.field.ty {
            Type::Bool | Type::Int32 | Type::Int64 => Wire::Varint(0),
            Type::Double => Wire::Fixed64(0),
            Type::String | Type::Bytes | Type::Message(_) => Wire::Bytes(&[]),
        });
        seed.deserialize(Single { value, ty: self.field.ty, depth: self.depth })
    }
}
