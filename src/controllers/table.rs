//! Which controllers there are: one row each.

use super::account_tokens::AccountTokens;
use super::aggregation::Aggregation;
use super::autoscaler::Autoscalers;
use super::binder::Binder;
use super::bootstrap::{BootstrapSigner, TokenCleaner};
use super::certificates::approve::Approver;
use super::certificates::clean::Cleaner;
use super::certificates::sign::Signer;
use super::config::Config;
use super::cronjob::CronJobs;
use super::daemonset::DaemonSets;
use super::deployment::Deployments;
use super::disruption::Disruption;
use super::endpoints::legacy::Endpoints;
use super::endpoints::mirror::Mirror;
use super::endpoints::slices::EndpointSlices;
use super::ephemeral_volume::EphemeralVolumes;
use super::garbage::GarbageCollector;
use super::harness::Controller;
use super::job::Jobs;
use super::job::ttl::TtlAfterFinished;
use super::legacy_tokens::LegacyTokens;
use super::namespace::Namespaces;
use super::node::eviction::TaintEviction;
use super::node::ipam::NodeIpam;
use super::node::lifecycle::NodeLifecycle;
use super::node::ttl::Ttl;
use super::pod_gc::PodGc;
use super::protection::{AttributesClassProtection, ClaimProtection, VolumeProtection};
use super::replicaset::ReplicaSets;
use super::resource_claim::ResourceClaims;
use super::resourcequota::ResourceQuotas;
use super::root_ca::RootCa;
use super::service_account::DefaultAccounts;
use super::service_cidr::ServiceCidrs;
use super::statefulset::StatefulSets;

/// A controller.
pub struct Row {
    /// Stock's name: `replicaset-controller`. Events come from it.
    pub name: &'static str,
    /// Its older, shorter name: `replicaset`.
    pub alias: &'static str,
    /// The service account in `kube-system` as which it writes; empty: kube-controller-manager itself.
    pub account: &'static str,
    /// Keys worked on at a time.
    pub workers: usize,
    /// Whether `*` names it.
    pub by_default: bool,
    /// `None`: the configuration lacks what it needs.
    pub build: fn(&Config) -> Option<Box<dyn Controller>>,
}

