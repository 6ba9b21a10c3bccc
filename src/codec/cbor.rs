//! CBOR as KEP-4222 has it: self-described, deterministic, texts as byte strings; read with its restrictions.
//!
//! It holds what JSON holds. Objects go through a value, so whatever JSON says of a type, CBOR says too.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use minicbor::data::{Tag, Type};
use minicbor::decode::Decoder;

use crate::codec::json::{MAX_DEPTH, tree};
use crate::model::gotext;
use crate::model::value::{Map, Number, Value, unpacked};

/// Tag 55799, which says that CBOR follows.
const SELF_DESCRIBED: [u8; 3] = [0xd9, 0xd9, 0xf7];

mod major {
    pub const UNSIGNED: u8 = 0;
    pub const NEGATIVE: u8 = 1;
    pub const BYTES: u8 = 2;
    pub const ARRAY: u8 = 4;
    pub const MAP: u8 = 5;
}

/// Tags that are understood. Others are passed over.
mod tag {
    pub const TIME_TEXT: u64 = 0;
    pub const TIME_SECONDS: u64 = 1;
    pub const BIGNUMS: [u64; 2] = [2, 3];
    pub const BASE64URL: u64 = 21;
    pub const BASE64: u64 = 22;
    pub const BASE16: u64 = 23;
}

/// A document that is this value.
pub fn encode(document: &Value) -> Vec<u8> {
    let mut out = SELF_DESCRIBED.to_vec();
    value(&mut out, document);
    out
}

/// Begins a document that is a map of so many entries; they are to be in the order of their encoded keys.
pub fn open(out: &mut Vec<u8>, entries: usize) {
    out.extend_from_slice(&SELF_DESCRIBED);
    head(out, major::MAP, entries as u64);
}

/// Begins an array of so many items.
pub fn array(out: &mut Vec<u8>, items: usize) {
    head(out, major::ARRAY, items as u64);
}

/// An event of a watch: one document within another.
pub fn event(out: &mut Vec<u8>, kind: &str, object: &Value) {
    open(out, 2);
    text(out, "type");
    text(out, kind);
    text(out, "object");
    out.extend_from_slice(&encode(object));
}

