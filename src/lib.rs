//! monokube: a Kubernetes control plane in one process.
//!
//! Modules in layer order; each imports only from those above it (`tests/tidy.rs` sees to it).

pub mod base;
pub mod model;
pub mod schema;
pub mod codec;
pub mod rules;
pub mod fields;
pub mod store;
pub mod cache;
pub mod pki;
pub mod auth;
pub mod audit;
pub mod fairness;
pub mod admission;
pub mod registry;
pub mod relay;
pub mod apiserver;
pub mod controllers;
pub mod scheduler;
pub mod remote;
pub mod nodes;
pub mod load;
pub mod config;
pub mod assemble;
pub mod cli;
