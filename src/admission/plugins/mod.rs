//! The admission plugins, and which of them are on.
//!
//! It owns the plugins' order and the meaning of `--enable-admission-plugins` and `--disable-admission-plugins`. A plugin
//! never writes to the cluster itself.
//!
//! In the order of the chain: `namespace_lifecycle`, `limit_ranger`, `service_account`, `node_restriction`, `taint_nodes_by_condition`,
//! `pod_security`, `priority`, `default_toleration_seconds`, `storage` (three), `runtime_class`, `certificates` (three),
//! `default_ingress_class`, `resource_quota`; then `table`, which lists them all.

mod certificates;
mod default_ingress_class;
mod default_toleration_seconds;
mod limit_ranger;
mod namespace_lifecycle;
mod node_restriction;
mod pod_security;
mod priority;
mod resource_quota;
mod runtime_class;
mod service_account;
mod storage;
mod table;
mod taint_nodes_by_condition;

pub use table::chain;

#[cfg(test)]
mod tests;
