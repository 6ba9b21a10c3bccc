//! What goes into a request's record: who asks for what from where, the object that was sent, and the answer.

use std::any::Any;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, request};
use tokio::time::Instant;

use super::bodies::{self, Expected};
use super::exchange::{Exchange, header, text};
use super::respond::Body;
use crate::audit::annotations::Annotations;
use crate::audit::event::Answer;
use crate::audit::level::Level;
use crate::audit::record::Record;
use crate::audit::source::sources;
use crate::audit::spent::Layer;
use crate::auth::authorizer::Attributes;
use crate::auth::impersonation::Impersonated;
use crate::auth::token::verify::Notes;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::codec::json::compact::compact;
use crate::codec::json::write;
use crate::codec::negotiate::Media;
use crate::codec::negotiate::body::{PatchType, of_body};
use crate::codec::protobuf::envelope::Envelope;
use crate::codec::{cbor, yaml};
use crate::model::names::GroupVersion;
use crate::model::value::Value;
use crate::registry::core::Registry;
use crate::registry::recorded::{json as to_json, message_json, refer, shown};
use crate::rules::all;
use crate::schema::builtin;
use crate::schema::table::{APIMACHINERY_PKG_APIS_META_V1_DELETEOPTIONS, message};

pub const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Bytes of a list that are gathered for its record while it is sent; of a longer one no object is recorded.
const GATHERED: usize = 64 << 20;
/// The types that stand beside every group: a Status, a Table.
const META: &str = "k8s.io.apimachinery.pkg.apis.meta.v1";

/// What a panic leaves.
type Panicked = Box<dyn Any + Send>;

/// `None`: the request is not recorded.
pub type Recording = Option<Box<Record>>;

/// The request's own `Audit-Id`, or a new one.
pub fn id(headers: &HeaderMap, entropy: &Entropy) -> HeaderValue {
    let given = headers.get(AUDIT_ID).filter(|id| !id.is_empty()).cloned();
    given.unwrap_or_else(|| HeaderValue::from_str(&entropy.uid()).unwrap_or_else(|_| HeaderValue::from_static("")))
}

/// Begins a record, if the policy wants one. `asked` has the user who really asks.
pub fn begin(
    registry: &Registry,
    asked: &Attributes<'_>,
    id: &HeaderValue,
    head: &request::Parts,
    remote: IpAddr,
) -> Recording {
    registry.audit.metrics()?;
    let mut record = registry.audit.begin(asked, &String::from_utf8_lossy(id.as_bytes()), registry.clock.now())?;
    let event = &mut record.event;
    event.uri = head.uri.path_and_query().map_or("/", |uri| uri.as_str()).into();
    event.sources = sources(&head.headers, remote);
    event.set_agent(header(head, "user-agent"));
    Some(record)
}

/// The request has come; where others add what they have to say. `None`: it must be recorded and cannot be.
pub async fn received(recording: &mut Recording, lasts: bool, notes: Option<&Notes>) -> Option<Annotations> {
    let Some(record) = recording else { return Some(Annotations::default()) };
    if !record.received(lasts).await {
        return None;
    }
    let annotations = record.event.annotations.clone();
    notes
        .into_iter()
        .flat_map(|notes| &notes.annotations)
        .for_each(|(key, value)| annotations.add(key, value.as_str()));
    Some(annotations)
}

/// What a part of the way took.
pub fn took(recording: &Recording, layer: Layer, time: Duration) {
    if let Some(record) = recording {
        record.event.annotations.took(layer, time);
    }
}

/// The request goes on as somebody else's.
pub fn impersonated(recording: &mut Recording, other: &Impersonated) {
    if let Some(record) = recording {
        record.event.impersonated = Some(other.user.clone());
        record.event.constraint = other.constraint;
    }
}

/// The handler broke: the client hears no more than that.
pub async fn panicked(recording: Recording, head: &request::Parts, why: Panicked) -> Response<Body> {
    let said = match why.downcast::<String>() {
        Ok(said) => *said,
        Err(why) => why.downcast_ref::<&str>().copied().unwrap_or("unknown").to_owned(),
    };
    tracing::error!(method = %head.method, uri = %head.uri.path(), "a handler panicked");
    if let Some(record) = recording {
        record.panicked(&said).await;
    }
    text(500, "This request caused apiserver to panic. Look in the logs for details.\n")
}

