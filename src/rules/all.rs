//! Every kind's rules and defaults: the static tables.

use super::admission_registration::{bindings, fill as admission, policies, webhooks};
use super::custom_resource_definition;
use super::kind::{Defaults, NONE, Rules, STATUS};
use super::{
    api_service, certificate_signing_request, config_map, controller_revision, cron_job, csi_driver, csi_node,
    csi_storage_capacity, daemon_set, deployment, endpoint_slice, endpoints, event, flow_control,
    horizontal_pod_autoscaler, ingress, ingress_class, ip_address, job, lease, limit_range, namespace, network_policy,
    node, persistent_volume, persistent_volume_claim, pod, pod_disruption_budget, priority_class, replica_set,
    replication_controller, resource, resource_quota, review, role, role_binding, runtime_class, scale, secret,
    service, service_account, service_cidr, stateful_set, storage_class, volume_attachment, volume_attributes_class,
};
use crate::model::names::GroupVersionKind;
use crate::model::value::Value;

/// By group and kind of storage.
pub static RULES: &[&Rules] = &[
    &pod::binding::RULES,
    &config_map::RULES,
    &endpoints::RULES,
    &event::RULES,
    &limit_range::RULES,
    &namespace::RULES,
    &node::RULES,
    &persistent_volume::RULES,
    &persistent_volume_claim::RULES,
    &pod::object::RULES,
    &pod::pod_template::RULES,
    &replication_controller::RULES,
    &resource_quota::RULES,
    &secret::RULES,
    &service::RULES,
    &service_account::RULES,
    &policies::MUTATING,
    &bindings::MUTATING,
    &webhooks::MUTATING,
    &policies::VALIDATING,
    &bindings::VALIDATING,
    &webhooks::VALIDATING,
    &custom_resource_definition::RULES,
    &api_service::RULES,
    &controller_revision::RULES,
    &daemon_set::RULES,
    &deployment::RULES,
    &replica_set::RULES,
    &stateful_set::RULES,
    &review::token::REQUEST,
    &review::access::LOCAL_SUBJECT,
    &review::access::SELF_SUBJECT,
    &review::access::SUBJECT,
    &horizontal_pod_autoscaler::RULES,
    &scale::RULES,
    &cron_job::RULES,
    &job::RULES,
    &certificate_signing_request::RULES,
    &lease::RULES,
    &endpoint_slice::RULES,
    &flow_control::schema::RULES,
    &flow_control::level::RULES,
    &ip_address::RULES,
    &ingress::RULES,
    &ingress_class::RULES,
    &network_policy::RULES,
    &service_cidr::RULES,
    &runtime_class::RULES,
    &pod_disruption_budget::RULES,
    &role::CLUSTER_ROLE,
    &role_binding::CLUSTER_ROLE_BINDING,
    &role::ROLE,
    &role_binding::ROLE_BINDING,
    &resource::class::RULES,
    &resource::claim::RULES,
    &resource::template::RULES,
    &resource::slice::RULES,
    &priority_class::RULES,
    &csi_driver::RULES,
    &csi_node::RULES,
    &csi_storage_capacity::RULES,
    &storage_class::RULES,
    &volume_attachment::RULES,
    &volume_attributes_class::RULES,
];

/// By group, version and kind as served.
pub static DEFAULTS: &[Defaults] = &[
    row("", "v1", "ConfigMap", config_map::fill),
    row("", "v1", "Endpoints", endpoints::fill),
    row("", "v1", "LimitRange", limit_range::fill),
    row("", "v1", "Namespace", namespace::fill),
    row("", "v1", "Node", node::fill),
    row("", "v1", "PersistentVolume", persistent_volume::fill),
    row("", "v1", "PersistentVolumeClaim", persistent_volume_claim::fill),
    row("", "v1", "Pod", pod::object::fill),
    row("", "v1", "PodTemplate", pod::pod_template::fill),
    row("", "v1", "ReplicationController", replication_controller::fill),
    row("", "v1", "ResourceQuota", resource_quota::fill),
    row("", "v1", "Secret", secret::fill),
    row("", "v1", "Service", service::fill),
    row("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy", admission::policy),
    row("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBinding", admission::binding),
    row("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", admission::mutating_webhooks),
    row("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", admission::policy),
    row("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", admission::binding),
    row("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", admission::validating_webhooks),
    row("apiextensions.k8s.io", "v1", "CustomResourceDefinition", custom_resource_definition::fill),
    row("apiregistration.k8s.io", "v1", "APIService", api_service::fill_service),
    row("apps", "v1", "DaemonSet", daemon_set::fill),
    row("apps", "v1", "Deployment", deployment::fill),
    row("apps", "v1", "ReplicaSet", replica_set::fill),
    row("apps", "v1", "StatefulSet", stateful_set::fill),
    row("authentication.k8s.io", "v1", "TokenRequest", review::token::fill_request),
    row("autoscaling", "v1", "HorizontalPodAutoscaler", horizontal_pod_autoscaler::fill_v1),
    row("autoscaling", "v2", "HorizontalPodAutoscaler", horizontal_pod_autoscaler::fill_v2),
    row("batch", "v1", "CronJob", cron_job::fill),
    row("batch", "v1", "Job", job::fill),
    row("discovery.k8s.io", "v1", "EndpointSlice", endpoint_slice::fill),
    row("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", flow_control::schema::fill_schema),
    row("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration", flow_control::level::fill_level),
    row("networking.k8s.io", "v1", "IngressClass", ingress_class::fill),
    row("networking.k8s.io", "v1", "NetworkPolicy", network_policy::fill),
    row("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", role_binding::fill_binding),
    row("rbac.authorization.k8s.io", "v1", "RoleBinding", role_binding::fill_binding),
    row("resource.k8s.io", "v1", "ResourceClaim", resource::claim::fill),
    row("resource.k8s.io", "v1", "ResourceClaimTemplate", resource::template::fill),
    row("scheduling.k8s.io", "v1", "PriorityClass", priority_class::fill),
    row("storage.k8s.io", "v1", "CSIDriver", csi_driver::fill_driver),
    row("storage.k8s.io", "v1", "StorageClass", storage_class::fill_class),
    row("storage.k8s.io", "v1", "VolumeAttachment", volume_attachment::fill_attachment),
];

const fn row(group: &'static str, version: &'static str, kind: &'static str, fill: fn(&mut Value)) -> Defaults {
    Defaults { group, version, kind, fill }
}

/// The rules of a stored kind; those of a kind without any when it has none.
pub fn rules(stored: &GroupVersionKind) -> &'static Rules {
    static OTHER: Rules = Rules { parts: &[STATUS], ..NONE };
    RULES.iter().find(|r| r.group == stored.group && r.kind == stored.kind).copied().unwrap_or(&OTHER)
}

/// What fills the defaults of a served kind.
pub fn defaults(served: &GroupVersionKind) -> Option<fn(&mut Value)> {
    let found =
        DEFAULTS.iter().find(|d| d.group == served.group && d.version == served.version && d.kind == served.kind);
    found.map(|d| d.fill)
}
