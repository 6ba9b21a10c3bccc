//! How a plane is configured: flags under stock's names, and every bound under a name of its own.
//!
//! In reading order: `limits` (the bounds), `flags` (the command line of `monokube server`), `identity` (those of
//! its flags that say who is believed and who decides), `audit` and `fairness` (those about these).

pub mod audit;
pub mod fairness;
pub mod flags;
pub mod identity;
pub mod kubelet;
pub mod limits;
