//! A pod as plugins look at it: its containers, what they ask for, the secrets it names.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::quantity::Quantity;

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

pub const CONTAINERS: &str = "containers";
pub const INIT_CONTAINERS: &str = "initContainers";
pub const EPHEMERAL_CONTAINERS: &str = "ephemeralContainers";
/// The kubelet's own pods carry it.
pub const MIRROR: &str = "kubernetes.io/config.mirror";

/// The objects of a list, none when there is no such list.
pub fn items<'a>(object: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    object[list].as_array().into_iter().flatten()
}

pub fn items_mut<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A text, empty when unset.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or("")
}

/// Adds to a list, made where there is none.
pub fn push(object: &mut Value, list: &str, item: Value) {
    match object.get_mut(list).and_then(Value::as_array_mut) {
        Some(items) => items.push(item),
        None => object[list] = Value::Array(vec![item]),
    }
}

/// (the word for its kind, container), init containers first.
pub fn containers(spec: &Value) -> impl Iterator<Item = (&'static str, &Value)> {
    let of = move |list, word| items(spec, list).map(move |container| (word, container));
    of(INIT_CONTAINERS, "init container")
        .chain(of(CONTAINERS, "container"))
        .chain(of(EPHEMERAL_CONTAINERS, "ephemeral container"))
}

/// Secrets that a container's environment is read from.
pub fn secrets_of_environment(container: &Value) -> impl Iterator<Item = &str> {
    let keys = items(container, "env").map(|env| &env["valueFrom"]["secretKeyRef"]);
    let whole = items(container, "envFrom").map(|source| &source["secretRef"]);
    keys.chain(whole).filter(|reference| reference.is_object()).map(|reference| text(reference, "name"))
}

/// Every secret that the pod names.
pub fn secrets(spec: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = items(spec, "imagePullSecrets").map(|reference| text(reference, "name")).collect();
    names.extend(containers(spec).flat_map(|(_, container)| secrets_of_environment(container)));
    names.extend(items(spec, "volumes").flat_map(secrets_of_volume));
    names
}

fn secrets_of_volume(volume: &Value) -> Vec<&str> {
    let by = |source: &str, field: &str, name: &str| {
        volume[source][field].as_object().and_then(|reference| reference.get(name)).and_then(Value::as_str)
    };
    let referring = ["cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"];
    let mut names: Vec<&str> = referring.iter().filter_map(|source| by(source, "secretRef", "name")).collect();
    names.extend(by("csi", "nodePublishSecretRef", "name"));
    names.extend(volume["azureFile"].as_object().map(|_| text(&volume["azureFile"], "secretName")));
    names.extend(volume["secret"].as_object().map(|_| text(&volume["secret"], "secretName")));
    let projected = items(&volume["projected"], "sources").filter_map(|source| source["secret"].as_object());
    names.extend(projected.map(|secret| secret.get("name").and_then(Value::as_str).unwrap_or("")));
    names
}

/// `requests` or `limits` of an object that has resources.
pub fn amounts(object: &Value, list: &str) -> Amounts {
    of_map(&object["resources"][list])
}

/// A map of quantities; what is none is left out.
pub fn of_map(map: &Value) -> Amounts {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(name, amount)| Some((name.clone(), Quantity::from_value(amount).ok()?))).collect()
}

pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        sum.entry(name.clone()).and_modify(|total| total.add(amount)).or_insert_with(|| amount.clone());
    }
}

/// What the whole pod asks for, its overhead aside: containers run together, init containers one after another beside
/// the restartable ones before them. What the pod itself says of cpu and memory stands above that.
pub fn total(spec: &Value, list: &str) -> Amounts {
    let mut total = Amounts::new();
    items(spec, CONTAINERS).for_each(|container| add(&mut total, &amounts(container, list)));
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in items(spec, INIT_CONTAINERS) {
        let own = amounts(container, list);
        let mut at_once = sidecars.clone();
        add(&mut at_once, &own);
        if text(container, "restartPolicy") == "Always" {
            add(&mut total, &own);
            sidecars = at_once.clone();
        }
        raise(&mut most, &at_once);
    }
    raise(&mut total, &most);
    for (name, amount) in amounts(spec, list) {
        if is_of_pods(&name) {
            total.insert(name, amount);
        }
    }
    total
}

/// What a pod may ask for as a whole.
fn is_of_pods(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

fn raise(most: &mut Amounts, amounts: &Amounts) {
    for (name, amount) in amounts {
        let slot = most.entry(name.clone()).or_insert_with(|| amount.clone());
        if *amount > *slot {
            *slot = amount.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_asks_for_its_hungriest_moment() {
        let cpu = |amount: &str| json!({"resources": {"requests": {"cpu": amount}}});
        let mut sidecar = cpu("100m");
        sidecar["restartPolicy"] = "Always".into();
        let shown = |spec: &Value| total(spec, "requests")["cpu"].to_string();
        assert_eq!(shown(&json!({"containers": [cpu("1"), cpu("500m")]})), "1500m");
        assert_eq!(shown(&json!({"containers": [cpu("1")], "initContainers": [cpu("3"), cpu("2")]})), "3");
        assert_eq!(shown(&json!({"containers": [cpu("1")], "initContainers": [sidecar.clone(), cpu("3")]})), "3100m");
        assert_eq!(shown(&json!({"containers": [cpu("1")], "initContainers": [cpu("1"), sidecar]})), "1100m");
        let own = json!({"containers": [cpu("1")], "resources": {"requests": {"cpu": "4"}}});
        assert_eq!(shown(&own), "4");
    }

    #[test]
    fn every_reference_to_a_secret_is_seen() {
        let spec = json!({
            "imagePullSecrets": [{"name": "pull"}],
            "containers": [{"env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}]}],
            "initContainers": [{"envFrom": [{"secretRef": {"name": "from"}}, {"configMapRef": {"name": "no"}}]}],
            "ephemeralContainers": [{"envFrom": [{"secretRef": {"name": "debug"}}]}],
            "volumes": [{"secret": {"secretName": "vol"}}, {"projected": {"sources": [{"secret": {"name": "proj"}}]}},
                {"csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi"}}}, {"emptyDir": {}},
                {"azureFile": {"secretName": "az", "shareName": "s"}}],
        });
        assert_eq!(secrets(&spec), ["pull", "from", "key", "debug", "vol", "proj", "csi", "az"]);
    }
}
