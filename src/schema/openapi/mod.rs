//! The OpenAPI documents: version 2, one for all, and version 3, one for each group version.
//!
//! It owns the way from tables and CustomResourceDefinitions' schemas to documents. Nothing is kept: a document is made
//! when it is asked for, piece by piece, and the caller keeps the bytes. The protobuf form is `codec`'s.
//!
//! In reading order: `source` (what documents are made of), `operation` (what may be done, before either version writes
//! it) with `resource`, `custom` and `fixed` (the operations of each origin), `parameter`, `definition` (types),
//! `published` (types of custom resources), `describe` (their descriptions), `text`, `v2`, `v3`.

pub mod custom;
pub mod definition;
pub mod describe;
pub mod fixed;
pub mod operation;
pub mod parameter;
pub mod published;
pub mod resource;
pub mod source;
mod text;
pub mod v2;
pub mod v3;

#[cfg(test)]
mod tests;
