//! What the documents are made of: the served resources, and the schemas of the custom ones.

use super::describe::Descriptions;
use crate::model::value::Value;
use crate::schema::catalog::Catalog;
use crate::schema::resource::{Resource, Shape};

/// The API's version as the documents give it.
pub const VERSION: &str = "1.36";

/// What a CustomResourceDefinition says of one of its versions, as it is published.
#[derive(Default)]
pub struct Custom {
    /// `schema.openAPIV3Schema`; `None` where there is none, or where it is not structural.
    pub schema: Option<Value>,
    /// `selectableFields`, as JSON paths: `.spec.color`.
    pub selectable: Vec<String>,
    /// `spec.preserveUnknownFields`.
    pub preserve_unknown: bool,
}

/// What a document is made of.
pub struct Source<'a> {
    pub catalog: &'a Catalog,
    /// Finds the definition of a custom resource; asked once for each in a document, so that a caller need not hold all.
    pub custom: &'a dyn Fn(&Resource) -> Custom,
    pub texts: &'a Descriptions,
}

pub(super) fn is_custom(resource: &Resource) -> bool {
    matches!(resource.shape, Shape::Custom(_))
}
