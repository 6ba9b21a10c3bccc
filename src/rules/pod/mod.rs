//! Pods, and everything that has a pod's template: defaults, preparation, validation, warnings.
//!
//! Owns the kinds Pod, PodTemplate and Binding. Other kinds call `template`, and the checks that stand in files of their
//! own (`affinity`, `tolerations`, `resources`, `volumes`). It knows no admission: accounts, priorities and default
//! tolerations are given to a pod before it comes here.
//!
//! In reading order: `template` (what workloads call), `object` (the kind Pod), `pod_template`, `binding`; then what is
//! filled in and dropped: `defaults`, `images`, `amounts`, `disabled`; then what is checked, in stock's order: `options`,
//! `spec`, `volumes`, `resources`, `containers`, `visit`, `ports`, `env`, `mounts`, `probes`, `restart`, `security`,
//! `windows`, `affinity`, `spread`, `tolerations`, `dns`, `annotations`; then changes: `update`, `ephemeral`, `resize`,
//! `status`, `container_status`; then `warnings`, `overlaps`.

pub mod affinity;
mod amounts;
mod annotations;
pub mod binding;
mod container_status;
mod containers;
pub mod defaults;
mod disabled;
mod dns;
mod env;
mod ephemeral;
mod images;
mod mounts;
pub mod object;
pub mod options;
mod overlaps;
pub mod pod_template;
mod ports;
mod probes;
mod resize;
pub mod resources;
mod restart;
mod security;
mod spec;
pub mod spread;
mod status;
pub mod template;
#[cfg(test)]
mod tests;
pub mod tolerations;
mod update;
mod visit;
pub mod volumes;
pub mod warnings;
mod windows;
