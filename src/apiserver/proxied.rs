//! `pods/NAME/proxy`, `services/NAME/proxy` and `nodes/NAME/proxy`: the request goes on to the backend, its answer back.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};

use super::backends::unreached;
use super::exchange::{Exchange, text};
use super::listen::Connection;
use super::respond::Body;
use super::route::{Target, decode};
use super::streams::{Backend, relayed, relayed_as};
use crate::model::status::{Result, Status};
use crate::model::url::escape_path;
use crate::model::value::json;
use crate::registry::request::Address;
use crate::relay::dial::Trust;
use crate::relay::guard::Refused;
use crate::relay::headers;
use crate::relay::links::Links;
use crate::relay::location::{self, Place};
use crate::relay::pass::{self, Arriving, Broken};

const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

impl Exchange<'_> {
    pub async fn proxy(&mut self, at: &Address, asked: &Target, connection: &Connection) -> Result<Response<Body>> {
        self.refuse_dry_run()?;
        let raw = self.head.uri.path();
        let path = location::path(&asked.rest, raw.ends_with('/'));
        let kind = match at.resource.name.resource.as_str() {
            "pods" => "PodProxyOptions",
            "services" => "ServiceProxyOptions",
            _ => "NodeProxyOptions",
        };
        let mut options = json!({"kind": kind, "apiVersion": "v1"});
        if !path.is_empty() {
            options["path"] = path.as_str().into();
        }
        let registry = self.server.registry.clone();
        registry.admit_connection(&mut self.caller, at, &mut options).await?;
        let place = self.proxied_place(at).await?;
        let query = self.head.uri.query().map_or(String::new(), |query| format!("?{query}"));
        if headers::upgrade(self.head).is_some() {
            let path = if path.is_empty() { "/".into() } else { escape_path(&path) };
            return self.upgrade(Backend { place, path: format!("{path}{query}") }, connection).await;
        }
        // Relative links of a page at this path would lead to what is beside the proxy.
        if path.is_empty() && matches!(self.head.method, Method::GET | Method::HEAD) {
            return Ok(moved(&format!("{raw}/{query}")));
        }
        let whole = decode(raw).unwrap_or_default();
        let mut headers = self.outward(connection);
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("").to_owned();
        let seen = Place { before: location::before(&whole, &path), backend: place.to_string(), host: &host };
        prepare(&mut headers, &seen.before, &path);
        let path = if path.is_empty() { "/".to_owned() } else { escape_path(&path) };
        let mut request = Request::builder().method(self.head.method.clone()).uri(format!("{path}{query}"));
        if let Some(all) = request.headers_mut() {
            *all = headers;
        }
        let body = self.body.take().ok_or_else(|| Status::internal("the body is gone"))?;
        let request = request.body(body).map_err(|error| Status::bad_request(error.to_string()))?;
        let wire = self.server.outlet.dialer.connect(&place).await.map_err(unreached)?;
        let answered = pass::send(wire, request).await.map_err(|why| unreached(Refused::Unknown(why)))?;
        let response = answered.0.map(|body| Arriving::new(body, answered.1));
        adapt(response, &seen, place.trust)
    }
}

/// The headers of this request alone.
fn prepare(headers: &mut HeaderMap, before: &str, path: &str) {
    let escaped = escape_path(path);
    let slash = if path.ends_with('/') && path.len() > 1 { "/" } else { "" };
    let uri = format!("{}{slash}", location::join(&escape_path(before), &escaped));
    let uri = if path == "/" { format!("{uri}/") } else { uri };
    if let Ok(uri) = HeaderValue::from_str(&uri) {
        headers.insert(FORWARDED_URI, uri);
    }
    // Links are rewritten in what can be read.
    let wants_pages =
        headers.get_all(ACCEPT).iter().any(|accept| accept.as_bytes().windows(9).any(|w| w == b"text/html"));
    if wants_pages {
        headers.remove(ACCEPT_ENCODING);
    }
}

fn moved(to: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, location);
    }
    own(response)
}

/// The backend's answer as it reads from outside.
fn adapt(response: Response<Arriving>, seen: &Place<'_>, trust: Trust) -> Result<Response<Body>> {
    let location = response.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let is_page = response.headers().get(CONTENT_TYPE).is_some_and(|value| is_html(value.as_bytes()))
        && !response.headers().contains_key(CONTENT_ENCODING);
    if let Some(location) = location.filter(|location| !location.is_empty()) {
        // A kubelet sends nobody elsewhere (CVE-2022-3172 and its kin).
        if trust == Trust::Kubelet && response.status().is_redirection() && seen.leads_away(&location) {
            return Ok(text(502, "the backend attempted to redirect this request, which is not permitted"));
        }
        let rewritten = seen.rewrite(&location);
        let bad = |why| Status::internal(format!("error trying to parse Location header: {why}"));
        let mut response = own(relayed(response));
        if let Ok(value) = HeaderValue::from_str(&rewritten.map_err(bad)?) {
            response.headers_mut().insert(LOCATION, value);
        }
        return Ok(response);
    }
    if !is_page {
        return Ok(own(relayed(response)));
    }
    let (mut head, body) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    let page = rewritten(body, seen.before.clone(), seen.backend.clone(), seen.host.to_owned());
    Ok(own(relayed_as(head, Body::Relayed(Box::pin(page)))))
}

fn is_html(content_type: &[u8]) -> bool {
    content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii() == b"text/html"
}

/// This server's own headers stand before the backend's.
fn own(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    let theirs: Vec<HeaderValue> = headers.get_all(CACHE_CONTROL).iter().cloned().collect();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    for value in theirs {
        headers.append(CACHE_CONTROL, value);
    }
    response
}

/// The page with its links rewritten, piece by piece.
fn rewritten(
    body: Arriving,
    before: String,
    backend: String,
    host: String,
) -> impl futures_util::Stream<Item = std::result::Result<Bytes, Broken>> + Send {
    let pieces = body.map(Some).chain(futures_util::stream::iter([None]));
    pieces.scan(Links::default(), move |links, piece| {
        let place = Place { before: before.clone(), backend: backend.clone(), host: &host };
        let link = |link: &str| place.rewrite(link).ok();
        let next = match piece {
            Some(Ok(piece)) => Ok(Bytes::from(links.pass(&piece, &link))),
            Some(Err(broken)) => Err(broken),
            None => Ok(Bytes::from(links.end())),
        };
        std::future::ready(Some(next))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backend_is_told_what_was_asked() {
        let uri = |before: &str, path: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            headers.insert(ACCEPT, HeaderValue::from_static("text/html,*/*"));
            prepare(&mut headers, before, path);
            assert!(!headers.contains_key(ACCEPT_ENCODING));
            headers[FORWARDED_URI].to_str().expect("text").to_owned()
        };
        assert_eq!(uri("/api/v1/nodes/n/proxy", "/a b/c"), "/api/v1/nodes/n/proxy/a%20b/c");
        assert_eq!(uri("/api/v1/nodes/n/proxy", "/a/"), "/api/v1/nodes/n/proxy/a/");
        assert_eq!(uri("/api/v1/nodes/n/proxy", "/"), "/api/v1/nodes/n/proxy/");
        assert_eq!(uri("/api/v1/nodes/n/proxy", ""), "/api/v1/nodes/n/proxy");
        assert!(is_html(b"text/html; charset=utf-8") && !is_html(b"text/plain"));
    }
}
