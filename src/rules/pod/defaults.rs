//! What a pod or a pod's template leaves out: SetDefaults of core/v1, then the fields that say the same thing twice.

use super::amounts::{is_of_pods, of_containers};
use super::images::is_latest;
use crate::model::value::{Map, Value, json};
use crate::rules::checks::resources::{can_overcommit, is_huge_page};
use crate::rules::fill;

const FILE_MODE: i64 = 0o644;
/// Seconds.
const GRACE_PERIOD: i64 = 30;
const TOKEN_LIFETIME: i64 = 3600;
/// What Kubernetes 1.5 kept init containers in; dropped wherever a pod passes.
const INIT_ANNOTATIONS: [&str; 4] = [
    "pod.alpha.kubernetes.io/init-container-statuses",
    "pod.alpha.kubernetes.io/init-containers",
    "pod.beta.kubernetes.io/init-container-statuses",
    "pod.beta.kubernetes.io/init-containers",
];

/// A pod.
pub fn pod(pod: &mut Value) {
    let spec = object(pod, "spec");
    for list in ["containers", "initContainers"] {
        items(spec, list).for_each(limits_become_requests);
    }
    if spec["resources"].is_object() {
        fill_huge_page_limits(spec);
        fill_requests(spec);
    }
    default(spec, "enableServiceLinks", true);
    if spec["hostNetwork"] == true {
        for list in ["containers", "initContainers"] {
            items(spec, list).flat_map(|container| items(container, "ports")).for_each(|port| {
                if let Some(number) = port.get("containerPort").cloned() {
                    default(port, "hostPort", number);
                }
            });
        }
    }
    self::spec(spec);
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        spec["terminationGracePeriodSeconds"] = 1.into();
    }
    if let Some(status) = pod.get_mut("status") {
        round_status_up(status);
    }
    drop_init_annotations(pod);
    unify_ips(pod);
}

/// The template of a pod, in whatever kind.
pub fn template(template: &mut Value) {
    spec(object(template, "spec"));
    drop_init_annotations(template);
}

/// The spec of a pod, wherever it stands.
fn spec(spec: &mut Value) {
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "restartPolicy", "Always");
    default(spec, "securityContext", json!({}));
    default(spec, "terminationGracePeriodSeconds", GRACE_PERIOD);
    default(spec, "schedulerName", "default-scheduler");
    items(spec, "volumes").for_each(volume);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        items(spec, list).for_each(container);
    }
    round_up(spec, "overhead");
    within(spec, "resources", round_resources_up);
    unify_account(spec);
}

fn container(container: &mut Value) {
    default_pull_policy(container, "imagePullPolicy", "image");
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    items(container, "ports").for_each(|port| default(port, "protocol", "TCP"));
    for source in items(container, "env").filter_map(|env| env.get_mut("valueFrom")) {
        within(source, "fieldRef", |field| default(field, "apiVersion", "v1"));
        within(source, "fileKeyRef", |file| default(file, "optional", false));
    }
    within(container, "resources", round_resources_up);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        within(container, probe, self::probe);
    }
    within(container, "lifecycle", |lifecycle| {
        for handler in ["postStart", "preStop"] {
            within(lifecycle, handler, http_get);
        }
    });
}

fn probe(probe: &mut Value) {
    default(probe, "timeoutSeconds", 1);
    default(probe, "periodSeconds", 10);
    default(probe, "successThreshold", 1);
    default(probe, "failureThreshold", 3);
    http_get(probe);
    within(probe, "grpc", |grpc| default(grpc, "service", ""));
}

fn http_get(handler: &mut Value) {
    within(handler, "httpGet", |http| {
        default(http, "path", "/");
        default(http, "scheme", "HTTP");
    });
}

fn volume(volume: &mut Value) {
    if let Some(fields) = volume.as_object_mut()
        && fields.keys().all(|name| name == "name")
    {
        fields.insert("emptyDir".into(), json!({}));
    }
    volume_source(volume);
    within(volume, "image", |image| default_pull_policy(image, "pullPolicy", "reference"));
    for source in ["secret", "downwardAPI", "configMap", "projected"] {
        within(volume, source, |source| default(source, "defaultMode", FILE_MODE));
    }
    within(volume, "downwardAPI", downward_files);
    within(volume, "projected", |projected| {
        for source in items(projected, "sources") {
            within(source, "downwardAPI", downward_files);
            within(source, "serviceAccountToken", |token| default(token, "expirationSeconds", TOKEN_LIFETIME));
        }
    });
    within(volume, "ephemeral", |source| {
        within(source, "volumeClaimTemplate", |template| claim_spec(object(template, "spec")));
    });
}

/// The sources that pods' volumes share with PersistentVolumes.
pub fn volume_source(volume: &mut Value) {
    within(volume, "hostPath", |path| default(path, "type", ""));
    within(volume, "iscsi", |iscsi| default(iscsi, "iscsiInterface", "default"));
    within(volume, "rbd", |rbd| {
        default(rbd, "pool", "rbd");
        default(rbd, "user", "admin");
        default(rbd, "keyring", "/etc/ceph/keyring");
    });
    within(volume, "azureDisk", |disk| {
        default(disk, "cachingMode", "ReadWrite");
        default(disk, "fsType", "ext4");
        default(disk, "readOnly", false);
        default(disk, "kind", "Shared");
    });
    within(volume, "scaleIO", |disk| {
        default(disk, "storageMode", "ThinProvisioned");
        default(disk, "fsType", "xfs");
    });
}

