//! `exec`, `attach` and `portforward`: which stream is asked for, and the connection that becomes it.

use std::future::Future;
use std::time::Duration;

use http::header::{HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use super::backends::undialled;
use super::exchange::{Exchange, text};
use super::listen::Connection;
use super::query::{Query, is_true};
use super::respond::Body;
use super::route::Target;
use crate::audit::event::Answer;
use crate::auth::authorizer::{Attributes, Resource as Asked, Target as Wanted};
use crate::model::status::{Result, Status};
use crate::model::value::{Map, Value, json};
use crate::registry::request::Address;
use crate::relay::dial::Place;
use crate::relay::exec::{self, Channels, Client};
use crate::relay::location::{query, with_query};
use crate::relay::outlet::{Outlet, Room};
use crate::relay::pass::Arriving;
use crate::relay::tunnel::{self, Tunnel};
use crate::relay::upgrade::{self, Outcome};
use crate::relay::{headers, pipe, target, websocket};

const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const SPDY: &str = "SPDY/3.1";
/// How long a connection may take to become a stream once that is agreed.
const SWITCHING: Duration = Duration::from_secs(10);
/// Bytes of what a kubelet says when it does not agree.
const REFUSAL: usize = 32 << 10;

/// What is asked for, as admission sees it.
struct Options {
    container: String,
    channels: Channels,
    command: Vec<String>,
    ports: Vec<i64>,
}

/// Where a stream goes to.
pub struct Backend {
    pub place: Place,
    /// With its query.
    pub path: String,
}

type Upgrade = TokioIo<Upgraded>;

impl Exchange<'_> {
    /// `pods/NAME/exec`, `attach` or `portforward`.
    pub async fn stream(&mut self, at: &Address, asked: &Target, connection: &Connection) -> Result<Response<Body>> {
        let sort = at.subresource.as_str();
        self.refuse_dry_run()?;
        let options = Options::read(&self.query, sort)?;
        let registry = self.server.registry.clone();
        registry.admit_connection(&mut self.caller, at, &mut options.to_value(sort)).await?;
        self.may_create(at, asked).await?;
        let pod = self.object_of("pods", &at.namespace, &at.name).await?;
        let container = match sort {
            "portforward" => String::new(),
            _ => format!("/{}", target::container(&pod, &options.container)?),
        };
        let unscheduled = || Status::bad_request(format!("pod {} does not have a host assigned", at.name));
        let kubelet = self.kubelet_of(&pod).await?.ok_or_else(unscheduled)?;
        let folder = if sort == "portforward" { "portForward" } else { sort };
        let path = with_query(format!("/{folder}/{}/{}{container}", at.namespace, at.name), &options.params());
        let backend = Backend { place: kubelet.place, path };
        let offered = headers::websocket_protocols(self.head).filter(|_| !kubelet.speaks_websocket);
        let offered = offered.unwrap_or_default();
        let carried = tunnel::carried(&offered);
        match sort {
            "portforward" if !carried.is_empty() => {
                let carried = carried.join(", ");
                self.tunnel(backend, &carried, connection).await
            }
            "exec" | "attach" if offered.contains(&exec::PROTOCOL) => {
                self.translate(backend, options.channels, connection).await
            }
            _ if headers::upgrade(self.head).is_some() => self.upgrade(backend, connection).await,
            _ => Err(Status::bad_request("Upgrade request required")),
        }
    }

    pub fn refuse_dry_run(&self) -> Result<()> {
        match self.query.has("dryRun") {
            true => Err(Status::bad_request("dryRun is not supported")),
            false => Ok(()),
        }
    }

    /// Whoever begins a stream by GET must be allowed what POST is.
    async fn may_create(&self, at: &Address, asked: &Target) -> Result<()> {
        if asked.verb == "create" {
            return Ok(());
        }
        let resource = Asked {
            group: &asked.group,
            version: &asked.version,
            resource: &asked.resource,
            subresource: &asked.subresource,
            namespace: &asked.namespace,
            name: &asked.name,
            ..Asked::default()
        };
        let user = &self.caller.user;
        let attributes = Attributes { user, verb: "create", target: Wanted::Resource(resource) };
        let verdict = self.server.registry.authorizer.authorize(&attributes).await;
        match &verdict.error {
            _ if verdict.is_allowed() => Ok(()),
            Some(why) => Err(Status::unknown(why.to_string())),
            None => Err(Status::forbidden(&at.resource.name, &at.name, &verdict.reason)),
        }
    }

    /// Asks the backend for the stream that the client asks for, and passes on what both say.
    pub async fn upgrade(&mut self, backend: Backend, connection: &Connection) -> Result<Response<Body>> {
        let room = room(&self.server.outlet)?;
        let protocol = headers::upgrade(self.head).unwrap_or("").to_owned();
        let wire = self.dial(&backend.place).await?;
        let headers = self.outward(connection);
        let asked = upgrade::ask(wire, self.head.method.clone(), &backend.path, headers, &protocol).await;
        match asked.map_err(|failure| Status::unknown(failure.to_string()))? {
            Outcome::Answered(response) => Ok(relayed(response)),
            Outcome::Agreed(mut agreed, stream) => {
                headers::homeward(&mut agreed);
                headers::set_upgrade(&mut agreed, &header(&protocol)?);
                let work = |client: Upgrade| async move { joined(pipe::join(client, stream, pipe::SILENCE).await) };
                self.switch(connection, agreed, room, work).await
            }
        }
    }

    /// SPDY within WebSocket.
    async fn tunnel(&mut self, backend: Backend, carried: &str, connection: &Connection) -> Result<Response<Body>> {
        let room = room(&self.server.outlet)?;
        let wire = self.dial(&backend.place).await?;
        let mut headers = self.outward(connection);
        let of_websocket: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with("sec-websocket-")).cloned().collect();
        of_websocket.into_iter().for_each(|name| drop(headers.remove(name)));
        headers.insert(STREAM_PROTOCOL, header(carried)?);
        let asked = upgrade::ask(wire, Method::POST, &backend.path, headers, SPDY).await;
        match asked.map_err(|failure| Status::unknown(failure.to_string()))? {
            Outcome::Answered(response) => Ok(relayed(response)),
            Outcome::Agreed(agreed, stream) => {
                let chosen = agreed.get(STREAM_PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or("");
                let agreed = websocket::agree(&self.head.headers, &tunnel::protocol(chosen.trim()));
                let Ok(agreed) = agreed else { return Ok(text(400, "Bad Request\n")) };
                let work = |client: Upgrade| async move {
                    let client = Tunnel::new(websocket::serve(client).await);
                    joined(pipe::join(client, stream, pipe::SILENCE).await);
                };
                self.switch(connection, agreed, room, work).await
            }
        }
    }

    /// A command's channels in WebSocket, for a kubelet that speaks SPDY. The client is agreed with first: it hears on the
    /// error channel why nothing comes of it.
    async fn translate(
        &mut self,
        backend: Backend,
        channels: Channels,
        connection: &Connection,
    ) -> Result<Response<Body>> {
        let room = room(&self.server.outlet)?;
        let agreed = match websocket::agree(&self.head.headers, exec::PROTOCOL) {
            Ok(agreed) => agreed,
            Err(why) => return Ok(text(400, format!("{why}\n"))),
        };
        let outlet = self.server.outlet.clone();
        let work = move |client: Upgrade| async move {
            let Some(client) = Client::greet(websocket::serve(client).await, channels).await else { return };
            match command(&outlet, &backend).await {
                Ok(stream) => client.run(stream, pipe::SILENCE.open).await,
                Err(why) => client.fail(why).await,
            }
        };
        self.switch(connection, agreed, room, work).await
    }

    /// The headers that go to the backend.
    pub fn outward(&self, connection: &Connection) -> HeaderMap {
        let mut headers = headers::outward(&self.head.headers, connection.remote.ip());
        if !headers.contains_key(HOST)
            && let Some(authority) = self.head.uri.authority()
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            headers.insert(HOST, host);
        }
        headers.remove(http::header::CONTENT_LENGTH);
        headers
    }

    /// The answer after which the connection is a stream, served by `work` until its end or the server's.
    pub(super) async fn switch<F>(
        &mut self,
        connection: &Connection,
        agreed: HeaderMap,
        room: Room,
        work: impl FnOnce(Upgrade) -> F + Send + 'static,
    ) -> Result<Response<Body>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let pending = self.head.extensions.get::<OnUpgrade>().cloned();
        let pending = pending.ok_or_else(|| Status::bad_request("Upgrade request required"))?;
        let mut record = self.record.take();
        if let Some(record) = &mut record {
            record.answered(Answer::new(StatusCode::SWITCHING_PROTOCOLS.as_u16())).await;
        }
        let draining = connection.draining.clone();
        tokio::spawn(async move {
            let _room = room;
            let serving = async {
                if let Ok(Ok(client)) = tokio::time::timeout(SWITCHING, pending).await {
                    work(TokioIo::new(client)).await;
                }
            };
            tokio::select! {
                () = draining.cancelled() => {}
                () = serving => {}
            }
            if let Some(record) = record {
                record.complete().await;
            }
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = agreed;
        Ok(response)
    }
}

