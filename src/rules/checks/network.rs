//! IP addresses and CIDRs.
//!
//! Old fields take what Go once took: leading zeros and IPv4 inside IPv6. New ones take the canonical form only.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::smallvec;

use crate::model::field::{FieldErrors, Path};
use crate::model::gotext;
use crate::model::syntax::Texts;
use crate::rules::at::At;

const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const INTERFACE: &str = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";

/// One of the two families of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// The name that Services use.
    pub fn name(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        }
    }

    fn of(ip: IpAddr) -> Self {
        if unmapped(ip).is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// The family of an address as old fields take it. IPv4 inside IPv6 is IPv4.
pub fn ip_family(text: &str) -> Option<Family> {
    sloppy_any(text).map(Family::of)
}

/// The same of a CIDR.
pub fn cidr_family(text: &str) -> Option<Family> {
    Cidr::sloppy(text).map(|cidr| Family::of(cidr.ip))
}

/// Whether the second CIDR lies in the first and is smaller; `None` when one of them is none.
pub fn is_strictly_within(outer: &str, inner: &str) -> Option<bool> {
    let (outer, inner) = (Cidr::sloppy(outer)?, Cidr::sloppy(inner)?);
    let same_family = Family::of(outer.ip) == Family::of(inner.ip);
    let around = Cidr { ip: unmapped(inner.masked()), bits: outer.own_bits() };
    Some(same_family && outer.bits < inner.bits && around.masked() == unmapped(outer.masked()))
}

/// An address in its canonical form.
pub fn ip(at: &At, errs: &mut FieldErrors) {
    at.check(errs, canonical_ip);
}

/// What is wrong with an address that must have its canonical form.
pub fn canonical_ip(text: &str) -> Texts {
    let (ip, mut wrong) = read_ip(text, true);
    if let Some(ip) = ip.filter(|ip| wrong.is_empty() && ip.to_string() != text) {
        wrong.push(format!("must be in canonical form (\"{ip}\")").into());
    }
    wrong
}

/// An address of an old field. `strict` unless the object had this very value before.
pub fn legacy_ip(at: &At, strict: bool, errs: &mut FieldErrors) {
    at.check(errs, |text| old_ip(text, strict));
}

/// What is wrong with an address of an old field.
pub fn old_ip(text: &str, strict: bool) -> Texts {
    read_ip(text, strict).1
}

/// A warning where the address of an old field should be written otherwise.
pub fn ip_warning(path: &Path<'_>, value: &str) -> Option<String> {
    let sloppy = sloppy_ip(value)?;
    let quoted = gotext::quote(value);
    match value.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_none() => (ip.to_string() != value)
            .then(|| format!("{path}: IPv6 address {quoted} should be in RFC 5952 canonical format (\"{ip}\")")),
        Ok(IpAddr::V4(_)) => None,
        _ => Some(format!("{path}: non-standard IP address {quoted} is invalid: use \"{sloppy}\"")),
    }
}

/// A CIDR in its canonical form.
pub fn cidr(at: &At, errs: &mut FieldErrors) {
    at.check(errs, |text| {
        let (cidr, mut wrong) = read_cidr(text, true);
        if let Some(cidr) = cidr.filter(|cidr| wrong.is_empty() && cidr.network() != text) {
            wrong.push(format!("must be in canonical form (\"{}\")", cidr.network()).into());
        }
        wrong
    });
}

/// A CIDR of an old field. `strict` unless the object had this very value before.
pub fn legacy_cidr(at: &At, strict: bool, errs: &mut FieldErrors) {
    at.check(errs, |text| read_cidr(text, strict).1);
}

/// What is wrong with a new CIDR of an old field.
pub fn new_legacy_cidr(text: &str) -> Texts {
    read_cidr(text, true).1
}

