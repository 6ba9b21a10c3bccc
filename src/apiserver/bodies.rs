//! A request's body: read within bounds, and decoded to a sparse value with stock's words for what is wrong with it.

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::codec::cbor;
use crate::codec::json::decode as json;
use crate::codec::negotiate::Media;
use crate::codec::protobuf::envelope::{Envelope, MAGIC};
use crate::codec::protobuf::tree::to_value as decode_message;
use crate::codec::yaml::read;
use crate::model::gotext;
use crate::model::names::{GroupVersion, GroupVersionKind};
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::registry::custom::objects as custom;
use crate::registry::kind as kinds;
use crate::rules::custom::definition::Definition;
use crate::schema::resource::{Resource, Shape};
use crate::schema::table::Message;

/// How many times the limit is read of a body that is too long.
const FORGOTTEN: usize = 8;
/// Bytes of a body that an error shows.
const SHOWN: usize = 30;
/// A decoded body and what strict reading has against it.
#[derive(Debug)]
pub struct Decoded {
    pub value: Value,
    pub notes: Vec<String>,
}

/// What a body is expected to be.
pub struct Expected<'a> {
    pub kind: &'a GroupVersionKind,
    pub shape: &'a Shape,
    /// The kind that is kept, of which stock's conversions speak.
    pub kept: &'a GroupVersionKind,
    /// Versions, as group and version, that are read as if they were the expected one.
    pub read_too: &'static [(&'static str, &'static str)],
    /// Of a custom resource.
    pub definition: Option<&'a Definition>,
}

impl<'a> Expected<'a> {
    /// An object of the resource.
    pub fn of(resource: &'a Resource) -> Self {
        let (kind, shape, definition) = (&resource.kind, &resource.shape, custom::definition(resource));
        Self { kind, shape, kept: kinds::kept(resource), read_too: &[], definition }
    }
}

/// Reads it all; 413 when it is longer than `limit` bytes. What is too long is read a while longer, and forgotten: clients
/// that are still sending do not see an answer otherwise.
pub async fn read_all(mut body: Incoming, limit: usize) -> Result<Bytes> {
    let too_large = || Status::too_large(format!("Request entity too large: limit is {limit}"));
    let (mut whole, mut length) = (Vec::new(), 0);
    // What says that it is longer than what would be read is not waited for.
    if body.size_hint().lower() > (limit * FORGOTTEN) as u64 {
        return Err(too_large());
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::bad_request(format!("cannot read the body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= limit {
            whole.extend_from_slice(&data);
        } else if length > limit * FORGOTTEN {
            break;
        }
    }
    if length > limit {
        return Err(too_large());
    }
    Ok(whole.into())
}

/// Decodes a body that is to be of the expected kind.
pub fn object(body: &[u8], media: Media, expected: &Expected<'_>) -> Result<Decoded> {
    let unknown = |why: String| {
        let kind = &expected.kind.kind;
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({})",
            summary(body)
        ))
    };
    let (text, mut notes) = match media {
        Media::Protobuf => return message(body, expected, unknown),
        Media::Json => (Bytes::copy_from_slice(body), Vec::new()),
        Media::Yaml => {
            let (text, repeated) = read::to_json(body).map_err(unknown)?;
            let notes = if repeated.is_empty() { Vec::new() } else { vec![read::strict_error(&repeated)] };
            (text.into(), notes)
        }
        Media::Cbor => (cbor::to_json(body).map_err(unknown)?.into(), Vec::new()),
    };
    let (api_version, kind) = kinds::said(&text).map_err(unknown)?;
    check_kind(&api_version, &kind, expected, Some(&text), unknown)?;
    let decoded = match expected.shape {
        Shape::Builtin(message) => json::decode(&text, message),
        Shape::Custom(_) => decode_custom(&text, expected),
    };
    let mut decoded = decoded.map_err(|why| match kinds::type_meta(&text) {
        Ok(_) => handled(&kind, &api_version, expected, &why),
        Err(why) => unknown(why),
    })?;
    if decoded.value.is_null() {
        decoded.value = Value::Object(Default::default());
    }
    let matters = |note: &String| media == Media::Json || !note.starts_with("duplicate field");
    notes.extend(decoded.notes.into_iter().filter(matters));
    Ok(Decoded { value: decoded.value, notes })
}

