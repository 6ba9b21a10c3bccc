//! How a plane is configured: flags under stock's names, and every bound under a name of its own.
//!
//! In reading order: `limits` (the bounds), `flags` (the command line of `monokube server`), `audit` (its
//! flags about audit).

pub mod audit;
pub mod flags;
pub mod limits;
