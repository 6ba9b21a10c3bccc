//! From protobuf bytes to the sparse tree of an object, in one pass. What [`super::decode`] makes through serde is the
//! same; most of what a server decodes becomes a tree, so that has a way of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use smallvec::SmallVec;

use super::MAX_DEPTH;
use super::decode::{is_zero_field, numbered, time};
use crate::codec::json::parse;
use crate::codec::wire::{Malformed, Reader, Wire};
use crate::model::duration::Duration;
use crate::model::time::Precision;
use crate::model::value::{Encoding, Map, Text, Value};
use crate::schema::table::{Field, Json, Message, Shape, Type};

/// The object in a message's bytes, as a sparse value. Of a field that is given twice the last counts.
pub fn to_value(raw: &[u8], message: &'static Message) -> Result<Value, Malformed> {
    Reading::WHOLE.content(raw, message, 0)
}

/// The same of bytes that are whole, as [`super::check`] has found or because they were encoded here: messages in the
/// object are decoded when they are looked into.
pub fn of_whole(bytes: &Bytes, message: &'static Message) -> Result<Value, Malformed> {
    match message.json {
        Json::Object => {
            let mut map = Map::new();
            Reading { late: Some(bytes) }.fields(&mut map, bytes, message, 0)?;
            Ok(Value::Object(map))
        }
        _ => to_value(bytes, message),
    }
}

impl Encoding for Message {
    fn decode(&'static self, bytes: &Bytes) -> Map {
        let mut map = Map::new();
        Reading { late: Some(bytes) }.fields(&mut map, bytes, self, 0).expect("they are whole");
        // Maps of scalars, and JSON.
        map.values_mut().for_each(Value::share);
        map
    }
}

/// How a message is read: at once, or but for the messages in it.
#[derive(Clone, Copy)]
struct Reading<'b> {
    /// What the message's bytes are a part of.
    late: Option<&'b Bytes>,
}

