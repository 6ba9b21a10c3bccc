//! Requests to a server: objects as sparse JSON values here, Kubernetes protobuf on the wire.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;

use super::access::Access;
use super::connection::Connection;
use super::error::{RemoteError, Result};
use super::watch::Watch;
use crate::codec::protobuf::encode::encode;
use crate::codec::protobuf::envelope::{Envelope, wrap};
use crate::codec::protobuf::tree::to_value;
use crate::model::names::GroupResource;
use crate::model::value::{Value, json};
use crate::registry::client::Target;
use crate::schema::catalog::Catalog;
use crate::schema::resource::{Resource, Shape};
use crate::schema::table::{APIMACHINERY_PKG_APIS_META_V1_STATUS, Message};

/// How long a request may take that does not watch.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer that is not a watch.
const ANSWER: usize = 64 << 20;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const WATCHED: &str = "application/vnd.kubernetes.protobuf;stream=watch";
const JSON: &str = "application/json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// A server's built-in resources, in their preferred versions, as one user. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    connection: Arc<Connection>,
    catalog: Arc<Catalog>,
}

impl Api {
    /// Nothing is sent yet. `agent` begins the name of the field manager.
    pub fn new(access: &Access, catalog: &Arc<Catalog>, agent: &'static str) -> Result<Self> {
        Ok(Self { connection: Arc::new(Connection::new(access, agent)?), catalog: catalog.clone() })
    }

    pub async fn get(&self, target: Target<'_>) -> Result<Value> {
        let place = self.place(target)?;
        let answer = self.ask(Method::GET, &place.item(), JSON, Bytes::new()).await?;
        self.object(&answer, place.message)
    }

    pub async fn create(&self, target: Target<'_>, object: &Value) -> Result<Value> {
        let place = self.place(target)?;
        let body = self.body(&place, object)?;
        let answer = self.ask(Method::POST, &place.folder(), PROTOBUF, body).await?;
        self.object(&answer, place.message)
    }

    pub async fn update(&self, target: Target<'_>, object: &Value) -> Result<Value> {
        let place = self.place(target)?;
        let body = self.body(&place, object)?;
        let answer = self.ask(Method::PUT, &place.item(), PROTOBUF, body).await?;
        self.object(&answer, place.message)
    }

    /// A strategic merge patch. The object that it makes is not read.
    pub async fn strategic(&self, target: Target<'_>, patch: &Value) -> Result<()> {
        let place = self.place(target)?;
        self.ask(Method::PATCH, &place.item(), STRATEGIC, patch.to_string().into()).await.map(|_| ())
    }

    /// Deletes the object that has this UID, after `grace` seconds.
    pub async fn delete(&self, target: Target<'_>, uid: &str, grace: i64) -> Result<()> {
        let place = self.place(target)?;
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": grace,
            "preconditions": {"uid": uid}});
        self.ask(Method::DELETE, &place.item(), JSON, options.to_string().into()).await.map(|_| ())
    }

    /// The objects that `fields` (a field selector) selects as they are now, then their changes.
    pub async fn watch(&self, target: Target<'_>, fields: &str) -> Result<Watch> {
        let place = self.place(target)?;
        let path = format!(
            "{}?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
             &fieldSelector={}",
            place.folder(),
            escaped(fields)
        );
        let request = request(Method::GET, WATCHED, JSON, Bytes::new());
        let sent = tokio::time::timeout(PATIENCE, self.connection.send(&path, request)).await;
        let answer = sent.map_err(|_| self.connection.unreachable(&"no answer in time"))??;
        if answer.status().is_success() {
            return Ok(Watch::new(answer.into_body(), self.connection.clone(), place.message));
        }
        let code = answer.status().as_u16();
        Err(self.refusal(code, &self.whole(answer).await?))
    }

    fn place<'a>(&self, target: Target<'a>) -> Result<Place<'a>> {
        let name = GroupResource::new(target.group, target.resource);
        let resource = self.catalog.preferred(&name).cloned();
        let message = resource.as_ref().and_then(|resource| match resource.shape {
            Shape::Builtin(message) => Some(message),
            Shape::Custom(_) => None,
        });
        match (resource, message) {
            (Some(resource), Some(message)) => Ok(Place { target, resource, message }),
            _ => Err(RemoteError::Access(format!("no built-in resource {}", target.resource))),
        }
    }

    fn body(&self, place: &Place<'_>, object: &Value) -> Result<Bytes> {
        let raw = encode(object, place.message).map_err(|why| self.connection.malformed(&format!("{why:?}")))?;
        let kind = &place.resource.kind;
        Ok(wrap(&kind.group_version().to_string(), &kind.kind, &raw))
    }

    async fn ask(&self, method: Method, path: &str, content: &'static str, body: Bytes) -> Result<Bytes> {
        let request = request(method, PROTOBUF, content, body);
        let asked = tokio::time::timeout(PATIENCE, async {
            let answer = self.connection.send(path, request).await?;
            Ok((answer.status(), self.whole(answer).await?))
        });
        let (status, body) = asked.await.map_err(|_| self.connection.unreachable(&"no answer in time"))??;
        if status.is_success() { Ok(body) } else { Err(self.refusal(status.as_u16(), &body)) }
    }

    async fn whole(&self, answer: Response<Incoming>) -> Result<Bytes> {
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        body.map(|body| body.to_bytes()).map_err(|why| self.connection.unreachable(&why))
    }

    fn refusal(&self, code: u16, body: &[u8]) -> RemoteError {
        let status = self.object(body, &APIMACHINERY_PKG_APIS_META_V1_STATUS);
        RemoteError::refused(code, &status.or_else(|_| self.json(body)).unwrap_or_default())
    }

    fn object(&self, body: &[u8], message: &'static Message) -> Result<Value> {
        read(body, message).map_err(|why| self.connection.malformed(&why))
    }

    /// What is asked before authentication is refused in JSON.
    fn json(&self, body: &[u8]) -> Result<Value> {
        serde_json::from_slice(body).map_err(|why| self.connection.malformed(&why))
    }
}

/// An object within its envelope.
pub(super) fn read(body: &[u8], message: &'static Message) -> std::result::Result<Value, String> {
    let malformed = |why| format!("an answer that is no Kubernetes protobuf: {why:?}");
    to_value(Envelope::parse(body).map_err(malformed)?.raw, message).map_err(malformed)
}

/// A target and what is known of its resource.
struct Place<'a> {
    target: Target<'a>,
    resource: Arc<Resource>,
    message: &'static Message,
}

impl Place<'_> {
    /// The path of all objects.
    fn folder(&self) -> String {
        let kind = &self.resource.kind;
        let root = if kind.group.is_empty() { "/api" } else { "/apis" };
        let (namespace, resource) = (self.target.namespace, self.target.resource);
        let place = if namespace.is_empty() { String::new() } else { format!("/namespaces/{}", escaped(namespace)) };
        format!("{root}/{}{place}/{resource}", kind.group_version())
    }

    /// The path of the object, or of a part of it.
    fn item(&self) -> String {
        let mut path = format!("{}/{}", self.folder(), escaped(self.target.name));
        if !self.target.subresource.is_empty() {
            path.push('/');
            path.push_str(self.target.subresource);
        }
        path
    }
}

fn request(method: Method, accept: &'static str, content: &'static str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
    request
}

/// As it may stand in a path or in a query.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            let written = write!(out, "%{byte:02X}");
            assert!(written.is_ok(), "a string takes every write");
        }
    }
    out
}
