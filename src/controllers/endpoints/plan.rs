//! Endpoints into slices: as few writes as can be, and no slice with more than a hundred.

use std::collections::BTreeMap;

use crate::model::value::{Map, Value, json};

/// Endpoints in a slice at most.
pub const MOST: usize = 100;

/// What all slices of one address type have in common.
pub struct Template<'a> {
    pub namespace: &'a str,
    /// Begins the names of new slices.
    pub name: &'a str,
    pub address_type: &'a str,
    /// The only owner.
    pub owner: Value,
    pub labels: Map,
}

/// Endpoints with the same ports.
#[derive(Debug)]
pub struct Group {
    pub ports: Vec<Value>,
    pub endpoints: Vec<Value>,
}

/// What to write.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    pub create: Vec<Value>,
    pub update: Vec<Value>,
    pub delete: Vec<Value>,
}

/// Endpoints that have no slice yet, by what they are.
type Homeless = BTreeMap<String, Value>;

impl Plan {
    /// `existing` are the slices of this address type that the owner has; `groups` differ in their ports.
    pub fn of(template: &Template<'_>, existing: Vec<Value>, groups: Vec<Group>) -> Self {
        let (mut plan, count) = (Self::default(), existing.len());
        let mut by_ports: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for slice in existing {
            by_ports.entry(ports_key(list(&slice["ports"]))).or_default().push(slice);
        }
        for group in groups {
            let slices = by_ports.remove(&ports_key(&group.ports)).unwrap_or_default();
            plan.place(template, slices, group);
        }
        plan.delete.extend(by_ports.into_values().flatten());
        plan.keep_one(template, count);
        plan.recycle();
        plan
    }

    /// Slices keep what belongs to them; the rest fills those that are written anyhow, then one with just enough room,
    /// then new ones.
    fn place(&mut self, template: &Template<'_>, slices: Vec<Value>, group: Group) {
        let mut homeless: Homeless =
            group.endpoints.into_iter().map(|endpoint| (identity(&endpoint), endpoint)).collect();
        let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
        for mut slice in slices {
            let (kept, differs) = keep(&slice, &mut homeless);
            let is_relabelled = slice["metadata"]["labels"].as_object() != Some(&template.labels);
            if differs && kept.is_empty() {
                self.delete.push(slice);
            } else if differs || is_relabelled {
                slice["endpoints"] = kept.into();
                slice["metadata"]["labels"] = template.labels.clone().into();
                changed.push(slice);
            } else {
                unchanged.push(slice);
            }
        }
        changed.sort_by_key(|slice| std::cmp::Reverse(count(slice)));
        changed.iter_mut().for_each(|slice| fill(slice, &mut homeless));
        while !homeless.is_empty() {
            match roomy(&unchanged, homeless.len()) {
                Some(at) => {
                    let mut slice = unchanged.remove(at);
                    fill(&mut slice, &mut homeless);
                    changed.push(slice);
                }
                None => {
                    let mut slice = template.slice(&group.ports);
                    fill(&mut slice, &mut homeless);
                    self.create.push(slice);
                }
            }
        }
        self.update.append(&mut changed);
    }

    /// Where nothing would be left, one slice without endpoints says that there are none.
    fn keep_one(&mut self, template: &Template<'_>, existing: usize) {
        if self.delete.len() != existing || !self.create.is_empty() {
            return;
        }
        let is_it = |slice: &Value| {
            let is_empty = count(slice) == 0 && list(&slice["ports"]).is_empty();
            is_empty && slice["metadata"]["labels"].as_object() == Some(&template.labels)
        };
        match self.delete.as_slice() {
            [slice] if is_it(slice) => self.delete.clear(),
            _ => self.create.push(template.slice(&[])),
        }
    }

    /// A slice to delete and one to create make one to update.
    fn recycle(&mut self) {
        let pairs = self.create.len().min(self.delete.len());
        for old in self.delete.drain(..pairs) {
            let Some(mut slice) = self.create.pop() else { return };
            slice["metadata"]["name"] = old["metadata"]["name"].clone();
            self.update.push(slice);
        }
    }
}

impl Template<'_> {
    /// A new slice without endpoints.
    pub fn slice(&self, ports: &[Value]) -> Value {
        json!({
            "metadata": {
                "generateName": format!("{}-", self.name),
                "namespace": self.namespace,
                "labels": self.labels,
                "ownerReferences": [self.owner],
            },
            "addressType": self.address_type,
            "endpoints": [],
            "ports": ports,
        })
    }
}

/// The endpoints of a slice that are still wanted, as they are now; and whether the slice says otherwise.
fn keep(slice: &Value, homeless: &mut Homeless) -> (Vec<Value>, bool) {
    let (mut kept, mut differs) = (Vec::new(), false);
    for endpoint in list(&slice["endpoints"]) {
        match homeless.remove(&identity(endpoint)) {
            Some(wanted) => {
                differs |= !says_same(&wanted, endpoint);
                kept.push(wanted);
            }
            None => differs = true,
        }
    }
    (kept, differs)
}

fn fill(slice: &mut Value, homeless: &mut Homeless) {
    let mut endpoints = list(&slice["endpoints"]).to_vec();
    while endpoints.len() < MOST {
        let Some((_, endpoint)) = homeless.pop_first() else { break };
        endpoints.push(endpoint);
    }
    slice["endpoints"] = endpoints.into();
}

