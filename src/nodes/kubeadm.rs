//! What `kubeadm join` reads of a cluster: where it is, how its kubelets are configured, and who may know that.
//! `kubeadm init` makes the same objects.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use super::invite::{JOINING, NODES, RBAC};
use super::machine::VERSION;
use crate::model::gotext;
use crate::model::value::{Value, json};
use crate::pki::error::PkiError;
use crate::pki::key::PublicKey;
use crate::registry::client::Target;
use crate::remote::access::Access;
use crate::remote::api::Api;
use crate::remote::error::{RemoteError, Result};

const SYSTEM: &str = "kube-system";
const PUBLIC: &str = "kube-public";
const DOMAIN: &str = "cluster.local";
/// Which address of the services' range the cluster's DNS has.
const DNS: u128 = 10;
const CONFIGURATION: &str = "kubeadm-config";
const KUBELET: &str = "kubelet-config";
const INFO: &str = "cluster-info";

/// A cluster as those see it who are not in it yet.
pub struct Cluster {
    /// `https://host:port`, where other machines reach it.
    server: String,
    /// Who certifies the server, PEM.
    authority: String,
    /// Where services get their addresses; of a cluster of two families, the first one.
    services: IpNet,
}

impl Cluster {
    /// Asks the server that `access` leads to. Its own name there may be one of this machine alone: the endpoints of the
    /// Service `kubernetes` tell where it is for others, if it has any.
    pub async fn of(api: &Api, access: &Access) -> Result<Self> {
        let malformed = |why: String| RemoteError::Malformed { server: access.server.to_string(), why };
        let range = api.get(Target::new("networking.k8s.io", "servicecidrs", "", "kubernetes")).await?;
        let range = range["spec"]["cidrs"][0].as_str().unwrap_or("");
        let services = range.parse().map_err(|why| malformed(format!("service range {range}: {why}")))?;
        let server = match api.get(Target::new("", "endpoints", "default", "kubernetes")).await {
            Ok(endpoints) => advertised(&endpoints).unwrap_or_else(|| access.server.to_string()),
            Err(error) if error.is_not_found() => access.server.to_string(),
            Err(error) => return Err(error),
        };
        Ok(Self { server, authority: access.authority().to_owned(), services })
    }

    /// Makes what is missing of what `kubeadm join` reads. What is there is left as it is.
    pub async fn publish(&self, api: &Api) -> Result<()> {
        for (target, object) in self.objects() {
            match api.create(target, &object).await {
                Err(error) if !error.is_already_exists() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The command by which a machine joins.
    pub fn join_command(&self, token: &str) -> std::result::Result<String, PkiError> {
        let mut command = format!("kubeadm join {} --token {token}", self.endpoint());
        for key in PublicKey::all_from_pem(self.authority.as_bytes())? {
            command.push_str(" --discovery-token-ca-cert-hash sha256:");
            command.push_str(&gotext::hex(digest(&SHA256, key.spki()).as_ref()));
        }
        Ok(command)
    }

    /// `host:port`.
    fn endpoint(&self) -> &str {
        self.server.strip_prefix("https://").unwrap_or(&self.server)
    }

    fn objects(&self) -> Vec<(Target<'static>, Value)> {
        let map = |namespace, name, key: &str, content: Value| {
            let object = json!({"metadata": {"name": name}, "data": {key: content.to_string()}});
            (Target::new("", "configmaps", namespace, name), object)
        };
        let mut objects = vec![
            map(PUBLIC, INFO, "kubeconfig", self.info()),
            map(SYSTEM, CONFIGURATION, "ClusterConfiguration", self.configuration()),
            map(SYSTEM, KUBELET, "kubelet", self.kubelet()),
        ];
        let joining = [group(JOINING), group(NODES)];
        let anyone = json!({"apiGroup": RBAC, "kind": "User", "name": "system:anonymous"});
        objects.extend(readable(PUBLIC, "kubeadm:bootstrap-signer-clusterinfo", INFO, &[anyone]));
        objects.extend(readable(SYSTEM, "kubeadm:nodes-kubeadm-config", CONFIGURATION, &joining));
        objects.extend(readable(SYSTEM, "kubeadm:kubelet-config", KUBELET, &joining));
        objects.extend(nodes_readable());
        objects
    }

    /// A kubeconfig without a user. The bootstrap signer signs it with each token.
    fn info(&self) -> Value {
        let cluster =
            json!({"certificate-authority-data": STANDARD.encode(&self.authority), "server": self.server.as_str()});
        json!({"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "", "cluster": cluster}]})
    }

    fn configuration(&self) -> Value {
        json!({
            "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "clusterName": "kubernetes",
            "kubernetesVersion": VERSION, "controlPlaneEndpoint": self.endpoint(), "certificatesDir": "/etc/kubernetes/pki",
            "networking": {"dnsDomain": DOMAIN, "serviceSubnet": self.services.to_string()},
        })
    }

    fn kubelet(&self) -> Value {
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": true},
                "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"}},
            "authorization": {"mode": "Webhook"}, "cgroupDriver": "systemd",
            "clusterDNS": [self.dns().to_string()], "clusterDomain": DOMAIN,
            "healthzBindAddress": "127.0.0.1", "healthzPort": 10248,
            "rotateCertificates": true, "staticPodPath": "/etc/kubernetes/manifests",
        })
    }

    fn dns(&self) -> std::net::IpAddr {
        match self.services.network() {
            std::net::IpAddr::V4(first) => std::net::Ipv4Addr::from_bits(first.to_bits() + DNS as u32).into(),
            std::net::IpAddr::V6(first) => std::net::Ipv6Addr::from_bits(first.to_bits() + DNS).into(),
        }
    }
}

/// `https://host:port` of the first endpoint.
fn advertised(endpoints: &Value) -> Option<String> {
    let subset = &endpoints["subsets"][0];
    let address: std::net::IpAddr = subset["addresses"][0]["ip"].as_str()?.parse().ok()?;
    let port = u16::try_from(subset["ports"][0]["port"].as_i64()?).ok()?;
    Some(format!("https://{}", std::net::SocketAddr::new(address, port)))
}

fn group(name: &str) -> Value {
    json!({"apiGroup": RBAC, "kind": "Group", "name": name})
}

/// The role that lets `subjects` read one ConfigMap, and its binding.
fn readable(
    namespace: &'static str,
    name: &'static str,
    config_map: &str,
    subjects: &[Value],
) -> [(Target<'static>, Value); 2] {
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [config_map],
        "verbs": ["get"]}]);
    let role = json!({"metadata": {"name": name}, "rules": rules});
    let reference = json!({"apiGroup": RBAC, "kind": "Role", "name": name});
    let binding = json!({"metadata": {"name": name}, "roleRef": reference, "subjects": subjects});
    [(Target::new(RBAC, "roles", namespace, name), role), (Target::new(RBAC, "rolebindings", namespace, name), binding)]
}

