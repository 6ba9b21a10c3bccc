//! Which columns and cells a built-in kind has.

use super::column::Column;
use super::columns as c;
use super::row::Row;
use super::{access, network, nodes, plain, pods, policies, storage, workloads};
use crate::codec::protobuf::view::View;
use crate::schema::table::{self as t, Message};

/// What objects of a kind are sorted by.
pub type Order = for<'a> fn(View<'a>) -> (i64, &'a str);

/// How objects of a kind become rows.
#[derive(Debug)]
pub struct Kind {
    /// What is kept: of kinds that are served in several groups or versions, the one in the store.
    pub message: &'static Message,
    pub columns: &'static [Column<'static>],
    pub cells: fn(&mut Row<'_>, View<'_>),
    /// Of a list that is not shown in the order of names: what it is sorted by.
    pub order: Option<Order>,
    /// Annotations that stand for a field which the type has no more; metadata shown alone is without them.
    pub hidden: &'static [&'static str],
}

const fn kind(
    message: &'static Message,
    columns: &'static [Column<'static>],
    cells: fn(&mut Row<'_>, View<'_>),
) -> Kind {
    Kind { message, columns, cells, order: None, hidden: &[] }
}

/// Of kinds without columns of their own: nothing but the metadata, which all objects have as their first field, is read.
static PLAIN: Kind = kind(&t::APIMACHINERY_PKG_APIS_META_V1_PARTIALOBJECTMETADATA, c::PLAIN, plain::created_at);

