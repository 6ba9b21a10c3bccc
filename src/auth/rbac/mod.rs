//! Role-based access control, kept ready to answer.
//!
//! It owns the roles and bindings in the form in which a request is judged in microseconds. It never reads them from
//! the cache itself: whoever follows the cache tells it of every change.
//!
//! In reading order: `rule` (what a rule allows), `table` (roles and bindings by subject), `bound` (what a subject has),
//! `roles` (those of a scope), `reach` (which of many roles allow a request), `bits` (sets of roles and of rules),
//! `evaluate` (the answers), `escalation` (may one grant what one wants to grant), `aggregation` (cluster roles made of
//! others).

mod aggregation;
mod bits;
mod bound;
mod escalation;
mod evaluate;
mod reach;
mod roles;
mod rule;
mod table;

pub use aggregation::{aggregated_rules, is_aggregated};
pub use escalation::{covers, refusal};
pub use evaluate::{Grant, Rbac};
pub use rule::Rule;
pub use table::{Binding, Kind, RoleRef, Subject, SubjectKind};