fn decode_custom(text: &[u8], expected: &Expected<'_>) -> std::result::Result<json::Decoded, String> {
    if let Some(definition) = expected.definition {
        return custom::decode(text, definition);
    }
    Ok(json::Decoded { value: kinds::tree(text)?, notes: Vec::new() })
}

fn message(body: &[u8], expected: &Expected<'_>, unknown: impl Fn(String) -> Status) -> Result<Decoded> {
    if !Envelope::marks(body) {
        let prefix = MAGIC.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
        let why = format!("provided data does not appear to be a protobuf message, expected prefix [{prefix}]");
        return Err(unknown(why));
    }
    let envelope = Envelope::parse(body).map_err(|error| unknown(error.to_string()))?;
    check_kind(envelope.api_version, envelope.kind, expected, None, unknown)?;
    let Shape::Builtin(message) = expected.shape else {
        return Err(Status::unsupported_media_type("custom resources have no protobuf"));
    };
    let value = decode_message(envelope.raw, message)
        .map_err(|error| handled(envelope.kind, envelope.api_version, expected, &error.to_string()))?;
    Ok(Decoded { value, notes: Vec::new() })
}

/// The body must be of the expected kind; what it does not say of itself is assumed.
fn check_kind(
    api_version: &str,
    kind: &str,
    expected: &Expected<'_>,
    text: Option<&[u8]>,
    unknown: impl Fn(String) -> Status,
) -> Result<()> {
    let wanted = expected.kind;
    let kind = if kind.is_empty() { wanted.kind.as_str() } else { kind };
    let wanted_version = wanted.group_version();
    let given =
        if api_version.is_empty() { wanted_version.clone() } else { kinds::version(api_version).map_err(unknown)? };
    if given == wanted_version && kind == wanted.kind {
        return Ok(());
    }
    let refused = |why: String| handled(kind, &given.to_string(), expected, &why);
    if matches!(expected.shape, Shape::Custom(_)) {
        if kind != wanted.kind {
            let why = format!("the kind in the data ({kind}) does not match the expected kind ({})", wanted.kind);
            return Err(Status::bad_request(why));
        }
        return Err(other_version(&given, &wanted_version));
    }
    kinds::is_same_inside(&given, kind, expected.kept, text).map_err(refused)?;
    if expected.read_too.contains(&(given.group.as_str(), given.version.as_str())) {
        return Ok(());
    }
    Err(other_version(&given, &wanted_version))
}

fn other_version(given: &GroupVersion, wanted: &GroupVersion) -> Status {
    Status::bad_request(format!(
        "the API version in the data ({given}) does not match the expected API version ({wanted})"
    ))
}

fn handled(kind: &str, api_version: &str, expected: &Expected<'_>, why: &str) -> Status {
    let kind = if kind.is_empty() { &expected.kind.kind } else { kind };
    let version = api_version.rsplit('/').next().filter(|v| !v.is_empty()).unwrap_or(&expected.kind.version);
    let version = gotext::quote(version);
    Status::bad_request(format!("{kind} in version {version} cannot be handled as a {}: {why}", expected.kind.kind))
}

