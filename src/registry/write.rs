//! Create and update, whatever the kind: the order of a write stands here, top down.

use std::sync::Arc;

use super::core::{Current, Done, Registry, Step, rules, storage};
use super::custom::objects;
use super::hooks::Wish;
use super::meta;
use super::options::WriteOptions;
use super::request::{Address, Caller, Written};
use crate::admission::chain::Operation;
use crate::auth::authorizer::{Attributes, Resource as Asked};
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::names::GroupVersionKind;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};
use crate::rules::at::At;
use crate::rules::kind::{Cx, Part, Rules};
use crate::rules::strategy;
use crate::schema::convert;

/// How often a generated name may turn out to be taken.
const NAME_ATTEMPTS: usize = 8;
const MODIFIED: &str = "the object has been modified; please apply your changes to the latest version and try again";

/// What an update makes of the object as it is: called again when that has changed meanwhile.
pub enum Change<'a> {
    /// A PUT's body.
    Replace(Value),
    /// A patch: (current object in the served version, `None` to create) -> new object.
    Edit(&'a (dyn Fn(&Value) -> Result<Edited> + Sync)),
}

/// What a patch made.
pub struct Edited {
    pub object: Value,
    /// managedFields are done (apply does them itself).
    pub owned: bool,
    pub warnings: Vec<String>,
}

impl Registry {
    /// Creates an object from a decoded body (sparse, in the served version).
    pub async fn create(
        &self,
        caller: &mut Caller,
        at: &Address,
        mut body: Value,
        options: &WriteOptions,
    ) -> Result<Written> {
        meta::place(&mut body, &at.resource, &at.namespace)?;
        self.fill_defaults(&at.resource, &mut body);
        warn_owners(caller, &mut body, false);
        self.own(caller, at, None, &mut body, options);
        self.admit(caller, at, Operation::Create, Some(&mut body), None, options).await?;
        warn_owners(caller, &mut body, true);
        self.hooks.confirm(&self.wish(caller, at, &body, None)).await?;
        if !generates(&body) {
            return self.create_once(caller, at, body, options).await;
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.create_once(caller, at, body.clone(), options).await {
                Err(status) if status.is_already_exists() => {
                    if attempt == NAME_ATTEMPTS {
                        return Err(Status::generate_name_conflict(&status));
                    }
                }
                result => return result,
            }
        }
    }

