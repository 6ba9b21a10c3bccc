//! `pods/NAME/log`: what a container has written, from its kubelet, for as long as it is followed.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{HOST, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Empty;

use super::exchange::{Exchange, respond, text as plain};
use super::listen::Connection;
use super::options::number;
use super::query::{Query, is_true};
use super::respond::Body;
use super::streams;
use crate::codec::negotiate::accept::Offer;
use crate::model::field::{FieldError, Path};
use crate::model::names::{GroupResource, GroupVersionKind};
use crate::model::pod::text;
use crate::model::status::{Details, Result, Status};
use crate::model::time::Time;
use crate::registry::request::Address;
use crate::relay::dial::{Place, Trust};
use crate::relay::guard::Refused;
use crate::relay::location::{query, with_query};
use crate::relay::pass::{self, Arriving};
use crate::relay::{headers, reader, target, websocket};

/// Bytes of what a kubelet says when it has no log.
const REFUSAL: usize = 50_000;

/// What is asked for.
#[derive(Debug, Default)]
struct Options {
    container: String,
    follow: bool,
    previous: bool,
    timestamps: bool,
    any_kubelet: bool,
    since_seconds: Option<i64>,
    since_time: Option<Time>,
    tail_lines: Option<i64>,
    limit_bytes: Option<i64>,
    stream: Option<String>,
}

impl Exchange<'_> {
    pub async fn log(&mut self, at: &Address, connection: &Connection) -> Result<Response<Body>> {
        self.style(Offer::default())?;
        let options = Options::read(&self.query)?;
        let errors = options.validate();
        if !errors.is_empty() {
            return Err(Status::invalid(&GroupVersionKind::new("", "v1", "PodLogOptions"), &at.name, &errors));
        }
        let pod = self.object_of("pods", &at.namespace, &at.name).await?;
        let container = target::container(&pod, &options.container)?;
        let Some(kubelet) = self.kubelet_of(&pod).await? else {
            let mut nothing = Response::new(Body::empty());
            *nothing.status_mut() = StatusCode::NO_CONTENT;
            return Ok(nothing);
        };
        let mut place = kubelet.place;
        if options.any_kubelet {
            place.trust = Trust::AnyKubelet;
        }
        let name = text(&pod["metadata"], "name");
        let path = format!("/containerLogs/{}/{name}/{container}", at.namespace);
        let path = with_query(path, &options.params());
        let body = self.fetch(&place, &path, name).await?;
        if let Some(offered) = headers::websocket_protocols(self.head) {
            return self.read_out(body, &offered, connection).await;
        }
        // What broke off is told nobody, as stock does: the log goes on elsewhere.
        let whole = body.take_while(|piece| std::future::ready(piece.is_ok()));
        let pieces = whole.filter_map(|piece| std::future::ready(piece.ok()));
        Ok(respond(200, "text/plain", Body::Stream(Box::pin(pieces))))
    }

    /// The log in messages of a WebSocket.
    async fn read_out(&mut self, log: Arriving, offered: &[&str], connection: &Connection) -> Result<Response<Body>> {
        let Some((protocol, form)) = reader::choose(offered) else {
            let why = format!("requested protocol(s) are not supported: [{}]", offered.join(" "));
            return Ok(plain(403, why));
        };
        let agreed = match websocket::agree(&self.head.headers, protocol) {
            Ok(agreed) => agreed,
            Err(why) => return Ok(plain(400, format!("{why}\n"))),
        };
        let room = streams::room(&self.server.outlet)?;
        let work = move |client| async move { reader::tell(websocket::serve(client).await, log, form).await };
        self.switch(connection, agreed, room, work).await
    }

    /// What the kubelet has there.
    async fn fetch(&self, place: &Place, path: &str, name: &str) -> Result<Arriving> {
        let url = format!("{}://{place}{path}", place.scheme());
        let failed = |why: &dyn std::fmt::Display| Status::unknown(format!("Get \"{url}\": {why}"));
        let wire = match self.server.outlet.dialer.connect(place).await {
            Ok(wire) => wire,
            Err(refused @ Refused::NotAllowed) => return Err(Status::bad_request(refused.to_string())),
            Err(refused) => return Err(failed(&refused)),
        };
        let mut request = Request::get(path).body(Empty::<Bytes>::new()).map_err(|error| failed(&error))?;
        let host = HeaderValue::from_str(&place.to_string()).map_err(|error| failed(&error))?;
        request.headers_mut().insert(HOST, host);
        let (response, link) = pass::send(wire, request).await.map_err(|why| failed(&why))?;
        let status = response.status();
        if status.is_redirection() && response.headers().contains_key(LOCATION) {
            return Err(failed(&"redirects forbidden"));
        }
        let body = Arriving::new(response.into_body(), link);
        if matches!(status.as_u16(), 200..=206) {
            return Ok(body);
        }
        let said = body.beginning(REFUSAL).await.map_err(Status::internal)?;
        Err(refused(status.as_u16(), name, String::from_utf8_lossy(&said).into_owned()))
    }
}

