//! The resources that controllers follow and write, by name.

use compact_str::CompactString;

use crate::model::names::GroupResource;
use crate::registry::client::Target;

pub static PODS: Name = Name::core("pods");
pub static NODES: Name = Name::core("nodes");
pub static NAMESPACES: Name = Name::core("namespaces");
pub static EVENTS: Name = Name::core("events");
pub static CONFIG_MAPS: Name = Name::core("configmaps");
pub static SERVICES: Name = Name::core("services");
pub static ENDPOINTS: Name = Name::core("endpoints");
pub static ENDPOINT_SLICES: Name = Name::new("discovery.k8s.io", "endpointslices");
pub static SIGNING_REQUESTS: Name = Name::new("certificates.k8s.io", "certificatesigningrequests");
pub static LEASES: Name = Name::new("coordination.k8s.io", "leases");
pub static JOBS: Name = Name::new("batch", "jobs");
pub static DAEMON_SETS: Name = Name::new("apps", "daemonsets");
pub static CONTROLLER_REVISIONS: Name = Name::new("apps", "controllerrevisions");
pub static STATEFUL_SETS: Name = Name::new("apps", "statefulsets");
pub static BUDGETS: Name = Name::new("policy", "poddisruptionbudgets");
pub static QUOTAS: Name = Name::core("resourcequotas");
pub static AUTOSCALERS: Name = Name::new("autoscaling", "horizontalpodautoscalers");
pub static RESOURCE_CLAIMS: Name = Name::new("resource.k8s.io", "resourceclaims");
pub static CLAIM_TEMPLATES: Name = Name::new("resource.k8s.io", "resourceclaimtemplates");
pub static CRON_JOBS: Name = Name::new("batch", "cronjobs");
pub static CLAIMS: Name = Name::core("persistentvolumeclaims");
pub static VOLUMES: Name = Name::core("persistentvolumes");
pub static STORAGE_CLASSES: Name = Name::new("storage.k8s.io", "storageclasses");
pub static ATTRIBUTES_CLASSES: Name = Name::new("storage.k8s.io", "volumeattributesclasses");
pub static SERVICE_CIDRS: Name = Name::new("networking.k8s.io", "servicecidrs");
pub static IP_ADDRESSES: Name = Name::new("networking.k8s.io", "ipaddresses");
pub static SECRETS: Name = Name::core("secrets");
pub static SERVICE_ACCOUNTS: Name = Name::core("serviceaccounts");
pub static REPLICATION_CONTROLLERS: Name = Name::core("replicationcontrollers");
pub static REPLICA_SETS: Name = Name::new("apps", "replicasets");
pub static DEPLOYMENTS: Name = Name::new("apps", "deployments");
pub static FLOW_SCHEMAS: Name = Name::new("flowcontrol.apiserver.k8s.io", "flowschemas");
pub static PRIORITY_LEVELS: Name = Name::new("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations");
pub static API_SERVICES: Name = Name::new("apiregistration.k8s.io", "apiservices");
pub static CLUSTER_ROLES: Name = Name::new("rbac.authorization.k8s.io", "clusterroles");

/// A built-in resource's group and plural.
pub struct Name {
    /// As the cache and errors know it.
    pub full: GroupResource,
    group: &'static str,
    resource: &'static str,
}

impl Name {
    pub const fn core(resource: &'static str) -> Self {
        Self::new("", resource)
    }

    pub const fn new(group: &'static str, resource: &'static str) -> Self {
        let full =
            GroupResource { group: CompactString::const_new(group), resource: CompactString::const_new(resource) };
        Self { full, group, resource }
    }

    /// One object, to write it. `namespace` is empty for cluster-scoped ones.
    pub fn at<'a>(&self, namespace: &'a str, name: &'a str) -> Target<'a> {
        Target::new(self.group, self.resource, namespace, name)
    }
}
