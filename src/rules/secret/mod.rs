//! Secret: opaque data, and the types of data that Kubernetes knows.
//!
//! In reading order: `rules`, `keypair` (whether a certificate and a key belong together).

mod keypair;
mod rules;

pub use rules::{RULES, fill};
