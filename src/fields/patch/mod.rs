//! The three patches: JSON patch and merge patch from text to text, strategic merge patch over the type's table. What
//! they do beyond their RFCs is what stock's libraries do.
//!
//! A patched object is only a proposal: the caller decodes it (custom resources: prunes it), and [`settle`] turns what
//! decoding has against it into the answer.
//!
//! In reading order: `notes` (what strict decoding has against a patch), `node` (a JSON document read as far as it is
//! touched), `json` (RFC 6902), `merge` (RFC 7386), `strategic` with `order` (the order of merged lists).

pub mod json;
pub mod merge;
mod node;
mod notes;
mod order;
pub mod strategic;

use crate::codec::json::decode::Decoded;
use crate::codec::json::parse::Parser;
use crate::codec::json::write;
use crate::codec::protobuf::encode::encode;
use crate::fields::prune::full;
use crate::model::field::{FieldError, Path};
use crate::model::names::GroupVersionKind;
use crate::model::status::Status;
use crate::model::value::Value;
use crate::schema::resource::Shape;

/// What is done about unknown and repeated fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    Ignore,
    Warn,
    Strict,
}

/// The object as text, patched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patched {
    pub text: Vec<u8>,
    /// What strict decoding has against the patch itself; empty under [`Validation::Ignore`].
    pub notes: Vec<String>,
}

/// Notes of fields that come more than once in a JSON text, in order; none when it is no JSON.
pub fn repeated(text: &[u8]) -> Vec<String> {
    let mut notes = notes::Notes::default();
    let read = notes.value(&mut Parser::new(text));
    if read.is_ok() { notes.notes } else { Vec::new() }
}

/// A sparse object as the text that JSON and merge patches work on: in the order of its type's fields, which those
/// parts keep that a patch does not touch.
pub fn text(sparse: &Value, shape: &Shape, kind: &GroupVersionKind) -> Result<Vec<u8>, Status> {
    let version = kind.group_version().to_string();
    let Shape::Builtin(message) = shape else {
        return Ok(full(sparse, shape, &version, &kind.kind).to_string().into());
    };
    let raw = encode(sparse, message).map_err(Status::internal)?;
    let mut text = Vec::with_capacity(2 * raw.len());
    write::object(&mut text, &raw, message, &version, &kind.kind).map_err(Status::internal)?;
    Ok(text)
}

/// The outcome of decoding a patched object: the object (sparse) with its warnings, or 422 that shows the client what
/// `shown` says: the patched object, or the patch. `notes` are those of the patch.
pub fn settle(
    shown: impl FnOnce() -> String,
    mut notes: Vec<String>,
    decoded: Result<Decoded, String>,
    validation: Validation,
) -> Result<Decoded, Status> {
    let decoded = match decoded {
        Ok(decoded) => decoded,
        Err(why) => return Err(refused(shown(), why)),
    };
    if validation != Validation::Ignore {
        notes.extend(decoded.notes);
    }
    if validation == Validation::Strict && !notes.is_empty() {
        return Err(refused(shown(), format!("strict decoding error: {}", notes.join(", "))));
    }
    Ok(Decoded { value: decoded.value, notes })
}

fn refused(text: String, why: String) -> Status {
    let error = FieldError::invalid(&Path::Name(&Path::Root, "patch"), text.as_str(), why);
    Status::invalid(&GroupVersionKind::default(), "", &[error])
}
