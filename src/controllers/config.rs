//! What the controllers can be told: the flags of kube-controller-manager that matter to them.

use std::time::Duration;

use ipnet::IpNet;

use super::autoscaler::Settings;
use super::table::{CONTROLLERS, Row};
use crate::auth::token::issue::Issuer;
use crate::pki::authority::Authority;

/// Settings of all controllers. The default is stock's.
#[derive(Clone, Debug)]
pub struct Config {
    /// `--controllers`: `*`, names and aliases, with `-` before those to leave out.
    pub enabled: Vec<String>,
    /// `--terminated-pod-gc-threshold`: pods that are done and kept; beyond, the oldest are deleted. 0 keeps all.
    pub terminated_pods: usize,
    /// (name, runs at a time): `--concurrent-deployment-syncs` and its like, where they differ from the table.
    pub workers: Vec<(String, usize)>,
    /// `--root-ca-file`, in PEM: what clients in pods trust this API by. Empty: nobody is told.
    pub root_ca: String,
    /// `--service-account-private-key-file`: signs the tokens that lie in secrets. `None`: there are none.
    pub tokens: Option<Issuer>,
    /// `--cluster-signing-cert-file` and its key: answers certificate signing requests. `None`: nobody does.
    pub signer: Option<Authority>,
    /// `--cluster-signing-duration`: how long such a certificate lives at most.
    pub signing_duration: Duration,
    /// How pods are scaled by what is measured.
    pub autoscaler: Settings,
    /// `--legacy-service-account-token-clean-up-period`: how long a token is unused before it is marked, and then deleted.
    pub token_clean_up: Duration,
    /// `--resource-quota-sync-period`: how long it takes at most until a namespace's objects are counted anew.
    pub quota_resync: Duration,
    /// `--node-monitor-grace-period`: how long a node may be silent before nothing is known of it.
    pub node_monitor_grace: Duration,
    /// `--node-startup-grace-period`: the same for a node that never reported.
    pub node_startup_grace: Duration,
    /// `--node-eviction-rate`: nodes a second that are given up in a healthy zone.
    pub node_eviction_rate: f64,
    /// `--secondary-node-eviction-rate`: the same in an unhealthy zone; none in one that is not large.
    pub secondary_node_eviction_rate: f64,
    /// `--large-cluster-size-threshold`: zones with more nodes are large.
    pub large_cluster_size: usize,
    /// `--unhealthy-zone-threshold`: the part of nodes (0 to 1) that are not ready in an unhealthy zone.
    pub unhealthy_zone_threshold: f64,
    /// `--cluster-cidr`: where nodes get ranges for their pods, one of each of these. Empty: they get none.
    pub cluster_cidrs: Vec<IpNet>,
    /// `--service-cluster-ip-range`: no pods' ranges.
    pub service_cidrs: Vec<IpNet>,
    /// `--node-cidr-mask-size-ipv4`: bits of the prefix of a node's range.
    pub node_mask_ipv4: u8,
    /// `--node-cidr-mask-size-ipv6`
    pub node_mask_ipv6: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: vec!["*".into()],
            terminated_pods: 12_500,
            workers: Vec::new(),
            root_ca: String::new(),
            tokens: None,
            signer: None,
            signing_duration: Duration::from_secs(365 * 24 * 3600),
            autoscaler: Settings::default(),
            token_clean_up: Duration::from_secs(8760 * 3600),
            quota_resync: Duration::from_secs(5 * 60),
            node_monitor_grace: Duration::from_secs(50),
            node_startup_grace: Duration::from_secs(60),
            node_eviction_rate: 0.1,
            secondary_node_eviction_rate: 0.01,
            large_cluster_size: 50,
            unhealthy_zone_threshold: 0.55,
            cluster_cidrs: Vec::new(),
            service_cidrs: Vec::new(),
            node_mask_ipv4: 24,
            node_mask_ipv6: 64,
        }
    }
}

impl Config {
    /// The rows that `--controllers` names; the error is stock's text.
    pub fn chosen(&self) -> Result<Vec<&'static Row>, String> {
        for name in &self.enabled {
            let bare = name.strip_prefix('-').unwrap_or(name);
            if name != "*" && !CONTROLLERS.iter().any(|row| row.is(bare)) {
                return Err(format!("\"{bare}\" is not in the list of known controllers"));
            }
        }
        Ok(CONTROLLERS.iter().filter(|row| self.wants(row)).collect())
    }

    /// The first mention of a name counts, then the star.
    fn wants(&self, row: &Row) -> bool {
        for name in &self.enabled {
            match name.strip_prefix('-') {
                Some(bare) if row.is(bare) => return false,
                None if row.is(name) => return true,
                _ => {}
            }
        }
        row.by_default && self.enabled.iter().any(|name| name == "*")
    }

    /// How many keys of this controller are worked on at a time.
    pub fn workers(&self, row: &Row) -> usize {
        let told = self.workers.iter().find(|(name, _)| row.is(name)).map(|(_, workers)| *workers);
        told.unwrap_or(row.workers).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(enabled: &[&str]) -> Result<Vec<&'static str>, String> {
        let config = Config { enabled: enabled.iter().map(|n| (*n).to_owned()).collect(), ..Config::default() };
        config.chosen().map(|rows| rows.iter().map(|row| row.name).collect())
    }

    #[test]
    fn controllers_are_chosen_by_either_name() {
        assert_eq!(names(&["deployment"]).expect("known"), ["deployment-controller"]);
        assert_eq!(names(&["deployment-controller"]).expect("known"), ["deployment-controller"]);
        let all = names(&["*"]).expect("known");
        let less = names(&["*", "-replicaset"]).expect("known");
        assert!(all.contains(&"replicaset-controller") && !less.contains(&"replicaset-controller"));
        assert_eq!(less.len() + 1, all.len());
        assert_eq!(names(&[]).expect("known"), [""; 0]);
        assert_eq!(names(&["-nonsense"]).unwrap_err(), "\"nonsense\" is not in the list of known controllers");
    }
}
