//! The contract of a controller.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::context::Cx;
use super::queue::Key;
use crate::cache::object::{Key as ObjectKey, Object};
use crate::codec::protobuf::view::View;
use crate::controllers::resources::Name;
use crate::model::names::GroupResource;
use crate::model::status::Result;
use crate::registry::core::Registry;
use crate::schema::resource::Storage;

/// Keeps one sort of thing as its objects say.
#[async_trait]
pub trait Controller: Send + Sync + 'static {
    /// Of which resources it hears.
    fn follows(&self) -> Follows;

    /// Whom a change asks to look at. Called for every object at the start, and again when changes were missed: only
    /// then can the end of an object pass unheard. It must be quick, and may read the cache.
    fn triggers(&self, change: &Change<'_>, keys: &mut Keys);

    /// Whom to look at from the start, whatever objects there are.
    fn begin(&self, _keys: &mut Keys) {}

    /// Brings what the key names to where it should be. Never called twice at a time for one key, and only when the
    /// cache shows what the run before has written. An error is logged, and the key tried again after a while.
    async fn reconcile(&self, cx: &Cx, key: &str) -> Result<Next>;
}

/// The resources of a controller.
pub enum Follows {
    These(Vec<GroupResource>),
    /// All, custom ones too.
    All,
}

impl Follows {
    pub fn these(names: &[&Name]) -> Self {
        Self::These(names.iter().map(|name| name.full.clone()).collect())
    }
}

/// What becomes of a key after a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// It is looked at again when something changes.
    #[default]
    Done,
    /// The same, or when this time is over.
    After(Duration),
}

impl Next {
    /// The sooner of two.
    pub fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::After(one), Self::After(two)) => Self::After(one.min(two)),
            (Self::Done, next) | (next, Self::Done) => next,
        }
    }
}

/// An object was created, changed or deleted. At the start all objects read as created.
pub struct Change<'a> {
    pub registry: &'a Registry,
    pub storage: &'a Arc<Storage>,
    pub previous: Option<&'a Arc<Object>>,
    pub current: Option<&'a Arc<Object>>,
}

impl<'a> Change<'a> {
    pub fn is_of(&self, name: &Name) -> bool {
        self.storage.shelf == name.full
    }

    /// Its state now, or its last one.
    pub fn object(&self) -> &'a Arc<Object> {
        self.current.or(self.previous).expect("a change has a state before or after it")
    }

    /// `namespace/name`, or `name`.
    pub fn key(&self) -> &'a ObjectKey {
        &self.object().key
    }

    pub fn namespace(&self) -> &'a str {
        self.key().namespace()
    }

    pub fn name(&self) -> &'a str {
        self.key().name()
    }

    pub fn is_deleted(&self) -> bool {
        self.current.is_none()
    }

    /// The states before and after it, those there are.
    pub fn states(&self) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        self.previous.into_iter().chain(self.current)
    }

    /// Whether it was there before and its spec has the same bytes now.
    pub fn keeps_spec(&self) -> bool {
        let views = self.previous.and_then(|object| self.view(object)).zip(self.current.and_then(|o| self.view(o)));
        views.is_some_and(|(before, after)| before.agrees(after, "spec"))
    }

    /// A state, to be read field by field. `None` for a custom resource.
    pub fn view<'b>(&self, object: &'b Object) -> Option<View<'b>> {
        Some(View::new(&object.bytes, self.storage.shape.message()?))
    }
}

/// The keys that a change asks to look at.
#[derive(Debug, Default)]
pub struct Keys(pub(super) Vec<Key>);

impl Keys {
    pub fn add(&mut self, key: &str) {
        self.0.push(key.into());
    }

    /// `namespace/name`.
    pub fn add_named(&mut self, namespace: &str, name: &str) {
        self.0.push(compact_str::format_compact!("{namespace}/{name}"));
    }
}
