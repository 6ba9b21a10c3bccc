//! Which node ports are taken, as stock writes it: a `RangeAllocation` with one bit a port.

use bytes::Bytes;

use super::ranges::PortRange;
use crate::codec::protobuf::envelope::{Envelope, wrap};
use crate::codec::wire::{Malformed, Reader, put_bytes};

/// One bit for each place in the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap(Vec<u64>);

impl Bitmap {
    pub fn new(range: PortRange) -> Self {
        Self(vec![0; usize::from(range.size).div_ceil(64)])
    }

    pub fn has(&self, place: u16) -> bool {
        self.0[usize::from(place / 64)] & (1 << (place % 64)) != 0
    }

    /// `false`: it was so already.
    pub fn set(&mut self, place: u16, taken: bool) -> bool {
        if self.has(place) == taken {
            return false;
        }
        self.0[usize::from(place / 64)] ^= 1 << (place % 64);
        true
    }

    /// What the store keeps.
    pub fn encode(&self, range: PortRange) -> Bytes {
        // Go's big.Int: the highest byte first, no leading zeros.
        let bytes: Vec<u8> = self.0.iter().rev().flat_map(|word| word.to_be_bytes()).collect();
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        let mut raw = Vec::new();
        put_bytes(&mut raw, 1, &[]);
        put_bytes(&mut raw, 2, range.to_string().as_bytes());
        put_bytes(&mut raw, 3, &bytes[start..]);
        wrap("v1", "RangeAllocation", &raw)
    }

    /// `None`: it is of another range.
    pub fn decode(value: &[u8], range: PortRange) -> Result<Option<Self>, Malformed> {
        let (mut of, mut data): (&str, &[u8]) = ("", &[]);
        let mut reader = Reader::new(Envelope::parse(value)?.raw);
        while let Some((number, wire)) = reader.field()? {
            match number {
                2 => of = wire.str()?,
                3 => data = wire.bytes()?,
                _ => {}
            }
        }
        if of != range.to_string() {
            return Ok(None);
        }
        let mut bitmap = Self::new(range);
        for (at, byte) in data.iter().rev().enumerate().take(bitmap.0.len() * 8) {
            bitmap.0[at / 8] |= u64::from(*byte) << (at % 8 * 8);
        }
        Ok(Some(bitmap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bits_are_counted_from_the_end() {
        let range = PortRange::parse("30000-30099").expect("a range");
        let mut bitmap = Bitmap::new(range);
        assert!(bitmap.set(0, true) && bitmap.set(9, true) && !bitmap.set(9, true));
        let value = bitmap.encode(range);
        let raw = Envelope::parse(&value).expect("an envelope").raw;
        assert!(raw.ends_with(b"\x1a\x02\x02\x01"), "{raw:?}");
        let other = PortRange::parse("30000-30100").expect("a range");
        assert_eq!(Bitmap::decode(&value, other), Ok(None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(places in proptest::collection::vec(0u16..2768, 0..40)) {
            let range = PortRange::parse("30000-32767").expect("a range");
            let mut bitmap = Bitmap::new(range);
            for place in &places {
                bitmap.set(*place, true);
            }
            prop_assert_eq!(Bitmap::decode(&bitmap.encode(range), range), Ok(Some(bitmap)));
        }
    }
}
