//! Values of CEL: made by an expression, or seen in an object without copying it.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;

use super::authorizer::Authority;
use super::error::Fault;
use super::native::{Cidr, Semver};
use super::typed::{self, Schema};
use super::types::{OPTIONAL, Type};
use crate::model::quantity::Quantity;
use crate::model::url::Url;
use crate::model::value::{Map, Value};

#[derive(Clone, Debug)]
pub enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'a>),
    Bytes(Arc<[u8]>),
    Timestamp(Timestamp),
    /// In nanoseconds.
    Duration(i64),
    List(Arc<[Val<'a>]>),
    /// In the order in which it was made.
    Map(Arc<Entries<'a>>),
    /// A list of an object.
    Items(&'a [Value], Schema<'a>),
    /// A map or an object within an object.
    Fields(&'a Map, Schema<'a>),
    /// `Name{...}`.
    Struct(Arc<Made<'a>>),
    Optional(Option<Arc<Val<'a>>>),
    Type(Arc<str>),
    Quantity(Arc<Quantity>),
    Ip(IpAddr),
    Cidr(Cidr),
    Url(Arc<Url>),
    Semver(Arc<Semver>),
    Format(&'static super::formats::Format),
    Authority(Arc<Authority<'a>>),
}

pub type Entries<'a> = Vec<(Val<'a>, Val<'a>)>;

/// An object that an expression made.
#[derive(Debug)]
pub struct Made<'a> {
    pub name: Box<str>,
    pub fields: Vec<(Box<str>, Val<'a>)>,
}

/// A text of an object, or one that was made.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    Seen(&'a str),
    Made(Arc<str>),
}

pub type Result<T> = std::result::Result<T, Fault>;

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Seen(text) => text,
            Text::Made(text) => text,
        }
    }
}

impl<'a> Val<'a> {
    /// A value of an object whose schema is not known.
    pub fn seen(value: &'a Value) -> Self {
        typed::untyped(value)
    }

    /// A value of an object of this schema.
    pub fn typed(value: &'a Value, schema: Schema<'a>) -> Result<Self> {
        typed::value(value, schema)
    }

    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Val::String(Text::Made(text.into()))
    }

    pub fn list(items: impl IntoIterator<Item = Val<'a>>) -> Self {
        Val::List(items.into_iter().collect())
    }

    pub fn none() -> Self {
        Val::Optional(None)
    }

    pub fn some(value: Val<'a>) -> Self {
        Val::Optional(Some(Arc::new(value)))
    }

    /// The name of its type, as `type()` tells it.
    pub fn type_name(&self) -> &str {
        match self {
            Val::Null => "null_type",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Uint(_) => "uint",
            Val::Double(_) => "double",
            Val::String(_) => "string",
            Val::Bytes(_) => "bytes",
            Val::Timestamp(_) => "google.protobuf.Timestamp",
            Val::Duration(_) => "google.protobuf.Duration",
            Val::List(_) | Val::Items(..) => "list",
            Val::Map(_) => "map",
            Val::Fields(_, schema) => {
                if schema.is_object() {
                    "object"
                } else {
                    "map"
                }
            }
            Val::Struct(made) => &made.name,
            Val::Optional(_) => OPTIONAL,
            Val::Type(_) => "type",
            Val::Quantity(_) => "kubernetes.Quantity",
            Val::Ip(_) => "net.IP",
            Val::Cidr(_) => "net.CIDR",
            Val::Url(_) => "kubernetes.URL",
            Val::Semver(_) => "kubernetes.Semver",
            Val::Format(_) => "kubernetes.NamedFormat",
            Val::Authority(authority) => authority.type_name(),
        }
    }

    pub fn is_list(&self) -> bool {
        matches!(self, Val::List(_) | Val::Items(..))
    }

    pub fn is_map(&self) -> bool {
        matches!(self, Val::Map(_) | Val::Fields(..))
    }

    /// Letters, bytes, items or entries; `None` for what has no size.
    pub fn size(&self) -> Option<usize> {
        match self {
            Val::String(text) => Some(text.chars().count()),
            Val::Bytes(bytes) => Some(bytes.len()),
            Val::List(items) => Some(items.len()),
            Val::Items(items, _) => Some(items.len()),
            Val::Map(entries) => Some(entries.len()),
            Val::Fields(fields, schema) => Some(schema.names(fields).count()),
            Val::Ip(ip) => Some(if ip.is_ipv4() { 4 } else { 16 }),
            Val::Cidr(cidr) => Some(if cidr.address.is_ipv4() { 4 } else { 16 }),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> impl Iterator<Item = Result<Val<'a>>> + '_ {
        let (made, seen, schema): (&[Val<'a>], &'a [Value], _) = match self {
            Val::List(items) => (items, &[], Schema::NONE),
            Val::Items(items, schema) => (&[], items, schema.items()),
            _ => (&[], &[], Schema::NONE),
        };
        made.iter().map(|item| Ok(item.clone())).chain(seen.iter().map(move |item| Val::typed(item, schema)))
    }

    /// The keys of a map; none of anything else.
    pub fn keys(&self) -> Vec<Val<'a>> {
        match self {
            Val::Map(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
            Val::Fields(fields, schema) => schema.names(fields).collect(),
            _ => Vec::new(),
        }
    }

    /// The entry of a map with this key.
    pub fn entry(&self, key: &Val<'_>) -> Option<Result<Val<'a>>> {
        match (self, key) {
            (Val::Map(entries), _) => {
                let found = entries.iter().find(|(known, _)| super::compare::equal(known, key).unwrap_or(false));
                found.map(|(_, value)| Ok(value.clone()))
            }
            (Val::Fields(fields, schema), Val::String(name)) => schema.field(fields, name),
            _ => None,
        }
    }

    /// A field of an object that was made, or an entry by its name.
    pub fn field(&self, name: &str) -> Option<Result<Val<'a>>> {
        match self {
            Val::Struct(made) => {
                made.fields.iter().find(|(known, _)| **known == *name).map(|(_, value)| Ok(value.clone()))
            }
            Val::Fields(fields, schema) => schema.field(fields, name),
            Val::Map(entries) => {
                let is = |key: &Val<'_>| matches!(key, Val::String(text) if **text == *name);
                entries.iter().find(|(key, _)| is(key)).map(|(_, value)| Ok(value.clone()))
            }
            _ => None,
        }
    }

    /// What counts as nothing: zero, empty.
    pub fn is_zero(&self) -> bool {
        match self {
            Val::Null => true,
            Val::Bool(flag) => !flag,
            Val::Int(number) | Val::Duration(number) => *number == 0,
            Val::Uint(number) => *number == 0,
            Val::Double(number) => *number == 0.0,
            Val::Timestamp(time) => time.as_second() == -62_135_596_800,
            Val::Struct(made) => made.fields.is_empty(),
            Val::Optional(inner) => inner.as_ref().is_none_or(|inner| inner.is_zero()),
            Val::String(_) | Val::Bytes(_) | Val::List(_) | Val::Items(..) | Val::Map(_) | Val::Fields(..) => {
                self.size() == Some(0)
            }
            _ => false,
        }
    }
}

/// The text by which a type's name is a value.
pub fn type_text(ty: &Type) -> Arc<str> {
    match ty {
        Type::List(_) => "list".into(),
        Type::Map(_) => "map".into(),
        Type::Type(_) => "type".into(),
        other => other.declared().into(),
    }
}
