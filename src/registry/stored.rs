//! Objects that an older server stored in another version of their kind.

use crate::cache::stored::Convert;
use crate::model::names::GroupVersionKind;
use crate::model::value::Value;
use crate::schema::catalog::Live;
use crate::schema::convert;

/// Converts between the versions that the catalog serves.
pub struct Versions(pub Live);

impl Convert for Versions {
    fn convert(&self, value: Value, from: &GroupVersionKind, to: &GroupVersionKind) -> Result<Value, String> {
        let catalog = self.0.load();
        let resource = catalog.by_kind(from).ok_or_else(|| format!("{} {} is not served", from.version, from.kind))?;
        match &resource.storage {
            Some(storage) if storage.kind == *to => Ok(convert::to_storage(resource, value)),
            _ => Err(format!("{} {} is not kept as {}", from.version, from.kind, to.version)),
        }
    }
}
