//! Objects of custom resources: read as their definition says, and written by its rules. All is done in the version of
//! the request; only the store has another.

use std::borrow::Cow;

use bytes::Bytes;

use crate::cache::object::Object;
use crate::codec::json::decode::Decoded;
use crate::codec::json::syntax::explain;
use crate::codec::object as coding;
use crate::fields::patch::repeated;
use crate::model::gotext;
use crate::model::names::{GroupVersion, GroupVersionKind};
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::registry::request::{Address, Caller};
use crate::rules::custom::definition::{Definition, Verdict};
use crate::rules::kind::{NONE, Rules};
use crate::schema::convert;
use crate::schema::resource::Resource;

/// What kinds with a definition have of the rules of all kinds.
pub static RULES: Rules = Rules { unconditional_update: false, ..NONE };

const TERMINATING: &str = "create not allowed while custom resource definition is terminating";

/// The definition of a custom resource.
pub fn definition(resource: &Resource) -> Option<&Definition> {
    resource.definition.as_ref()?.get()
}

/// Reads JSON: filled, pruned, and noted what is unknown or comes twice. The error is Go's text.
pub fn decode(text: &[u8], definition: &Definition) -> std::result::Result<Decoded, String> {
    let mut value = coding::read_custom(text).map_err(|_| explain(text).unwrap_or_else(|| "unreadable JSON".into()))?;
    let mut notes = repeated(text);
    definition.fill(&mut value);
    let unknown = definition.prune(&mut value)?;
    notes.extend(unknown.iter().map(|path| format!("unknown field {}", gotext::quote(path))));
    Ok(Decoded { value, notes })
}

/// A stored object as the resource serves it.
pub fn to_served(resource: &Resource, mut value: Value) -> Result<Value> {
    let Some(definition) = definition(resource) else { return Ok(convert::to_served(resource, value)) };
    let version = definition.kind.group_version().to_string();
    if definition.asks_webhook && value.get("apiVersion").is_none_or(|kept| *kept != version) {
        let kind = &definition.kind.kind;
        let why = format!("conversion webhook for {version}, Kind={kind} failed: it is not called");
        return Err(Status::unknown(why));
    }
    definition.read(&mut value).map_err(Status::internal)?;
    Ok(value)
}

/// The same of an object that is needed further.
pub fn shown<'v>(resource: &Resource, value: &'v Value) -> Result<Cow<'v, Value>> {
    match definition(resource) {
        None => Ok(convert::shown(resource, value)),
        Some(_) => to_served(resource, value.clone()).map(Cow::Owned),
    }
}

/// The JSON of a stored object as a custom resource serves it; `None` where the bytes as they are kept do.
pub fn served_bytes(resource: &Resource, object: &Object) -> Result<Option<Bytes>> {
    let Some(definition) = definition(resource) else { return Ok(None) };
    if !resource.converts() && object.is_settled(definition.mark) {
        return Ok(None);
    }
    let kept = object.to_value(&resource.shape).map_err(Status::internal)?;
    let value = to_served(resource, kept.clone())?;
    if value != kept {
        return coding::encode(&value, &resource.shape, &resource.kind).map(Some).map_err(Status::internal);
    }
    if !resource.converts() {
        object.settle(definition.mark);
    }
    Ok(None)
}

/// Prepares a new object and says what is wrong with it.
pub fn create(caller: &mut Caller, at: &Address, definition: &Definition, value: &mut Value) -> Result<()> {
    if definition.terminating {
        return Err(Status::forbidden(&at.resource.name, object::name(value), TERMINATING));
    }
    definition.prepare_create(value);
    settle(caller, value, definition.validate_create(value))?;
    definition.warn(value, None).into_iter().for_each(|text| caller.warn(text));
    Ok(())
}

/// Prepares a change of an object, or of its status, and says what is wrong with it. `old` is as it is served.
pub fn update(
    caller: &mut Caller,
    at: &Address,
    definition: &Definition,
    (new, old): (&mut Value, &Value),
) -> Result<()> {
    let verdict = match at.subresource.as_str() {
        "status" => {
            definition.prepare_status(new, old);
            definition.validate_status(new, old)
        }
        _ => {
            definition.prepare_update(new, old);
            definition.validate_update(new, old)
        }
    };
    settle(caller, new, verdict)?;
    definition.warn(new, Some(old)).into_iter().for_each(|text| caller.warn(text));
    Ok(())
}

fn settle(caller: &mut Caller, value: &Value, verdict: Verdict) -> Result<()> {
    if !verdict.errors.is_empty() {
        // It is refused as what it says it is.
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
        let group = GroupVersion::parse(text("apiVersion")).unwrap_or_default().group;
        let kind = GroupVersionKind::new(&group, "", text("kind"));
        return Err(Status::invalid(&kind, object::name(value), &verdict.errors));
    }
    verdict.warnings.into_iter().for_each(|text| caller.warn(text));
    Ok(())
}