/// The answer, and the end of the record when it has been sent.
pub async fn answered(recording: Recording, clock: &Clock, response: Response<Body>) -> Response<Body> {
    let Some(mut record) = recording else { return response };
    let media = media(response.headers());
    let (head, body) = response.into_parts();
    let (code, keeps) = (head.status.as_u16(), record.level() == Level::RequestResponse);
    let whole = if let Body::Whole(Some(bytes)) = &body { bytes.clone() } else { Bytes::new() };
    let status = media.filter(|media| is_status(&whole, *media)).and_then(|media| json(&whole, media));
    record.answered(status.as_ref().map_or(Answer::new(code), |status| Answer::of_status(code, status))).await;
    let body = match body {
        Body::Whole(bytes) => {
            if keeps && let Some(media) = media {
                record.event.response_object = shown(status.or_else(|| json(&whole, media)), &record);
            }
            record.complete().await;
            Body::Whole(bytes)
        }
        Body::Chunks(chunks) => {
            let gathered = media.filter(|_| keeps).map(|media| (media, Vec::new()));
            let (clock, sent) = (clock.clone(), None);
            Body::Chunks(Box::new(Timed {
                inner: Recorded { inner: chunks, gathered, record: Some(record) },
                clock,
                sent,
            }))
        }
        Body::Stream(stream) => {
            Body::Stream(Box::pin(Recorded { inner: stream, gathered: None, record: Some(record) }))
        }
        Body::Relayed(stream) => {
            Body::Relayed(Box::pin(Recorded { inner: stream, gathered: None, record: Some(record) }))
        }
    };
    Response::from_parts(head, body)
}

/// The answer to somebody whom nobody knows.
pub async fn unauthenticated(recording: Recording, response: Response<Body>) -> Response<Body> {
    let (Some(record), Body::Whole(Some(bytes))) = (recording, response.body()) else { return response };
    let status = media(response.headers()).and_then(|media| json(bytes, media)).unwrap_or_default();
    record.unauthenticated(Answer::of_status(response.status().as_u16(), &status)).await;
    response
}

/// A body whose end is that of the record.
struct Recorded<T> {
    inner: T,
    /// What has been sent, where the record has it.
    gathered: Option<(Media, Vec<u8>)>,
    record: Recording,
}

impl<T> Recorded<T> {
    fn pass(&mut self, piece: &Bytes) {
        match &mut self.gathered {
            Some((_, all)) if all.len() + piece.len() <= GATHERED => all.extend_from_slice(piece),
            gathered => *gathered = None,
        }
    }

    fn end(&mut self) {
        let Some(mut record) = self.record.take() else { return };
        if let Some((media, all)) = self.gathered.take() {
            record.event.response_object = shown(json(&all, media), &record);
        }
    }
}

/// Pieces that are made while they are sent, and how long either took.
struct Timed {
    inner: Recorded<Box<dyn Iterator<Item = Bytes> + Send>>,
    clock: Clock,
    /// When the last piece was given to be sent.
    sent: Option<Instant>,
}

impl Iterator for Timed {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let begun = self.clock.instant();
        if let Some(sent) = self.sent {
            // As in stock, writing an object down has the time in it that its pieces took to be sent.
            [Layer::Write, Layer::Serialize].iter().for_each(|layer| took(&self.inner.record, *layer, begun - sent));
        }
        let next = self.inner.inner.next();
        let made = self.clock.instant();
        took(&self.inner.record, Layer::Serialize, made - begun);
        self.sent = Some(made);
        match &next {
            Some(piece) => self.inner.pass(piece),
            None => self.inner.end(),
        }
        next
    }
}

impl<T> Stream for Recorded<Pin<Box<dyn Stream<Item = T> + Send>>> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let next = self.inner.as_mut().poll_next(cx);
        if matches!(next, Poll::Ready(None)) {
            self.end();
        }
        next
    }
}

impl Exchange<'_> {
    /// The object that was sent.
    pub fn record_object(&mut self, value: &Value, expected: &Expected<'_>) {
        let Some(record) = &mut self.record else { return };
        refer(record, value);
        if record.level() >= Level::Request {
            record.event.request_object = shown(sent(value, expected), record);
        }
    }

    /// The patch that was sent: JSON as it is, other forms as JSON.
    pub fn record_patch(&mut self, body: &[u8], kind: PatchType) {
        let Some(record) = self.record.as_mut().filter(|record| record.level() >= Level::Request) else { return };
        let media = match kind {
            PatchType::ApplyYaml => Media::Yaml,
            PatchType::ApplyCbor => Media::Cbor,
            _ => Media::Json,
        };
        let readable = json(body, media).or_else(|| {
            let mut text = Vec::new();
            write::string(&mut text, &String::from_utf8_lossy(body));
            Some(text)
        });
        record.event.request_object = readable.map(Bytes::from);
    }

    /// The options of a delete that were sent in its body.
    pub fn record_options(&mut self, body: &[u8], content_type: &str) {
        let Some(record) = self.record.as_mut().filter(|record| record.level() >= Level::Request) else { return };
        let Ok(media) = of_body(content_type, false) else { return };
        if body.is_empty() {
            return;
        }
        let message = &APIMACHINERY_PKG_APIS_META_V1_DELETEOPTIONS;
        let version = match media {
            Media::Protobuf => Envelope::parse(body).ok().map(|envelope| envelope.api_version.to_owned()),
            other => json(body, other).and_then(|text| text_of(&text, "apiVersion")),
        };
        let version = version.filter(|version| !version.is_empty()).unwrap_or_else(|| "meta.k8s.io/v1".into());
        let Ok(value) = bodies::options(body, media, message) else { return };
        record.event.request_object = message_json(&value, message, &version).map(Bytes::from);
    }
}