/// All of them, by name.
pub static CONTROLLERS: &[Row] = &[
    Row {
        name: "bootstrap-signer-controller",
        alias: "bootstrapsigner",
        account: "bootstrap-signer",
        workers: 1,
        by_default: false,
        build: |_| Some(Box::new(BootstrapSigner)),
    },
    Row {
        name: "certificatesigningrequest-approving-controller",
        alias: "csrapproving",
        account: "certificate-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(Approver)),
    },
    Row {
        name: "certificatesigningrequest-cleaner-controller",
        alias: "csrcleaner",
        account: "certificate-controller",
        workers: 1,
        by_default: true,
        build: |_| Some(Box::new(Cleaner)),
    },
    Row {
        name: "certificatesigningrequest-signing-controller",
        alias: "csrsigning",
        account: "certificate-controller",
        workers: 5,
        by_default: true,
        build: |config| Some(Box::new(Signer::new(config)?)),
    },
    Row {
        name: "clusterrole-aggregation-controller",
        alias: "clusterrole-aggregation",
        account: "clusterrole-aggregation-controller",
        workers: 1,
        by_default: true,
        build: |_| Some(Box::new(Aggregation)),
    },
    Row {
        name: "cronjob-controller",
        alias: "cronjob",
        account: "cronjob-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(CronJobs::default())),
    },
    Row {
        name: "daemonset-controller",
        alias: "daemonset",
        account: "daemon-set-controller",
        workers: 2,
        by_default: true,
        build: |_| Some(Box::new(DaemonSets::default())),
    },
    Row {
        name: "deployment-controller",
        alias: "deployment",
        account: "deployment-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(Deployments)),
    },
    Row {
        name: "disruption-controller",
        alias: "disruption",
        account: "disruption-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(Disruption::default())),
    },
    Row {
        name: "endpoints-controller",
        alias: "endpoint",
        account: "endpoint-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(Endpoints::default())),
    },
    Row {
        name: "endpointslice-controller",
        alias: "endpointslice",
        account: "endpointslice-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(EndpointSlices::default())),
    },
    Row {
        name: "endpointslice-mirroring-controller",
        alias: "endpointslicemirroring",
        account: "endpointslicemirroring-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(Mirror)),
    },
    Row {
        name: "ephemeral-volume-controller",
        alias: "ephemeral-volume",
        account: "ephemeral-volume-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(EphemeralVolumes)),
    },
    Row {
        name: "garbage-collector-controller",
        alias: "garbagecollector",
        account: "generic-garbage-collector",
        workers: 20,
        by_default: true,
        build: |_| Some(Box::new(GarbageCollector::default())),
    },
    Row {
        name: "horizontal-pod-autoscaler-controller",
        alias: "horizontalpodautoscaling",
        account: "horizontal-pod-autoscaler",
        workers: 5,
        by_default: true,
        build: |config| Some(Box::new(Autoscalers::new(config))),
    },
    Row {
        name: "job-controller",
        alias: "job",
        account: "job-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(Jobs)),
    },
    Row {
        name: "legacy-serviceaccount-token-cleaner-controller",
        alias: "legacy-service-account-token-cleaner",
        account: "legacy-service-account-token-cleaner",
        workers: 1,
        by_default: true,
        build: |config| Some(Box::new(LegacyTokens::new(config))),
    },
    Row {
        name: "namespace-controller",
        alias: "namespace",
        account: "namespace-controller",
        workers: 10,
        by_default: true,
        build: |_| Some(Box::new(Namespaces)),
    },
    Row {
        name: "node-ipam-controller",
        alias: "nodeipam",
        account: "node-controller",
        workers: 1,
        by_default: true,
        build: |config| Some(Box::new(NodeIpam::new(config)?)),
    },
    Row {
        name: "node-lifecycle-controller",
        alias: "nodelifecycle",
        account: "node-controller",
        workers: 8,
        by_default: true,
        build: |config| Some(Box::new(NodeLifecycle::new(config))),
    },
    Row {
        name: "persistentvolume-binder-controller",
        alias: "persistentvolume-binder",
        account: "persistent-volume-binder",
        workers: 8,
        by_default: true,
        build: |_| Some(Box::new(Binder::default())),
    },
    Row {
        name: "persistentvolume-protection-controller",
        alias: "pv-protection",
        account: "pv-protection-controller",
        workers: 1,
        by_default: true,
        build: |_| Some(Box::new(VolumeProtection)),
    },
    Row {
        name: "persistentvolumeclaim-protection-controller",
        alias: "pvc-protection",
        account: "pvc-protection-controller",
        workers: 1,
        by_default: true,
        build: |_| Some(Box::new(ClaimProtection)),
    },
    Row {
        name: "pod-garbage-collector-controller",
        alias: "podgc",
        account: "pod-garbage-collector",
        workers: 1,
        by_default: true,
        build: |config| Some(Box::new(PodGc::new(config))),
    },
    Row {
        name: "replicaset-controller",
        alias: "replicaset",
        account: "replicaset-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(ReplicaSets::sets())),
    },
    Row {
        name: "replicationcontroller-controller",
        alias: "replicationcontroller",
        account: "replication-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(ReplicaSets::replication_controllers())),
    },
    Row {
        name: "resourceclaim-controller",
        alias: "resource-claim-controller",
        account: "resource-claim-controller",
        workers: 10,
        by_default: true,
        build: |_| Some(Box::new(ResourceClaims)),
    },
    Row {
        name: "resourcequota-controller",
        alias: "resourcequota",
        account: "resourcequota-controller",
        workers: 5,
        by_default: true,
        build: |config| Some(Box::new(ResourceQuotas::new(config))),
    },
    Row {
        name: "root-ca-certificate-publisher-controller",
        alias: "root-ca-cert-publisher",
        account: "root-ca-cert-publisher",
        workers: 1,
        by_default: true,
        build: |config| Some(Box::new(RootCa::new(config)?)),
    },
    Row {
        name: "service-cidr-controller",
        alias: "service-cidr-controller",
        account: "service-cidrs-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(ServiceCidrs)),
    },
    Row {
        name: "serviceaccount-controller",
        alias: "serviceaccount",
        account: "service-account-controller",
        workers: 1,
        by_default: true,
        build: |_| Some(Box::new(DefaultAccounts)),
    },
    Row {
        name: "serviceaccount-token-controller",
        alias: "serviceaccount-token",
        account: "",
        workers: 5,
        by_default: true,
        build: |config| Some(Box::new(AccountTokens::new(config)?)),
    },
    Row {
        name: "statefulset-controller",
        alias: "statefulset",
        account: "statefulset-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(StatefulSets)),
    },
    Row {
        name: "taint-eviction-controller",
        alias: "taint-eviction-controller",
        account: "node-controller",
        workers: 8,
        by_default: true,
        build: |_| Some(Box::new(TaintEviction::default())),
    },
    Row {
        name: "token-cleaner-controller",
        alias: "tokencleaner",
        account: "token-cleaner",
        workers: 1,
        by_default: false,
        build: |_| Some(Box::new(TokenCleaner)),
    },
    Row {
        name: "ttl-after-finished-controller",
        alias: "ttl-after-finished",
        account: "ttl-after-finished-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(TtlAfterFinished)),
    },
    Row {
        name: "ttl-controller",
        alias: "ttl",
        account: "ttl-controller",
        workers: 5,
        by_default: true,
        build: |_| Some(Box::new(Ttl::default())),
    },
    Row {
        name: "volumeattributesclass-protection-controller",
        alias: "volumeattributesclass-protection-controller",
        account: "volumeattributesclass-protection-controller",
        workers: 1,
        by_default: true,
        build: |_| Some(Box::new(AttributesClassProtection)),
    },
];

impl Row {
    /// What its events say that they are from: stock has other names for some.
    pub fn component(&self) -> &'static str {
        match self.name {
            "disruption-controller" => "controllermanager",
            "endpoints-controller" => "endpoint-controller",
            "endpointslice-controller" => "endpoint-slice-controller",
            "endpointslice-mirroring-controller" => "endpoint-slice-mirroring-controller",
            "ephemeral-volume-controller" => "ephemeral_volume",
            "horizontal-pod-autoscaler-controller" => "horizontal-pod-autoscaler",
            "node-ipam-controller" => "cidrAllocator",
            "node-lifecycle-controller" => "node-controller",
            "persistentvolume-binder-controller" => "persistentvolume-controller",
            "resourceclaim-controller" => "resource_claim",
            name => name,
        }
    }

    /// Whether this is its name or alias.
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.alias == name
    }
}
