//! The alphabet of protobuf: varints, tags, and fields one after another.

/// What cannot be protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("unexpected EOF")]
    Truncated,
    #[error("integer overflow")]
    Overflow,
    #[error("illegal tag or wire type")]
    Tag,
    #[error("wrong wire type for a field")]
    WireType,
    #[error("invalid UTF-8")]
    Utf8,
    #[error("nested too deeply")]
    Depth,
    #[error("a value of the wrong form")]
    Form,
}

/// One field's value on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Wire<'a> {
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::WireType),
        }
    }

    pub fn str(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::Utf8)
    }

    pub fn varint(self) -> Result<u64, Malformed> {
        match self {
            Wire::Varint(number) => Ok(number),
            _ => Err(Malformed::WireType),
        }
    }
}

/// Reads fields one after another.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How far it has read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next field: its number and value; `None` at the end.
    #[inline(always)]
    pub fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>, Malformed> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed::Tag)?;
        if number == 0 {
            return Err(Malformed::Tag);
        }
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Overflow)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.fixed()?)),
            _ => return Err(Malformed::Tag),
        };
        Ok(Some((number, value)))
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let first = *self.bytes.get(self.at).ok_or(Malformed::Truncated)?;
        self.at += 1;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Malformed::Truncated)?;
            self.at += 1;
            if shift == 63 && byte > 1 {
                return Err(Malformed::Overflow);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Overflow)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed::Overflow)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Malformed::Truncated)?;
        self.at = end;
        Ok(bytes)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| Malformed::Truncated)
    }
}

/// The wire type of strings, bytes and messages.
pub const LENGTH_DELIMITED: u32 = 2;
/// The wire type of integers and booleans.
pub const VARINT: u32 = 0;
/// The wire type of doubles.
pub const FIXED64: u32 = 1;

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length-delimited field.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number << 3 | LENGTH_DELIMITED));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Bytes that a varint takes.
pub fn varint_len(value: u64) -> usize {
    ((64 - (value | 1).leading_zeros()) as usize).div_ceil(7)
}

/// Writes from the end to the front, so that a length is known when it is written and nothing is moved.
pub struct Backward {
    buffer: Vec<u8>,
    /// Written is `buffer[start..]`.
    start: usize,
}

impl Backward {
    pub fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.max(64);
        Self { buffer: vec![0; capacity], start: capacity }
    }

    /// How much is written.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.start -= bytes.len();
        self.buffer[self.start..self.start + bytes.len()].copy_from_slice(bytes);
    }

    #[inline]
    pub fn varint(&mut self, mut value: u64) {
        let length = varint_len(value);
        self.reserve(length);
        self.start -= length;
        for slot in &mut self.buffer[self.start..self.start + length - 1] {
            *slot = value as u8 | 0x80;
            value >>= 7;
        }
        self.buffer[self.start + length - 1] = value as u8;
    }

    #[inline]
    pub fn tag(&mut self, number: u32, wire_type: u32) {
        self.varint(u64::from(number << 3 | wire_type));
    }

    /// Closes a length-delimited field of which everything after `before` (an earlier [`Self::len`]) is the content.
    #[inline]
    pub fn close(&mut self, number: u32, before: usize) {
        self.varint((self.len() - before) as u64);
        self.tag(number, LENGTH_DELIMITED);
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.buffer.drain(..self.start);
        self.buffer
    }

    fn reserve(&mut self, more: usize) {
        if self.start >= more {
            return;
        }
        let written = self.len();
        let capacity = (self.buffer.len() * 2).max(written + more);
        let mut grown = vec![0; capacity];
        grown[capacity - written..].copy_from_slice(&self.buffer[self.start..]);
        self.start = capacity - written;
        self.buffer = grown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_round_trip(value: u64) {
            let mut forward = vec![8];
            put_varint(&mut forward, value);
            let mut backward = Backward::with_capacity(0);
            backward.varint(value);
            backward.tag(1, VARINT);
            prop_assert_eq!(&backward.finish(), &forward);
            prop_assert_eq!(Reader::new(&forward).field(), Ok(Some((1, Wire::Varint(value)))));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(Some(_)) = reader.field() {}
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        assert_eq!(Reader::new(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]).field(), Err(Malformed::Truncated));
        assert_eq!(Reader::new(&[0x0a]).field(), Err(Malformed::Truncated));
        assert_eq!(Reader::new(&[0x00]).field(), Err(Malformed::Tag));
    }
}
