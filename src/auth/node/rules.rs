//! What every node may do, whatever runs on it: the rules of the ClusterRole `system:node`.

use crate::auth::rbac::Rule;

/// (verbs, API groups, resources)
type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

const ALL: &[&str] = &["create", "delete", "get", "patch", "update"];
const CHANGE: &[&str] = &["patch", "update"];
const CREATE: &[&str] = &["create"];
const GET: &[&str] = &["get"];
const READ: &[&str] = &["get", "list", "watch"];
const CORE: &[&str] = &[""];
const CERTIFICATES: &[&str] = &["certificates.k8s.io"];
const DEVICES: &[&str] = &["resource.k8s.io"];
const STORAGE: &[&str] = &["storage.k8s.io"];

/// Many of them are narrowed by the authorizer, which asks what is related to the node.
const ROWS: &[Row] = &[
    (CREATE, &["authentication.k8s.io"], &["tokenreviews"]),
    (CREATE, &["authorization.k8s.io"], &["localsubjectaccessreviews", "subjectaccessreviews"]),
    (READ, CORE, &["services"]),
    (&["create", "get", "list", "watch"], CORE, &["nodes"]),
    (CHANGE, CORE, &["nodes/status"]),
    (CHANGE, CORE, &["nodes"]),
    (&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
    (READ, CORE, &["pods"]),
    (&["create", "delete"], CORE, &["pods"]),
    (CHANGE, CORE, &["pods/status"]),
    (CREATE, CORE, &["pods/eviction"]),
    (READ, CORE, &["configmaps", "secrets"]),
    (GET, CORE, &["persistentvolumeclaims", "persistentvolumes"]),
    (GET, CORE, &["endpoints"]),
    (&["create", "get", "list", "watch"], CERTIFICATES, &["certificatesigningrequests"]),
    (ALL, &["coordination.k8s.io"], &["leases"]),
    (GET, STORAGE, &["volumeattachments"]),
    (CREATE, CORE, &["serviceaccounts/token"]),
    (&["get", "patch", "update"], CORE, &["persistentvolumeclaims/status"]),
    (READ, STORAGE, &["csidrivers"]),
    (ALL, STORAGE, &["csinodes"]),
    (READ, &["node.k8s.io"], &["runtimeclasses"]),
    (GET, DEVICES, &["resourceclaims"]),
    (&["deletecollection"], DEVICES, &["resourceslices"]),
    (GET, CORE, &["serviceaccounts"]),
];

/// In the order of the bootstrap role.
pub fn rules() -> Vec<Rule> {
    let texts = |values: &[&str]| values.iter().map(|value| (*value).into()).collect();
    let rule = |(verbs, groups, resources): &Row| Rule {
        verbs: texts(verbs),
        api_groups: texts(groups),
        resources: texts(resources),
        ..Rule::default()
    };
    ROWS.iter().map(rule).collect()
}
