//! PersistentVolumeClaim: a pod's wish for storage.
//!
//! It says what claims must keep; what their specs say stands with pods, whose volumes can hold one
//! (`pod::volumes::claim`).
//!
//! In reading order: `rules` (the kind), `source` (what a claim is filled from), `change` (what of it may change),
//! `status`.

pub mod change;
pub mod rules;
pub mod source;
pub mod status;

pub use rules::{RULES, fill};
