//! What is told of the API itself: discovery, OpenAPI, the version, the root's paths.
//!
//! Documents are made when they are asked for first, and kept until the catalog changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION, VARY};
use http::{Method, Response};

use super::exchange::{Exchange, asked, header, json as json_answer, respond, text};
use super::respond::Body;
use crate::codec::negotiate::Media;
use crate::codec::negotiate::accept::{Offer, routable, unroutable};
use crate::codec::protobuf::encode::encode;
use crate::codec::protobuf::{envelope, openapi as proto_openapi};
use crate::codec::yaml::emit;
use crate::model::names::GroupVersion;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};
use crate::registry::custom::published;
use crate::schema::catalog::Catalog;
use crate::schema::digest;
use crate::schema::discovery::group::{Group, Served, groups};
use crate::schema::discovery::{aggregated, legacy};
use crate::schema::openapi::describe::Descriptions;
use crate::schema::openapi::source::Source;
use crate::schema::openapi::{v2, v3};
use crate::schema::resource::Resource;
use crate::schema::table as t;

/// The wanted parameter of aggregated discovery.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const AGGREGATED_PROTOBUF: &str =
    "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Documents of one server.
pub struct Documents {
    /// Where clients reach this server: `192.0.2.1:6443`.
    address: String,
    version: Value,
    kept: Mutex<Kept>,
}

/// Documents of one state of the catalog.
#[derive(Default)]
struct Kept {
    catalog: Option<Arc<Catalog>>,
    documents: BTreeMap<String, Document>,
}

#[derive(Clone)]
struct Document {
    bytes: Bytes,
    mark: String,
}

impl Documents {
    pub fn new(address: String, version: Value) -> Self {
        Self { address, version, kept: Mutex::default() }
    }

    /// The document of this name, made by `make` for this catalog if it is not there yet.
    fn get(&self, catalog: &Arc<Catalog>, name: &str, make: impl FnOnce() -> Option<Vec<u8>>) -> Option<Document> {
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if !kept.catalog.as_ref().is_some_and(|known| Arc::ptr_eq(known, catalog)) {
                *kept = Kept { catalog: Some(catalog.clone()), documents: BTreeMap::new() };
            }
            if let Some(document) = kept.documents.get(name) {
                return Some(document.clone());
            }
        }
        let bytes: Bytes = make()?.into();
        let document = Document { mark: digest::mark(&bytes), bytes };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.catalog.as_ref().is_some_and(|known| Arc::ptr_eq(known, catalog)) {
            kept.documents.insert(name.to_owned(), document.clone());
        }
        Some(document)
    }
}

