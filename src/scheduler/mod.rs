//! The scheduler: gives each pod without a node the best node that will have it.
//!
//! It owns its picture of the cluster (nodes and what their pods take), the queue of pods that wait, and the decisions.
//! It reads the cache and writes through the registry as `system:kube-scheduler`: bindings, conditions, events, and the
//! end of pods that make room for more important ones. It never speaks HTTP and never polls: it moves when something
//! happens, or when a pause is over.
//!
//! As stock's scheduler: the plugins and their weights, their order and their words; queueing hints; nominated nodes;
//! fewer nodes looked at the more there are. What is not there: extenders, out-of-tree plugins, pod groups, dynamic
//! resource allocation (a pod with resource claims waits), and volumes of in-tree drivers that were never migrated.
//!
//! In reading order: `config` (set-up and bounds); `view` (what is read of objects), `resources`, `terms`, `pod`, `node`
//! (compact forms), `volumes`; `topology`, `counters`, `lookup`, `cluster` (the picture); `plugin` (what a plugin is), `plugins`
//! (the table, one file each); `diagnosis` (why a pod fits nowhere), `cycle` (one decision), `preempt`; `queue`;
//! `writes`, `run` (the task).

pub mod cluster;
pub mod config;
pub mod counters;
pub mod cycle;
pub mod diagnosis;
pub mod lookup;
pub mod node;

pub mod plugin;
pub mod plugins;
pub mod pod;
pub mod preempt;
pub mod queue;
pub mod resources;
pub mod run;
pub mod terms;
pub mod topology;
pub mod view;
pub mod volumes;
pub mod writes;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use run::start;
