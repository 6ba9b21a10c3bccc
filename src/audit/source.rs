//! The addresses that a request came through, as its headers and its connection tell.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use smallvec::SmallVec;

/// The nearest one last.
pub type Sources = SmallVec<[IpAddr; 2]>;

/// Addresses taken from headers at most.
const MAX_FORWARDED: usize = 64;

/// What `X-Forwarded-For` and `X-Real-Ip` claim, then who is connected, which cannot be made up.
pub fn sources(headers: &HeaderMap, remote: IpAddr) -> Sources {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let forwarded = header("x-forwarded-for");
    let mut sources: Sources =
        forwarded.split(',').take(MAX_FORWARDED).filter_map(|part| address(part.trim())).collect();
    if let Some(real) = address(header("x-real-ip")).filter(|real| !sources.contains(real)) {
        sources.push(real);
    }
    let remote = remote.to_canonical();
    if sources.last() != Some(&remote) {
        sources.push(remote);
    }
    sources
}

/// An address as Go read it of old: leading zeros do no harm.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let digits = part.trim_start_matches('0');
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        *octet = if !is_number {
            return None;
        } else if digits.is_empty() {
            0
        } else {
            digits.parse().ok()?
        };
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(forwarded: &str, real: &str, remote: &str) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-forwarded-for", forwarded), ("x-real-ip", real)] {
            if !value.is_empty() {
                headers.insert(name, value.parse().expect("a header"));
            }
        }
        let sources = sources(&headers, remote.parse().expect("an address"));
        sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn claims_come_first_and_the_connection_last() {
        assert_eq!(shown("", "", "10.0.0.9"), "10.0.0.9");
        assert_eq!(shown("1.1.1.1, nonsense,2.2.2.2", "", "10.0.0.9"), "1.1.1.1 2.2.2.2 10.0.0.9");
        assert_eq!(shown("1.1.1.1,2.2.2.2", "1.1.1.1", "2.2.2.2"), "1.1.1.1 2.2.2.2");
        assert_eq!(shown("", "3.3.3.3", "3.3.3.3"), "3.3.3.3");
        assert_eq!(shown("010.001.000.009", "2001:DB8::0:1", "::ffff:10.0.0.9"), "10.1.0.9 2001:db8::1 10.0.0.9");
        assert_eq!(shown("1.1.1.256,1.1.1,1.1.1.1.1", "x", "::1"), "::1");
    }
}
