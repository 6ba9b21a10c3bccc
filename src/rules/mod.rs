//! The rules that objects must keep: reading an object with its place and schema, and checking what it says.
//!
//! Pure functions over JSON values; they read no store and no clock.
//!
//! In reading order: `kind` (what a kind adds to its schema), `all` (the table of kinds), `strategy` (a write's pure steps),
//! `at` (a value and where it
//! stands), `same` (what counts as unchanged), `show` (how a refused object prints), `diff` (how a refused change prints),
//! `fill` (ways to set what is left out), `checks` (rules that many kinds share), `workload` (rules of kinds that make pods),
//! `custom` (custom resources), then one file or folder a kind.

pub mod admission_registration;
pub mod all;
pub mod api_service;
pub mod at;
pub mod certificate_signing_request;
pub mod checks;
pub mod config_map;
pub mod controller_revision;
pub mod cron_job;
pub mod csi_driver;
pub mod csi_node;
pub mod csi_storage_capacity;
pub mod custom;
pub mod custom_resource_definition;
pub mod daemon_set;
pub mod deployment;
pub mod diff;
pub mod endpoint_slice;
pub mod endpoints;
pub mod event;
pub mod fill;
pub mod flow_control;
pub mod horizontal_pod_autoscaler;
pub mod ingress;
pub mod ingress_class;
pub mod ip_address;
pub mod job;
pub mod kind;
pub mod lease;
pub mod limit_range;
pub mod namespace;
pub mod network_policy;
pub mod node;
pub mod persistent_volume;
pub mod persistent_volume_claim;
pub mod pod;
pub mod pod_disruption_budget;
pub mod priority_class;
pub mod replica_set;
pub mod replication_controller;
pub mod resource;
pub mod resource_quota;
pub mod review;
pub mod role;
pub mod role_binding;
pub mod runtime_class;
pub mod same;
pub mod scale;
pub mod secret;
pub mod service;
pub mod service_account;
pub mod service_cidr;
pub mod show;
pub mod stateful_set;
pub mod storage_class;
pub mod strategy;
#[cfg(test)]
mod transcript;
pub mod volume_attachment;
pub mod volume_attributes_class;
pub mod workload;
