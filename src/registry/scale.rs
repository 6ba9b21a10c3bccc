//! The scale subresource: an object's replicas as an `autoscaling/v1` Scale, and back.

use std::sync::Arc;

use super::core::Registry;
use super::custom::objects;
use super::meta;
use super::options::{FieldValidation, WriteOptions};
use super::request::{Address, Caller};
use super::write::{Change, Edited};
use crate::cache::object::Object;
use crate::codec::json::decode::decode;
use crate::fields::patch::{Validation, json as json_patch, merge, settle, strategic, text};
use crate::fields::scale::{Replicas, to_parent, to_scale};
use crate::fields::set::Set;
use crate::fields::update::{Context, Converted, update};
use crate::fields::{apply, managed};
use crate::model::field::{FieldError, Path};
use crate::model::gotext;
use crate::model::names::GroupVersionKind;
use crate::model::object;
use crate::model::selector::label::Selector;
use crate::model::status::{Result, Status};
use crate::model::value::{Map, Value, json};
use crate::rules::custom::scale::{self as custom, find, steps};
use crate::schema::resource::{Resource, Shape};
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

/// Stock cannot apply to the Scale of a custom resource.
const NO_APPLY: &str = "failed to create manager for existing fields: failed to convert live object (/; autoscaling/v1, \
    Kind=Scale) to proper version: request to convert CR to an invalid group/version: autoscaling/v1";
/// Stands for replicas that a custom resource does not have.
const MISSING: i64 = i32::MIN as i64;

pub fn kind() -> GroupVersionKind {
    GroupVersionKind::new("autoscaling", "v1", "Scale")
}

impl Registry {
    /// The Scale of an object, sparse.
    pub async fn scale(&self, at: &Address, resource_version: &str) -> Result<Value> {
        let object = self.get(at, resource_version).await?;
        self.shown_scale(at, &object)
    }

    fn shown_scale(&self, at: &Address, object: &Object) -> Result<Value> {
        let shape = at.resource.storage.as_ref().map_or(&at.resource.shape, |storage| &storage.shape);
        let value = object.to_value(shape).map_err(Status::internal)?;
        let Some(places) = places(at) else { return scale_of(&value) };
        let scale = custom_scale_of(&objects::to_served(&at.resource, value)?, places)?;
        if scale["spec"]["replicas"] == MISSING {
            let path = gotext::quote(&places.spec_replicas);
            return Err(Status::internal(format!("the spec replicas field {path} does not exist")));
        }
        Ok(scale)
    }

