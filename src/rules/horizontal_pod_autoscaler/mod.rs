//! HorizontalPodAutoscaler: how many replicas a workload gets by what is measured.
//!
//! It is kept as autoscaling/v2; `schema::convert` makes autoscaling/v1 of it and back.
//!
//! In reading order: `rules` (the kind, its defaults and its spec), `metrics` (what is measured).

mod metrics;
mod rules;

pub use rules::{RULES, fill_v1, fill_v2};
