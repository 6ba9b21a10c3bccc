//! Amounts of resources: what pods ask for, what nodes have.

use std::collections::BTreeMap;

use compact_str::CompactString;
use smallvec::SmallVec;

use super::view::{ContainerView, PodView};
use crate::model::quantity::Quantity;
use crate::model::value::Value;

/// What a container without a cpu request counts as when nodes are compared: 0.1 cores.
const DEFAULT_MILLI_CPU: i64 = 100;
/// The same for memory: 200 MiB.
const DEFAULT_MEMORY: i64 = 200 << 20;

/// Resources by name as the API writes them.
pub type Amounts = BTreeMap<String, Value>;

/// Amounts of the resources that the scheduler counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral: i64,
    /// How many pods a node takes; no pod asks for it.
    pub pods: i64,
    /// All others: huge pages, devices.
    pub scalar: SmallVec<[(CompactString, i64); 1]>,
}

impl Resources {
    pub const ZERO: Self = Self { cpu: 0, memory: 0, ephemeral: 0, pods: 0, scalar: SmallVec::new_const() };

    pub fn of(amounts: &Amounts) -> Self {
        let mut all = Self::default();
        for (name, value) in amounts {
            let Ok(quantity) = Quantity::from_value(value) else { continue };
            match name.as_str() {
                "cpu" => all.cpu = quantity.milli_value(),
                "memory" => all.memory = quantity.value(),
                "ephemeral-storage" => all.ephemeral = quantity.value(),
                "pods" => all.pods = quantity.value(),
                _ => all.scalar.push((name.into(), quantity.value())),
            }
        }
        all
    }

    pub fn scalar(&self, name: &str) -> i64 {
        self.scalar.iter().find(|(known, _)| known == name).map_or(0, |(_, amount)| *amount)
    }

