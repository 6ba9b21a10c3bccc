//! JSON: to sparse values, strictly and with the texts of Go's decoder; and straight from protobuf bytes.
//!
//! In reading order: `parse` (any JSON to a value, bounded), `syntax` (what is wrong with a text, in Go's words),
//! `decode` (JSON of a known type to a sparse value), `convert` (the same from JSON that is decoded already), `write`
//! (protobuf bytes to JSON text without a tree in between), `dense` (a sparse value to what clients see), `tree` (a value
//! to JSON text), `scan` (metadata and fields straight from the text, and the splice of a
//! resourceVersion), `compact` (the same text without space).

pub mod compact;
pub mod convert;
pub mod decode;
pub mod dense;
pub mod parse;
pub mod scan;
pub mod syntax;
pub mod tree;
pub mod write;

/// How deep a body may nest. Stock takes 10,000; nothing real comes near this.
pub const MAX_DEPTH: usize = 512;