/// The spec of a claim, or of a claim's template.
pub fn claim_spec(spec: &mut Value) {
    default(spec, "volumeMode", "Filesystem");
    within(spec, "resources", round_resources_up);
}

fn downward_files(source: &mut Value) {
    for file in items(source, "items") {
        within(file, "fieldRef", |field| default(field, "apiVersion", "v1"));
    }
}

fn default_pull_policy(object: &mut Value, policy: &str, image: &str) {
    if object[policy].is_null() {
        let latest = is_latest(object[image].as_str().unwrap_or(""));
        object[policy] = if latest { "Always" } else { "IfNotPresent" }.into();
    }
}

fn limits_become_requests(container: &mut Value) {
    let Some(resources) = container.get_mut("resources") else { return };
    let Some(limits) = resources["limits"].as_object().cloned() else { return };
    let requests = object(resources, "requests");
    for (name, amount) in limits {
        default(requests, &name, amount);
    }
}

/// Huge pages that containers are limited to are limited for the pod too, unless it asks for some itself.
fn fill_huge_page_limits(spec: &mut Value) {
    let resources = &spec["resources"];
    if is_nothing(&resources["limits"]) && is_nothing(&resources["requests"]) {
        return;
    }
    let sums = of_containers(spec, "limits").into_iter();
    let wanted = sums.filter(|(name, _)| is_huge_page(name) && resources["requests"].get(name).is_none());
    let limits: Vec<_> = wanted.map(|(name, amount)| (name.to_owned(), amount.to_string())).collect();
    fill_amounts(spec, "limits", limits);
}

/// A pod with limits asks for what its containers ask for, else for its limits.
fn fill_requests(spec: &mut Value) {
    let limits = &spec["resources"]["limits"];
    if is_nothing(limits) {
        return;
    }
    let sums = of_containers(spec, "requests").into_iter().filter(|(name, _)| is_of_pods(name) && can_overcommit(name));
    let mut requests: Vec<_> = sums.map(|(name, amount)| (name.to_owned(), amount.to_string())).collect();
    let own = limits.as_object().into_iter().flatten().filter(|(name, _)| is_of_pods(name));
    requests.extend(own.map(|(name, amount)| (name.to_string(), amount.as_str().unwrap_or("0").to_owned())));
    fill_amounts(spec, "requests", requests);
}

fn fill_amounts(spec: &mut Value, list: &str, amounts: Vec<(String, String)>) {
    if amounts.is_empty() {
        return;
    }
    let list = object(&mut spec["resources"], list);
    for (name, amount) in amounts {
        default(list, &name, amount);
    }
}

/// Amounts are no finer than thousandths.
fn round_up(object: &mut Value, list: &str) {
    if let Some(fields) = object.as_object_mut() {
        fill::round_up(fields, list);
    }
}

fn round_resources_up(resources: &mut Value) {
    round_up(resources, "limits");
    round_up(resources, "requests");
}

fn round_status_up(status: &mut Value) {
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        items(status, list).for_each(|container| {
            round_up(container, "allocatedResources");
            within(container, "resources", round_resources_up);
        });
    }
    round_up(status, "allocatedResources");
    within(status, "resources", round_resources_up);
}

/// `serviceAccount` says what `serviceAccountName` says, which goes before it.
fn unify_account(spec: &mut Value) {
    let name = [&spec["serviceAccountName"], &spec["serviceAccount"]].into_iter().find(|name| !is_nothing(name));
    if let Some(name) = name.cloned() {
        spec["serviceAccountName"] = name.clone();
        spec["serviceAccount"] = name;
    }
}

/// `podIP` is the first of `podIPs`, and goes before it.
fn unify_ips(pod: &mut Value) {
    let Some(status) = pod.get_mut("status").filter(|status| status.is_object()) else { return };
    let first = status["podIPs"].get(0).map_or(Value::Null, |first| first["ip"].clone());
    match (status["podIP"].clone(), first) {
        (Value::Null, Value::Null) => {}
        (Value::Null, first) => status["podIP"] = first,
        (one, first) if one != first => status["podIPs"] = json!([{"ip": one}]),
        _ => {}
    }
    if let Some(fields) = status.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}

fn drop_init_annotations(object: &mut Value) {
    let Some(annotations) = object.get_mut("metadata").and_then(|m| m.get_mut("annotations")) else { return };
    if let Some(annotations) = annotations.as_object_mut() {
        for key in INIT_ANNOTATIONS {
            annotations.remove(key);
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Sets a field that is unset.
fn default(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fill::default(fields, field, value);
    }
}

fn within(object: &mut Value, field: &str, fill: impl FnOnce(&mut Value)) {
    if let Some(value) = object.get_mut(field).filter(|value| value.is_object()) {
        fill(value);
    }
}

/// A field that is an object, made where it is unset.
fn object<'v>(parent: &'v mut Value, field: &str) -> &'v mut Value {
    if !parent[field].is_object() {
        parent[field] = Value::Object(Map::new());
    }
    &mut parent[field]
}

fn items<'v>(parent: &'v mut Value, field: &str) -> impl Iterator<Item = &'v mut Value> + use<'v> {
    parent.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}
