//! Maps that stand in an object's bytes until somebody asks for a field.

use std::sync::OnceLock;

use bytes::Bytes;

use super::Map;
use super::map::Entries;

/// What tells how a map's fields stand in bytes.
pub trait Encoding: Sync {
    /// The fields. Maps in them are encoded or shared. The bytes are whole: nobody makes a map of others.
    fn decode(&'static self, bytes: &Bytes) -> Map;
}

/// A part of an object's bytes, and the fields once they were asked for. It never changes.
pub(super) struct Encoded {
    pub bytes: Bytes,
    encoding: &'static dyn Encoding,
    fields: OnceLock<Entries>,
}

impl Encoded {
    pub fn new(bytes: Bytes, encoding: &'static dyn Encoding) -> Self {
        Self { bytes, encoding, fields: OnceLock::new() }
    }

    pub fn is_of(&self, encoding: &'static dyn Encoding) -> bool {
        std::ptr::addr_eq(self.encoding, encoding)
    }

    /// Whether both have the same fields, as far as their bytes tell.
    pub fn is_same(&self, other: &Self) -> bool {
        self.is_of(other.encoding) && self.bytes == other.bytes
    }

    pub fn fields(&self) -> &Entries {
        self.fields.get_or_init(|| self.decode())
    }

    pub fn into_fields(mut self) -> Entries {
        self.fields.take().unwrap_or_else(|| self.decode())
    }

    fn decode(&self) -> Entries {
        self.encoding.decode(&self.bytes).into_entries()
    }
}
