//! Names and amounts of compute resources: `cpu`, `hugepages-2Mi`, `example.com/gpu`.

use crate::model::field::FieldErrors;
use crate::model::quantity::Quantity;
use crate::model::syntax::label_key;
use crate::rules::at::At;

use super::numbers::{INTEGER, non_negative_quantity};

/// What a container can ask for, beside huge pages.
const OF_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// What a quota counts, always in whole numbers.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const OF_QUOTAS: [&str; 7] = [
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "requests.storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

/// The key of a list of resources; `at` is its entry.
pub fn resource_name(at: &At, name: &str, errs: &mut FieldErrors) {
    let wrong = label_key(name);
    let right = wrong.is_empty();
    for text in wrong {
        at.invalid_as(errs, name, text);
    }
    if right && !name.contains('/') && !is_standard(name) {
        at.invalid_as(errs, name, "must be a standard resource type or fully qualified");
    }
}

/// The same of a container's resources.
pub fn container_resource_name(at: &At, name: &str, errs: &mut FieldErrors) {
    resource_name(at, name, errs);
    if !name.contains('/') {
        if !is_of_containers(name) {
            at.invalid_as(errs, name, "must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        at.invalid_as(errs, name, "doesn't follow extended resource name standard");
    }
}

/// The same of a quota's.
pub fn quota_resource_name(at: &At, name: &str, errs: &mut FieldErrors) {
    resource_name(at, name, errs);
    if !name.contains('/') && !is_of_quotas(name) {
        at.invalid_as(errs, name, "must be a standard resource for quota");
    }
}

/// An amount: not negative, and whole where the resource is counted.
pub fn resource_quantity(at: &At, name: &str, errs: &mut FieldErrors) {
    non_negative_quantity(at, errs);
    if is_counted(name) && !is_whole(&at.quantity()) {
        at.invalid(errs, INTEGER);
    }
}

pub fn is_standard(name: &str) -> bool {
    is_of_quotas(name) || name == "storage"
}

pub fn is_of_containers(name: &str) -> bool {
    OF_CONTAINERS.contains(&name) || is_huge_page(name)
}

pub fn is_of_quotas(name: &str) -> bool {
    OF_CONTAINERS.contains(&name)
        || COUNTED.contains(&name)
        || OF_QUOTAS.contains(&name)
        || is_huge_page(name.strip_prefix("requests.").unwrap_or(name))
}

/// Of whole numbers only.
pub fn is_counted(name: &str) -> bool {
    COUNTED.contains(&name) || is_extended(name)
}

pub fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Kubernetes' own.
pub fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Of a device plugin: a domain's own, and `requests.` before it still a qualified name.
pub fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && label_key(&format!("requests.{name}")).is_empty()
}

/// What can be promised more than once.
pub fn can_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// In thousandths, as stock judges it.
pub fn is_whole(quantity: &Quantity) -> bool {
    quantity.milli_value() % 1000 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn names_of_resources() {
        const TYPE: &str = "must be a standard resource type or fully qualified";
        const CONTAINER: &str = "must be a standard resource for containers";
        type Named = fn(&At, &str, &mut FieldErrors);
        let cases: &[(Named, &str, &[&str])] = &[
            (resource_name, "requests.hugepages-2Mi", &[]),
            (resource_name, "nope", &[TYPE]),
            (container_resource_name, "hugepages-2Mi", &[]),
            (container_resource_name, "example.com/gpu", &[]),
            (container_resource_name, "pods", &[CONTAINER]),
            (container_resource_name, "nope", &[TYPE, CONTAINER]),
            (container_resource_name, "requests.x/y", &["doesn't follow extended resource name standard"]),
            (quota_resource_name, "requests.storage", &[]),
            (quota_resource_name, "storage", &["must be a standard resource for quota"]),
        ];
        for (check, name, texts) in cases {
            let (value, mut errs) = (json!("1"), FieldErrors::new());
            check(&At::new(&value, None), name, &mut errs);
            let expected: Vec<_> = texts.iter().map(|text| format!("Invalid value: \"{name}\": {text}")).collect();
            assert_eq!(errs.iter().map(|e| e.body()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn amounts_of_resources() {
        for (name, amount, error) in [
            ("cpu", "1500m", ""),
            ("cpu", "-1", "Invalid value: \"-1\": must be greater than or equal to 0"),
            ("pods", "1500m", "Invalid value: \"1500m\": must be an integer"),
            ("example.com/gpu", "0.5", "Invalid value: \"0.5\": must be an integer"),
        ] {
            let (value, mut errs) = (json!(amount), FieldErrors::new());
            resource_quantity(&At::new(&value, None), name, &mut errs);
            assert_eq!(errs.iter().map(|e| e.body()).collect::<String>(), error);
        }
        assert!(can_overcommit("cpu") && !can_overcommit("hugepages-1Gi") && !can_overcommit("example.com/gpu"));
    }
}
