//! Patches: the object is read, changed as the patch says, and written like any other update.

use super::core::Registry;
use super::decode::decode;
use super::options::{FieldValidation, WriteOptions};
use super::request::{Address, Caller, Written};
use super::write::{Change, Edited};
use crate::fields::apply;
use crate::fields::managed;
use crate::fields::patch::{Validation, json, merge, settle, strategic, text};
use crate::fields::resets::resets;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::schema::resource::{Resource, Shape};

/// A patch as it came.
#[derive(Clone, Debug)]
pub enum Patch<'a> {
    /// RFC 6902.
    Json(&'a [u8]),
    /// RFC 7386.
    Merge(&'a [u8]),
    Strategic(&'a [u8]),
    /// What the manager wants of the object, as JSON; `notes` is what strict reading has against the body.
    Apply {
        wanted: Value,
        notes: Vec<String>,
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
        if let Patch::Apply { wanted, notes } = patch {
            return self.apply(caller, at, &wanted, notes, options).await;
        }
        let edit = |live: &Value| edit(&at.resource, live, &patch, validation(options));
        self.update(caller, at, Change::Edit(&edit), options, false).await
    }

    async fn apply(
        &self,
        caller: &mut Caller,
        at: &Address,
        wanted: &Value,
        notes: Vec<String>,
        options: &WriteOptions,
    ) -> Result<Written> {
        if options.validation() == FieldValidation::Strict && !notes.is_empty() {
            return Err(Status::bad_request(notes.join(", ")));
        }
        let warn = options.validation() == FieldValidation::Warn;
        notes.into_iter().filter(|_| warn).for_each(|note| caller.warn(note));
        let manager = managed::manager_or_agent(&options.field_manager, &caller.agent);
        let reset = resets(&at.resource, &at.subresource);
        let convert = |value: &Value, from: &str, to: &str| self.convert_version(&at.resource, value, from, to);
        let cx = self.fields_context(at, &manager, &reset, &convert);
        let edit = |live: &Value| {
            let live = live.as_object().is_some_and(|fields| !fields.is_empty()).then_some(live);
            let object = apply::apply(live, wanted, &cx, options.force.unwrap_or(false))?;
            Ok(Edited { object, owned: true, warnings: Vec::new() })
        };
        self.update(caller, at, Change::Edit(&edit), options, at.subresource.is_empty()).await
    }
}

/// What a patch makes of an object (sparse, in the served version).
fn edit(resource: &Resource, live: &Value, patch: &Patch<'_>, validation: Validation) -> Result<Edited> {
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
    let decoded = decode(&patched.text, resource);
    let shown = || String::from_utf8_lossy(&patched.text).into_owned();
    let settled = settle(shown, patched.notes.clone(), decoded, validation)?;
    Ok(Edited { object: settled.value, owned: false, warnings: settled.notes })
}

fn validation(options: &WriteOptions) -> Validation {
    match options.validation() {
        FieldValidation::Ignore => Validation::Ignore,
        FieldValidation::Warn => Validation::Warn,
        FieldValidation::Strict => Validation::Strict,
    }
}
