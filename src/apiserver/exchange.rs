//! One request in hand: what it says, who asks, and how its answer is written.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode, request};

use super::audited::Recording;
use super::bodies::{self, Decoded, Expected};
use super::query::Query;
use super::respond::Body;
use super::seats::Held;
use super::server::Server;
use crate::codec::answer::object;
use crate::codec::answer::subject::{Include, Style, Subject};
use crate::codec::negotiate::Media;
use crate::codec::negotiate::accept::{Asked, Offer, Representation, of_error};
use crate::codec::negotiate::body;
use crate::codec::protobuf::encode::encode;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::Value;
use crate::registry::options::{FieldValidation, WriteOptions};
use crate::registry::request::Caller;
use crate::schema::table::Message;

/// What a handler works on.
pub struct Exchange<'a> {
    pub server: &'a Server,
    pub head: &'a request::Parts,
    pub query: Query<'a>,
    /// Taken by the handler that reads it.
    pub body: Option<hyper::body::Incoming>,
    pub caller: Caller,
    pub record: Recording,
    /// Its seat among the requests, taken by what outlives the handler.
    pub held: Held,
}

impl Exchange<'_> {
    /// A header's text, empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        header(self.head, name)
    }

    pub fn asked(&self) -> Asked<'_> {
        asked(self.head, &self.query)
    }

    pub fn now(&self) -> Time {
        self.server.registry.now()
    }

    /// How the answer is to be written. Fails with 406.
    pub fn style(&self, offer: Offer) -> Result<Style> {
        let representation = offer.choose(self.asked())?;
        let include = Include::parse(self.query.first("includeObject").unwrap_or(""))?;
        Ok(Style { representation, include, now: self.now() })
    }

    /// The whole body. Fails with 413.
    pub async fn read(&mut self) -> Result<Bytes> {
        match self.body.take() {
            Some(body) => bodies::read_all(body, self.server.limits.body).await,
            None => Ok(Bytes::new()),
        }
    }

    /// The body as an object of this kind; notes of strict reading refuse it or warn, as the options say.
    pub async fn object(&mut self, expected: &Expected<'_>, options: &WriteOptions) -> Result<Value> {
        let media = body::of_body(self.header("content-type"), false)?;
        let body = self.read().await?;
        let decoded = bodies::object(&body, media, expected)?;
        let value = self.settle(decoded, expected, options)?;
        self.record_object(&value, expected);
        Ok(value)
    }

    /// What becomes of the notes of strict reading.
    pub fn settle(&mut self, decoded: Decoded, expected: &Expected<'_>, options: &WriteOptions) -> Result<Value> {
        match options.validation() {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => decoded.notes.iter().for_each(|note| self.warn(note)),
            FieldValidation::Strict if decoded.notes.is_empty() => {}
            FieldValidation::Strict => return Err(bodies::refuse_notes(expected, &decoded.notes)),
        }
        Ok(decoded.value)
    }

    /// YAML's complaints are one text for an error, and warnings each.
    fn warn(&mut self, note: &str) {
        match note.strip_prefix("yaml: unmarshal errors:") {
            Some(lines) => lines.lines().map(str::trim).filter(|l| !l.is_empty()).for_each(|l| self.caller.warn(l)),
            None => self.caller.warn(note),
        }
    }

    /// A body that is a `Status` of success.
    pub fn success(&self, status: &Status, representation: Representation) -> Result<Response<Body>> {
        let bytes = object::status(status, representation).map_err(Status::internal)?;
        Ok(respond(200, representation.media.content_type(), bytes))
    }

    /// An object of a built-in message that is not kept anywhere, sparse.
    pub fn plain(
        &self,
        code: u16,
        api_version: &str,
        message: &'static Message,
        value: &Value,
    ) -> Result<Response<Body>> {
        let style = self.style(Offer::default())?;
        let bytes = encode(value, message).map_err(Status::internal)?;
        let subject = Subject::plain(api_version, message);
        let bytes = subject.object(&bytes, style).map_err(Status::internal)?;
        Ok(respond(code, style.representation.media.content_type(), bytes))
    }
}

/// A header's text, empty when there is none or it is no text.
pub fn header<'a>(head: &'a request::Parts, name: &str) -> &'a str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

pub fn asked<'a>(head: &'a request::Parts, query: &'a Query<'_>) -> Asked<'a> {
    let pretty = query.first("pretty").unwrap_or("");
    Asked { accept: header(head, "accept"), pretty, user_agent: header(head, "user-agent") }
}

/// An answer with a body.
pub fn respond(code: u16, content_type: &str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Plain text, as stock's oldest paths answer.
pub fn text(code: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = respond(code, "text/plain; charset=utf-8", text.into());
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

pub fn json(code: u16, value: &Value) -> Response<Body> {
    respond(code, Media::Json.content_type(), value.to_string())
}

/// An error in the form that the client accepts.
pub fn failure(status: &Status, asked: Asked<'_>) -> Response<Body> {
    let representation = of_error(asked, false);
    let bytes = object::status(status, representation).unwrap_or_default();
    let mut response = respond(status.code, representation.media.content_type(), bytes);
    if let Some(details) = status.details.as_ref().filter(|details| details.retry_after > 0) {
        response.headers_mut().insert(RETRY_AFTER, details.retry_after.into());
    }
    response
}
