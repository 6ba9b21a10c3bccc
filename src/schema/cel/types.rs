//! Types of CEL values, and how they print.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum Type {
    Dyn,
    /// Of what could not be typed; an error is already noted.
    Error,
    /// Of a field that a type does not have but does not refuse.
    Unspecified,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    List(Arc<Type>),
    Map(Arc<(Type, Type)>),
    Object(Arc<Object>),
    Opaque(&'static str, Arc<[Type]>),
    /// Of a type, named or any.
    Type(Option<Arc<Type>>),
    /// Of a function: the letter of a parameter. In the checker: a variable.
    Param(u32),
}

/// A type with fields.
#[derive(Debug)]
pub struct Object {
    pub name: Box<str>,
    pub fields: Fields,
}

#[derive(Debug)]
pub enum Fields {
    /// It has none that CEL can see.
    Opaque,
    /// Any name, of any type.
    Any,
    /// These; others are refused only where they are set.
    Loose(BTreeMap<String, Arc<Shape>>),
    Known(BTreeMap<String, Arc<Shape>>),
}

/// A type with bounds: what schemas declare.
#[derive(Debug)]
pub struct Shape {
    pub ty: Type,
    pub inner: Inner,
    /// Most letters, bytes, items or entries.
    pub most: i64,
    /// Least bytes in JSON.
    pub least_bytes: i64,
}

/// What a shape's parts are declared as.
#[derive(Debug)]
pub enum Inner {
    None,
    Items(Arc<Shape>),
    Values(Arc<Shape>),
}

impl Type {
    pub fn list(of: Type) -> Self {
        Type::List(Arc::new(of))
    }

    pub fn map(key: Type, value: Type) -> Self {
        Type::Map(Arc::new((key, value)))
    }

    pub fn optional(of: Type) -> Self {
        Type::Opaque(OPTIONAL, Arc::new([of]))
    }

    /// An object of which only the name is known.
    pub fn named(name: &str) -> Self {
        Type::Object(Arc::new(Object { name: name.into(), fields: Fields::Opaque }))
    }

    pub fn is_dyn(&self) -> bool {
        matches!(self, Type::Dyn)
    }

    pub fn is_dyn_or_error(&self) -> bool {
        matches!(self, Type::Dyn | Type::Error)
    }

    /// What an optional holds.
    pub fn unwrapped(&self) -> Option<&Type> {
        match self {
            Type::Opaque(OPTIONAL, params) => params.first(),
            _ => None,
        }
    }

    /// Values of it have a size that the type alone tells.
    pub fn is_scalar(&self) -> bool {
        match self {
            Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
            Type::Opaque(..) => self.unwrapped().is_some_and(Type::is_scalar),
            _ => false,
        }
    }

    /// The name of an object's type or of an opaque one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Type::Object(object) => Some(&object.name),
            Type::Opaque(name, _) => Some(name),
            _ => None,
        }
    }

    pub fn params(&self) -> &[Type] {
        match self {
            Type::List(of) => std::slice::from_ref(of),
            Type::Opaque(_, params) => params,
            Type::Type(Some(of)) => std::slice::from_ref(of),
            _ => &[],
        }
    }

    /// The text by which compilers of Kubernetes name it, unlike the checker.
    pub fn declared(&self) -> String {
        match self {
            Type::Null => "null_type".to_owned(),
            Type::Duration => "google.protobuf.Duration".to_owned(),
            Type::Timestamp => "google.protobuf.Timestamp".to_owned(),
            Type::List(of) => format!("list({})", of.declared()),
            Type::Map(of) => format!("map({}, {})", of.0.declared(), of.1.declared()),
            Type::Opaque(name, params) if !params.is_empty() => {
                let params: Vec<_> = params.iter().map(Type::declared).collect();
                format!("{name}({})", params.join(", "))
            }
            Type::Type(Some(of)) => format!("type({})", of.declared()),
            other => other.to_string(),
        }
    }
}

pub const OPTIONAL: &str = "optional_type";

/// The same type, not merely a fitting one.
impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Type::List(a), Type::List(b)) => a == b,
            (Type::Map(a), Type::Map(b)) => a == b,
            (Type::Object(a), Type::Object(b)) => Arc::ptr_eq(a, b) || (!a.name.is_empty() && a.name == b.name),
            (Type::Opaque(a, params_a), Type::Opaque(b, params_b)) => a == b && params_a == params_b,
            (Type::Type(a), Type::Type(b)) => a == b,
            (Type::Param(a), Type::Param(b)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// As the checker's errors name it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Dyn => f.write_str("dyn"),
            Type::Error => f.write_str("!error!"),
            Type::Unspecified => Ok(()),
            Type::Null => f.write_str("null"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Uint => f.write_str("uint"),
            Type::Double => f.write_str("double"),
            Type::String => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::Duration => f.write_str("duration"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::List(of) => write!(f, "list({of})"),
            Type::Map(of) => write!(f, "map({}, {})", of.0, of.1),
            Type::Object(object) if object.name.is_empty() => f.write_str("object"),
            Type::Object(object) => f.write_str(&object.name),
            Type::Opaque(name, params) if params.is_empty() => f.write_str(name),
            Type::Opaque(name, params) => {
                write!(f, "{name}(")?;
                for (at, param) in params.iter().enumerate() {
                    write!(f, "{}{param}", if at > 0 { ", " } else { "" })?;
                }
                f.write_char(')')
            }
            Type::Type(None) => f.write_str("type"),
            Type::Type(Some(of)) => write!(f, "type({of})"),
            Type::Param(number) => write!(f, "_var{number}"),
        }
    }
}

impl Shape {
    pub fn simple(ty: Type, least_bytes: i64) -> Self {
        Self { ty, inner: Inner::None, most: 0, least_bytes }
    }

    pub fn list(items: Arc<Shape>, most: i64) -> Self {
        Self { ty: Type::list(items.ty.clone()), inner: Inner::Items(items), most, least_bytes: 2 }
    }

    /// A map by strings.
    pub fn map(values: Arc<Shape>, most: i64) -> Self {
        let ty = Type::map(Type::String, values.ty.clone());
        Self { ty, inner: Inner::Values(values), most, least_bytes: 2 }
    }

    pub fn object(name: &str, fields: BTreeMap<String, Arc<Shape>>) -> Self {
        let object = Object { name: name.into(), fields: Fields::Known(fields) };
        Self { ty: Type::Object(Arc::new(object)), inner: Inner::None, most: 0, least_bytes: 2 }
    }

    /// The declaration of a part: a field's name, or `@items`, `@values`, `@keys`.
    pub fn part(&self, name: &str) -> Option<&Shape> {
        self.of(name).map(Arc::as_ref)
    }

    /// The same, to be kept.
    pub fn shared(&self, name: &str) -> Option<Arc<Shape>> {
        self.of(name).cloned()
    }

    fn of(&self, name: &str) -> Option<&Arc<Shape>> {
        match (&self.inner, name) {
            (Inner::Items(of), "@items" | "@values") | (Inner::Values(of), "@items" | "@values") => Some(of),
            _ => match &self.ty {
                Type::Object(object) => object.field(name),
                _ => None,
            },
        }
    }
}

impl Object {
    pub fn field(&self, name: &str) -> Option<&Arc<Shape>> {
        match &self.fields {
            Fields::Known(fields) | Fields::Loose(fields) => fields.get(name),
            Fields::Any | Fields::Opaque => None,
        }
    }
}
