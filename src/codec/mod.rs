//! An object's bytes: Kubernetes protobuf, JSON, YAML, CBOR, and the ways between them, all driven by the tables of
//! `schema`.
//!
//! Between decoding and encoding an object is a *sparse* tree (`model::value::Value`): checked against its type, with
//! unset and zero fields left out (pointers keep their zero), times, quantities and bytes in canonical form.
//!
//! In reading order: `wire` (protobuf's alphabet), `protobuf` (encode, decode, scan, splice), `json` (parse, decode,
//! write).

pub mod answer;
pub mod cbor;
pub mod json;
pub mod negotiate;
pub mod object;
pub mod protobuf;
pub mod table;
pub mod wire;
pub mod yaml;

#[cfg(test)]
pub(crate) mod generate;
#[cfg(test)]
mod tests;
