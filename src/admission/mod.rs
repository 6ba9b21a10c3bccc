//! Admission: what may still change or refuse a write after authorization and before it is stored.
//!
//! One short file a plugin. Plugins read the cache; what they must write goes through the traits they are given, for
//! admission knows no registry.
//!
//! In reading order: `chain` (attributes, the plugin's contract, the order), `reads` (what plugins see of the cluster),
//! `charges` (the one way to write), `configuration` (what plugins are told by a file), `pod` (how they look at pods), then `plugins`.

pub mod chain;
pub mod charges;
pub mod configuration;
pub mod plugins;
pub mod pod;
pub mod reads;
