//! What the server knows about every type: built in (tables made of `proto/`) or custom.
//!
//! It owns the tables and what is derived from them alone. It never reads the store and never asks who is asking.
//!
//! In reading order: `table` (messages and fields).

pub mod table;
