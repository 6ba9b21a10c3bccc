//! Time, chance and tasks. Only this folder reads the clock or makes randomness, so that a test may own both.
//!
//! It knows nothing of Kubernetes. In reading order: `clock`, `entropy`, `backoff`, `tasks`,
//! `files`.

pub mod backoff;
pub mod clock;
pub mod entropy;
pub mod files;
pub mod tasks;