impl Reading<'_> {
    const WHOLE: Self = Self { late: None };

    fn content(self, raw: &[u8], message: &'static Message, depth: usize) -> Result<Value, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        Ok(match message.json {
            Json::Object => match self.late {
                Some(whole) if !raw.is_empty() => Value::Object(Map::encoded(whole.slice_ref(raw), message)),
                _ => {
                    let mut map = Map::new();
                    self.fields(&mut map, raw, message, depth)?;
                    Value::Object(map)
                }
            },
            Json::Time => stamp(raw, Precision::Seconds)?,
            Json::MicroTime => stamp(raw, Precision::Micros)?,
            Json::Duration => Duration(part(raw, 1)? as i64).to_string().into(),
            Json::Quantity => text(raw, 1)?.into(),
            Json::IntOrString => match part(raw, 1)? {
                0 => (part(raw, 2)? as i32).into(),
                _ => text(raw, 3)?.into(),
            },
            Json::Raw => match numbered(raw, 1)?.map_or(Ok(&[][..]), Wire::bytes)? {
                [] => Value::Null,
                text => parse::parse(text).map_err(|_| Malformed::Form)?,
            },
            Json::Written => match numbered(raw, 1)?.map_or(Ok(&[][..]), Wire::bytes)? {
                [] => Value::Null,
                text => Value::Written(std::str::from_utf8(text).map_err(|_| Malformed::Form)?.into()),
            },
            Json::Items => self.items(raw, &message.fields[0], depth)?,
            Json::SchemaOrBool | Json::SchemaOrArray | Json::SchemaOrStringArray => {
                self.schema_or(raw, message, depth)?
            }
        })
    }

    /// Puts a message's fields into the map, those of inline messages among them.
    fn fields(self, map: &mut Map, raw: &[u8], message: &'static Message, depth: usize) -> Result<(), Malformed> {
        let mut inline: SmallVec<[(usize, &[u8]); 2]> = SmallVec::new();
        let mut reader = Reader::new(raw);
        while let Some((number, wire)) = reader.field()? {
            let Some(at) = message.place(number) else { continue };
            let field = &message.fields[at];
            match field.shape {
                Shape::One if field.inline => {
                    inline.retain(|(other, _)| *other != at);
                    inline.push((at, wire.bytes()?));
                }
                Shape::One => match self.one(wire, field, depth)? {
                    Some(value) => drop(map.insert(name(field), value)),
                    None => drop(map.remove(field.name)),
                },
                Shape::List => {
                    let list = map.entry(name(field)).or_insert(Value::Array(Vec::new()));
                    let list = list.as_array_mut().ok_or(Malformed::Form)?;
                    run(&mut reader, wire, number, |wire| {
                        list.push(self.single(wire, field.ty, depth)?);
                        Ok(())
                    })?;
                }
                Shape::Map => {
                    let entries = map.entry(name(field)).or_insert(Value::Object(Map::new()));
                    let entries = entries.as_object_mut().ok_or(Malformed::Form)?;
                    run(&mut reader, wire, number, |wire| self.entry(entries, wire, field.ty, depth))?;
                }
            }
        }
        for (at, raw) in inline {
            if let Type::Message(inner) = message.fields[at].ty {
                self.fields(map, raw, inner, depth)?;
            }
        }
        Ok(())
    }

    /// A field's one value; `None`: it is no pointer and holds its zero, or is an always-there message that is empty.
    fn one(self, wire: Wire<'_>, field: &'static Field, depth: usize) -> Result<Option<Value>, Malformed> {
        if is_zero_field(wire, field)? {
            return Ok(None);
        }
        self.single(wire, field.ty, depth).map(Some)
    }

    fn single(self, wire: Wire<'_>, ty: Type, depth: usize) -> Result<Value, Malformed> {
        Ok(match ty {
            Type::String => wire.str()?.into(),
            Type::Bool => (wire.varint()? != 0).into(),
            Type::Int32 => (wire.varint()? as i32).into(),
            Type::Int64 => (wire.varint()? as i64).into(),
            Type::Double => match wire {
                Wire::Fixed64(bits) => f64::from_bits(bits).into(),
                _ => return Err(Malformed::WireType),
            },
            Type::Bytes => STANDARD.encode(wire.bytes()?).into(),
            Type::Message(message) => self.content(wire.bytes()?, message, depth + 1)?,
        })
    }

    /// One entry of a map; its value is the type's zero when it is left out.
    fn entry(self, entries: &mut Map, wire: Wire<'_>, ty: Type, depth: usize) -> Result<(), Malformed> {
        let (mut key, mut value) = ("", None);
        let mut reader = Reader::new(wire.bytes()?);
        while let Some((number, wire)) = reader.field()? {
            match number {
                1 => key = wire.str()?,
                2 => value = Some(wire),
                _ => {}
            }
        }
        let value = value.unwrap_or(match ty {
            Type::Bool | Type::Int32 | Type::Int64 => Wire::Varint(0),
            Type::Double => Wire::Fixed64(0),
            Type::String | Type::Bytes | Type::Message(_) => Wire::Bytes(&[]),
        });
        entries.insert(key.into(), self.single(value, ty, depth)?);
        Ok(())
    }

    fn items(self, raw: &[u8], field: &'static Field, depth: usize) -> Result<Value, Malformed> {
        let (mut reader, mut list) = (Reader::new(raw), Vec::new());
        while let Some((number, wire)) = reader.field()? {
            if number == field.number {
                list.push(self.single(wire, field.ty, depth)?);
            }
        }
        Ok(Value::Array(list))
    }

    fn schema_or(self, raw: &[u8], message: &'static Message, depth: usize) -> Result<Value, Malformed> {
        let schema = message.fields.iter().find(|field| field.name == "schema").ok_or(Malformed::Form)?;
        if let (Some(wire), Type::Message(inner)) = (numbered(raw, schema.number)?, schema.ty) {
            return self.content(wire.bytes()?, inner, depth + 1);
        }
        match message.json {
            Json::SchemaOrBool => Ok((part(raw, 1)? != 0).into()),
            _ => self.items(raw, &message.fields[1], depth),
        }
    }
}

fn name(field: &'static Field) -> Text {
    Text::const_new(field.name)
}

/// This value and those after it that have the same number.
fn run<'a>(
    reader: &mut Reader<'a>,
    mut wire: Wire<'a>,
    number: u32,
    mut take: impl FnMut(Wire<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    loop {
        take(wire)?;
        let mut ahead = *reader;
        match ahead.field()? {
            Some((next, value)) if next == number => (wire, *reader) = (value, ahead),
            _ => return Ok(()),
        }
    }
}

fn stamp(raw: &[u8], precision: Precision) -> Result<Value, Malformed> {
    Ok(time(raw)?.map_or(Value::Null, |time| time.to_text_as(precision).as_str().into()))
}

fn part(raw: &[u8], number: u32) -> Result<u64, Malformed> {
    numbered(raw, number)?.map_or(Ok(0), Wire::varint)
}

fn text(raw: &[u8], number: u32) -> Result<&str, Malformed> {
    numbered(raw, number)?.map_or(Ok(""), Wire::str)
}
