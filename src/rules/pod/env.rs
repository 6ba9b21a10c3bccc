//! Environment variables of containers, and the fields and files that they are read from.

use crate::model::field::{FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::names::{
    NameRule, config_map_key, dns1123_label, dns1123_subdomain, label_key, relaxed_env_var_name,
};
use crate::rules::checks::web::no_backsteps;

/// Fields that an environment variable can have. Sorted.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Fields that a file of a volume can have. Sorted.
pub const FILE_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/// All fields that have a name.
const KNOWN_FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];
/// Sorted.
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const BYTES: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// A container's `env`.
pub fn env(at: &At, errs: &mut FieldErrors) {
    for item in at.items() {
        let name = item.at("name");
        if name.is_empty() {
            name.required(errs, "");
        } else {
            name.check(errs, relaxed_env_var_name);
        }
        let source = item.at("valueFrom");
        if source.exists() {
            value_from(&source, item.at("value").is_empty(), errs);
        }
    }
}

fn value_from(at: &At, without_value: bool, errs: &mut FieldErrors) {
    type Check = fn(&At, &mut FieldErrors);
    const SOURCES: [(&str, Check); 5] = [
        ("fieldRef", |at, errs| field_ref(at, &ENV_FIELDS, errs)),
        ("resourceFieldRef", |at, errs| resource_ref(at, false, errs)),
        ("configMapKeyRef", key_ref),
        ("secretKeyRef", key_ref),
        ("fileKeyRef", file_ref),
    ];
    let mut count = 0;
    for (name, check) in SOURCES {
        let source = at.at(name);
        if source.exists() {
            count += 1;
            check(&source, errs);
        }
    }
    if count == 0 {
        let detail =
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        at.invalid_as(errs, "", detail);
    } else if !without_value {
        at.invalid_as(errs, "", "may not be specified when `value` is not empty");
    } else if count > 1 {
        at.invalid_as(errs, "", "may not have more than one field specified at a time");
    }
}

/// A field of the pod; one of `known`, or a label or an annotation by its key.
pub fn field_ref(at: &At, known: &[&str], errs: &mut FieldErrors) {
    let (version, path) = (at.at("apiVersion"), at.at("fieldPath"));
    if version.is_empty() {
        return version.required(errs, "");
    }
    if path.is_empty() {
        return path.required(errs, "");
    }
    let (field, key) = subscript(path.str());
    let fault = if version.str() != "v1" {
        Some(format!("unsupported pod version: {}", version.str()))
    } else if key.is_some() && !matches!(field, "metadata.annotations" | "metadata.labels") {
        Some(format!("field label does not support subscript: {}", path.str()))
    } else if key.is_none() && field != "spec.host" && !KNOWN_FIELDS.contains(&field) {
        Some(format!("field label not supported: {field}"))
    } else {
        None
    };
    if let Some(fault) = fault {
        return path.invalid(errs, format!("error converting fieldPath: {fault}"));
    }
    let field = if field == "spec.host" { "spec.nodeName" } else { field };
    match key {
        Some(key) => {
            let key = if field == "metadata.annotations" { key.to_lowercase() } else { key.to_owned() };
            for text in label_key(&key) {
                at.invalid_as(errs, &key, text);
            }
        }
        None if known.contains(&field) => {}
        None => errs.push(FieldError::not_supported(path.path(), field, known)),
    }
}

/// `metadata.labels['app']` in two.
fn subscript(path: &str) -> (&str, Option<&str>) {
    match path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        Some((field, key)) if !field.is_empty() => (field, Some(key)),
        _ => (path, None),
    }
}

/// An amount of a container's resources. A file of a volume must say which container's.
pub fn resource_ref(at: &At, of_volume: bool, errs: &mut FieldErrors) {
    let resource = at.at("resource");
    let name = resource.str();
    let is_huge_page = name.starts_with("limits.hugepages-") || name.starts_with("requests.hugepages-");
    if of_volume && at.at("containerName").is_empty() {
        at.at("containerName").required(errs, "");
    } else if name.is_empty() {
        resource.required(errs, "");
    } else if !RESOURCES.contains(&name) && !is_huge_page {
        resource.not_supported(errs, &RESOURCES);
    }
    divisor(&at.at("divisor"), name, is_huge_page, errs);
}

