//! The way of every request: who asks, may they, what is it about; then its handler, and its errors in the client's form.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::{HeaderValue, WARNING};
use http::{Request, Response, Version, request};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::audited::{self, AUDIT_ID, Recording};
use super::compress;
use super::documents::Documents;
use super::exchange::{Exchange, asked, failure, header, text};
use super::health::Health;
use super::listen::{Connection, Handler};
use super::metrics::Metrics;
use super::narrowed::Narrowed;
use super::options;
use super::query::Query;
use super::respond::Body;
use super::reviews::Tokens;
use super::route::{Route, Target, is_segment, route};
use super::seats::{self, Held, Located};
use crate::audit::spent::Layer;
use crate::auth::authenticator::{Authenticator, Proofs};
use crate::auth::authorizer::Target as Wanted;
use crate::auth::identity::User;
use crate::auth::impersonation::Impersonation;
use crate::fairness::gate::{self, Admission, Fairness, Marks};
use crate::model::gotext;
use crate::model::names::GroupVersionKind;
use crate::model::selector::field::FieldSelector;
use crate::model::status::{Result, Status};
use crate::registry::core::Registry;
use crate::registry::custom::objects as custom;
use crate::registry::options::ListOptions;
use crate::registry::request::{Address, Caller};
use crate::relay::outlet::Outlet;
use crate::schema::resource::Verbs;

/// Bytes of one warning that a client is shown, and of all of them together (stock's bounds).
const WARNING_BYTES: usize = 256;
const WARNINGS_BYTES: usize = 4096;
/// The annotation in the record of a request for what goes away some day.
const DEPRECATED: &str = "k8s.io/deprecated";

/// Bounds of one server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Answers shorter than this are not packed.
    pub gzip: usize,
    /// How long a request may take that neither watches nor streams.
    pub request: Duration,
    /// The least that a watch lives which does not say how long.
    pub watch: Duration,
    /// The chance that a request over HTTP/2 has its client open a new connection.
    pub goaway: f64,
}

/// The API server. Cheap to clone.
#[derive(Clone)]
pub struct Server(Arc<Parts>);

/// What it is made of.
pub struct Parts {
    pub registry: Registry,
    pub authenticator: Authenticator,
    pub impersonation: Impersonation,
    pub tokens: Tokens,
    pub documents: Documents,
    pub health: Health,
    pub metrics: Metrics,
    pub fairness: Fairness,
    pub outlet: Outlet,
    pub limits: Limits,
}

impl std::ops::Deref for Server {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Handler for Server {
    async fn handle(&self, connection: Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
        let started = self.registry.clock.instant();
        if request.version() == Version::HTTP_2 && self.registry.entropy.happens(self.limits.goaway) {
            connection.part();
        }
        let (mut head, body) = request.into_parts();
        let id = audited::id(&head.headers, &self.registry.entropy);
        let (verb, mut response) = self.respond(&connection, &mut head, body, (&id, started)).await;
        response.headers_mut().insert(AUDIT_ID, id);
        self.metrics.request(verb, response.status().as_u16(), self.registry.clock.instant() - started);
        response
    }
}

impl Server {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    async fn respond(
        &self,
        connection: &Connection,
        head: &mut request::Parts,
        body: Incoming,
        (id, arrived): (&HeaderValue, Instant),
    ) -> (&'static str, Response<Body>) {
        let uri = head.uri.clone();
        let query = Query::parse(uri.query().unwrap_or(""));
        let Some(route) = route(&head.method, uri.path(), uri.query()) else {
            return ("", text(400, "400 Bad Request"));
        };
        let verb = match &route {
            Route::Resource(target) => target.verb,
            Route::Other { verb, .. } => verb,
        };
        let narrowed = Narrowed::of(&route, &query);
        let limit = match options::limit(&route, &query, self.limits.request) {
            Ok(limit) => limit,
            Err(status) => {
                let nobody = User::nobody();
                let asked_for = narrowed.attributes(&nobody, &route);
                let record = audited::begin(&self.registry, &asked_for, id, head, connection.remote.ip());
                return (verb, audited::unauthenticated(record, failure(&status, asked(head, &query))).await);
            }
        };
        let clock = &self.registry.clock;
        let located = Arc::new(Located { uri: uri.clone(), route, narrowed, arrived, limit });
        let mut record = None;
        let caller = match self.identify(connection, head, &located, (id, &mut record)).await {
            Ok(caller) => caller,
            Err(Refused::Unknown) => {
                let response = failure(&Status::unauthorized(), asked(head, &query));
                return (verb, audited::unauthenticated(record, response).await);
            }
            Err(Refused::Unrecorded) => {
                let response = text(500, internal(&located.uri, "failed to store audit event"));
                return (verb, audited::answered(record, clock, response).await);
            }
            Err(Refused::Status(status)) => {
                return (verb, audited::answered(record, clock, failure(&status, asked(head, &query))).await);
            }
        };
        let (marks, mut response) = self.admit(connection, head, &located, query, body, (caller, record)).await;
        if let Some(marks) = marks {
            marks.put(response.headers_mut());
        }
        (verb, response)
    }

