//! Which fields an object has and who owns them: field sets, `metadata.managedFields`, server-side apply, and patches.
//!
//! Pure functions over `crate::model::value::Value`, led by the tables of `schema`; times and names are passed in. It never
//! stores, defaults, prunes or validates an object.
//!
//! In reading order: `path` (a step to a field), `set` (sets of paths), `typed` (one view of built-in and custom
//! types), `check` (does a value fit its type, and what tells the items of a list apart), `gather` (the set of a
//! value's fields), `compare` (what two values differ in), `merge` (one value over another), `remove` (a value without
//! a set of fields), `reconcile` (a set after its schema changed), `resets` (what an endpoint resets), `managed` (the
//! list of managers), `written` (their fields, read in place), `whole` (all of a new object, written at once), `update` (who
//! owns what after a create, update or patch), `apply` (server-side apply), `prune` (what an applier no longer says), `conflict` (what it is refused for), `scale` (the list of managers as the scale
//! subresource shows it), `patch` (JSON patch, merge patch, strategic merge patch).

pub mod apply;
pub mod check;
pub mod compare;
pub mod conflict;
pub mod gather;
pub mod managed;
pub mod merge;
pub mod patch;
pub mod path;
pub mod prune;
pub mod reconcile;
pub mod remove;
pub mod resets;
pub mod scale;
pub mod set;
pub mod typed;
pub mod update;
pub mod whole;
pub mod written;
