//! Which headers pass: what speaks of one connection stays there, and nobody's credentials go further than here.

use std::net::IpAddr;

use http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use http::{HeaderMap, Version, request};

/// Headers of one connection (RFC 9110, 7.6.1), those that older programs mean so, and what each side counts itself.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "expect",
    "proxy-connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What says who asks.
const CREDENTIALS: [&str; 3] = ["authorization", "x-remote-user", "x-remote-uid"];
const CREDENTIAL_PREFIXES: [&str; 3] = ["x-remote-group", "x-remote-extra-", "impersonate-"];
/// What a backend may not allow in this server's name.
const CROSS_ORIGIN: [&str; 4] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const WEBSOCKET_PROTOCOL: &str = "sec-websocket-protocol";

/// The protocol that a request would go on with; empty when it names none. `None`: it is no such request.
pub fn upgrade(head: &request::Parts) -> Option<&str> {
    if head.version != Version::HTTP_11 {
        return None;
    }
    let mut connections = head.headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let wants = connections.any(|value| value.to_ascii_lowercase().contains("upgrade"));
    wants.then(|| head.headers.get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or("").trim())
}

/// The protocols that a WebSocket client offers; `None` when it is no such client.
pub fn websocket_protocols(head: &request::Parts) -> Option<Vec<&str>> {
    upgrade(head).filter(|protocol| protocol.eq_ignore_ascii_case("websocket"))?;
    let lines = head.headers.get_all(WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    Some(lines.flat_map(|line| line.split(',')).map(str::trim).filter(|protocol| !protocol.is_empty()).collect())
}

/// What of a request goes on to the backend. `remote` is the client.
pub fn outward(headers: &HeaderMap, remote: IpAddr) -> HeaderMap {
    let mut out = headers.clone();
    without_hops(&mut out);
    let is_credential =
        |name: &str| CREDENTIALS.contains(&name) || CREDENTIAL_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    remove(&mut out, is_credential);
    let before: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let remote = remote.to_canonical().to_string();
    let all = before.into_iter().chain([remote.as_str()]).collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::from_str(&all) {
        out.insert(FORWARDED_FOR, value);
    }
    out
}

/// What of an answer goes back to the client.
pub fn homeward(headers: &mut HeaderMap) {
    without_hops(headers);
    remove(headers, |name| CROSS_ORIGIN.contains(&name));
}

/// Asks for, or agrees to, a stream in another protocol.
pub fn set_upgrade(headers: &mut HeaderMap, protocol: &HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, protocol.clone());
}

/// Without those of the connection, and what `Connection` says are such.
fn without_hops(headers: &mut HeaderMap) {
    let lines = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> =
        lines.flat_map(|line| line.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect();
    remove(headers, |name| HOP_BY_HOP.contains(&name) || named.iter().any(|named| named == name));
}

fn remove(headers: &mut HeaderMap, is_removed: impl Fn(&str) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_removed(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&str, &str)]) -> request::Parts {
        let mut request = http::Request::new(());
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
        }
        request.into_parts().0
    }

    fn shown(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
        lines.sort();
        lines
    }

    /// CVE-2018-1002105's kin: what proves who asks is for this server alone.
    #[test]
    fn credentials_and_headers_of_a_connection_do_not_leak() {
        let head = head(&[
            ("Authorization", "Bearer secret"),
            ("X-Remote-User", "admin"),
            ("X-Remote-Group", "system:masters"),
            ("X-Remote-Extra-Scopes", "all"),
            ("X-Remote-Uid", "1"),
            ("Impersonate-User", "admin"),
            ("Impersonate-Extra-a", "b"),
            ("Connection", "keep-alive, X-Own"),
            ("X-Own", "1"),
            ("Te", "trailers"),
            ("Transfer-Encoding", "chunked"),
            ("Proxy-Authorization", "Basic x"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("Cookie", "kept"),
        ]);
        let out = outward(&head.headers, "::ffff:10.0.0.1".parse().expect("an address"));
        assert_eq!(shown(&out), ["cookie: kept", "x-forwarded-for: 192.0.2.1, 10.0.0.1"]);
    }

    #[test]
    fn a_backend_cannot_speak_for_this_servers_origin_or_connection() {
        let mut head = head(&[
            ("Access-Control-Allow-Origin", "*"),
            ("Connection", "close"),
            ("Upgrade", "h2c"),
            ("Content-Type", "text/plain"),
        ]);
        homeward(&mut head.headers);
        assert_eq!(shown(&head.headers), ["content-type: text/plain"]);
    }

    #[test]
    fn upgrades_are_seen() {
        let websocket = head(&[
            ("Connection", "keep-alive, Upgrade"),
            ("Upgrade", "WebSocket"),
            ("Sec-WebSocket-Protocol", "v5.channel.k8s.io, v4.channel.k8s.io"),
        ]);
        assert_eq!(websocket_protocols(&websocket), Some(vec!["v5.channel.k8s.io", "v4.channel.k8s.io"]));
        let spdy = head(&[("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]);
        assert_eq!((upgrade(&spdy), websocket_protocols(&spdy)), (Some("SPDY/3.1"), None));
        assert_eq!(upgrade(&head(&[("Upgrade", "SPDY/3.1")])), None);
        let mut other = head(&[("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]);
        other.version = Version::HTTP_2;
        assert_eq!(upgrade(&other), None);
    }
}
