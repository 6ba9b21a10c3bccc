//! A place in an object, and what is wrong there.

use std::borrow::Cow;
use std::fmt;

use super::gotext;
use crate::model::value::Value;

/// A place in an object: a step and the place above it. It lives on the stack and costs nothing until printed.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    Root,
    Name(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
    Key(&'a Path<'a>, &'a str),
}

impl<'a> Path<'a> {
    pub const fn name(&'a self, name: &'a str) -> Path<'a> {
        Path::Name(self, name)
    }

    pub const fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }

    /// A key of a map: `[key]`.
    pub const fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }
}

/// `spec.containers[0].env[A]`; the root is `<nil>`, as Go prints it.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => f.write_str("<nil>"),
            Path::Name(Path::Root, name) => f.write_str(name),
            Path::Name(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(Path::Root, index) => write!(f, "[{index}]"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Path::Key(Path::Root, key) => write!(f, "[{key}]"),
            Path::Key(parent, key) => write!(f, "{parent}[{key}]"),
        }
    }
}

/// Why a field was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
    TooFew,
    Internal,
    TypeInvalid,
}

impl Fault {
    /// The `reason` of a cause.
    pub fn reason(self) -> &'static str {
        match self {
            Fault::NotFound => "FieldValueNotFound",
            Fault::Required => "FieldValueRequired",
            Fault::Duplicate => "FieldValueDuplicate",
            Fault::Invalid => "FieldValueInvalid",
            Fault::NotSupported => "FieldValueNotSupported",
            Fault::Forbidden => "FieldValueForbidden",
            Fault::TooLong => "FieldValueTooLong",
            Fault::TooMany => "FieldValueTooMany",
            Fault::TooFew => "FieldValueTooFew",
            Fault::Internal => "InternalError",
            Fault::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Fault::NotFound => "Not found",
            Fault::Required => "Required value",
            Fault::Duplicate => "Duplicate value",
            Fault::Invalid | Fault::TypeInvalid => "Invalid value",
            Fault::NotSupported => "Unsupported value",
            Fault::Forbidden => "Forbidden",
            Fault::TooLong => "Too long",
            Fault::TooMany => "Too many",
            Fault::TooFew => "Too few",
            Fault::Internal => "Internal error",
        }
    }

    fn shows_value(self) -> bool {
        !matches!(self, Fault::Required | Fault::Forbidden | Fault::TooLong | Fault::Internal)
    }
}

/// A refused value as its error prints it: strings quoted, numbers and booleans plain, the rest as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad(String);

impl Bad {
    /// Already in the form to print; empty: not to print.
    pub fn plain(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Not to be printed at all.
    pub fn omitted() -> Self {
        Self(String::new())
    }
}

impl From<&str> for Bad {
    fn from(text: &str) -> Self {
        Self(gotext::quote(text))
    }
}

impl From<&String> for Bad {
    fn from(text: &String) -> Self {
        Self(gotext::quote(text))
    }
}

impl From<i64> for Bad {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl From<i32> for Bad {
    fn from(number: i32) -> Self {
        Self(number.to_string())
    }
}

impl From<usize> for Bad {
    fn from(number: usize) -> Self {
        Self(number.to_string())
    }
}

impl From<bool> for Bad {
    fn from(flag: bool) -> Self {
        Self(flag.to_string())
    }
}

impl From<&Value> for Bad {
    fn from(value: &Value) -> Self {
        match value {
            Value::String(text) => Self(gotext::quote(text)),
            other => Self(gotext::json(other)),
        }
    }
}

/// One thing wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub fault: Fault,
    pub field: String,
    value: String,
    detail: Cow<'static, str>,
}

impl FieldError {
    pub fn new(fault: Fault, field: &Path<'_>, value: impl Into<Bad>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { fault, field: field.to_string(), value: value.into().0, detail: detail.into() }
    }

    pub fn required(field: &Path<'_>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Fault::Required, field, "", detail)
    }

    pub fn invalid(field: &Path<'_>, value: impl Into<Bad>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Fault::Invalid, field, value, detail)
    }

    pub fn forbidden(field: &Path<'_>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Fault::Forbidden, field, "", detail)
    }

    pub fn duplicate(field: &Path<'_>, value: impl Into<Bad>) -> Self {
        Self::new(Fault::Duplicate, field, value, "")
    }

    pub fn not_found(field: &Path<'_>, value: impl Into<Bad>) -> Self {
        Self::new(Fault::NotFound, field, value, "")
    }

    /// `supported` in the order to print.
    pub fn not_supported<T: AsRef<str>>(field: &Path<'_>, value: impl Into<Bad>, supported: &[T]) -> Self {
        let quoted: Vec<_> = supported.iter().map(|s| gotext::quote(s.as_ref())).collect();
        let detail = if quoted.is_empty() { String::new() } else { format!("supported values: {}", quoted.join(", ")) };
        Self::new(Fault::NotSupported, field, value, detail)
    }

    /// `most` in bytes.
    pub fn too_long(field: &Path<'_>, most: usize) -> Self {
        Self::new(Fault::TooLong, field, "", format!("may not be more than {most} bytes"))
    }

    pub fn too_many(field: &Path<'_>, count: usize, most: usize) -> Self {
        let items = if most == 1 { "item" } else { "items" };
        Self::new(Fault::TooMany, field, count, format!("must have at most {most} {items}"))
    }

    pub fn too_few(field: &Path<'_>, count: usize, least: usize) -> Self {
        let items = if least == 1 { "item" } else { "items" };
        Self::new(Fault::TooFew, field, count, format!("must have at least {least} {items}"))
    }

    pub fn internal(field: &Path<'_>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Fault::Internal, field, "", detail)
    }

    /// Without the field: `Invalid value: "x": must be ...`.
    pub fn body(&self) -> String {
        let mut text = self.fault.words().to_owned();
        if self.fault.shows_value() && !self.value.is_empty() {
            text.push_str(": ");
            text.push_str(&self.value);
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

/// `spec.replicas: Invalid value: -1: must be greater than or equal to 0`.
impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// Everything found wrong, in the order of finding.
pub type FieldErrors = Vec<FieldError>;

/// Go's aggregate of messages: repeated ones once, more than one in brackets.
pub fn aggregate<'a>(messages: impl IntoIterator<Item = Cow<'a, str>>) -> String {
    let mut seen: Vec<Cow<'a, str>> = Vec::new();
    for message in messages {
        if !seen.contains(&message) {
            seen.push(message);
        }
    }
    match seen.as_slice() {
        [one] => one.clone().into_owned(),
        many => format!("[{}]", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_print_as_stock() {
        let (root, spec) = (Path::Root, Path::Name(&Path::Root, "spec"));
        let list = spec.name("ports");
        let port = list.index(2);
        let labels = spec.key("a/b");
        for (error, text) in [
            (FieldError::invalid(&port, 0, "must be positive"), "spec.ports[2]: Invalid value: 0: must be positive"),
            (FieldError::required(&spec, ""), "spec: Required value"),
            (FieldError::duplicate(&labels, "x"), "spec[a/b]: Duplicate value: \"x\""),
            (
                FieldError::not_supported(&spec, "X", &["A", "B"]),
                "spec: Unsupported value: \"X\": supported values: \"A\", \"B\"",
            ),
            (FieldError::too_many(&root, 3, 1), "<nil>: Too many: 3: must have at most 1 item"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
