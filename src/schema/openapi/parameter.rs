//! Parameters of a path and its query. Those of the query are the fields of the options' messages.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::definition;
use super::describe::Descriptions;
use crate::schema::table::{Message, Type, message};

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parameter<'a> {
    pub name: &'static str,
    pub place: Place,
    /// `string`, `integer`, `boolean`.
    pub ty: &'static str,
    /// Empty where there is no text.
    pub about: Cow<'a, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    Path,
    Query,
}

impl Place {
    pub fn name(self) -> &'static str {
        match self {
            Place::Path => "path",
            Place::Query => "query",
        }
    }
}

impl<'a> Parameter<'a> {
    /// Of the path; a string, and required.
    fn path(name: &'static str, about: impl Into<Cow<'a, str>>) -> Self {
        Self { name, place: Place::Path, ty: "string", about: about.into() }
    }

    /// Whether it is the same parameter, whatever its text.
    pub fn is(&self, other: &Self) -> bool {
        self.place == other.place && self.name == other.name
    }

    pub fn order(&self, other: &Self) -> Ordering {
        (self.name, self.place).cmp(&(other.name, other.place))
    }
}

/// The query parameters that an options message makes, but for those named in `without`. Messages within it are left
/// out: a query has no form for them.
pub fn options<'a>(
    texts: &'a Descriptions,
    options: &'static Message,
    without: &'a [&'a str],
) -> impl Iterator<Item = Parameter<'a>> {
    let texts = texts.of(&definition::name(options));
    options.fields.iter().filter(|f| !without.contains(&f.name)).filter_map(move |field| {
        let ty = match field.ty {
            Type::String | Type::Bytes => "string",
            Type::Bool => "boolean",
            Type::Int32 | Type::Int64 => "integer",
            Type::Double => "number",
            Type::Message(_) => return None,
        };
        let about = texts.field(field.name).unwrap_or("").into();
        Some(Parameter { name: field.name, place: Place::Query, ty, about })
    })
}

/// An options message of `meta/v1`.
pub fn meta(kind: &str) -> &'static Message {
    message(&format!("k8s.io.apimachinery.pkg.apis.meta.v1.{kind}")).expect("meta/v1 has the options of all verbs")
}

/// `pretty`, which nearly every operation has.
pub fn pretty(texts: &Descriptions) -> Parameter<'_> {
    Parameter { name: "pretty", place: Place::Query, ty: "string", about: common(texts, "pretty") }
}

/// `name`, of an object of this kind.
pub fn name(kind: &str) -> Parameter<'static> {
    Parameter::path("name", format!("name of the {kind}"))
}

/// `namespace`.
pub fn namespace(texts: &Descriptions) -> Parameter<'_> {
    Parameter::path("namespace", common(texts, "namespace"))
}

/// `path`, behind a proxy.
pub fn path() -> Parameter<'static> {
    Parameter::path("path", "path to the resource")
}

fn common<'a>(texts: &'a Descriptions, name: &str) -> Cow<'a, str> {
    texts.of("parameters").field(name).unwrap_or("").into()
}