/// A backend's own answer.
pub fn relayed(response: Response<Arriving>) -> Response<Body> {
    let (head, body) = response.into_parts();
    relayed_as(head, Body::Relayed(Box::pin(body)))
}

/// The same with this body.
pub fn relayed_as(head: http::response::Parts, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    headers::homeward(response.headers_mut());
    response
}

/// The stream of a command, from a kubelet that speaks SPDY.
async fn command(outlet: &Outlet, backend: &Backend) -> Result<Upgrade> {
    let wire = outlet.dialer.connect(&backend.place).await.map_err(undialled)?;
    let mut headers = HeaderMap::new();
    headers.insert(HOST, header(&backend.place.to_string())?);
    for protocol in exec::BACKEND_PROTOCOLS {
        headers.append(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
    }
    let asked = upgrade::ask(wire, Method::POST, &backend.path, headers, SPDY).await;
    let refused = |why: &str| Status::internal(format!("unable to upgrade connection: {why}"));
    match asked.map_err(Status::internal)? {
        Outcome::Agreed(agreed, stream) => {
            let chosen = agreed.get(STREAM_PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or("");
            match exec::BACKEND_PROTOCOLS.contains(&chosen) {
                true => Ok(stream),
                false => Err(refused("unable to negotiate protocol")),
            }
        }
        Outcome::Answered(response) => {
            let said = response.into_body().beginning(REFUSAL).await.unwrap_or_default();
            Err(refused(String::from_utf8_lossy(&said).trim_end()))
        }
    }
}

pub(super) fn room(outlet: &Outlet) -> Result<Room> {
    outlet.room().ok_or_else(|| Status::too_many_requests("too many streams, please try again later", 1))
}

fn joined(result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a stream broke off");
    }
}

fn header(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Status::bad_request("a protocol that is no header"))
}

