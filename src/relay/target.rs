//! What objects say of where to go: a kubelet, a pod's port, an endpoint of a service. Pure.

use std::net::IpAddr;

use super::dial::{Place, Trust};
use super::guard::is_global_unicast;
use crate::model::pod::{self, items, text};
use crate::model::status::{Result, Status};
use crate::model::value::Value;

/// The port of kubelets that do not say theirs.
const KUBELET_PORT: u16 = 10250;
/// A kubelet that declares this reads WebSocket streams itself.
const WEBSOCKETS: &str = "ExtendWebSocketsToKubelet";

/// `[scheme:]name[:port]`, as the name of a proxied object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// `http`, `https`, or empty.
    pub scheme: &'a str,
    pub name: &'a str,
    /// A number or a name; may be empty.
    pub port: &'a str,
}

/// A node's kubelet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubelet {
    pub place: Place,
    pub speaks_websocket: bool,
}

impl<'a> Named<'a> {
    /// `None`: too many parts, no name, or another scheme.
    pub fn parse(id: &'a str) -> Option<Self> {
        let parts: Vec<&str> = id.split(':').collect();
        let (scheme, name, port) = match parts[..] {
            [name] => ("", name, ""),
            [name, port] => ("", name, port),
            [scheme, name, port] => (scheme, name, port),
            _ => return None,
        };
        (!name.is_empty() && matches!(scheme, "" | "http" | "https")).then_some(Self { scheme, name, port })
    }

    fn trust(&self) -> Trust {
        if self.scheme == "https" { Trust::Anyone } else { Trust::Plain }
    }

    /// The port as a number; by the scheme when there is none.
    fn number(&self, port: &str) -> Result<u16> {
        match port {
            "" if self.scheme == "https" => Ok(443),
            "" => Ok(80),
            port => {
                let bad =
                    |_| Status::service_unavailable(format!("error trying to reach service: invalid port {port:?}"));
                port.parse().map_err(bad)
            }
        }
    }
}

impl Kubelet {
    /// The first address of the most preferred type. An error is plain text.
    pub fn of(node: &Value, preferred: &[String]) -> std::result::Result<Self, String> {
        let addresses: Vec<&Value> = items(&node["status"], "addresses").collect();
        let of_type = |wanted: &String| addresses.iter().find(|address| text(address, "type") == *wanted);
        let Some(found) = preferred.iter().find_map(of_type) else {
            let known = addresses.iter().map(|a| format!("{{{} {}}}", text(a, "type"), text(a, "address")));
            let known = known.collect::<Vec<_>>().join(" ");
            return Err(format!("no preferred addresses found; known addresses: [{known}]"));
        };
        let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_i64().unwrap_or(0);
        let port = u16::try_from(port).ok().filter(|port| *port > 0).unwrap_or(KUBELET_PORT);
        let mut features = node["status"]["declaredFeatures"].as_array().into_iter().flatten();
        Ok(Self {
            place: Place { trust: Trust::Kubelet, host: text(found, "address").to_owned(), port },
            speaks_websocket: features.any(|feature| feature.as_str() == Some(WEBSOCKETS)),
        })
    }

    /// Where `nodes/NAME/proxy` goes: another port is not the kubelet's, and is not shown its certificate.
    pub fn proxied(self, named: &Named<'_>) -> Result<Place> {
        if named.port.is_empty() || named.port == self.place.port.to_string() {
            return Ok(self.place);
        }
        Ok(Place { trust: named.trust(), port: named.number(named.port)?, ..self.place })
    }
}

/// Where `pods/NAME/proxy` goes: the port that is asked for, or the first that a container has.
pub fn pod(pod: &Value, named: &Named<'_>) -> Result<Place> {
    let mut ports = items(&pod["spec"], pod::CONTAINERS).filter_map(|container| items(container, "ports").next());
    let first = ports.next().and_then(|port| port["containerPort"].as_i64()).map(|port| port.to_string());
    let port = if named.port.is_empty() { first.unwrap_or_default() } else { named.port.to_owned() };
    let ip: IpAddr = match pod_ip(pod).parse() {
        Ok(ip) if is_global_unicast(ip) || ip.is_loopback() => ip,
        _ => return Err(Status::bad_request("address not allowed")),
    };
    Ok(Place { trust: named.trust(), host: ip.to_string(), port: named.number(&port)? })
}

fn pod_ip(pod: &Value) -> &str {
    items(&pod["status"], "podIPs").next().map_or_else(|| text(&pod["status"], "podIP"), |first| text(first, "ip"))
}

