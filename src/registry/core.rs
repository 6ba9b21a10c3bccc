//! The registry's parts, and the transaction beneath every write: read, decide, commit, and again when somebody was faster.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::custom::objects;
use super::hooks::Hooks;
use super::request::{Address, Caller};
use crate::admission::chain::Chain;
use crate::audit::annotations::Annotations;
use crate::audit::recorder::Audit;
use crate::audit::spent::Layer;
use crate::auth::authorizer;
use crate::auth::identity::User;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::cache::error::CacheError;
use crate::cache::handle::Cache;
use crate::cache::object::{Form, Key, Object};
use crate::cache::stored::{self, Convert};
use crate::codec::object as coding;
use crate::fields::written::Fresh;
use crate::model::object;
use crate::model::revision::Revision;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::{Map, Value};
use crate::rules::all;
use crate::rules::kind::{self, Cx, Rules};
use crate::schema::catalog::Live;
use crate::schema::resource::{Resource, Shape, Storage};
use crate::store::contract::{Change, Commit, Entry, Expect, Outcome, Store, StoreError};

/// How often a write starts over because its object changed meanwhile. Each round another write succeeded.
const MAX_ROUNDS: usize = 64;
/// How long a read waits for the cache to reach the store's newest revision.
pub const FRESHNESS: Duration = Duration::from_secs(3);

/// One registry for one plane. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Parts>);

/// What it is made of.
pub struct Parts {
    pub catalog: Live,
    pub store: Arc<dyn Store>,
    pub cache: Cache,
    pub clock: Clock,
    pub entropy: Entropy,
    pub admission: Chain,
    pub authorizer: authorizer::Chain,
    pub audit: Audit,
    pub hooks: Hooks,
    /// Reads what older versions of a kind have stored.
    pub convert: Arc<dyn Convert>,
    /// The store's prefix: `/registry`.
    pub prefix: String,
    /// `--allow-privileged`.
    pub allow_privileged: bool,
    pub fresh: Fresh,
}

impl std::ops::Deref for Registry {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// An object as it is now: its bytes and, decoded, its sparse value in the storage version.
pub struct Current {
    pub object: Arc<Object>,
    pub value: Value,
}

/// What a round of a write decides.
pub enum Step {
    /// Nothing to change.
    Keep,
    Put {
        value: Value,
        ttl: Option<Duration>,
    },
    /// The object ends; `last` is its last state.
    Delete {
        last: Value,
    },
}

/// A write under way.
///
/// Each round looks at [`Transaction::seen`], decides, and calls [`Transaction::conclude`]; that says when it is over.
pub struct Transaction<'a> {
    registry: &'a Registry,
    at: &'a Address,
    dry_run: bool,
    /// Where the time goes.
    record: Annotations,
    seen: Option<Current>,
    /// What is seen is at least as new as the write's begin.
    is_fresh: bool,
    rounds: usize,
}

/// How a write ended.
pub struct Done {
    pub object: Arc<Object>,
    /// It did not exist before.
    pub created: bool,
    /// It exists no more.
    pub deleted: bool,
    /// The revision at which it was before this write.
    pub before: Option<Revision>,
}

impl Registry {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub(super) fn downgrade(&self) -> Weak<Parts> {
        Arc::downgrade(&self.0)
    }

    /// `None` when the last registry of these parts is gone.
    pub(super) fn upgrade(parts: &Weak<Parts>) -> Option<Self> {
        parts.upgrade().map(Self)
    }

    pub fn now(&self) -> Time {
        self.clock.now().into()
    }

    /// What rules may know of a request.
    pub fn cx(&self, at: &Address, user: &User) -> Cx {
        let extra = user.extra.iter().map(|(key, values)| {
            let values = values.iter().map(ToString::to_string);
            (key.to_string(), values.collect())
        });
        Cx {
            served: at.resource.kind.clone(),
            now: self.now(),
            allow_privileged: self.allow_privileged,
            user: kind::User {
                name: user.name.to_string(),
                uid: user.uid.to_string(),
                groups: user.groups.iter().map(ToString::to_string).collect(),
                extra: extra.collect(),
            },
            namespace_labels: self.namespace_labels(at).unwrap_or_default(),
        }
    }

    /// The labels of the object's namespace, where its rules read them.
    fn namespace_labels(&self, at: &Address) -> Option<Map> {
        if !rules(&at.resource).reads_namespace {
            return None;
        }
        let namespaces = self.catalog.load().find("", "v1", "namespaces")?.clone();
        let namespace = self.cached(&Address::new(&namespaces, "", &at.namespace)).ok()??;
        object::metadata(&namespace.value)?.get("labels")?.as_object().cloned()
    }

    /// Waits until the cache shows every write acknowledged before this call.
    pub async fn fresh(&self) -> Result<Revision> {
        let revision = self.store.current().await.map_err(store_status)?;
        self.cache.at_least(revision, self.clock.instant() + FRESHNESS).await.map_err(cache_status)?;
        Ok(revision)
    }

