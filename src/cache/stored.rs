//! From what the store has under a key to an [`Object`]. Whatever stock may have written is read: protobuf in its
//! envelope, JSON, an older version of the kind.

use std::borrow::Cow;

use super::object::{Form, Key, Object};
use crate::codec::json::{decode as from_json, scan as text};
use crate::codec::protobuf::envelope::Envelope;
use crate::codec::protobuf::{check, encode, scan as proto, tree};
use crate::codec::wire::Malformed;
use crate::model::names::{GroupVersion, GroupVersionKind};
use crate::model::revision::Revision;
use crate::model::value::Value;
use crate::schema::builtin::{ROWS, Row};
use crate::schema::resource::{Shape, Storage};
use crate::schema::table::Message;

/// Brings an object that was stored as one kind to the kind in which its shelf keeps it. Values are sparse.
pub trait Convert: Send + Sync {
    fn convert(&self, value: Value, from: &GroupVersionKind, to: &GroupVersionKind) -> Result<Value, String>;
}

impl<F> Convert for F
where
    F: Fn(Value, &GroupVersionKind, &GroupVersionKind) -> Result<Value, String> + Send + Sync,
{
    fn convert(&self, value: Value, from: &GroupVersionKind, to: &GroupVersionKind) -> Result<Value, String> {
        self(value, from, to)
    }
}

/// Why a stored value is no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error("neither protobuf nor JSON")]
    Form,
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    Json(String),
    #[error("unknown kind {1} in version {0}")]
    Kind(String, String),
    #[error("cannot convert: {0}")]
    Convert(String),
    #[error("names itself {0:?}")]
    Name(String),
}

/// The object that `value` is. Its metadata must name it as its key does.
pub fn object(
    key: Key,
    revision: Revision,
    value: &[u8],
    storage: &Storage,
    convert: &dyn Convert,
) -> Result<Object, Undecodable> {
    let (raw, form) = match storage.shape {
        Shape::Builtin(message) => (builtin(value, message, storage, convert)?, Form::Protobuf),
        Shape::Custom(_) => (custom(value)?, Form::Json),
    };
    let object = Object::new(key, revision, &raw, form)?;
    let own = match form {
        Form::Protobuf => Key::text(proto::namespace(&object.bytes)?, proto::name(&object.bytes)?),
        Form::Json => Key::text(&meta(&object.bytes, "namespace")?, &meta(&object.bytes, "name")?),
    };
    if own != object.key.as_str() {
        return Err(Undecodable::Name(own));
    }
    Ok(object)
}

/// The same of a value that this server wrote, and that is known to be whole.
pub fn own(key: Key, revision: Revision, value: &[u8], storage: &Storage) -> Result<Object, Undecodable> {
    Ok(match storage.shape {
        Shape::Builtin(_) => Object::new(key, revision, Envelope::parse(value)?.raw, Form::Protobuf)?,
        Shape::Custom(_) => Object::new(key, revision, value, Form::Json)?,
    })
}

/// The message of a built-in resource.
fn builtin<'a>(
    value: &'a [u8],
    message: &'static Message,
    storage: &Storage,
    convert: &dyn Convert,
) -> Result<Cow<'a, [u8]>, Undecodable> {
    if !Envelope::marks(value) {
        return from_text(value, message, storage, convert).map(Cow::Owned);
    }
    let envelope = Envelope::parse(value)?;
    match envelope.content_type {
        "" | "application/vnd.kubernetes.protobuf" => {}
        "application/json" => return from_text(envelope.raw, message, storage, convert).map(Cow::Owned),
        _ => return Err(Undecodable::Form),
    }
    if is(&storage.kind, envelope.api_version, envelope.kind) {
        check::check(envelope.raw, message)?;
        return Ok(Cow::Borrowed(envelope.raw));
    }
    let (from, own) = known(envelope.api_version, envelope.kind)?;
    check::check(envelope.raw, own)?;
    let value = tree::to_value(envelope.raw, own)?;
    let value = convert.convert(value, &from, &storage.kind).map_err(Undecodable::Convert)?;
    Ok(Cow::Owned(encode::encode(&value, message)?))
}

/// The message of a built-in resource that was stored as JSON.
fn from_text(
    value: &[u8],
    message: &'static Message,
    storage: &Storage,
    convert: &dyn Convert,
) -> Result<Vec<u8>, Undecodable> {
    if !value.trim_ascii_start().starts_with(b"{") {
        return Err(Undecodable::Form);
    }
    let of = |key| text::text(value, key).map_err(|_| Undecodable::Form);
    let (api_version, kind) = (of("apiVersion")?, of("kind")?);
    let (from, own) = known(&api_version, &kind)?;
    let mut value = from_json::decode(value, own).map_err(Undecodable::Json)?.value;
    if from != storage.kind {
        value = convert.convert(value, &from, &storage.kind).map_err(Undecodable::Convert)?;
    }
    Ok(encode::encode(&value, message)?)
}

/// The text of a custom resource, in whichever version it was stored.
fn custom(value: &[u8]) -> Result<Cow<'_, [u8]>, Undecodable> {
    text::normal(value).map_err(|_| Undecodable::Form)
}

