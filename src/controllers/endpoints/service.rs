//! What endpoints depend on in a Service.

use std::net::IpAddr;

use crate::controllers::item::Item;
use crate::model::object;
use crate::model::value::{Map, Value};

/// A label of what belongs to a headless service.
pub const HEADLESS: &str = "service.kubernetes.io/headless";

/// A Service with a selector.
pub struct Service<'a> {
    pub item: &'a Item,
    /// Sorted.
    pub selector: Vec<(String, String)>,
    pub ports: &'a [Value],
    /// Whether pods that are not ready are to be found too.
    pub unready_too: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// As an EndpointSlice's `addressType` and a Service's `ipFamilies` say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// An address in its usual form, if it is of this family.
    pub fn address(self, text: &str) -> Option<String> {
        let address = text.parse::<IpAddr>().ok()?.to_canonical();
        (address.is_ipv4() == (self == Self::V4)).then(|| address.to_string())
    }

    fn of(address: &str) -> Self {
        if address.contains(':') { Self::V6 } else { Self::V4 }
    }
}

impl<'a> Service<'a> {
    /// `None`: its endpoints are somebody else's.
    pub fn new(item: &'a Item) -> Option<Self> {
        let spec = item.spec();
        let selector = spec["selector"].as_object().filter(|selector| !selector.is_empty())?;
        if spec["type"] == "ExternalName" {
            return None;
        }
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        Some(Self {
            item,
            selector: selector.iter().map(|(key, value)| (key.to_string(), text(value))).collect(),
            ports: spec["ports"].as_array().map_or(&[], Vec::as_slice),
            unready_too: spec["publishNotReadyAddresses"] == true,
        })
    }

    fn cluster_ip(&self) -> &str {
        self.item.spec()["clusterIP"].as_str().unwrap_or("")
    }

    /// It has no address of its own.
    pub fn is_headless(&self) -> bool {
        matches!(self.cluster_ip(), "" | "None")
    }

    /// Headless services may have no ports.
    pub fn needs_no_ports(&self) -> bool {
        self.ports.is_empty() && self.cluster_ip() == "None"
    }

    /// The families of its endpoints, its first one first. Services of old servers that say nothing are taken to have
    /// that of their address; headless ones both.
    pub fn families(&self) -> Vec<Family> {
        let named = self.item.spec()["ipFamilies"].as_array().into_iter().flatten();
        let families: Vec<Family> =
            named.map(|name| if name == Family::V6.name() { Family::V6 } else { Family::V4 }).collect();
        match self.is_headless() {
            _ if !families.is_empty() => families,
            true => vec![Family::V4, Family::V6],
            false => vec![Family::of(self.cluster_ip())],
        }
    }

    /// Its labels, without `reserved`; with the one that says headless when it is.
    pub fn labels(&self, reserved: &[&str]) -> Map {
        let all = self.item.value["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        let mut labels: Map =
            all.into_iter().filter(|(key, _)| !reserved.contains(&key.as_str()) && key != HEADLESS).collect();
        if self.is_headless() {
            labels.insert(HEADLESS.into(), "".into());
        }
        labels
    }

    /// Where its traffic should rather stay: (in the zone, on the node).
    pub fn stays(&self) -> (bool, bool) {
        match self.item.spec()["trafficDistribution"].as_str() {
            Some("PreferClose" | "PreferSameZone") => (true, false),
            Some("PreferSameNode") => (true, true),
            _ => (false, false),
        }
    }

    /// What it is called in `namespace/name` of messages.
    pub fn shown(&self) -> String {
        format!("{}/{}", object::namespace(&self.item.value), object::name(&self.item.value))
    }
}