/// Options in a body, whose errors are told plainly. Their kind is known in every group and version.
pub fn options(body: &[u8], media: Media, message: &'static Message) -> Result<Value> {
    let text = match media {
        Media::Protobuf => {
            let envelope = Envelope::parse(body).map_err(|error| Status::bad_request(error.to_string()))?;
            return decode_message(envelope.raw, message).map_err(|error| Status::bad_request(error.to_string()));
        }
        Media::Json => body.to_vec(),
        Media::Yaml => read::to_json(body).map_err(Status::bad_request)?.0,
        Media::Cbor => cbor::to_json(body).map_err(Status::bad_request)?,
    };
    let (api_version, kind) = kinds::type_meta(&text).map_err(Status::bad_request)?;
    if !kind.is_empty() && kind != message.short_name() {
        let version = if api_version.is_empty() { "v1" } else { &api_version };
        let (kind, version) = (gotext::quote(&kind), gotext::quote(version));
        return Err(Status::bad_request(format!(
            "no kind {kind} is registered for version {version} in scheme {}",
            kinds::SCHEME
        )));
    }
    json::decode(&text, message).map(|decoded| decoded.value).map_err(Status::bad_request)
}

/// 400 of a strictly read body with notes.
pub fn refuse_notes(expected: &Expected<'_>, notes: &[String]) -> Status {
    let why = format!("strict decoding error: {}", notes.join(", "));
    handled(&expected.kind.kind, &expected.kind.version, expected, &why)
}

/// The beginning of a body, as text when it looks like JSON.
fn summary(body: &[u8]) -> String {
    let begin = &body[..body.len().min(SHOWN)];
    let rest = if body.len() > SHOWN { " ..." } else { "" };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{rest}", String::from_utf8_lossy(begin)),
        Some(_) => format!("{}{rest}", gotext::hex(begin)),
    }
}

/// An apply's body: what the manager wants, and the keys that come more than once in it.
pub fn applied(
    body: &[u8],
    to_json: impl Fn(&[u8]) -> std::result::Result<(Vec<u8>, Vec<String>), String>,
) -> Result<(Value, Vec<String>)> {
    let bad = |why: String| Status::bad_request(format!("error decoding YAML: {why}"));
    let unread = |why: String| bad(format!("error unmarshaling JSON: while decoding JSON: {why}"));
    let (text, repeated) = to_json(body).map_err(bad)?;
    let wanted = kinds::tree(&text).map_err(unread)?;
    if !matches!(wanted, Value::Object(_) | Value::Null) {
        let found = wanted.type_name();
        return Err(unread(format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}")));
    }
    Ok((wanted, repeated))
}

/// YAML for [`applied`].
pub fn yaml(body: &[u8]) -> std::result::Result<(Vec<u8>, Vec<String>), String> {
    read::to_json(body).map_err(|why| format!("error converting YAML to JSON: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table::API_POLICY_V1_EVICTION;

    #[test]
    fn what_cannot_be_applied_is_told() {
        let refused = |body: &str| applied(body.as_bytes(), yaml).err().map_or("read".into(), |status| status.message);
        let list = "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go \
            value of type map[string]interface {}";
        assert_eq!(refused("- x"), list);
        assert_eq!(
            refused("a: b: c"),
            "error decoding YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context"
        );
        assert_eq!(refused("null"), "read");
    }

    #[test]
    fn an_eviction_may_be_of_the_version_before() {
        let (kind, shape) =
            (GroupVersionKind::new("policy", "v1", "Eviction"), Shape::Builtin(&API_POLICY_V1_EVICTION));
        let read = |read_too, version: &str| {
            let expected = Expected { kind: &kind, shape: &shape, kept: &kind, read_too, definition: None };
            let body = format!("{{\"apiVersion\": \"{version}\", \"kind\": \"Eviction\"}}");
            object(body.as_bytes(), Media::Json, &expected).err().map_or("read".into(), |status| status.message)
        };
        assert_eq!(read(&[("policy", "v1beta1")], "policy/v1beta1"), "read");
        assert_eq!(
            read(&[], "policy/v1beta1"),
            "the API version in the data (policy/v1beta1) does not match the expected API version (policy/v1)"
        );
        assert!(read(&[("policy", "v1beta1")], "policy/v3").contains("no kind \"Eviction\" is registered"));
    }
}