fn meta<'a>(object: &'a [u8], key: &str) -> Result<Cow<'a, str>, Undecodable> {
    text::meta_text(object, key).map_err(|_| Undecodable::Form)
}

fn is(kind: &GroupVersionKind, api_version: &str, name: &str) -> bool {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    kind.kind == name && kind.version == version && kind.group == group
}

/// The built-in kind of this name, and its type.
fn known(api_version: &str, kind: &str) -> Result<(GroupVersionKind, &'static Message), Undecodable> {
    let parsed = GroupVersion::parse(api_version).map(|version| version.with_kind(kind));
    let found = parsed.and_then(|parsed| {
        let named =
            |row: &&Row| (row.group, row.version, row.kind) == (&*parsed.group, &*parsed.version, &*parsed.kind);
        let message = ROWS.iter().find(named)?.message;
        Some((parsed, message))
    });
    found.ok_or_else(|| Undecodable::Kind(api_version.to_owned(), kind.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::{json_thing, no_convert, pod_value, storage_of, thing_storage};
    use crate::codec::protobuf::envelope::wrap;
    use crate::model::value::json;

    fn read(key: &str, value: &[u8], storage: &Storage, convert: &dyn Convert) -> Result<Value, String> {
        let object = object(key.into(), Revision(7), value, storage, convert).map_err(|error| error.to_string())?;
        object.to_value(&storage.shape).map_err(|error| error.to_string())
    }

    #[test]
    fn pods_are_read_in_every_form_that_stock_writes() {
        let storage = storage_of("", "v1", "pods");
        let pod = json!({"metadata": {"name": "a", "namespace": "d"}, "spec": {"nodeName": "n1"}});
        let mut shown = pod.clone();
        shown["metadata"]["resourceVersion"] = "7".into();
        let mut text = pod.clone();
        text["apiVersion"] = "v1".into();
        text["kind"] = "Pod".into();
        let text = text.to_string();
        assert_eq!(read("d/a", &pod_value(&pod), &storage, &no_convert), Ok(shown.clone()));
        assert_eq!(read("d/a", text.as_bytes(), &storage, &no_convert), Ok(shown.clone()));
        let mut wrapped = wrap("v1", "Pod", text.as_bytes()).to_vec();
        wrapped.truncate(wrapped.len() - 2);
        wrapped.extend_from_slice(b"\x22\x10application/json");
        assert_eq!(read("d/a", &wrapped, &storage, &no_convert), Ok(shown));
    }

    #[test]
    fn another_version_of_the_kind_is_converted() {
        let storage = storage_of("autoscaling", "v2", "horizontalpodautoscalers");
        let old = storage_of("autoscaling", "v1", "horizontalpodautoscalers");
        let own = known("autoscaling/v1", "HorizontalPodAutoscaler").expect("known").1;
        assert_eq!(storage.kind, old.kind);
        let value = json!({"metadata": {"name": "h", "namespace": "d"}, "spec": {"maxReplicas": 3}});
        let bytes = wrap("autoscaling/v1", "HorizontalPodAutoscaler", &encode::encode(&value, own).expect("encodes"));
        let convert = |mut value: Value, from: &GroupVersionKind, to: &GroupVersionKind| {
            assert_eq!((&*from.version, &*to.version), ("v1", "v2"));
            value["spec"]["minReplicas"] = 1.into();
            Ok(value)
        };
        let read_back = read("d/h", &bytes, &storage, &convert).expect("an object");
        assert_eq!(read_back["spec"], json!({"maxReplicas": 3, "minReplicas": 1}));
        assert_eq!(read("d/h", &bytes, &storage, &no_convert), Err("cannot convert: not here".into()));
    }

    #[test]
    fn custom_resources_stay_as_they_were_stored() {
        let read = read("n/t", &json_thing("n", "t", &json!({"size": 1})), &thing_storage(), &no_convert);
        assert_eq!(read.expect("a thing")["spec"], json!({"size": 1}));
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_reason() {
        let storage = storage_of("", "v1", "pods");
        let pod = pod_value(&json!({"metadata": {"name": "a", "namespace": "d"}}));
        let cases: [(&str, &[u8], &str); 7] = [
            ("d/b", &pod, "names itself \"d/a\""),
            ("d/a", b"", "neither protobuf nor JSON"),
            ("d/a", b"k8s:enc:aescbc:v1:key", "neither protobuf nor JSON"),
            ("d/a", &pod[..pod.len() / 2], "unexpected EOF"),
            ("d/a", br#"{"apiVersion":"v9","kind":"Pod"}"#, "unknown kind Pod in version v9"),
            ("d/a", br#"{"apiVersion":"v1","kind":"Pod""#, "unexpected end of JSON input"),
            ("d/a", &wrap("v1", "Pood", b""), "unknown kind Pood in version v1"),
        ];
        for (key, value, reason) in cases {
            assert_eq!(read(key, value, &storage, &no_convert), Err(reason.to_owned()));
        }
        assert_eq!(read("n/t", b"k8s\0", &thing_storage(), &no_convert), Err("neither protobuf nor JSON".into()));
    }
}
