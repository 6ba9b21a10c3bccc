//! Node: what it is, has and reports.
//!
//! In reading order: `rules`, `taints` (in the spec and in an old annotation), `avoid` (another old annotation).

mod avoid;
mod rules;
mod taints;

pub use rules::{RULES, fill};
