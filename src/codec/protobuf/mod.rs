//! Kubernetes protobuf: messages in ascending order of fields, within the `k8s\0` envelope.
//!
//! In reading order: `envelope` (what stands around a message on the wire and in the store), `encode` (from a sparse
//! value), `decode` (to anything serde can make: a sparse value, a `k8s_openapi` struct), `scan` (labels, owners and
//! fields straight from the bytes, and the splice of a resourceVersion), `view` (any field by its name), `check` (whether
//! bytes are whole), `openapi` (the API's description).

pub mod check;
pub mod decode;
pub mod encode;
pub mod envelope;
pub mod openapi;
pub mod scan;
pub mod view;

/// How deep messages may nest: far above any real object (a CRD's schema nests some dozens), far below the stack.
pub const MAX_DEPTH: usize = 256;