/// A text: a byte string, as Go's strings are any bytes.
pub fn text(out: &mut Vec<u8>, text: &str) {
    head(out, major::BYTES, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a value.
pub fn value(out: &mut Vec<u8>, tree: &Value) {
    match tree {
        Value::Null => out.push(0xf6),
        Value::Bool(flag) => out.push(if *flag { 0xf5 } else { 0xf4 }),
        Value::Number(number) => self::number(out, number),
        Value::String(content) => text(out, content),
        Value::Array(items) => {
            array(out, items.len());
            items.iter().for_each(|item| value(out, item));
        }
        Value::Object(map) => {
            head(out, major::MAP, map.len() as u64);
            // By encoded keys, which begin with the length.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
            for (key, item) in entries {
                text(out, key);
                value(out, item);
            }
        }
        Value::Written(text) => value(out, &unpacked(text)),
    }
}

fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let kind = major << 5;
    match argument {
        0..24 => out.push(kind | argument as u8),
        24..0x100 => out.extend_from_slice(&[kind | 24, argument as u8]),
        0x100..0x1_0000 => {
            out.push(kind | 25);
            out.extend_from_slice(&(argument as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(kind | 26);
            out.extend_from_slice(&(argument as u32).to_be_bytes());
        }
        _ => {
            out.push(kind | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}

fn number(out: &mut Vec<u8>, number: &Number) {
    match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(whole), ..) => head(out, major::UNSIGNED, whole),
        (_, Some(whole), _) => head(out, major::NEGATIVE, !(whole as u64)),
        (_, _, float) => shortest(out, float.unwrap_or(0.0)),
    }
}

/// The shortest float that loses nothing.
fn shortest(out: &mut Vec<u8>, number: f64) {
    let single = number as f32;
    if f64::from(single) != number {
        out.push(0xfb);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Some(half) = half(single) {
        out.push(0xf9);
        out.extend_from_slice(&half.to_be_bytes());
    } else {
        out.push(0xfa);
        out.extend_from_slice(&single.to_be_bytes());
    }
}

/// The number in 16 bits; `None` when it loses something there.
fn half(number: f32) -> Option<u16> {
    let bits = number.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let (exponent, fraction) = ((bits >> 23 & 0xff) as i32 - 127, bits & 0x7f_ffff);
    match exponent {
        -127 if fraction == 0 => Some(sign),
        -14..=15 if fraction & 0x1fff == 0 => Some(sign | ((exponent + 15) as u16) << 10 | (fraction >> 13) as u16),
        // Subnormal: the leading one becomes part of the fraction.
        -24..=-15 => {
            let (full, shift) = (fraction | 0x80_0000, (-exponent - 1) as u32);
            (full & ((1 << shift) - 1) == 0).then(|| sign | (full >> shift) as u16)
        }
        _ => None,
    }
}

fn from_half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// Reads a document. What is wrong is said in words of our own.
pub fn decode(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = Reader { decoder: Decoder::new(bytes), depth: 0 };
    let value = reader.value().map_err(|error| format!("cbor: {error}"))?;
    let rest = bytes.len() - reader.decoder.position();
    if rest > 0 {
        let at = reader.decoder.position();
        return Err(format!("cbor: {rest} bytes of extraneous data starting at index {at}"));
    }
    Ok(value)
}

/// The same as JSON text, for decoders of JSON.
pub fn to_json(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut json = Vec::with_capacity(bytes.len() * 2);
    tree::value(&mut json, &decode(bytes)?);
    Ok(json)
}

#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("{0}")]
    Form(#[from] minicbor::decode::Error),
    #[error("exceeded max nested level {MAX_DEPTH}")]
    Depth,
    #[error("found duplicate map key {0:?}")]
    Duplicate(String),
    #[error("{0} cannot be read")]
    Kind(&'static str),
    #[error("invalid UTF-8 string")]
    Utf8,
}

/// What a byte string is to be read as.
#[derive(Clone, Copy)]
enum Later {
    Text,
    Base64Url,
    Base64,
    Base16,
}

struct Reader<'b> {
    decoder: Decoder<'b>,
    depth: usize,
}

impl Reader<'_> {
    /// What nests goes through small functions, for the stack's sake.
    fn value(&mut self) -> Result<Value, Wrong> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Wrong::Depth);
        }
        let value = match self.kind()? {
            Type::Array | Type::ArrayIndef => self.array(),
            Type::Map | Type::MapIndef => self.map(),
            Type::Tag => self.tagged(),
            kind => self.scalar(kind),
        };
        self.depth -= 1;
        value
    }

    fn kind(&self) -> Result<Type, Wrong> {
        Ok(self.decoder.datatype()?)
    }

    fn scalar(&mut self, kind: Type) -> Result<Value, Wrong> {
        Ok(match kind {
            Type::Bool => self.decoder.bool()?.into(),
            Type::Null => {
                self.decoder.null()?;
                Value::Null
            }
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
                i64::try_from(self.decoder.int()?).map_err(|_| Wrong::Kind("an integer beyond 64 bits"))?.into()
            }
            Type::F16 => {
                let at = self.decoder.position();
                let bits = self.decoder.input().get(at + 1..at + 3).ok_or(Wrong::Kind("a cut float"))?;
                let number = from_half(u16::from_be_bytes([bits[0], bits[1]]));
                self.decoder.set_position(at + 3);
                float(number)?
            }
            Type::F32 => float(f64::from(self.decoder.f32()?))?,
            Type::F64 => float(self.decoder.f64()?)?,
            Type::Bytes | Type::BytesIndef | Type::String | Type::StringIndef => self.text(Later::Text)?.into(),
            _ => return Err(Wrong::Kind("a simple value other than false, true and null")),
        })
    }

    fn text(&mut self, later: Later) -> Result<String, Wrong> {
        let mut bytes = Vec::new();
        match self.decoder.datatype()? {
            Type::String => return Ok(self.decoder.str()?.to_owned()),
            Type::StringIndef => {
                for part in self.decoder.str_iter()? {
                    bytes.extend_from_slice(part?.as_bytes());
                }
            }
            _ => {
                for part in self.decoder.bytes_iter()? {
                    bytes.extend_from_slice(part?);
                }
            }
        }
        match later {
            Later::Text => String::from_utf8(bytes).map_err(|_| Wrong::Utf8),
            Later::Base64Url => Ok(URL_SAFE_NO_PAD.encode(bytes)),
            Later::Base64 => Ok(STANDARD.encode(bytes)),
            Later::Base16 => Ok(gotext::hex(&bytes)),
        }
    }

    fn array(&mut self) -> Result<Value, Wrong> {
        let mut left = self.decoder.array()?;
        let mut items = Vec::new();
        while self.has_more(&mut left)? {
            items.push(self.value()?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self) -> Result<Value, Wrong> {
        let mut left = self.decoder.map()?;
        let mut map = Map::new();
        while self.has_more(&mut left)? {
            let key = self.key(&map)?;
            let value = self.value()?;
            map.insert(key.into(), value);
        }
        Ok(Value::Object(map))
    }

    fn key(&mut self, before: &Map) -> Result<String, Wrong> {
        let key = match self.kind()? {
            Type::Bytes | Type::BytesIndef | Type::String | Type::StringIndef => self.text(Later::Text)?,
            _ => return Err(Wrong::Kind("a map key that is no text")),
        };
        if before.contains_key(&key) { Err(Wrong::Duplicate(key)) } else { Ok(key) }
    }

    /// Whether another item follows; of an indefinite length the end is marked.
    fn has_more(&mut self, left: &mut Option<u64>) -> Result<bool, Wrong> {
        match left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if self.decoder.datatype()? == Type::Break => {
                self.decoder.set_position(self.decoder.position() + 1);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    fn tagged(&mut self) -> Result<Value, Wrong> {
        let tag: Tag = self.decoder.tag()?;
        let bytes = matches!(self.kind()?, Type::Bytes | Type::BytesIndef);
        match tag.as_u64() {
            tag if tag::BIGNUMS.contains(&tag) => Err(Wrong::Kind("a bignum")),
            tag::BASE64URL if bytes => self.text(Later::Base64Url).map(Value::from),
            tag::BASE64 if bytes => self.text(Later::Base64).map(Value::from),
            tag::BASE16 if bytes => self.text(Later::Base16).map(Value::from),
            tag => {
                let value = self.value()?;
                timed(tag, value)
            }
        }
    }
}

/// A tagged value: a time is a text, of other tags nothing remains.
fn timed(tag: u64, value: Value) -> Result<Value, Wrong> {
    match (tag, value) {
        (tag::TIME_TEXT, text @ Value::String(_)) => Ok(text),
        (tag::TIME_SECONDS, Value::Number(number)) => time(number.as_f64().unwrap_or(f64::NAN)),
        (tag::TIME_TEXT | tag::TIME_SECONDS, _) => Err(Wrong::Kind("a time of another type")),
        (_, value) => Ok(value),
    }
}

fn float(number: f64) -> Result<Value, Wrong> {
    Number::from_f64(number).map(Value::Number).ok_or(Wrong::Kind("an infinite number or none"))
}

/// Seconds since 1970 as RFC 3339.
fn time(seconds: f64) -> Result<Value, Wrong> {
    // Years 1 to 9999, which is what the text can say.
    if !(-62_135_596_800.0..253_402_300_800.0).contains(&seconds) {
        return Err(Wrong::Kind("a time beyond the year 9999"));
    }
    let whole = seconds.floor();
    let nanos = ((seconds - whole) * 1e9) as i32;
    let time = jiff::Timestamp::new(whole as i64, nanos).map_err(|_| Wrong::Kind("a time out of range"))?;
    Ok(time.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::model::value::json;

    #[test]
    fn values_are_written_deterministically() {
        let value = json!({"apiVersion": "v1", "kind": "A", "n": [0, 24, -1, -500, 1.5, 0.1, 100000.5, null, true]});
        let hex = gotext::hex(&encode(&value));
        assert_eq!(
            hex,
            "d9d9f7a3\
             416e89001818203901f3f93e00fb3fb999999999999afa47c35040f6f5\
             446b696e644141\
             4a61706956657273696f6e427631"
        );
    }

    #[test]
    fn forms_that_others_write_are_read() {
        for (bytes, value) in [
            (&b"\x63abc"[..], json!("abc")),
            (b"\x7f\x61a\x61b\xff", json!("ab")),
            (b"\xbf\x41a\x01\x61b\x9f\x02\xff\xff", json!({"a": 1, "b": [2]})),
            (b"\xd6\x42hi", json!("aGk=")),
            (b"\xd7\x42hi", json!("6869")),
            (b"\xc0\x74\x32\x30\x31\x33-03-21T20:04:00Z", json!("2013-03-21T20:04:00Z")),
            (b"\xc1\x1a\x51\x4b\x67\xb0", json!("2013-03-21T20:04:00Z")),
            (b"\xf9\x00\x01", json!(5.960464477539063e-8)),
            (b"\xd9\x03\xe7\x01", json!(1)),
        ] {
            assert_eq!(decode(bytes), Ok(value), "{bytes:02x?}");
        }
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        for bytes in [
            &b"\xa2\x41a\x01\x61a\x02"[..],
            b"\xa1\x01\x02",
            b"\xc2\x41\x01",
            b"\xf7",
            b"\xf9\x7c\x00",
            b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x41\xff",
            b"\x01\x02",
            b"",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(decode(bytes).is_err(), "{bytes:02x?}");
        }
        assert_eq!(decode(&[0x81].repeat(100_000)), Err("cbor: exceeded max nested level 512".into()));
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter_map("finite", |n| n.is_finite().then(|| Value::from(n))),
            any::<f32>().prop_filter_map("finite", |n| n.is_finite().then(|| Value::from(f64::from(n)))),
            any::<u16>().prop_filter_map("finite", |n| Number::from_f64(from_half(n)).map(Value::Number)),
            "\\PC{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in tree()) {
            prop_assert_eq!(decode(&encode(&value)), Ok(value));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
