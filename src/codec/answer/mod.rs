//! Objects on their way out: one, a list, a table, an event of a watch, an error; in JSON, YAML, protobuf or CBOR.
//!
//! It writes from the bytes that the cache holds and copies an object once, into a chunk of the answer; a list is never
//! held as a whole. It never looks at the clock: now is passed in.
//!
//! In reading order: `subject` (what the objects of an answer are), `parts` (one object, its metadata, a row), `object` (one
//! object and an error as answers), `list` (a list, chunk by chunk), `watch` (events), `pretty` (line breaks for people).

pub mod list;
pub mod object;
mod parts;
pub mod pretty;
pub mod subject;
pub mod watch;

#[cfg(test)]
mod tests;
