//! Service: ports, types, addresses and how traffic reaches them.
//!
//! It owns what an object and the families of the cluster's addresses say. It never hands out addresses or ports: the
//! registry does, between `begin` and the rest.
//!
//! In reading order: `spec` (what a type needs), `rules` (defaults, preparation, warnings), `begin` (what stands before
//! addresses are handed out), `validate`, `addresses` (cluster IPs and their families), `change` (what an update may
//! not do), `status`.

mod addresses;
pub mod begin;
mod change;
mod rules;
pub mod spec;
pub mod status;
mod validate;

pub use rules::{RULES, fill};
pub use validate::PROTOCOLS;
