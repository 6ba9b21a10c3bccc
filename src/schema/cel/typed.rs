//! How values of an object look to an expression: by the object's schema, or as they stand.

use std::borrow::Cow;

use base64::Engine;
use jiff::Timestamp;

use super::error::Fault;
use super::names;
use super::value::{Result, Text, Val};
use crate::model::duration::Duration;
use crate::model::value::{Map, Value};
use crate::schema::structure::{Kind, ListKind, Structure};

/// The schema of a value; none where anything may stand.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a> {
    structure: Option<&'a Structure>,
    /// Of a whole object: its `apiVersion`, `kind` and names are there even if not declared.
    whole: bool,
    /// It is a token's claims, or within them.
    claims: bool,
}

/// What every object declares of itself.
const OF_ANY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

impl<'a> Schema<'a> {
    pub const NONE: Self = Self { structure: None, whole: false, claims: false };
    /// Of what a token says: all numbers are doubles, and names may be written escaped.
    pub const CLAIMS: Self = Self { claims: true, ..Self::NONE };

    pub fn new(structure: &'a Structure) -> Self {
        Self { structure: Some(structure), whole: structure.embedded, claims: false }
    }

    /// Of the root of a custom object.
    pub fn of_object(structure: &'a Structure) -> Self {
        Self { structure: Some(structure), whole: true, claims: false }
    }

    pub fn items(self) -> Self {
        if self.claims {
            return self;
        }
        self.structure.and_then(|s| s.items.as_deref()).map_or(Self::NONE, Self::new)
    }

    /// A list whose order does not matter, or whose items have keys.
    pub fn list_kind(self) -> Option<&'a ListKind> {
        self.structure.map(|s| &s.list).filter(|kind| **kind != ListKind::Atomic)
    }

    /// It has declared fields, not keys.
    pub fn is_object(self) -> bool {
        self.structure.is_some_and(|s| s.values.is_none() && (self.whole || !s.properties.is_empty()))
    }

    /// The names that an expression can see.
    pub fn names<'m>(self, fields: &'m Map) -> impl Iterator<Item = Val<'m>> + use<'a, 'm> {
        let is_object = self.is_object();
        let seen = move |name: &'m crate::model::value::Text| match is_object {
            false => Some(Val::String(Text::Seen(name))),
            true if self.declared(name) => names::escape(name).map(Val::text),
            true => None,
        };
        fields.keys().filter_map(seen)
    }

    /// A field or an entry by the name under which an expression knows it.
    pub fn field(self, fields: &'a Map, name: &str) -> Option<Result<Val<'a>>> {
        if self.claims {
            let name = names::unescape(name).unwrap_or(Cow::Borrowed(name));
            return fields.get(&name).map(|value| Ok(claim(value)));
        }
        let Some(structure) = self.structure else { return fields.get(name).map(|value| Ok(untyped(value))) };
        if let Some(values) = &structure.values {
            return fields.get(name).map(|value| self::value(value, Self::new(values)));
        }
        if !self.is_object() {
            return fields.get(name).map(|value| Ok(untyped(value)));
        }
        let name = names::unescape(name)?;
        let value = fields.get(&name)?;
        match structure.properties.get(&name) {
            Some(schema) if self.whole && name == "metadata" => {
                Some(self::value(value, Self { whole: false, ..Self::new(schema) }).or_else(|_| Ok(untyped(value))))
            }
            Some(schema) => Some(self::value(value, Self::new(schema))),
            None if self.declared(&name) => Some(Ok(untyped(value))),
            None => None,
        }
    }

    fn declared(self, name: &str) -> bool {
        let structure = self.structure;
        (self.whole && OF_ANY_OBJECT.contains(&name)) || structure.is_some_and(|s| s.properties.contains_key(name))
    }
}

/// A value as it stands.
pub fn untyped(value: &Value) -> Val<'_> {
    match value {
        Value::Null => Val::Null,
        Value::Bool(flag) => Val::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(int) => Val::Int(int),
            None => Val::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Val::String(Text::Seen(text)),
        Value::Array(items) => Val::Items(items, Schema::NONE),
        Value::Object(fields) => Val::Fields(fields, Schema::NONE),
        // Only what managers own is written, and no rule of a custom resource can name that.
        Value::Written(_) => Val::Null,
    }
}

/// A claim of a token, or a part of one.
fn claim(value: &Value) -> Val<'_> {
    match value {
        Value::Number(number) => Val::Double(number.as_f64().unwrap_or(f64::NAN)),
        Value::Array(items) => Val::Items(items, Schema::CLAIMS),
        Value::Object(fields) => Val::Fields(fields, Schema::CLAIMS),
        _ => untyped(value),
    }
}

/// A value by its schema.
pub fn value<'a>(value: &'a Value, schema: Schema<'a>) -> Result<Val<'a>> {
    if schema.claims {
        return Ok(claim(value));
    }
    let Some(structure) = schema.structure else { return Ok(untyped(value)) };
    if value.is_null() {
        return Ok(Val::Null);
    }
    if structure.int_or_string {
        return match value {
            Value::String(_) | Value::Number(_) => Ok(untyped(value)),
            _ => Err(Fault::new("invalid data, expected XIntOrString value to be either a string or integer")),
        };
    }
    match (structure.kind, value) {
        (Kind::Object, Value::Object(fields)) => Ok(Val::Fields(fields, schema)),
        (Kind::Object, _) => Err(invalid("object", value)),
        (Kind::Array, Value::Array(items)) => Ok(Val::Items(items, schema)),
        (Kind::Array, _) => Err(invalid("array", value)),
        (Kind::String, Value::String(text)) => formatted(text, structure),
        (Kind::String, _) => Err(invalid("string", value)),
        (Kind::Integer, Value::Number(number)) => {
            let int = number.as_i64().or_else(|| number.as_f64().map(|float| float as i64));
            int.map(Val::Int).ok_or_else(|| invalid("integer", value))
        }
        (Kind::Number, Value::Number(number)) => Ok(Val::Double(number.as_f64().unwrap_or(f64::NAN))),
        (Kind::Boolean, Value::Bool(flag)) => Ok(Val::Bool(*flag)),
        (Kind::Integer | Kind::Number | Kind::Boolean, _) => Err(invalid("scalar", value)),
        (Kind::Any, _) => Ok(untyped(value)),
    }
}

fn invalid(expected: &str, value: &Value) -> Fault {
    Fault::new(format!("invalid data, expected a {expected} but got {}", value.type_name()))
}

fn formatted<'a>(text: &'a str, structure: &Structure) -> Result<Val<'a>> {
    match structure.format.as_deref() {
        Some("duration") => match Duration::parse(text) {
            Ok(duration) => Ok(Val::Duration(duration.0)),
            Err(_) => Err(Fault::new(format!("Invalid duration {text} expected format of [[[d]d]h][[m]m][[s]s]"))),
        },
        Some("date") => super::time::parse_date(text)
            .map(Val::Timestamp)
            .ok_or_else(|| Fault::new(format!("Invalid date formatted string {text}: parsing time"))),
        Some("date-time") => match text.parse::<Timestamp>() {
            Ok(time) => Ok(Val::Timestamp(time)),
            Err(_) => Err(Fault::new(format!("Invalid date-time formatted string {text}: parsing time"))),
        },
        Some("byte") => match base64::engine::general_purpose::STANDARD.decode(text) {
            Ok(bytes) => Ok(Val::Bytes(bytes.into())),
            Err(_) => Err(Fault::new(format!("Invalid byte formatted string {text}: illegal base64 data"))),
        },
        _ => Ok(Val::String(Text::Seen(text))),
    }
}
