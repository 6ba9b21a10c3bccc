//! Addresses and versions, as the libraries of Kubernetes read them.

use std::cmp::Ordering;
use std::net::IpAddr;

/// A network with the address by which it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    pub address: IpAddr,
    pub bits: u8,
}

/// A version of semver.org, version 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Semver {
    pub major: u64,
    pub minor: u64,
    pub patch: u64,
    pre: Vec<Pre>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pre {
    Number(u64),
    Text(String),
}

impl Cidr {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |reason: &str| {
            let quoted = crate::model::gotext::quote(text);
            format!("network address parse error during conversion from string: netip.ParsePrefix({quoted}): {reason}")
        };
        let (address, bits) = text.rsplit_once('/').ok_or_else(|| wrong("no '/'"))?;
        let address: IpAddr = parse_address(address).map_err(|e| wrong(&e))?;
        if address.is_ipv6() && text.contains('%') {
            return Err(wrong("IPv6 zones cannot be present in a prefix"));
        }
        let quoted = crate::model::gotext::quote(bits);
        let digits = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        if !digits || (bits.len() > 1 && bits.starts_with('0')) {
            return Err(wrong(&format!("bad bits after slash: {quoted}")));
        }
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse::<u8>().ok().filter(|bits| *bits <= most);
        let bits = bits.ok_or_else(|| wrong("prefix length out of range"))?;
        if is_mapped(address) {
            let quoted = crate::model::gotext::quote(text);
            return Err(format!("IPv4-mapped IPv6 address {quoted} is not allowed"));
        }
        Ok(Self { address, bits })
    }

    /// The network without the bits of a host.
    pub fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V4((u32::from(v4) & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V6((u128::from(v6) & mask).into())
            }
        };
        Self { address, bits: self.bits }
    }

    pub fn contains(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.address.is_ipv4()
            && Self { address: ip, bits: self.bits }.masked().address == self.masked().address
    }

    pub fn contains_net(self, other: Self) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// An address without a zone.
pub fn parse_ip(text: &str) -> Result<IpAddr, String> {
    let quoted = crate::model::gotext::quote(text);
    let bare = text.split_once('%').filter(|(address, zone)| address.contains(':') && !zone.is_empty());
    let parsed = parse_address(bare.map_or(text, |(address, _)| address));
    let address = parsed.map_err(|e| {
        format!("IP Address {quoted} parse error during conversion from string: ParseAddr({quoted}): {e}")
    })?;
    if bare.is_some() {
        return Err(format!("IP address {quoted} with zone value is not allowed"));
    }
    if is_mapped(address) {
        return Err(format!("IPv4-mapped IPv6 address {quoted} is not allowed"));
    }
    Ok(address)
}

/// The texts are those of Go's `netip`, where they differ by cause.
fn parse_address(text: &str) -> Result<IpAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let first = text.find(['.', ':', '%']).map(|at| text.as_bytes()[at]);
    Err(match first {
        Some(b'.') => v4_fault(text),
        Some(b'%') => "missing IPv6 address".to_owned(),
        Some(_) => v6_fault(text),
        None => "unable to parse IP".to_owned(),
    })
}

fn v4_fault(text: &str) -> String {
    let (mut fields, mut value, mut digits) = (0, 0_u32, 0);
    for (at, letter) in text.char_indices() {
        let rest = crate::model::gotext::quote(&text[at..]);
        match letter {
            '0'..='9' => {
                if digits == 1 && value == 0 {
                    return "IPv4 field has octet with leading zero".to_owned();
                }
                value = value * 10 + letter.to_digit(10).unwrap_or(0);
                digits += 1;
                if value > 255 {
                    return "IPv4 field has value >255".to_owned();
                }
            }
            '.' => {
                if at == 0 || at + 1 == text.len() || digits == 0 {
                    return format!("IPv4 field must have at least one digit (at {rest})");
                }
                if fields == 3 {
                    return "IPv4 address too long".to_owned();
                }
                (fields, value, digits) = (fields + 1, 0, 0);
            }
            _ => return format!("unexpected character (at {rest})"),
        }
    }
    "IPv4 address too short".to_owned()
}

fn v6_fault(text: &str) -> String {
    let bad = text.char_indices().find(|(_, c)| !c.is_ascii_hexdigit() && !":.%".contains(*c));
    match bad {
        Some((at, _)) => {
            format!("unexpected character, want colon (at {})", crate::model::gotext::quote(&text[at..]))
        }
        None => "address string too short".to_owned(),
    }
}

