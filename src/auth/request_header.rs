//! Proof by a proxy: one that shows a certificate of the front-proxy authority may say in headers who asks.

use compact_str::CompactString;
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;

use super::certificate::{Authorities, Peer, Role};
use super::identity::{Extra, Identity};

/// The headers that everybody's requests lose, whatever is configured.
const STANDARD: [&str; 3] = ["x-remote-user", "x-remote-uid", "x-remote-group"];
const STANDARD_EXTRA: &str = "x-remote-extra-";

/// Which proxies are believed, and in which headers they say who asks.
#[derive(Debug)]
pub struct RequestHeader {
    authorities: Authorities,
    /// Common names of the proxies; empty: any that the authority certified.
    allowed_names: Vec<String>,
    names: Vec<HeaderName>,
    uids: Vec<HeaderName>,
    groups: Vec<HeaderName>,
    /// In lower case.
    extra_prefixes: Vec<String>,
}

/// The names of headers as flags give them.
#[derive(Clone, Debug, Default)]
pub struct HeaderNames {
    pub users: Vec<String>,
    pub uids: Vec<String>,
    pub groups: Vec<String>,
    pub extra_prefixes: Vec<String>,
}

impl RequestHeader {
    /// An error names the header that cannot be one.
    pub fn new(
        authorities: impl Into<Authorities>,
        allowed_names: Vec<String>,
        headers: &HeaderNames,
    ) -> Result<Self, String> {
        let extra_prefixes = headers.extra_prefixes.iter().map(|prefix| name(prefix).map(|n| n.as_str().to_owned()));
        Ok(Self {
            authorities: authorities.into(),
            allowed_names,
            names: names(&headers.users)?,
            uids: names(&headers.uids)?,
            groups: names(&headers.groups)?,
            extra_prefixes: extra_prefixes.collect::<Result<_, _>>()?,
        })
    }

