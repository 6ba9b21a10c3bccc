//! JSON of a resource to a sparse value in its served version.

use super::custom::objects;
use crate::codec::json::decode::{self, Decoded};
use crate::codec::json::parse::parse;
use crate::codec::json::syntax::explain;
use crate::schema::resource::{Resource, Shape};

/// Reads an object of the resource. The error is Go's text.
pub fn decode(text: &[u8], resource: &Resource) -> Result<Decoded, String> {
    if let Some(definition) = objects::definition(resource) {
        return objects::decode(text, definition);
    }
    match &resource.shape {
        Shape::Builtin(message) => decode::decode(text, message),
        Shape::Custom(_) => {
            let value = parse(text).map_err(|_| explain(text).unwrap_or_else(|| "unreadable JSON".into()))?;
            Ok(Decoded { value, notes: Vec::new() })
        }
    }
}
