//! What the server knows about every type: built in (tables made of `proto/`) or custom.
//!
//! It owns the tables and what is derived from them alone. It never reads the store and never asks who is asking.
//!
//! In reading order: `table` (messages and fields; their names by `slot`), `structure` (the type of a custom resource), `resource` (the
//! descriptor of a served resource), `builtin` (one row a resource), `catalog` (the live set), `convert` (between the
//! versions of a kind), `digest` (hashes that clients see), `discovery` and `openapi` (the documents that describe all of
//! it), `cel` (the language of expressions in objects).

pub mod builtin;
pub mod catalog;
pub mod cel;
pub mod convert;
pub mod digest;
pub mod discovery;
pub mod openapi;
pub mod resource;
pub mod slot;
pub mod structure;
pub mod table;

#[cfg(test)]
mod facts;
