//! URLs as Go reads them, for what validation says of them.

use super::gotext;

/// The parts of a URL that validation looks at; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// In lower case.
    pub scheme: String,
    /// `user` or `user:password`, as a URL writes them.
    pub user: Option<String>,
    pub host: String,
    pub path: String,
    /// As written.
    pub raw_path: String,
    /// As written.
    pub query: String,
    pub fragment: String,
}

/// A path as it may stand in a URL, `%` and all.
pub fn escape_path(path: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~$&+,/:;=@".contains(&b);
    let mut out = String::with_capacity(path.len() + 8);
    for byte in path.bytes() {
        match keep(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Which part a text is: each allows other letters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Zone,
    Other,
}

impl Url {
    /// Reads a URL or a path; the error is Go's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
        let failed = |text: &str, why: String| format!("parse {}: {why}", gotext::quote(text));
        let mut url = Self::without_fragment(before).map_err(|why| failed(before, why))?;
        url.fragment = unescape(fragment, Part::Other).map_err(|why| failed(text, why))?;
        Ok(url)
    }

    /// Reads a URL or an absolute path, as the first line of a request has it; the error is Go's text.
    pub fn parse_request(text: &str) -> Result<Self, String> {
        let failed = |why: String| format!("parse {}: {why}", gotext::quote(text));
        if text.is_empty() {
            return Err(failed("empty url".to_owned()));
        }
        let url = Self::without_fragment(text).map_err(failed)?;
        if url.scheme.is_empty() && !text.starts_with('/') && text != "*" {
            return Err(failed("invalid URI for request".to_owned()));
        }
        Ok(url)
    }

    /// The path as it may stand in a URL.
    pub fn escaped_path(&self) -> String {
        let valid = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/[]%".contains(&b);
        if self.raw_path.bytes().all(valid) {
            return self.raw_path.clone();
        }
        escape_path(&self.path)
    }

    /// The host without its port and without brackets.
    pub fn hostname(&self) -> &str {
        let host = self.host.strip_suffix(self.port()).unwrap_or(&self.host);
        let host = if self.port().is_empty() { host } else { host.strip_suffix(':').unwrap_or(host) };
        host.strip_suffix(':').unwrap_or(host).trim_start_matches('[').trim_end_matches(']')
    }

    /// Empty when there is none.
    pub fn port(&self) -> &str {
        let after = self.host.rfind(']').map_or(0, |at| at + 1);
        self.host[after..].rfind(':').map_or("", |at| &self.host[after + at + 1..])
    }

    /// The names and values of the query; what cannot be read is left out.
    pub fn query_values(&self) -> Vec<(String, Vec<String>)> {
        let mut found: Vec<(String, Vec<String>)> = Vec::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let read = |text: &str| unescape(&text.replace('+', " "), Part::Other);
            let (Ok(name), Ok(value)) = (read(name), read(value)) else { continue };
            match found.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => found.push((name, vec![value])),
            }
        }
        found
    }

    fn without_fragment(text: &str) -> Result<Self, String> {
        if text.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let mut url = Self::default();
        if text == "*" {
            url.path = text.to_owned();
            return Ok(url);
        }
        let (scheme, rest) = split_scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (mut rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        url.query = query.to_owned();
        if !rest.starts_with('/') {
            if !scheme.is_empty() {
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        if rest.starts_with("//") && (!scheme.is_empty() || !rest.starts_with("///")) {
            let authority = &rest[2..];
            let end = authority.find('/').unwrap_or(authority.len());
            url.set_authority(&authority[..end])?;
            rest = &authority[end..];
        }
        url.path = unescape(rest, Part::Other)?;
        url.raw_path = rest.to_owned();
        Ok(url)
    }

    fn set_authority(&mut self, authority: &str) -> Result<(), String> {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        self.host = parse_host(&self.scheme, host)?;
        let Some(user) = user else { return Ok(()) };
        if !user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b)) {
            return Err("net/url: invalid userinfo".to_owned());
        }
        let parts = user.splitn(2, ':').map(|part| unescape(part, Part::Other).map(|part| escape_user(&part)));
        self.user = Some(parts.collect::<Result<Vec<_>, _>>()?.join(":"));
        Ok(())
    }
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn parse_host(scheme: &str, host: &str) -> Result<String, String> {
    let bad_port = |port: &str| format!("invalid port {} after host", gotext::quote(port));
    match host.rfind('[') {
        Some(0) => {
            let end = host.rfind(']').ok_or("missing ']' in host")?;
            let (inner, port) = (&host[1..end], &host[end + 1..]);
            if !is_optional_port(port) {
                return Err(bad_port(port));
            }
            let (address, zone) = inner.split_at(inner.find("%25").unwrap_or(inner.len()));
            let address = unescape(address, Part::Host)?;
            let name = format!("{address}{}", unescape(zone, Part::Zone)?);
            if address.parse::<std::net::Ipv4Addr>().is_ok() {
                return Err("invalid IP-literal".to_owned());
            }
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(format!("invalid host: ParseAddr({}): unable to parse IP", gotext::quote(&name)));
            }
            return Ok(format!("[{name}]{port}"));
        }
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {}
    }
    let colon = if matches!(scheme, "http" | "https") { host.find(':') } else { host.rfind(':') };
    if let Some(port) = colon.map(|at| &host[at..]).filter(|port| !is_optional_port(port)) {
        return Err(bad_port(port));
    }
    unescape(host, Part::Host)
}

