//! Objects as rows of a `Table`: what `kubectl get` shows.
//!
//! It owns the columns of every built-in resource and the cells below them, and those that a CustomResourceDefinition
//! asks for. It reads an object's bytes where they lie and writes JSON; it never looks at the clock: now is passed in.
//!
//! In reading order: `columns` (what clients are told of each), `row` (how cells are written), `kinds` (kind -> columns
//! and cells), then the cells themselves, a group of kinds a file: `pods`, `workloads`, `network`, `nodes`, `storage`,
//! `plain` (core's small kinds), `access`, `policies`; `selector` (how label selectors print); for custom resources
//! `jsonpath` and `custom`.

mod access;
pub mod column;
pub mod columns;
pub mod custom;
pub mod jsonpath;
pub mod kinds;
mod network;
mod nodes;
mod plain;
mod pods;
mod policies;
pub mod row;
mod selector;
mod storage;
mod workloads;
