//! The composition root: from flags to a running control plane.
//!
//! It owns the order in which parts start and end, and nothing else does. In reading order: `plane` (start and stop),
//! `core` (the registry and what it stands on),
//! `identity` (certificates and keys), `authentication` (who is believed), `authorization` (who decides), `outlet` (how backends are reached), `subjects` and
//! `roles` (what they read of the cache), `bootstrap` and `flow_control` (the objects of a fresh plane), `service` (the
//! plane as the Service `kubernetes`).

mod audit;
mod authentication;
mod authorization;
mod bootstrap;
pub mod core;
pub mod flow_control;
pub mod identity;
mod outlet;
pub mod plane;
pub mod roles;
pub mod service;
pub mod subjects;

#[cfg(test)]
mod overload_test;