fn is_optional_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

fn unescape(text: &str, part: Part) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte != b'%' {
            if part != Part::Other && byte.is_ascii() && !is_host_letter(*byte) {
                return Err(format!("invalid character {} in host name", gotext::quote(&text[at..=at])));
            }
            out.push(*byte);
            at += 1;
            continue;
        }
        let sequence = bytes.get(at..at + 3);
        let value = sequence.and_then(|s| Some(hex(s[1])? << 4 | hex(s[2])?));
        let allowed = |value: u8| match part {
            Part::Host => value >= 0x80 || value == b'%',
            Part::Zone => value == b'%' || value == b' ' || is_host_letter(value),
            Part::Other => true,
        };
        let Some(value) = value.filter(|value| allowed(*value)) else {
            let shown = String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 3)]);
            return Err(format!("invalid URL escape {}", gotext::quote(&shown)));
        };
        out.push(value);
        at += 3;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

fn is_host_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

fn escape_user(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,;=".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = Url::parse("HTTPS://u:p%40@h.example:8443/a%20b?q=1#f").expect("a URL");
        let user = Some("u:p%40".to_owned());
        assert_eq!((url.scheme.as_str(), url.user, url.host.as_str()), ("https", user, "h.example:8443"));
        assert_eq!((url.path.as_str(), url.query.as_str(), url.fragment.as_str()), ("/a b", "q=1", "f"));
        assert_eq!(Url::parse("https://[::1%25eth0]:80/").map(|u| u.host), Ok("[::1%eth0]:80".to_owned()));
        assert_eq!(Url::parse("mailto:x").map(|u| (u.scheme, u.host)), Ok(("mailto".to_owned(), String::new())));
    }

    #[test]
    fn others_are_refused_in_gos_words() {
        for (text, error) in [
            ("https://x:y:z", "parse \"https://x:y:z\": invalid port \":y:z\" after host"),
            (":x", "parse \":x\": missing protocol scheme"),
            ("1:x", "parse \"1:x\": first path segment in URL cannot contain colon"),
            ("https://a b", "parse \"https://a b\": invalid character \" \" in host name"),
            ("/%zz", "parse \"/%zz\": invalid URL escape \"%zz\""),
            ("https://h/#%", "parse \"https://h/#%\": invalid URL escape \"%\""),
            ("https://[::1", "parse \"https://[::1\": missing ']' in host"),
            ("https://a{@h", "parse \"https://a{@h\": net/url: invalid userinfo"),
            ("\n", "parse \"\\n\": net/url: invalid control character in URL"),
        ] {
            assert_eq!(Url::parse(text), Err(error.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,16}|[a-z:/@%\\[\\]#?é]{0,24}") {
            let _ = Url::parse(&text);
        }
    }
}
