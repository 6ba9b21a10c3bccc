//! What an object costs, and which quotas count it.

use crate::admission::chain::Attributes;
use crate::admission::pod::{self, Amounts, CONTAINERS, INIT_CONTAINERS, items, text};
use crate::model::object;
use crate::model::quantity::{Format, Quantity};
use crate::model::value::{Map, Value};
use crate::rules::checks::resources::{is_extended, is_huge_page};

const ONE: Quantity = Quantity::from_i64(1, Format::DecimalSi);
const BY_CLASS: &str = ".storageclass.storage.k8s.io/";
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const COUNT_CLAIMS: &str = "count/resourceclaims.resource.k8s.io";
const BY_DEVICE_CLASS: &str = ".deviceclass.resource.k8s.io/devices";
/// Devices that a claim can get.
const MOST_DEVICES: i64 = 32;
const CLAIM_NAMES: [&str; 2] = ["persistentvolumeclaims", "requests.storage"];
const SERVICE_NAMES: [&str; 3] = ["services", "services.nodeports", "services.loadbalancers"];
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// What every container must say when a quota counts it.
const DEMANDED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
/// Counted under their own name too, from before there was `count/`.
const ALIASES: [&str; 4] = ["configmaps", "resourcequotas", "replicationcontrollers", "secrets"];
/// Never counted.
const IGNORED: [(&str, &str); 4] =
    [("", "bindings"), ("", "componentstatuses"), ("", "events"), ("events.k8s.io", "events")];
const IGNORED_GROUPS: [&str; 2] = ["authentication.k8s.io", "authorization.k8s.io"];

/// How objects of a resource are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meter {
    Pods,
    Services,
    Claims,
    ResourceClaims,
    /// One each, under these names.
    Count(Vec<String>),
}

impl Meter {
    /// `None`: nothing of this request is counted.
    pub fn of(a: &Attributes<'_>, object: &Value) -> Option<Self> {
        let meter = Self::of_resource(&a.resource.name.group, &a.resource.name.resource)?;
        let (main, old) = (a.subresource.is_empty(), a.old);
        let counted = match meter {
            Self::Pods if a.subresource == "resize" => a.updates(),
            Self::Pods if a.updates() => main && old.is_some_and(|old| is_terminating(old) != is_terminating(object)),
            Self::Claims if a.subresource == "status" => old.is_some_and(|old| claim_changed(object, old)),
            Self::Services | Self::Claims | Self::ResourceClaims => main && (a.creates() || a.updates()),
            Self::Pods | Self::Count(_) => main && a.creates(),
        };
        counted.then_some(meter)
    }

    /// How the objects of a resource are counted; `None`: not at all.
    pub fn of_resource(group: &str, resource: &str) -> Option<Self> {
        if IGNORED.contains(&(group, resource)) || IGNORED_GROUPS.contains(&group) {
            return None;
        }
        Some(match (group, resource) {
            ("", "pods") => Self::Pods,
            ("", "services") => Self::Services,
            ("", "persistentvolumeclaims") => Self::Claims,
            ("resource.k8s.io", "resourceclaims") => Self::ResourceClaims,
            _ => Self::Count(count_names(group, resource)),
        })
    }

    /// What a pod costs that runs no more.
    pub fn ended_pod() -> Amounts {
        Amounts::from([("count/pods".to_owned(), ONE)])
    }

    /// Whether this kind of object can cost any of the resource.
    pub fn counts(&self, name: &str) -> bool {
        match self {
            Self::Count(names) => names.iter().any(|own| own == name),
            Self::Services => name == "count/services" || SERVICE_NAMES.contains(&name),
            Self::Claims => {
                let by_class = |own: &&str| name.strip_suffix(*own).is_some_and(|rest| rest.ends_with(BY_CLASS));
                name == "count/persistentvolumeclaims"
                    || CLAIM_NAMES.contains(&name)
                    || CLAIM_NAMES.iter().any(by_class)
            }
            Self::ResourceClaims => name == COUNT_CLAIMS || name.ends_with(BY_DEVICE_CLASS),
            Self::Pods => {
                let plain = name.strip_prefix("requests.").or(name.strip_prefix("limits.")).unwrap_or(name);
                matches!(name, "pods" | "count/pods")
                    || COMPUTE.contains(&plain)
                    || is_huge_page(name.strip_prefix("requests.").unwrap_or(name))
                    || name.strip_prefix("requests.").is_some_and(is_extended)
            }
        }
    }

