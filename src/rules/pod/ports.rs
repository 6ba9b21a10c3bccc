//! Ports of containers, and ports of the host that they take.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::field::{FieldError, FieldErrors};
use crate::model::gotext;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::names::port_name;
use crate::rules::checks::numbers::port_number;

use super::visit::Containers;

/// A response shows no more than 4 KiB of warnings: more need not be looked for.
const MOST_WARNINGS: usize = 1000;

/// A container's `ports`.
pub fn ports(at: &At, errs: &mut FieldErrors) {
    let mut names = BTreeSet::new();
    for item in at.items() {
        let (name, own, host) = (item.at("name"), item.at("containerPort"), item.at("hostPort"));
        if !name.is_empty() && name.check(errs, port_name) && !names.insert(name.str()) {
            name.duplicate(errs);
        }
        if own.i64() == 0 {
            own.required(errs, "");
        } else {
            own.invalid_each(errs, port_number(own.i64()));
        }
        if host.i64() != 0 {
            host.invalid_each(errs, port_number(host.i64()));
        }
        choices::required(&item.at("protocol"), &["SCTP", "TCP", "UDP"], errs);
    }
}

/// No two containers of the list take the same port of the host.
pub fn host_ports_once<'p, 'v>(containers: impl Iterator<Item = At<'p, 'v>>, place: &At, errs: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for (index, container) in containers.enumerate() {
        for (number, port) in container.at("ports").items().enumerate() {
            let host = port.at("hostPort").i64();
            if host == 0 {
                continue;
            }
            let key = (port.at("protocol").str().to_owned(), port.at("hostIP").str().to_owned(), host);
            let text = format!("{}/{}/{host}", key.0, key.1);
            if !seen.insert(key) {
                let place = place.path().index(index);
                let place = place.name("ports");
                let place = place.index(number);
                errs.push(FieldError::duplicate(&place.name("hostPort"), &text));
            }
        }
    }
}

/// In the host's network a port is the host's own. A template may leave the host's port out.
pub fn host_network_ports(spec: &At, is_pod: bool, errs: &mut FieldErrors) {
    if !spec.at("hostNetwork").bool() {
        return;
    }
    for container in spec.at("containers").items() {
        for port in container.at("ports").items() {
            let (host, own) = (port.at("hostPort"), port.at("containerPort"));
            if (is_pod || host.i64() != 0) && host.i64() != own.i64() {
                host.invalid(errs, "must match `containerPort` when `hostNetwork` is true");
            }
        }
    }
}

/// A port that was told before: its place, its port of the host, its address of the host.
type Told<'v> = (String, i64, &'v str);

/// Warnings of ports that are told twice, or mean several places of the host.
pub fn warn(spec: &At, warnings: &mut Vec<String>) {
    let mut known: BTreeMap<(i64, &str), Vec<Told<'_>>> = BTreeMap::new();
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let mut name_warnings = Vec::new();
    for container in Containers::of(spec).iter() {
        for port in container.at("ports").items() {
            let (name, place) = (port.at("name").str(), port.path());
            let (host, ip) = (port.at("hostPort").i64(), port.at("hostIP").str());
            if !ip.is_empty() && host == 0 {
                warnings.push(format!("{place}: hostIP set without hostPort: {}", shown(&port)));
            }
            let others = known.entry((port.at("containerPort").i64(), port.at("protocol").str())).or_default();
            for (other, other_host, other_ip) in others.iter().take(MOST_WARNINGS.saturating_sub(warnings.len())) {
                let kind = if ip == *other_ip && host == *other_host {
                    "duplicate"
                } else if host == 0 || *other_host == 0 {
                    "overlapping"
                } else if host == *other_host && ip.is_empty() != other_ip.is_empty() {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                warnings.push(format!("{place}: {kind} port definition with {other}"));
            }
            others.push((place.to_string(), host, ip));
            match names.get(name) {
                _ if name.is_empty() => {}
                Some(other) => name_warnings.push(format!(
                    "{place}: duplicate port name {} with {other}, services and probes that select ports by name will use {other}",
                    gotext::quote(name)
                )),
                None => drop(names.insert(name, place.to_string())),
            }
        }
    }
    warnings.append(&mut name_warnings);
}

/// As Go prints the internal type.
fn shown(port: &At) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        port.at("name").str(),
        port.at("hostPort").i64(),
        port.at("containerPort").i64(),
        port.at("protocol").str(),
        port.at("hostIP").str()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn ports_of_containers_and_hosts() {
        let spec = json!({"hostNetwork": true, "containers": [{"ports": [
            {"name": "a", "containerPort": 80, "hostPort": 80, "protocol": "TCP"},
            {"name": "a", "containerPort": 65536, "protocol": "tcp"},
            {"containerPort": 81, "hostPort": 80, "protocol": "TCP"}]}]});
        let root = At::new(&spec, table::message("k8s.io.api.core.v1.PodSpec"));
        let (mut errs, containers) = (FieldErrors::new(), root.at("containers"));
        ports(&containers.item(0).at("ports"), &mut errs);
        host_ports_once(containers.items(), &containers, &mut errs);
        host_network_ports(&root, false, &mut errs);
        let found: Vec<_> = errs.iter().map(|e| e.to_string().replace("containers[0].ports", "")).collect();
        assert_eq!(
            found,
            [
                "[1].name: Duplicate value: \"a\"",
                "[1].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
                "[1].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                "[2].hostPort: Duplicate value: \"TCP//80\"",
                "[2].hostPort: Invalid value: 80: must match `containerPort` when `hostNetwork` is true",
            ]
        );
    }
}
