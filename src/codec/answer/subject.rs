//! What the objects of an answer are, and how they are to be shown.

use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use crate::codec::negotiate::accept::Representation;
use crate::codec::table::custom::Printer;
use crate::codec::table::kinds::{self, Kind};
use crate::model::field::{FieldError, Path};
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::schema::resource::{Resource, Shape};
use crate::schema::table::Message;

/// An object as the cache holds it.
pub trait Item {
    /// The message's bytes without an envelope, or a custom resource's JSON; in the version that is served, with its
    /// resourceVersion.
    fn raw(&self) -> &[u8];

    /// The same as it is kept, from which a row's cells are read.
    fn kept(&self) -> &[u8] {
        self.raw()
    }
}

impl Item for Bytes {
    fn raw(&self) -> &[u8] {
        self
    }
}

impl Item for Vec<u8> {
    fn raw(&self) -> &[u8] {
        self
    }
}

impl Item for &[u8] {
    fn raw(&self) -> &[u8] {
        self
    }
}

impl<T: Item + ?Sized> Item for Arc<T> {
    fn raw(&self) -> &[u8] {
        (**self).raw()
    }

    fn kept(&self) -> &[u8] {
        (**self).kept()
    }
}

/// What the objects of one answer have in common.
#[derive(Clone, Debug)]
pub struct Subject {
    pub api_version: CompactString,
    pub kind: CompactString,
    pub list_kind: CompactString,
    pub shape: Shape,
    pub rows: Rows,
}

/// How objects become rows of a table.
#[derive(Clone, Debug)]
pub enum Rows {
    Builtin(&'static Kind),
    Custom(Arc<Printer>),
}

impl Subject {
    /// Of a built-in resource.
    pub fn builtin(resource: &Resource, message: &'static Message) -> Self {
        let kept = resource.storage.as_ref().and_then(|storage| storage.shape.message()).unwrap_or(message);
        Self {
            api_version: resource.kind.group_version().to_string().into(),
            kind: resource.kind.kind.clone(),
            list_kind: resource.list_kind.clone(),
            shape: Shape::Builtin(message),
            rows: Rows::Builtin(kinds::of(kept)),
        }
    }

    /// Of a custom resource.
    pub fn custom(resource: &Resource, printer: Arc<Printer>) -> Self {
        Self {
            api_version: resource.kind.group_version().to_string().into(),
            kind: resource.kind.kind.clone(),
            list_kind: resource.list_kind.clone(),
            shape: resource.shape.clone(),
            rows: Rows::Custom(printer),
        }
    }

    /// Of a kind that is no resource: a Status, a Scale.
    pub fn plain(api_version: &str, message: &'static Message) -> Self {
        Self {
            api_version: api_version.into(),
            kind: message.short_name().into(),
            list_kind: compact_str::format_compact!("{}List", message.short_name()),
            shape: Shape::Builtin(message),
            rows: Rows::Builtin(kinds::of(message)),
        }
    }
}

/// How the objects of an answer are to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub representation: Representation,
    /// Of tables.
    pub include: Include,
    /// What ages are counted from.
    pub now: Time,
}

/// What a row holds of its object beside the cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Include {
    #[default]
    Metadata,
    None,
    Object,
}

impl Include {
    /// Reads the query's `includeObject`, empty when there is none.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "Metadata" => Ok(Include::Metadata),
            "None" => Ok(Include::None),
            "Object" => Ok(Include::Object),
            _ => {
                let path = Path::Name(&Path::Root, "includeObject");
                let error = FieldError::invalid(&path, text, "must be 'Metadata', 'Object', 'None', or empty");
                Err(Status::bad_request(format!("Unable to convert to Table as requested: {error}")))
            }
        }
    }
}
