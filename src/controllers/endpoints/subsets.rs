//! Endpoints into the subsets of an Endpoints object: each set of addresses once, with all ports that it has.

use std::collections::BTreeMap;

use super::plan::ports_key;
use crate::model::value::{Map, Value};

/// An address with one port, or with none (headless services).
#[derive(Clone, Debug)]
pub struct Entry {
    /// An EndpointAddress.
    pub address: Value,
    pub ready: bool,
    /// An EndpointPort.
    pub port: Option<Value>,
}

/// An address by its IP and the UID of what is there.
type AddressKey = (String, String);
/// The addresses that have one port, and whether they are ready.
type Addresses = BTreeMap<AddressKey, (bool, Value)>;

/// Of the same entries always the same subsets in the same order.
pub fn pack(entries: Vec<Entry>) -> Vec<Value> {
    let mut ports: Vec<(String, Option<Value>, Addresses)> = Vec::new();
    for Entry { address, ready, port } in entries {
        let name = port.as_ref().map_or(String::new(), |port| ports_key(std::slice::from_ref(port)));
        let at = ports.iter().position(|(known, ..)| *known == name).unwrap_or_else(|| {
            ports.push((name, port, Addresses::new()));
            ports.len() - 1
        });
        let key = key(&address);
        ports[at].2.entry(key).and_modify(|known| known.0 |= ready).or_insert((ready, address));
    }
    let mut sets: Vec<(Addresses, Vec<Value>)> = Vec::new();
    for (_, port, addresses) in ports {
        match sets.iter_mut().find(|(known, _)| is_same(known, &addresses)) {
            Some((_, ports)) => ports.extend(port),
            None => sets.push((addresses, port.into_iter().collect())),
        }
    }
    sets.into_iter().map(|(addresses, ports)| subset(addresses, ports)).collect()
}

fn key(address: &Value) -> AddressKey {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    (text(&address["ip"]), text(&address["targetRef"]["uid"]))
}

fn is_same(one: &Addresses, other: &Addresses) -> bool {
    let readiness =
        |addresses: &Addresses| addresses.iter().map(|(key, (ready, _))| (key.clone(), *ready)).collect::<Vec<_>>();
    one.len() == other.len() && readiness(one) == readiness(other)
}

fn subset(addresses: Addresses, ports: Vec<Value>) -> Value {
    let (ready, waiting): (Vec<_>, Vec<_>) = addresses.into_values().partition(|(ready, _)| *ready);
    let list = |addresses: Vec<(bool, Value)>| addresses.into_iter().map(|(_, address)| address).collect::<Vec<_>>();
    let lists = [("addresses", list(ready)), ("notReadyAddresses", list(waiting)), ("ports", ports)];
    let fields = lists.into_iter().filter(|(_, list)| !list.is_empty());
    fields.collect::<Map>().into()
}

/// Cuts subsets down to `most` addresses, ready ones first, of each subset as large a part as of all. Whether it did.
pub fn truncate(subsets: &mut [Value], most: usize) -> bool {
    let count = |subset: &Value, list: &str| subset[list].as_array().map_or(0, Vec::len);
    let total = |list: &str| subsets.iter().map(|subset| count(subset, list)).sum::<usize>();
    let (ready, waiting) = (total("addresses"), total("notReadyAddresses"));
    if ready + waiting <= most {
        return false;
    }
    let (list, all, room) = match ready > most {
        true => ("addresses", ready, most),
        false => ("notReadyAddresses", waiting, most - ready),
    };
    let mut left = room;
    for subset in subsets {
        let part = (count(subset, list) * room).div_ceil(all).min(left);
        left -= part;
        shorten(subset, list, part);
        if list == "addresses" {
            shorten(subset, "notReadyAddresses", 0);
        }
    }
    true
}

fn shorten(subset: &mut Value, list: &str, length: usize) {
    let Some(fields) = subset.as_object_mut() else { return };
    if let Some(Value::Array(addresses)) = fields.get_mut(list) {
        addresses.truncate(length);
        if length == 0 {
            fields.remove(list);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn entry(ip: &str, ready: bool, port: Option<i64>) -> Entry {
        let port = port.map(|port| json!({"name": format!("p{port}"), "port": port, "protocol": "TCP"}));
        Entry { address: json!({"ip": ip}), ready, port }
    }

    /// `ready|waiting|ports` of each subset.
    fn shown(subsets: &[Value]) -> Vec<String> {
        let names = |subset: &Value, list: &str, field: &str| {
            let items = subset[list].as_array().cloned().unwrap_or_default();
            items.iter().map(|item| item[field].to_string().replace('"', "")).collect::<Vec<_>>().join(",")
        };
        let line = |subset: &Value| {
            format!(
                "{}|{}|{}",
                names(subset, "addresses", "ip"),
                names(subset, "notReadyAddresses", "ip"),
                names(subset, "ports", "port")
            )
        };
        subsets.iter().map(line).collect()
    }

    #[test]
    fn addresses_with_the_same_ports_share_a_subset() {
        let both = [("b", true), ("a", true), ("c", false)]
            .into_iter()
            .flat_map(|(ip, ready)| [80, 90].map(|port| entry(ip, ready, Some(port))));
        assert_eq!(shown(&pack(both.collect())), ["a,b|c|80,90"]);
        let named = vec![entry("a", true, Some(80)), entry("b", true, Some(80)), entry("b", true, Some(90))];
        assert_eq!(shown(&pack(named)), ["a,b||80", "b||90"]);
        assert_eq!(shown(&pack(vec![entry("b", true, None), entry("a", false, None)])), ["b|a|"]);
    }

    #[test]
    fn too_many_addresses_are_cut() {
        let many = |count: usize, ready: bool, port: i64| {
            (0..count).map(move |n| entry(&format!("{ready}.{port}.{n:04}"), ready, Some(port)))
        };
        let counts = |most: usize, entries: Vec<Entry>| {
            let mut subsets = pack(entries);
            let cut = truncate(&mut subsets, most);
            let count = |subset: &Value, list: &str| subset[list].as_array().map_or(0, Vec::len);
            let counts: Vec<_> =
                subsets.iter().map(|s| (count(s, "addresses"), count(s, "notReadyAddresses"))).collect();
            (cut, counts)
        };
        assert_eq!(counts(10, many(10, true, 1).collect()), (false, vec![(10, 0)]));
        assert_eq!(counts(10, many(8, true, 1).chain(many(4, false, 1)).collect()), (true, vec![(8, 2)]));
        assert_eq!(counts(10, many(15, true, 1).chain(many(5, true, 2)).collect()), (true, vec![(8, 0), (2, 0)]));
    }
}