    /// The object in the cache, as new as the cache is.
    pub fn cached(&self, at: &Address) -> Result<Option<Current>> {
        let storage = storage(&at.resource)?;
        match self.cache.get(&storage.shelf, &at.namespace, &at.name).map_err(cache_status)? {
            Some(object) => self.current(object, storage).map(Some),
            None => Ok(None),
        }
    }

    /// Begins a write: rounds of reading, deciding and committing, until one is committed.
    pub async fn begin<'a>(&'a self, caller: &Caller, at: &'a Address, dry_run: bool) -> Result<Transaction<'a>> {
        let record = caller.annotations.clone();
        let seen = record.timed(&self.clock, Layer::Decode, || self.cached(at))?;
        let mut begun = Transaction { registry: self, at, dry_run, record, seen, is_fresh: false, rounds: 0 };
        if begun.seen.is_none() {
            begun.refresh().await?;
        }
        Ok(begun)
    }

    /// Commits what a round decided; the inner error is the object's newer state.
    async fn conclude(
        &self,
        (at, dry_run, record): (&Address, bool, &Annotations),
        storage: &Storage,
        seen: Option<&Current>,
        decided: Step,
    ) -> Result<std::result::Result<Done, Option<Entry>>> {
        let before = seen.map(|seen| seen.object.revision);
        let (value, ttl, delete) = match decided {
            Step::Keep => (None, None, false),
            Step::Put { value, ttl } => (Some(value), ttl, false),
            Step::Delete { last } => (Some(last), None, true),
        };
        let Some(mut value) = value else {
            let object = seen.ok_or_else(|| Status::internal("nothing to keep"))?.object.clone();
            return Ok(Ok(Done { object, created: false, deleted: false, before }));
        };
        // What a dry run is told of its version it repeats; what is kept has no link to itself.
        let given = Revision::parse(object::resource_version(&value)).filter(|given| *given != Revision::ZERO);
        if !dry_run {
            object::set_meta(&mut value, "selfLink", Value::Null);
        }
        // A dry run's create repeats also what is no version.
        let repeats = dry_run && seen.is_none() && given.is_none();
        if !repeats {
            object::set_meta(&mut value, "resourceVersion", Value::Null);
        }
        let sealed = Sealed::new(&value, storage)?;
        if let Some(seen) = seen.filter(|seen| !delete && sealed.is_same(&seen.object)) {
            return Ok(Ok(Done { object: seen.object.clone(), created: false, deleted: false, before }));
        }
        let expect = seen.map_or(Expect::Absent, |seen| Expect::At(seen.object.revision));
        let done = |revision| {
            let object = Arc::new(sealed.object(at, storage, revision)?);
            Ok(Ok(Done { object, created: seen.is_none(), deleted: delete, before }))
        };
        if dry_run {
            return done(seen.map_or(given, |seen| Some(seen.object.revision)));
        }
        let key = self.key(storage, &at.namespace, &at.name);
        let change = if delete {
            Change::Delete
        } else {
            self.announce(&key, &sealed, value, storage);
            Change::Put { value: sealed.stored.clone(), ttl }
        };
        let committing = self.store.commit(Commit { key: key.clone(), expect, change });
        let outcome = record.waited(&self.clock, Layer::Store, committing).await.map_err(store_status);
        if !matches!(outcome, Ok(Outcome::Committed(_))) {
            self.cache.trees().recall(&key, &sealed.stored);
        }
        match outcome? {
            Outcome::Committed(revision) => done(Some(revision)),
            Outcome::Conflict { current } => Ok(Err(current)),
        }
    }

    /// Tells the cache what it will read of this write.
    fn announce(&self, key: &str, sealed: &Sealed, mut value: Value, storage: &Storage) {
        let tree = matches!(storage.shape, Shape::Custom(_)).then(|| {
            value["apiVersion"] = storage.kind.group_version().to_string().into();
            value["kind"] = storage.kind.kind.as_str().into();
            debug_assert_eq!(Ok(&value), coding::read_custom(&sealed.raw).as_ref(), "a tree as its text says");
            value
        });
        self.cache.trees().announce(key, &sealed.stored, tree);
    }

    fn entry(&self, at: &Address, storage: &Storage, entry: Entry) -> Result<Current> {
        let key = Key::new(&at.namespace, &at.name);
        let object = stored::object(key, entry.revision, &entry.value, storage, self.convert.as_ref())
            .map_err(|error| Status::internal(format!("{}: {error}", entry.key)))?;
        self.current(Arc::new(object), storage)
    }

    /// Decoded, unless its tree is kept; then it is.
    fn current(&self, object: Arc<Object>, storage: &Storage) -> Result<Current> {
        if let Some(value) = object.tree() {
            return Ok(Current { object, value });
        }
        let mut value = object.to_value(&storage.shape).map_err(Status::internal)?;
        value.share();
        self.cache.trees().keep(&object, value.clone());
        Ok(Current { object, value })
    }

