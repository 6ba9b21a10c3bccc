//! The values that field selectors compare with.

use std::borrow::Cow;

use crate::cache::object::{Object, Scalar};
use crate::schema::resource::Storage;

/// The value of a field as selectors see it: text, empty when unset. `field` is named as the served version names it.
pub fn value<'a>(object: &'a Object, field: &str, storage: &Storage) -> Cow<'a, str> {
    match field {
        "metadata.name" => Cow::Borrowed(object.name()),
        "metadata.namespace" => Cow::Borrowed(object.namespace()),
        _ if storage.shape.message().is_none() => scan(object, field, storage),
        _ => stored(object, renamed(field, storage), storage),
    }
}

/// Where the stored kind keeps what the served version calls otherwise.
fn renamed<'f>(field: &'f str, storage: &Storage) -> Cow<'f, str> {
    if storage.kind.kind != "Event" {
        return Cow::Borrowed(field);
    }
    match field.strip_prefix("regarding.") {
        Some(rest) => Cow::Owned(format!("involvedObject.{rest}")),
        None if field == "reportingController" => Cow::Borrowed("reportingComponent"),
        None => Cow::Borrowed(field),
    }
}

fn stored<'a>(object: &'a Object, field: Cow<'_, str>, storage: &Storage) -> Cow<'a, str> {
    let found = match (storage.kind.kind.as_str(), field.as_ref()) {
        ("Event", "source") => match scan(object, "source.component", storage) {
            source if source.is_empty() => scan(object, "reportingComponent", storage),
            source => source,
        },
        ("Job", "status.successful") => scan(object, "status.succeeded", storage),
        (_, field) => scan(object, field, storage),
    };
    if !found.is_empty() {
        return found;
    }
    // A flag or a count that is not set is selected by its zero.
    match field.as_ref() {
        "spec.hostNetwork" | "spec.unschedulable" => Cow::Borrowed("false"),
        "status.replicas" | "status.successful" => Cow::Borrowed("0"),
        _ => found,
    }
}

fn scan<'a>(object: &'a Object, field: &str, storage: &Storage) -> Cow<'a, str> {
    let path: Vec<&str> = field.split('.').collect();
    match object.field(&storage.shape, &path) {
        Some(Scalar::Str(text)) => text,
        Some(Scalar::Int(number)) => Cow::Owned(number.to_string()),
        Some(Scalar::Bool(flag)) => Cow::Borrowed(if flag { "true" } else { "false" }),
        None => Cow::Borrowed(""),
    }
}
