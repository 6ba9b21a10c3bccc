//! How a plane is configured: flags under stock's names, and every bound under a name of its own.
//!
//! In reading order: `limits` (the bounds), `flags` (the command line of `monokube server`), `audit` and
//! `fairness` (its flags about those).

pub mod audit;
pub mod fairness;
pub mod flags;
pub mod limits;
