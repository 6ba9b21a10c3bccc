//! YAML: read as stock's reader reads it, with its texts of what is wrong, and printed as stock prints it.
//!
//! Bodies become JSON and are decoded as such. It reads the first document of a text, bounds how deep it nests and how far
//! aliases blow it up.
//!
//! In reading order: `cursor` (letters), `scan` and `scalars` (letters to tokens), `compose` (tokens to nodes), `resolve`
//! (what a plain scalar is), `read` (nodes to JSON), `emit` (JSON to YAML).

pub mod compose;
pub mod cursor;
pub mod emit;
pub mod read;
pub mod resolve;
mod scalars;
pub mod scan;
