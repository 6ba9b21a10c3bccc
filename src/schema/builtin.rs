//! The built-in resources: one row each. What their types look like stands in `proto/`.

use super::resource::{Shape, Storage, Subresource, Verbs};
use super::table::{self as t, Message};
use crate::model::names::{GroupResource, GroupVersionKind};

/// A built-in resource, as stock's discovery states it.
pub struct Row {
    pub group: &'static str,
    pub version: &'static str,
    pub resource: &'static str,
    pub singular: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
    pub message: &'static Message,
    pub verbs: Verbs,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub subresources: &'static [RowSubresource],
    /// Field selectors beside `metadata.name` and `metadata.namespace`.
    pub fields: &'static [&'static str],
    /// How another field selector is refused; empty for the usual text.
    pub unknown_field: &'static str,
    /// Where it is kept under the store's prefix; empty when it is never stored.
    pub folder: &'static str,
    /// The group, version and kind in which it is kept; empty: its own.
    pub stored: (&'static str, &'static str, &'static str),
    /// The version that discovery says it is kept in, where that is no served one; empty: that of `stored`. Stock keeps a
    /// type that is new in a version as the version before it can read it; the bytes differ in `apiVersion` alone.
    pub announced: &'static str,
    /// A delete answers with the object instead of a Status.
    pub returns_deleted: bool,
}

/// A subresource; the kind is empty where it is the resource's own.
pub struct RowSubresource {
    pub name: &'static str,
    pub verbs: Verbs,
    pub kind: (&'static str, &'static str, &'static str),
    /// What a get may ask for in its query; it then answers with text.
    pub options: Option<&'static Message>,
}

const EDITED: Verbs = Verbs::GET.and(Verbs::PATCH).and(Verbs::UPDATE);

#[allow(clippy::too_many_arguments)]
const fn row(
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    singular: &'static str,
    kind: &'static str,
    namespaced: bool,
    message: &'static Message,
    folder: &'static str,
) -> Row {
    Row {
        group,
        version,
        resource,
        singular,
        kind,
        namespaced,
        message,
        verbs: Verbs::ALL,
        short_names: &[],
        categories: &[],
        subresources: &[],
        fields: &[],
        unknown_field: "",
        folder,
        stored: ("", "", ""),
        announced: "",
        returns_deleted: false,
    }
}

/// A subresource of the resource's own kind that is read and edited.
const fn same(name: &'static str) -> RowSubresource {
    RowSubresource { name, verbs: EDITED, kind: ("", "", ""), options: None }
}

const fn sub(name: &'static str, verbs: Verbs, kind: (&'static str, &'static str, &'static str)) -> RowSubresource {
    RowSubresource { name, verbs, kind, options: None }
}

/// A subresource that is read as text.
const fn text(
    name: &'static str,
    kind: (&'static str, &'static str, &'static str),
    options: &'static Message,
) -> RowSubresource {
    RowSubresource { name, verbs: Verbs::GET, kind, options: Some(options) }
}

/// The row of a resource.
pub fn row_of(group: &str, version: &str, resource: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| (row.group, row.version, row.resource) == (group, version, resource))
}

/// The type of a kind, whether or not a resource has it: the types of a group version stand in one package.
pub fn kind(group: &str, version: &str, kind: &str) -> Option<&'static Message> {
    let row = ROWS.iter().find(|row| (row.group, row.version) == (group, version))?;
    let (package, _) = row.message.name.rsplit_once('.')?;
    t::message(&format!("{package}.{kind}"))
}

impl Row {
    pub fn shape(&self) -> Shape {
        Shape::Builtin(self.message)
    }

    pub fn kind(&self) -> GroupVersionKind {
        GroupVersionKind::new(self.group, self.version, self.kind)
    }

    pub fn subresources(&self) -> Vec<Subresource> {
        let own = ("", "", self.kind);
        let each = |s: &RowSubresource| {
            let (group, version, kind) = if s.kind.2.is_empty() { own } else { s.kind };
            Subresource { name: s.name.into(), verbs: s.verbs, kind: GroupVersionKind::new(group, version, kind) }
        };
        self.subresources.iter().map(each).collect()
    }