/// Who joins looks whether another node has its name.
fn nodes_readable() -> [(Target<'static>, Value); 2] {
    const NAME: &str = "kubeadm:get-nodes";
    let rules = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]);
    let role = json!({"metadata": {"name": NAME}, "rules": rules});
    let reference = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": NAME});
    let binding = json!({"metadata": {"name": NAME}, "roleRef": reference, "subjects": [group(JOINING)]});
    [(Target::new(RBAC, "clusterroles", "", NAME), role), (Target::new(RBAC, "clusterrolebindings", "", NAME), binding)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::model::names::GroupResource;
    use crate::pki::authority::Authority;

    fn cluster() -> Cluster {
        let (clock, entropy) = (Clock::machine(), Entropy::machine());
        let authority = Authority::create("kubernetes", None, &clock, &entropy).expect("an authority");
        Cluster {
            server: "https://192.0.2.1:6443".into(),
            authority: authority.to_pem().expect("PEM"),
            services: "10.96.0.0/16".parse().expect("a range"),
        }
    }

    #[test]
    fn the_command_names_the_key_of_the_authority() {
        let cluster = cluster();
        let command = cluster.join_command("abcdef.0123456789abcdef").expect("a command");
        let (start, hash) = command.rsplit_once(':').expect("a hash");
        let wanted =
            "kubeadm join 192.0.2.1:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256";
        assert_eq!((start, hash.len()), (wanted, 64));
        assert_eq!(cluster.join_command("abcdef.0123456789abcdef").expect("the same"), command);
    }

    #[test]
    fn the_tenth_address_is_that_of_dns() {
        let mut cluster = cluster();
        assert_eq!(cluster.kubelet()["clusterDNS"], json!(["10.96.0.10"]));
        cluster.services = "fd00:10:96::/112".parse().expect("a range");
        assert_eq!(cluster.kubelet()["clusterDNS"], json!(["fd00:10:96::a"]));
    }

    #[test]
    fn others_are_told_the_advertised_address() {
        let of = |address: &str| {
            advertised(&json!({"subsets": [{"addresses": [{"ip": address}], "ports": [{"port": 6443}]}]}))
        };
        assert_eq!(of("10.0.0.1").as_deref(), Some("https://10.0.0.1:6443"));
        assert_eq!(of("fd00::1").as_deref(), Some("https://[fd00::1]:6443"));
        assert_eq!(advertised(&json!({})), None);
    }

    #[test]
    fn each_object_is_of_a_kind_that_is_served() {
        let catalog = crate::schema::catalog::Catalog::builtin();
        for (target, object) in cluster().objects() {
            let is_it =
                |name: &GroupResource| (name.group.as_str(), name.resource.as_str()) == (target.group, target.resource);
            assert!(catalog.resources().iter().any(|resource| is_it(&resource.name)), "{object}");
            assert_eq!(object["metadata"]["name"], target.name);
        }
    }
}
