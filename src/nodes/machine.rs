//! What a simulated node is, and what it says of itself.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::entropy::Entropy;
use crate::model::quantity::Quantity;
use crate::model::value::{Map, Value, json};

/// The version that nodes claim.
pub const VERSION: &str = "v1.36.3";
/// Nodes' addresses begin after it: a range that no real network has (RFC 2544), for 131,071 nodes.
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);
pub const MOST: u32 = (1 << 17) - 1;
const HEX: &[u8] = b"0123456789abcdef";

/// Resources and how much there is of each, as the API writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity(Map);

impl Default for Capacity {
    fn default() -> Self {
        let amounts = [("cpu", "8"), ("ephemeral-storage", "100Gi"), ("memory", "32Gi"), ("pods", "110")];
        Self(amounts.into_iter().collect())
    }
}

impl Capacity {
    /// `cpu=4,memory=8Gi`; what is not named stays at its default.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut capacity = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, amount) =
                part.split_once('=').ok_or_else(|| format!("{part:?}: not of the form NAME=AMOUNT"))?;
            let quantity = Quantity::parse(amount).map_err(|why| format!("{name}: {why}"))?;
            if quantity.sign() < 0 {
                return Err(format!("{name}: must not be negative"));
            }
            capacity.0.insert(name.into(), amount.into());
        }
        Ok(capacity)
    }
}

/// One node.
#[derive(Clone, Debug)]
pub struct Machine {
    pub name: String,
    pub address: IpAddr,
    capacity: Capacity,
    machine_id: String,
    system_uuid: String,
    boot_id: String,
}

/// Whether pods can run, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Ready,
    /// No range for pods has been given to this node.
    NoNetwork,
}

/// (type, reason, message) of conditions that are never true here.
const SUFFICIENT: [(&str, &str, &str); 3] = [
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
];
const NO_NETWORK: &str = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
                          message:Network plugin returns error: no PodCIDR set";

impl Machine {
    /// The node with this number, less than [`MOST`].
    pub fn new(prefix: &str, number: u32, capacity: &Capacity, entropy: &Entropy) -> Self {
        assert!(number < MOST, "node {number}: there are {MOST} addresses");
        Self {
            name: format!("{prefix}{number}"),
            address: Ipv4Addr::from(FIRST + 1 + number).into(),
            capacity: capacity.clone(),
            machine_id: entropy.letters(HEX, 32),
            system_uuid: entropy.uid(),
            boot_id: entropy.uid(),
        }
    }

    /// The Node as it registers itself.
    pub fn object(&self, now: &str) -> Value {
        let (os, arch) = ("linux", arch());
        json!({
            "metadata": {
                "name": self.name,
                "labels": {
                    "beta.kubernetes.io/arch": arch, "beta.kubernetes.io/os": os, "kubernetes.io/arch": arch,
                    "kubernetes.io/hostname": self.name, "kubernetes.io/os": os
                },
                "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
            },
            "status": self.status(Health::NoNetwork, now, now)
        })
    }

    /// The status, as of `now`; its health has been so since `since`.
    pub fn status(&self, health: Health, since: &str, now: &str) -> Value {
        json!({
            "capacity": self.capacity.0,
            "allocatable": self.capacity.0,
            "addresses": [
                {"type": "InternalIP", "address": self.address.to_string()},
                {"type": "Hostname", "address": self.name}
            ],
            "conditions": conditions(health, since, now),
            "nodeInfo": {
                "machineID": self.machine_id, "systemUUID": self.system_uuid, "bootID": self.boot_id,
                "kernelVersion": "6.1.0-simulated", "osImage": "simulated by monokube",
                "containerRuntimeVersion": concat!("simulated://", env!("CARGO_PKG_VERSION")),
                "kubeletVersion": VERSION, "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": arch()
            }
        })
    }
}

fn conditions(health: Health, since: &str, now: &str) -> Vec<Value> {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": since})
    };
    let mut all: Vec<_> =
        SUFFICIENT.iter().map(|(kind, reason, message)| condition(kind, "False", reason, message)).collect();
    all.push(match health {
        Health::Ready => condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        Health::NoNetwork => condition("Ready", "False", "KubeletNotReady", NO_NETWORK),
    });
    all
}

fn arch() -> &'static str {
    if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_what_is_said_and_else_the_default() {
        let capacity = Capacity::parse("cpu=64,example.com/gpu=2").expect("a capacity");
        for (name, amount) in [("cpu", "64"), ("example.com/gpu", "2"), ("pods", "110")] {
            assert_eq!(capacity.0[name], amount);
        }
        assert_eq!(Capacity::parse(""), Ok(Capacity::default()));
        assert_eq!(Capacity::parse("cpu"), Err("\"cpu\": not of the form NAME=AMOUNT".to_owned()));
        assert!(Capacity::parse("cpu=-1").is_err() && Capacity::parse("cpu=many").is_err());
    }

    #[test]
    fn numbers_become_names_and_addresses() {
        let machine = |number| Machine::new("node-", number, &Capacity::default(), &Entropy::seeded(1));
        assert_eq!((machine(0).name.as_str(), machine(0).address.to_string()), ("node-0", "198.18.0.1".to_owned()));
        assert_eq!(machine(MOST - 1).address.to_string(), "198.19.255.255");
        let object = machine(7).object("2026-01-01T00:00:00Z");
        assert_eq!(object["metadata"]["labels"]["kubernetes.io/hostname"], "node-7");
        assert_eq!(object["status"]["conditions"][3]["status"], "False");
    }
}