    /// The user that a proxy names. `None` when no certificate or no name came; an error when the certificate is not a
    /// proxy's.
    pub(super) fn authenticate(
        &self,
        peer: Option<&Peer>,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Identity>, String> {
        let Some(verified) = peer.and_then(|peer| peer.verified(Role::Proxy, &self.authorities.current(), now)) else {
            return Ok(None);
        };
        let common_name = verified?.common_name.clone();
        if !self.allowed_names.is_empty() && !self.allowed_names.iter().any(|name| *name == common_name) {
            return Err(format!("x509: subject with cn={common_name} is not in the allowed list"));
        }
        let user = first(headers, &self.names)?;
        if user.is_empty() {
            return Ok(None);
        }
        let mut groups = Vec::new();
        for value in self.groups.iter().flat_map(|name| headers.get_all(name)) {
            let group = text(value)?;
            if !group.is_empty() {
                groups.push(group);
            }
        }
        let mut extra = Extra::new();
        for prefix in &self.extra_prefixes {
            collect_extra(headers, prefix, &mut extra)?;
        }
        Ok(Some(Identity { name: user, uid: first(headers, &self.uids)?, groups, extra }))
    }
}

/// Takes the headers of proxies away, so that nothing behind believes them: the standard ones and those of `config`.
pub(super) fn strip(headers: &mut HeaderMap, config: Option<&RequestHeader>) {
    for name in STANDARD {
        headers.remove(name);
    }
    remove_prefix(headers, STANDARD_EXTRA);
    let Some(config) = config else { return };
    for name in config.names.iter().chain(&config.uids).chain(&config.groups) {
        headers.remove(name);
    }
    for prefix in &config.extra_prefixes {
        remove_prefix(headers, prefix);
    }
}

pub(super) fn remove_prefix(headers: &mut HeaderMap, prefix: &str) {
    let found: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with(prefix)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// The headers that begin with `prefix` (lower case) as extra values, under the rest of their names, unescaped.
pub(super) fn collect_extra(headers: &HeaderMap, prefix: &str, extra: &mut Extra) -> Result<(), String> {
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(prefix) else { continue };
        extra.entry(unescape(key).into()).or_default().push(text(value)?);
    }
    Ok(())
}

/// A header's value. One that is not UTF-8 is refused: two of them must never become one name.
pub(super) fn text(value: &http::HeaderValue) -> Result<CompactString, String> {
    std::str::from_utf8(value.as_bytes()).map(CompactString::from).map_err(|_| "a header that is not UTF-8".into())
}

/// With `%xx` decoded; as it is when that does not give text.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let digit =
            |i: usize| bytes.get(at + i).and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        let (Some(high), Some(low)) = (digit(1), digit(2)) else { return text.to_owned() };
        out.push(high * 16 + low);
        at += 3;
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// The first of the headers that has a value; empty when none has.
fn first(headers: &HeaderMap, names: &[HeaderName]) -> Result<CompactString, String> {
    for name in names {
        let value = headers.get(name).map(text).transpose()?.unwrap_or_default();
        if !value.is_empty() {
            return Ok(value);
        }
    }
    Ok(CompactString::default())
}

fn names(texts: &[String]) -> Result<Vec<HeaderName>, String> {
    texts.iter().map(|text| name(text)).collect()
}

fn name(text: &str) -> Result<HeaderName, String> {
    text.trim().to_ascii_lowercase().parse().map_err(|_| format!("{text:?} is not the name of a header"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::certificate::Trust;
    use crate::auth::certificate::tests::{authority, client, trust};

    fn config(trust: Arc<Trust>) -> RequestHeader {
        let one = |name: &str| vec![name.to_owned()];
        let headers = HeaderNames {
            users: vec!["X-Remote-User".into(), "X-Other-User".into()],
            uids: one("X-Remote-Uid"),
            groups: one("X-Remote-Group"),
            extra_prefixes: one("X-Remote-Extra-"),
        };
        RequestHeader::new(trust, vec!["front-proxy-client".into()], &headers).expect("a configuration")
    }

    fn headers(of: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| -> (HeaderName, http::HeaderValue) {
            (name.parse().expect("a name"), value.parse().expect("a value"))
        };
        of.iter().map(pair).collect()
    }

    fn ask(peer: Option<&Peer>, of: &[(&str, &str)]) -> Result<Option<Identity>, String> {
        let proxies = authority("front-proxy-ca");
        let own = client(&proxies, "front-proxy-client", &[]);
        let now = "2026-06-01T00:00:00Z".parse().expect("a time");
        config(trust(&proxies)).authenticate(peer.or(Some(&own)), &headers(of), now)
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_names_the_user() {
        let said = ask(
            None,
            &[
                ("X-Remote-User", ""),
                ("X-Other-User", "jane"),
                ("X-Remote-Uid", "7"),
                ("X-Remote-Group", "a"),
                ("X-Remote-Group", ""),
                ("X-Remote-Group", "b"),
                ("X-Remote-Extra-Acme.com%2fProject", "x"),
                ("X-Remote-Extra-acme.com%2fproject", "y"),
                ("X-Remote-Extra-Bad%zz", "z"),
            ],
        );
        let extra = [("acme.com/project".into(), vec!["x".into(), "y".into()]), ("bad%zz".into(), vec!["z".into()])];
        let expected = Identity {
            name: "jane".into(),
            uid: "7".into(),
            groups: vec!["a".into(), "b".into()],
            extra: extra.into(),
        };
        assert_eq!(said, Ok(Some(expected)));
        assert_eq!(ask(None, &[("X-Remote-Group", "a")]), Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn others_are_not_believed() {
        let proxies = authority("front-proxy-ca");
        let user = [("X-Remote-User", "system:admin")];
        let now = "2026-06-01T00:00:00Z".parse().expect("a time");
        let config = config(trust(&proxies));
        assert_eq!(config.authenticate(None, &headers(&user), now), Ok(None));
        assert_eq!(config.authenticate(Some(&Peer::default()), &headers(&user), now), Ok(None));
        let other_name = client(&proxies, "somebody", &[]);
        assert_eq!(
            config.authenticate(Some(&other_name), &headers(&user), now),
            Err("x509: subject with cn=somebody is not in the allowed list".into())
        );
        let stranger = client(&authority("kubernetes"), "front-proxy-client", &[]);
        assert!(config.authenticate(Some(&stranger), &headers(&user), now).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_headers_are_taken_away() {
        let mut all = headers(&[
            ("X-Remote-User", "a"),
            ("X-Other-User", "b"),
            ("X-Remote-Group", "c"),
            ("X-Remote-Extra-Anything", "d"),
            ("X-Remote", "kept"),
        ]);
        strip(&mut all, Some(&config(trust(&authority("front-proxy-ca")))));
        assert_eq!(all.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-remote"]);
    }

    proptest::proptest! {
        #[test]
        fn unescaping_never_panics(text in "[%a-f0-9g]{0,20}") {
            let out = unescape(&text);
            proptest::prop_assert!(out.len() <= text.len());
        }
    }
}