impl Exchange<'_> {
    /// A path that is no resource.
    pub async fn document(&mut self, path: &str) -> Result<Response<Body>> {
        let raw = self.head.uri.path();
        if raw.starts_with("//") {
            return Ok(not_found());
        }
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let reads = matches!(self.head.method, Method::GET | Method::HEAD);
        match segments.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => {
                Ok(self.server.health.answer(path.trim_start_matches('/'), &self.query))
            }
            ["metrics"] => Ok(respond(200, "text/plain; version=0.0.4; charset=utf-8", self.server.metrics.text())),
            ["version"] => self.version(reads),
            ["debug", "api_priority_and_fairness", name] if !path.ends_with('/') => Ok(self.dump(name)),
            ["openapi", "v2"] if !path.ends_with('/') => self.openapi_v2(),
            ["openapi", "v3"] => self.openapi_index(),
            ["openapi", "v3", rest @ ..] => self.openapi_v3(&rest.join("/")),
            [".well-known", "openid-configuration"] => {
                Ok(self.server.tokens.configuration(&self.server.documents.address))
            }
            ["openid", "v1", "jwks"] => Ok(self.server.tokens.keys()),
            [""] if reads => self.paths(),
            ["api" | "apis", ..] => self.discovery(&segments, reads),
            _ => Ok(not_found()),
        }
    }

    fn dump(&self, name: &str) -> Response<Body> {
        let details = self.query.first("includeRequestDetails").is_some_and(|value| !value.is_empty());
        match self.server.fairness.dump(name, details) {
            Some(text) => respond(200, "text/plain; charset=utf-8", text),
            None => not_found(),
        }
    }

    fn version(&self, reads: bool) -> Result<Response<Body>> {
        if !reads {
            return Err(Status::method_not_allowed_here());
        }
        let accept = self.header("accept");
        if !accept.is_empty() && !routable(accept, || ["application/json"].into_iter()) {
            return Err(unroutable(["application/json"].into_iter()));
        }
        Ok(json_answer(200, &self.server.documents.version))
    }

    fn discovery(&self, segments: &[&str], reads: bool) -> Result<Response<Body>> {
        let catalog = self.server.registry.catalog.load();
        let groups = groups(&catalog);
        let found = |name: &str| groups.iter().find(|group| group.name == name);
        let (document, message) = match *segments {
            ["api"] if self.wants_aggregated() => return self.aggregated(&catalog, "api", &groups),
            ["apis"] if self.wants_aggregated() => return self.aggregated(&catalog, "apis", &groups),
            ["api"] => {
                let document = legacy::core_versions(&groups, &self.server.documents.address);
                (document, &t::APIMACHINERY_PKG_APIS_META_V1_APIVERSIONS)
            }
            ["apis"] => (legacy::group_list(&groups), &t::APIMACHINERY_PKG_APIS_META_V1_APIGROUPLIST),
            ["apis", name] => {
                let Some(group) = found(name) else { return Ok(not_found()) };
                (legacy::group(group), &t::APIMACHINERY_PKG_APIS_META_V1_APIGROUP)
            }
            ["api", version] => match resources(&groups, "", version) {
                Some(list) => (list, &t::APIMACHINERY_PKG_APIS_META_V1_APIRESOURCELIST),
                None => return Err(Status::no_such_resource()),
            },
            ["apis", group, version] => match resources(&groups, group, version) {
                Some(list) => (list, &t::APIMACHINERY_PKG_APIS_META_V1_APIRESOURCELIST),
                None if is_builtin(&catalog, group) => return Err(Status::no_such_resource()),
                None => return Ok(not_found()),
            },
            _ => return Ok(not_found()),
        };
        // Stock's documents of custom resources look at no method.
        if !reads && !matches!(*segments, ["apis", group, _] if !is_builtin(&catalog, group)) {
            return Err(Status::method_not_allowed_here());
        }
        let representation = Offer::default().choose(self.asked())?;
        let media = representation.media;
        let bytes: Bytes = match media {
            Media::Protobuf => {
                let raw = encode(&document, message).map_err(Status::internal)?;
                envelope::wrap("v1", message.short_name(), &raw)
            }
            Media::Yaml => emit::text(&document).into(),
            _ if representation.pretty => pretty(&document),
            _ => format!("{document}\n").into(),
        };
        Ok(respond(200, media.content_type(), bytes))
    }

    /// Whether the client prefers aggregated discovery over the old documents.
    fn wants_aggregated(&self) -> bool {
        aggregated_media(self.header("accept")).is_some()
    }

    fn aggregated(&self, catalog: &Arc<Catalog>, path: &str, groups: &[Group<'_>]) -> Result<Response<Body>> {
        let make = || {
            let list = if path == "api" { aggregated::core(groups) } else { aggregated::named(groups) };
            Some(list.to_string().into_bytes())
        };
        let document = self.server.documents.get(catalog, &format!("aggregated/{path}"), make);
        let document = document.ok_or_else(|| Status::internal("no discovery"))?;
        let media = aggregated_media(self.header("accept")).unwrap_or(Media::Json);
        let (kind, bytes) = match media {
            Media::Protobuf => {
                let value = serde_json::from_slice(&document.bytes).map_err(Status::internal)?;
                let raw = encode(&value, &t::API_APIDISCOVERY_V2_APIGROUPDISCOVERYLIST).map_err(Status::internal)?;
                (AGGREGATED_PROTOBUF, envelope::wrap("apidiscovery.k8s.io/v2", "APIGroupDiscoveryList", &raw))
            }
            _ => (AGGREGATED, document.bytes.clone()),
        };
        let mut response = self.marked(&document.mark, kind, bytes);
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public"));
        Ok(response)
    }

    /// An answer with an ETag; 304 when the client has it.
    fn marked(&self, mark: &str, kind: &str, bytes: Bytes) -> Response<Body> {
        let tag = format!("\"{mark}\"");
        let known = self.head.headers.get(IF_NONE_MATCH).is_some_and(|given| given.as_bytes() == tag.as_bytes());
        let mut response = if known { respond(304, kind, Body::empty()) } else { respond(200, kind, bytes) };
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }

    fn openapi_v2(&self) -> Result<Response<Body>> {
        let catalog = self.server.registry.catalog.load();
        let accept = self.header("accept");
        let protobuf = accept.split(',').any(|clause| {
            let name = clause.split(';').next().unwrap_or("").trim();
            proto_openapi::ASKED.contains(&name)
        });
        let make = || {
            let texts = Descriptions::unpack();
            let source = Source {
                catalog: &catalog,
                custom: &|resource: &Resource| published(&self.server.registry, resource),
                texts: &texts,
            };
            Some(if protobuf { proto_openapi::document(&source) } else { v2::document(&source) })
        };
        let name = if protobuf { "v2+protobuf" } else { "v2" };
        let document =
            self.server.documents.get(&catalog, name, make).ok_or_else(|| Status::internal("no document"))?;
        let kind = if protobuf { proto_openapi::ANSWERED } else { "application/json" };
        let mut response = self.marked(&document.mark, kind, document.bytes);
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        Ok(response)
    }

    fn openapi_index(&self) -> Result<Response<Body>> {
        let catalog = self.server.registry.catalog.load();
        let paths = v3::paths(&catalog);
        let marks: Vec<(String, String)> =
            paths.into_iter().filter_map(|path| Some((path.clone(), self.v3(&catalog, &path)?.mark))).collect();
        let bytes = v3::index(marks.iter().map(|(path, mark)| (path.as_str(), mark.as_str())));
        Ok(self.marked(&digest::mark(&bytes), "application/json", bytes.into()))
    }

    fn v3(&self, catalog: &Arc<Catalog>, path: &str) -> Option<Document> {
        let make = || {
            let texts = Descriptions::unpack();
            v3::document(
                &Source {
                    catalog,
                    custom: &|resource: &Resource| published(&self.server.registry, resource),
                    texts: &texts,
                },
                path,
            )
        };
        self.server.documents.get(catalog, &format!("v3/{path}"), make)
    }

    fn openapi_v3(&self, path: &str) -> Result<Response<Body>> {
        let catalog = self.server.registry.catalog.load();
        let Some(document) = self.v3(&catalog, path) else { return Ok(respond(404, "", Body::empty())) };
        let accept = header(self.head, "accept");
        if !accept.is_empty() && !routable(accept, || ["application/json"].into_iter()) {
            return Err(unroutable(["application/json"].into_iter()));
        }
        let asked = self.query.first("hash");
        if let Some(hash) = asked.filter(|hash| !hash.is_empty() && *hash != document.mark) {
            tracing::debug!(hash, "an old document is asked for");
            let mut response = respond(301, "", Body::empty());
            let to = format!("/openapi/v3/{path}?hash={}", document.mark);
            if let Ok(to) = HeaderValue::from_str(&to) {
                response.headers_mut().insert(LOCATION, to);
            }
            return Ok(response);
        }
        let mut response = self.marked(&document.mark, "application/json", document.bytes);
        if asked.is_some_and(|hash| !hash.is_empty()) {
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        }
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        Ok(response)
    }

    /// Every path that is answered, as the root tells them.
    fn paths(&self) -> Result<Response<Body>> {
        let catalog = self.server.registry.catalog.load();
        let mut paths: Vec<String> =
            ["/.well-known/openid-configuration", "/api", "/apis", "/apis/", "/healthz", "/livez"]
                .into_iter()
                .chain([
                    "/metrics",
                    "/openapi/v2",
                    "/openapi/v3",
                    "/openapi/v3/",
                    "/openid/v1/jwks",
                    "/readyz",
                    "/version",
                ])
                .map(str::to_owned)
                .chain(self.server.health.paths())
                .collect();
        for group in groups(&catalog) {
            let root = if group.name.is_empty() { "/api".to_owned() } else { format!("/apis/{}", group.name) };
            paths.extend(group.versions.iter().map(|version| format!("{root}/{}", version.name)));
            paths.push(root);
        }
        paths.sort();
        paths.dedup();
        let _ = asked(self.head, &self.query);
        Ok(respond(200, "application/json", pretty(&json!({"paths": paths}))))
    }
}

