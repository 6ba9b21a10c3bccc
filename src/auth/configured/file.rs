//! A configuration file: YAML or JSON of a known kind, read strictly.

use crate::codec::json::decode::decode;
use crate::codec::json::parse::parse;
use crate::codec::yaml::read::{strict_error, to_json};
use crate::model::gotext;
use crate::model::value::Value;
use crate::schema::table::{Message, message};

const GROUP: &str = "apiserver.config.k8s.io";
/// The versions say the same.
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];

/// The message of a kind of configuration.
pub(super) fn shape(kind: &str) -> Option<&'static Message> {
    message(&format!("k8s.io.apiserver.pkg.apis.apiserver.v1.{kind}"))
}

/// Reads a configuration of this kind, sparse. The error is stock's text; `scheme` is where stock registers the kind.
pub(super) fn read(content: &[u8], kind: &str, scheme: &str) -> Result<Value, String> {
    let is_json = content.trim_ascii_start().first() == Some(&b'{');
    let (text, repeated) = match is_json {
        true => (content.to_vec(), Vec::new()),
        false => to_json(content).map_err(|why| format!("error converting YAML to JSON: {why}"))?,
    };
    let said = said(&text, content)?;
    let version = said.0.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix('/'));
    if said.1 != kind || !version.is_some_and(|version| VERSIONS.contains(&version)) {
        let (version, found) = (gotext::quote(&said.0), gotext::quote(&said.1));
        return Err(format!("no kind {found} is registered for version {version} in scheme {}", gotext::quote(scheme)));
    }
    let message = shape(kind).ok_or_else(|| format!("{kind} has no shape"))?;
    let decoded = decode(&text, message)?;
    let mut notes: Vec<String> = if repeated.is_empty() { Vec::new() } else { vec![strict_error(&repeated)] };
    notes.extend(decoded.notes.into_iter().filter(|note| is_json || !note.starts_with("duplicate field")));
    if notes.is_empty() { Ok(decoded.value) } else { Err(format!("strict decoding error: {}", notes.join(", "))) }
}

/// `apiVersion` and `kind`.
fn said(text: &[u8], content: &[u8]) -> Result<(String, String), String> {
    let value = parse(text).map_err(|_| "couldn't get version/kind; json parse error: invalid JSON".to_owned())?;
    if !value.is_object() {
        return Err("couldn't get version/kind; json parse error: it is no object".into());
    }
    let field = |name: &str| value[name].as_str().unwrap_or("").to_owned();
    let (version, kind) = (field("apiVersion"), field("kind"));
    for (name, found) in [("Kind", &kind), ("apiVersion", &version)] {
        if found.is_empty() {
            return Err(format!("Object '{name}' is missing in '{}'", String::from_utf8_lossy(content)));
        }
    }
    Ok((version, kind))
}
