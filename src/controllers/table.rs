//! Which controllers there are: one row each.

use super::aggregation::Aggregation;
use super::config::Config;
use super::deployment::Deployments;
use super::garbage::GarbageCollector;
use super::harness::Controller;
use super::namespace::Namespaces;
use super::pod_gc::PodGc;
use super::replicaset::ReplicaSets;

/// A controller.
pub struct Row {
    /// Stock's name: `replicaset-controller`. Events come from it.
    pub name: &'static str,
    /// Its older, shorter name: `replicaset`.
    pub alias: &'static str,
    /// The service account in `kube-system` as which it writes.
    pub account: &'static str,
    /// Keys worked on at a time.
    pub workers: usize,
    /// Whether `*` names it.
    pub by_default: bool,
    pub build: fn(&Config) -> Box<dyn Controller>,
}

/// All of them, by name.
pub static CONTROLLERS: &[Row] = &[
    Row {
        name: "clusterrole-aggregation-controller",
        alias: "clusterrole-aggregation",
        account: "clusterrole-aggregation-controller",
        workers: 1,
        by_default: true,
        build: |_| Box::new(Aggregation),
    },
    Row {
        name: "deployment-controller",
        alias: "deployment",
        account: "deployment-controller",
        workers: 5,
        by_default: true,
        build: |_| Box::new(Deployments),
    },
    Row {
        name: "garbage-collector-controller",
        alias: "garbagecollector",
        account: "generic-garbage-collector",
        workers: 20,
        by_default: true,
        build: |_| Box::new(GarbageCollector::default()),
    },
    Row {
        name: "namespace-controller",
        alias: "namespace",
        account: "namespace-controller",
        workers: 10,
        by_default: true,
        build: |_| Box::new(Namespaces),
    },
    Row {
        name: "pod-garbage-collector-controller",
        alias: "podgc",
        account: "pod-garbage-collector",
        workers: 1,
        by_default: true,
        build: |config| Box::new(PodGc::new(config)),
    },
    Row {
        name: "replicaset-controller",
        alias: "replicaset",
        account: "replicaset-controller",
        workers: 5,
        by_default: true,
        build: |_| Box::new(ReplicaSets::sets()),
    },
    Row {
        name: "replicationcontroller-controller",
        alias: "replicationcontroller",
        account: "replication-controller",
        workers: 5,
        by_default: true,
        build: |_| Box::new(ReplicaSets::replication_controllers()),
    },
];

impl Row {
    /// Whether this is its name or alias.
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.alias == name
    }
}