impl Options {
    fn read(query: &Query<'_>, sort: &str) -> Result<Self> {
        let on = |key: &str| query.first(key).is_some_and(is_true);
        let channels = Channels { stdin: on("stdin"), stdout: on("stdout"), stderr: on("stderr"), tty: on("tty") };
        let number = |text: &str| match text.parse::<i32>() {
            Ok(number) => Ok(i64::from(number)),
            Err(_) => Err(Status::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))),
        };
        let ports: Result<Vec<i64>> = query.all("ports").map(number).collect();
        Ok(Self {
            container: query.first("container").unwrap_or("").to_owned(),
            channels,
            command: if sort == "exec" { query.all("command").map(str::to_owned).collect() } else { Vec::new() },
            ports: if sort == "portforward" { ports? } else { Vec::new() },
        })
    }

    fn to_value(&self, sort: &str) -> Value {
        let mut value = Map::new();
        let kind = match sort {
            "exec" => "PodExecOptions",
            "attach" => "PodAttachOptions",
            _ => "PodPortForwardOptions",
        };
        value.insert("kind".into(), kind.into());
        value.insert("apiVersion".into(), "v1".into());
        if sort == "portforward" {
            if !self.ports.is_empty() {
                value.insert("ports".into(), json!(self.ports));
            }
            return Value::Object(value);
        }
        let Channels { stdin, stdout, stderr, tty } = self.channels;
        for (name, on) in [("stdin", stdin), ("stdout", stdout), ("stderr", stderr), ("tty", tty)] {
            if on {
                value.insert(name.into(), true.into());
            }
        }
        if !self.container.is_empty() {
            value.insert("container".into(), self.container.as_str().into());
        }
        if !self.command.is_empty() {
            value.insert("command".into(), json!(self.command));
        }
        Value::Object(value)
    }

    /// What the kubelet is told.
    fn params(&self) -> String {
        let Channels { stdin, stdout, stderr, tty } = self.channels;
        let mut pairs: Vec<(&str, String)> = self.command.iter().map(|word| ("command", word.clone())).collect();
        for (name, on) in [("error", stderr), ("input", stdin), ("output", stdout)] {
            if on {
                pairs.push((name, "1".into()));
            }
        }
        if !self.ports.is_empty() {
            let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
            pairs.push(("port", ports.join(",")));
        }
        if tty {
            pairs.push(("tty", "1".into()));
        }
        query(&pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelet_is_told_what_is_asked_for() {
        let read = |sort: &str, text: &str| Options::read(&Query::parse(text), sort);
        let exec =
            read("exec", "stdin=true&stdout=1&stderr=false&tty=&command=sh&command=-c&command=a%20%26b&container=c");
        let exec = exec.expect("options");
        assert_eq!(exec.params(), "command=sh&command=-c&command=a+%26b&input=1&output=1&tty=1");
        let shown = json!({"kind": "PodExecOptions", "apiVersion": "v1", "stdin": true, "stdout": true, "tty": true,
            "container": "c", "command": ["sh", "-c", "a &b"]});
        assert_eq!(exec.to_value("exec"), shown);
        let forward = read("portforward", "ports=80&ports=443").expect("options");
        assert_eq!(forward.params(), "port=80%2C443");
        assert_eq!(forward.to_value("portforward")["ports"], json!([80, 443]));
        assert_eq!(read("portforward", "").expect("options").params(), "");
        assert_eq!(read("portforward", "ports=x").err().map(|status| status.code), Some(400));
    }
}
