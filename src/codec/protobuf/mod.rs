//! Kubernetes protobuf: messages in ascending order of fields, within the `k8s\0` envelope.
//!
//! In reading order: `envelope` (what stands around a message on the wire and in the store), `encode` (from a sparse
//! value), `tree` (to a sparse value, at once or as it is looked into), `decode` (to anything else that serde can make),
//! `scan` (labels, owners and fields straight from the bytes, and the splice of a resourceVersion), `view` (any field by
//! its name), `check` (whether bytes are whole), `openapi` (the API's description).

pub mod check;
pub mod decode;
pub mod encode;
pub mod envelope;
pub mod openapi;
pub mod scan;
pub mod tree;
pub mod view;

/// How deep messages may nest: far above any real object (a CRD's schema nests some dozens), far below the stack.
pub const MAX_DEPTH: usize = 256;