    /// `/registry/pods/default/a`.
    pub fn key(&self, storage: &Storage, namespace: &str, name: &str) -> String {
        if namespace.is_empty() {
            return format!("{}/{}/{name}", self.prefix, storage.folder);
        }
        format!("{}/{}/{namespace}/{name}", self.prefix, storage.folder)
    }
}

impl Transaction<'_> {
    /// The object as this round finds it; `None`: it does not exist.
    pub fn seen(&self) -> Option<&Current> {
        self.seen.as_ref()
    }

    /// Commits what the round decided. `None`: the object has changed meanwhile, or the refusal, the dry run or the change
    /// of nothing rested on an old state: decide again.
    pub async fn conclude(&mut self, decided: Result<Step>) -> Result<Option<Done>> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return Err(Status::server_timeout(&self.at.resource.name, "update", 1));
        }
        let decided = match decided {
            Ok(decided) => decided,
            Err(refusal) if self.is_fresh => return Err(refusal),
            Err(refusal) => {
                let before = self.revision();
                self.refresh().await?;
                return if self.revision() == before { Err(refusal) } else { Ok(None) };
            }
        };
        let storage = storage(&self.at.resource)?;
        match self
            .registry
            .conclude((self.at, self.dry_run, &self.record), storage, self.seen.as_ref(), decided)
            .await?
        {
            Ok(done) if self.is_fresh || !self.rests_on_seen(&done) => Ok(Some(done)),
            Ok(done) => {
                let before = self.revision();
                self.refresh().await?;
                Ok(Some(done).filter(|_| self.revision() == before))
            }
            Err(newer) => {
                let decode = || newer.map(|newest| self.registry.entry(self.at, storage, newest)).transpose();
                self.seen = self.record.timed(&self.registry.clock, Layer::Decode, decode)?;
                self.is_fresh = true;
                Ok(None)
            }
        }
    }

    /// Whether nothing was written: the store had no say in it.
    fn rests_on_seen(&self, done: &Done) -> bool {
        self.dry_run || self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(&seen.object, &done.object))
    }

    fn revision(&self) -> Option<Revision> {
        self.seen.as_ref().map(|current| current.object.revision)
    }

    async fn refresh(&mut self) -> Result<()> {
        let clock = &self.registry.clock;
        self.record.waited(clock, Layer::Store, self.registry.fresh()).await?;
        self.is_fresh = true;
        self.seen = self.record.timed(clock, Layer::Decode, || self.registry.cached(self.at))?;
        Ok(())
    }
}

/// A value encoded for the store; what is stored has no resourceVersion in it.
struct Sealed {
    /// The message's bytes, or the JSON text.
    raw: Bytes,
    /// With the envelope around it.
    stored: Bytes,
}

impl Sealed {
    fn new(value: &Value, storage: &Storage) -> Result<Self> {
        let raw = coding::encode(value, &storage.shape, &storage.kind).map_err(Status::internal)?;
        let stored = coding::seal(&raw, &storage.shape, &storage.kind);
        Ok(Self { raw, stored })
    }

    /// Whether the stored object has the same bytes, the resourceVersion aside.
    fn is_same(&self, stored: &Object) -> bool {
        let again = Object::new(stored.key.clone(), stored.revision, &self.raw, stored.form);
        again.is_ok_and(|again| again.bytes == stored.bytes)
    }

    /// As it reads at this revision; `None`: it has none yet.
    fn object(&self, at: &Address, storage: &Storage, revision: Option<Revision>) -> Result<Object> {
        let form = if storage.shape.message().is_some() { Form::Protobuf } else { Form::Json };
        let key = Key::new(&at.namespace, &at.name);
        match revision {
            Some(revision) => Object::new(key, revision, &self.raw, form).map_err(Status::internal),
            None => Ok(Object::unstored(key, self.raw.clone(), form)),
        }
    }
}

/// How the resource is kept; an error for one that never is.
pub fn storage(resource: &Resource) -> Result<&Storage> {
    resource.storage.as_ref().ok_or_else(|| Status::method_not_allowed(&resource.name, "get"))
}

/// The rules of the resource's stored kind.
pub fn rules(resource: &Resource) -> &'static Rules {
    if resource.definition.is_some() {
        return &objects::RULES;
    }
    all::rules(resource.storage.as_ref().map_or(&resource.kind, |storage| &storage.kind))
}

/// How the API says that the store failed.
pub fn store_status(error: StoreError) -> Status {
    match error {
        StoreError::TooLarge(why) => Status::too_large(why),
        StoreError::Unknown(why) => Status::timeout(why, 0),
        StoreError::Unavailable(why) => Status::service_unavailable(why),
        other => Status::internal(other),
    }
}

/// How the API says that the cache failed.
pub fn cache_status(error: CacheError) -> Status {
    Status::internal(error)
}