/// The slice that has room for so many more and least besides.
fn roomy(slices: &[Value], more: usize) -> Option<usize> {
    let fits = (0..slices.len()).filter(|at| more < MOST && count(&slices[*at]) + more <= MOST);
    fits.max_by_key(|at| count(&slices[*at]))
}

fn count(slice: &Value) -> usize {
    list(&slice["endpoints"]).len()
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The same for the same ports in any order.
pub fn ports_key(ports: &[Value]) -> String {
    let text = |port: &Value, field: &str| port[field].as_str().unwrap_or("").to_owned();
    let key = |port: &Value| {
        let (name, protocol, application) = (text(port, "name"), text(port, "protocol"), text(port, "appProtocol"));
        format!("{name}/{}/{protocol}/{application}", port["port"])
    };
    let mut keys: Vec<String> = ports.iter().map(key).collect();
    keys.sort();
    keys.join(" ")
}

/// What makes an endpoint the same one after a change.
pub fn identity(endpoint: &Value) -> String {
    let mut addresses: Vec<&str> = list(&endpoint["addresses"]).iter().filter_map(Value::as_str).collect();
    addresses.sort_unstable();
    let target = &endpoint["targetRef"];
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let (namespace, name, hostname) = (text(&target["namespace"]), text(&target["name"]), text(&endpoint["hostname"]));
    format!("{namespace}/{name} {hostname} {}", addresses.join(" "))
}

/// Whether two states of an endpoint say the same. A pod's newer resourceVersion is no news.
pub fn says_same(one: &Value, other: &Value) -> bool {
    let target = |endpoint: &Value| {
        let mut target = endpoint["targetRef"].clone();
        target.as_object_mut().and_then(|target| target.remove("resourceVersion"));
        target
    };
    let fields = ["nodeName", "zone", "conditions", "hints"];
    fields.iter().all(|field| one[*field] == other[*field]) && target(one) == target(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template<'static> {
        let labels = json!({"of": "s"}).as_object().cloned().unwrap_or_default();
        Template { namespace: "d", name: "s", address_type: "IPv4", owner: json!({"uid": "u"}), labels }
    }

    fn endpoints(numbers: std::ops::Range<usize>) -> Vec<Value> {
        let endpoint = |n: usize| json!({"addresses": [format!("10.0.0.{n:03}")], "conditions": {"ready": true}});
        numbers.map(endpoint).collect()
    }

    fn group(numbers: std::ops::Range<usize>) -> Group {
        Group { ports: vec![json!({"name": "", "port": 80, "protocol": "TCP"})], endpoints: endpoints(numbers) }
    }

    /// `name: endpoints` of slices that a plan made, named in order.
    fn named(mut slices: Vec<Value>) -> Vec<Value> {
        for (at, slice) in slices.iter_mut().enumerate() {
            slice["metadata"]["name"] = format!("s-{at}").into();
        }
        slices
    }

    fn shown(plan: &Plan) -> Vec<String> {
        let line = |verb: &str, slice: &Value| {
            format!("{verb} {} {}", slice["metadata"]["name"].as_str().unwrap_or("?"), count(slice))
        };
        let create = plan.create.iter().map(|slice| line("create", slice));
        let update = plan.update.iter().map(|slice| line("update", slice));
        create.chain(update).chain(plan.delete.iter().map(|slice| line("delete", slice))).collect()
    }

    #[test]
    fn endpoints_are_placed_with_few_writes() {
        let plan = Plan::of(&template(), vec![], vec![group(0..250)]);
        assert_eq!(shown(&plan), ["create ? 100", "create ? 100", "create ? 50"]);
        let slices = named(plan.create);
        let of = |numbers| shown(&Plan::of(&template(), slices.clone(), vec![group(numbers)]));
        assert_eq!(of(0..250), [""; 0], "all is well");
        assert_eq!(of(0..260), ["update s-2 60"], "the one with room");
        assert_eq!(of(0..320), ["create ? 70"], "nothing has room for all");
        assert_eq!(of(1..251), ["update s-0 100"], "the one that is written anyhow");
        assert_eq!(of(0..200), ["delete s-2 50"], "an empty one goes");
        assert_eq!(of(0..0), ["update s-0 0", "delete s-1 100", "delete s-2 50"], "one is left to say so");
    }

    #[test]
    fn other_ports_and_labels_are_taken_over() {
        let slices = named(Plan::of(&template(), vec![], vec![group(0..3)]).create);
        let mut other = group(0..3);
        other.ports[0]["port"] = 81.into();
        let plan = Plan::of(&template(), slices.clone(), vec![other]);
        assert_eq!((shown(&plan), &plan.update[0]["ports"][0]["port"]), (vec!["update s-0 3".into()], &json!(81)));
        let mut template = template();
        template.labels.insert("more".into(), "x".into());
        let plan = Plan::of(&template, slices, vec![group(0..3)]);
        assert_eq!(shown(&plan), ["update s-0 3"]);
        let empty = named(Plan::of(&template, vec![], vec![]).create);
        assert_eq!(Plan::of(&template, empty, vec![]), Plan::default(), "the empty one stays");
    }
}
