//! What stands around a message: `k8s\0` and a `runtime.Unknown` that names its kind.

use bytes::Bytes;

use crate::codec::wire::{Malformed, Reader, put_bytes, put_varint, varint_len};

/// The first bytes of every object in Kubernetes protobuf.
pub const MAGIC: &[u8; 4] = b"k8s\0";

/// An object's bytes and the kind that the envelope names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    /// The message, or whatever `content_type` says.
    pub raw: &'a [u8],
    /// Empty: protobuf.
    pub content_type: &'a str,
}

impl<'a> Envelope<'a> {
    /// Whether these bytes claim to be one.
    pub fn marks(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let body = bytes.strip_prefix(MAGIC.as_slice()).ok_or(Malformed::Tag)?;
        let mut envelope = Envelope { api_version: "", kind: "", raw: &[], content_type: "" };
        let mut reader = Reader::new(body);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => {
                    let mut kind = Reader::new(value.bytes()?);
                    while let Some((number, value)) = kind.field()? {
                        match number {
                            1 => envelope.api_version = value.str()?,
                            2 => envelope.kind = value.str()?,
                            _ => {}
                        }
                    }
                }
                2 => envelope.raw = value.bytes()?,
                4 => envelope.content_type = value.str()?,
                _ => {}
            }
        }
        Ok(envelope)
    }

    /// Everything before the message's own bytes; [`SUFFIX`] follows them.
    pub fn prefix(api_version: &str, kind: &str, raw_len: usize) -> Vec<u8> {
        let mut types = Vec::with_capacity(api_version.len() + kind.len() + 6);
        put_bytes(&mut types, 1, api_version.as_bytes());
        put_bytes(&mut types, 2, kind.as_bytes());
        let mut out = Vec::with_capacity(types.len() + 16);
        out.extend_from_slice(MAGIC);
        put_bytes(&mut out, 1, &types);
        put_varint(&mut out, 2 << 3 | 2);
        put_varint(&mut out, raw_len as u64);
        out
    }
}

/// What stock writes after the message: an empty contentEncoding and contentType.
pub const SUFFIX: &[u8; 4] = &[0x1a, 0, 0x22, 0];

/// A message within its envelope, as it is on the wire and in the store.
pub fn wrap(api_version: &str, kind: &str, raw: &[u8]) -> Bytes {
    let mut out = Envelope::prefix(api_version, kind, raw.len());
    out.reserve_exact(raw.len() + SUFFIX.len());
    out.extend_from_slice(raw);
    out.extend_from_slice(SUFFIX);
    out.into()
}

/// How many bytes the envelope adds.
pub fn overhead(api_version: &str, kind: &str, raw_len: usize) -> usize {
    let types = 2 + api_version.len() + 2 + kind.len();
    MAGIC.len() + 1 + varint_len(types as u64) + types + 1 + varint_len(raw_len as u64) + SUFFIX.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_as_written() {
        let bytes = wrap("apps/v1", "Deployment", b"\x0a\x00");
        assert_eq!(bytes.len(), 2 + overhead("apps/v1", "Deployment", 2));
        let envelope = Envelope::parse(&bytes).expect("an envelope");
        assert_eq!(
            (envelope.api_version, envelope.kind, envelope.raw),
            ("apps/v1", "Deployment", b"\x0a\x00".as_slice())
        );
        assert_eq!(Envelope::parse(b"k8s\0\x0a\xff"), Err(Malformed::Truncated));
        assert_eq!(Envelope::parse(b"{}"), Err(Malformed::Tag));
    }
}
