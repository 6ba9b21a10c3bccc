//! An object as it is kept: its message's bytes or its JSON text, and what stands around them in the store.

use bytes::Bytes;

use super::json::compact;
use super::json::parse::{Parser, Token, Unreadable};
use super::protobuf::encode;
use super::protobuf::envelope;
use super::wire::Malformed;
use crate::model::names::GroupVersionKind;
use crate::model::value::{Map, Value};
use crate::schema::resource::Shape;

/// The bytes of a sparse value: a message, or for a custom resource JSON text with its kind.
pub fn encode(value: &Value, shape: &Shape, kind: &GroupVersionKind) -> Result<Bytes, Malformed> {
    match shape {
        Shape::Builtin(message) => Ok(encode::encode(value, message)?.into()),
        Shape::Custom(_) => {
            let mut whole = value.clone();
            let fields = whole.as_object_mut().ok_or(Malformed::Form)?;
            fields.insert("apiVersion".into(), kind.group_version().to_string().into());
            fields.insert("kind".into(), kind.kind.as_str().into());
            Ok(whole.to_string().into())
        }
    }
}

/// Where objects have what their managers own; in trees it stays written.
const OWNED: [&str; 3] = ["metadata", "managedFields", "fieldsV1"];

/// The tree of a custom resource's JSON.
pub fn read_custom(text: &[u8]) -> Result<Value, Unreadable> {
    let mut parser = Parser::new(text);
    let value = all_but(&mut parser, &OWNED)?;
    parser.end()?;
    Ok(value)
}

/// A value in which what lies at the path stays written. Items of lists have the path that their list has.
fn all_but(parser: &mut Parser<'_>, path: &[&str]) -> Result<Value, Unreadable> {
    match (parser.token()?, path) {
        (Token::Object, []) => compact::written(parser),
        (Token::Object, [name, below @ ..]) => {
            let mut map = Map::new();
            parser.object(|parser, key| {
                let value = if key == *name { all_but(parser, below)? } else { parser.value()? };
                map.insert(key.into(), value);
                Ok::<_, Unreadable>(())
            })?;
            Ok(Value::Object(map))
        }
        (Token::Array, [_, ..]) => {
            let mut items = Vec::new();
            parser.array(|parser, _| {
                items.push(all_but(parser, path)?);
                Ok::<_, Unreadable>(())
            })?;
            Ok(Value::Array(items))
        }
        _ => parser.value(),
    }
}

/// The same bytes as the store has them: a message gets its envelope.
pub fn seal(raw: &Bytes, shape: &Shape, kind: &GroupVersionKind) -> Bytes {
    match shape {
        Shape::Builtin(_) => envelope::wrap(&kind.group_version().to_string(), &kind.kind, raw),
        Shape::Custom(_) => raw.clone(),
    }
}