/// The form in which aggregated discovery is accepted before the old documents.
fn aggregated_media(accept: &str) -> Option<Media> {
    accept.split(',').find_map(|clause| {
        let mut parts = clause.split(';').map(str::trim);
        let media = match parts.next()? {
            "application/json" => Media::Json,
            "application/vnd.kubernetes.protobuf" => Media::Protobuf,
            _ => return None,
        };
        let parameters: Vec<&str> = parts.collect();
        let wanted = ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"];
        wanted.iter().all(|p| parameters.contains(p)).then_some(media)
    })
}

/// Whether a group has resources that no definition made.
fn is_builtin(catalog: &Catalog, group: &str) -> bool {
    catalog.resources().iter().any(|resource| resource.kind.group == group && resource.shape.message().is_some())
}

fn resources(groups: &[Group<'_>], group: &str, version: &str) -> Option<Value> {
    let found = groups.iter().find(|known| known.name == group)?.versions.iter().find(|known| known.name == version)?;
    match &found.served {
        Served::Here(resources) => Some(legacy::resource_list(&GroupVersion::new(group, version), resources)),
        Served::Elsewhere { .. } => None,
    }
}

fn pretty(value: &Value) -> Bytes {
    crate::codec::answer::pretty::indented(value.to_string().as_bytes()).into()
}

fn not_found() -> Response<Body> {
    text(404, "404 page not found\n")
}
