//! What a kind adds to its schema: defaults, what a write may not touch, what is wrong with an object, and warnings.
//!
//! Each kind says it in a file of its own as a `pub const RULES: Rules = Rules { ..., ..NONE }`; [`super::all`] lists them.

use super::at::At;
use crate::model::field::FieldErrors;
use crate::model::names::GroupVersionKind;
use crate::model::time::Time;
use crate::model::value::{Map, Value};

/// What rules may know of a request.
#[derive(Clone, Debug)]
pub struct Cx {
    /// The kind and version in which the object came.
    pub served: GroupVersionKind,
    pub now: Time,
    /// `--allow-privileged`.
    pub allow_privileged: bool,
    /// Who asks, for kinds that record it (CertificateSigningRequest).
    pub user: User,
    /// Of the object's namespace, for kinds that read them (ResourceClaim); else none.
    pub namespace_labels: Map,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: Vec<(String, Vec<String>)>,
}

/// The rules of a kind. Objects are sparse values of the kind's storage version, defaulted.
pub struct Rules {
    pub group: &'static str,
    pub kind: &'static str,
    /// When `metadata.generation` grows.
    pub generation: Generation,
    /// Whether the status belongs to its own subresource: create and update then leave it alone.
    pub status: Status,
    /// A PUT of an object that does not exist creates it.
    pub create_on_update: bool,
    /// An update without a resourceVersion overwrites.
    pub unconditional_update: bool,
    /// DELETE answers with the object instead of a Status.
    pub returns_deleted: bool,
    /// What becomes of dependents when the request does not say.
    pub orphan_by_default: bool,
    /// What a delete is warned of that leaves dependents because it does not say.
    pub orphan_warning: &'static str,
    /// The labels of the object's namespace have a say.
    pub reads_namespace: bool,
    /// A `generateName` is the name as it stands.
    pub literal_generate_name: bool,
    /// After defaulting, before validation: drops what a create may not set, fills what the server sets.
    pub prepare_create: fn(&Cx, &mut Value),
    /// The same of an update: (new, old). Generation and status are done by whoever calls.
    pub prepare_update: fn(&Cx, &mut Value, &Value),
    /// All that is wrong with a new object, metadata included.
    pub validate: fn(&Cx, &At, &mut FieldErrors),
    /// All that is wrong with a changed object: (new, old), in stock's order, metadata included.
    pub validate_update: fn(&Cx, &At, &At, &mut FieldErrors),
    /// After validation, before the object is kept: what is made the same in all objects.
    pub canonicalize: fn(&mut Value),
    /// Warnings of a create that are about the object as it was sent, before it is prepared.
    pub forewarn: fn(&At, &mut Vec<String>),
    /// Warnings of a create (no old object) or an update.
    pub warn: fn(&Cx, &At, Option<&At>, &mut Vec<String>),
    /// The parts that are written through a subresource of their own: `status`, `finalize`, ...
    pub parts: &'static [Part],
}

/// A part of an object that is written through a subresource.
pub struct Part {
    pub name: &'static str,
    /// The top-level fields that such a write changes; all others stay as they were. Empty: `prepare` sees to it.
    pub writes: &'static [&'static str],
    /// After defaulting, before validation: (new, old).
    pub prepare: fn(&Cx, &mut Value, &Value),
    /// All that is wrong with the changed object: (new, old), in stock's order, metadata included.
    pub validate: fn(&Cx, &At, &At, &mut FieldErrors),
    /// Warnings: (new, old).
    pub warn: fn(&Cx, &At, &At, &mut Vec<String>),
}

/// A status with nothing special about it.
pub const STATUS: Part = Part {
    name: "status",
    writes: &["status"],
    prepare: |_, _, _| {},
    validate: |_, _, _, _| {},
    warn: |_, _, _, _| {},
};

impl Rules {
    /// The part of this name.
    pub fn part(&self, name: &str) -> Option<&'static Part> {
        self.parts.iter().find(|part| part.name == name)
    }
}

/// When `metadata.generation` grows.
#[derive(Clone, Copy)]
pub enum Generation {
    /// Never; it stays what a create said.
    None,
    /// It starts at 1 and grows when these fields of the object change (`spec` for most).
    Fields(&'static [&'static str]),
    /// As the kind's `prepare_create` and `prepare_update` say.
    Own,
}

/// Where the status is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// With the object.
    Inline,
    /// Through the subresource alone.
    Separate,
}

/// The rules of a kind that has none.
pub const NONE: Rules = Rules {
    group: "",
    kind: "",
    generation: Generation::None,
    status: Status::Inline,
    create_on_update: false,
    unconditional_update: true,
    returns_deleted: false,
    orphan_by_default: false,
    orphan_warning: "",
    reads_namespace: false,
    literal_generate_name: false,
    prepare_create: |_, _| {},
    prepare_update: |_, _, _| {},
    validate: |_, _, _| {},
    validate_update: |_, _, _, _| {},
    canonicalize: |_| {},
    forewarn: |_, _| {},
    warn: |_, _, _, _| {},
    parts: &[],
};

/// Fills what a body left out. By served version, for versions differ in their defaults.
pub struct Defaults {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub fill: fn(&mut Value),
}

#[cfg(test)]
impl Cx {
    /// A request of nobody in particular.
    pub fn for_tests() -> Self {
        let now = Time::parse("2026-01-01T00:00:00Z").expect("a time");
        Self {
            served: GroupVersionKind::default(),
            now,
            allow_privileged: true,
            user: User::default(),
            namespace_labels: Map::new(),
        }
    }
}
