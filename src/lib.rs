//! monokube: a Kubernetes control plane in one process.
//!
//! Modules in layer order; each imports only from those above it (`tests/tidy.rs` sees to it).

pub mod auth;
pub mod base;
pub mod model;
pub mod pki;
pub mod schema;
pub mod codec;
pub mod store;