    /// Where the replicas stand in each version of the scaled kind.
    fn replicas(&self, at: &Address) -> Vec<(String, Option<Vec<String>>)> {
        let catalog = self.catalog.load();
        let of_kind = |resource: &&Arc<Resource>| resource.name == at.resource.name;
        let path = |resource: &Resource| {
            let places = objects::definition(resource)?.scale.as_ref()?;
            Some(steps(&places.spec_replicas).map(str::to_owned).collect())
        };
        let row = |resource: &Arc<Resource>| (resource.group_version().to_string(), path(resource));
        catalog.resources().iter().filter(of_kind).map(row).collect()
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
        if is_apply && places(at).is_some() {
            return Err(Status::unknown(NO_APPLY));
        }
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
        self.shown_scale(at, &written.object)
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
    let mut old = places(at).map_or_else(|| scale_of(live), |places| custom_scale_of(live, places))?;
    let replicas = registry.replicas(at);
    let managed = |value: &Value| object::metadata(value).and_then(|meta| meta.get("managedFields")).cloned();
    let list = with_replicas(at, &replicas, |rows| to_scale(managed(live).as_ref(), rows)).map_err(Status::internal)?;
    object::set_meta(&mut old, "managedFields", list.unwrap_or_default());
    let same = |value: &Value, _: &str, _: &str| -> std::result::Result<Option<Converted>, String> {
        Ok(Some(Converted { value: value.clone(), shape: Shape::Builtin(&SCALE) }))
    };
    let (kind, shape, reset) = (kind(), Shape::Builtin(&SCALE), Set::new());
    let (subresource, reset, convert, fresh) = ("scale", &reset, &same, &registry.fresh);
    let cx = Context { shape: &shape, kind: &kind, manager, subresource, now, reset, convert, fresh };
    let (mut new, warnings) = changed(&old, change, options, &cx)?;
    if !matches!(change, ScaleChange::Apply(_)) {
        update(Some(&old), &mut new, &cx);
    }
    registry.same_uid(at, object::uid(&new), &old, options.is_dry_run())?;
    let mut object = live.clone();
    set_replicas(at, &mut object, &new)?;
    let own = at.resource.group_version().to_string();
    let (before, now) = (managed(live), managed(&new));
    let list = with_replicas(at, &replicas, |rows| to_parent(before.as_ref(), now.as_ref(), &own, rows));
    let list = list.map_err(Status::internal)?;
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

/// Where the numbers of a custom resource's Scale stand; `None` for the built-in kinds.
fn places(at: &Address) -> Option<&custom::Scale> {
    objects::definition(&at.resource)?.scale.as_ref()
}

fn with_replicas<T>(at: &Address, of: &[(String, Option<Vec<String>>)], act: impl FnOnce(&Replicas<'_>) -> T) -> T {
    if places(at).is_none() {
        return act(&PATHS);
    }
    let texts = of.iter().map(|(_, path)| Some(path.as_ref()?.iter().map(String::as_str).collect()));
    let paths: Vec<Option<Vec<&str>>> = texts.collect();
    let rows: Vec<_> = of.iter().zip(&paths).map(|((version, _), path)| (version.as_str(), path.as_deref())).collect();
    act(&rows)
}

/// Writes the replicas of a Scale into the scaled object.
fn set_replicas(at: &Address, object: &mut Value, scale: &Value) -> Result<()> {
    let replicas = scale.get("spec").and_then(|spec| spec.get("replicas")).cloned().unwrap_or(json!(0));
    let Some(places) = places(at) else {
        check(&at.name, scale)?;
        if let Some(spec) = object.as_object_mut().map(|o| o.entry("spec").or_insert_with(|| json!({}))) {
            spec["replicas"] = replicas;
        }
        return Ok(());
    };
    if replicas == MISSING {
        let path = gotext::quote(&places.spec_replicas);
        return Err(Status::bad_request(format!("the spec replicas field {path} cannot be empty")));
    }
    let mut part = object;
    for step in steps(&places.spec_replicas) {
        if part.is_null() {
            *part = json!({});
        }
        let fields =
            part.as_object_mut().ok_or_else(|| Status::unknown("value cannot be set because it is no object"))?;
        part = fields.entry(step).or_insert(Value::Null);
    }
    *part = replicas;
    Ok(())
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

/// What a Scale has of the scaled object's metadata.
fn metadata(value: &Value) -> Map {
    let fields = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
    let of = |field: &str| Some((field.to_owned(), object::metadata(value)?.get(field)?.clone()));
    fields.into_iter().filter_map(of).collect()
}

/// The Scale of a custom resource; replicas that it does not have are [`MISSING`].
fn custom_scale_of(value: &Value, places: &custom::Scale) -> Result<Value> {
    let number = |path: &str| -> Result<Option<i64>> {
        let found = find(value, path).map_err(Status::unknown)?;
        found
            .map(|found| found.as_i64().ok_or_else(|| Status::unknown(custom::mistyped(path, found, "int64"))))
            .transpose()
    };
    let replicas = number(&places.spec_replicas)?.unwrap_or(MISSING);
    let mut status = json!({"replicas": number(&places.status_replicas)?.unwrap_or(0)});
    if let Some(path) = &places.selector
        && let Some(selector) = find(value, path).map_err(Status::unknown)?.filter(|selector| **selector != "")
    {
        let text = selector.as_str();
        status["selector"] = text.ok_or_else(|| Status::unknown(custom::mistyped(path, selector, "string")))?.into();
    }
    let mut spec = json!({});
    if replicas != 0 {
        spec["replicas"] = replicas.into();
    }
    Ok(json!({"metadata": metadata(value), "spec": spec, "status": status}))
}

/// The Scale of an object of a built-in kind in its storage version.
fn scale_of(value: &Value) -> Result<Value> {
    let meta = metadata(value);
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