/// The name of the service's port that was asked for by number.
pub fn port_name(service: &Value, named: &Named<'_>) -> Result<String> {
    let Ok(number) = named.port.parse::<i64>() else { return Ok(named.port.to_owned()) };
    let found = items(&service["spec"], "ports").find(|port| port["port"].as_i64() == Some(number));
    let found = found.map(|port| text(port, "name").to_owned());
    found.ok_or_else(|| {
        let name = named.name;
        Status::service_unavailable(format!("no service port {number} found for service \"{name}\""))
    })
}

/// An endpoint of a service, to be believed when the pod says the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub place: Place,
    /// Its namespace is the service's.
    pub pod: String,
}

/// The endpoints of a service that have this port and are pods of its namespace. Beginning where chance has it: `seed`.
pub fn endpoints(object: &Value, namespace: &str, named: &Named<'_>, port: &str, seed: usize) -> Result<Vec<Endpoint>> {
    if items(object, "subsets").next().is_none() {
        return Err(none_of(named.name));
    }
    let mut found = Vec::new();
    for subset in items(object, "subsets") {
        let Some(number) = items(subset, "ports").find(|known| text(known, "name") == port) else { continue };
        let Some(number) = number["port"].as_i64().and_then(|number| u16::try_from(number).ok()) else { continue };
        for address in items(subset, "addresses") {
            let target = &address["targetRef"];
            if target.is_object() && text(target, "namespace") == namespace {
                let place = Place { trust: named.trust(), host: text(address, "ip").to_owned(), port: number };
                found.push(Endpoint { place, pod: text(target, "name").to_owned() });
            }
        }
    }
    let turn = if found.is_empty() { 0 } else { seed % found.len() };
    found.rotate_left(turn);
    Ok(found)
}

/// 503 for a service without a backend.
pub fn none_of(service: &str) -> Status {
    Status::service_unavailable(format!("no endpoints available for service \"{service}\""))
}

impl Endpoint {
    /// Whether the pod has this address.
    pub fn is_of(&self, pod: &Value) -> bool {
        items(&pod["status"], "podIPs").any(|ip| text(ip, "ip") == self.place.host)
    }
}