    /// What a get of this subresource may ask for, where that is anything.
    pub fn read_options(&self, subresource: &str) -> Option<&'static Message> {
        self.subresources.iter().find(|s| s.name == subresource)?.options
    }

    /// Where and as what it is kept; `None` when it is never stored.
    pub fn storage(&self) -> Option<Storage> {
        if self.folder.is_empty() {
            return None;
        }
        let (group, version, kind) =
            if self.stored.2.is_empty() { (self.group, self.version, self.kind) } else { self.stored };
        let message = ROWS.iter().find(|r| (r.group, r.version, r.kind) == (group, version, kind))?.message;
        Some(Storage {
            shelf: GroupResource::new(group, self.resource),
            folder: self.folder.into(),
            kind: GroupVersionKind::new(group, version, kind),
            shape: Shape::Builtin(message),
        })
    }
}

/// In the order of discovery: groups by priority, their preferred version first.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    Row { verbs: Verbs::CREATE, ..row("", "v1", "bindings", "binding", "Binding", true, &t::API_CORE_V1_BINDING, "") },
    Row { verbs: Verbs::GET.and(Verbs::LIST), short_names: &["cs"],
        ..row("", "v1", "componentstatuses", "componentstatus", "ComponentStatus", false, &t::API_CORE_V1_COMPONENTSTATUS, "") },
    Row { short_names: &["cm"], ..row("", "v1", "configmaps", "configmap", "ConfigMap", true, &t::API_CORE_V1_CONFIGMAP, "configmaps") },
    Row { short_names: &["ep"], ..row("", "v1", "endpoints", "endpoints", "Endpoints", true, &t::API_CORE_V1_ENDPOINTS, "services/endpoints") },
    Row { short_names: &["ev"], fields: &["involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"],
        ..row("", "v1", "events", "event", "Event", true, &t::API_CORE_V1_EVENT, "events") },
    Row { short_names: &["limits"], ..row("", "v1", "limitranges", "limitrange", "LimitRange", true, &t::API_CORE_V1_LIMITRANGE, "limitranges") },
    Row { verbs: Verbs::CREATE.and(Verbs::DELETE).and(Verbs::GET).and(Verbs::LIST).and(Verbs::PATCH).and(Verbs::UPDATE).and(Verbs::WATCH), short_names: &["ns"], subresources: &[sub("finalize", Verbs::UPDATE, ("", "", "Namespace")), same("status")], fields: &["status.phase"],
        ..row("", "v1", "namespaces", "namespace", "Namespace", false, &t::API_CORE_V1_NAMESPACE, "namespaces") },
    Row { short_names: &["no"], subresources: &[sub("proxy", Verbs::CREATE.and(Verbs::DELETE).and(Verbs::GET).and(Verbs::PATCH).and(Verbs::UPDATE), ("", "", "NodeProxyOptions")), same("status")], fields: &["spec.unschedulable"],
        ..row("", "v1", "nodes", "node", "Node", false, &t::API_CORE_V1_NODE, "minions") },
    Row { returns_deleted: true, short_names: &["pvc"], subresources: &[same("status")],
        ..row("", "v1", "persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim", true, &t::API_CORE_V1_PERSISTENTVOLUMECLAIM, "persistentvolumeclaims") },
    Row { returns_deleted: true, short_names: &["pv"], subresources: &[same("status")],
        ..row("", "v1", "persistentvolumes", "persistentvolume", "PersistentVolume", false, &t::API_CORE_V1_PERSISTENTVOLUME, "persistentvolumes") },
    Row { returns_deleted: true, short_names: &["po"], categories: &["all"], subresources: &[sub("attach", Verbs::CREATE.and(Verbs::GET), ("", "", "PodAttachOptions")), sub("binding", Verbs::CREATE, ("", "", "Binding")), same("ephemeralcontainers"), sub("eviction", Verbs::CREATE, ("policy", "v1", "Eviction")), sub("exec", Verbs::CREATE.and(Verbs::GET), ("", "", "PodExecOptions")), text("log", ("", "", "Pod"), &t::API_CORE_V1_PODLOGOPTIONS), sub("portforward", Verbs::CREATE.and(Verbs::GET), ("", "", "PodPortForwardOptions")), sub("proxy", Verbs::CREATE.and(Verbs::DELETE).and(Verbs::GET).and(Verbs::PATCH).and(Verbs::UPDATE), ("", "", "PodProxyOptions")), same("resize"), same("status")], fields: &["spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"],
        ..row("", "v1", "pods", "pod", "Pod", true, &t::API_CORE_V1_POD, "pods") },
    Row { returns_deleted: true,
        ..row("", "v1", "podtemplates", "podtemplate", "PodTemplate", true, &t::API_CORE_V1_PODTEMPLATE, "podtemplates") },
    Row { short_names: &["rc"], categories: &["all"], subresources: &[sub("scale", Verbs::GET.and(Verbs::PATCH).and(Verbs::UPDATE), ("autoscaling", "v1", "Scale")), same("status")], fields: &["status.replicas"],
        ..row("", "v1", "replicationcontrollers", "replicationcontroller", "ReplicationController", true, &t::API_CORE_V1_REPLICATIONCONTROLLER, "controllers") },
    Row { returns_deleted: true, short_names: &["quota"], subresources: &[same("status")],
        ..row("", "v1", "resourcequotas", "resourcequota", "ResourceQuota", true, &t::API_CORE_V1_RESOURCEQUOTA, "resourcequotas") },
    Row { fields: &["type"], ..row("", "v1", "secrets", "secret", "Secret", true, &t::API_CORE_V1_SECRET, "secrets") },
    Row { returns_deleted: true, short_names: &["sa"], subresources: &[sub("token", Verbs::CREATE, ("authentication.k8s.io", "v1", "TokenRequest"))],
        ..row("", "v1", "serviceaccounts", "serviceaccount", "ServiceAccount", true, &t::API_CORE_V1_SERVICEACCOUNT, "serviceaccounts") },
    Row { returns_deleted: true, short_names: &["svc"], categories: &["all"], subresources: &[sub("proxy", Verbs::CREATE.and(Verbs::DELETE).and(Verbs::GET).and(Verbs::PATCH).and(Verbs::UPDATE), ("", "", "ServiceProxyOptions")), same("status")], fields: &["spec.clusterIP", "spec.type"],
        ..row("", "v1", "services", "service", "Service", true, &t::API_CORE_V1_SERVICE, "services/specs") },
    Row { categories: &["api-extensions"], subresources: &[same("status")],
        ..row("apiregistration.k8s.io", "v1", "apiservices", "apiservice", "APIService", false, &t::KUBE_AGGREGATOR_PKG_APIS_APIREGISTRATION_V1_APISERVICE, "apiregistration.k8s.io/apiservices") },
    row("apps", "v1", "controllerrevisions", "controllerrevision", "ControllerRevision", true, &t::API_APPS_V1_CONTROLLERREVISION, "controllerrevisions"),
    Row { short_names: &["ds"], categories: &["all"], subresources: &[same("status")],
        ..row("apps", "v1", "daemonsets", "daemonset", "DaemonSet", true, &t::API_APPS_V1_DAEMONSET, "daemonsets") },
    Row { short_names: &["deploy"], categories: &["all"], subresources: &[sub("scale", Verbs::GET.and(Verbs::PATCH).and(Verbs::UPDATE), ("autoscaling", "v1", "Scale")), same("status")],
        ..row("apps", "v1", "deployments", "deployment", "Deployment", true, &t::API_APPS_V1_DEPLOYMENT, "deployments") },
    Row { short_names: &["rs"], categories: &["all"], subresources: &[sub("scale", Verbs::GET.and(Verbs::PATCH).and(Verbs::UPDATE), ("autoscaling", "v1", "Scale")), same("status")],
        ..row("apps", "v1", "replicasets", "replicaset", "ReplicaSet", true, &t::API_APPS_V1_REPLICASET, "replicasets") },
    Row { short_names: &["sts"], categories: &["all"], subresources: &[sub("scale", Verbs::GET.and(Verbs::PATCH).and(Verbs::UPDATE), ("autoscaling", "v1", "Scale")), same("status")],
        ..row("apps", "v1", "statefulsets", "statefulset", "StatefulSet", true, &t::API_APPS_V1_STATEFULSET, "statefulsets") },
    Row { short_names: &["ev"], fields: &["regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath", "reason", "reportingController", "type"], stored: ("", "v1", "Event"),
        ..row("events.k8s.io", "v1", "events", "event", "Event", true, &t::API_EVENTS_V1_EVENT, "events") },
    Row { verbs: Verbs::CREATE,
        ..row("authentication.k8s.io", "v1", "selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview", false, &t::API_AUTHENTICATION_V1_SELFSUBJECTREVIEW, "") },
    Row { verbs: Verbs::CREATE,
        ..row("authentication.k8s.io", "v1", "tokenreviews", "tokenreview", "TokenReview", false, &t::API_AUTHENTICATION_V1_TOKENREVIEW, "") },
    Row { verbs: Verbs::CREATE,
        ..row("authorization.k8s.io", "v1", "localsubjectaccessreviews", "localsubjectaccessreview", "LocalSubjectAccessReview", true, &t::API_AUTHORIZATION_V1_LOCALSUBJECTACCESSREVIEW, "") },
    Row { verbs: Verbs::CREATE,
        ..row("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview", false, &t::API_AUTHORIZATION_V1_SELFSUBJECTACCESSREVIEW, "") },
    Row { verbs: Verbs::CREATE,
        ..row("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview", false, &t::API_AUTHORIZATION_V1_SELFSUBJECTRULESREVIEW, "") },
    Row { verbs: Verbs::CREATE,
        ..row("authorization.k8s.io", "v1", "subjectaccessreviews", "subjectaccessreview", "SubjectAccessReview", false, &t::API_AUTHORIZATION_V1_SUBJECTACCESSREVIEW, "") },
    Row { short_names: &["hpa"], categories: &["all"], subresources: &[same("status")],
        ..row("autoscaling", "v2", "horizontalpodautoscalers", "horizontalpodautoscaler", "HorizontalPodAutoscaler", true, &t::API_AUTOSCALING_V2_HORIZONTALPODAUTOSCALER, "horizontalpodautoscalers") },
    Row { short_names: &["hpa"], categories: &["all"], subresources: &[same("status")], stored: ("autoscaling", "v2", "HorizontalPodAutoscaler"),
        ..row("autoscaling", "v1", "horizontalpodautoscalers", "horizontalpodautoscaler", "HorizontalPodAutoscaler", true, &t::API_AUTOSCALING_V1_HORIZONTALPODAUTOSCALER, "horizontalpodautoscalers") },
    Row { short_names: &["cj"], categories: &["all"], subresources: &[same("status")],
        ..row("batch", "v1", "cronjobs", "cronjob", "CronJob", true, &t::API_BATCH_V1_CRONJOB, "cronjobs") },
    Row { categories: &["all"], subresources: &[same("status")], fields: &["status.successful"], unknown_field: "field label {quoted} not supported for Job",
        ..row("batch", "v1", "jobs", "job", "Job", true, &t::API_BATCH_V1_JOB, "jobs") },
    Row { short_names: &["csr"], subresources: &[same("approval"), same("status")], fields: &["spec.signerName"],
        ..row("certificates.k8s.io", "v1", "certificatesigningrequests", "certificatesigningrequest", "CertificateSigningRequest", false, &t::API_CERTIFICATES_V1_CERTIFICATESIGNINGREQUEST, "certificatesigningrequests") },
    row("networking.k8s.io", "v1", "ingressclasses", "ingressclass", "IngressClass", false, &t::API_NETWORKING_V1_INGRESSCLASS, "ingressclasses"),
    Row { short_names: &["ing"], subresources: &[same("status")],
        ..row("networking.k8s.io", "v1", "ingresses", "ingress", "Ingress", true, &t::API_NETWORKING_V1_INGRESS, "ingress") },
    Row { short_names: &["ip"],
        ..row("networking.k8s.io", "v1", "ipaddresses", "ipaddress", "IPAddress", false, &t::API_NETWORKING_V1_IPADDRESS, "ipaddresses") },
    Row { short_names: &["netpol"],
        ..row("networking.k8s.io", "v1", "networkpolicies", "networkpolicy", "NetworkPolicy", true, &t::API_NETWORKING_V1_NETWORKPOLICY, "networkpolicies") },
    Row { subresources: &[same("status")],
        ..row("networking.k8s.io", "v1", "servicecidrs", "servicecidr", "ServiceCIDR", false, &t::API_NETWORKING_V1_SERVICECIDR, "servicecidrs") },
    Row { short_names: &["pdb"], subresources: &[same("status")],
        ..row("policy", "v1", "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget", true, &t::API_POLICY_V1_PODDISRUPTIONBUDGET, "poddisruptionbudgets") },
    row("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding", false, &t::API_RBAC_V1_CLUSTERROLEBINDING, "clusterrolebindings"),
    row("rbac.authorization.k8s.io", "v1", "clusterroles", "clusterrole", "ClusterRole", false, &t::API_RBAC_V1_CLUSTERROLE, "clusterroles"),
    row("rbac.authorization.k8s.io", "v1", "rolebindings", "rolebinding", "RoleBinding", true, &t::API_RBAC_V1_ROLEBINDING, "rolebindings"),
    row("rbac.authorization.k8s.io", "v1", "roles", "role", "Role", true, &t::API_RBAC_V1_ROLE, "roles"),
    Row { returns_deleted: true,
        ..row("storage.k8s.io", "v1", "csidrivers", "csidriver", "CSIDriver", false, &t::API_STORAGE_V1_CSIDRIVER, "csidrivers") },
    Row { returns_deleted: true,
        ..row("storage.k8s.io", "v1", "csinodes", "csinode", "CSINode", false, &t::API_STORAGE_V1_CSINODE, "csinodes") },
    row("storage.k8s.io", "v1", "csistoragecapacities", "csistoragecapacity", "CSIStorageCapacity", true, &t::API_STORAGE_V1_CSISTORAGECAPACITY, "csistoragecapacities"),
    Row { returns_deleted: true, short_names: &["sc"],
        ..row("storage.k8s.io", "v1", "storageclasses", "storageclass", "StorageClass", false, &t::API_STORAGE_V1_STORAGECLASS, "storageclasses") },
    Row { returns_deleted: true, subresources: &[same("status")],
        ..row("storage.k8s.io", "v1", "volumeattachments", "volumeattachment", "VolumeAttachment", false, &t::API_STORAGE_V1_VOLUMEATTACHMENT, "volumeattachments") },
    Row { returns_deleted: true, short_names: &["vac"],
        ..row("storage.k8s.io", "v1", "volumeattributesclasses", "volumeattributesclass", "VolumeAttributesClass", false, &t::API_STORAGE_V1_VOLUMEATTRIBUTESCLASS, "volumeattributesclasses") },
    Row { categories: &["api-extensions"], announced: "v1beta1",
        ..row("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies", "mutatingadmissionpolicy", "MutatingAdmissionPolicy", false, &t::API_ADMISSIONREGISTRATION_V1_MUTATINGADMISSIONPOLICY, "mutatingadmissionpolicies") },
    Row { categories: &["api-extensions"], announced: "v1beta1",
        ..row("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings", "mutatingadmissionpolicybinding", "MutatingAdmissionPolicyBinding", false, &t::API_ADMISSIONREGISTRATION_V1_MUTATINGADMISSIONPOLICYBINDING, "mutatingadmissionpolicybindings") },
    Row { categories: &["api-extensions"],
        ..row("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "mutatingwebhookconfiguration", "MutatingWebhookConfiguration", false, &t::API_ADMISSIONREGISTRATION_V1_MUTATINGWEBHOOKCONFIGURATION, "mutatingwebhookconfigurations") },
    Row { categories: &["api-extensions"], subresources: &[same("status")],
        ..row("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "validatingadmissionpolicy", "ValidatingAdmissionPolicy", false, &t::API_ADMISSIONREGISTRATION_V1_VALIDATINGADMISSIONPOLICY, "validatingadmissionpolicies") },
    Row { categories: &["api-extensions"],
        ..row("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "validatingadmissionpolicybinding", "ValidatingAdmissionPolicyBinding", false, &t::API_ADMISSIONREGISTRATION_V1_VALIDATINGADMISSIONPOLICYBINDING, "validatingadmissionpolicybindings") },
    Row { categories: &["api-extensions"],
        ..row("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "validatingwebhookconfiguration", "ValidatingWebhookConfiguration", false, &t::API_ADMISSIONREGISTRATION_V1_VALIDATINGWEBHOOKCONFIGURATION, "validatingwebhookconfigurations") },
    Row { short_names: &["crd", "crds"], categories: &["api-extensions"], subresources: &[same("status")],
        ..row("apiextensions.k8s.io", "v1", "customresourcedefinitions", "customresourcedefinition", "CustomResourceDefinition", false, &t::APIEXTENSIONS_APISERVER_PKG_APIS_APIEXTENSIONS_V1_CUSTOMRESOURCEDEFINITION, "apiextensions.k8s.io/customresourcedefinitions") },
    Row { short_names: &["pc"],
        ..row("scheduling.k8s.io", "v1", "priorityclasses", "priorityclass", "PriorityClass", false, &t::API_SCHEDULING_V1_PRIORITYCLASS, "priorityclasses") },
    row("coordination.k8s.io", "v1", "leases", "lease", "Lease", true, &t::API_COORDINATION_V1_LEASE, "leases"),
    row("node.k8s.io", "v1", "runtimeclasses", "runtimeclass", "RuntimeClass", false, &t::API_NODE_V1_RUNTIMECLASS, "runtimeclasses"),
    row("discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice", true, &t::API_DISCOVERY_V1_ENDPOINTSLICE, "endpointslices"),
    Row { returns_deleted: true,
        ..row("resource.k8s.io", "v1", "deviceclasses", "deviceclass", "DeviceClass", false, &t::API_RESOURCE_V1_DEVICECLASS, "deviceclasses") },
    Row { returns_deleted: true, subresources: &[same("status")],
        ..row("resource.k8s.io", "v1", "resourceclaims", "resourceclaim", "ResourceClaim", true, &t::API_RESOURCE_V1_RESOURCECLAIM, "resourceclaims") },
    Row { returns_deleted: true,
        ..row("resource.k8s.io", "v1", "resourceclaimtemplates", "resourceclaimtemplate", "ResourceClaimTemplate", true, &t::API_RESOURCE_V1_RESOURCECLAIMTEMPLATE, "resourceclaimtemplates") },
    Row { returns_deleted: true, fields: &["spec.nodeName", "spec.driver"], unknown_field: "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {field}",
        ..row("resource.k8s.io", "v1", "resourceslices", "resourceslice", "ResourceSlice", false, &t::API_RESOURCE_V1_RESOURCESLICE, "resourceslices") },
    Row { subresources: &[same("status")],
        ..row("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "flowschema", "FlowSchema", false, &t::API_FLOWCONTROL_V1_FLOWSCHEMA, "flowschemas") },
    Row { subresources: &[same("status")],
        ..row("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations", "prioritylevelconfiguration", "PriorityLevelConfiguration", false, &t::API_FLOWCONTROL_V1_PRIORITYLEVELCONFIGURATION, "prioritylevelconfigurations") },
];
