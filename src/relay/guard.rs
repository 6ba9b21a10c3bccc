//! Where nobody is sent: this machine's inside, its own links, and this server.

use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpStream, lookup_host};

/// Addresses of one name that are looked at.
const MOST_ADDRESSES: usize = 16;

/// What must not be reached through this server.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The port that this server listens on.
    port: u16,
    /// Where it is reached.
    own: Vec<SocketAddr>,
    /// Backends may be at loopback: for trials on one machine.
    loopback: bool,
}

/// Why an address is not gone to.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("address not allowed")]
    NotAllowed,
    #[error("{0}")]
    Unknown(String),
}

impl Guard {
    pub fn new(port: u16, own: Vec<SocketAddr>, loopback: bool) -> Self {
        Self { port, own, loopback }
    }

    /// Loopback, link-local (the metadata of clouds), multicast and unspecified addresses are never backends, nor is this server.
    pub fn check(&self, address: SocketAddr) -> Result<(), Refused> {
        let ip = address.ip().to_canonical();
        let is_own = self.own.iter().any(|own| own.ip().to_canonical() == ip && own.port() == address.port());
        let is_inside = ip.is_loopback() && !self.loopback;
        if is_own || is_inside || !(is_global_unicast(ip) || ip.is_loopback()) {
            return Err(Refused::NotAllowed);
        }
        Ok(())
    }

    /// The addresses of a host, which is an address already or a name: all of them are allowed, or none.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        let found: Vec<SocketAddr> = match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => {
                let unknown = |_| Refused::Unknown(format!("dial tcp: lookup {host}: no such host"));
                lookup_host((host, port)).await.map_err(unknown)?.take(MOST_ADDRESSES).collect()
            }
        };
        if found.is_empty() {
            return Err(Refused::Unknown("no addresses for hostname".into()));
        }
        found.iter().try_for_each(|address| self.check(*address))?;
        Ok(found)
    }

    /// This server has more addresses than it knows: where both ends of a connection are one machine, its port is not a
    /// backend's.
    pub fn arrived(&self, stream: &TcpStream) -> Result<(), Refused> {
        let ends = stream.peer_addr().and_then(|peer| Ok((peer, stream.local_addr()?)));
        let (peer, local) = ends.map_err(|error| Refused::Unknown(error.to_string()))?;
        match peer.port() == self.port && peer.ip().to_canonical() == local.ip().to_canonical() {
            true => Err(Refused::NotAllowed),
            false => Ok(()),
        }
    }
}

/// As Go has it: private addresses are in it.
pub fn is_global_unicast(ip: IpAddr) -> bool {
    let is_link_local = match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let ip = ip.to_canonical();
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || is_link_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(loopback: bool) -> Guard {
        Guard::new(6443, vec!["192.0.2.1:6443".parse().expect("one"), "10.96.0.1:443".parse().expect("one")], loopback)
    }

    /// Server-side request forgery: what a node, a pod or an endpoint says of its address is not believed (CVE-2020-8562,
    /// CVE-2022-3294, CVE-2025-13281).
    #[tokio::test]
    async fn ssrf_to_loopback_metadata_and_this_server_is_refused() {
        let refused = [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "[::1]",
            "192.0.2.1",
            "::ffff:192.0.2.1",
            "localhost",
        ];
        for host in refused {
            let found = guard(false).resolve(host, 6443).await;
            assert!(matches!(found, Err(Refused::NotAllowed)), "{host}: {found:?}");
        }
        assert!(guard(false).resolve("10.96.0.1", 443).await.is_err(), "the service kubernetes");
        for (host, port) in [("10.1.2.3", 6443), ("fd00::1", 443), ("192.0.2.1", 10250), ("10.96.0.1", 80)] {
            guard(false).resolve(host, port).await.expect("may be gone to");
        }
        // 0177.0.0.1 and 2130706433 are no addresses but names, and are resolved before they are looked at.
        for host in ["2130706433", "0177.0.0.1"] {
            if let Ok(found) = guard(false).resolve(host, 80).await {
                panic!("{host}: {found:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_trial_on_one_machine_reaches_loopback_but_never_this_server() {
        guard(true).resolve("127.0.0.1", 10250).await.expect("for trials");
        assert!(guard(true).resolve("169.254.169.254", 80).await.is_err());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("one");
        let stream = TcpStream::connect(address).await.expect("connected");
        Guard::new(1, Vec::new(), true).arrived(&stream).expect("another port");
        assert!(Guard::new(address.port(), Vec::new(), true).arrived(&stream).is_err());
    }
}