/// Warnings where the CIDR of an old field should be written otherwise.
pub fn cidr_warnings(path: &Path<'_>, value: &str) -> Vec<String> {
    let Some(sloppy) = Cidr::sloppy(value) else { return Vec::new() };
    let (quoted, network) = (gotext::quote(value), sloppy.network());
    let mut warnings = Vec::new();
    if sloppy.has_host_bits() {
        let single = format!("{}/{}", unmapped(sloppy.ip), sloppy.width());
        warnings.push(format!(
            "{path}: CIDR value {quoted} is ambiguous in this context (should be \"{network}\" or \"{single}\"?)"
        ));
    }
    match Cidr::strict(value) {
        Some(cidr) if !cidr.is_mapped() => {
            let canonical = format!("{}/{}", cidr.ip, cidr.bits);
            if warnings.is_empty() && cidr.ip.is_ipv6() && canonical != value {
                warnings.push(format!(
                    "{path}: IPv6 CIDR value {quoted} should be in RFC 5952 canonical format (\"{canonical}\")"
                ));
            }
        }
        _ => warnings.push(format!("{path}: non-standard CIDR value {quoted} is invalid: use \"{network}\"")),
    }
    warnings
}

/// An address with the length of its network, in canonical form.
pub fn interface_address(at: &At, errs: &mut FieldErrors) {
    let Some(cidr) = Cidr::sloppy(at.str()) else {
        at.invalid(errs, INTERFACE);
        return;
    };
    let ip = unmapped(cidr.ip);
    // Below zero where the network is larger than the IPv4 part, as in stock.
    let bits = i64::from(cidr.bits) - if ip.is_ipv4() && cidr.bits > 32 { 96 } else { 0 };
    let canonical = format!("{ip}/{bits}");
    if canonical != at.str() {
        at.invalid(errs, format!("must be in canonical form (\"{canonical}\")"));
    }
}