    pub fn usage(&self, object: &Value) -> Amounts {
        match self {
            Self::Count(names) => names.iter().map(|name| (name.clone(), ONE)).collect(),
            Self::Services => service_usage(&object["spec"]),
            Self::Claims => claim_usage(object),
            Self::ResourceClaims => resource_claim_usage(&object["spec"]["devices"]),
            Self::Pods => pod_usage(object),
        }
    }

    /// Whether all of the quota's scopes take the object in.
    pub fn is_in_scope(&self, quota: &Value, object: &Value) -> bool {
        let spec = &quota["spec"];
        let plain = items(spec, "scopes").filter_map(Value::as_str).map(|scope| (scope, "Exists", &Value::Null));
        let selected = items(&spec["scopeSelector"], "matchExpressions")
            .map(|scope| (text(scope, "scopeName"), text(scope, "operator"), &scope["values"]));
        plain.chain(selected).all(|(scope, operator, values)| self.takes_in(object, scope, operator, values))
    }

    fn takes_in(&self, object: &Value, scope: &str, operator: &str, values: &Value) -> bool {
        match self {
            Self::Pods => pod_in_scope(object, scope, operator, values),
            Self::Claims if scope == "VolumeAttributesClass" => selects(&claim_classes(object), operator, values),
            Self::Services | Self::Claims | Self::ResourceClaims | Self::Count(_) => false,
        }
    }

    /// Whether one requirement of a scope selector takes the object in.
    pub fn matches(&self, object: &Value, scope: &Value) -> bool {
        self.takes_in(object, text(scope, "scopeName"), text(scope, "operator"), &scope["values"])
    }

    /// Why the object cannot be counted: containers that do not say what they ask for.
    pub fn demand(&self, names: &[String], object: &Value) -> Option<String> {
        let spec = &object["spec"];
        if *self != Self::Pods || sets_amounts(spec) {
            return None;
        }
        let mut missing = Vec::new();
        for name in names.iter().filter(|name| DEMANDED.contains(&name.as_str())) {
            let containers = items(spec, CONTAINERS).chain(items(spec, INIT_CONTAINERS));
            let lacking = containers.filter(|container| !compute(&container["resources"]).contains_key(name));
            let mut lacking: Vec<&str> = lacking.map(|container| text(container, "name")).collect();
            lacking.sort_unstable();
            lacking.dedup();
            if !lacking.is_empty() {
                missing.push(format!("{name} for: {}", lacking.join(",")));
            }
        }
        (!missing.is_empty()).then(|| format!("must specify {}", missing.join("; ")))
    }
}

fn count_names(group: &str, resource: &str) -> Vec<String> {
    if !group.is_empty() {
        return vec![format!("count/{resource}.{group}")];
    }
    let alias = ALIASES.contains(&resource).then(|| resource.to_owned());
    [format!("count/{resource}")].into_iter().chain(alias).collect()
}

fn service_usage(spec: &Value) -> Amounts {
    let count = |number: usize| Quantity::from_i64(number as i64, Format::DecimalSi);
    let (ports, kind) = (items(spec, "ports").count(), text(spec, "type"));
    let with_node_port = items(spec, "ports").filter(|port| port["nodePort"].as_i64().unwrap_or(0) != 0).count();
    let node_ports = match kind {
        "NodePort" => ports,
        "LoadBalancer" if spec["allocateLoadBalancerNodePorts"] == false => with_node_port,
        "LoadBalancer" => ports,
        _ => 0,
    };
    Amounts::from([
        ("count/services".to_owned(), ONE),
        ("services".to_owned(), ONE),
        ("services.loadbalancers".to_owned(), count(usize::from(kind == "LoadBalancer"))),
        ("services.nodeports".to_owned(), count(node_ports)),
    ])
}

fn claim_usage(claim: &Value) -> Amounts {
    let mut usage =
        Amounts::from([("count/persistentvolumeclaims".to_owned(), ONE), ("persistentvolumeclaims".to_owned(), ONE)]);
    let storage = |map: &Value| Quantity::from_value(map.get("storage")?).ok();
    let asked = storage(&claim["spec"]["resources"]["requests"]);
    let given = storage(&claim["status"]["allocatedResources"]);
    let size = asked.map(|asked| given.filter(|given| *given > asked).unwrap_or(asked));
    let class = object::annotation(claim, CLASS_ANNOTATION).unwrap_or_else(|| text(&claim["spec"], "storageClassName"));
    if let Some(mut size) = size {
        size.round_up(0);
        usage.insert("requests.storage".to_owned(), size);
    }
    if !class.is_empty() {
        let of_class = CLAIM_NAMES.iter().filter_map(|name| Some((*name, usage.get(*name)?.clone())));
        let of_class: Vec<_> = of_class.map(|(name, amount)| (format!("{class}{BY_CLASS}{name}"), amount)).collect();
        usage.extend(of_class);
    }
    usage
}

