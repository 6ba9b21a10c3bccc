//! What the server knows of a resource, built in or custom: names, verbs, type, and how it is kept.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;

use super::structure::{Lazy, Structure};
use super::table::Message;
use crate::model::names::{GroupResource, GroupVersion, GroupVersionKind};

/// A served resource in one version.
#[derive(Debug)]
pub struct Resource {
    pub kind: GroupVersionKind,
    /// Its group and plural name.
    pub name: GroupResource,
    pub singular: CompactString,
    pub list_kind: CompactString,
    pub namespaced: bool,
    pub verbs: Verbs,
    pub short_names: Vec<CompactString>,
    pub categories: Vec<CompactString>,
    pub subresources: Vec<Subresource>,
    pub shape: Shape,
    /// `None`: it is answered and forgotten, as reviews are.
    pub storage: Option<Storage>,
    /// Field selectors beside `metadata.name` and `metadata.namespace`.
    pub fields: Vec<CompactString>,
    /// How another field selector is refused; `{field}` and `{quoted}` stand for the field.
    pub unknown_field: CompactString,
    /// What its definition makes of its objects, for a custom resource. It travels with the resource, so that a request
    /// sees both in one state.
    pub definition: Option<Attached>,
}

/// Something that travels with a resource and that only who made it can read.
#[derive(Clone)]
pub struct Attached(Arc<dyn Any + Send + Sync>);

/// A part of a resource with its own path.
#[derive(Clone, Debug)]
pub struct Subresource {
    pub name: CompactString,
    pub verbs: Verbs,
    /// What it reads and writes; group and version are empty where they are the resource's own.
    pub kind: GroupVersionKind,
}

/// How a resource is kept. Versions and groups that share a kind share it.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its shelf in the cache: the group and plural under which it is kept.
    pub shelf: GroupResource,
    /// Under the store's prefix: `pods`, `services/specs`, `example.com/things`.
    pub folder: CompactString,
    /// What is written.
    pub kind: GroupVersionKind,
    pub shape: Shape,
}

/// The type of an object.
#[derive(Clone)]
pub enum Shape {
    /// Protobuf, by the table.
    Builtin(&'static Message),
    /// JSON, by the schema of a CustomResourceDefinition's version.
    Custom(Arc<Lazy<Structure>>),
}

/// A set of verbs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Verbs(u16);

/// (verb, its name) in the order of discovery.
const NAMES: [(Verbs, &str); 8] = [
    (Verbs::CREATE, "create"),
    (Verbs::DELETE, "delete"),
    (Verbs::DELETECOLLECTION, "deletecollection"),
    (Verbs::GET, "get"),
    (Verbs::LIST, "list"),
    (Verbs::PATCH, "patch"),
    (Verbs::UPDATE, "update"),
    (Verbs::WATCH, "watch"),
];

impl Verbs {
    pub const NONE: Self = Self(0);
    pub const CREATE: Self = Self(1);
    pub const DELETE: Self = Self(2);
    pub const DELETECOLLECTION: Self = Self(4);
    pub const GET: Self = Self(8);
    pub const LIST: Self = Self(16);
    pub const PATCH: Self = Self(32);
    pub const UPDATE: Self = Self(64);
    pub const WATCH: Self = Self(128);
    pub const ALL: Self = Self(255);

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The verbs' names, sorted.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(verb, _)| self.contains(*verb)).map(|(_, name)| *name)
    }

    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(verb, _)| *verb)
    }
}

impl Attached {
    pub fn new<T: Any + Send + Sync>(what: T) -> Self {
        Self(Arc::new(what))
    }

    /// `None` when it is something else.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl Resource {
    pub fn group_version(&self) -> GroupVersion {
        self.kind.group_version()
    }

    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// Why this field cannot be selected by; `None` when it can.
    pub fn refuse_field(&self, field: &str) -> Option<String> {
        if matches!(field, "metadata.name" | "metadata.namespace") || self.fields.iter().any(|f| f == field) {
            return None;
        }
        let quoted = crate::model::gotext::quote(field);
        Some(self.unknown_field.replace("{field}", field).replace("{quoted}", &quoted))
    }

    /// Whether it is kept in another form than it is served.
    pub fn converts(&self) -> bool {
        self.storage.as_ref().is_some_and(|s| s.kind != self.kind)
    }
}

impl Shape {
    /// The table of a built-in type.
    pub fn message(&self) -> Option<&'static Message> {
        match self {
            Shape::Builtin(message) => Some(message),
            Shape::Custom(_) => None,
        }
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attached")
    }
}

impl fmt::Debug for Verbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Builtin(message) => message.fmt(f),
            Shape::Custom(_) => f.write_str("custom"),
        }
    }
}
