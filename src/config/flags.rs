//! The command line of `monokube server`. Where a flag means what a flag of kube-apiserver, kube-controller-manager or
//! kube-scheduler means, it has that flag's name.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use ipnet::IpNet;

use super::audit::AuditFlags;
use super::identity::IdentityFlags;

/// With those that nodes join by, which are off by default in stock: kubeadm sets the same.
const CONTROLLERS: &str = "*,bootstrapsigner,tokencleaner";

/// Flags of `monokube server`; only `--data-dir` is usually given.
#[derive(Args, Clone, Debug)]
#[command(next_line_help = true)]
pub struct Flags {
    #[command(flatten)]
    pub store: StoreFlags,
    #[command(flatten)]
    pub audit: AuditFlags,
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// The port to listen on; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    pub secure_port: u16,
    /// The address that other machines reach this server at; by default that of the outward interface.
    #[arg(long, value_name = "ADDRESS")]
    pub advertise_address: Option<IpAddr>,
    /// Further names and addresses for the serving certificate.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub tls_san: Vec<String>,
    /// The serving certificate, in place of the one in the pki folder.
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub tls_private_key_file: Option<PathBuf>,
    /// The oldest TLS version to speak: VersionTLS12 or VersionTLS13.
    #[arg(long, value_name = "VERSION", default_value = "VersionTLS12")]
    pub tls_min_version: String,
    #[command(flatten)]
    pub identity: IdentityFlags,
    /// Admission plugins to add to the default ones.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub enable_admission_plugins: Vec<String>,
    /// Default admission plugins to leave out.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub disable_admission_plugins: Vec<String>,
    /// What admission plugins are told beside this: a file of kind AdmissionConfiguration.
    #[arg(long, value_name = "FILE")]
    pub admission_control_config_file: Option<PathBuf>,
    #[command(flatten)]
    pub fairness: super::fairness::FairnessFlags,
    #[command(flatten)]
    pub kubelet: super::kubelet::KubeletFlags,
    /// Where services get their addresses: one range, or one of each family.
    #[arg(long, value_name = "CIDRS", default_value = "10.96.0.0/16")]
    pub service_cluster_ip_range: String,
    /// Where services get their node ports.
    #[arg(long, value_name = "FIRST-LAST", default_value = "30000-32767")]
    pub service_node_port_range: String,
    /// Where nodes get the ranges of their pods: one range, or one of each family.
    #[arg(long, value_name = "CIDRS", value_delimiter = ',', default_value = "10.244.0.0/16")]
    pub cluster_cidr: Vec<IpNet>,
    /// Whether nodes get ranges for their pods.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub allocate_node_cidrs: bool,
    /// How long a range each node gets (IPv4).
    #[arg(long, value_name = "BITS", default_value_t = 24)]
    pub node_cidr_mask_size: u8,
    /// Whether pods may ask for privileged containers.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub allow_privileged: bool,
    /// How long an Event lives.
    #[arg(long, value_name = "DURATION", default_value = "1h0m0s")]
    pub event_ttl: String,
    /// Controllers to run: names, `*` for those on by default, `-name` for all but that one.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = CONTROLLERS, allow_hyphen_values = true)]
    pub controllers: Vec<String>,
    /// Whether to run the scheduler.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub scheduler: bool,
    /// How long a node may be silent before it counts as unreachable.
    #[arg(long, value_name = "DURATION", default_value = "50s")]
    pub node_monitor_grace_period: String,
    /// How long certificates live at most that signing requests are answered with.
    #[arg(long, value_name = "DURATION", default_value = "8760h0m0s")]
    pub cluster_signing_duration: String,
    /// How chatty the log is.
    #[arg(short = 'v', long, value_name = "LEVEL", default_value_t = 0)]
    pub v: u8,
}

/// Where the state is: flags of every command that opens the store.
#[derive(Args, Clone, Debug)]
pub struct StoreFlags {
    /// Where the database, the pki folder and admin.kubeconfig are.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// Keep the state in this etcd instead of the data directory.
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    pub etcd_servers: Vec<String>,
    #[arg(long, value_name = "FILE")]
    pub etcd_cafile: Option<PathBuf>,
    #[arg(long, value_name = "FILE", requires = "etcd_keyfile")]
    pub etcd_certfile: Option<PathBuf>,
    #[arg(long, value_name = "FILE", requires = "etcd_certfile")]
    pub etcd_keyfile: Option<PathBuf>,
    /// The prefix of all keys.
    #[arg(long, value_name = "PREFIX", default_value = "/registry")]
    pub etcd_prefix: String,
}

impl StoreFlags {
    /// Where the embedded store is.
    pub fn embedded(&self) -> PathBuf {
        self.data_dir.join("store.db")
    }

    pub fn pki(&self) -> PathBuf {
        self.data_dir.join("pki")
    }

    /// The administrator's kubeconfig, written anew at each start of the server.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir.join("admin.kubeconfig")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn no_flag_is_needed_and_stock_forms_are_taken() {
        let plain = Program::parse_from(["monokube"]).flags;
        assert_eq!(
            (plain.secure_port, plain.controllers.as_slice()),
            (6443, &["*", "bootstrapsigner", "tokencleaner"].map(str::to_owned)[..])
        );
        let line =
            "monokube --controllers=-job,namespace --scheduler=false --allow-privileged --authorization-mode=RBAC";
        let flags = Program::parse_from(line.split(' ')).flags;
        assert_eq!(flags.controllers, ["-job", "namespace"]);
        assert!(!flags.scheduler && flags.allow_privileged);
    }
}
