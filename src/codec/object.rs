//! An object as it is kept: its message's bytes or its JSON text, and what stands around them in the store.

use bytes::Bytes;

use super::protobuf::encode::{self, Before};
use super::protobuf::envelope;
use super::wire::Malformed;
use crate::model::names::GroupVersionKind;
use crate::model::value::Value;
use crate::schema::resource::Shape;

/// The bytes of a sparse value: a message, or for a custom resource JSON text with its kind. What the value shares with
/// the object `before` need not be encoded again.
pub fn encode(
    value: &Value,
    shape: &Shape,
    kind: &GroupVersionKind,
    before: Option<Before<'_>>,
) -> Result<Bytes, Malformed> {
    match shape {
        Shape::Builtin(message) => Ok(match before {
            Some(before) => encode::encode_change(value, message, before)?,
            None => encode::encode(value, message)?,
        }
        .into()),
        Shape::Custom(_) => {
            let mut whole = value.clone();
            let fields = whole.as_object_mut().ok_or(Malformed::Form)?;
            fields.insert("apiVersion".into(), kind.group_version().to_string().into());
            fields.insert("kind".into(), kind.kind.as_str().into());
            Ok(whole.to_string().into())
        }
    }
}

/// The same bytes as the store has them: a message gets its envelope.
pub fn seal(raw: &Bytes, shape: &Shape, kind: &GroupVersionKind) -> Bytes {
    match shape {
        Shape::Builtin(_) => envelope::wrap(&kind.group_version().to_string(), &kind.kind, raw),
        Shape::Custom(_) => raw.clone(),
    }
}
