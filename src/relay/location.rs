//! Paths and locations: which path of a backend is meant, and how what it says of itself reads from outside.

use crate::model::url::{Url, escape_path};

/// From where a backend's paths are seen.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// What stands before the backend's own paths: `/api/v1/namespaces/a/pods/b/proxy`.
    pub before: String,
    /// The backend, as a location names it.
    pub backend: String,
    /// Whom the client asked.
    pub host: &'a str,
}

/// The path of the backend that a request asks for, which came as `rest` after `/proxy`. It has no `..` in it.
pub fn path(rest: &str, ends_in_slash: bool) -> String {
    if rest.is_empty() {
        return if ends_in_slash { "/".to_owned() } else { String::new() };
    }
    let mut path = join("", rest);
    if ends_in_slash && !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// What stands before `path` in the path that was asked for.
pub fn before(asked: &str, path: &str) -> String {
    asked.strip_suffix(path).unwrap_or(asked).to_owned()
}

/// Two paths as one, without `.`, `..` and doubled slashes; a slash at the end goes.
pub fn join(before: &str, after: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in before.split('/').chain(after.split('/')) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// The parameters of a query, as Go writes them.
pub fn query(pairs: &[(&str, String)]) -> String {
    let part = |(name, value): &(&str, String)| format!("{name}={}", escape(value));
    pairs.iter().map(part).collect::<Vec<_>>().join("&")
}

/// A path with its query, if it has one.
pub fn with_query(path: String, query: &str) -> String {
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl Place<'_> {
    /// A location that the backend names. What is not on the backend, and what is relative, stays. The error is Go's text.
    pub fn rewrite(&self, location: &str) -> Result<String, String> {
        let url = Url::parse(location)?;
        if self.is_elsewhere(&url) || !url.path.starts_with('/') {
            return Ok(location.to_owned());
        }
        let origin = match !url.host.is_empty() && url.host == self.host {
            true => format!("{}{}//{}", url.scheme, if url.scheme.is_empty() { "" } else { ":" }, url.host),
            false => String::new(),
        };
        let mut path = url.path.clone();
        if !path.starts_with(&self.before) {
            path = join(&self.before, &url.path);
            if url.path.ends_with('/') && !path.ends_with('/') {
                path.push('/');
            }
        }
        let part = |mark: &str, text: &str| if text.is_empty() { String::new() } else { format!("{mark}{text}") };
        let (query, fragment) = (part("?", &url.query), part("#", &escape_path(&url.fragment)));
        Ok(format!("{origin}{}{query}{fragment}", escape_path(&path)))
    }

    /// Whether a location leads away from the backend.
    pub fn leads_away(&self, location: &str) -> bool {
        Url::parse(location).is_ok_and(|url| self.is_elsewhere(&url))
    }

    fn is_elsewhere(&self, url: &Url) -> bool {
        !url.host.is_empty() && url.host != self.host && !self.is_backend(url)
    }

    /// A location may leave out the port that its scheme has anyway.
    fn is_backend(&self, url: &Url) -> bool {
        let port = if url.scheme == "https" { 443 } else { 80 };
        url.host == self.backend || (url.port().is_empty() && format!("{}:{port}", url.host) == self.backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_backend() {
        assert_eq!(path("", false), "");
        assert_eq!(path("", true), "/");
        assert_eq!(path("a/b", false), "/a/b");
        assert_eq!(path("a/b", true), "/a/b/");
        assert_eq!(path("../../etc/./x", false), "/etc/x");
        assert_eq!(before("/api/v1/nodes/n/proxy/a/b", "/a/b"), "/api/v1/nodes/n/proxy");
        assert_eq!(before("/api/v1/nodes/n/proxy/", "/"), "/api/v1/nodes/n/proxy");
    }

    #[test]
    fn locations_of_the_backend_read_from_outside() {
        let place = Place { before: "/p/proxy".into(), backend: "10.1.0.1:80".into(), host: "localhost:8001" };
        let cases = [
            ("/a/b/?x=1#y", "/p/proxy/a/b/?x=1#y"),
            ("http://10.1.0.1:80/a", "/p/proxy/a"),
            ("http://10.1.0.1/a", "/p/proxy/a"),
            ("http://localhost:8001/a", "http://localhost:8001/p/proxy/a"),
            ("http://example.com/a", "http://example.com/a"),
            ("a/b", "a/b"),
            ("/p/proxy/a", "/p/proxy/a"),
            ("/a%20b", "/p/proxy/a%20b"),
            ("/", "/p/proxy/"),
        ];
        for (given, expected) in cases {
            assert_eq!(place.rewrite(given).as_deref(), Ok(expected), "{given}");
        }
        assert!(place.rewrite("http://[::1").is_err());
        assert!(place.leads_away("//example.com/a") && !place.leads_away("/a"));
    }
}
