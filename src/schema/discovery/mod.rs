//! What the server serves, told to clients: groups, versions, resources.
//!
//! It owns the order and the shape of the answers of `/api`, `/apis` and the paths of groups and versions below them. It
//! speaks no HTTP and never asks an aggregated server: the caller adds what those serve to the groups.
//!
//! In reading order: `group` (the groups of a catalog, in order), `legacy` (a document a path), `aggregated` (all in one
//! document).

pub mod aggregated;
pub mod group;
pub mod legacy;

#[cfg(test)]
mod tests;
