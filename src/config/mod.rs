//! How a plane is configured: flags under stock's names, and every bound under a name of its own.
//!
//! In reading order: `limits` (the bounds), `flags` (the command line of `monokube server`).

pub mod flags;
pub mod limits;
