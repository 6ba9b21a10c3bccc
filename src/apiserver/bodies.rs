//! A request's body: read within bounds, and decoded to a sparse value with stock's words for what is wrong with it.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::codec::cbor;
use crate::codec::json::syntax::explain;
use crate::codec::json::{decode as json, parse};
use crate::codec::negotiate::Media;
use crate::codec::protobuf::decode::to_value as decode_message;
use crate::codec::protobuf::envelope::{Envelope, MAGIC};
use crate::codec::yaml::read;
use crate::model::gotext;
use crate::model::names::{GroupVersion, GroupVersionKind};
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::registry::custom::objects as custom;
use crate::rules::custom::definition::Definition;
use crate::schema::resource::{Resource, Shape};
use crate::schema::table::{MESSAGES, Message};

/// How many times the limit is read of a body that is too long.
const FORGOTTEN: usize = 8;
/// Bytes of a body that an error shows.
const SHOWN: usize = 30;
/// What stock calls its list of kinds.
const SCHEME: &str = "\"pkg/api/legacyscheme/scheme.go:30\"";
/// Versions that stock still reads, though it serves them no more.
const RETIRED: [(&str, &str); 10] = [
    ("apps", "v1beta1"),
    ("apps", "v1beta2"),
    ("autoscaling", "v2beta1"),
    ("autoscaling", "v2beta2"),
    ("batch", "v1beta1"),
    ("networking.k8s.io", "v1beta1"),
    ("policy", "v1beta1"),
    ("rbac.authorization.k8s.io", "v1alpha1"),
    ("rbac.authorization.k8s.io", "v1beta1"),
    ("storage.k8s.io", "v1alpha1"),
];

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
    /// Of a custom resource.
    pub definition: Option<&'a Definition>,
}

impl<'a> Expected<'a> {
    /// An object of the resource.
    pub fn of(resource: &'a Resource) -> Self {
        let kept = resource.storage.as_ref().map_or(&resource.kind, |storage| &storage.kind);
        Self { kind: &resource.kind, shape: &resource.shape, kept, definition: custom::definition(resource) }
    }
}

/// Reads it all; 413 when it is longer than `limit` bytes. What is too long is read a while longer, and forgotten: clients
/// that are still sending do not see an answer otherwise.
pub async fn read_all(mut body: Incoming, limit: usize) -> Result<Bytes> {
    let (mut whole, mut length) = (Vec::new(), 0);
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
        return Err(Status::too_large(format!("Request entity too large: limit is {limit}")));
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
    let (api_version, kind) = match plain_type_meta(&text) {
        Some(found) => found,
        None => type_meta(&text).map_err(unknown)?,
    };
    check_kind(&api_version, &kind, expected, Some(&text), unknown)?;
    let decoded = match expected.shape {
        Shape::Builtin(message) => json::decode(&text, message),
        Shape::Custom(_) => decode_custom(&text, expected),
    };
    let mut decoded = decoded.map_err(|why| match type_meta(&text) {
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
    Ok(json::Decoded { value: tree(text)?, notes: Vec::new() })
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

/// The same of a body that is an object in which both are texts, if any; what it holds else is only passed over.
fn plain_type_meta(text: &[u8]) -> Option<(String, String)> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    let mut parser = parse::Parser::new(text);
    if parser.token().ok()? != parse::Token::Object {
        return None;
    }
    let read = parser.object(|parser, key| {
        match &*key {
            "apiVersion" => api_version = parser.string()?,
            "kind" => kind = parser.string()?,
            _ => parser.skip()?,
        }
        Ok::<_, parse::Unreadable>(())
    });
    read.and_then(|()| parser.end()).ok().map(|()| (api_version, kind))
}

/// The texts `apiVersion` and `kind`, empty where there are none.
fn type_meta(text: &[u8]) -> std::result::Result<(String, String), String> {
    let failed = |why: String| format!("couldn't get version/kind; json parse error: {why}");
    let value = tree(text).map_err(failed)?;
    let name = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fields = match &value {
        Value::Object(fields) => fields,
        Value::Null => return Ok(Default::default()),
        other => {
            let go = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
            return Err(failed(format!("json: cannot unmarshal {} into Go value of type {go}", name(other))));
        }
    };
    let text = |field: &str| match fields.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(other) => {
            Err(failed(format!("json: cannot unmarshal {} into Go struct field .{field} of type string", name(other))))
        }
    };
    Ok((text("apiVersion")?, text("kind")?))
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
    let given = if api_version.is_empty() {
        wanted_version.clone()
    } else {
        let wrong = || unknown(format!("unexpected GroupVersion string: {api_version}"));
        GroupVersion::parse(api_version).ok_or_else(wrong)?
    };
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
    let retired = RETIRED.contains(&(given.group.as_str(), given.version.as_str()));
    if (retired || message_of(&given, kind).is_some()) && kind == expected.kept.kind && is_kin(&given, expected.kept) {
        return Err(other_version(&given, &wanted_version));
    }
    let known = message_of(&given, kind);
    if known.is_none() && !is_list(&given, kind) {
        let named = gotext::quote(&given.to_string());
        return Err(refused(format!(
            "no kind {} is registered for version {named} in scheme {SCHEME}",
            gotext::quote(kind)
        )));
    }
    // It is read as what it says it is before anyone looks whether that is wanted.
    if let (Some(text), Some(message)) = (text, known) {
        json::decode(text, message).map_err(refused)?;
    }
    let (from, to) = (&given.version, package(&expected.kept.group));
    Err(refused(format!("converting ({from}.{kind}) to ({to}.{}): unknown conversion", expected.kept.kind)))
}

fn other_version(given: &GroupVersion, wanted: &GroupVersion) -> Status {
    Status::bad_request(format!(
        "the API version in the data ({given}) does not match the expected API version ({wanted})"
    ))
}

/// Whether the kinds of both groups are one kind inside: events live in two groups.
fn is_kin(given: &GroupVersion, kept: &GroupVersionKind) -> bool {
    given.group == kept.group || (kept.kind == "Event" && matches!(given.group.as_str(), "" | "events.k8s.io"))
}

/// Stock's package of a group's internal types.
fn package(group: &str) -> &str {
    if group.is_empty() { "core" } else { group.split('.').next().unwrap_or(group) }
}

/// A kind of stock's scheme.
fn message_of(version: &GroupVersion, kind: &str) -> Option<&'static Message> {
    let named = (version.group.as_str(), version.version.as_str(), kind);
    MESSAGES.iter().copied().find(|message| message.kinds.contains(&named))
}

/// A list of anything; it has no message of its own.
fn is_list(version: &GroupVersion, kind: &str) -> bool {
    version.group.is_empty() && version.version == "v1" && kind == "List"
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
    let (api_version, kind) = type_meta(&text).map_err(Status::bad_request)?;
    if !kind.is_empty() && kind != message.short_name() {
        let version = if api_version.is_empty() { "v1" } else { &api_version };
        let (kind, version) = (gotext::quote(&kind), gotext::quote(version));
        return Err(Status::bad_request(format!(
            "no kind {kind} is registered for version {version} in scheme {SCHEME}"
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
        Some(_) => format!("{}{rest}", begin.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

/// Any JSON, within bounds.
pub fn tree(text: &[u8]) -> std::result::Result<Value, String> {
    parse::parse(text).map_err(|_| explain(text).unwrap_or_else(|| "unreadable JSON".into()))
}
