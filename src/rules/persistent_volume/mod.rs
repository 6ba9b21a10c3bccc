//! PersistentVolume: storage that outlives pods.
//!
//! It says what volumes must keep; binding them to claims and attaching them to nodes is done by controllers.
//!
//! In reading order: `rules` (the kind), `spec` (what a volume says, also inside a VolumeAttachment), `sources` (where the
//! storage is).

pub mod rules;
pub mod sources;
pub mod spec;

pub use rules::{RULES, fill};
pub use spec::{fill_spec, inline_spec};
