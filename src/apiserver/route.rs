//! A URL path and method to what is asked: verb, resource, namespace, name, subresource. Pure; it does not know
//! which resources exist.

use std::borrow::Cow;

use compact_str::CompactString;
use http::Method;

/// What a request asks for, before anyone looks whether it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Below `/api/<version>/` or `/apis/<group>/<version>/`.
    Resource(Target),
    /// Everything else, by its cleaned path.
    Other { verb: &'static str, path: CompactString },
}

/// A resource, or an object of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// get, list, watch, create, update, patch, delete, deletecollection; `proxy` for the old proxy paths.
    pub verb: &'static str,
    pub group: CompactString,
    pub version: CompactString,
    /// Empty where a path names only a group and version with nothing known below.
    pub resource: CompactString,
    pub namespace: CompactString,
    pub name: CompactString,
    pub subresource: CompactString,
    /// What follows the subresource: the path to proxy to.
    pub rest: CompactString,
    /// The verb stands in the path (`/api/v1/watch/pods`): the query has nothing to say.
    pub by_path: bool,
    /// More segments than a subresource has: no such thing unless it is a proxy.
    pub overlong: bool,
}

/// Parts of a namespace that are not resources within it.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

/// Reads a request's path (percent-encoded, without the query). `None`: a segment cannot be decoded.
pub fn route(method: &Method, raw_path: &str, query: Option<&str>) -> Option<Route> {
    let segments = segments(raw_path)?;
    let other = || Route::Other { verb: lower(method), path: decode(raw_path).unwrap_or_default().as_ref().into() };
    if raw_path.starts_with("//") {
        return Some(other());
    }
    let (group, version, parts) = match segments.iter().map(AsRef::as_ref).collect::<Vec<&str>>().as_slice() {
        ["api", version, parts @ ..] if !parts.is_empty() => ("", *version, parts.to_vec()),
        ["apis", group, version, parts @ ..] if !parts.is_empty() => (*group, *version, parts.to_vec()),
        _ => return Some(other()),
    };
    let mut target = Target { group: group.into(), version: version.into(), ..Target::default() };
    fill(&mut target, method, &parts, query);
    Some(Route::Resource(target))
}

fn fill(target: &mut Target, method: &Method, parts: &[&str], query: Option<&str>) {
    target.verb = verb(method);
    let mut parts = parts;
    if parts[0] == "watch" && parts.len() > 1 {
        target.verb = "watch";
        target.by_path = true;
        parts = &parts[1..];
    }
    if parts[0] == "namespaces" && parts.len() > 1 {
        target.namespace = parts[1].into();
        if parts.len() > 2 && !NAMESPACE_SUBRESOURCES.contains(&parts[2]) {
            parts = &parts[2..];
        }
    }
    target.resource = parts[0].into();
    target.name = parts.get(1).copied().unwrap_or("").into();
    target.subresource = parts.get(2).copied().unwrap_or("").into();
    target.rest = parts.get(3..).unwrap_or_default().join("/").into();
    target.overlong = parts.len() > 3;
    if target.name.is_empty() {
        target.verb = match target.verb {
            "get" if watches(query) => "watch",
            "get" => "list",
            "delete" => "deletecollection",
            verb => verb,
        };
    }
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

/// The verb of a path that is no resource: the method in lower case.
fn lower(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "",
    }
}

/// Whether the query has `watch` with a true value, as Go reads booleans of a query.
fn watches(query: Option<&str>) -> bool {
    let value = query.and_then(|q| super::query::Query::parse(q).first("watch").map(str::to_owned));
    value.is_some_and(|v| super::query::is_true(&v))
}

/// The path's segments, decoded; empty ones at the end are dropped.
fn segments(raw_path: &str) -> Option<Vec<Cow<'_, str>>> {
    let trimmed = raw_path.strip_prefix('/').unwrap_or(raw_path).trim_end_matches('/');
    if trimmed.is_empty() {
        return Some(Vec::new());
    }
    trimmed.split('/').map(decode).collect()
}

/// Percent-decoding; `None` for a broken escape or what is no UTF-8.
pub fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digit = |at: usize| after.get(at).and_then(|b| (*b as char).to_digit(16));
        bytes.push((digit(0)? * 16 + digit(1)?) as u8);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// A name that may stand in a path: no `.`, `..`, `/` or `%` (CVE-2022-3162).
pub fn is_segment(name: &str) -> bool {
    name != "." && name != ".." && !name.contains(['/', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(method: Method, path: &str, query: Option<&str>) -> String {
        match route(&method, path, query).expect("decodes") {
            Route::Resource(t) => format!(
                "{} {}/{} {} ns={} name={} sub={} rest={}",
                t.verb, t.group, t.version, t.resource, t.namespace, t.name, t.subresource, t.rest
            ),
            Route::Other { verb, path } => format!("{verb} {path}"),
        }
    }

    #[test]
    fn paths_are_read_as_stock_reads_them() {
        let cases = [
            (Method::GET, "/api/v1/pods", None, "list /v1 pods ns= name= sub= rest="),
            (Method::GET, "/api/v1/namespaces/a/pods/", Some("watch=1"), "watch /v1 pods ns=a name= sub= rest="),
            (Method::GET, "/api/v1/namespaces/a", None, "get /v1 namespaces ns=a name=a sub= rest="),
            (
                Method::PUT,
                "/api/v1/namespaces/a/finalize",
                None,
                "update /v1 namespaces ns=a name=a sub=finalize rest=",
            ),
            (
                Method::DELETE,
                "/apis/apps/v1/namespaces/a/deployments",
                None,
                "deletecollection apps/v1 deployments ns=a name= sub= rest=",
            ),
            (Method::GET, "/api/v1/watch/namespaces/a/pods/x", None, "watch /v1 pods ns=a name=x sub= rest="),
            (Method::GET, "/api/v1/nodes/n/proxy/a/b", None, "get /v1 nodes ns= name=n sub=proxy rest=a/b"),
            (Method::GET, "/api/v1", None, "get /api/v1"),
            (Method::GET, "/apis/apps/", None, "get /apis/apps/"),
            (Method::GET, "//api", None, "get //api"),
            (Method::GET, "/%61pi", None, "get /api"),
            (Method::GET, "/api/v1/namespaces/a%2Fb/pods", None, "list /v1 pods ns=a/b name= sub= rest="),
        ];
        for (method, path, query, expected) in cases {
            assert_eq!(target(method, path, query), expected, "{path}");
        }
        assert_eq!(route(&Method::GET, "/api/v1/%zz", None), None);
        assert!(!is_segment("..") && !is_segment("a/b") && is_segment("a..b"));
    }
}
