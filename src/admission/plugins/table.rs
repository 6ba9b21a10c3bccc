//! All of stock's plugins in stock's order, those that are made here, and the chain of those that are on.

use std::sync::Arc;

use super::always_pull_images::AlwaysPullImages;
use super::certificates::{CertificateApproval, CertificateSigning, CertificateSubjectRestriction};
use super::default_ingress_class::DefaultIngressClass;
use super::default_toleration_seconds::DefaultTolerationSeconds;
use super::event_rate_limit::EventRateLimit;
use super::image_policy::ImagePolicyWebhook;
use super::limit_ranger::LimitRanger;
use super::namespace_auto_provision::NamespaceAutoProvision;
use super::namespace_lifecycle::NamespaceLifecycle;
use super::node_restriction::NodeRestriction;
use super::owner_references::OwnerReferencesPermissionEnforcement;
use super::pod_node_selector::PodNodeSelector;
use super::pod_security::PodSecurity;
use super::pod_toleration_restriction::PodTolerationRestriction;
use super::pod_topology_labels::PodTopologyLabels;
use super::priority::Priority;
use super::resizes::{NodeDeclaredFeatureValidator, PodResizeValidator};
use super::resource_quota::ResourceQuota;
use super::runtime_class::RuntimeClass;
use super::service_account::ServiceAccount;
use super::small::{
    AlwaysAdmit, AlwaysDeny, DenyServiceExternalIPs, ExtendedResourceToleration, LimitPodHardAntiAffinityTopology,
    NamespaceExists,
};
use super::storage::{DefaultStorageClass, PersistentVolumeClaimResize, StorageObjectInUseProtection};
use super::taint_nodes_by_condition::TaintNodesByCondition;
use crate::admission::chain::{Chain, Plugin};
use crate::admission::reads::Reads;
use crate::model::gotext::quote;

/// One plugin of stock's.
struct Row {
    name: &'static str,
    /// On unless it is disabled.
    default: bool,
    kind: Kind,
}

enum Kind {
    Made(fn(&Reads) -> Arc<dyn Plugin>),
    /// The same; its configuration may be wrong.
    Configured(fn(&Reads) -> Result<Arc<dyn Plugin>, String>),
    /// Stock's own does nothing while its feature gate is off, as it is by default.
    Gated,
    /// Not here yet.
    Missing,
}

use Kind::{Configured, Gated, Made, Missing};

const fn on(name: &'static str, kind: Kind) -> Row {
    Row { name, default: true, kind }
}

const fn off(name: &'static str, kind: Kind) -> Row {
    Row { name, default: false, kind }
}

