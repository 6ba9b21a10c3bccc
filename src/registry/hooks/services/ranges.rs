//! What services may be given: ranges of addresses and of node ports, each with a band that is handed out last so that
//! it stays free for those who choose themselves (KEP-3070, KEP-3668).

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;

use crate::rules::checks::network::Family;
use crate::rules::service::begin::Families;

/// Of more than these many bits no IPv6 range can be made: stock's own limit.
const LEAST_V6_BITS: u8 = 64;

/// Both of them, as flags name them.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// `--service-cluster-ip-range`: one, or one of each family. The first is the primary one.
    pub addresses: Vec<Prefix>,
    /// `--service-node-port-range`
    pub ports: PortRange,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix(IpNet);

/// A range of ports, not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    pub base: u16,
    pub size: u16,
}

impl Ranges {
    /// From the flags' texts: `10.96.0.0/16,fd00::/108` and `30000-32767`.
    pub fn parse(addresses: &str, ports: &str) -> Result<Self, String> {
        let addresses = addresses.split(',').map(Prefix::parse).collect::<Result<Vec<_>, _>>()?;
        if addresses.len() > 2 {
            return Err("--service-cluster-ip-range must not hold more than 2 entries".into());
        }
        if addresses.len() == 2 && addresses[0].family() == addresses[1].family() {
            return Err(
                "--service-cluster-ip-range and --secondary-service-cluster-ip-range must be of different IP family"
                    .into(),
            );
        }
        Ok(Self { addresses, ports: PortRange::parse(ports)? })
    }

    pub fn families(&self) -> Families {
        Families { primary: self.addresses[0].family(), dual: self.addresses.len() == 2 }
    }
}

impl Prefix {
    pub fn parse(text: &str) -> Result<Self, String> {
        let net: IpNet = text.trim().parse().map_err(|_| format!("invalid CIDR address: {text}"))?;
        if matches!(net, IpNet::V6(_)) && net.prefix_len() < LEAST_V6_BITS {
            let bits = net.prefix_len();
            return Err(format!("shortest allowed prefix length for service CIDR is {LEAST_V6_BITS}, got {bits}"));
        }
        Ok(Self(net.trunc()))
    }

    pub fn family(self) -> Family {
        match self.0 {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }

    pub fn network(self) -> IpAddr {
        self.0.network()
    }

    /// Whether the address can be given to a service.
    pub fn holds(self, address: IpAddr) -> bool {
        match (self.0, address) {
            (IpNet::V4(_), IpAddr::V4(_)) | (IpNet::V6(_), IpAddr::V6(_)) => {
                number(address).checked_sub(number(self.network())).is_some_and(|n| (1..=self.count()).contains(&n))
            }
            _ => false,
        }
    }

    /// How many addresses there are to give: not the network's own, and of IPv4 not the broadcast's.
    pub fn count(self) -> u128 {
        let own = if self.family() == Family::V4 { 2 } else { 1 };
        self.size().saturating_sub(own)
    }

    fn size(self) -> u128 {
        1u128 << (self.0.max_prefix_len() - self.0.prefix_len())
    }

    /// Numbers of addresses for [`Self::address`]: those to hand out first, then the band kept for choosers.
    pub fn bands(self) -> [Range<u128>; 2] {
        let kept = match self.size() {
            ..=16 => 0,
            size => (size / 16).clamp(16, 256),
        };
        [kept.min(self.count())..self.count(), 0..kept.min(self.count())]
    }

    /// The address with this number, counted from 0.
    pub fn address(self, number_of: u128) -> IpAddr {
        let value = number(self.network()) + 1 + number_of;
        match self.0 {
            IpNet::V4(_) => IpAddr::V4((value as u32).into()),
            IpNet::V6(_) => IpAddr::V6(value.into()),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PortRange {
    /// `30000-32767`, `30000+100` or `30000`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bad = || format!("{text:?} is not a valid port range");
        let port = |text: &str| text.parse::<u16>().map_err(|_| bad());
        let (base, last) = match (text.split_once('-'), text.split_once('+')) {
            (Some((base, last)), _) => (port(base)?, port(last)?),
            (None, Some((base, more))) => (port(base)?, port(base)?.saturating_add(port(more)?)),
            (None, None) => (port(text)?, port(text)?),
        };
        let size = last.checked_sub(base).ok_or_else(bad)?;
        Ok(Self { base, size: size.checked_add(1).ok_or_else(bad)? })
    }

    /// The port's place in the range.
    pub fn place(self, port: i64) -> Option<u16> {
        let place = u16::try_from(port - i64::from(self.base)).ok()?;
        (place < self.size).then_some(place)
    }

    /// Places: those to hand out first, then the band kept for choosers.
    pub fn bands(self) -> [Range<u16>; 2] {
        let kept = match self.size {
            ..=16 => 0,
            size => (size / 32).clamp(16, 128),
        };
        [kept..self.size, 0..kept]
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.base, self.base + (self.size - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_keep_a_band_for_those_who_choose() {
        let of = |text: &str| Prefix::parse(text).map(|prefix| prefix.bands());
        assert_eq!(of("10.0.0.0/16"), Ok([256..65534, 0..256]));
        assert_eq!(of("10.0.0.0/24"), Ok([16..254, 0..16]));
        assert_eq!(of("10.0.0.0/28"), Ok([0..14, 0..0]));
        assert_eq!(of("10.0.0.0/32"), Ok([0..0, 0..0]));
        assert_eq!(of("fd00::/112"), Ok([256..65535, 0..256]));
        assert!(of("fd00::/48").is_err());
        assert_eq!(PortRange::parse("30000-32767").map(PortRange::bands), Ok([86..2768, 0..86]));
        assert_eq!(PortRange::parse("30000-30009").map(PortRange::bands), Ok([0..10, 0..0]));
    }

    #[test]
    fn the_networks_own_addresses_are_not_given() {
        let prefix = Prefix::parse("10.0.0.0/30").expect("a range");
        let holds = |text: &str| prefix.holds(text.parse().expect("an address"));
        assert_eq!(["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"].map(holds), [false, true, true, false]);
        assert_eq!(prefix.address(0).to_string(), "10.0.0.1");
    }

    #[test]
    fn flags_are_read() {
        let dual = Ranges::parse("10.96.0.0/16,fd00::/108", "30000+10").expect("ranges");
        assert!(dual.families().dual && dual.ports.to_string() == "30000-30010");
        assert!(Ranges::parse("10.96.0.0/16,10.97.0.0/16", "1").is_err());
        assert!(PortRange::parse("5-4").is_err() && PortRange::parse("0-65535").is_err());
        assert_eq!(dual.ports.place(30010), Some(10));
        assert_eq!((dual.ports.place(30011), dual.ports.place(29999)), (None, None));
    }
}
