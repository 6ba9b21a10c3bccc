//! Ranges of pods' addresses: parts of one large range, one a node.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// A range has at most as many parts as this many bits count.
const MOST_BITS: u8 = 16;

/// A cluster's range of one family.
pub struct Range {
    whole: IpNet,
    /// Bits of the prefix of a part.
    bits: u8,
    /// Where to look next: parts are given out in turn, so that what was given back rests.
    next: u32,
}

/// Parts that are taken, by number.
pub type Taken = HashSet<u32>;

impl Range {
    /// `None`: parts of this size are no parts of the range, or more than 65536.
    pub fn new(whole: IpNet, bits: u8) -> Option<Self> {
        let more = bits.checked_sub(whole.prefix_len())?;
        (more <= MOST_BITS && bits <= whole.max_prefix_len()).then(|| Self { whole: whole.trunc(), bits, next: 0 })
    }

    fn count(&self) -> u32 {
        1 << (self.bits - self.whole.prefix_len())
    }

    /// Takes the parts that overlap with another range.
    pub fn occupy(&self, other: &IpNet, taken: &mut Taken) {
        let other = other.trunc();
        if self.whole.contains(&other.network()) {
            let first = self.number(other.network());
            let last = self.number(other.broadcast()).max(first);
            taken.extend(first..=last);
        } else if other.contains(&self.whole.network()) {
            taken.extend(0..self.count());
        }
    }

    /// The next part that is free. `None`: there is none.
    pub fn take(&mut self, taken: &mut Taken) -> Option<IpNet> {
        let count = self.count();
        let free = (0..count).map(|step| (self.next + step) % count).find(|number| !taken.contains(number))?;
        taken.insert(free);
        self.next = (free + 1) % count;
        Some(self.part(free))
    }

    /// Which part an address is in; the last one for what is beyond.
    fn number(&self, address: IpAddr) -> u32 {
        let shift = self.whole.max_prefix_len() - self.bits;
        let (all, address) = (to_number(self.whole.network()), to_number(address));
        let distance = address.saturating_sub(all).checked_shr(shift.into()).unwrap_or(0);
        u32::try_from(distance).unwrap_or(u32::MAX).min(self.count() - 1)
    }

    fn part(&self, number: u32) -> IpNet {
        let shift = self.whole.max_prefix_len() - self.bits;
        let distance = u128::from(number).checked_shl(shift.into()).unwrap_or(0);
        let start = to_number(self.whole.network()) + distance;
        let address = match self.whole {
            IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(start).unwrap_or(u32::MAX))),
            IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(start)),
        };
        IpNet::new(address, self.bits).expect("the prefix was checked")
    }
}

fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(whole: &str, bits: u8) -> Range {
        Range::new(whole.parse().expect("a range"), bits).expect("parts")
    }

    #[test]
    fn parts_are_given_out_in_turn() {
        let (mut v4, mut taken) = (range("10.244.0.0/22", 24), Taken::new());
        v4.occupy(&"10.244.1.0/24".parse().expect("a range"), &mut taken);
        let take = |range: &mut Range, taken: &mut Taken| range.take(taken).map(|part| part.to_string());
        assert_eq!(take(&mut v4, &mut taken), Some("10.244.0.0/24".into()));
        assert_eq!(take(&mut v4, &mut taken), Some("10.244.2.0/24".into()));
        taken.remove(&0);
        assert_eq!(take(&mut v4, &mut taken), Some("10.244.3.0/24".into()), "what was given back rests");
        assert_eq!(take(&mut v4, &mut taken), Some("10.244.0.0/24".into()));
        assert_eq!(take(&mut v4, &mut taken), None);
        let (mut v6, mut taken) = (range("fd00:10:244::/48", 64), Taken::new());
        assert_eq!(take(&mut v6, &mut taken), Some("fd00:10:244::/64".into()));
        assert_eq!(take(&mut v6, &mut taken), Some("fd00:10:244:1::/64".into()));
    }

    #[test]
    fn overlapping_ranges_are_left_out() {
        let range = range("10.0.0.0/16", 24);
        let taken = |other: &str| {
            let mut taken = Taken::new();
            range.occupy(&other.parse().expect("a range"), &mut taken);
            taken.len()
        };
        assert_eq!(
            (taken("10.0.4.0/22"), taken("10.0.4.128/25"), taken("10.0.0.0/8"), taken("10.1.0.0/16")),
            (4, 1, 256, 0)
        );
        assert!(Range::new("10.0.0.0/8".parse().expect("a range"), 25).is_none());
        assert!(Range::new("10.0.0.0/24".parse().expect("a range"), 16).is_none());
    }
}
