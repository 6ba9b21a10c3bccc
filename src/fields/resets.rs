//! What an endpoint resets, so that who writes there never owns it: the status of an object written as a whole, all
//! but the status of one whose status is written.

use super::set::Set;
use crate::schema::resource::{Resource, Shape};

type Paths = &'static [&'static [&'static str]];

/// (group, resource, subresource, what it resets): where the rule does not hold.
const ROWS: [(&str, &str, &str, Paths); 14] = [
    ("", "namespaces", "finalize", &[&["status"]]),
    ("", "pods", "status", &[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]]),
    ("apps", "deployments", "status", &[&["spec"], &["metadata", "labels"]]),
    ("certificates.k8s.io", "certificatesigningrequests", "", &[&["spec"], &["status"]]),
    ("certificates.k8s.io", "certificatesigningrequests", "status", &[&["spec"], &["status", "conditions"]]),
    ("certificates.k8s.io", "certificatesigningrequests", "approval", &[&["spec"], &["status", "certificate"]]),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", "status", ALL_BUT_STATUS),
    ("apiextensions.k8s.io", "customresourcedefinitions", "status", ALL_BUT_STATUS),
    ("apiregistration.k8s.io", "apiservices", "status", ALL_BUT_STATUS),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", "status", ALL_BUT_STATUS),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "status", ALL_BUT_STATUS),
    ("networking.k8s.io", "servicecidrs", "status", ALL_BUT_STATUS),
    ("resource.k8s.io", "resourceclaims", "status", ALL_BUT_STATUS),
    ("storage.k8s.io", "volumeattachments", "status", ALL_BUT_STATUS),
];

const ALL_BUT_STATUS: Paths = &[&["metadata"], &["spec"]];

/// What writing the resource, or this subresource of it, resets.
pub fn resets(resource: &Resource, subresource: &str) -> Set {
    let name = &resource.name;
    let row = ROWS.iter().find(|(group, plural, sub, _)| {
        *group == name.group.as_str() && *plural == name.resource.as_str() && *sub == subresource
    });
    let paths: Paths = match (row, subresource) {
        (Some((.., paths)), _) => paths,
        (None, "") if resource.subresource("status").is_some() => &[&["status"]],
        (None, "status") if matches!(resource.shape, Shape::Custom(_)) => ALL_BUT_STATUS,
        (None, "status") => &[&["spec"]],
        _ => &[],
    };
    Set::of_fields(paths.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::catalog::Catalog;

    #[test]
    fn the_other_half_is_reset() {
        let catalog = Catalog::builtin();
        let text = |group: &str, version: &str, plural: &str, sub: &str| {
            resets(catalog.find(group, version, plural).expect("served"), sub).to_text()
        };
        assert_eq!(text("apps", "v1", "daemonsets", ""), r#"{"f:status":{}}"#);
        assert_eq!(text("apps", "v1", "daemonsets", "status"), r#"{"f:spec":{}}"#);
        assert_eq!(text("apps", "v1", "deployments", "status"), r#"{"f:metadata":{"f:labels":{}},"f:spec":{}}"#);
        assert_eq!(text("", "v1", "configmaps", ""), "{}");
        for (group, plural, ..) in ROWS {
            assert!(catalog.find(group, "v1", plural).is_some(), "{plural}.{group}");
        }
    }
}