/// An address that a Service may send to.
pub fn endpoint_ip(at: &At, errs: &mut FieldErrors) {
    let Some(ip) = sloppy_ip(at.str()) else {
        at.invalid(errs, "must be a valid IP address");
        return;
    };
    if ip.is_unspecified() {
        at.invalid(errs, format!("may not be unspecified ({})", at.str()));
    }
    if ip.is_loopback() {
        at.invalid(errs, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    let (local, multicast) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if local {
        at.invalid(errs, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if multicast {
        at.invalid(errs, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

fn read_ip(text: &str, strict: bool) -> (Option<IpAddr>, Texts) {
    let Some(ip) = sloppy_ip(text) else { return (None, smallvec![IP.into()]) };
    let wrong = match text.parse::<IpAddr>() {
        _ if !strict => None,
        Err(_) => Some("must not have leading 0s"),
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => Some("must not be an IPv4-mapped IPv6 address"),
        Ok(_) => None,
    };
    (Some(ip), wrong.into_iter().map(Cow::Borrowed).collect())
}

fn read_cidr(text: &str, strict: bool) -> (Option<Cidr>, Texts) {
    let Some(cidr) = Cidr::sloppy(text) else { return (None, smallvec![CIDR.into()]) };
    let wrong = match Cidr::strict(text) {
        _ if !strict => None,
        None => Some("must not have leading 0s in IP or prefix length"),
        Some(cidr) if cidr.is_mapped() => Some("must not have an IPv4-mapped IPv6 address"),
        Some(cidr) if cidr.has_host_bits() => Some("must not have bits set beyond the prefix length"),
        Some(_) => None,
    };
    (Some(cidr), wrong.into_iter().map(Cow::Borrowed).collect())
}

/// An address as Go once read it, IPv4 inside IPv6 taken as IPv4.
pub fn sloppy_ip(text: &str) -> Option<IpAddr> {
    sloppy_any(text).map(unmapped)
}

fn sloppy_any(text: &str) -> Option<IpAddr> {
    match text.bytes().find(|b| matches!(b, b'.' | b':'))? {
        b'.' => sloppy_v4(text).map(IpAddr::V4),
        _ => sloppy_v6(text).map(IpAddr::V6),
    }
}

fn unmapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

fn sloppy_v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = u8::try_from(number(parts.next()?, 10)?).ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

fn sloppy_v6(text: &str) -> Option<Ipv6Addr> {
    let (head, tail) = match text.split_once("::") {
        Some((head, tail)) => (groups(head)?, Some(groups(tail)?)),
        None => (groups(text)?, None),
    };
    let mut all = [0u16; 8];
    match tail {
        None if head.len() == 8 => all.copy_from_slice(&head),
        Some(tail) if head.len() + tail.len() < 8 => {
            all[..head.len()].copy_from_slice(&head);
            all[8 - tail.len()..].copy_from_slice(&tail);
        }
        _ => return None,
    }
    // IPv4 stands at the end only.
    (!text.contains('.') || text.rfind('.') > text.rfind(':')).then(|| all.into())
}

fn groups(text: &str) -> Option<Vec<u16>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut groups = Vec::with_capacity(8);
    for part in text.split(':') {
        if groups.len() > 8 {
            return None;
        }
        if part.contains('.') {
            let [a, b, c, d] = sloppy_v4(part)?.octets();
            groups.extend([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
        } else {
            groups.push(u16::try_from(number(part, 16)?).ok()?);
        }
    }
    Some(groups)
}

/// Digits only, any number of leading zeros, at most 16 bits.
fn number(text: &str, radix: u32) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.chars().try_fold(0u32, |sum, c| Some(sum * radix + c.to_digit(radix)?).filter(|n| *n <= 0xffff))
}

/// An address and the length of its network, in bits of the family in which it was written.
#[derive(Clone, Copy, Debug)]
struct Cidr {
    ip: IpAddr,
    bits: u32,
}

impl Cidr {
    fn sloppy(text: &str) -> Option<Self> {
        let (ip, bits) = text.split_once('/')?;
        Self { ip: sloppy_any(ip)?, bits: number(bits, 10)? }.checked()
    }

    fn strict(text: &str) -> Option<Self> {
        let (ip, bits) = text.rsplit_once('/')?;
        let canonical = bits == "0" || bits.starts_with(|c: char| matches!(c, '1'..='9'));
        Self { ip: ip.parse().ok()?, bits: number(bits, 10).filter(|_| canonical)? }.checked()
    }

    fn checked(self) -> Option<Self> {
        (self.bits <= self.width()).then_some(self)
    }

    fn width(self) -> u32 {
        if self.ip.is_ipv4() { 32 } else { 128 }
    }

    fn is_mapped(self) -> bool {
        matches!(self.ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
    }

    fn masked(self) -> IpAddr {
        match self.ip {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        }
    }

    /// Bits in the family that the address belongs to.
    fn own_bits(self) -> u32 {
        if self.is_mapped() { self.bits.saturating_sub(96) } else { self.bits }
    }

    fn has_host_bits(self) -> bool {
        self.masked() != self.ip
    }

    /// As Go prints a network: IPv4 inside IPv6 as IPv4.
    fn network(self) -> String {
        let masked = self.masked();
        match unmapped(masked) {
            IpAddr::V4(v4) if masked.is_ipv6() => format!("{v4}/{}", self.bits.saturating_sub(96)),
            ip => format!("{ip}/{}", self.bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::model::value::json;

    fn found(check: impl Fn(&At, &mut FieldErrors), text: &str) -> Vec<String> {
        let (value, mut errs) = (json!(text), FieldErrors::new());
        check(&At::new(&value, None), &mut errs);
        errs.iter().map(|e| e.body().replace(&format!("Invalid value: \"{text}\": "), "")).collect()
    }

    #[test]
    fn addresses() {
        for (text, canonical, strict, legacy) in [
            ("10.0.0.1", &[][..], &[][..], &[][..]),
            ("2001:db8::1", &[], &[], &[]),
            ("2001:DB8::1", &["must be in canonical form (\"2001:db8::1\")"], &[], &[]),
            ("010.0.0.1", &["must not have leading 0s"], &["must not have leading 0s"], &[]),
            (
                "::ffff:1.2.3.4",
                &["must not be an IPv4-mapped IPv6 address"],
                &["must not be an IPv4-mapped IPv6 address"],
                &[],
            ),
            ("1.2.3", &[IP], &[IP], &[IP]),
            ("fe80::1%eth0", &[IP], &[IP], &[IP]),
            ("1:2:3:4:5:6:7::8", &[IP], &[IP], &[IP]),
            ("", &[IP], &[IP], &[IP]),
        ] {
            assert_eq!(found(ip, text), canonical, "{text}");
            assert_eq!(found(|at, errs| legacy_ip(at, true, errs), text), strict, "{text}");
            assert_eq!(found(|at, errs| legacy_ip(at, false, errs), text), legacy, "{text}");
        }
    }

    #[test]
    fn networks() {
        for (text, wrong) in [
            ("10.0.0.0/8", &[][..]),
            ("10.0.0.1/8", &["must not have bits set beyond the prefix length"]),
            ("10.0.0.0/08", &["must not have leading 0s in IP or prefix length"]),
            ("::ffff:1.2.3.0/120", &["must not have an IPv4-mapped IPv6 address"]),
            ("2001:DB8::/32", &["must be in canonical form (\"2001:db8::/32\")"]),
            ("10.0.0.0/33", &[CIDR]),
            ("10.0.0.0", &[CIDR]),
        ] {
            assert_eq!(found(cidr, text), wrong, "{text}");
        }
        assert_eq!(found(|at, errs| legacy_cidr(at, false, errs), "010.0.0.1/08"), Vec::<String>::new());
        assert_eq!(found(interface_address, "::ffff:1.2.3.4/120"), ["must be in canonical form (\"1.2.3.4/24\")"]);
    }

    #[test]
    fn warnings() {
        let path = Path::Name(&Path::Root, "ip");
        for (text, warning) in [
            ("1.2.3.4", None),
            ("01.2.3.4", Some("ip: non-standard IP address \"01.2.3.4\" is invalid: use \"1.2.3.4\"")),
            ("::0", Some("ip: IPv6 address \"::0\" should be in RFC 5952 canonical format (\"::\")")),
        ] {
            assert_eq!(ip_warning(&path, text).as_deref(), warning);
        }
        assert_eq!(
            cidr_warnings(&path, "010.0.0.1/8"),
            [
                "ip: CIDR value \"010.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)",
                "ip: non-standard CIDR value \"010.0.0.1/8\" is invalid: use \"10.0.0.0/8\"",
            ]
        );
    }

    #[test]
    fn endpoints() {
        for (text, wrong) in [
            ("10.0.0.1", &[][..]),
            ("x", &["must be a valid IP address"]),
            ("::", &["may not be unspecified (::)"]),
            ("127.0.0.1", &["may not be in the loopback range (127.0.0.0/8, ::1/128)"]),
            ("169.254.1.1", &["may not be in the link-local range (169.254.0.0/16, fe80::/10)"]),
            ("ff02::1", &["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"]),
        ] {
            assert_eq!(found(endpoint_ip, text), wrong, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_strictly_right_is_sloppily_the_same(bits in any::<u128>()) {
            let ip = IpAddr::from(Ipv6Addr::from_bits(bits));
            prop_assert_eq!(sloppy_any(&ip.to_string()), Some(ip));
        }

        #[test]
        fn never_panics(text in "[0-9a-f:./é]{0,40}") {
            let value = json!(text);
            let (at, mut errs) = (At::new(&value, None), FieldErrors::new());
            for check in [ip, cidr, interface_address, endpoint_ip] {
                check(&at, &mut errs);
            }
            let _ = (ip_warning(at.path(), &text), cidr_warnings(at.path(), &text));
        }
    }
}