fn claim_classes(claim: &Value) -> Vec<&str> {
    let status = &claim["status"];
    let names = [
        text(&claim["spec"], "volumeAttributesClassName"),
        text(status, "currentVolumeAttributesClassName"),
        text(&status["modifyVolumeStatus"], "targetVolumeAttributesClassName"),
    ];
    names.into_iter().filter(|name| !name.is_empty()).collect()
}

fn claim_changed(new: &Value, old: &Value) -> bool {
    let given = |claim: &Value| claim["status"]["allocatedResources"]["storage"].clone();
    given(new) != given(old) || claim_classes(new) != claim_classes(old)
}

/// One, and the devices that it may get at most, by class.
fn resource_claim_usage(devices: &Value) -> Amounts {
    let mut usage = Amounts::from([(COUNT_CLAIMS.to_owned(), ONE)]);
    let devices_of = |request: &Value| {
        let count = match text(request, "allocationMode") {
            "ExactCount" => request["count"].as_i64().unwrap_or(1),
            "All" => MOST_DEVICES,
            _ => 0,
        };
        let class = format!("{}{BY_DEVICE_CLASS}", text(request, "deviceClassName"));
        (class, Quantity::from_i64(count, Format::DecimalSi))
    };
    for request in items(devices, "requests") {
        // One of several: of each class as many as the hungriest of them.
        let mut most = Amounts::new();
        for (class, count) in items(request, "firstAvailable").map(devices_of) {
            let known = most.entry(class).or_insert_with(|| count.clone());
            if count > *known {
                *known = count;
            }
        }
        if request["exactly"].is_object() {
            most.extend([devices_of(&request["exactly"])]);
        }
        pod::add(&mut usage, &most);
    }
    usage
}

fn pod_usage(pod: &Value) -> Amounts {
    let mut usage = Meter::ended_pod();
    if matches!(text(&pod["status"], "phase"), "Failed" | "Succeeded") {
        return usage;
    }
    let spec = &pod["spec"];
    let (mut requests, mut limits) = (pod::total(spec, "requests"), pod::total(spec, "limits"));
    let overhead = pod::of_map(&spec["overhead"]);
    pod::add(&mut requests, &overhead);
    let bounded: Amounts =
        overhead.into_iter().filter(|(name, _)| limits.get(name).is_some_and(|l| !l.is_zero())).collect();
    pod::add(&mut limits, &bounded);
    usage.insert("pods".to_owned(), ONE);
    usage.extend(named(&requests, &limits));
    usage
}

/// What a container asks for, under the names that quotas use.
fn compute(resources: &Value) -> Amounts {
    named(&pod::of_map(&resources["requests"]), &pod::of_map(&resources["limits"]))
}

fn named(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut named = Amounts::new();
    for (name, amount) in requests {
        if COMPUTE.contains(&name.as_str()) || is_huge_page(name) {
            named.insert(name.clone(), amount.clone());
            named.insert(format!("requests.{name}"), amount.clone());
        } else if is_extended(name) {
            named.insert(format!("requests.{name}"), amount.clone());
        }
    }
    let limits = limits.iter().filter(|(name, _)| COMPUTE.contains(&name.as_str()));
    named.extend(limits.map(|(name, amount)| (format!("limits.{name}"), amount.clone())));
    named
}

fn pod_in_scope(pod: &Value, scope: &str, operator: &str, values: &Value) -> bool {
    match scope {
        "Terminating" => is_terminating(pod),
        "NotTerminating" => !is_terminating(pod),
        "BestEffort" => pod::is_best_effort(&pod["spec"]),
        "NotBestEffort" => !pod::is_best_effort(&pod["spec"]),
        "PriorityClass" => {
            let class = text(&pod["spec"], "priorityClassName");
            let classes: &[&str] = if class.is_empty() { &[] } else { &[class] };
            selects(classes, operator, values)
        }
        "CrossNamespacePodAffinity" => crosses_namespaces(&pod["spec"]["affinity"]),
        _ => false,
    }
}

