//! An object that a controller works on: decoded, to be changed and written back.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::object::Object;
use crate::cache::shelf::Shelf;
use crate::codec::protobuf::view::View;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::time::Time;
use crate::model::value::{Value, json};
use crate::registry::client::Target;
use crate::schema::resource::Storage;

/// An object and its sparse value in the storage version.
#[derive(Clone)]
pub struct Item {
    pub value: Value,
    pub storage: Arc<Storage>,
}

impl Item {
    pub fn new(shelf: &Shelf, object: &Object) -> Result<Self> {
        Self::of(&shelf.storage, object)
    }

    pub fn of(storage: &Arc<Storage>, object: &Object) -> Result<Self> {
        let value = object
            .to_value(&storage.shape)
            .map_err(|error| Status::internal(format!("{} {:?}: {error}", storage.shelf, object.key)))?;
        Ok(Self { value, storage: storage.clone() })
    }

    /// The object of this name on the shelf.
    pub fn find(shelf: &Shelf, namespace: &str, name: &str) -> Result<Option<Self>> {
        shelf.get(namespace, name).map(|object| Self::new(shelf, object)).transpose()
    }

    /// The object of this key (`namespace/name`, or `name`) on the shelf.
    pub fn find_key(shelf: &Shelf, key: &str) -> Result<Option<Self>> {
        shelf.get_key(key).map(|object| Self::new(shelf, object)).transpose()
    }

    pub fn name(&self) -> &str {
        object::name(&self.value)
    }

    pub fn namespace(&self) -> &str {
        object::namespace(&self.value)
    }

    pub fn uid(&self) -> &str {
        object::uid(&self.value)
    }

    pub fn is_deleting(&self) -> bool {
        object::is_deleting(&self.value)
    }

    /// `metadata.generation`, 0 when unset.
    pub fn generation(&self) -> i64 {
        object::generation(&self.value)
    }

    pub fn spec(&self) -> &Value {
        &self.value["spec"]
    }

    pub fn status(&self) -> &Value {
        &self.value["status"]
    }

    /// To write it.
    pub fn target(&self) -> Target<'_> {
        let shelf = &self.storage.shelf;
        Target::new(&shelf.group, &shelf.resource, self.namespace(), self.name())
    }

    /// What its dependents name it by, as their controller.
    pub fn controller_reference(&self) -> Value {
        let mut reference = self.reference();
        reference["controller"] = true.into();
        reference["blockOwnerDeletion"] = true.into();
        reference
    }

    /// What others name it by in `ownerReferences`.
    pub fn reference(&self) -> Value {
        let kind = &self.storage.kind;
        json!({
            "apiVersion": kind.group_version().to_string(),
            "kind": kind.kind.as_str(),
            "name": self.name(),
            "uid": self.uid(),
        })
    }
}

/// A built-in object's bytes to be read field by field. Empty for a custom resource.
pub fn view<'a>(shelf: &Shelf, object: &'a Object) -> Option<View<'a>> {
    Some(View::new(&object.bytes, shelf.storage.shape.message()?))
}

/// A time field; `None` when it is unset or no time.
pub fn time(value: &Value) -> Option<Time> {
    Time::parse(value.as_str()?).ok()
}

/// How long from `now` to `at`; nothing when that is past.
pub fn until(at: Time, now: Time) -> Duration {
    Duration::from_nanos(u64::try_from(at.since(now).0).unwrap_or(0))
}