fn divisor(at: &At, resource: &str, is_huge_page: bool, errs: &mut FieldErrors) {
    let amount = at.quantity();
    if amount.is_zero() {
        return;
    }
    let (units, shown): (&[&str], &str) = match resource.split_once('.').map_or("", |(_, name)| name) {
        _ if is_huge_page => (&BYTES, "hugepages"),
        "cpu" if RESOURCES.contains(&resource) => (&["1m", "1"], "cpu"),
        "memory" if RESOURCES.contains(&resource) => (&BYTES, "memory"),
        "ephemeral-storage" if RESOURCES.contains(&resource) => (&BYTES, "local ephemeral storage"),
        _ => return,
    };
    if !units.contains(&amount.to_string().as_str()) {
        let units = if shown == "cpu" { "1m and 1".to_owned() } else { units.join(", ") };
        at.invalid_as(errs, resource, format!("only divisor's values {units} are supported with the {shown} resource"));
    }
}

fn key_ref(at: &At, errs: &mut FieldErrors) {
    at.at("name").check(errs, dns1123_subdomain);
    let key = at.at("key");
    if key.is_empty() {
        key.required(errs, "");
    } else {
        key.check(errs, config_map_key);
    }
}

fn file_ref(at: &At, errs: &mut FieldErrors) {
    for (name, check) in [("key", relaxed_env_var_name as fn(&str) -> _), ("volumeName", dns1123_label)] {
        let field = at.at(name);
        if field.is_empty() {
            field.required(errs, "");
        } else {
            field.check(errs, check);
        }
    }
    let path = at.at("path");
    if path.is_empty() {
        path.required(errs, "");
    } else {
        no_backsteps(&path, errs);
    }
}

/// A container's `envFrom`. How many sources an item has is told at the list, as in stock.
pub fn env_from(at: &At, errs: &mut FieldErrors) {
    for item in at.items() {
        let prefix = item.at("prefix");
        if !prefix.is_empty() {
            prefix.check(errs, relaxed_env_var_name);
        }
        let mut count = 0;
        for source in ["configMapRef", "secretRef"] {
            let source = item.at(source);
            if source.is_null() {
                continue;
            }
            count += 1;
            let name = source.at("name");
            if name.is_empty() {
                name.required(errs, "");
            } else {
                name.check(errs, |name| NameRule::Subdomain.prefix(name));
            }
        }
        match count {
            0 => at.invalid_as(errs, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => at.invalid_as(errs, "", "may not have more than one field specified at a time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};
    use crate::rules::transcript::assert_begin;
    use crate::schema::table;

    fn found(check: impl Fn(&At, &mut FieldErrors), value: &Value) -> Vec<String> {
        let mut errs = FieldErrors::new();
        let container = At::new(value, table::message("k8s.io.api.core.v1.Container"));
        check(&container, &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn variables_come_from_one_source() {
        let container = json!({"env": [
            {"name": "a=", "value": "x"},
            {"name": "a", "valueFrom": {}},
            {"name": "a", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a/b"}}},
            {"name": "a", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.phase"},
                "resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}},
            {"name": "a", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name['a']"}}},
            {"name": "a", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations['A/B']"}}},
            {"name": "a", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['/']"}}}]});
        assert_begin(
            &found(|at, errs| env(&at.at("env"), errs), &container),
            &[
                "env[0].name: Invalid value: \"a=\": a valid environment variable name must consist only of printable ASC",
                "env[1].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKey",
                "env[2].valueFrom.secretKeyRef.key: Invalid value: \"a/b\": a valid config key must consist of alphanumer",
                "env[2].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
                "env[3].valueFrom.fieldRef.fieldPath: Unsupported value: \"status.phase\": supported values: \"metadata.na",
                "env[3].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 ",
                "env[3].valueFrom: Invalid value: \"\": may not have more than one field specified at a time",
                "env[4].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name['a']\": error converting fieldPath: f",
                "env[6].valueFrom.fieldRef: Invalid value: \"/\": prefix part must be non-empty",
                "env[6].valueFrom.fieldRef: Invalid value: \"/\": name part must be non-empty",
                "env[6].valueFrom.fieldRef: Invalid value: \"/\": name part must consist of alphanumeric characters, '-', ",
            ],
        );
    }

    #[test]
    fn sources_of_many_variables() {
        let container = json!({"envFrom": [
            {"prefix": "a b", "secretRef": {"name": "s-"}}, {}, {"configMapRef": {}, "secretRef": {"name": "S"}}]});
        assert_begin(
            &found(|at, errs| env_from(&at.at("envFrom"), errs), &container),
            &[
                "envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
                "envFrom[2].configMapRef.name: Required value",
                "envFrom[2].secretRef.name: Invalid value: \"S\": a lowercase RFC 1123 subdomain must consist of lower cas",
                "envFrom: Invalid value: \"\": may not have more than one field specified at a time",
            ],
        );
    }
}