/// An object as stock shows it: with its defaults, in the version that was sent.
fn sent(value: &Value, expected: &Expected<'_>) -> Option<Vec<u8>> {
    let mut value = value.clone();
    match (expected.definition, all::defaults(expected.kind)) {
        (Some(definition), _) => definition.fill(&mut value),
        (None, Some(fill)) => fill(&mut value),
        (None, None) => {}
    }
    to_json(&value, expected.shape, expected.kind)
}

fn media(headers: &HeaderMap) -> Option<Media> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = kind.split(';').next().unwrap_or("").trim();
    [Media::Json, Media::Protobuf, Media::Yaml, Media::Cbor].into_iter().find(|media| media.content_type() == kind)
}

/// Whether an answer is a Status.
fn is_status(body: &[u8], media: Media) -> bool {
    match media {
        Media::Json => body.starts_with(b"{\"kind\":\"Status\",") || body.starts_with(b"{\n  \"kind\": \"Status\","),
        Media::Protobuf => {
            Envelope::parse(body).is_ok_and(|envelope| envelope.kind == "Status" && envelope.api_version == "v1")
        }
        other => json(body, other).and_then(|text| text_of(&text, "kind")).is_some_and(|kind| kind == "Status"),
    }
}

fn text_of(json: &[u8], key: &str) -> Option<String> {
    crate::codec::json::scan::text(json, key).ok().map(|text| text.into_owned())
}

/// An answer's or a body's JSON, without space.
fn json(body: &[u8], media: Media) -> Option<Vec<u8>> {
    match media {
        Media::Json => compact(body).ok(),
        Media::Yaml => yaml::read::to_json(body).ok().map(|(json, _)| json),
        Media::Cbor => cbor::to_json(body).ok(),
        Media::Protobuf => {
            let (envelope, mut out) = (Envelope::parse(body).ok()?, Vec::new());
            let version = GroupVersion::parse(envelope.api_version)?;
            let message = builtin::kind(&version.group, &version.version, envelope.kind)
                .or_else(|| message(&format!("{META}.{}", envelope.kind)))?;
            write::object(&mut out, envelope.raw, message, envelope.api_version, envelope.kind).ok()?;
            Some(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::negotiate::accept::{Asked, of_error};
    use crate::model::names::GroupResource;
    use crate::model::status::Status;

    fn asked(accept: &str) -> Asked<'_> {
        Asked { accept, ..Asked::default() }
    }

    #[test]
    fn a_status_is_read_in_every_form() {
        let status = Status::not_found(&GroupResource::new("", "pods"), "<p>");
        let mut seen = Vec::new();
        for accept in ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"] {
            let representation = of_error(asked(accept), false);
            let bytes = crate::codec::answer::object::status(&status, representation).expect("written");
            assert!(is_status(&bytes, representation.media), "{accept}");
            let answer = Answer::of_status(404, &json(&bytes, representation.media).expect("JSON"));
            seen.push(String::from_utf8(answer.members).expect("text"));
        }
        assert_eq!(
            seen[0],
            ",\"status\":\"Failure\",\"message\":\"pods \\\"\\u003cp\\u003e\\\" not found\",\"reason\":\"NotFound\",\
             \"details\":{\"name\":\"\\u003cp\\u003e\",\"kind\":\"pods\"}"
        );
        assert_eq!(seen[2], seen[0]);
    }

    #[test]
    fn a_given_id_stays() {
        let (mut headers, entropy) = (HeaderMap::new(), Entropy::seeded(1));
        assert_eq!(id(&headers, &entropy).len(), 36);
        headers.insert(AUDIT_ID, HeaderValue::from_static(""));
        assert_eq!(id(&headers, &entropy).len(), 36);
        headers.insert(AUDIT_ID, HeaderValue::from_static("mine"));
        assert_eq!(id(&headers, &entropy), "mine");
    }
}