    async fn create_once(
        &self,
        caller: &mut Caller,
        at: &Address,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written> {
        let cx = self.cx(at, &caller.user);
        let mut value = convert::to_storage(&at.resource, body);
        meta::init(&mut value, cx.now, &self.entropy, rules(&at.resource).literal_generate_name);
        let at = Address { name: object::name(&value).into(), ..at.clone() };
        let mut claim = self.hooks.begin_create(self, &at, &mut value, options.is_dry_run()).await?;
        let finished = self.finish_create(caller, &at, &cx, value, options).await;
        match &finished {
            Ok(_) => claim.keep(self).await,
            Err(_) => claim.revert(self).await,
        }
        finished
    }

    async fn finish_create(
        &self,
        caller: &mut Caller,
        at: &Address,
        cx: &Cx,
        mut value: Value,
        options: &WriteOptions,
    ) -> Result<Written> {
        let rules = rules(&at.resource);
        self.prepare_new(caller, at, cx, rules, &mut value)?;
        let served = convert::shown(&at.resource, &value);
        self.validate_admission(caller, at, Operation::Create, Some(&served), None, options).await?;
        if !options.is_dry_run() && object::resource_version(&value).parse::<u64>().is_ok_and(|version| version != 0) {
            return Err(Status::unknown("resourceVersion should not be set on objects to be created"));
        }
        let ttl = self.hooks.ttl(&at.resource);
        let mut transaction = self.begin(caller, at, options.is_dry_run()).await?;
        let mut value = Some(value);
        loop {
            let decided = match (transaction.seen(), value.take()) {
                (None, Some(value)) => Ok(Step::Put { value, ttl }),
                (Some(current), kept) => {
                    value = kept;
                    Err(taken(at, &current.value))
                }
                // It was there when this was committed, and is gone again.
                (None, None) => Err(Status::server_timeout(&at.resource.name, "create", 1)),
            };
            if let Some(done) = transaction.conclude(decided).await? {
                return Ok(Written { object: done.object, created: true });
            }
        }
    }

    /// The strategy's part of a create: prepare, validate, warn.
    fn prepare_new(&self, caller: &mut Caller, at: &Address, cx: &Cx, rules: &Rules, value: &mut Value) -> Result<()> {
        if let Some(definition) = objects::definition(&at.resource) {
            return objects::create(caller, at, definition, value);
        }
        let message = storage(&at.resource)?.shape.message();
        let mut warnings = Vec::new();
        (rules.forewarn)(&At::new(value, message), &mut warnings);
        warnings.drain(..).for_each(|text| caller.warn(text));
        strategy::prepare_create(cx, rules, value);
        refuse(at, value, &strategy::validate_create(cx, rules, value, message, at.resource.namespaced))?;
        refuse(at, value, &self.hooks.unauthorized(&self.wish(caller, at, value, None)))?;
        (rules.warn)(cx, &At::new(value, message), None, &mut warnings);
        warnings.into_iter().for_each(|text| caller.warn(text));
        (rules.canonicalize)(value);
        Ok(())
    }

    /// Replaces or edits an object, or a part of it when the address names a subresource.
    pub async fn update(
        &self,
        caller: &mut Caller,
        at: &Address,
        change: Change<'_>,
        options: &WriteOptions,
        create_missing: bool,
    ) -> Result<Written> {
        let mut claims = Vec::new();
        let outcome = self.update_rounds(caller, at, &change, options, create_missing, &mut claims).await;
        for mut claim in claims.drain(..).rev() {
            if outcome.is_ok() { claim.keep(self).await } else { claim.revert(self).await }
        }
        let done = outcome?;
        if done.deleted {
            self.hooks.after_delete(self, at, &done.object).await;
            // An update that ended the object shows it as the update found it.
            let object = Arc::new(done.object.at(done.before.unwrap_or(done.object.revision)));
            return Ok(Written { object, created: false });
        }
        Ok(Written { object: done.object, created: done.created })
    }

    async fn update_rounds(
        &self,
        caller: &mut Caller,
        at: &Address,
        change: &Change<'_>,
        options: &WriteOptions,
        create_missing: bool,
        claims: &mut Vec<super::hooks::Claim>,
    ) -> Result<Done> {
        let replaces = matches!(change, Change::Replace(_));
        let may_create =
            create_missing && at.subresource.is_empty() || replaces && rules(&at.resource).create_on_update;
        let expected_uid =
            if let Change::Replace(body) = change { object::uid(body).to_owned() } else { String::new() };
        let mut transaction = self.begin(caller, at, options.is_dry_run()).await?;
        loop {
            let decided = match transaction.seen() {
                Some(current) => match self.same_uid(at, &expected_uid, &current.value, options.is_dry_run()) {
                    Ok(()) => self.update_existing(caller, at, change, options, current, claims).await,
                    Err(refusal) => Err(refusal),
                },
                None if may_create => match self.same_uid(at, &expected_uid, &Value::Null, options.is_dry_run()) {
                    Ok(()) => self.update_missing(caller, at, change, options, claims).await,
                    Err(refusal) => Err(refusal),
                },
                None => Err(Status::not_found(&at.resource.name, &at.name)),
            };
            if let Some(done) = transaction.conclude(decided).await? {
                return Ok(done);
            }
        }
    }

    async fn update_existing(
        &self,
        caller: &mut Caller,
        at: &Address,
        change: &Change<'_>,
        options: &WriteOptions,
        current: &Current,
        claims: &mut Vec<super::hooks::Claim>,
    ) -> Result<Step> {
        let (rules, cx) = (rules(&at.resource), self.cx(at, &caller.user));
        let live = objects::shown(&at.resource, &current.value)?;
        let mut new = self.changed(caller, at, change, &live, options)?;
        self.admit(caller, at, Operation::Update, Some(&mut new), Some(&live), options).await?;
        warn_owners(caller, &mut new, true);
        let mut value = convert::to_storage(&at.resource, new);
        self.hooks.confirm(&self.wish(caller, at, &value, Some(&current.value))).await?;
        versions_agree(at, rules, &mut value, &current.value)?;
        meta::place(&mut value, &at.resource, &at.namespace)?;
        match objects::definition(&at.resource) {
            Some(definition) => objects::update(caller, at, definition, (&mut value, live.as_ref()))?,
            None => {
                let verb = if matches!(change, Change::Replace(_)) { "update" } else { "patch" };
                let both = (&mut value, &current.value);
                self.update_builtin(caller, at, &cx, verb, both, (options.is_dry_run(), claims)).await?;
            }
        }
        let served = convert::shown(&at.resource, &value);
        self.validate_admission(caller, at, Operation::Update, Some(&served), Some(&live), options).await?;
        if meta::ends_with(&value, &current.value) && self.hooks.may_end(&at.resource, &value) {
            return Ok(Step::Delete { last: value });
        }
        Ok(Step::Put { value, ttl: self.hooks.ttl(&at.resource) })
    }

    /// The strategy's part of an update of a built-in kind: (new, old) as they are kept.
    async fn update_builtin(
        &self,
        caller: &mut Caller,
        at: &Address,
        cx: &Cx,
        verb: &str,
        (value, old): (&mut Value, &Value),
        (dry_run, claims): (bool, &mut Vec<super::hooks::Claim>),
    ) -> Result<()> {
        let (rules, part) = (rules(&at.resource), self.part(at)?);
        if part.is_none() {
            claims.push(self.hooks.begin_update(self, at, value, old, dry_run).await?);
        }
        match part {
            Some(part) => strategy::prepare_part(cx, part, value, old),
            None => strategy::prepare_update(cx, rules, value, old),
        }
        let denied = self.hooks.denied(self, &caller.user, at, verb, (value, old));
        self.validate_change(caller, at, cx, part, (value, old), denied)
    }

    /// An update that creates: the same steps as a create.
    async fn update_missing(
        &self,
        caller: &mut Caller,
        at: &Address,
        change: &Change<'_>,
        options: &WriteOptions,
        claims: &mut Vec<super::hooks::Claim>,
    ) -> Result<Step> {
        let (rules, cx) = (rules(&at.resource), self.cx(at, &caller.user));
        let empty = json!({});
        let mut new = self.changed(caller, at, change, &empty, options)?;
        self.admit(caller, at, Operation::Create, Some(&mut new), None, options).await?;
        warn_owners(caller, &mut new, true);
        let mut value = convert::to_storage(&at.resource, new);
        self.hooks.confirm(&self.wish(caller, at, &value, None)).await?;
        meta::init(&mut value, cx.now, &self.entropy, rules.literal_generate_name);
        if at.subresource.is_empty() {
            claims.push(self.hooks.begin_create(self, at, &mut value, options.is_dry_run()).await?);
        }
        self.prepare_new(caller, at, &cx, rules, &mut value)?;
        self.may_create(caller, at).await?;
        let served = convert::shown(&at.resource, &value);
        self.validate_admission(caller, at, Operation::Create, Some(&served), None, options).await?;
        Ok(Step::Put { value, ttl: self.hooks.ttl(&at.resource) })
    }

    fn wish<'a>(&'a self, caller: &'a Caller, at: &'a Address, new: &'a Value, old: Option<&'a Value>) -> Wish<'a> {
        Wish { registry: self, user: &caller.user, at, new, old }
    }

    /// 403 unless the caller, who was let in to update or to patch, may also create.
    async fn may_create(&self, caller: &Caller, at: &Address) -> Result<()> {
        let asked = Asked {
            group: &at.resource.name.group,
            version: &at.resource.kind.version,
            resource: &at.resource.name.resource,
            namespace: &at.namespace,
            name: &at.name,
            ..Asked::default()
        };
        self.authorizer.require(&Attributes::resource(&caller.user, "create", asked)).await
    }

    /// The new object in the served version: defaulted, with managedFields.
    fn changed(
        &self,
        caller: &mut Caller,
        at: &Address,
        change: &Change<'_>,
        live: &Value,
        options: &WriteOptions,
    ) -> Result<Value> {
        let (mut new, owned) = match change {
            Change::Replace(body) => (body.clone(), false),
            Change::Edit(edit) => {
                let mut edited = edit(live)?;
                let uid = object::uid(&edited.object);
                if object::uid(live).is_empty() && !uid.is_empty() {
                    let why = format!(
                        "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                    );
                    return Err(Status::conflict(&at.resource.name, &at.name, why));
                }
                meta::place(&mut edited.object, &at.resource, &at.namespace)?;
                meta::same_name(&edited.object, &at.name)?;
                edited.warnings.into_iter().for_each(|text| caller.warn(text));
                (edited.object, edited.owned)
            }
        };
        self.fill_change(at, live, &mut new);
        if matches!(change, Change::Replace(_)) {
            warn_owners(caller, &mut new, false);
        }
        if !owned {
            let live = live.as_object().is_some_and(|fields| !fields.is_empty()).then_some(live);
            self.own(caller, at, live, &mut new, options);
        }
        Ok(new)
    }

    fn validate_change(
        &self,
        caller: &mut Caller,
        at: &Address,
        cx: &Cx,
        part: Option<&'static Part>,
        (new, old): (&mut Value, &Value),
        mut errors: FieldErrors,
    ) -> Result<()> {
        let rules = rules(&at.resource);
        let message = storage(&at.resource)?.shape.message();
        errors.extend(strategy::validate_update(cx, rules, part, (new, old), message, at.resource.namespaced));
        refuse(at, new, &errors)?;
        if part.is_none() {
            refuse(at, new, &self.hooks.unauthorized(&self.wish(caller, at, new, Some(old))))?;
        }
        let mut warnings = Vec::new();
        let (now, before) = (At::new(new, message), At::new(old, message));
        match part {
            Some(part) => (part.warn)(cx, &now, &before, &mut warnings),
            None => (rules.warn)(cx, &now, Some(&before), &mut warnings),
        }
        warnings.into_iter().for_each(|text| caller.warn(text));
        (rules.canonicalize)(new);
        Ok(())
    }

    /// The part that the address names; `None` for the object itself.
    fn part(&self, at: &Address) -> Result<Option<&'static Part>> {
        if at.subresource.is_empty() {
            return Ok(None);
        }
        let part = rules(&at.resource).part(&at.subresource);
        part.map(Some).ok_or_else(Status::no_such_resource)
    }

    /// A PUT whose body has a uid is of that object only.
    pub(super) fn same_uid(&self, at: &Address, expected: &str, current: &Value, dry_run: bool) -> Result<()> {
        self.same(at, "UID", (expected, object::uid(current)), dry_run)
    }

    /// A write that names a version is of that version only.
    pub(super) fn same_version(&self, at: &Address, expected: &str, current: &Value, dry_run: bool) -> Result<()> {
        self.same(at, "ResourceVersion", (expected, object::resource_version(current)), dry_run)
    }

    fn same(&self, at: &Address, what: &str, (expected, found): (&str, &str), dry_run: bool) -> Result<()> {
        if expected.is_empty() || expected == found {
            return Ok(());
        }
        let key = self.key(storage(&at.resource)?, &at.namespace, &at.name);
        // A dry run never reaches stock's store, which alone knows the prefix.
        let key = key.strip_prefix(&self.prefix).filter(|_| dry_run).unwrap_or(&key);
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
             {what} in precondition: {expected}, {what} in object meta: {found}"
        );
        Err(Status::conflict(&at.resource.name, &at.name, why))
    }
}