const PLUGINS: &[Row] = &[
    off("AlwaysAdmit", Made(|_| Arc::new(AlwaysAdmit))),
    off("NamespaceAutoProvision", Made(|reads| Arc::new(NamespaceAutoProvision(reads.clone())))),
    on("NamespaceLifecycle", Made(|reads| Arc::new(NamespaceLifecycle::new(reads)))),
    off("NamespaceExists", Made(|reads| Arc::new(NamespaceExists(reads.clone())))),
    off("LimitPodHardAntiAffinityTopology", Made(|_| Arc::new(LimitPodHardAntiAffinityTopology))),
    on("LimitRanger", Made(|reads| Arc::new(LimitRanger::new(reads)))),
    on("ServiceAccount", Made(|reads| Arc::new(ServiceAccount::new(reads)))),
    off("NodeRestriction", Made(|reads| Arc::new(NodeRestriction::new(reads)))),
    on("TaintNodesByCondition", Made(|_| Arc::new(TaintNodesByCondition))),
    off("AlwaysPullImages", Made(|_| Arc::new(AlwaysPullImages))),
    off("ImagePolicyWebhook", Configured(|reads| Ok(Arc::new(ImagePolicyWebhook::new(reads)?)))),
    on("PodSecurity", Configured(|reads| Ok(Arc::new(PodSecurity::new(reads)?)))),
    off("PodNodeSelector", Configured(|reads| Ok(Arc::new(PodNodeSelector::new(reads)?)))),
    on("Priority", Made(|reads| Arc::new(Priority::new(reads)))),
    on("DefaultTolerationSeconds", Made(|_| Arc::new(DefaultTolerationSeconds))),
    off("PodTolerationRestriction", Configured(|reads| Ok(Arc::new(PodTolerationRestriction::new(reads)?)))),
    off("EventRateLimit", Configured(|reads| Ok(Arc::new(EventRateLimit::new(reads)?)))),
    off("ExtendedResourceToleration", Made(|_| Arc::new(ExtendedResourceToleration))),
    on("DefaultStorageClass", Made(|reads| Arc::new(DefaultStorageClass(reads.clone())))),
    on("StorageObjectInUseProtection", Made(|_| Arc::new(StorageObjectInUseProtection))),
    on("PodGroupProtection", Gated),
    off(
        "OwnerReferencesPermissionEnforcement",
        Made(|reads| Arc::new(OwnerReferencesPermissionEnforcement(reads.clone()))),
    ),
    on("PersistentVolumeClaimResize", Made(|reads| Arc::new(PersistentVolumeClaimResize(reads.clone())))),
    on("RuntimeClass", Made(|reads| Arc::new(RuntimeClass::new(reads)))),
    on("CertificateApproval", Made(|reads| Arc::new(CertificateApproval(reads.clone())))),
    on("CertificateSigning", Made(|reads| Arc::new(CertificateSigning(reads.clone())))),
    on("ClusterTrustBundleAttest", Gated),
    on("CertificateSubjectRestriction", Made(|_| Arc::new(CertificateSubjectRestriction))),
    on("DefaultIngressClass", Made(|reads| Arc::new(DefaultIngressClass(reads.clone())))),
    off("DenyServiceExternalIPs", Made(|_| Arc::new(DenyServiceExternalIPs))),
    on("PodTopologyLabels", Made(|reads| Arc::new(PodTopologyLabels(reads.clone())))),
    on("PodGroupWorkloadExists", Gated),
    on("NodeDeclaredFeatureValidator", Made(|reads| Arc::new(NodeDeclaredFeatureValidator(reads.clone())))),
    on("JobValidation", Gated),
    on("PodResizeValidator", Made(|reads| Arc::new(PodResizeValidator(reads.clone())))),
    on("MutatingAdmissionPolicy", Missing),
    on("MutatingAdmissionWebhook", Missing),
    on("ValidatingAdmissionPolicy", Missing),
    on("ValidatingAdmissionWebhook", Missing),
    on("ResourceQuota", Configured(|reads| Ok(Arc::new(ResourceQuota::new(reads)?)))),
    off("AlwaysDeny", Made(|_| Arc::new(AlwaysDeny))),
];

/// The plugins that are on by default or by `enable`, and not off by `disable`. Refuses names that stock does not know,
/// and the enabling of what is not here yet.
pub fn chain(reads: &Reads, enable: &[&str], disable: &[&str]) -> Result<Chain, String> {
    for (flag, names) in [("enable", enable), ("disable", disable)] {
        if let Some(name) = names.iter().find(|name| row(name).is_none()) {
            return Err(format!("{flag}-admission-plugins plugin {} is unknown", quote(name)));
        }
    }
    if let Some(name) = enable.iter().find(|name| disable.contains(name)) {
        return Err(format!("[{name}] in enable-admission-plugins and disable-admission-plugins overlapped"));
    }
    let missing = |name: &&&str| row(name).is_some_and(|row| matches!(row.kind, Missing));
    if let Some(name) = enable.iter().find(missing) {
        return Err(format!("enable-admission-plugins plugin {} is not supported yet", quote(name)));
    }
    let is_on = |row: &&Row| !disable.contains(&row.name) && (row.default || enable.contains(&row.name));
    let made = |row: &Row| match row.kind {
        Made(make) => Some(Ok(make(reads))),
        Configured(make) => {
            Some(make(reads).map_err(|why| format!("couldn't init admission plugin {}: {why}", quote(row.name))))
        }
        Gated | Missing => None,
    };
    Ok(Chain::new(PLUGINS.iter().filter(is_on).filter_map(made).collect::<Result<_, _>>()?))
}

fn row(name: &str) -> Option<&'static Row> {
    PLUGINS.iter().find(|row| row.name == name)
}