    /// The answer for somebody who is known, if they may ask for this at all, once there is a seat for them.
    async fn admit(
        &self,
        connection: &Connection,
        head: &request::Parts,
        located: &Arc<Located>,
        query: Query<'_>,
        body: Incoming,
        (mut caller, record): (Caller, Recording),
    ) -> (Option<Marks>, Response<Body>) {
        let (user, route) = (caller.user.clone(), &located.route);
        let attributes = located.narrowed.attributes(&user, route);
        let (mut marks, mut held, clock) = (None, Held::default(), &self.registry.clock);
        let mut begun = clock.instant();
        if seats::needs_seat(route) {
            let (arrived, limit) = (located.arrived, located.limit.unwrap_or(self.limits.request));
            let asked = gate::Asked { attributes, listing: seats::listing(route, &query), arrived, limit };
            let Admission { marks: by, seat } = self.fairness.enter(&asked, || located.told()).await;
            marks = by;
            let entered = clock.instant();
            audited::took(&record, Layer::Queue, entered - begun);
            begun = entered;
            match seat {
                Ok(seat) => held.seat = seat,
                Err(refused) => return (marks, audited::answered(record, clock, seats::refuse(refused)).await),
            }
        }
        let verdict = self.registry.authorizer.authorize(&attributes).await;
        let took = clock.instant() - begun;
        self.authenticator.metrics.authorized(&verdict, took);
        audited::took(&record, Layer::Authorization, took);
        caller.annotations.decided(&verdict);
        if !verdict.is_allowed() {
            let refused = match &verdict.error {
                Some(why) => text(500, internal(&located.uri, why)),
                None => failure(&attributes.forbidden(&verdict.reason.to_string()), asked(head, &query)),
            };
            return (marks, audited::answered(record, clock, refused).await);
        }
        if let ("watch", Wanted::Resource(resource)) = (attributes.verb, &attributes.target) {
            held.watching = self.fairness.watch(resource);
        }
        caller.agent = header(head, "user-agent").into();
        let exchange = Exchange { server: self, head, query, body: Some(body), caller, record, held };
        let limit = located.limit.unwrap_or(Duration::from_secs(u32::MAX.into()));
        (marks, exchange.serve(connection, route, located.arrived + limit).await)
    }

