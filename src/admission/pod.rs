//! A pod as plugins look at it: what its containers ask for, and all that the model reads from it.

use std::collections::BTreeMap;

use crate::model::quantity::Quantity;
use crate::model::value::Value;

pub use crate::model::pod::{
    CONTAINERS, EPHEMERAL_CONTAINERS, INIT_CONTAINERS, MIRROR, containers, items, items_mut, secrets,
    secrets_of_environment, text,
};

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

/// Adds to a list, made where there is none.
pub fn push(object: &mut Value, list: &str, item: Value) {
    match object.get_mut(list).and_then(Value::as_array_mut) {
        Some(items) => items.push(item),
        None => object[list] = Value::Array(vec![item]),
    }
}

/// `requests` or `limits` of an object that has resources.
pub fn amounts(object: &Value, list: &str) -> Amounts {
    of_map(&object["resources"][list])
}

/// A map of quantities; what is none is left out.
pub fn of_map(map: &Value) -> Amounts {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(name, amount)| Some((name.to_string(), Quantity::from_value(amount).ok()?))).collect()
}

pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        sum.entry(name.clone()).and_modify(|total| total.add(amount)).or_insert_with(|| amount.clone());
    }
}

/// Quality of service: no container asks for, or is bounded in, cpu or memory.
pub fn is_best_effort(spec: &Value) -> bool {
    let asks = |holder: &Value| {
        ["requests", "limits"].iter().any(|list| {
            let found = amounts(holder, list);
            ["cpu", "memory"].iter().any(|name| found.get(*name).is_some_and(|amount| amount.sign() > 0))
        })
    };
    !asks(spec) && !items(spec, CONTAINERS).chain(items(spec, INIT_CONTAINERS)).any(asks)
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
    use crate::model::value::json;

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
}