/// Whether one of the names is selected; without any, what the operator says of nothing.
fn selects(names: &[&str], operator: &str, values: &Value) -> bool {
    let listed = |name: &str| values.as_array().is_some_and(|values| values.iter().any(|value| value == name));
    match operator {
        "Exists" => !names.is_empty(),
        "DoesNotExist" => names.is_empty(),
        "In" => names.iter().any(|name| listed(name)),
        "NotIn" => names.is_empty() || names.iter().any(|name| !listed(name)),
        _ => false,
    }
}

fn is_terminating(pod: &Value) -> bool {
    pod["spec"]["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0)
}

/// Whether the pod as a whole says what it asks for.
fn sets_amounts(spec: &Value) -> bool {
    ["requests", "limits"].iter().any(|list| {
        let names = pod::amounts(spec, list);
        names.keys().any(|name| matches!(name.as_str(), "cpu" | "memory") || is_huge_page(name))
    })
}

fn crosses_namespaces(affinity: &Value) -> bool {
    let crosses = |term: &Value| items(term, "namespaces").next().is_some() || term["namespaceSelector"].is_object();
    ["podAffinity", "podAntiAffinity"].iter().any(|side| {
        let side = &affinity[*side];
        let preferred = items(side, "preferredDuringSchedulingIgnoredDuringExecution");
        items(side, "requiredDuringSchedulingIgnoredDuringExecution").any(crosses)
            || preferred.map(|weighted| &weighted["podAffinityTerm"]).any(crosses)
    })
}

/// Amounts as a quota's status has them.
pub fn to_map(amounts: &Amounts) -> Map {
    amounts.iter().map(|(name, amount)| (name.as_str(), amount.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn a_pod_is_counted_under_all_its_names() {
        let resources = json!({"requests": {"cpu": "1", "x.io/gpu": "2"}, "limits": {"cpu": "2", "x.io/gpu": "2"}});
        let pod = json!({"spec": {"containers": [{"name": "c", "resources": resources}], "overhead": {"cpu": "500m"}}});
        let expected = json!({"count/pods": "1", "pods": "1", "cpu": "1500m", "requests.cpu": "1500m",
            "limits.cpu": "2500m", "requests.x.io/gpu": "2"});
        let usage = Meter::Pods.usage(&pod);
        assert_eq!(Value::Object(to_map(&usage)), expected);
        assert!(usage.keys().all(|name| Meter::Pods.counts(name)) && !Meter::Pods.counts("requests.storage"));
        let names = ["limits.memory".to_owned(), "requests.cpu".to_owned()];
        assert_eq!(Meter::Pods.demand(&names, &pod).as_deref(), Some("must specify limits.memory for: c"));
    }

    #[test]
    fn scopes_take_pods_in() {
        let quota = |scope: &str| json!({"spec": {"scopes": [scope]}});
        let pod = json!({"spec": {"containers": [{"name": "c"}], "activeDeadlineSeconds": 5}});
        let takes = |scope: &str| Meter::Pods.is_in_scope(&quota(scope), &pod);
        assert!(takes("BestEffort") && takes("Terminating") && !takes("NotBestEffort") && !takes("PriorityClass"));
        assert!(!Meter::Services.is_in_scope(&quota("BestEffort"), &pod));
        let not_in = json!({"spec": {"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "NotIn", "values": ["high"]}]}}});
        assert!(Meter::Pods.is_in_scope(&not_in, &pod));
    }

    #[test]
    fn resource_claims_are_counted_by_the_devices_that_they_may_get() {
        let one =
            |class: &str, count: i64| json!({"deviceClassName": class, "allocationMode": "ExactCount", "count": count});
        let all = json!({"deviceClassName": "b", "allocationMode": "All"});
        let requests = json!([{"exactly": one("a", 2)}, {"firstAvailable": [one("a", 1), one("a", 4), all]}]);
        let usage = Meter::ResourceClaims.usage(&json!({"spec": {"devices": {"requests": requests}}}));
        let expected = json!({"count/resourceclaims.resource.k8s.io": "1",
            "a.deviceclass.resource.k8s.io/devices": "6", "b.deviceclass.resource.k8s.io/devices": "32"});
        assert_eq!(Value::Object(to_map(&usage)), expected);
        assert!(usage.keys().all(|name| Meter::ResourceClaims.counts(name)));
    }

    #[test]
    fn claims_are_counted_by_class() {
        let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}});
        let usage = Meter::Claims.usage(&claim);
        assert_eq!(usage["fast.storageclass.storage.k8s.io/requests.storage"].to_string(), "1Gi");
        assert!(usage.keys().all(|name| Meter::Claims.counts(name)) && usage.len() == 5);
    }
}
