//! The addresses of a node's pods, out of the ranges that the node was given.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses of one range at most: as many as an IPv4 range of the usual length has, and far more than a node has pods.
const MOST: u32 = 1 << 16;

/// The ranges of one node, one of each family at most, and which numbers in them are taken.
#[derive(Debug, Default)]
pub struct Addresses {
    ranges: Vec<IpNet>,
    taken: BTreeSet<u32>,
    /// Where the search begins: an address that has just become free is not given at once to another pod.
    next: u32,
}

impl Addresses {
    pub fn new(ranges: Vec<IpNet>) -> Self {
        Self { ranges, ..Self::default() }
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The next free number's address in each range; `None` when all are taken. The first number is the node's own.
    pub fn take(&mut self) -> Option<Vec<IpAddr>> {
        let size = self.ranges.iter().map(usable).min()?;
        let number = (0..size).map(|step| (self.next + step) % size + 2).find(|number| !self.taken.contains(number))?;
        self.next = number - 1;
        self.taken.insert(number);
        Some(self.ranges.iter().map(|range| at(range, number)).collect())
    }

    /// A pod has this address already.
    pub fn keep(&mut self, address: IpAddr) {
        if let Some(number) = self.number(address) {
            self.taken.insert(number);
        }
    }

    pub fn release(&mut self, address: IpAddr) {
        if let Some(number) = self.number(address) {
            self.taken.remove(&number);
        }
    }

    fn number(&self, address: IpAddr) -> Option<u32> {
        let range = self.ranges.iter().find(|range| range.contains(&address))?;
        u32::try_from(value(address) - value(range.network())).ok()
    }
}

/// How many pods a range has room for: all but the network, the node and, in IPv4, the broadcast.
fn usable(range: &IpNet) -> u32 {
    let bits = u32::from(range.max_prefix_len() - range.prefix_len()).min(16);
    ((1 << bits).min(MOST)).saturating_sub(3)
}

fn at(range: &IpNet, number: u32) -> IpAddr {
    match range {
        IpNet::V4(range) => IpAddr::V4((u32::from(range.network()) + number).into()),
        IpNet::V6(range) => IpAddr::V6((u128::from(range.network()) + u128::from(number)).into()),
    }
}

fn value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(addresses: &mut Addresses) -> String {
        let all = addresses.take().unwrap_or_default();
        all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_free_address_is_used_again_last() {
        let mut some = Addresses::new(vec!["10.244.3.0/29".parse().expect("a range")]);
        some.keep("10.244.3.3".parse().expect("an address"));
        assert_eq!((taken(&mut some), taken(&mut some)), ("10.244.3.2".into(), "10.244.3.4".into()));
        some.release("10.244.3.2".parse().expect("an address"));
        assert_eq!(taken(&mut some), "10.244.3.5");
        assert_eq!(taken(&mut some), "10.244.3.6");
        assert_eq!((taken(&mut some), some.take()), ("10.244.3.2".into(), None));
    }

    #[test]
    fn a_pod_has_an_address_of_each_family() {
        let ranges = ["10.244.0.0/24", "fd00:1::/64"].map(|range| range.parse().expect("a range"));
        assert_eq!(taken(&mut Addresses::new(ranges.to_vec())), "10.244.0.2 fd00:1::2");
        assert_eq!(Addresses::default().take(), None);
    }
}
