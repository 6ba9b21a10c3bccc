//! How the values of a schema look to expressions: their types and most sizes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::schema::Schema;
use crate::model::value::Value;
use crate::schema::cel::names::escape;
use crate::schema::cel::types::{Shape, Type};

/// Bytes of a request, from which come the sizes that a schema does not bound.
pub const REQUEST_BYTES: i64 = 3 << 20;
/// Of the JSON of a duration, a date and a time, quotes included: (least, most).
const DURATION_BYTES: (i64, i64) = (3, 32);
const DATE_BYTES: i64 = 12;
const TIME_BYTES: (i64, i64) = (21, 32);
/// UTF-8 takes at most so many for a letter.
const LETTER_BYTES: i64 = 4;

/// The shape of a schema's values; `None` where expressions cannot see them. A whole object has a kind, a version and
/// metadata, declared or not. Types that have fields are named by their place below `name`.
pub fn shape(schema: &Schema, whole: bool, name: &str) -> Option<Arc<Shape>> {
    if schema.int_or_string {
        let most = schema.max_length.map_or(REQUEST_BYTES - 2, |most| most.max(0) * LETTER_BYTES);
        return Some(Arc::new(Shape { most, ..Shape::simple(Type::Dyn, 1) }));
    }
    let shape = match schema.kind.as_str() {
        "array" => {
            let of = schema.item()?;
            let items = shape(of, of.embedded, &format!("{name}.@idx"))?;
            let most = (REQUEST_BYTES - 2) / (items.least_bytes + 1);
            Shape::list(items, schema.max_items.map_or(most, |most| most.max(0)))
        }
        // In whole objects a map is none: it has a kind.
        "object" => match schema.values() {
            Some(of) => {
                let values = shape(of, of.embedded, &format!("{name}.@elem"))?;
                let most = (REQUEST_BYTES - 2) / (values.least_bytes + 6);
                Shape::map(values, schema.max_properties.map_or(most, |most| most.max(0)))
            }
            None => object(schema, whole, name),
        },
        "string" => text(schema),
        "boolean" => Shape::simple(Type::Bool, 4),
        "number" => Shape::simple(Type::Double, 1),
        "integer" => Shape::simple(Type::Int, 1),
        _ => return None,
    };
    Some(Arc::new(shape))
}

fn object(schema: &Schema, whole: bool, name: &str) -> Shape {
    let required: HashSet<&str> = schema.required.iter().map(String::as_str).collect();
    let implied = whole && !declares_all(schema);
    let mut least_bytes = 2;
    let mut fields = BTreeMap::new();
    let mut add = |field: &str, of: Arc<Shape>, counts: bool| {
        if counts && required.contains(field) {
            least_bytes += field.len() as i64 + of.least_bytes + 4;
        }
        if let Some(field) = escape(field) {
            fields.insert(field.into_owned(), of);
        }
    };
    for (field, of) in schema.properties.iter() {
        if implied && super::prune::OF_ANY_OBJECT.contains(&field) {
            continue;
        }
        let place = escape(field).map(|field| format!("{name}.{field}")).unwrap_or_default();
        if let Some(shape) = shape(of, of.embedded, &place) {
            add(field, shape, of.default.is_none());
        }
    }
    if implied {
        let any_text = || Arc::new(Shape { most: REQUEST_BYTES - 2, ..Shape::simple(Type::String, 2) });
        let names = ["name", "generateName"].map(|field| (field.to_owned(), any_text()));
        add("kind", any_text(), true);
        add("apiVersion", any_text(), true);
        add("metadata", Arc::new(Shape::object(&format!("{name}.metadata"), names.into_iter().collect())), true);
    }
    Shape { least_bytes, ..Shape::object(name, fields) }
}

/// It says itself what any object has.
fn declares_all(schema: &Schema) -> bool {
    let is = |schema: &Schema, field: &str, kind: &str| schema.properties.get(field).is_some_and(|of| of.kind == kind);
    let texts = is(schema, "kind", "string") && is(schema, "apiVersion", "string");
    texts
        && schema.properties.get("metadata").is_some_and(|metadata| {
            metadata.kind == "object" && is(metadata, "name", "string") && is(metadata, "generateName", "string")
        })
}

fn text(schema: &Schema) -> Shape {
    let (ty, least, most) = match schema.format.as_str() {
        "byte" => {
            let most = schema.max_length.map_or(REQUEST_BYTES - 2, |most| most.max(0));
            (Type::Bytes, 2, most)
        }
        "duration" => (Type::Duration, DURATION_BYTES.0, DURATION_BYTES.1),
        "date" => (Type::Timestamp, DATE_BYTES, DATE_BYTES),
        "date-time" => (Type::Timestamp, TIME_BYTES.0, TIME_BYTES.1),
        _ => {
            let choices = schema.choices.iter().filter_map(Value::as_str).map(str::len);
            let most = match schema.max_length {
                Some(most) => most.max(0) * LETTER_BYTES,
                None if schema.choices.is_empty() => REQUEST_BYTES - 2,
                None => choices.max().unwrap_or(0) as i64,
            };
            (Type::String, 2, most)
        }
    };
    Shape { most, ..Shape::simple(ty, least) }
}
