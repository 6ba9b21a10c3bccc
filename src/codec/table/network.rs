//! Cells of services, endpoints, ingresses and what else is of the network.

use super::row::Row;
use super::selector;
use crate::codec::protobuf::view::View;

/// Endpoints, addresses, ports and hosts shown at most.
const SHOWN: usize = 3;

pub fn service(row: &mut Row<'_>, object: View<'_>) {
    let spec = object.at("spec");
    row.name(object);
    row.text(spec.text("type"));
    row.text(spec.texts("clusterIPs").next().unwrap_or("<none>"));
    row.text(&external(spec, object.at("status")));
    let port = |port: View<'_>| {
        let (number, protocol) = (port.number("port"), port.text("protocol"));
        match port.number("nodePort") {
            node @ 1.. => format!("{number}:{node}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    };
    row.text_or(&spec.items("ports").map(port).collect::<Vec<_>>().join(","), "<none>");
    row.created(object);
    row.text(&selector::labels(&spec.labels("selector")));
}

fn external(spec: View<'_>, status: View<'_>) -> String {
    let own: Vec<&str> = spec.texts("externalIPs").collect();
    match spec.text("type") {
        "ClusterIP" | "NodePort" if own.is_empty() => "<none>".into(),
        "ClusterIP" | "NodePort" => own.join(","),
        "LoadBalancer" => {
            let mut all = load_balancer(status);
            all.extend(own);
            if all.is_empty() { "<pending>".into() } else { all.join(",") }
        }
        "ExternalName" => spec.text("externalName").into(),
        _ => "<unknown>".into(),
    }
}

/// Addresses and host names that a load balancer gave, sorted.
fn load_balancer(status: View<'_>) -> Vec<&str> {
    let mut all: Vec<&str> = status
        .at("loadBalancer")
        .items("ingress")
        .map(|i| if i.text("ip").is_empty() { i.text("hostname") } else { i.text("ip") })
        .filter(|address| !address.is_empty())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub fn ingress(row: &mut Row<'_>, object: View<'_>) {
    let spec = object.at("spec");
    row.name(object);
    row.text(spec.maybe_text("ingressClassName").unwrap_or("<none>"));
    row.text(&hosts(spec));
    row.text(&load_balancer(object.at("status")).join(","));
    row.text(if spec.count("tls") > 0 { "80, 443" } else { "80" });
    row.created(object);
}

/// Rules beyond the third host count as more, whether or not they name one.
fn hosts(spec: View<'_>) -> String {
    let (mut hosts, mut more) = (Vec::new(), false);
    for rule in spec.items("rules") {
        more |= hosts.len() == SHOWN;
        if !more && !rule.text("host").is_empty() {
            hosts.push(rule.text("host"));
        }
    }
    match (hosts.is_empty(), more) {
        (true, _) => "*".into(),
        (_, false) => hosts.join(","),
        (_, true) => format!("{} + {} more...", hosts.join(","), spec.count("rules") - SHOWN),
    }
}

pub fn ingress_class(row: &mut Row<'_>, object: View<'_>) {
    let spec = object.at("spec");
    super::plain::name_with_default(row, object, &["ingressclass.kubernetes.io/is-default-class"]);
    row.text(spec.text("controller"));
    match spec.get("parameters") {
        None => row.text("<none>"),
        Some(to) => {
            let group = to.maybe_text("apiGroup").map(|group| format!(".{group}")).unwrap_or_default();
            row.print(format_args!("{}{group}/{}", to.text("kind"), to.text("name")));
        }
    }
    row.created(object);
}

pub fn network_policy(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.text(&selector::shown(Some(object.at("spec").at("podSelector"))));
    row.created(object);
}

pub fn service_cidr(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.text(&object.at("spec").texts("cidrs").collect::<Vec<_>>().join(","));
    row.created(object);
}

pub fn ip_address(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    match object.at("spec").get("parentRef") {
        None => row.text("<none>"),
        Some(parent) => {
            let mut text = parent.text("resource").to_lowercase();
            if !parent.text("group").is_empty() {
                text = format!("{text}.{}", parent.text("group").to_lowercase());
            }
            if !parent.text("namespace").is_empty() {
                text = format!("{text}/{}", parent.text("namespace"));
            }
            row.print(format_args!("{text}/{}", parent.text("name")));
        }
    }
    row.created(object);
}

pub fn endpoints(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    let mut list = Shortened::default();
    for subset in object.items("subsets") {
        let addresses: Vec<&str> = subset.items("addresses").map(|a| a.text("ip")).collect();
        if subset.count("ports") == 0 {
            addresses.iter().for_each(|ip| list.push(|| (*ip).to_owned()));
        }
        for port in subset.items("ports") {
            let port = port.number("port");
            addresses.iter().for_each(|ip| {
                list.push(|| if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") });
            });
        }
    }
    if object.count("subsets") == 0 {
        row.text("<none>");
    } else {
        row.text(&list.text());
    }
    row.created(object);
}

pub fn endpoint_slice(row: &mut Row<'_>, object: View<'_>) {
    row.name(object);
    row.text(object.text("addressType"));
    let mut ports = Shortened::default();
    for port in object.items("ports") {
        ports.push(|| match port.maybe_number("port") {
            Some(number) => number.to_string(),
            None => port.maybe_text("name").unwrap_or("*").to_owned(),
        });
    }
    let mut addresses = Shortened::default();
    for endpoint in object.items("endpoints") {
        endpoint.texts("addresses").for_each(|address| addresses.push(|| address.to_owned()));
    }
    for list in [ports, addresses] {
        row.text_or(&list.text(), "<unset>");
    }
    row.created(object);
}

/// The first three of a list, and how many more there are.
#[derive(Default)]
struct Shortened {
    shown: Vec<String>,
    count: usize,
}

impl Shortened {
    fn push(&mut self, item: impl FnOnce() -> String) {
        if self.shown.len() < SHOWN {
            self.shown.push(item());
        }
        self.count += 1;
    }

    fn text(&self) -> String {
        match self.count - self.shown.len() {
            0 => self.shown.join(","),
            more => format!("{} + {more} more...", self.shown.join(",")),
        }
    }
}
