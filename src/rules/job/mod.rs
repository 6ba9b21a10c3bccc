//! Job: pods that run until enough of them have succeeded.
//!
//! It owns the kind Job and what a CronJob's template of one must keep.
//!
//! In reading order: `rules` (defaults, preparation, warnings), `spec`, `policies` (what failures and successes mean),
//! `selector` (labels that a job gives its pods), `change` (what an update may touch), `status`, `indexes` (texts that
//! name indexes).

mod change;
mod indexes;
mod policies;
mod rules;
mod selector;
pub mod spec;
mod status;

pub use rules::{RULES, fill, fill_policy};
