//! Flags that say how kubelets are reached, and what is reached through this server at all.

use std::path::PathBuf;

use clap::{ArgAction, Args};

#[derive(Args, Clone, Debug)]
pub struct KubeletFlags {
    /// The client certificate that kubelets are shown, in place of the one in the pki folder.
    #[arg(long, value_name = "FILE", requires = "kubelet_client_key")]
    pub kubelet_client_certificate: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "kubelet_client_certificate")]
    pub kubelet_client_key: Option<PathBuf>,
    /// Who certifies kubelets; without it every kubelet is believed.
    #[arg(long, value_name = "FILE")]
    pub kubelet_certificate_authority: Option<PathBuf>,
    /// Which of a node's addresses its kubelet is reached at, the most preferred first.
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "InternalIP,ExternalIP,Hostname")]
    pub kubelet_preferred_address_types: Vec<String>,
    /// How long connecting to a kubelet or another backend may take.
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub kubelet_timeout: String,
    /// Whether kubelets, pods and services may be at loopback addresses: for trials on one machine.
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub proxy_to_loopback: bool,
}
