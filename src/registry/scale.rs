//! The scale subresource: an object's replicas as an `autoscaling/v1` Scale, and back.

use serde_json::{Map, Value, json};

use super::core::Registry;
use super::meta;
use super::options::{FieldValidation, WriteOptions};
use super::request::{Address, Caller};
use super::write::{Change, Edited};
use crate::codec::json::decode::decode;
use crate::fields::patch::{Validation, json as json_patch, merge, settle, strategic, text};
use crate::fields::scale::{to_parent, to_scale};
use crate::fields::set::Set;
use crate::fields::update::{Context, Converted, update};
use crate::fields::{apply, managed};
use crate::model::field::{FieldError, Path};
use crate::model::names::GroupVersionKind;
use crate::model::object;
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};
use crate::schema::resource::Shape;
use crate::schema::table::API_AUTOSCALING_V1_SCALE as SCALE;

/// What is done to a Scale.
pub enum ScaleChange<'a> {
    Replace(Value),
    Json(&'a [u8]),
    Merge(&'a [u8]),
    Strategic(&'a [u8]),
    Apply(Value),
}

const REPLICAS: &[&str] = &["spec", "replicas"];
/// Where the replicas of the built-in kinds stand, in every version that ever named them.
const PATHS: [(&str, Option<&[&str]>); 4] = [
    ("v1", Some(REPLICAS)),
    ("apps/v1", Some(REPLICAS)),
    ("apps/v1beta2", Some(REPLICAS)),
    ("apps/v1beta1", Some(REPLICAS)),
];

pub fn kind() -> GroupVersionKind {
    GroupVersionKind::new("autoscaling", "v1", "Scale")
}

impl Registry {
    /// The Scale of an object, sparse.
    pub async fn scale(&self, at: &Address, resource_version: &str) -> Result<Value> {
        let object = self.get(at, resource_version).await?;
        let shape = at.resource.storage.as_ref().map_or(&at.resource.shape, |storage| &storage.shape);
        let value = object.to_value(shape).map_err(Status::internal)?;
        scale_of(&value)
    }

    /// Changes the replicas through the Scale, and answers with it.
    pub async fn set_scale(
        &self,
        caller: &mut Caller,
        at: &Address,
        mut change: ScaleChange<'_>,
        options: &WriteOptions,
    ) -> Result<Value> {
        let is_apply = matches!(change, ScaleChange::Apply(_));
        let operation = if matches!(change, ScaleChange::Replace(_)) { "Update" } else { "Patch" };
        options.validate(operation, is_apply)?;
        if let ScaleChange::Replace(body) = &mut change {
            meta::place(body, &at.resource, &at.namespace)?;
        }
        let manager = managed::manager_or_agent(&options.field_manager, &caller.agent).to_string();
        let now = self.now();
        let edit = |live: &Value| edited(self, at, live, &change, options, &manager, now);
        let parent = Address { subresource: Default::default(), ..at.clone() };
        let written = self.update(caller, &parent, Change::Edit(&edit), options, false).await?;
        let shape = at.resource.storage.as_ref().map_or(&at.resource.shape, |storage| &storage.shape);
        scale_of(&written.object.to_value(shape).map_err(Status::internal)?)
    }
}

/// The object with the replicas that the changed Scale asks for.
fn edited(
    registry: &Registry,
    at: &Address,
    live: &Value,
    change: &ScaleChange<'_>,
    options: &WriteOptions,
    manager: &str,
    now: crate::model::time::Time,
) -> Result<Edited> {
    let mut old = scale_of(live)?;
    let list = to_scale(object::metadata(live).and_then(|meta| meta.get("managedFields")), &PATHS)
        .map_err(Status::internal)?;
    object::set_meta(&mut old, "managedFields", list.unwrap_or_default());
    let same = |value: &Value, _: &str, _: &str| -> std::result::Result<Option<Converted>, String> {
        Ok(Some(Converted { value: value.clone(), shape: Shape::Builtin(&SCALE) }))
    };
    let (kind, shape, reset) = (kind(), Shape::Builtin(&SCALE), Set::new());
    let cx = Context { shape: &shape, kind: &kind, manager, subresource: "scale", now, reset: &reset, convert: &same };
    let (mut new, warnings) = changed(&old, change, options, &cx)?;
    if !matches!(change, ScaleChange::Apply(_)) {
        update(Some(&old), &mut new, &cx);
    }
    registry.same_uid(at, object::uid(&new), &old, options.is_dry_run())?;
    check(&at.name, &new)?;
    let mut object = live.clone();
    let replicas = new.get("spec").and_then(|spec| spec.get("replicas")).cloned().unwrap_or(json!(0));
    if let Some(spec) = object.as_object_mut().map(|o| o.entry("spec").or_insert_with(|| json!({}))) {
        spec["replicas"] = replicas;
    }
    let own = at.resource.group_version().to_string();
    let managed = |value: &Value| object::metadata(value).and_then(|meta| meta.get("managedFields")).cloned();
    let list = to_parent(managed(live).as_ref(), managed(&new).as_ref(), &own, &PATHS).map_err(Status::internal)?;
    object::set_meta(&mut object, "managedFields", list.unwrap_or_default());
    let version = object::resource_version(&new).to_owned();
    if !version.is_empty() {
        object::set_meta(&mut object, "resourceVersion", version.into());
    }
    Ok(Edited { object, owned: true, warnings })
}

fn changed(
    old: &Value,
    change: &ScaleChange<'_>,
    options: &WriteOptions,
    cx: &Context<'_>,
) -> Result<(Value, Vec<String>)> {
    let validation = match options.validation() {
        FieldValidation::Ignore => Validation::Ignore,
        FieldValidation::Warn => Validation::Warn,
        FieldValidation::Strict => Validation::Strict,
    };
    let text = || text(old, &Shape::Builtin(&SCALE), &kind());
    let patched = match change {
        ScaleChange::Replace(body) => return Ok((body.clone(), Vec::new())),
        ScaleChange::Apply(wanted) => {
            let object = apply::apply(Some(old), wanted, cx, options.force.unwrap_or(false))?;
            return Ok((object, Vec::new()));
        }
        ScaleChange::Strategic(body) => {
            let decoded = strategic::apply(old, body, &SCALE, validation)?;
            return Ok((decoded.value, decoded.notes));
        }
        ScaleChange::Json(body) => json_patch::apply(&text()?, body, validation)?,
        ScaleChange::Merge(body) => merge::apply(&text()?, body, validation)?,
    };
    let decoded = decode(&patched.text, &SCALE);
    let shown = || String::from_utf8_lossy(&patched.text).into_owned();
    let settled = settle(shown, patched.notes.clone(), decoded, validation)?;
    Ok((settled.value, settled.notes))
}

/// A Scale may not be negative.
fn check(name: &str, new: &Value) -> Result<()> {
    let replicas = new.get("spec").and_then(|spec| spec.get("replicas")).and_then(Value::as_i64).unwrap_or(0);
    if replicas < 0 {
        let root = Path::Root;
        let spec = root.name("spec");
        let detail = "must be greater than or equal to 0";
        let error = FieldError::invalid(&spec.name("replicas"), replicas, detail);
        return Err(Status::invalid(&kind(), name, &[error]));
    }
    Ok(())
}

/// The Scale of an object in its storage version.
fn scale_of(value: &Value) -> Result<Value> {
    let mut meta = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(found) = object::metadata(value).and_then(|meta| meta.get(field)) {
            meta.insert(field.to_owned(), found.clone());
        }
    }
    let number =
        |part: &str| value.get(part).and_then(|part| part.get("replicas")).and_then(Value::as_i64).unwrap_or(0);
    let selector = selector_text(value.get("spec").and_then(|spec| spec.get("selector")))?;
    let mut status = json!({"replicas": number("status")});
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    let (replicas, mut spec) = (number("spec"), json!({}));
    if replicas != 0 {
        spec["replicas"] = replicas.into();
    }
    Ok(json!({"metadata": meta, "spec": spec, "status": status}))
}

/// A label selector, or the plain labels of a ReplicationController, as one text.
fn selector_text(selector: Option<&Value>) -> Result<String> {
    let Some(selector) = selector.and_then(Value::as_object) else { return Ok(String::new()) };
    let labelled = selector.contains_key("matchLabels") || selector.contains_key("matchExpressions");
    if labelled {
        return Selector::of_object(&Value::Object(selector.clone())).map(|s| s.to_string()).map_err(Status::internal);
    }
    let mut terms: Vec<String> =
        selector.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    terms.sort_unstable();
    Ok(terms.join(","))
}
