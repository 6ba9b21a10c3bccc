//! What kind a JSON text says it is, and whether that is the expected one inside.

use crate::codec::json::decode as json;
use crate::codec::json::parse::{self, Parser, Token};
use crate::codec::json::syntax::explain;
use crate::model::gotext;
use crate::model::names::{GroupVersion, GroupVersionKind};
use crate::model::value::Value;
use crate::schema::resource::Resource;
use crate::schema::table::{MESSAGES, Message};

/// What stock calls its list of kinds.
pub const SCHEME: &str = "\"pkg/api/legacyscheme/scheme.go:30\"";
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

/// The texts `apiVersion` and `kind`, empty where there are none.
pub fn said(text: &[u8]) -> Result<(String, String), String> {
    match plain_type_meta(text) {
        Some(found) => Ok(found),
        None => type_meta(text),
    }
}

/// The version that an `apiVersion` names.
pub fn version(api_version: &str) -> Result<GroupVersion, String> {
    GroupVersion::parse(api_version).ok_or_else(|| format!("unexpected GroupVersion string: {api_version}"))
}

/// The kind that stock keeps of a resource, of which its conversions speak.
pub fn kept(resource: &Resource) -> &GroupVersionKind {
    resource.storage.as_ref().map_or(&resource.kind, |storage| &storage.kind)
}

/// Whether what says that it is another kind, or of another version, than is served is the same kind inside. If not, the
/// error is what comes of reading it (when there is a text to read) as what it says it is, and of converting that.
pub fn is_same_inside(
    given: &GroupVersion,
    kind: &str,
    kept: &GroupVersionKind,
    text: Option<&[u8]>,
) -> Result<(), String> {
    let known = message_of(given, kind);
    let retired = RETIRED.contains(&(given.group.as_str(), given.version.as_str()));
    if (retired || known.is_some()) && kind == kept.kind && is_kin(given, kept) {
        return Ok(());
    }
    if known.is_none() && !is_list(given, kind) {
        return Err(unregistered(given, kind));
    }
    if let (Some(text), Some(message)) = (text, known) {
        json::decode(text, message)?;
    }
    let (from, to) = (&given.version, package(&kept.group));
    Err(format!("converting ({from}.{kind}) to ({to}.{}): unknown conversion", kept.kind))
}

pub fn unregistered(given: &GroupVersion, kind: &str) -> String {
    let (kind, version) = (gotext::quote(kind), gotext::quote(&given.to_string()));
    format!("no kind {kind} is registered for version {version} in scheme {SCHEME}")
}

/// The same of a text that is an object in which both are texts; what it holds else is only passed over.
fn plain_type_meta(text: &[u8]) -> Option<(String, String)> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    let mut parser = Parser::new(text);
    if parser.token().ok()? != Token::Object {
        return None;
    }
    let read = parser.object(|parser, key| {
        match &*key {
            "apiVersion" if parser.token()? == Token::String => api_version = parser.string()?,
            "kind" if parser.token()? == Token::String => kind = parser.string()?,
            "apiVersion" | "kind" => return Err(parse::Unreadable),
            _ => parser.skip()?,
        }
        Ok::<_, parse::Unreadable>(())
    });
    read.and_then(|()| parser.end()).ok().map(|()| (api_version, kind))
}

/// The texts `apiVersion` and `kind`, empty where there are none.
pub fn type_meta(text: &[u8]) -> Result<(String, String), String> {
    let failed = |why: String| format!("couldn't get version/kind; json parse error: {why}");
    let value = tree(text).map_err(failed)?;
    let fields = match &value {
        Value::Object(fields) => fields,
        Value::Null => return Ok(Default::default()),
        other => {
            let go = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
            return Err(failed(format!("json: cannot unmarshal {} into Go value of type {go}", other.type_name())));
        }
    };
    let text = |field: &str| match fields.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(other) => Err(failed(format!(
            "json: cannot unmarshal {} into Go struct field .{field} of type string",
            other.type_name()
        ))),
    };
    Ok((text("apiVersion")?, text("kind")?))
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

/// Any JSON, within bounds.
pub fn tree(text: &[u8]) -> Result<Value, String> {
    parse::parse(text).map_err(|_| explain(text).unwrap_or_else(|| "unreadable JSON".into()))
}