/// Optimistic concurrency: a body with a resourceVersion must name the newest; one without overwrites where the kind
/// allows it.
fn versions_agree(at: &Address, rules: &Rules, new: &mut Value, current: &Value) -> Result<()> {
    let newest = object::resource_version(current).to_owned();
    let given = object::resource_version(new);
    let number: u64 = if given.is_empty() {
        0
    } else {
        let bad = |_| {
            Status::unknown(format!(
                "strconv.ParseUint: parsing {}: invalid syntax",
                crate::model::gotext::quote(given)
            ))
        };
        given.parse().map_err(bad)?
    };
    if number == 0 {
        if !rules.unconditional_update {
            let root = Path::Root;
            let meta = root.name("metadata");
            let error = FieldError::invalid(&meta.name("resourceVersion"), 0, "must be specified for an update");
            let kind = GroupVersionKind::new(&at.resource.name.group, "", &at.resource.name.resource);
            return Err(Status::invalid(&kind, &at.name, &[error]));
        }
        object::set_meta(new, "resourceVersion", newest.into());
    } else if given != newest {
        return Err(Status::conflict(&at.resource.name, &at.name, MODIFIED));
    }
    Ok(())
}

/// Drops owners that are named twice, and warns of them.
fn warn_owners(caller: &mut Caller, object: &mut Value, admitted: bool) {
    let twice = meta::drop_repeated_owners(object);
    if twice.is_empty() {
        return;
    }
    let when = if admitted { " after mutating admission happens" } else { "" };
    caller.warn(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may \
         reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        twice.join(", ")
    ));
}

fn generates(body: &Value) -> bool {
    object::name(body).is_empty() && !object::meta_str(body, "generateName").is_empty()
}

/// 409 of a create; an object that is going away says so.
fn taken(at: &Address, current: &Value) -> Status {
    let mut status = Status::already_exists(&at.resource.name, &at.name);
    if object::is_deleting(current) {
        status.message = format!("object is being deleted: {}", status.message);
    }
    status
}

/// 422 with these errors, if there are any.
pub(super) fn refuse(at: &Address, value: &Value, errors: &FieldErrors) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    let kind = at.resource.storage.as_ref().map_or(&at.resource.kind, |storage| &storage.kind);
    Err(Status::invalid(kind, object::name(value), errors))
}
