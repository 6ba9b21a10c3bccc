//! Stages of a write that every kind goes through: defaults, ownership of fields, admission.

use super::core::Registry;
use super::custom::objects;
use super::options::WriteOptions;
use super::request::{Address, Caller};
use crate::admission::chain::{Attributes, Operation, shown_name};
use crate::fields::managed;
use crate::fields::resets::resets;
use crate::fields::set::Set;
use crate::fields::update::{Context, Convert, Converted, update};
use crate::model::names::GroupVersion;
use crate::model::object;
use crate::model::status::Result;
use crate::model::value::{Value, json};
use crate::rules::all;
use crate::schema::convert;
use crate::schema::resource::Resource;

impl Registry {
    pub fn fill_defaults(&self, resource: &Resource, object: &mut Value) {
        match objects::definition(resource) {
            Some(definition) => definition.fill(object),
            None => all::defaults(&resource.kind).into_iter().for_each(|fill| fill(object)),
        }
    }

    /// Fills the defaults of a changed object. Who writes a part of it has mostly left the spec alone: that was filled
    /// when it was written.
    pub fn fill_change(&self, at: &Address, live: &Value, new: &mut Value) {
        let is_kept = |new: &Value| match (&new["spec"], &live["spec"]) {
            (Value::Object(new), Value::Object(live)) => new.is_copy_of(live),
            _ => false,
        };
        let spec = if !at.subresource.is_empty() && is_kept(new) { Some(new["spec"].take()) } else { None };
        self.fill_defaults(&at.resource, new);
        if let Some(spec) = spec {
            new["spec"] = spec;
        }
    }

    /// Records in managedFields what the caller's manager now owns.
    pub fn own(&self, caller: &Caller, at: &Address, live: Option<&Value>, new: &mut Value, options: &WriteOptions) {
        convert::settle(&at.resource, new);
        let manager = managed::manager_or_agent(&options.field_manager, &caller.agent);
        let reset = resets(&at.resource, &at.subresource);
        let convert = |value: &Value, from: &str, to: &str| self.convert_version(&at.resource, value, from, to);
        update(live, new, &self.fields_context(at, &manager, &reset, &convert));
    }