/// The container that is asked for, or the only one.
pub fn container(pod: &Value, asked: &str) -> Result<String> {
    let (name, spec) = (text(&pod["metadata"], "name"), &pod["spec"]);
    if !asked.is_empty() {
        return match pod::containers(spec).any(|(_, container)| text(container, "name") == asked) {
            true => Ok(asked.to_owned()),
            false => Err(Status::bad_request(format!("container {asked} is not valid for pod {name}"))),
        };
    }
    let names: Vec<&str> = items(spec, pod::CONTAINERS).map(|container| text(container, "name")).collect();
    match names[..] {
        [only] => Ok(only.to_owned()),
        [] => Err(Status::bad_request(format!("a container name must be specified for pod {name}"))),
        _ => {
            let all: Vec<&str> = pod::containers(spec).map(|(_, container)| text(container, "name")).collect();
            let all = all.join(" ");
            Err(Status::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{all}]"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn named(id: &str) -> Named<'_> {
        Named::parse(id).expect("a name")
    }

    #[test]
    fn names_have_schemes_and_ports() {
        assert_eq!(named("web"), Named { scheme: "", name: "web", port: "" });
        assert_eq!(named("https:web:main"), Named { scheme: "https", name: "web", port: "main" });
        assert_eq!(named("web:80").port, "80");
        assert_eq!(["", ":80", "ftp:web:21", "a:b:c:d"].map(Named::parse), [None; 4]);
    }

    #[test]
    fn a_kubelet_is_at_the_preferred_address() {
        let preferred: Vec<String> = ["Hostname", "InternalIP"].map(Into::into).into();
        let mut node = json!({"status": {
            "addresses": [{"type": "InternalIP", "address": "10.0.0.7"}, {"type": "ExternalIP", "address": "192.0.2.7"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10251}},
            "declaredFeatures": ["ExtendWebSocketsToKubelet"]}});
        let kubelet = Kubelet::of(&node, &preferred).expect("has one");
        assert_eq!((kubelet.place.to_string().as_str(), kubelet.speaks_websocket), ("10.0.0.7:10251", true));
        let proxied = |id: &str| kubelet.clone().proxied(&named(id)).map(|place| (place.to_string(), place.trust));
        assert_eq!(proxied("n:10251"), Ok(("10.0.0.7:10251".into(), Trust::Kubelet)));
        assert_eq!(proxied("n"), Ok(("10.0.0.7:10251".into(), Trust::Kubelet)));
        assert_eq!(proxied("n:22"), Ok(("10.0.0.7:22".into(), Trust::Plain)));
        assert_eq!(proxied("https:n:443"), Ok(("10.0.0.7:443".into(), Trust::Anyone)));
        assert!(proxied("n:ssh").is_err());
        node["status"]["daemonEndpoints"] = json!({});
        assert_eq!(Kubelet::of(&node, &preferred).expect("has one").place.port, 10250);
        let known = "no preferred addresses found; known addresses: [{InternalIP 10.0.0.7} {ExternalIP 192.0.2.7}]";
        assert_eq!(Kubelet::of(&node, &preferred[..1]), Err(known.into()));
    }

    #[test]
    fn a_pod_is_at_its_first_port() {
        let mut web = json!({
            "spec": {"containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": 8080}]}]},
            "status": {"podIP": "10.1.0.9"}});
        let at = |web: &Value, id: &str| pod(web, &named(id)).map(|place| place.to_string()).map_err(|s| s.message);
        assert_eq!(at(&web, "web"), Ok("10.1.0.9:8080".into()));
        assert_eq!(at(&web, "web:81"), Ok("10.1.0.9:81".into()));
        web["spec"]["containers"] = json!([{"name": "a"}]);
        assert_eq!(at(&web, "https:web:"), Ok("10.1.0.9:443".into()));
        assert_eq!(at(&web, "web"), Ok("10.1.0.9:80".into()));
        for ip in ["", "169.254.169.254", "0.0.0.0", "x"] {
            web["status"]["podIP"] = json!(ip);
            assert_eq!(at(&web, "web"), Err("address not allowed".into()), "{ip}");
        }
    }

    #[test]
    fn a_service_is_at_an_endpoint_that_is_a_pod() {
        let service = json!({"spec": {"ports": [{"name": "main", "port": 80}]}});
        assert_eq!(port_name(&service, &named("web:80")).as_deref(), Ok("main"));
        assert_eq!(port_name(&service, &named("web:other")).as_deref(), Ok("other"));
        let missing = port_name(&service, &named("web:81")).expect_err("no such port");
        assert_eq!((missing.code, missing.message.as_str()), (503, "no service port 81 found for service \"web\""));

        let address = |ip: &str, namespace: &str| json!({"ip": ip, "targetRef": {"namespace": namespace, "name": ip}});
        let object = json!({"subsets": [
            {"addresses": [address("10.1.0.1", "a"), address("10.1.0.2", "a"), address("10.1.0.3", "other"),
                {"ip": "169.254.169.254"}], "ports": [{"name": "main", "port": 8080}]},
            {"addresses": [address("10.1.0.4", "a")], "ports": [{"name": "other", "port": 1}]}]});
        let hosts = |seed| {
            let found = endpoints(&object, "a", &named("web"), "main", seed).expect("some");
            found.iter().map(|endpoint| endpoint.place.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(hosts(0), ["10.1.0.1:8080", "10.1.0.2:8080"]);
        assert_eq!(hosts(3), ["10.1.0.2:8080", "10.1.0.1:8080"]);
        let none = endpoints(&json!({}), "a", &named("web"), "main", 0).expect_err("none");
        assert_eq!(none.message, "no endpoints available for service \"web\"");
        let first = endpoints(&object, "a", &named("web"), "main", 0).expect("some").remove(0);
        assert!(first.is_of(&json!({"status": {"podIPs": [{"ip": "10.1.0.1"}]}})));
        assert!(!first.is_of(&json!({"status": {"podIPs": [{"ip": "10.1.0.2"}]}})), "somebody else's address");
    }

    #[test]
    fn a_container_is_named_unless_it_is_the_only_one() {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {
            "initContainers": [{"name": "i"}], "containers": [{"name": "a"}], "ephemeralContainers": [{"name": "e"}]}});
        let of = |pod: &Value, asked: &str| container(pod, asked).map_err(|status| status.message);
        assert_eq!(of(&pod, ""), Ok("a".into()));
        assert_eq!([of(&pod, "i"), of(&pod, "e")], [Ok("i".into()), Ok("e".into())]);
        assert_eq!(of(&pod, "x"), Err("container x is not valid for pod p".into()));
        pod["spec"]["containers"] = json!([{"name": "a"}, {"name": "b"}]);
        assert_eq!(of(&pod, ""), Err("a container name must be specified for pod p, choose one of: [i a b e]".into()));
    }
}