/// What the client is told of a kubelet's error.
fn refused(code: u16, name: &str, said: String) -> Status {
    let about = format!(" ( pods/log {name})");
    let (reason, message) = match code {
        500 => return Status::internal(said),
        400 => return Status::bad_request(said),
        401 => ("Unauthorized", "the server has asked for the client to provide credentials".to_owned()),
        403 => ("Forbidden", said),
        404 => ("NotFound", "the server could not find the requested resource".to_owned()),
        405 => ("MethodNotAllowed", said),
        429 => {
            ("TooManyRequests", "the server has received too many requests and has asked us to try again later".into())
        }
        503 => ("ServiceUnavailable", said),
        504 => (
            "Timeout",
            "the server was unable to return a response in the time allotted, but may still be processing the request"
                .into(),
        ),
        code if code > 500 => {
            ("InternalError", format!("an error on the server (\"{said}\") has prevented the request from succeeding"))
        }
        code => {
            ("Unknown", format!("the server responded with the status code {code} but did not return more information"))
        }
    };
    let of = GroupResource::new("", "pods/log");
    let details = Details { name: name.to_owned(), kind: of.resource.to_string(), ..Details::default() };
    let mut status = Status::unknown(format!("{message}{about}"));
    (status.code, status.reason, status.details) = (code, reason, Some(Box::new(details)));
    status
}

impl Options {
    fn read(query: &Query<'_>) -> Result<Self> {
        let on = |key: &str| query.first(key).is_some_and(is_true);
        let since_time = query.first("sinceTime").filter(|text| !text.is_empty() && *text != "null");
        Ok(Self {
            container: query.first("container").unwrap_or("").to_owned(),
            follow: on("follow"),
            previous: on("previous"),
            timestamps: on("timestamps"),
            any_kubelet: on("insecureSkipTLSVerifyBackend"),
            since_seconds: number(query, "sinceSeconds")?,
            since_time: since_time.map(Time::parse).transpose().map_err(Status::bad_request)?,
            tail_lines: number(query, "tailLines")?,
            limit_bytes: number(query, "limitBytes")?,
            stream: query.first("stream").map(str::to_owned),
        })
    }

    fn validate(&self) -> Vec<FieldError> {
        const MOST_ONE: &str = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        let root = Path::Root;
        let mut errors = Vec::new();
        let mut least = |name: &str, given: Option<i64>, least: i64, detail: &'static str| {
            if let Some(given) = given.filter(|given| *given < least) {
                errors.push(FieldError::invalid(&root.name(name), given, detail));
            }
        };
        least("tailLines", self.tail_lines, 0, "must be greater than or equal to 0");
        least("limitBytes", self.limit_bytes, 1, "must be greater than 0");
        match self.since_time {
            Some(_) if self.since_seconds.is_some() => errors.push(FieldError::forbidden(&root.name(""), MOST_ONE)),
            _ => least("sinceSeconds", self.since_seconds, 1, "must be greater than 0"),
        }
        if self.stream.is_some() {
            errors.push(FieldError::forbidden(&root.name("stream"), "may not be specified"));
        }
        errors
    }

    /// What the kubelet is told.
    fn params(&self) -> String {
        let flag = |on: bool| on.then(|| "true".to_owned());
        let number = |given: Option<i64>| given.map(|given| given.to_string());
        let pairs = [
            ("follow", flag(self.follow)),
            ("limitBytes", number(self.limit_bytes)),
            ("previous", flag(self.previous)),
            ("sinceSeconds", number(self.since_seconds)),
            ("sinceTime", self.since_time.map(|time| time.to_text().to_string())),
            ("tailLines", number(self.tail_lines)),
            ("timestamps", flag(self.timestamps)),
        ];
        let given: Vec<(&str, String)> =
            pairs.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect();
        query(&given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Options> {
        Options::read(&Query::parse(text))
    }

    fn wrong(text: &str) -> Vec<String> {
        read(text).expect("options").validate().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_kubelet_is_told_what_is_asked_for() {
        let all =
            "follow=true&previous=1&timestamps=true&sinceTime=2026-01-02T03:04:05%2B01:00&tailLines=3&limitBytes=9&x=y";
        let expected =
            "follow=true&limitBytes=9&previous=true&sinceTime=2026-01-02T02%3A04%3A05Z&tailLines=3&timestamps=true";
        assert_eq!(read(all).expect("options").params(), expected);
        assert_eq!(read("follow=false&tailLines=").expect("options").params(), "");
        assert_eq!(read("tailLines=a").expect_err("no number").code, 400);
        assert_eq!(read("sinceTime=a").expect_err("no time").code, 400);
    }

    #[test]
    fn options_are_stocks() {
        assert_eq!(wrong("tailLines=0&limitBytes=1&sinceSeconds=1"), Vec::<String>::new());
        assert_eq!(
            wrong("tailLines=-1&limitBytes=0&sinceSeconds=0"),
            [
                "tailLines: Invalid value: -1: must be greater than or equal to 0",
                "limitBytes: Invalid value: 0: must be greater than 0",
                "sinceSeconds: Invalid value: 0: must be greater than 0",
            ]
        );
        let both = wrong("sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z");
        assert_eq!(both, [": Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"]);
        assert_eq!(wrong("stream=All"), ["stream: Forbidden: may not be specified"]);
    }

    #[test]
    fn a_kubelets_error_is_told_in_the_apis_form() {
        assert_eq!(refused(400, "p", "waiting".into()), Status::bad_request("waiting"));
        assert_eq!(refused(500, "p", "broken".into()).message, "Internal error occurred: broken");
        let missing = refused(404, "p", "404 page not found".into());
        assert_eq!(missing.message, "the server could not find the requested resource ( pods/log p)");
        assert_eq!((missing.code, missing.reason), (404, "NotFound"));
    }
}
