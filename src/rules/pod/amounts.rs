//! What a pod asks for and may use in sum (KEP-753 sidecars, KEP-2837 pod-level resources), and its class of service.

use std::collections::BTreeMap;

use crate::model::quantity::Quantity;
use crate::model::value::{Map, Value};
use crate::rules::checks::resources::is_huge_page;

/// Amounts by the name of their resource.
pub type Amounts<'v> = BTreeMap<&'v str, Quantity>;

/// The resources that decide on the class of service.
const OF_QOS: [&str; 2] = ["cpu", "memory"];

/// What a pod as a whole may ask for.
pub fn is_of_pods(name: &str) -> bool {
    OF_QOS.contains(&name) || is_huge_page(name)
}

/// The `requests` or `limits` of a spec's containers together: those that run at once summed up, or the most that an
/// init container needs beside the sidecars started before it.
pub fn of_containers<'v>(spec: &'v Value, list: &str) -> Amounts<'v> {
    let (mut sum, mut sidecars, mut most) = (Amounts::new(), Amounts::new(), Amounts::new());
    for container in items(spec, "containers") {
        add(&mut sum, &of(container, list));
    }
    for container in items(spec, "initContainers") {
        let own = of(container, list);
        if is_sidecar(container) {
            add(&mut sum, &own);
            add(&mut sidecars, &own);
            raise(&mut most, &sidecars);
        } else {
            let mut together = own;
            add(&mut together, &sidecars);
            raise(&mut most, &together);
        }
    }
    raise(&mut sum, &most);
    sum
}

/// Whether an init container keeps running beside the others.
pub fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

/// `Guaranteed`, `Burstable` or `BestEffort`, as the spec says.
pub fn qos_class(spec: &Value) -> &'static str {
    let (mut requests, mut limits, mut guaranteed) = (Amounts::new(), Amounts::new(), true);
    if let Some(pod) = spec.get("resources").filter(|r| r.is_object()) {
        add(&mut requests, &positive(&pod["requests"]));
        let own = positive(&pod["limits"]);
        guaranteed = pod["limits"].as_object().is_none_or(Map::is_empty) || own.len() == OF_QOS.len();
        add(&mut limits, &own);
    } else {
        for container in items(spec, "containers").chain(items(spec, "initContainers")) {
            let resources = &container["resources"];
            add(&mut requests, &positive(&resources["requests"]));
            let own = positive(&resources["limits"]);
            guaranteed &= own.len() == OF_QOS.len();
            add(&mut limits, &own);
        }
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    let covered = requests.iter().all(|(name, amount)| limits.get(name) == Some(amount));
    if guaranteed && covered && requests.len() == limits.len() { "Guaranteed" } else { "Burstable" }
}

fn items<'v>(spec: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> {
    spec[list].as_array().into_iter().flatten()
}

fn of<'v>(container: &'v Value, list: &str) -> Amounts<'v> {
    amounts(&container["resources"][list]).collect()
}

fn amounts(list: &Value) -> impl Iterator<Item = (&str, Quantity)> {
    let entries = list.as_object().into_iter().flatten();
    entries.map(|(name, amount)| (name.as_str(), Quantity::from_value(amount).unwrap_or(Quantity::ZERO)))
}

fn positive(list: &Value) -> Amounts<'_> {
    amounts(list).filter(|(name, amount)| OF_QOS.contains(name) && amount.sign() > 0).collect()
}

fn add<'v>(sum: &mut Amounts<'v>, more: &Amounts<'v>) {
    for (name, amount) in more {
        sum.entry(name).and_modify(|sum| sum.add(amount)).or_insert_with(|| amount.clone());
    }
}

fn raise<'v>(most: &mut Amounts<'v>, other: &Amounts<'v>) {
    for (name, amount) in other {
        if most.get(name).is_none_or(|most| amount > most) {
            most.insert(name, amount.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn container(cpu: &str) -> Value {
        json!({"resources": {"requests": {"cpu": cpu}}})
    }

    #[test]
    fn init_containers_count_with_the_sidecars_before_them() {
        let sidecar = json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": "2"}}});
        for (init, sum) in [
            (json!([]), "3"),
            (json!([container("2")]), "3"),
            (json!([container("5")]), "5"),
            (json!([sidecar]), "5"),
            (json!([container("4"), sidecar]), "5"),
            (json!([sidecar, container("4")]), "6"),
        ] {
            let spec = json!({"containers": [container("1"), container("2")], "initContainers": init});
            assert_eq!(of_containers(&spec, "requests")["cpu"].to_string(), sum, "{init}");
        }
    }

    #[test]
    fn classes_of_service() {
        let both = |cpu: &str| json!({"cpu": cpu, "memory": "1Gi"});
        for (resources, class) in [
            (json!({}), "BestEffort"),
            (json!({"requests": {"cpu": "0"}}), "BestEffort"),
            (json!({"limits": both("1"), "requests": both("1000m")}), "Guaranteed"),
            (json!({"limits": both("1"), "requests": both("1"), "x": 1}), "Guaranteed"),
            (json!({"limits": both("2"), "requests": both("1")}), "Burstable"),
            (json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}), "Burstable"),
            (json!({"requests": {"example.com/gpu": "1"}}), "BestEffort"),
        ] {
            let spec = json!({"containers": [{"resources": resources}]});
            assert_eq!(qos_class(&spec), class, "{resources}");
            let of_pod = json!({"containers": [{}], "resources": resources});
            assert_eq!(qos_class(&of_pod), class, "{resources}");
        }
    }
}
