//! The admission plugins, and which of them are on.
//!
//! It owns the plugins' order and the meaning of `--enable-admission-plugins` and `--disable-admission-plugins`. A plugin
//! never writes to the cluster itself.
//!
//! In the order of the chain: `namespace_auto_provision`, `namespace_lifecycle`, `limit_ranger`, `service_account`, `node_restriction`,
//! `taint_nodes_by_condition`, `always_pull_images`, `image_policy`, `pod_security`, `pod_node_selector`, `priority`,
//! `default_toleration_seconds`, `pod_toleration_restriction`, `event_rate_limit`, `storage` (three), `owner_references`, `runtime_class`, `certificates` (three),
//! `default_ingress_class`, `pod_topology_labels`, `resizes` (two), `resource_quota`; `small` has six that stand here and
//! there; then `table`, which lists them all.

mod always_pull_images;
mod certificates;
mod default_ingress_class;
mod default_toleration_seconds;
mod event_rate_limit;
mod image_policy;
mod limit_ranger;
mod namespace_auto_provision;
mod namespace_lifecycle;
mod node_restriction;
mod owner_references;
mod pod_node_selector;
mod pod_security;
mod pod_toleration_restriction;
mod pod_topology_labels;
mod priority;
mod resizes;
pub mod resource_quota;
mod runtime_class;
mod service_account;
mod small;
pub mod storage;
mod table;
mod taint_nodes_by_condition;

pub use table::chain;

#[cfg(test)]
mod tests;