impl Semver {
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("Version string empty".to_owned());
        }
        let parts: Vec<&str> = text.splitn(3, '.').collect();
        let [major, minor, rest] = parts.as_slice() else {
            return Err("No Major.Minor.Patch elements found".to_owned());
        };
        let (rest, build) = rest.split_once('+').map_or((*rest, None), |(rest, build)| (rest, Some(build)));
        let (patch, pre) = rest.split_once('-').map_or((rest, None), |(patch, pre)| (patch, Some(pre)));
        let (major, minor) = (number("Major", major)?, number("Minor", minor)?);
        let patch = number("Patch", patch)?;
        let pre = pre.into_iter().flat_map(|pre| pre.split('.')).map(Pre::parse).collect::<Result<_, _>>()?;
        for part in build.into_iter().flat_map(|build| build.split('.')) {
            if part.is_empty() {
                return Err("Build meta data is empty".to_owned());
            }
            if !is_identifier(part) {
                let quoted = crate::model::gotext::quote(part);
                return Err(format!("Invalid character(s) found in build meta data {quoted}"));
            }
        }
        Ok(Self { major, minor, patch, pre })
    }

    /// Also `v1.2` and leading zeros.
    pub fn parse_tolerant(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let trimmed = |part: &str| -> String {
            let bare = part.trim_start_matches('0');
            match (part.len() > 1, bare.chars().next()) {
                (false, _) => part.to_owned(),
                (true, Some('0'..='9')) => bare.to_owned(),
                (true, _) => format!("0{bare}"),
            }
        };
        let mut parts: Vec<String> = text.splitn(3, '.').map(trimmed).collect();
        if parts.len() < 3 && parts.last().is_some_and(|last| last.contains(['+', '-'])) {
            return Err("short version cannot contain PreRelease/Build meta data".to_owned());
        }
        parts.resize(3.max(parts.len()), "0".to_owned());
        Self::parse(&parts.join("."))
    }
}

fn number(what: &str, text: &str) -> Result<u64, String> {
    let quoted = || crate::model::gotext::quote(text);
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("Invalid character(s) found in {} number {}", what.to_lowercase(), quoted()));
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(format!("{what} number must not contain leading zeroes {}", quoted()));
    }
    text.parse().map_err(|_| format!("strconv.ParseUint: parsing {}: invalid syntax", quoted()))
}

fn is_identifier(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl Pre {
    fn parse(text: &str) -> Result<Self, String> {
        let quoted = || crate::model::gotext::quote(text);
        if text.is_empty() {
            return Err("Prerelease is empty".to_owned());
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            if text.len() > 1 && text.starts_with('0') {
                return Err(format!("Numeric PreRelease version must not contain leading zeroes {}", quoted()));
            }
            return text.parse().map(Pre::Number).map_err(|_| format!("number too large {}", quoted()));
        }
        if !is_identifier(text) {
            return Err(format!("Invalid character(s) found in prerelease {}", quoted()));
        }
        Ok(Pre::Text(text.to_owned()))
    }
}

impl PartialOrd for Semver {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Semver {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = (self.major, self.minor, self.patch).cmp(&(other.major, other.minor, other.patch));
        numbers.then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.pre.cmp(&other.pre),
        })
    }
}

impl PartialOrd for Pre {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pre {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Pre::Number(a), Pre::Number(b)) => a.cmp(b),
            (Pre::Number(_), Pre::Text(_)) => Ordering::Less,
            (Pre::Text(_), Pre::Number(_)) => Ordering::Greater,
            (Pre::Text(a), Pre::Text(b)) => a.cmp(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let net = |text: &str| Cidr::parse(text).expect(text);
        assert!(net("10.0.0.0/8").contains("10.1.2.3".parse().expect("an address")));
        assert!(
            net("10.0.0.0/8").contains_net(net("10.1.0.0/16")) && !net("10.1.0.0/16").contains_net(net("10.0.0.0/8"))
        );
        assert_eq!(net("fd00::1/0").masked().address, "::".parse::<IpAddr>().expect("an address"));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "::ffff:1.2.3.4/96", "a/8"] {
            assert!(Cidr::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn versions_in_order() {
        let versions = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.1", "1.0.0", "1.2.0", "2.0.0"];
        for pair in versions.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|text| Semver::parse(text).expect(text));
            assert!(a < b, "{pair:?}");
        }
        assert!(Semver::parse("1.0").is_err() && Semver::parse("01.0.0").is_err() && Semver::parse("1.0.0-").is_err());
        assert_eq!(Semver::parse_tolerant("v01.2"), Semver::parse("1.2.0"));
    }
}
