//! Patches: the object is read, changed as the patch says, and written like any other update.

use super::core::Registry;
use super::decode::decode;
use super::kind as kinds;
use super::options::{FieldValidation, WriteOptions};
use super::request::{Address, Caller, Written};
use super::write::{Change, Edited};
use crate::codec::json::decode::Decoded;
use crate::codec::yaml::read::strict_error;
use crate::fields::apply;
use crate::fields::managed;
use crate::fields::patch::{Validation, json, merge, settle, strategic, text};
use crate::fields::resets::resets;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::schema::convert;
use crate::schema::resource::{Resource, Shape};

/// A patch as it came.
#[derive(Clone, Debug)]
pub enum Patch<'a> {
    /// RFC 6902.
    Json(&'a [u8]),
    /// RFC 7386.
    Merge(&'a [u8]),
    Strategic(&'a [u8]),
    /// What the manager wants of the object, as JSON, and the keys that come more than once in the body.
    Apply {
        wanted: Value,
        repeated: Vec<String>,
    },
}

impl Registry {
    /// Patches an object, or a part of it; applying creates what is not there.
    pub async fn patch(
        &self,
        caller: &mut Caller,
        at: &Address,
        patch: Patch<'_>,
        options: &WriteOptions,
    ) -> Result<Written> {
        options.validate("Patch", matches!(patch, Patch::Apply { .. }))?;
        if let Patch::Apply { wanted, repeated } = patch {
            return self.apply(caller, at, &wanted, &repeated, options).await;
        }
        let edit = |live: &Value| self.edit(&at.resource, live, &patch, validation(options));
        self.update(caller, at, Change::Edit(&edit), options, false).await
    }

    async fn apply(
        &self,
        caller: &mut Caller,
        at: &Address,
        wanted: &Value,
        repeated: &[String],
        options: &WriteOptions,
    ) -> Result<Written> {
        let manager = managed::manager_or_agent(&options.field_manager, &caller.agent);
        let reset = resets(&at.resource, &at.subresource);
        let convert = |value: &Value, from: &str, to: &str| self.convert_version(&at.resource, value, from, to);
        let cx = self.fields_context(at, &manager, &reset, &convert);
        let edit = |live: &Value| {
            let live = live.as_object().is_some_and(|fields| !fields.is_empty()).then_some(live);
            let object = apply::apply(live, wanted, &cx, options.force.unwrap_or(false))?;
            let warnings = match options.validation() {
                FieldValidation::Strict if !repeated.is_empty() => {
                    let why = format!("error converting YAML to JSON: {}", strict_error(repeated));
                    return Err(Status::bad_request(format!("error strict decoding YAML: {why}")));
                }
                FieldValidation::Warn => repeated.to_vec(),
                FieldValidation::Strict | FieldValidation::Ignore => Vec::new(),
            };
            Ok(Edited { object, owned: true, warnings })
        };
        self.update(caller, at, Change::Edit(&edit), options, at.subresource.is_empty()).await
    }

    /// What a patch makes of an object (sparse, in the served version).
    fn edit(&self, resource: &Resource, live: &Value, patch: &Patch<'_>, validation: Validation) -> Result<Edited> {
        let text = || text(live, &resource.shape, &resource.kind);
        let patched = match (patch, &resource.shape) {
            (Patch::Json(body), _) => json::apply(&text()?, body, validation)?,
            (Patch::Merge(body), _) => merge::apply(&text()?, body, validation)?,
            (Patch::Strategic(body), Shape::Builtin(message)) => {
                let decoded = strategic::apply(live, body, message, validation)?;
                return Ok(Edited { object: decoded.value, owned: false, warnings: decoded.notes });
            }
            (Patch::Strategic(_), Shape::Custom(_)) | (Patch::Apply { .. }, _) => {
                return Err(Status::internal("this patch is not made here"));
            }
        };
        let decoded = self.read_patched(&patched.text, resource);
        let shown = || String::from_utf8_lossy(&patched.text).into_owned();
        let settled = settle(shown, patched.notes.clone(), decoded, validation)?;
        Ok(Edited { object: settled.value, owned: false, warnings: settled.notes })
    }

    /// Reads what a patch made as the kind and version that it now says it is of: that must still be the resource's
    /// kind, though it may be another version of it. The error is Go's text.
    fn read_patched(&self, text: &[u8], resource: &Resource) -> std::result::Result<Decoded, String> {
        let own = resource.group_version();
        let (api_version, kind) = kinds::said(text)?;
        let kind = if kind.is_empty() { &resource.kind.kind } else { kind.as_str() };
        let given = if api_version.is_empty() { own.clone() } else { kinds::version(&api_version)? };
        if matches!(resource.shape, Shape::Custom(_)) || (given == own && kind == resource.kind.kind) {
            return decode(text, resource);
        }
        kinds::is_same_inside(&given, kind, kinds::kept(resource), Some(text))?;
        let catalog = self.catalog.load();
        let Some(other) = catalog.find(&given.group, &given.version, &resource.name.resource) else {
            return Err(kinds::unregistered(&given, kind));
        };
        let decoded = decode(text, other)?;
        let value = convert::to_served(resource, convert::to_storage(other, decoded.value));
        Ok(Decoded { value, notes: decoded.notes })
    }
}

fn validation(options: &WriteOptions) -> Validation {
    match options.validation() {
        FieldValidation::Ignore => Validation::Ignore,
        FieldValidation::Warn => Validation::Warn,
        FieldValidation::Strict => Validation::Strict,
    }
}