    /// What field management must know of a request.
    pub fn fields_context<'a>(
        &'a self,
        at: &'a Address,
        manager: &'a str,
        reset: &'a Set,
        convert: &'a Convert<'a>,
    ) -> Context<'a> {
        Context {
            shape: &at.resource.shape,
            kind: &at.resource.kind,
            manager,
            subresource: &at.subresource,
            now: self.now(),
            reset,
            convert,
            fresh: &self.fresh,
        }
    }

    /// An object in another version of its group, for managers that wrote in that one.
    pub fn convert_version(
        &self,
        resource: &Resource,
        value: &Value,
        from: &str,
        to: &str,
    ) -> std::result::Result<Option<Converted>, String> {
        let catalog = self.catalog.load();
        let find = |api_version: &str| {
            let version = GroupVersion::parse(api_version)?;
            catalog.find(&version.group, &version.version, &resource.name.resource).cloned()
        };
        let (Some(from), Some(to)) = (find(from), find(to)) else { return Ok(None) };
        if objects::definition(&to).is_some() {
            let mut value = value.clone();
            value["apiVersion"] = to.group_version().to_string().into();
            return Ok(Some(Converted { value, shape: to.shape.clone() }));
        }
        let stored = convert::to_storage(&from, value.clone());
        Ok(Some(Converted { value: convert::to_served(&to, stored), shape: to.shape.clone() }))
    }

    /// The mutating half of admission; defaults are filled again after it.
    pub async fn admit(
        &self,
        caller: &mut Caller,
        at: &Address,
        operation: Operation,
        mut object: Option<&mut Value>,
        old: Option<&Value>,
        options: &WriteOptions,
    ) -> Result<()> {
        let options = options_value(operation, options);
        let Caller { user, warnings, annotations, .. } = caller;
        let shown = shown_name(&at.name, object.as_deref()).to_owned();
        // A create is sent to the collection: the object has its name, unless that is to be generated.
        let name = match &object {
            Some(object) if at.name.is_empty() => object::name(object).to_owned(),
            _ => at.name.to_string(),
        };
        let mut attributes = Attributes {
            user,
            operation,
            resource: &at.resource,
            subresource: &at.subresource,
            namespace: &at.namespace,
            name: &name,
            shown: &shown,
            old,
            dry_run: options["dryRun"].is_array(),
            options: &options,
            warnings,
            annotations,
        };
        if self.admission.admit(&mut attributes, object.as_deref_mut()).await?
            && let Some(object) = object
        {
            match old {
                Some(old) => self.fill_change(at, old, object),
                None => self.fill_defaults(&at.resource, object),
            }
        }
        Ok(())
    }

    /// The validating half of admission.
    pub async fn validate_admission(
        &self,
        caller: &mut Caller,
        at: &Address,
        operation: Operation,
        object: Option<&Value>,
        old: Option<&Value>,
        options: &WriteOptions,
    ) -> Result<()> {
        let options = options_value(operation, options);
        let Caller { user, warnings, annotations, .. } = caller;
        let shown = shown_name(&at.name, object).to_owned();
        let mut attributes = Attributes {
            user,
            operation,
            resource: &at.resource,
            subresource: &at.subresource,
            namespace: &at.namespace,
            name: &at.name,
            shown: &shown,
            old,
            dry_run: options["dryRun"].is_array(),
            options: &options,
            warnings,
            annotations,
        };
        self.admission.validate(&mut attributes, object).await
    }

    /// The mutating half for what is posted to a subresource and is no object of the resource itself: a Binding, an
    /// Eviction, a TokenRequest.
    pub async fn admit_posted(
        &self,
        caller: &mut Caller,
        at: &Address,
        body: &mut Value,
        options: &WriteOptions,
    ) -> Result<()> {
        let shown = options_value(Operation::Create, options);
        let mut attributes = posted(caller, at, &shown, options.is_dry_run());
        self.admission.admit(&mut attributes, Some(body)).await.map(drop)
    }

    /// The validating half for the same.
    pub async fn validate_posted(
        &self,
        caller: &mut Caller,
        at: &Address,
        body: &Value,
        options: &WriteOptions,
    ) -> Result<()> {
        let shown = options_value(Operation::Create, options);
        let mut attributes = posted(caller, at, &shown, options.is_dry_run());
        self.admission.validate(&mut attributes, Some(body)).await
    }

    /// Both halves for a connection to what an object runs; `body` is the connection's options.
    pub async fn admit_connection(&self, caller: &mut Caller, at: &Address, body: &mut Value) -> Result<()> {
        let mut attributes = Attributes { operation: Operation::Connect, ..posted(caller, at, &Value::Null, false) };
        self.admission.admit(&mut attributes, Some(body)).await?;
        self.admission.validate(&mut attributes, Some(body)).await
    }
}

fn posted<'a>(caller: &'a mut Caller, at: &'a Address, options: &'a Value, dry_run: bool) -> Attributes<'a> {
    let Caller { user, warnings, annotations, .. } = caller;
    Attributes {
        user,
        operation: Operation::Create,
        resource: &at.resource,
        subresource: &at.subresource,
        namespace: &at.namespace,
        name: &at.name,
        shown: &at.name,
        old: None,
        dry_run,
        options,
        warnings,
        annotations,
    }
}

/// Create, update or patch options as admission reviews show them.
fn options_value(operation: Operation, options: &WriteOptions) -> Value {
    let kind = match operation {
        Operation::Create => "CreateOptions",
        Operation::Update => "UpdateOptions",
        Operation::Delete => "DeleteOptions",
        Operation::Connect => return Value::Null,
    };
    let mut value = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
    if options.is_dry_run() {
        value["dryRun"] = json!(options.dry_run);
    }
    for (name, text) in [("fieldManager", &options.field_manager), ("fieldValidation", &options.field_validation)] {
        if !text.is_empty() {
            value[name] = json!(text);
        }
    }
    value
}