/// The kind with this message; a plain one when it has no columns of its own.
pub fn of(message: &'static Message) -> &'static Kind {
    KINDS.iter().find(|kind| kind.message == message).unwrap_or(&PLAIN)
}

impl Kind {
    /// Whether it has no columns of its own.
    pub fn is_plain(&self) -> bool {
        std::ptr::eq(self, &PLAIN)
    }
}

#[rustfmt::skip]
pub static KINDS: &[Kind] = &[
    kind(&t::API_CORE_V1_COMPONENTSTATUS, c::COMPONENT_STATUSES, plain::component_status),
    kind(&t::API_CORE_V1_CONFIGMAP, c::CONFIG_MAPS, plain::config_map),
    kind(&t::API_CORE_V1_ENDPOINTS, c::ENDPOINTS, network::endpoints),
    kind(&t::API_CORE_V1_EVENT, c::EVENTS, plain::event),
    kind(&t::API_CORE_V1_NAMESPACE, c::NAMESPACES, plain::namespace),
    kind(&t::API_CORE_V1_NODE, c::NODES, nodes::node),
    kind(&t::API_CORE_V1_PERSISTENTVOLUME, c::PERSISTENT_VOLUMES, storage::volume),
    kind(&t::API_CORE_V1_PERSISTENTVOLUMECLAIM, c::PERSISTENT_VOLUME_CLAIMS, storage::claim),
    kind(&t::API_CORE_V1_POD, c::PODS, pods::pod),
    kind(&t::API_CORE_V1_PODTEMPLATE, c::POD_TEMPLATES, workloads::pod_template),
    kind(&t::API_CORE_V1_REPLICATIONCONTROLLER, c::REPLICATION_CONTROLLERS, workloads::replication_controller),
    kind(&t::API_CORE_V1_RESOURCEQUOTA, c::RESOURCE_QUOTAS, plain::resource_quota),
    kind(&t::API_CORE_V1_SECRET, c::SECRETS, plain::secret),
    kind(&t::API_CORE_V1_SERVICE, c::SERVICES, network::service),
    kind(&t::API_CORE_V1_SERVICEACCOUNT, c::SERVICE_ACCOUNTS, plain::name_and_age),
    kind(&t::API_APPS_V1_CONTROLLERREVISION, c::CONTROLLER_REVISIONS, workloads::controller_revision),
    Kind { hidden: &["deprecated.daemonset.template.generation"],
        ..kind(&t::API_APPS_V1_DAEMONSET, c::DAEMON_SETS, workloads::daemon_set) },
    Kind { hidden: &["deprecated.deployment.rollback.rollbackTo"],
        ..kind(&t::API_APPS_V1_DEPLOYMENT, c::DEPLOYMENTS, workloads::deployment) },
    kind(&t::API_APPS_V1_REPLICASET, c::REPLICA_SETS, workloads::replica_set),
    kind(&t::API_APPS_V1_STATEFULSET, c::STATEFUL_SETS, workloads::stateful_set),
    kind(&t::API_AUTOSCALING_V2_HORIZONTALPODAUTOSCALER, c::HORIZONTAL_POD_AUTOSCALERS, workloads::autoscaler),
    kind(&t::API_AUTOSCALING_V1_SCALE, c::SCALES, workloads::scale),
    kind(&t::API_BATCH_V1_CRONJOB, c::CRON_JOBS, workloads::cron_job),
    kind(&t::API_BATCH_V1_JOB, c::JOBS, workloads::job),
    kind(&t::API_CERTIFICATES_V1_CERTIFICATESIGNINGREQUEST, c::CERTIFICATE_SIGNING_REQUESTS, access::signing_request),
    kind(&t::API_NETWORKING_V1_INGRESS, c::INGRESSES, network::ingress),
    kind(&t::API_NETWORKING_V1_INGRESSCLASS, c::INGRESS_CLASSES, network::ingress_class),
    kind(&t::API_NETWORKING_V1_IPADDRESS, c::IP_ADDRESSES, network::ip_address),
    kind(&t::API_NETWORKING_V1_NETWORKPOLICY, c::NETWORK_POLICIES, network::network_policy),
    kind(&t::API_NETWORKING_V1_SERVICECIDR, c::SERVICE_CIDRS, network::service_cidr),
    kind(&t::API_DISCOVERY_V1_ENDPOINTSLICE, c::ENDPOINT_SLICES, network::endpoint_slice),
    kind(&t::API_POLICY_V1_PODDISRUPTIONBUDGET, c::POD_DISRUPTION_BUDGETS, workloads::disruption_budget),
    kind(&t::API_RBAC_V1_CLUSTERROLEBINDING, c::CLUSTER_ROLE_BINDINGS, access::binding),
    kind(&t::API_RBAC_V1_ROLEBINDING, c::ROLE_BINDINGS, access::binding),
    kind(&t::API_STORAGE_V1_CSIDRIVER, c::CSI_DRIVERS, storage::csi_driver),
    kind(&t::API_STORAGE_V1_CSINODE, c::CSI_NODES, storage::csi_node),
    kind(&t::API_STORAGE_V1_STORAGECLASS, c::STORAGE_CLASSES, storage::storage_class),
    kind(&t::API_STORAGE_V1_VOLUMEATTACHMENT, c::VOLUME_ATTACHMENTS, storage::attachment),
    kind(&t::API_STORAGE_V1_VOLUMEATTRIBUTESCLASS, c::VOLUME_ATTRIBUTES_CLASSES, storage::attributes_class),
    kind(&t::API_ADMISSIONREGISTRATION_V1_MUTATINGADMISSIONPOLICY, c::MUTATING_ADMISSION_POLICIES, policies::mutating),
    kind(&t::API_ADMISSIONREGISTRATION_V1_MUTATINGADMISSIONPOLICYBINDING, c::MUTATING_ADMISSION_POLICY_BINDINGS, policies::binding),
    kind(&t::API_ADMISSIONREGISTRATION_V1_MUTATINGWEBHOOKCONFIGURATION, c::MUTATING_WEBHOOK_CONFIGURATIONS, policies::webhooks),
    kind(&t::API_ADMISSIONREGISTRATION_V1_VALIDATINGADMISSIONPOLICY, c::VALIDATING_ADMISSION_POLICIES, policies::validating),
    kind(&t::API_ADMISSIONREGISTRATION_V1_VALIDATINGADMISSIONPOLICYBINDING, c::VALIDATING_ADMISSION_POLICY_BINDINGS, policies::binding),
    kind(&t::API_ADMISSIONREGISTRATION_V1_VALIDATINGWEBHOOKCONFIGURATION, c::VALIDATING_WEBHOOK_CONFIGURATIONS, policies::webhooks),
    kind(&t::API_SCHEDULING_V1_PRIORITYCLASS, c::PRIORITY_CLASSES, access::priority_class),
    kind(&t::API_COORDINATION_V1_LEASE, c::LEASES, nodes::lease),
    kind(&t::API_NODE_V1_RUNTIMECLASS, c::RUNTIME_CLASSES, nodes::runtime_class),
    kind(&t::API_RESOURCE_V1_DEVICECLASS, c::DEVICE_CLASSES, plain::name_and_age),
    kind(&t::API_RESOURCE_V1_RESOURCECLAIM, c::RESOURCE_CLAIMS, nodes::resource_claim),
    kind(&t::API_RESOURCE_V1_RESOURCECLAIMTEMPLATE, c::RESOURCE_CLAIM_TEMPLATES, plain::name_and_age),
    kind(&t::API_RESOURCE_V1_RESOURCESLICE, c::RESOURCE_SLICES, nodes::resource_slice),
    Kind { order: Some(access::flow_schema_order),
        ..kind(&t::API_FLOWCONTROL_V1_FLOWSCHEMA, c::FLOW_SCHEMAS, access::flow_schema) },
    kind(&t::API_FLOWCONTROL_V1_PRIORITYLEVELCONFIGURATION, c::PRIORITY_LEVEL_CONFIGURATIONS, access::priority_level),
    kind(&t::KUBE_AGGREGATOR_PKG_APIS_APIREGISTRATION_V1_APISERVICE, c::API_SERVICES, access::api_service),
];