    /// By the resource's name; `cpu` in thousandths.
    pub fn amount(&self, name: &str) -> i64 {
        match name {
            "cpu" => self.cpu,
            "memory" => self.memory,
            "ephemeral-storage" => self.ephemeral,
            _ => self.scalar(name),
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.combine(other, |a, b| a.saturating_add(b));
    }

    pub fn sub(&mut self, other: &Self) {
        self.combine(other, |a, b| a.saturating_sub(b));
    }

    /// The greater of each.
    pub fn most(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, other: &Self, with: impl Fn(i64, i64) -> i64) {
        self.cpu = with(self.cpu, other.cpu);
        self.memory = with(self.memory, other.memory);
        self.ephemeral = with(self.ephemeral, other.ephemeral);
        for (name, amount) in &other.scalar {
            match self.scalar.iter_mut().find(|(known, _)| known == name) {
                Some((_, mine)) => *mine = with(*mine, *amount),
                None => self.scalar.push((name.clone(), with(0, *amount))),
            }
        }
    }

    pub fn is_zero(&self) -> bool {
        self.cpu == 0 && self.memory == 0 && self.ephemeral == 0 && self.scalar.is_empty()
    }

    /// With the usual cpu and memory where a container asks for none.
    fn filled(mut self, asked: &Amounts) -> Self {
        if !asked.contains_key("cpu") {
            self.cpu = DEFAULT_MILLI_CPU;
        }
        if !asked.contains_key("memory") {
            self.memory = DEFAULT_MEMORY;
        }
        self
    }
}

/// What a pod asks for; and the (cpu, memory) it counts as when nodes are compared.
pub fn of_pod(pod: &PodView) -> (Resources, [i64; 2]) {
    let exact = sum(pod, |_, amounts| amounts);
    let filled = sum(pod, |container, amounts| amounts.filled(&container.resources.requests));
    let mut counted = [filled.cpu, filled.memory];
    // What the pod asks for as a whole stands above its containers, and above what they are taken to need.
    for (at, name) in ["cpu", "memory"].into_iter().enumerate() {
        if pod.spec.resources.requests.contains_key(name) {
            counted[at] = exact.amount(name);
        }
    }
    (exact, counted)
}

/// The most that the pod needs at once: while it starts, or while it runs.
fn sum(pod: &PodView, each: impl Fn(&ContainerView, Resources) -> Resources) -> Resources {
    let request = |container: &ContainerView| each(container, asked(pod, container));
    let mut running = Resources::default();
    pod.spec.containers.iter().for_each(|container| running.add(&request(container)));
    let (mut sidecars, mut starting) = (Resources::default(), Resources::default());
    for container in &pod.spec.init_containers {
        let mut now = request(container);
        if container.is_sidecar() {
            running.add(&now);
            sidecars.add(&now);
            starting.most(&sidecars);
        } else {
            now.add(&sidecars);
            starting.most(&now);
        }
    }
    running.most(&starting);
    let whole = &pod.spec.resources.requests;
    if !whole.is_empty() {
        let stated = Resources::of(whole);
        for (name, field) in [("cpu", &mut running.cpu), ("memory", &mut running.memory)] {
            if whole.contains_key(name) {
                *field = stated.amount(name);
            }
        }
        for (name, amount) in stated.scalar {
            match running.scalar.iter_mut().find(|(known, _)| *known == name) {
                Some((_, mine)) => *mine = amount,
                None => running.scalar.push((name, amount)),
            }
        }
    }
    running.add(&Resources::of(&pod.spec.overhead));
    running
}

/// A container's requests; while it is resized, the most of what it has and what it is to have.
fn asked(pod: &PodView, container: &ContainerView) -> Resources {
    let mut asked = Resources::of(&container.resources.requests);
    let states = pod.status.container_statuses.iter().chain(&pod.status.init_container_statuses);
    for state in states.filter(|state| state.name == container.name) {
        asked.most(&Resources::of(&state.allocated_resources));
        if let Some(actual) = &state.resources {
            asked.most(&Resources::of(&actual.requests));
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, from_value, json};

    fn pod(spec: Value) -> PodView {
        from_value(&json!({"spec": spec})).expect("a pod")
    }

    fn container(name: &str, cpu: &str) -> Value {
        json!({"name": name, "resources": {"requests": {"cpu": cpu, "memory": "1Mi"}}})
    }

    #[test]
    fn the_most_at_once_counts() {
        let mut sidecar = container("s", "100m");
        sidecar["restartPolicy"] = "Always".into();
        let (all, _) = of_pod(&pod(json!({
            "containers": [container("a", "200m"), container("b", "300m")],
            "initContainers": [container("i", "450m"), sidecar, container("j", "550m")],
            "overhead": {"cpu": "10m"},
        })));
        // j starts beside the sidecar: 650m, more than 600m of a, b and s.
        assert_eq!(all.cpu, 660);
        assert_eq!(all.memory, 3 << 20);
    }

    #[test]
    fn containers_without_requests_count_as_something() {
        let (all, counted) = of_pod(&pod(json!({"containers": [{"name": "a"}, container("b", "1")]})));
        assert_eq!((all.cpu, counted), (1000, [1100, (200 << 20) + (1 << 20)]));
    }

    #[test]
    fn what_the_pod_asks_for_stands_above_its_containers() {
        let spec = json!({"containers": [container("a", "1")], "resources": {"requests": {"cpu": "2"}}});
        assert_eq!(of_pod(&pod(spec)).0.cpu, 2000);
    }

    #[test]
    fn a_resize_counts_what_is_held() {
        let mut view = pod(json!({"containers": [container("a", "1")]}));
        let state = json!({"containerStatuses": [{"name": "a", "allocatedResources": {"cpu": "3"}}]});
        view.status = from_value(&state).expect("a status");
        assert_eq!(of_pod(&view).0.cpu, 3000);
    }

    #[test]
    fn devices_are_counted_by_name() {
        let spec = json!({"containers": [{"name": "a", "resources": {"requests": {"example.com/gpu": "2"}}}]});
        let mut all = of_pod(&pod(spec)).0;
        assert_eq!(all.scalar("example.com/gpu"), 2);
        all.sub(&all.clone());
        assert_eq!(all.scalar("example.com/gpu"), 0);
    }
}