    /// Who asks, and whom they stand for. The record begins as soon as the first is known.
    async fn identify(
        &self,
        connection: &Connection,
        head: &mut request::Parts,
        located: &Located,
        (id, record): (&HeaderValue, &mut Recording),
    ) -> std::result::Result<Caller, Refused> {
        let (path, version) = (head.uri.path().to_owned(), head.version);
        let proofs = Proofs { headers: &mut head.headers, path: &path, peer: Some(&connection.peer) };
        let (clock, begun) = (&self.registry.clock, self.registry.clock.instant());
        let accepted = self.authenticator.authenticate(proofs).await;
        let took = clock.instant() - begun;
        self.authenticator.count(&accepted, took);
        let (mut user, notes) = match &accepted {
            Ok(accepted) => (accepted.user.clone(), accepted.notes.as_deref()),
            Err(_) => (User::nobody(), None),
        };
        let asked = located.narrowed.attributes(&user, &located.route);
        // Streams are dear: whoever nobody knows gets one request a connection (CVE-2023-44487, CVE-2023-39325).
        if (accepted.is_err() || user.is_anonymous()) && version == Version::HTTP_2 {
            connection.part();
        }
        *record = audited::begin(&self.registry, &asked, id, head, connection.remote.ip());
        audited::took(record, Layer::Authentication, took);
        if let Err(why) = &accepted {
            tracing::debug!(why = why.why, "unauthenticated");
            return Err(Refused::Unknown);
        }
        let annotations =
            audited::received(record, seats::is_long(&located.route), notes).await.ok_or(Refused::Unrecorded)?;
        let authorizer = &self.registry.authorizer;
        let begun = clock.instant();
        if let Some(other) = self.impersonation.check(&mut head.headers, &asked, authorizer).await? {
            audited::took(record, Layer::Impersonation, clock.instant() - begun);
            audited::impersonated(record, &other);
            user = other.user;
        }
        let mut caller = Caller { annotations, ..Caller::new(user, "") };
        notes.into_iter().flat_map(|notes| &notes.warnings).for_each(|warning| caller.warn(warning.as_str()));
        Ok(caller)
    }
}

/// Why nobody is let further.
enum Refused {
    /// Nobody knows who asks.
    Unknown,
    /// What must be recorded and cannot be.
    Unrecorded,
    Status(Box<Status>),
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// What the client is told when the server cannot find out whether it may, or may not go on.
fn internal(uri: &http::Uri, why: &str) -> String {
    let asked = gotext::quote(uri.path_and_query().map_or("", |path| path.as_str()));
    let text = format!("Internal Server Error: {asked}: {why}\n");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Adds what the caller is warned of (RFC 7234, code 299), within bounds.
fn warn(response: &mut Response<Body>, caller: &Caller) {
    let mut left = WARNINGS_BYTES;
    let total: usize = caller.warnings.iter().map(|text| text.len()).sum();
    for text in &caller.warnings {
        let bound = if total > WARNINGS_BYTES { WARNING_BYTES } else { text.len() };
        let mut text = text.as_str();
        while text.len() > bound || !text.is_char_boundary(text.len()) {
            text = &text[..text.char_indices().next_back().map_or(0, |(at, _)| at)];
        }
        if text.len() > left {
            break;
        }
        left -= text.len();
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// What every request for a resource is warned of that goes away some day.
fn deprecation(kind: &GroupVersionKind) -> Option<&'static str> {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Endpoints") => Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
        ("", "ComponentStatus") => Some("v1 ComponentStatus is deprecated in v1.19+"),
        _ => None,
    }
}

async fn dispatch(exchange: &mut Exchange<'_>, connection: &Connection, route: &Route) -> Result<Response<Body>> {
    match route {
        Route::Other { path, .. } => exchange.document(path).await,
        Route::Resource(target) => exchange.resource(target, connection).await,
    }
}

impl Exchange<'_> {
    /// The answer, or what stands for it when there is none by the deadline.
    async fn serve(mut self, connection: &Connection, route: &Route, deadline: Instant) -> Response<Body> {
        let dispatched = AssertUnwindSafe(dispatch(&mut self, connection, route)).catch_unwind();
        let mut response = match tokio::time::timeout_at(deadline, dispatched).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(status))) => failure(&status, self.asked()),
            Ok(Err(why)) => return audited::panicked(self.record, self.head, why).await,
            Err(_) => failure(
                &Status::timeout("request did not complete within requested timeout - context deadline exceeded", 0),
                self.asked(),
            ),
        };
        warn(&mut response, &self.caller);
        let response =
            seats::hold(audited::answered(self.record, &self.server.registry.clock, response).await, self.held);
        compress::answer(response, self.head, self.server.limits.gzip)
    }

    async fn resource(&mut self, target: &Target, connection: &Connection) -> Result<Response<Body>> {
        let catalog = self.server.registry.catalog.load();
        let Some(resource) = catalog.find(&target.group, &target.version, &target.resource) else {
            return self.unknown(target, &catalog);
        };
        let scoped = !target.namespace.is_empty() && target.resource != "namespaces";
        let misplaced = if resource.namespaced {
            !scoped
                && (!target.name.is_empty() || !matches!(target.verb, "list" | "watch" | "create" | "deletecollection"))
        } else {
            scoped
        };
        if misplaced || !is_segment(&target.name) || !is_segment(&target.namespace) {
            return Err(Status::no_such_resource());
        }
        if let Some(text) = deprecation(&resource.kind) {
            self.caller.warn(text);
            self.caller.annotations.add(DEPRECATED, "true");
        }
        let mut at = Address::new(resource, if resource.namespaced { &target.namespace } else { "" }, &target.name);
        at.subresource = target.subresource.clone();
        if let Some(warning) = custom::definition(resource).and_then(|definition| definition.deprecation.as_ref()) {
            self.caller.warn(warning.as_str());
            self.caller.annotations.add(DEPRECATED, "true");
        }
        if !target.subresource.is_empty() {
            return self.subresource(&at, target, connection).await;
        }
        if custom::definition(resource).is_some() {
            return self.custom(&at, target, connection).await;
        }
        let verb = Verbs::parse(target.verb).filter(|verb| resource.verbs.contains(*verb));
        let to_all = resource.namespaced && !scoped && !matches!(target.verb, "list" | "watch");
        if verb.is_none() || to_all && !(target.verb == "create" && resource.storage.is_none()) {
            return Err(Status::method_not_allowed_here());
        }
        if resource.storage.is_none() {
            return self.review(&at).await;
        }
        let of_one = matches!(target.verb, "get" | "update" | "patch" | "delete");
        if of_one && target.name.is_empty() {
            return Err(Status::method_not_allowed_here());
        }
        match target.verb {
            "get" => self.get(&at).await,
            "list" => self.list(&at).await,
            "watch" => self.watch(&at, connection.draining.clone()).await,
            "create" if !target.name.is_empty() => Err(Status::method_not_allowed_here()),
            "create" => self.create(&at).await,
            "update" => self.update(&at).await,
            "patch" => self.patch(&at).await,
            "delete" => self.delete(&at).await,
            "deletecollection" => self.delete_collection(&at).await,
            _ => Err(Status::method_not_allowed_here()),
        }
    }

    /// Stock's handler of custom resources looks less closely at the path than that of the built-in ones.
    async fn custom(&mut self, at: &Address, target: &Target, connection: &Connection) -> Result<Response<Body>> {
        let named = !target.name.is_empty();
        let to_all = at.resource.namespaced && at.namespace.is_empty();
        match target.verb {
            "get" | "update" | "patch" | "delete" if !named => Err(Status::bad_request("name must be provided")),
            "create" | "deletecollection" if to_all => Err(Status::method_not_allowed(&at.resource.name, target.verb)),
            "create" => self.create(&Address { name: Default::default(), ..at.clone() }).await,
            "get" => self.get(at).await,
            "list" => self.list(at).await,
            "watch" => self.watch(at, connection.draining.clone()).await,
            "update" => self.update(at).await,
            "patch" => self.patch(at).await,
            "delete" => self.delete(at).await,
            "deletecollection" => self.delete_collection(at).await,
            verb => Err(Status::method_not_allowed(&at.resource.name, verb)),
        }
    }

    /// A list or watch at an object's path is of that object alone.
    pub fn narrow(&self, mut options: ListOptions, at: &Address) -> Result<ListOptions> {
        if at.name.is_empty() {
            return Ok(options);
        }
        if let Some(other) = options.fields.exact_match("metadata.name")
            && other != at.name
        {
            return Err(Status::bad_request("field selector does not match the name of the request"));
        }
        options.fields = FieldSelector::parse(&format!("metadata.name={}", at.name)).map_err(Status::bad_request)?;
        Ok(options)
    }

    /// No such resource: a Status below a group that is served, plain text elsewhere.
    fn unknown(&self, target: &Target, catalog: &crate::schema::catalog::Catalog) -> Result<Response<Body>> {
        let known = catalog.resources().iter().any(|r| r.kind.group == target.group && r.shape.message().is_some());
        if known { Err(Status::no_such_resource()) } else { Ok(text(404, "404 page not found\n")) }
    }
}
