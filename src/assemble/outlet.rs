//! The way to kubelets, pods and services: as whom, and where never.

use std::net::SocketAddr;

use super::core::span;
use super::plane::StartError;
use crate::auth::outward::access::{Security, TlsFiles};
use crate::config::flags::Flags;
use crate::config::limits;
use crate::registry::hooks::services::ranges::Ranges;
use crate::relay::dial::Dialer;
use crate::relay::guard::Guard;
use crate::relay::outlet::Outlet;

/// The port of the Service `kubernetes`.
const SERVICE_PORT: u16 = 443;

/// `address` is where this server listens, `advertised` where others reach it.
pub fn outlet(
    flags: &Flags,
    address: SocketAddr,
    advertised: SocketAddr,
    ranges: &Ranges,
) -> Result<Outlet, StartError> {
    let folder = flags.store.pki();
    let own = |file: &str| folder.join(file);
    let kubelet = &flags.kubelet;
    let client = match (&kubelet.kubelet_client_certificate, &kubelet.kubelet_client_key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => (own("apiserver-kubelet-client.crt"), own("apiserver-kubelet-client.key")),
    };
    let secure = |authorities, client| {
        Security::by_files(TlsFiles { authorities, client }).map_err(|why| StartError::Flag(format!("kubelets: {why}")))
    };
    let mut never = vec![address, advertised];
    never.extend(ranges.addresses.iter().map(|range| SocketAddr::new(range.address(0), SERVICE_PORT)));
    let dialer = Dialer {
        guard: Guard::new(address.port(), never, kubelet.proxy_to_loopback),
        kubelet: secure(kubelet.kubelet_certificate_authority.clone(), Some(client.clone()))?,
        any_kubelet: secure(None, Some(client))?,
        anyone: secure(None, None)?,
        patience: span("--kubelet-timeout", &kubelet.kubelet_timeout)?,
    };
    Ok(Outlet::new(dialer, kubelet.kubelet_preferred_address_types.clone(), limits::BACKEND_STREAMS))
}
